// SPDX-License-Identifier: Apache-2.0
/* Bodies as real SDKs send them (recorded on the wire), and bodies that nobody should send. */
#include "tests/enrich_case.h"

#define FIREFOX "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

static const struct enrich_case real[] = {
	{ .said = "analytics-node, track", .type = "track",
	  .body = "{\"timestamp\":\"2026-11-24T00:26:38.629Z\",\"type\":\"track\",\"event\":"
		  "\"Order Completed\",\"properties\":{\"revenue\":1.5},\"userId\":\"u1\","
		  "\"integrations\":{\"All\":false,\"Mixpanel\":true},\"context\":{\"ip\":"
		  "\"1.2.3.4\",\"library\":{\"name\":\"@segment/analytics-node\",\"version\":"
		  "\"3.1.0\"}},\"messageId\":\"node-next-1795479998629-b8c64ae0\",\"_metadata\":"
		  "{\"nodeVersion\":\"v20.20.2\",\"jsRuntime\":\"node\"}}",
	  .sent_at = "2026-11-24T00:26:38.637Z", .received_at = "2026-11-24T00:26:38.700Z",
	  .ip = "127.0.0.1", .user_agent = "analytics-node-next/latest",
	  .wants = { { ENRICHED_EVENT, "Order Completed" }, { ENRICHED_USER_ID, "u1" },
		     { ENRICHED_ANONYMOUS_ID, NULL }, { ENRICHED_IP, "1.2.3.4" },
		     { ENRICHED_USER_AGENT, NULL },
		     { ENRICHED_LIBRARY_NAME, "@segment/analytics-node" },
		     { ENRICHED_TIMESTAMP, "2026-11-24T00:26:38.692000Z" },
		     { ENRICHED_PROPERTIES, "{\"revenue\":1.5}" },
		     { ENRICHED_INTEGRATIONS, "{\"All\":false,\"Mixpanel\":true}" } } },
	{ .said = "python, identify with nulls and escapes", .type = "identify",
	  .body = "{\"integrations\": {}, \"anonymousId\": null, \"timestamp\": "
		  "\"2026-11-24T00:28:40.169+00:00\", \"context\": {\"library\": {\"name\": "
		  "\"analytics-python\", \"version\": \"2.4.0\"}}, \"type\": \"identify\", "
		  "\"userId\": \"u1\", \"traits\": {\"email\": \"a@b.c\", \"name\": "
		  "\"\\u00e9\\ud83d\\ude00\"}, \"messageId\": \"81be059a\"}",
	  .sent_at = "2026-11-24T00:28:40.670108+00:00",
	  .received_at = "2026-11-24T00:28:40.670108Z", .user_agent = "analytics-python/2.4.0",
	  .wants = { { ENRICHED_EVENT, "Identify" }, { ENRICHED_USER_ID, "u1" },
		     { ENRICHED_ANONYMOUS_ID, NULL },
		     { ENRICHED_TIMESTAMP, "2026-11-24T00:28:40.169000Z" },
		     { ENRICHED_LIBRARY_VERSION, "2.4.0" }, { ENRICHED_PROPERTIES, NULL },
		     { ENRICHED_USER_AGENT, NULL } } },
	{ .said = "go, track with the envelope's context merged", .type = "track",
	  .body = "{\"type\":\"track\",\"messageId\":\"f36700ba\",\"anonymousId\":\"anon1\","
		  "\"event\":\"x\",\"timestamp\":\"2026-11-24T00:29:17.795587721Z\",\"context\":"
		  "{\"library\":{\"name\":\"analytics-go\",\"version\":\"3.0.0\"}}}",
	  .sent_at = "2026-11-24T00:29:17.796150Z", .received_at = "2026-11-24T00:29:17.796150Z",
	  .wants = { { ENRICHED_ANONYMOUS_ID, "anon1" }, { ENRICHED_USER_ID, NULL },
		     { ENRICHED_LIBRARY_NAME, "analytics-go" }, { ENRICHED_PROPERTIES, NULL },
		     { ENRICHED_TIMESTAMP, "2026-11-24T00:29:17.795587Z" } } },
	{ .said = "rudder-node, identify", .type = "identify",
	  .body = "{\"userId\":\"u1\",\"traits\":{\"email\":\"a@b.c\"},\"context\":{\"traits\":"
		  "{\"email\":\"a@b.c\"},\"library\":{\"name\":\"analytics-node\",\"version\":"
		  "\"3.0.13\"}},\"type\":\"identify\",\"channel\":\"server\",\"_metadata\":"
		  "{\"nodeVersion\":\"20.20.2\"},\"originalTimestamp\":"
		  "\"2026-11-24T00:28:26.156Z\",\"messageId\":\"54ce1c44\",\"sentAt\":"
		  "\"2026-11-24T00:28:26.157Z\"}",
	  .sent_at = "2026-11-24T00:28:26.157Z", .received_at = "2026-11-24T00:28:27.157Z",
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T00:28:27.156000Z" },
		     { ENRICHED_ORIGINAL_TIMESTAMP, "2026-11-24T00:28:26.156000Z" },
		     { ENRICHED_TRAITS, "{\"email\":\"a@b.c\"}" } } },
	{ .said = "analytics-next, page", .type = "page",
	  .body = "{\"timestamp\":\"2026-11-24T00:30:20.524Z\",\"integrations\":{\"Segment.io\":"
		  "true},\"type\":\"page\",\"properties\":{\"path\":\"/p\",\"referrer\":\"\","
		  "\"search\":\"?utm_source=goog\",\"title\":\"T page\",\"url\":"
		  "\"http://shop.example/p?utm_source=goog\",\"category\":\"cat\",\"name\":\"nm\"},"
		  "\"category\":\"cat\",\"name\":\"nm\",\"context\":{\"page\":{\"path\":\"/p\","
		  "\"referrer\":\"\",\"search\":\"?utm_source=goog\",\"title\":\"T page\",\"url\":"
		  "\"http://shop.example/p?utm_source=goog\"},\"userAgent\":\"" FIREFOX "\","
		  "\"locale\":\"en-US\",\"library\":{\"name\":\"analytics.js\",\"version\":"
		  "\"next-1.84.3\"},\"campaign\":{\"source\":\"goog\",\"medium\":\"cpc\",\"name\":"
		  "\"camp\"},\"timezone\":\"UTC\"},\"messageId\":\"ajs-next-1\",\"anonymousId\":"
		  "\"d866de81\",\"writeKey\":\"WK\",\"userId\":null,\"sentAt\":"
		  "\"2026-11-24T00:30:20.530Z\"}",
	  .sent_at = "2026-11-24T00:30:20.530Z", .received_at = "2026-11-24T00:30:20.630Z",
	  .ip = "192.0.2.9", .user_agent = FIREFOX,
	  .wants = { { ENRICHED_EVENT, "Page" }, { ENRICHED_NAME, "nm" },
		     { ENRICHED_CATEGORY, "cat" }, { ENRICHED_USER_ID, NULL },
		     { ENRICHED_ANONYMOUS_ID, "d866de81" }, { ENRICHED_PAGE_HOST, "shop.example" },
		     { ENRICHED_PAGE_PATH, "/p" }, { ENRICHED_PAGE_TITLE, "T page" },
		     { ENRICHED_PAGE_REFERRER, NULL }, { ENRICHED_CAMPAIGN_SOURCE, "goog" },
		     { ENRICHED_CAMPAIGN_MEDIUM, "cpc" }, { ENRICHED_CAMPAIGN_NAME, "camp" },
		     { ENRICHED_LOCALE, "en-US" }, { ENRICHED_TIMEZONE, "UTC" },
		     { ENRICHED_USER_AGENT, FIREFOX }, { ENRICHED_IP, "192.0.2.9" },
		     { ENRICHED_TIMESTAMP, "2026-11-24T00:30:20.624000Z" } } },
};

