// SPDX-License-Identifier: Apache-2.0
#include "enrich/url.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/tap.h"

static const struct {
	const char *text, *scheme, *host, *port, *path, *query, *fragment;
} good[] = {
	{ "https://user:pw@shop.example:8443/cart/1?a=1&b=2#top", "https", "shop.example", "8443",
	  "/cart/1", "?a=1&b=2", "top" },
	{ "http://h", "http", "h", "", "", "", "" },
	{ "http://h/", "http", "h", "", "/", "", "" },
	{ "http://h?q", "http", "h", "", "", "?q", "" },
	{ "http://h#f?q", "http", "h", "", "", "", "f?q" },
	{ "HTTP://H.Example./x", "HTTP", "H.Example", "", "/x", "", "" },
	{ "//cdn.example/x", "", "cdn.example", "", "/x", "", "" },
	{ "/a/b?c#d", "", "", "", "/a/b", "?c", "d" },
	{ "a/b", "", "", "", "a/b", "", "" },
	{ "", "", "", "", "", "", "" },
	{ "?", "", "", "", "", "?", "" },
	{ "#", "", "", "", "", "", "" },
	{ "://h/x", "", "", "", "://h/x", "", "" },
	{ "1http://h/x", "", "", "", "1http://h/x", "", "" },
	{ "http:/h/x", "", "", "", "http:/h/x", "", "" },
	{ "http:///x", "http", "", "", "/x", "", "" },
	{ "file:///home/u/a.html", "file", "", "", "/home/u/a.html", "", "" },
	{ "android-app://com.mail/p", "android-app", "com.mail", "", "/p", "", "" },
	{ "http://[2001:db8::1]:80/x", "http", "[2001:db8::1]", "80", "/x", "", "" },
	{ "http://good.example\\@evil.example/x", "http", "good.example", "", "\\@evil.example/x",
	  "", "" },
	{ "http://a@b@c/x", "http", "c", "", "/x", "", "" },
	{ "http://h:/x", "http", "h", "", "/x", "", "" },
	{ "http://h:1:2/x", "http", "h", "1:2", "/x", "", "" },
	{ "http://@/x", "http", "", "", "/x", "", "" },
	{ "http://b\xc3\xbc" "cher.example/", "http", "b\xc3\xbc" "cher.example", "", "/", "", "" },
	{ "mailto:a@b.c", "", "", "", "mailto:a@b.c", "", "" },
};

static const char *const bad[] = {
	"http://a b/", "http://a\tb/", "http://a\x7f/", "http://[::1/x", "http://[", "//\n",
};

static void check_good(struct tap *tap)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct url url;
		int rc = url_split(slice_from(good[i].text), &url);

		OK(tap, rc == 0 && slice_is(url.scheme, good[i].scheme) &&
		   slice_is(url.host, good[i].host) && slice_is(url.port, good[i].port) &&
		   slice_is(url.path, good[i].path) && slice_is(url.query, good[i].query) &&
		   slice_is(url.fragment, good[i].fragment), "'%s'", good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct url url;

		OK(tap, url_split(slice_from(bad[i]), &url) == -EBADMSG && url.host.len == 0 &&
		   url.path.len == 0, "no URL: %zu", i);
	}
}

static void check_limits(struct tap *tap)
{
	char *text = malloc(URL_MAX + 2);
	struct url url;

	memset(text, 'a', URL_MAX + 2);
	memcpy(text, "http://", 7);
	text[7 + URL_HOST_MAX] = '/';
	OK(tap, url_split((struct slice){ text, URL_MAX }, &url) == 0 &&
	   url.host.len == URL_HOST_MAX, "the longest URL with the longest host");
	OK(tap, url_split((struct slice){ text, URL_MAX + 1 }, &url) == -EBADMSG, "one byte more");
	text[7 + URL_HOST_MAX] = 'a';
	text[8 + URL_HOST_MAX] = '/';
	OK(tap, url_split((struct slice){ text, URL_MAX }, &url) == -EBADMSG, "a longer host");
	free(text);
}

static bool inside(struct slice part, const char *ptr, size_t len)
{
	return part.len == 0 || (part.ptr >= ptr && part.ptr + part.len <= ptr + len);
}

static void walk(struct slice text, size_t *params)
{
	struct arena arena = { .bytes_max = 1 << 20 };
	struct slice name, value;
	struct url url;
	size_t at = 0;

	if (url_split(text, &url) < 0)
		return;
	if (!inside(url.host, text.ptr, text.len) || !inside(url.query, text.ptr, text.len) ||
	    !inside(url.path, text.ptr, text.len) || !inside(url.fragment, text.ptr, text.len))
		abort();
	while (url_param(url.query, &at, &name, &value)) {
		(*params)++;
		if (!url_unescape(&arena, value).ptr)
			abort();
	}
	arena_close(&arena);
}

/* Each text cut at every length, ending where the next byte cannot be read. */
static void check_guard(struct tap *tap)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), params = 0;
	char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);

	mprotect(map + page, page, PROT_NONE);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		for (size_t len = 0; len <= strlen(good[i].text); len++) {
			char *at = map + page - len;

			memcpy(at, good[i].text, len);
			walk((struct slice){ at, len }, &params);
		}
	}
	OK(tap, params > 0, "every text cut at every length before a guard page");
	munmap(map, 2 * page);
}

static void check_random(struct tap *tap)
{
	static const char alphabet[] = "http://a.b:@[]?#&=%+\\0fF \n\x7f\xff";
	uint64_t seed = 20261124;
	size_t params = 0;
	char text[64];

	printf("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 200000; i++) {
		size_t len = seed % sizeof(text);

		for (size_t n = 0; n < len; n++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[n] = alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
		}
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		walk((struct slice){ text, len }, &params);
	}
	OK(tap, params > 1000, "200,000 random texts, %zu parameters", params);
}

static void check_unescape(struct tap *tap)
{
	static const struct { const char *text, *wanted; } table[] = {
		{ "", "" }, { "plain", "plain" }, { "a+b", "a b" }, { "a%20b", "a b" },
		{ "%41%4a%4A", "AJJ" }, { "%", "%" }, { "%4", "%4" }, { "%zz", "%zz" },
		{ "%%41", "%A" }, { "%25 41", "% 41" }, { "%c3%a9", "\xc3\xa9" },
		{ "%c3", "\xef\xbf\xbd" }, { "\xff", "\xef\xbf\xbd" }, { "%2", "%2" },
	};
	struct arena arena = { .bytes_max = 1 << 20 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		OK(tap, slice_is(url_unescape(&arena, slice_from(table[i].text)), table[i].wanted),
		   "unescape '%s'", table[i].text);
	arena_close(&arena);
}

int main(void)
{
	struct tap tap = { 0 };

	check_good(&tap);
	check_limits(&tap);
	check_guard(&tap);
	check_random(&tap);
	check_unescape(&tap);
	return tap_end(&tap);
}
