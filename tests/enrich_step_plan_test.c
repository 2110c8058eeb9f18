// SPDX-License-Identifier: Apache-2.0
/* Tracking plans in their three formats; allow, block, strip of each thing that can be wrong. */
#include "tests/enrich_case.h"

#define SCHEMA "{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":" \
	"\"string\"},\"price\":{\"type\":\"number\",\"minimum\":0},\"cart\":{\"type\":\"object\"," \
	"\"properties\":{\"n\":{\"type\":\"integer\"}}}}}"
#define OLDER "{\"type\":\"object\",\"properties\":{\"properties\":{\"type\":\"object\"," \
	"\"properties\":{\"old\":{}}}}}"
#define MESSAGE "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"type\":\"object\"," \
	"\"properties\":{\"properties\":" SCHEMA "," \
	"\"context\":{},\"traits\":{\"type\":\"object\"}}," \
	"\"required\":[\"properties\"]}"

static const char *const plans[] = {
	"{\"events\":{\"Order\":" SCHEMA "},\"identify\":" SCHEMA "}",
	"{\"data\":{\"rules\":[{\"key\":\"Order\",\"type\":\"TRACK\",\"version\":2,\"jsonSchema\":"
	MESSAGE "},{\"key\":\"Order\",\"type\":\"TRACK\",\"version\":1,\"jsonSchema\":" OLDER "},"
	"{\"type\":\"IDENTIFY\",\"jsonSchema\":{\"properties\":{\"traits\":" SCHEMA "}}}]}}",
	"{\"tracking_plan\":{\"name\":\"x\",\"rules\":{\"events\":[{\"name\":\"Order\",\"rules\":"
	MESSAGE "}],\"identify\":{\"properties\":{\"traits\":" SCHEMA "}},"
	"\"identify_traits\":[]}}}",
};

#define NOTE(at, rule, act) \
	"{\"at\":\"" at "\",\"rule\":\"" rule "\",\"action\":\"" act "\"}"

static const struct { const char *settings; struct enrich_case c; } cases[] = {
	{ "", { .said = "as declared", .type = "track",
		.body = "{\"event\":\"Order\",\"properties\":{\"id\":\"a\",\"price\":1.5}}",
		.wants = { { ENRICHED_VIOLATIONS, NULL } } } },
	{ "", { .said = "an undeclared event, allowed", .type = "track",
		.body = "{\"event\":\"Other\",\"properties\":{\"x\":1}}",
		.wants = { { ENRICHED_VIOLATIONS, "[" NOTE("/event", "undeclared_event", "allow")
			     "]" }, { ENRICHED_PROPERTIES, "{\"x\":1}" } } } },
	{ "undeclared_event: strip",
	  { .said = "stripped", .type = "track",
	    .body = "{\"event\":\"Other\",\"properties\":{\"x\":1}}",
	    .wants = { { ENRICHED_VIOLATIONS, "[" NOTE("/event", "undeclared_event", "strip")
			 "]" }, { ENRICHED_PROPERTIES, NULL } } } },
	{ "undeclared_event: block",
	  { .said = "blocked", .type = "track", .body = "{\"event\":\"Other\"}",
	    .bad = "plan_undeclared_event" } },
	{ "undeclared_event: block",
	  { .said = "but a page call is none", .type = "page", .body = "{\"name\":\"Other\"}",
	    .wants = { { ENRICHED_VIOLATIONS, NULL } } } },
	{ "", { .said = "all that is wrong, allowed", .type = "track",
		.body = "{\"event\":\"Order\",\"properties\":{\"price\":-1,\"cart\":{\"n\":1.5},"
			"\"a/b\":1}}",
		.wants = { { ENRICHED_VIOLATIONS, "[" NOTE("/properties", "required", "allow") ","
			     NOTE("/properties/price", "minimum", "allow") ","
			     NOTE("/properties/cart/n", "type", "allow") ","
			     NOTE("/properties/a~1b", "undeclared", "allow") "]" } } } },
	{ "violation: strip, undeclared_property: strip",
	  { .said = "stripped", .type = "track",
	    .body = "{\"event\":\"Order\",\"properties\":{\"id\":\"a\",\"price\":-1,\"cart\":"
		    "{\"n\":1.5,\"m\":2},\"x\":[1,{}]}}",
	    .wants = { { ENRICHED_PROPERTIES, "{\"id\":\"a\",\"cart\":{}}" },
		       { ENRICHED_VIOLATIONS, "[" NOTE("/properties/price", "minimum", "strip") ","
			 NOTE("/properties/cart/n", "type", "strip") ","
			 NOTE("/properties/cart/m", "undeclared", "strip") ","
			 NOTE("/properties/x", "undeclared", "strip") "]" } } } },
	{ "undeclared_property: strip",
	  { .said = "one stripped, one allowed", .type = "track",
	    .body = "{\"event\":\"Order\",\"properties\":{\"id\":7,\"x\":1}}",
	    .wants = { { ENRICHED_PROPERTIES, "{\"id\":7}" },
		       { ENRICHED_VIOLATIONS, "[" NOTE("/properties/id", "type", "allow") ","
			 NOTE("/properties/x", "undeclared", "strip") "]" } } } },
	{ "violation: strip",
	  { .said = "what is missing cannot be stripped", .type = "track",
	    .body = "{\"event\":\"Order\",\"properties\":{\"price\":1}}",
	    .wants = { { ENRICHED_PROPERTIES, "{\"price\":1}" },
		       { ENRICHED_VIOLATIONS, "[" NOTE("/properties", "required", "allow")
			 "]" } } } },
	{ "undeclared_property: block",
	  { .said = "an undeclared property, blocked", .type = "track",
	    .body = "{\"event\":\"Order\",\"properties\":{\"id\":\"a\",\"x\":1}}",
	    .bad = "plan_undeclared_property" } },
	{ "violation: block",
	  { .said = "a violation, blocked", .type = "track",
	    .body = "{\"event\":\"Order\",\"properties\":{\"id\":\"a\",\"price\":\"1\"}}",
	    .bad = "plan_violation" } },
	{ "violation: block",
	  { .said = "traits", .type = "identify", .body = "{\"traits\":{\"id\":3}}",
	    .bad = "plan_violation" } },
	{ "violation: block",
	  { .said = "good traits", .type = "identify", .body = "{\"traits\":{\"id\":\"3\"}}",
	    .wants = { { ENRICHED_VIOLATIONS, NULL } } } },
};

