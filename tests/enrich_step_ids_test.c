// SPDX-License-Identifier: Apache-2.0
#include "tests/enrich_case.h"

static const struct enrich_case cases[] = {
	{ .said = "a track call",
	  .type = "track",
	  .body = "{\"event\":\"Order Completed\",\"userId\":\"u1\",\"anonymousId\":\"a1\"}",
	  .wants = { { ENRICHED_EVENT, "Order Completed" },
		     { ENRICHED_USER_ID, "u1" },
		     { ENRICHED_ANONYMOUS_ID, "a1" },
		     { ENRICHED_TYPE, "track" },
		     { ENRICHED_GROUP_ID, NULL },
		     { ENRICHED_NAME, NULL } } },
	{ .said = "null ids are absent",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"userId\":null,\"anonymousId\":null}",
	  .wants = { { ENRICHED_USER_ID, NULL }, { ENRICHED_ANONYMOUS_ID, NULL } } },
	{ .said = "empty ids are absent",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"userId\":\"\",\"anonymousId\":\"a\"}",
	  .wants = { { ENRICHED_USER_ID, NULL }, { ENRICHED_ANONYMOUS_ID, "a" } } },
	{ .said = "a number is its digits",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"userId\":12345678901234567890,\"anonymousId\":-0.50}",
	  .wants = { { ENRICHED_USER_ID, "12345678901234567890" },
		     { ENRICHED_ANONYMOUS_ID, "-0.50" } } },
	{ .said = "other kinds are no ids",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"userId\":{\"a\":1},\"anonymousId\":[1],\"groupId\":true}",
	  .wants = { { ENRICHED_USER_ID, NULL },
		     { ENRICHED_ANONYMOUS_ID, NULL },
		     { ENRICHED_GROUP_ID, NULL } } },
	{ .said = "junk ids are kept",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"userId\":\"undefined\"}",
	  .wants = { { ENRICHED_USER_ID, "undefined" } } },
	{ .said = "the last of equal keys",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"userId\":\"u1\",\"userId\":\"u2\"}",
	  .wants = { { ENRICHED_USER_ID, "u2" } } },
	{ .said = "the last of equal keys is null",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"userId\":\"u1\",\"userId\":null}",
	  .wants = { { ENRICHED_USER_ID, NULL } } },
	{ .said = "escapes are undone",
	  .type = "track",
	  .body = "{\"event\":\"\\u00e9\\ud83d\\ude00\",\"user\\u0049d\":\"u\\/1\"}",
	  .wants = { { ENRICHED_EVENT, "\xc3\xa9\xf0\x9f\x98\x80" },
		     { ENRICHED_USER_ID, "u/1" } } },
	{ .said = "no event",
	  .type = "track",
	  .body = "{\"userId\":\"u1\"}",
	  .bad = "event_missing" },
	{ .said = "an empty event",
	  .type = "track",
	  .body = "{\"event\":\"\"}",
	  .bad = "event_missing" },
	{ .said = "an event that is an object",
	  .type = "track",
	  .body = "{\"event\":{}}",
	  .bad = "event_missing" },
	{ .said = "an event that is a number",
	  .type = "track",
	  .body = "{\"event\":404}",
	  .wants = { { ENRICHED_EVENT, "404" } } },
	{ .said = "identify",
	  .type = "identify",
	  .body = "{\"event\":\"no\",\"userId\":\"u1\"}",
	  .wants = { { ENRICHED_EVENT, "Identify" }, { ENRICHED_USER_ID, "u1" } } },
	{ .said = "page",
	  .type = "page",
	  .body = "{\"name\":\"n\",\"category\":\"c\"}",
	  .wants = { { ENRICHED_EVENT, "Page" },
		     { ENRICHED_NAME, "n" },
		     { ENRICHED_CATEGORY, "c" } } },
	{ .said = "page named in properties",
	  .type = "page",
	  .body = "{\"properties\":{\"name\":\"n\",\"category\":\"c\"}}",
	  .wants = { { ENRICHED_NAME, "n" }, { ENRICHED_CATEGORY, "c" } } },
	{ .said = "screen",
	  .type = "screen",
	  .body = "{\"name\":\"s\",\"properties\":{}}",
	  .wants = { { ENRICHED_EVENT, "Screen" },
		     { ENRICHED_NAME, "s" },
		     { ENRICHED_CATEGORY, NULL } } },
	{ .said = "a track call has no name",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"name\":\"n\",\"properties\":{\"name\":\"p\"}}",
	  .wants = { { ENRICHED_NAME, NULL } } },
	{ .said = "group",
	  .type = "group",
	  .body = "{\"groupId\":\"g1\",\"userId\":\"u1\"}",
	  .wants = { { ENRICHED_EVENT, "Group" }, { ENRICHED_GROUP_ID, "g1" } } },
	{ .said = "group of the context",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"context\":{\"groupId\":7}}",
	  .wants = { { ENRICHED_GROUP_ID, "7" } } },
	{ .said = "alias",
	  .type = "alias",
	  .body = "{\"previousId\":\"u1\",\"userId\":\"u2\"}",
	  .wants = { { ENRICHED_EVENT, "Alias" },
		     { ENRICHED_PREVIOUS_ID, "u1" },
		     { ENRICHED_USER_ID, "u2" } } },
	{ .said = "no id at all is kept",
	  .type = "track",
	  .body = "{\"event\":\"x\"}",
	  .wants = { { ENRICHED_USER_ID, NULL }, { ENRICHED_ANONYMOUS_ID, NULL } } },
};

/* Long ids are cut between characters. */
static void long_ids(struct enrich_bench *bench)
{
	char body[4096], wanted[2048] = "";
	struct enrich_case c = { .said = "a long id is cut between characters", .type = "track",
				 .body = body, .wants = { { ENRICHED_USER_ID, wanted } } };

	memset(wanted, 'x', TEXT_ID_MAX - 1);
	snprintf(body, sizeof(body), "{\"event\":\"e\",\"userId\":\"%s\xc3\xa9zz\"}", wanted);
	case_check(bench, &c);
	memset(wanted, 'x', TEXT_ID_MAX);
	snprintf(body, sizeof(body), "{\"event\":\"e\",\"userId\":\"%s\"}", wanted);
	c.said = "an id of exactly the limit is whole";
	case_check(bench, &c);
}

int main(void)
{
	struct enrich_bench bench;

	enrich_bench_open(&bench);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		case_check(&bench, &cases[i]);
	long_ids(&bench);
	return enrich_bench_end(&bench);
}
