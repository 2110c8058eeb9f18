// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "sink/dest.h"
#include "tests/tap.h"

/* What the vendors' documentation says of their answers, and what must become of three parts. Each
 * letter is a part's class: o ok, t transient, T throttled, i invalid, s setup. */
static const struct {
	const char *kind;
	int route;                      /* Mixpanel: 0 import, 2 engage */
	bool is_test;                   /* GA4's validation */
	int status;
	int64_t retry_after_ms;
	const char *body, *wanted;
	const char *words;              /* of the first part that is not ok; NULL: any */
} table[] = {
	/* Mixpanel: "Import Events" */
	{ "mixpanel", 0, 0, 200, -1, "{\"code\":200,\"num_records_imported\":3,\"status\":\"OK\"}",
	  "ooo", NULL },
	{ "mixpanel", 0, 0, 400, -1,
	  "{\"code\":400,\"error\":\"some data points in the request failed validation\","
	  "\"failed_records\":[{\"index\":1,\"insert_id\":\"13c0b661\",\"field\":"
	  "\"properties.time\",\"message\":\"properties.time is invalid: must be specified as "
	  "seconds since epoch\"}],\"num_records_imported\":2,\"status\":\"Bad Request\"}",
	  "oio", "properties.time is invalid: must be specified as seconds since epoch" },
	{ "mixpanel", 0, 0, 400, -1, "{\"code\":400,\"failed_records\":[{\"index\":0},"
	  "{\"index\":2}]}", "ioi", "refused" },
	{ "mixpanel", 0, 0, 400, -1, "{\"code\":400,\"failed_records\":[{\"index\":7},"
	  "{\"index\":-1},{\"index\":\"x\"},5]}", "iii", NULL },
	{ "mixpanel", 0, 0, 400, -1, "{\"code\":400,\"failed_records\":[]}", "iii", NULL },
	{ "mixpanel", 0, 0, 400, -1, "not JSON", "iii", "status 400: not JSON" },
	{ "mixpanel", 0, 0, 401, -1, "{\"code\":401,\"error\":\"Invalid credentials\"}", "sss",
	  NULL },
	{ "mixpanel", 0, 0, 413, -1, "{\"code\":413,\"error\":\"request exceeds max limit\"}",
	  "iii", NULL },
	{ "mixpanel", 0, 0, 429, 60000, "{\"code\":429,\"error\":\"Project exceeded rate limits\"}",
	  "TTT", NULL },
	{ "mixpanel", 0, 0, 502, -1, "", "ttt", NULL },
	{ "mixpanel", 2, 0, 200, -1, "{\"error\":null,\"status\":1}", "ooo", NULL },
	{ "mixpanel", 2, 0, 200, -1, "{\"error\":\"data, missing or empty\",\"status\":0}", "iii",
	  "data, missing or empty" },
	{ "mixpanel", 2, 0, 200, -1, "1", "ooo", NULL },
	/* Amplitude: "HTTP V2 API", response format */
	{ "amplitude", 0, 0, 200, -1, "{\"code\":200,\"events_ingested\":3,"
	  "\"payload_size_bytes\":50,"
	  "\"server_upload_time\":1396381378123}", "ooo", NULL },
	{ "amplitude", 0, 0, 400, -1, "{\"code\":400,\"error\":\"Request missing required field\","
	  "\"missing_field\":\"api_key\"}", "sss", "Request missing required field" },
	{ "amplitude", 0, 0, 400, -1, "{\"code\":400,\"error\":\"Invalid API key: 1234\"}", "sss",
	  NULL },
	{ "amplitude", 0, 0, 400, -1, "{\"code\":400,\"error\":\"Request missing required field\","
	  "\"events_with_invalid_fields\":{\"time\":[1]},\"events_with_missing_fields\":{"
	  "\"event_type\":[2]}}", "tii", NULL },
	{ "amplitude", 0, 0, 400, -1, "{\"code\":400,\"error\":\"x\","
	  "\"events_with_invalid_id_lengths\":"
	  "{\"user_id\":[0]},\"silenced_events\":[2]}", "iti", "user_id" },
	{ "amplitude", 0, 0, 400, -1, "{\"code\":400,"
	  "\"error\":\"Invalid JSON request body\"}", "iii",
	  NULL },
	{ "amplitude", 0, 0, 400, -1, "{\"code\":400,\"events_with_invalid_fields\":{"
	  "\"time\":[9,-2,"
	  "\"a\"]}}", "iii", NULL },
	{ "amplitude", 0, 0, 413, -1, "{\"code\":413,"
	  "\"error\":\"Payload too large\"}", "iii", NULL },
	{ "amplitude", 0, 0, 429, -1, "{\"code\":429,"
	  "\"error\":\"Too many requests for some devices "
	  "and users\",\"eps_threshold\":10,\"throttled_events\":[0]}", "TTT", NULL },
	{ "amplitude", 0, 0, 503, -1, "", "ttt", NULL },
	/* GA4: the collection answers 204 whatever it got; /debug validates */
	{ "ga4", 0, 0, 204, -1, "", "ooo", NULL },
	{ "ga4", 0, 1, 200, -1, "{\"validationMessages\":[]}", "ooo", NULL },
	{ "ga4", 0, 1, 200, -1, "{\"validationMessages\":[{\"fieldPath\":\"events\","
	  "\"description\":"
	  "\"Event at index: [0] has invalid name [_bad].\",\"validationCode\":\"NAME_INVALID\"}]}",
	  "iii", "Event at index: [0] has invalid name [_bad]." },
	{ "ga4", 0, 0, 500, -1, "", "ttt", NULL },
	/* Segment: HTTP API */
	{ "segment", 0, 0, 200, -1, "{\"success\":true}", "ooo", NULL },
	{ "segment", 0, 0, 400, -1, "{\"success\":false}", "iii", NULL },
	{ "segment", 0, 0, 401, -1, "", "sss", NULL },
	{ "segment", 0, 0, 429, 5000, "", "TTT", NULL },
	/* PostHog: /batch; over quota it answers 200 */
	{ "posthog", 0, 0, 200, -1, "{\"status\":\"Ok\"}", "ooo", NULL },
	{ "posthog", 0, 0, 200, -1, "{\"status\":1}", "ooo", NULL },
	{ "posthog", 0, 0, 200, -1, "{\"status\":\"Ok\",\"quota_limited\":[\"events\"]}", "sss",
	  "the project is over its quota: events would be dropped" },
	{ "posthog", 0, 0, 200, -1, "{\"status\":\"Ok\",\"quota_limited\":[]}", "ooo", NULL },
	{ "posthog", 0, 0, 401, -1, "{\"type\":\"authentication_error\","
	  "\"code\":\"invalid_api_key\"}",
	  "sss", NULL },
	{ "posthog", 0, 0, 400, -1, "{\"type\":\"validation_error\"}", "iii", NULL },
	{ "posthog", 0, 0, 503, 3000, "", "TTT", NULL },
	/* Customer.io: Track API v2, batch */
	{ "customerio", 0, 0, 200, -1, "{}", "ooo", NULL },
	{ "customerio", 0, 0, 207, -1, "{\"errors\":[{\"batch_index\":1,"
	  "\"reason\":\"required\",\"field\":"
	  "\"identifiers\",\"message\":\"identifiers must be present\"}]}", "oio",
	  "identifiers must be present" },
	{ "customerio", 0, 0, 207, -1, "{\"errors\":[{\"batch_index\":5},{"
	  "\"batch_index\":-1},7,{}]}",
	  "ooo", NULL },
	{ "customerio", 0, 0, 207, -1, "not JSON", "ooo", NULL },
	{ "customerio", 0, 0, 400, -1, "{\"errors\":[{\"reason\":\"parse\"}]}", "iii", NULL },
	{ "customerio", 0, 0, 401, -1, "{\"meta\":{"
	  "\"error\":\"Unauthorized request\"}}", "sss", NULL },
	{ "customerio", 0, 0, 429, -1, "", "TTT", NULL },
	/* What everybody has */
	{ "webhook", 0, 0, 202, -1, "", "ooo", NULL },
	{ "webhook", 0, 0, 302, -1, "", "sss", NULL },
	{ "webhook", 0, 0, 404, -1, "", "sss", NULL },
	{ "webhook", 0, 0, 408, -1, "", "ttt", NULL },
	{ "webhook", 0, 0, 410, -1, "", "sss", NULL },
	{ "webhook", 0, 0, 422, -1, "line\nbreak \x01", "iii", "status 422: line break  " },
	{ "webhook", 0, 0, 425, -1, "", "ttt", NULL },
	{ "webhook", 0, 0, 503, -1, "", "ttt", NULL },
	{ "webhook", 0, 0, 503, 1000, "", "TTT", NULL },
	{ "webhook", 0, 0, 199, -1, "", "ttt", NULL },
};

