// SPDX-License-Identifier: Apache-2.0
#include "tests/enrich_case.h"

#define PAGE(members) "{\"event\":\"x\",\"context\":{\"page\":{" members "}}}"

static const struct enrich_case cases[] = {
	{ .said = "context's page", .type = "track",
	  .body = PAGE("\"url\":\"https://Shop.Example:8443/cart/1?q=1&utm_source=a#top\","
		       "\"path\":\"/wrong\",\"search\":\"?wrong\",\"title\":\"T\","
		       "\"referrer\":\"https://www.Search.example/find?q=x\""),
	  .wants = { { ENRICHED_PAGE_URL,
		       "https://Shop.Example:8443/cart/1?q=1&utm_source=a#top" },
		     { ENRICHED_PAGE_HOST, "shop.example" }, { ENRICHED_PAGE_PATH, "/cart/1" },
		     { ENRICHED_PAGE_SEARCH, "?q=1&utm_source=a" }, { ENRICHED_PAGE_TITLE, "T" },
		     { ENRICHED_PAGE_REFERRER, "https://www.Search.example/find?q=x" },
		     { ENRICHED_PAGE_REFERRING_DOMAIN, "search.example" } } },
	{ .said = "properties of a page call go first", .type = "page",
	  .body = "{\"properties\":{\"url\":\"http://p.example/p\",\"title\":\"P\"},\"context\":"
		  "{\"page\":{\"url\":\"http://c.example/c\",\"title\":\"C\","
		  "\"referrer\":\"http://r.example/\"}}}",
	  .wants = { { ENRICHED_PAGE_URL, "http://p.example/p" },
		     { ENRICHED_PAGE_HOST, "p.example" }, { ENRICHED_PAGE_TITLE, "P" },
		     { ENRICHED_PAGE_REFERRER, "http://r.example/" } } },
	{ .said = "properties of a track call are no page", .type = "track",
	  .body = "{\"event\":\"x\",\"properties\":{\"url\":\"http://p.example/p\"}}",
	  .wants = { { ENRICHED_PAGE_URL, NULL }, { ENRICHED_PAGE_HOST, NULL } } },
	{ .said = "only a path", .type = "page", .body = "{\"properties\":{\"path\":\"/a\"}}",
	  .wants = { { ENRICHED_PAGE_URL, NULL }, { ENRICHED_PAGE_PATH, "/a" },
		     { ENRICHED_PAGE_SEARCH, NULL } } },
	{ .said = "a relative URL", .type = "track", .body = PAGE("\"url\":\"/a/b?c=1\""),
	  .wants = { { ENRICHED_PAGE_HOST, NULL }, { ENRICHED_PAGE_PATH, "/a/b" },
		     { ENRICHED_PAGE_SEARCH, "?c=1" } } },
	{ .said = "a host without a path", .type = "track", .body = PAGE("\"url\":\"http://h\""),
	  .wants = { { ENRICHED_PAGE_HOST, "h" }, { ENRICHED_PAGE_PATH, NULL } } },
	{ .said = "an empty referrer, as browsers send", .type = "track",
	  .body = PAGE("\"url\":\"http://h/\",\"referrer\":\"\""),
	  .wants = { { ENRICHED_PAGE_REFERRER, NULL }, { ENRICHED_PAGE_REFERRING_DOMAIN, NULL } } },
	{ .said = "a referrer of the same site", .type = "track",
	  .body = PAGE("\"url\":\"http://www.shop.example/b\","
		       "\"referrer\":\"http://SHOP.example/a\""),
	  .wants = { { ENRICHED_PAGE_REFERRER, "http://SHOP.example/a" },
		     { ENRICHED_PAGE_REFERRING_DOMAIN, NULL } } },
	{ .said = "a referrer of a subdomain", .type = "track",
	  .body = PAGE("\"url\":\"http://shop.example/b\","
		       "\"referrer\":\"http://help.shop.example/a\""),
	  .wants = { { ENRICHED_PAGE_REFERRING_DOMAIN, "help.shop.example" } } },
	{ .said = "a referrer without a page", .type = "track",
	  .body = PAGE("\"referrer\":\"http://r.example\""),
	  .wants = { { ENRICHED_PAGE_REFERRING_DOMAIN, "r.example" } } },
	{ .said = "an app as referrer", .type = "track",
	  .body = PAGE("\"referrer\":\"android-app://com.mail/\""),
	  .wants = { { ENRICHED_PAGE_REFERRING_DOMAIN, "com.mail" } } },
	{ .said = "a referrer that is no URL", .type = "track",
	  .body = PAGE("\"referrer\":\"(direct)\""),
	  .wants = { { ENRICHED_PAGE_REFERRER, "(direct)" },
		     { ENRICHED_PAGE_REFERRING_DOMAIN, NULL } } },
	{ .said = "a URL with a space in its host", .type = "track",
	  .body = PAGE("\"url\":\"http://a b/c\""),
	  .wants = { { ENRICHED_PAGE_URL, "http://a b/c" }, { ENRICHED_PAGE_HOST, NULL },
		     { ENRICHED_PAGE_PATH, NULL } } },
	{ .said = "www. alone is a name", .type = "track",
	  .body = PAGE("\"referrer\":\"http://www.\""),
	  .wants = { { ENRICHED_PAGE_REFERRING_DOMAIN, "www" } } },
};

int main(void)
{
	return case_main(cases, sizeof(cases) / sizeof(cases[0]));
}