static const struct enrich_case hostile[] = {
	{ .said = "no body", .type = "track", .body = "", .bad = "body_not_json" },
	{ .said = "half a body", .type = "track", .body = "{\"event\":\"x\"",
	  .bad = "body_not_json" },
	{ .said = "bytes behind it", .type = "track", .body = "{\"event\":\"x\"}}",
	  .bad = "body_not_json" },
	{ .said = "bytes that are no UTF-8", .type = "track", .body = "{\"event\":\"\xff\"}",
	  .bad = "body_not_json" },
	{ .said = "half a surrogate pair", .type = "track", .body = "{\"event\":\"\\ud83d\"}",
	  .bad = "body_not_json" },
	{ .said = "an array", .type = "track", .body = "[]", .bad = "body_not_object" },
	{ .said = "a string", .type = "track", .body = "\"x\"", .bad = "body_not_object" },
	{ .said = "null", .type = "track", .body = "null", .bad = "body_not_object" },
	{ .said = "an unknown type", .type = "pageview", .body = "{}", .bad = "type_unknown" },
	{ .said = "the marker's type", .type = RECORD_TYPE_MARKER, .body = "{}",
	  .bad = "type_unknown" },
	{ .said = "no type", .type = "", .body = "{}", .bad = "type_unknown" },
	{ .said = "NUL in an event name", .type = "track", .body = "{\"event\":\"a\\u0000b\"}",
	  .wants = { { ENRICHED_TYPE, "track" } } },
	{ .said = "a good one after all these", .type = "track", .body = "{\"event\":\"x\"}",
	  .wants = { { ENRICHED_EVENT, "x" }, { ENRICHED_MESSAGE_ID, "m1" },
		     { ENRICHED_SOURCE, "web" }, { ENRICHED_DOOR, "segment" } } },
};

