// SPDX-License-Identifier: Apache-2.0
/*
 * Where people come from: sites of 2026 and of the older lists, through the whole step with
 * Debian's list and our own over it. The pass rate is printed for both; ours must know all.
 */
#include "enrich/referrers.h"

#include <time.h>

#include "enrich/own_list.h"
#include "tests/enrich_case.h"

#define DEBIAN "/usr/share/rubygems-integration/all/gems/referer-parser-0.3.0/data/referers.json"

static const struct {
	const char *referrer, *medium, *source, *term;
} cases[] = {
	{ "https://www.google.com/search?q=gateway+oracle+cards&hl=en", "search", "Google",
	  "gateway oracle cards" },
	{ "https://www.google.com/", "search", "Google", NULL },
	{ "http://www.google.co.uk/search?q=psychic+bazaar", "search", "Google",
	  "psychic bazaar" },
	{ "https://www.google.de/url?q=http%3A%2F%2Fshop.example", "search", "Google",
	  "http://shop.example" },
	{ "android-app://com.google.android.googlequicksearchbox/", "search", "Google", NULL },
	{ "https://www.bing.com/search?q=moka+pot&form=QBLH", "search", "Bing", "moka pot" },
	{ "https://duckduckgo.com/?q=caf%C3%A9", "search", "DuckDuckGo", "caf\xc3\xa9" },
	{ "https://search.yahoo.com/search;_ylt=x?p=tent+for+two", "search", "Yahoo!",
	  "tent for two" },
	{ "https://yandex.ru/search/?text=%D1%87%D0%B0%D0%B9&lr=213", "search", "Yandex",
	  "\xd1\x87\xd0\xb0\xd0\xb9" },
	{ "https://www.baidu.com/s?wd=tea", "search", "Baidu", "tea" },
	{ "https://www.ecosia.org/search?q=trees", "search", "Ecosia", "trees" },
	{ "https://search.brave.com/search?q=lamp&source=web", "search", "Brave Search", "lamp" },
	{ "https://www.startpage.com/do/search?query=pen", "search", "Startpage", "pen" },
	{ "https://www.qwant.com/?q=pan", "search", "Qwant", "pan" },
	{ "https://kagi.com/search?q=x", "search", "Kagi", "x" },
	{ "https://search.naver.com/search.naver?query=kimchi", "search", "Naver", "kimchi" },
	{ "https://search.seznam.cz/?q=kava", "search", "Seznam", "kava" },
	{ "http://www.ask.com/web?q=why", "search", "Ask", "why" },
	{ "https://www.facebook.com/", "social", "Facebook", NULL },
	{ "https://l.facebook.com/l.php?u=https%3A%2F%2Fshop.example", "social", "Facebook", NULL },
	{ "https://lm.facebook.com/", "social", "Facebook", NULL },
	{ "https://l.instagram.com/", "social", "Instagram", NULL },
	{ "https://t.co/abc", "social", "X", NULL },
	{ "https://x.com/", "social", "X", NULL },
	{ "https://www.linkedin.com/feed/", "social", "LinkedIn", NULL },
	{ "https://lnkd.in/x", "social", "LinkedIn", NULL },
	{ "https://old.reddit.com/r/coffee", "social", "Reddit", NULL },
	{ "https://out.reddit.com/", "social", "Reddit", NULL },
	{ "https://www.youtube.com/watch?v=1", "social", "YouTube", NULL },
	{ "https://www.tiktok.com/@a", "social", "TikTok", NULL },
	{ "https://www.pinterest.de/pin/1", "social", "Pinterest", NULL },
	{ "https://bsky.app/", "social", "Bluesky", NULL },
	{ "https://mastodon.social/@a", "social", "Mastodon", NULL },
	{ "https://www.threads.net/", "social", "Threads", NULL },
	{ "https://news.ycombinator.com/item?id=1", "social", "Hacker News", NULL },
	{ "https://vk.com/away", "social", "VK", NULL },
	{ "https://teams.microsoft.com/", "social", "Microsoft Teams", NULL },
	{ "https://mail.google.com/mail/u/0/", "email", "Gmail", NULL },
	{ "android-app://com.google.android.gm/", "email", "Gmail", NULL },
	{ "https://outlook.live.com/mail/0/", "email", "Outlook", NULL },
	{ "https://outlook.office.com/", "email", "Outlook", NULL },
	{ "https://mail.yahoo.com/d/folders/1", "email", "Yahoo! Mail", NULL },
	{ "https://mail.proton.me/", "email", "Proton Mail", NULL },
	{ "https://e.mail.ru/inbox", "email", "Mail.ru", NULL },
	{ "https://deref-web.de/x", "email", "WEB.DE", NULL },
	{ "https://chatgpt.com/", "chatbot", "ChatGPT", NULL },
	{ "https://chat.openai.com/", "chatbot", "ChatGPT", NULL },
	{ "https://claude.ai/", "chatbot", "Claude", NULL },
	{ "https://gemini.google.com/app", "chatbot", "Gemini", NULL },
	{ "https://copilot.microsoft.com/", "chatbot", "Copilot", NULL },
	{ "https://www.perplexity.ai/search/x", "chatbot", "Perplexity", NULL },
	{ "https://chat.deepseek.com/", "chatbot", "DeepSeek", NULL },
	{ "https://www.bing.com/chat?q=x", "chatbot", "Copilot", NULL },
	{ "https://www.googleadservices.com/pagead/aclk?sa=L", "paid", "Google Ads", NULL },
	{ "https://googleads.g.doubleclick.net/pagead/ads", "paid", "Google Ads", NULL },
	{ "https://www.bing.com/aclick?ld=x", "paid", "Microsoft Advertising", NULL },
	{ "https://trc.taboola.com/", "paid", "Taboola", NULL },
	{ "https://support.google.com/answer", "referral", "Google", NULL },
	{ "https://finance.yahoo.com/", "referral", "Yahoo!", NULL },
	{ "https://www.shop.example/cart", "internal", NULL, NULL },
	{ "https://help.shop.example/", "internal", NULL, NULL },
	{ "https://coffee-blog.example.co.uk/best", "referral", "example.co.uk", NULL },
	{ "https://blog.example.net:8080/x?q=1", "referral", "example.net", NULL },
	{ "https://192.0.2.1/", "referral", "192.0.2.1", NULL },
	{ "https://b\xc3\xbc" "cher.example/", "referral", "b\xc3\xbc" "cher.example", NULL },
	{ "not a url", NULL, NULL, NULL },
	{ "/path", NULL, NULL, NULL },
};

