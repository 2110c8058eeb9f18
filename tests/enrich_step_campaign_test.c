// SPDX-License-Identifier: Apache-2.0
#include "tests/enrich_case.h"

#define URL(query) "{\"event\":\"x\",\"context\":{\"page\":{\"url\":\"http://h/" query "\"}}}"
#define NONE { ENRICHED_CAMPAIGN_SOURCE, NULL }, { ENRICHED_CAMPAIGN_MEDIUM, NULL }, \
	     { ENRICHED_CAMPAIGN_NAME, NULL }, { ENRICHED_CAMPAIGN_TERM, NULL }, \
	     { ENRICHED_CAMPAIGN_CONTENT, NULL }, { ENRICHED_CAMPAIGN_CLICK_ID, NULL }

static const struct enrich_case cases[] = {
	{ .said = "no campaign", .type = "track", .body = URL(""), .wants = { NONE } },
	{ .said = "an empty one, as browsers send", .type = "track",
	  .body = "{\"event\":\"x\",\"context\":{\"campaign\":{}}}", .wants = { NONE } },
	{ .said = "utm of the URL", .type = "track",
	  .body = URL("?utm_source=goog&utm_medium=cpc&utm_campaign=c+1&utm_term=a%26b"
		      "&utm_content=%C3%A9"),
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "goog" }, { ENRICHED_CAMPAIGN_MEDIUM, "cpc" },
		     { ENRICHED_CAMPAIGN_NAME, "c 1" }, { ENRICHED_CAMPAIGN_TERM, "a&b" },
		     { ENRICHED_CAMPAIGN_CONTENT, "\xc3\xa9" },
		     { ENRICHED_CAMPAIGN_CLICK_ID, NULL } } },
	{ .said = "context goes before the URL, as a whole", .type = "track",
	  .body = "{\"event\":\"x\",\"context\":{\"campaign\":{\"source\":\"s\"},\"page\":{"
		  "\"url\":\"http://h/?utm_source=u&utm_medium=m\"}}}",
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "s" }, { ENRICHED_CAMPAIGN_MEDIUM, NULL } } },
	{ .said = "all of context's", .type = "track",
	  .body = "{\"event\":\"x\",\"context\":{\"campaign\":{\"source\":\"s\",\"medium\":\"m\","
		  "\"name\":\"n\",\"term\":\"t\",\"content\":\"c\"}}}",
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "s" }, { ENRICHED_CAMPAIGN_MEDIUM, "m" },
		     { ENRICHED_CAMPAIGN_NAME, "n" }, { ENRICHED_CAMPAIGN_TERM, "t" },
		     { ENRICHED_CAMPAIGN_CONTENT, "c" } } },
	{ .said = "context's empty texts are none", .type = "track",
	  .body = "{\"event\":\"x\",\"context\":{\"campaign\":{\"source\":\"\",\"name\":null},"
		  "\"page\":{\"url\":\"http://h/?utm_source=u\"}}}",
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "u" } } },
	{ .said = "the first that has a value", .type = "track",
	  .body = URL("?utm_source=&utm_source=a&utm_source=b"),
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "a" } } },
	{ .said = "names are case-sensitive, others are passed over", .type = "track",
	  .body = URL("?UTM_SOURCE=a&utm_=b&utm_sources=c&xutm_source=d&&=e&utm_source"),
	  .wants = { NONE } },
	{ .said = "bad escapes stay", .type = "track",
	  .body = URL("?utm_source=%zz%4&utm_medium=%"),
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "%zz%4" }, { ENRICHED_CAMPAIGN_MEDIUM, "%" } } },
	{ .said = "escaped bytes that are no UTF-8", .type = "track",
	  .body = URL("?utm_source=a%ff%c3"),
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "a\xef\xbf\xbd\xef\xbf\xbd" } } },
	{ .said = "click id", .type = "track", .body = URL("?a=1&gclid=Cj%2b0&fbclid=2"),
	  .wants = { { ENRICHED_CAMPAIGN_CLICK_ID, "gclid=Cj+0" } } },
	{ .said = "click id of LinkedIn", .type = "track", .body = URL("?li_fat_id=7"),
	  .wants = { { ENRICHED_CAMPAIGN_CLICK_ID, "li_fat_id=7" } } },
	{ .said = "click id beside context's campaign", .type = "track",
	  .body = "{\"event\":\"x\",\"context\":{\"campaign\":{\"source\":\"s\"},\"page\":{"
		  "\"url\":\"http://h/?msclkid=9\"}}}",
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "s" },
		     { ENRICHED_CAMPAIGN_CLICK_ID, "msclkid=9" } } },
	{ .said = "behind the fragment is no query", .type = "track",
	  .body = URL("#?utm_source=a"), .wants = { NONE } },
	{ .said = "of a page call's own URL", .type = "page",
	  .body = "{\"properties\":{\"url\":\"/p?utm_source=own\"},\"context\":{\"page\":{"
		  "\"url\":\"http://h/?utm_source=other\"}}}",
	  .wants = { { ENRICHED_CAMPAIGN_SOURCE, "own" } } },
};

int main(void)
{
	return case_main(cases, sizeof(cases) / sizeof(cases[0]));
}