static void depth(struct enrich_bench *bench)
{
	static char body[700];
	struct enrich_case c = { .said = "nested too deeply", .type = "track", .body = body,
				 .bad = "body_not_json" };
	size_t n = (size_t)snprintf(body, sizeof(body), "{\"event\":\"x\",\"properties\":");

	memset(body + n, '[', 300);
	memset(body + n + 300, ']', 300);
	snprintf(body + n + 600, sizeof(body) - n - 600, "}");
	case_check(bench, &c);
}

/* A body of nearly 1 MiB fits collected, but its parts come twice into the enriched record. */
static void large(struct enrich_bench *bench)
{
	size_t size = (size_t)900 << 10;
	char *body = malloc(size + 256);
	struct enrich_case c = { .said = "too large for a record", .type = "identify",
				 .body = body, .bad = "too_large" };
	int n = snprintf(body, 256, "{\"context\":{\"traits\":{\"x\":\"");

	memset(body + n, 'x', size);
	snprintf(body + (size_t)n + size, 64, "\"}}}");
	case_check(bench, &c);
	free(body);
}

static void stamps(struct enrich_bench *bench)
{
	struct enrich_case c = { .type = "track", .body = "{\"event\":\"x\"}" };
	struct value fields[ENRICHED_COUNT];
	struct enrich_bad bad;
	struct enrich_conf other = { .dedup_window_ms = 3600000 };
	struct enrich *enrich = NULL;
	int rc = case_run(bench, &c, fields, &bad);

	OK(&bench->tap, rc == 0 && fields[ENRICHED_SRC_PARTITION].num == 3 &&
	   fields[ENRICHED_SRC_OFFSET].num == 77 && fields[ENRICHED_SRC_INDEX].num == 0,
	   "src says where it comes from");
	OK(&bench->tap, slice_is(fields[ENRICHED_LOGIC].text, enrich_logic(bench->enrich)) &&
	   fields[ENRICHED_LOGIC].text.len == 16, "logic is the hash");
	OK(&bench->tap, !fields[ENRICHED_GEO_COUNTRY].is_set &&
	   !fields[ENRICHED_AGENT_BROWSER].is_set, "what no step knows is null");
	rc = enrich_open(&enrich, &other, "-", &bench->out_conf, NULL);
	OK(&bench->tap, rc == 0 && strcmp(enrich_logic(enrich), enrich_logic(bench->enrich)) != 0,
	   "other settings, another hash");
	enrich_close(enrich);
}

int main(void)
{
	struct enrich_bench bench;

	enrich_bench_open(&bench);
	for (size_t i = 0; i < sizeof(real) / sizeof(real[0]); i++)
		case_check(&bench, &real[i]);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		case_check(&bench, &hostile[i]);
	depth(&bench);
	large(&bench);
	stamps(&bench);
	return enrich_bench_end(&bench);
}