static bool is_text(const struct value *got, const char *wanted)
{
	return got->is_set == (wanted != NULL) && (!wanted || slice_is(got->text, wanted));
}

static void check_cases(struct enrich_bench *bench)
{
	int count = sizeof(cases) / sizeof(cases[0]), passed = 0;

	for (int i = 0; i < count; i++) {
		char body[1000];
		struct enrich_case c = { .said = cases[i].referrer, .type = "page", .body = body };
		struct value fields[ENRICHED_COUNT];
		struct enrich_bad bad = { "", "", "" };
		bool pass;

		snprintf(body, sizeof(body), "{\"context\":{\"page\":{\"url\":"
			 "\"https://shop.example/p\",\"referrer\":\"%s\"}}}", cases[i].referrer);
		pass = case_run(bench, &c, fields, &bad) == 0 &&
		       is_text(&fields[ENRICHED_REFERRER_MEDIUM], cases[i].medium) &&
		       is_text(&fields[ENRICHED_REFERRER_SOURCE], cases[i].source) &&
		       is_text(&fields[ENRICHED_REFERRER_TERM], cases[i].term);
		passed += pass;
		if (!pass)
			printf("# %s: got %.*s %.*s '%.*s'\n", cases[i].referrer,
			       (int)value_slice(&fields[ENRICHED_REFERRER_MEDIUM]).len,
			       value_slice(&fields[ENRICHED_REFERRER_MEDIUM]).ptr,
			       (int)value_slice(&fields[ENRICHED_REFERRER_SOURCE]).len,
			       value_slice(&fields[ENRICHED_REFERRER_SOURCE]).ptr,
			       (int)value_slice(&fields[ENRICHED_REFERRER_TERM]).len,
			       value_slice(&fields[ENRICHED_REFERRER_TERM]).ptr);
	}
	OK(&bench->tap, passed == count, "%d of %d referrers", passed, count);
}

