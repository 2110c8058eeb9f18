// SPDX-License-Identifier: Apache-2.0
#include "tests/enrich_case.h"

static const struct enrich_case cases[] = {
	{ .said = "nothing", .type = "track", .body = "{\"event\":\"x\"}",
	  .wants = { { ENRICHED_PROPERTIES, NULL }, { ENRICHED_TRAITS, NULL },
		     { ENRICHED_CONTEXT, NULL }, { ENRICHED_INTEGRATIONS, NULL } } },
	{ .said = "all four, digits as sent", .type = "track",
	  .body = "{\"event\":\"x\",\"properties\":{\"a\":1.50,\"big\":12345678901234567890123},"
		  "\"traits\":{\"t\":[1,{\"u\":null}]},\"context\":{\"c\":true},"
		  "\"integrations\":{\"All\":false}}",
	  .wants = { { ENRICHED_PROPERTIES, "{\"a\":1.50,\"big\":12345678901234567890123}" },
		     { ENRICHED_TRAITS, "{\"t\":[1,{\"u\":null}]}" },
		     { ENRICHED_CONTEXT, "{\"c\":true}" },
		     { ENRICHED_INTEGRATIONS, "{\"All\":false}" } } },
	{ .said = "empty objects", .type = "track",
	  .body = "{\"event\":\"x\",\"properties\":{},\"integrations\":{}}",
	  .wants = { { ENRICHED_PROPERTIES, "{}" }, { ENRICHED_INTEGRATIONS, "{}" } } },
	{ .said = "other kinds are dropped", .type = "track",
	  .body = "{\"event\":\"x\",\"properties\":[1],\"traits\":\"t\",\"context\":7,"
		  "\"integrations\":true}",
	  .wants = { { ENRICHED_PROPERTIES, NULL }, { ENRICHED_TRAITS, NULL },
		     { ENRICHED_CONTEXT, NULL }, { ENRICHED_INTEGRATIONS, NULL } } },
	{ .said = "line feeds between members", .type = "track",
	  .body = "{\"event\":\"x\",\n\"properties\":\n{\n\"a\"\t:\r[\n1 , 2 ]\n}\n}",
	  .wants = { { ENRICHED_PROPERTIES, "{\"a\":[1,2]}" } } },
	{ .said = "spaces are kept, as python sends them", .type = "track",
	  .body = " { \"event\" : \"x\" , \"properties\" : {\"a\": 1, \"b\": [1, 2]} , "
		  "\"context\" : {} } ",
	  .wants = { { ENRICHED_PROPERTIES, "{\"a\": 1, \"b\": [1, 2]}" },
		     { ENRICHED_CONTEXT, "{}" } } },
	{ .said = "the last member, and escapes before it", .type = "track",
	  .body = "{\"\\u0065vent\":\"\\ud83d\\ude00\\n\",\"properties\":{\"k\\\"\":\"\\u00e9}\"}}",
	  .wants = { { ENRICHED_PROPERTIES, "{\"k\\\"\":\"\\u00e9}\"}" } } },
	{ .said = "a name with escapes", .type = "track",
	  .body = "{\"event\":\"x\",\"\\u0070roperties\": {\"a\": \"\\u00e9\"}}",
	  .wants = { { ENRICHED_PROPERTIES, "{\"a\":\"\xc3\xa9\"}" } } },
	{ .said = "the last of equal ones", .type = "track",
	  .body = "{\"event\":\"x\",\"properties\":{\"a\":1},\"properties\":{\"a\":2},\"z\":0}",
	  .wants = { { ENRICHED_PROPERTIES, "{\"a\":2}" } } },
	{ .said = "an empty name behind", .type = "track",
	  .body = "{\"event\":\"x\",\"properties\":{\"a\":1} ,\"\":2}",
	  .wants = { { ENRICHED_PROPERTIES, "{\"a\":1}" } } },
	{ .said = "a name with escapes behind", .type = "track",
	  .body = "{\"event\":\"x\",\"properties\":{\"a\":1},\"\\n\\n\":2}",
	  .wants = { { ENRICHED_PROPERTIES, "{\"a\":1}" } } },
	{ .said = "identify without traits has its context's", .type = "identify",
	  .body = "{\"context\":{\"traits\":{\"email\":\"a@b.c\"}}}",
	  .wants = { { ENRICHED_TRAITS, "{\"email\":\"a@b.c\"}" } } },
	{ .said = "a track call does not", .type = "track",
	  .body = "{\"event\":\"x\",\"context\":{\"traits\":{\"email\":\"a@b.c\"}}}",
	  .wants = { { ENRICHED_TRAITS, NULL } } },
};

int main(void)
{
	return case_main(cases, sizeof(cases) / sizeof(cases[0]));
}
