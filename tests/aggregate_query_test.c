// SPDX-License-Identifier: Apache-2.0
#include "aggregate/query.h"

#include <errno.h>

#include "tests/tap.h"

/* 2026-11-24T10:30:00Z, a Tuesday */
#define NOW_US   INT64_C(1795516200000000)
#define NOW_HOUR (NOW_US / INT64_C(3600000000))
#define DAY      (NOW_HOUR - 10)

/* code NULL: it is right; from and to relative to the day's start. */
static const struct {
	const char *body;
	const char *code, *at;
	int64_t from, to;
} cases[] = {
	{ "{}", NULL, NULL, -29 * 24, 24 },
	{ "{\"last\":{\"n\":1,\"unit\":\"day\"}}", NULL, NULL, 0, 24 },
	{ "{\"last\":{\"n\":3,\"unit\":\"hour\"},\"unit\":\"hour\"}", NULL, NULL, 8, 11 },
	{ "{\"last\":{\"n\":2,\"unit\":\"week\"},\"unit\":\"week\"}", NULL, NULL, -8 * 24, 6 * 24 },
	{ "{\"from\":\"2026-11-24\",\"to\":\"2026-11-24\"}", NULL, NULL, 0, 24 },
	{ "{\"from\":\"2026-11-24T03:00:00Z\",\"to\":\"2026-11-24T05:00:00+01:00\"}", NULL, NULL, 3,
	  4 },
	{ "{\"from\":\"2026-11-23\"}", NULL, NULL, -24, 24 },
	{ "{\"zone\":\"UTC\",\"where\":null,\"breakdown\":[],\"measures\":[]}", NULL, NULL,
	  -29 * 24, 24 },
	{ "{\"measures\":[{\"event\":\"*\",\"measure\":\"unique\"},{\"event\":\"A\"}]}", NULL, NULL,
	  -29 * 24, 24 },
	{ "", "bad_json", "", 0, 0 },
	{ "[]", "bad_json", "", 0, 0 },
	{ "{\"unit\":\"day\"", "bad_json", "", 0, 0 },
	{ "{\"units\":\"day\"}", "unknown_field", "/units", 0, 0 },
	{ "{\"unit\":\"month\"}", "not_supported", "/unit", 0, 0 },
	{ "{\"unit\":\"year\"}", "bad_value", "/unit", 0, 0 },
	{ "{\"unit\":7}", "bad_value", "/unit", 0, 0 },
	{ "{\"zone\":\"Europe/Berlin\"}", "not_supported", "/zone", 0, 0 },
	{ "{\"where\":{\"prop\":\"x\",\"op\":\"is_set\"}}", "not_supported", "/where", 0, 0 },
	{ "{\"breakdown\":[{\"prop\":\"$browser\"}]}", "not_supported", "/breakdown", 0, 0 },
	{ "{\"formula\":\"A/B\"}", "not_supported", "/formula", 0, 0 },
	{ "{\"measures\":{}}", "bad_value", "/measures", 0, 0 },
	{ "{\"measures\":[7]}", "bad_value", "/measures/0", 0, 0 },
	{ "{\"measures\":[{\"event\":\"A\"},{}]}", "bad_value", "/measures/1/event", 0, 0 },
	{ "{\"measures\":[{\"event\":\"A\",\"measure\":\"p90\"}]}", "not_supported",
	  "/measures/0/measure", 0, 0 },
	{ "{\"measures\":[{\"event\":\"A\",\"measure\":\"many\"}]}", "bad_value",
	  "/measures/0/measure", 0, 0 },
	{ "{\"measures\":[{\"event\":\"A\",\"where\":{\"prop\":\"x\"}}]}", "not_supported",
	  "/measures/0/where", 0, 0 },
	{ "{\"measures\":[{\"event\":\"A\",\"color\":1}]}", "unknown_field", "/measures/0/color", 0,
	  0 },
	{ "{\"from\":\"2026-02-30\"}", "bad_value", "/from", 0, 0 },
	{ "{\"from\":\"2026-11-24T03:30:00Z\"}", "not_supported", "/from", 0, 0 },
	{ "{\"from\":\"2026-11-24\",\"to\":\"2026-11-23\"}", "bad_value", "/to", 0, 0 },
	{ "{\"to\":\"2026-11-23\"}", "bad_value", "/from", 0, 0 },
	{ "{\"from\":20261123}", "bad_value", "/from", 0, 0 },
	{ "{\"last\":{\"n\":0,\"unit\":\"day\"}}", "bad_value", "/last/n", 0, 0 },
	{ "{\"last\":{\"n\":1.5,\"unit\":\"day\"}}", "bad_value", "/last/n", 0, 0 },
	{ "{\"last\":{\"n\":1}}", "bad_value", "/last/unit", 0, 0 },
	{ "{\"last\":{\"n\":1,\"unit\":\"day\"},\"from\":\"2026-11-23\"}", "bad_value", "/last", 0,
	  0 },
	{ "{\"last\":7}", "bad_value", "/last", 0, 0 },
	{ "{\"top\":0}", "bad_value", "/top", 0, 0 },
	{ "{\"unit\":\"hour\",\"from\":\"2020-01-01\",\"to\":\"2026-01-01\"}", "too_large", "/unit",
	  0, 0 },
};

static void test_trend(struct tap *tap, struct json_reader *json)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct query_trend query;
		struct query_error error;
		int rc = query_parse_trend(json, slice_from(cases[i].body), NOW_US, &query, &error);

		if (!cases[i].code)
			OK(tap, rc == 0 && query.from == DAY + cases[i].from &&
				       query.to == DAY + cases[i].to, "%s: %s", cases[i].body,
			   rc ? error.message : "right");
		else
			OK(tap,
			   rc == -EINVAL && strcmp(error.code, cases[i].code) == 0 &&
				   strcmp(error.at, cases[i].at) == 0 && error.message[0] &&
				   error.status == (strcmp(error.code, "too_large") ? 400 : 413),
			   "%s: %s at '%s'", cases[i].body, rc ? error.code : "right",
			   rc ? error.at : "");
	}
}

static void test_names(struct tap *tap, struct json_reader *json)
{
	struct query_names query;
	struct query_error error;

	OK(tap, query_parse_names(json, SLICE("{\"kind\":\"events\",\"prefix\":\"O\",\"limit\":7}"),
				  &query, &error) == 0 && query.limit == 7 &&
		       slice_is(query.prefix, "O"), "names of events");
	OK(tap,
	   query_parse_names(json, SLICE("{\"kind\":\"values\"}"), &query, &error) == -EINVAL &&
		   strcmp(error.code, "not_supported") == 0,
	   "others are for later");
	OK(tap, query_parse_names(json, SLICE("{}"), &query, &error) == -EINVAL &&
		       strcmp(error.at, "/kind") == 0, "a kind is needed");
}

int main(void)
{
	struct tap tap = { 0 };
	struct json_reader *json;
	struct err err = { "" };

	if (!OK(&tap, json_open(&json, &err) == 0, "json"))
		return tap_end(&tap);
	test_trend(&tap, json);
	test_names(&tap, json);
	OK(&tap, query_unit_start(QUERY_UNIT_WEEK, DAY) == DAY - 24 &&
			 query_unit_start(QUERY_UNIT_WEEK, 0) == -72 &&
			 query_unit_start(QUERY_UNIT_DAY, -1) == -24, "weeks begin on Monday");
	json_close(json);
	return tap_end(&tap);
}