static int count_alone(struct referrers *refs)
{
	int passed = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct referrer_hit hit;
		struct url url;

		passed += cases[i].source && url_split(slice_from(cases[i].referrer), &url) == 0 &&
			  referrers_find(refs, url.host, url.path, &hit) &&
			  slice_is(hit.medium, cases[i].medium) &&
			  slice_is(hit.source, cases[i].source);
	}
	return passed;
}

static void check_alone(struct tap *tap)
{
	struct referrers *refs = NULL;
	struct buf text = { .limit = 16 << 20 };
	struct err err = { "" };
	FILE *in = fopen(DEBIAN, "rb");
	char *room;
	size_t n;
	int rc;

	while (in && (room = buf_reserve(&text, 65536)) && (n = fread(room, 1, 65536, in)) > 0)
		text.len += n;
	if (in)
		fclose(in);
	OK(tap, referrers_open(&refs, &err) == 0 &&
	   referrers_add(refs, buf_slice(&text), DEBIAN, &err) == 0,
	   "Debian's list opens (.ci/install test brings it) %s", err.text);
	printf("# of %zu: Debian's list of 2019 alone %d, ", sizeof(cases) / sizeof(cases[0]),
	       count_alone(refs));
	rc = referrers_add(refs, own_list_referrers(), "own", &err);
	printf("with ours over it %d\n", count_alone(refs));
	OK(tap, rc == 0 && referrers_count(refs) > 2000, "%d domains", referrers_count(refs));
	referrers_close(refs);
	buf_close(&text);
}

static void check_bad(struct tap *tap)
{
	static const struct { const char *text, *said; } bad[] = {
		{ "[a]", "no map of media" }, { "search: x", ":1: medium search: no map" },
		{ "search:\n  Google: x", ":2: Google: no list of domains" },
		{ "search:\n  Google:\n    domains: x", ":2: Google: no list of domains" },
		{ "search:\n  Google:\n    domains: [[a]]", ":3: a domain must be text" },
		{ "a: [", "r.yaml:" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct referrers *refs = NULL;
		struct err err = { "" };
		int rc = referrers_open(&refs, &err);

		if (rc == 0)
			rc = referrers_add(refs, slice_from(bad[i].text), "r.yaml", &err);
		OK(tap, rc < 0 && strstr(err.text, bad[i].said), "refused: %s", err.text);
		referrers_close(refs);
	}
}

/* URLs as long as they may be, made to cost: what a whole record with them takes is printed; it has
 * to be a record. */
static void check_worst(struct enrich_bench *bench)
{
	static const char *const fills[] = {
		"a=&",    "utm_source=%41&", "q=+%2",   "&", "=",
		"gclid&", "%E2%82%AC",       "utm_=x&", "/", "a.",
	};
	char *body = malloc(40000), url[8000];
	double worst = 0;
	size_t passed = 0, count = sizeof(fills) / sizeof(fills[0]);

	for (size_t i = 0; i < count; i++) {
		struct enrich_case c = { .said = "", .type = "page", .body = body };
		struct value fields[ENRICHED_COUNT];
		struct enrich_bad bad = { "", "", "" };
		struct timespec start, end;
		double took;

		for (size_t n = 0; n < sizeof(url); n++)
			url[n] = fills[i][n % strlen(fills[i])];
		snprintf(body, 40000,
			 "{\"context\":{\"page\":{\"url\":\"https://a.%.120s/?%.7000s\","
			 "\"referrer\":\"https://%.240sgoogle.com/search?%.7500s\"}}}",
			 "b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.c", url,
			 "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.", url);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
		passed += case_run(bench, &c, fields, &bad) == 0;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
		took = (double)(end.tv_sec - start.tv_sec) * 1e6 +
		       (double)(end.tv_nsec - start.tv_nsec) / 1e3;
		worst = took > worst ? took : worst;
	}
	printf("# worst record with URLs of 7,000 bytes: %.0f us of CPU\n", worst);
	OK(&bench->tap, passed == count, "%zu costly pairs of URLs give a record each", passed);
	free(body);
}

int main(void)
{
	struct enrich_bench bench;

	enrich_bench_open(&bench);
	check_cases(&bench);
	check_worst(&bench);
	check_alone(&bench.tap);
	check_bad(&bench.tap);
	return enrich_bench_end(&bench);
}