static char letter_of(enum dest_class class)
{
	return "otTis"[class];
}

int main(void)
{
	struct tap tap = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct dest_kind *kind = dest_kind_find(slice_from(table[i].kind));
		const struct dest_item items[3] = { 0 }, *list[3] = { items, items + 1, items + 2 };
		struct dest_batch batch = { .items = list, .count = 3, .route = table[i].route };
		struct post_answer answer = { .status = table[i].status,
			.body = slice_from(table[i].body),
			.retry_after_ms = table[i].retry_after_ms };
		struct dest_result results[3] = { { .retry_after_ms = -1 },
			{ .retry_after_ms = -1 }, { .retry_after_ms = -1 } };
		struct dest_env env = { .name = "x", .is_test = table[i].is_test };
		void *conf = calloc(1, kind->conf_size);
		struct err err = { "" };
		struct dest *dest;
		char got[4] = "";
		int first = -1;

		env.conf = conf;
		if (!OK(&tap, conf && kind->open(&dest, &env, &err) == 0, "%s opens", kind->name)) {
			free(conf);
			continue;
		}
		if (kind->judge)
			kind->judge(dest, &batch, &answer, results);
		else
			dest_judge_status(&batch, &answer, results);
		for (int p = 0; p < 3; p++) {
			got[p] = letter_of(results[p].class);
			if (first < 0 && results[p].class != DEST_OK)
				first = p;
		}
		OK(&tap, strcmp(got, table[i].wanted) == 0, "%s %d %.40s: %s", kind->name,
		   table[i].status, table[i].body, got);
		OK(&tap, !table[i].words || (first >= 0 &&
		   strcmp(results[first].words, table[i].words) == 0), "words: %s",
		   first < 0 ? "" : results[first].words);
		if (results[0].class == DEST_THROTTLED)
			OK(&tap, results[0].retry_after_ms == (table[i].retry_after_ms >= 0
			   ? table[i].retry_after_ms
			   : strcmp(kind->name, "amplitude") == 0 ? 30000 : -1), "Retry-After");
		kind->close(dest);
		free(conf);
	}
	return tap_end(&tap);
}