static void check_case(struct tap *tap, const char *plan, const char *settings,
		       const struct enrich_case *c)
{
	struct enrich_bench bench;
	char path[64], file[64], yaml[512];

	case_file(file, plan);
	snprintf(yaml, sizeof(yaml), "enrich: {steps: [ids, time, json, plan: {file: %s%s%s}]}\n",
		 file, settings[0] ? ", " : "", settings);
	case_file(path, yaml);
	enrich_bench_with(&bench, tap, path);
	case_check(&bench, c);
	unlink(path);
	unlink(file);
	enrich_bench_close(&bench);
	*tap = bench.tap;
}

static void check_many(struct tap *tap)
{
	char body[4096] = "{\"event\":\"Order\",\"properties\":{\"id\":\"a\"";
	struct enrich_case c = { .said = "30 undeclared: all stripped, 20 noted", .type = "track",
				 .body = body,
				 .wants = { { ENRICHED_PROPERTIES, "{\"id\":\"a\"}" } } };

	for (int i = 0; i < 30; i++)
		snprintf(body + strlen(body), sizeof(body) - strlen(body), ",\"p%d\":%d", i, i);
	snprintf(body + strlen(body), sizeof(body) - strlen(body), "}}");
	check_case(tap, plans[0], "undeclared_property: strip", &c);
}

static void check_refused(struct tap *tap)
{
	static const struct { const char *plan, *words; } bad[] = {
		{ "", "tracking plan: " },
		{ "[]", "it needs rules, or events" },
		{ "{\"rules\":[{\"type\":\"TRACK\",\"jsonSchema\":{}}]}", "an event needs a name" },
		{ "{\"rules\":[{\"type\":\"CLICK\",\"key\":\"a\"}]}", "a: a rule's type is TRACK" },
		{ "{\"rules\":[{\"type\":\"TRACK\",\"key\":\"a\",\"jsonSchema\":{\"properties\":"
		  "{\"event\":{}}}}]}", "a: a message is described by properties, traits" },
		{ "{\"events\":{\"Order\":{\"properties\":{\"x\":{\"requried\":[]}}}}}",
		  "Order: JSON Schema: requried: this keyword is not supported" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct enrich_conf conf = { .dedup_window_ms = 1000 };
		char path[64], file[64], yaml[512];
		struct enrich *enrich = NULL;
		struct bus_conf out = { 0 };
		struct err err = { "" };
		int rc;

		case_file(file, bad[i].plan);
		snprintf(yaml, sizeof(yaml), "enrich: {steps: [ids, time, json, plan: %s]}\n",
			 file);
		case_file(path, yaml);
		conf.config = path;
		rc = enrich_open(&enrich, &conf, "-", &out, &err);
		OK(tap, rc < 0 && strstr(err.text, bad[i].words), "refused: %s: %s", bad[i].words,
		   err.text);
		unlink(path);
		unlink(file);
		enrich_close(enrich);
	}
}

int main(void)
{
	struct tap tap = { 0 };

	for (size_t p = 0; p < sizeof(plans) / sizeof(plans[0]); p++) {
		printf("# plan format %zu\n", p);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			check_case(&tap, plans[p], cases[i].settings, &cases[i].c);
	}
	check_many(&tap);
	check_refused(&tap);
	return tap_end(&tap);
}
