// SPDX-License-Identifier: Apache-2.0
#include "tests/enrich_case.h"

#define CONTEXT(members) "{\"event\":\"x\",\"context\":{" members "}}"
#define CHROME "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0"

static const struct enrich_case cases[] = {
	{ .said = "no context", .type = "track", .body = "{\"event\":\"x\"}",
	  .ip = "192.0.2.1",
	  .wants = { { ENRICHED_LIBRARY_NAME, NULL }, { ENRICHED_LOCALE, NULL },
		     { ENRICHED_TIMEZONE, NULL }, { ENRICHED_SCREEN, NULL },
		     { ENRICHED_IP, "192.0.2.1" }, { ENRICHED_USER_AGENT, NULL } } },
	{ .said = "all of it", .type = "track",
	  .body = CONTEXT("\"library\":{\"name\":\"l\",\"version\":\"1\"},\"locale\":\"en-GB\","
			  "\"timezone\":\"Europe/Stockholm\",\"ip\":\"198.51.100.7\","
			  "\"userAgent\":\"" CHROME "\",\"screen\":{\"width\":390,\"height\":844}"),
	  .ip = "192.0.2.1", .user_agent = "analytics-node-next/latest",
	  .wants = { { ENRICHED_LIBRARY_NAME, "l" }, { ENRICHED_LIBRARY_VERSION, "1" },
		     { ENRICHED_LOCALE, "en-GB" }, { ENRICHED_TIMEZONE, "Europe/Stockholm" },
		     { ENRICHED_SCREEN, "390x844" }, { ENRICHED_IP, "198.51.100.7" },
		     { ENRICHED_USER_AGENT, CHROME } } },
	{ .said = "context.ip that is no address", .type = "track",
	  .body = CONTEXT("\"ip\":\"1.2.3.4.5\""), .ip = "192.0.2.1",
	  .wants = { { ENRICHED_IP, "192.0.2.1" } } },
	{ .said = "context.ip of version 6", .type = "track",
	  .body = CONTEXT("\"ip\":\"2001:db8::1\""), .ip = "192.0.2.1",
	  .wants = { { ENRICHED_IP, "2001:db8::1" } } },
	{ .said = "context.ip with NUL", .type = "track",
	  .body = CONTEXT("\"ip\":\"1.2.3.4\\u0000x\""), .ip = "192.0.2.1",
	  .wants = { { ENRICHED_IP, "192.0.2.1" } } },
	{ .said = "a server SDK's agent is nobody's", .type = "track",
	  .body = CONTEXT("\"library\":{\"name\":\"@segment/analytics-node\"}"),
	  .user_agent = CHROME, .wants = { { ENRICHED_USER_AGENT, NULL } } },
	{ .said = "the request's agent of analytics.js", .type = "track",
	  .body = CONTEXT("\"library\":{\"name\":\"analytics.js\"}"), .user_agent = CHROME,
	  .wants = { { ENRICHED_USER_AGENT, CHROME } } },
	{ .said = "a browser without a library", .type = "track", .body = "{\"event\":\"x\"}",
	  .user_agent = CHROME, .wants = { { ENRICHED_USER_AGENT, CHROME } } },
	{ .said = "curl is no person's browser", .type = "track", .body = "{\"event\":\"x\"}",
	  .user_agent = "curl/7.88.1", .wants = { { ENRICHED_USER_AGENT, NULL } } },
	{ .said = "bytes that are no UTF-8 in the header", .type = "track",
	  .body = "{\"event\":\"x\"}", .user_agent = "Mozilla/5.0 \xff\xfe",
	  .wants = { { ENRICHED_USER_AGENT, "Mozilla/5.0 \xef\xbf\xbd\xef\xbf\xbd" } } },
	{ .said = "a fractional screen", .type = "track",
	  .body = CONTEXT("\"screen\":{\"width\":390.5,\"height\":844}"),
	  .wants = { { ENRICHED_SCREEN, NULL } } },
	{ .said = "half a screen", .type = "track", .body = CONTEXT("\"screen\":{\"width\":390}"),
	  .wants = { { ENRICHED_SCREEN, NULL } } },
	{ .said = "a screen of huge digits", .type = "track",
	  .body = CONTEXT("\"screen\":{\"width\":12345678901,\"height\":1}"),
	  .wants = { { ENRICHED_SCREEN, NULL } } },
	{ .said = "wrong kinds", .type = "track",
	  .body = CONTEXT("\"library\":\"x\",\"locale\":1,\"timezone\":{},\"screen\":[1],"
			  "\"userAgent\":7,\"ip\":1"),
	  .wants = { { ENRICHED_LIBRARY_NAME, NULL }, { ENRICHED_LOCALE, NULL },
		     { ENRICHED_TIMEZONE, NULL }, { ENRICHED_SCREEN, NULL },
		     { ENRICHED_USER_AGENT, NULL }, { ENRICHED_IP, NULL } } },
	{ .said = "a context that is a string", .type = "track",
	  .body = "{\"event\":\"x\",\"context\":\"y\"}",
	  .wants = { { ENRICHED_LOCALE, NULL }, { ENRICHED_CONTEXT, NULL } } },
};

int main(void)
{
	return case_main(cases, sizeof(cases) / sizeof(cases[0]));
}
