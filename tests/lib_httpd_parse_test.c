// SPDX-License-Identifier: Apache-2.0
#include "lib/httpd_parse.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/guard.h"
#include "tests/tap.h"

static const struct http_limits limits = { 1024, 4096 };

/* Whole requests; want is "path query body". */
static const struct {
	const char *text, *wanted;
} table[] = {
	{ "GET /a?b HTTP/1.1\r\nHost: t\r\n\r\n", "/a b " },
	{ "GET / HTTP/1.0\r\n\r\n", "/  " },
	{ "\r\nPOST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello", "/a  hello" },
	{ "POST http://t HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nX: y\r\n\r\n?", "/  ?" },
	{ "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\n"
	  "llo\r\n0\r\n\r\n",
	  "/a  hello" },
	{ "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
	  "X: y\r\n\r\n",
	  "/a  hello" },
};

static bool is_wanted(const struct http_request *request, const char *wanted)
{
	struct buf out = { 0 };
	bool same;

	buf_append_slice(&out, request->path);
	buf_append_char(&out, ' ');
	buf_append_slice(&out, request->query);
	buf_append_char(&out, ' ');
	buf_append_slice(&out, request->body);
	same = slice_is(buf_slice(&out), wanted);
	buf_close(&out);
	return same;
}

/* At each length the input ends where memory ends; one byte more is asked for until it is whole. */
static void test_cut(struct tap *tap, size_t row, struct http_parse *parse,
		     struct http_request *request)
{
	size_t len = strlen(table[row].text), waits = 0;
	struct guard guard;

	guard_open(&guard);
	for (size_t cut = 0; cut < len; cut++) {
		struct slice copy = guard_copy(&guard, table[row].text, cut);

		memset(parse, 0, sizeof(*parse));
		parse->in = (struct buf){ .ptr = (char *)(uintptr_t)copy.ptr, .len = cut,
			.cap = cut };
		waits += http_parse(parse, &limits, request) == -EAGAIN;
	}
	OK(tap, waits == len, "row %zu: cut at %zu of %zu lengths it waits for more", row, waits,
		len);
	guard_close(&guard);
}

/* The text in pieces of n bytes, twice in a row on one parser. */
static void test_pieces(struct tap *tap, size_t row, size_t n, struct http_request *request)
{
	struct http_parse *parse = calloc(1, sizeof(*parse));
	size_t len = strlen(table[row].text);
	int right = 0;

	for (int time = 0; time < 2; time++) {
		int rc = -EAGAIN;

		for (size_t at = 0; at < len && rc == -EAGAIN; at += n) {
			size_t room, part = len - at < n ? len - at : n;
			char *to = http_parse_room(parse, &room);

			memcpy(to, table[row].text + at, part);
			parse->in.len += part;
			rc = http_parse(parse, &limits, request);
		}
		right += rc == 0 && is_wanted(request, table[row].wanted);
		if (rc == 0)
			http_parse_next(parse);
		right += parse->in.len == 0;
	}
	OK(tap, right == 4, "row %zu in pieces of %zu, twice", row, n);
	http_parse_reset(parse);
	buf_close(&parse->in);
	free(parse);
}

/* A body that is announced, but does not come, takes no memory. */
static void test_room(struct tap *tap)
{
	const struct http_limits large = { 1024, (size_t)64 << 20 };
	struct http_request *request = calloc(1, sizeof(*request));
	struct http_parse *parse = calloc(1, sizeof(*parse));
	size_t room, rounds = 0;

	buf_append_text(&parse->in, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 60000000\r\n"
		"\r\n");
	OK(tap, http_parse(parse, &large, request) == -EAGAIN, "a head");
	OK(tap, http_parse_room(parse, &room) && parse->in.cap <= 262144, "room for a start: %zu",
	   parse->in.cap);
	for (;; rounds++) {
		char *to = http_parse_room(parse, &room);

		if (!to || http_parse(parse, &large, request) != -EAGAIN)
			break;
		if (room > 60000000 + parse->head_end - parse->in.len)
			room = 60000000 + parse->head_end - parse->in.len;
		memset(to, 'x', room);
		parse->in.len += room;
	}
	OK(tap, request->body.len == 60000000 && rounds < 20, "60 MB in %zu reads", rounds);
	OK(tap, parse->in.cap <= (size_t)128 << 20, "of at most twice the size");
	buf_close(&parse->in);
	free(parse);
	free(request);
}

int main(void)
{
	struct http_request *request = calloc(1, sizeof(*request));
	struct http_parse *parse = calloc(1, sizeof(*parse));
	struct tap tap = { 0 };

	for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++) {
		test_cut(&tap, row, parse, request);
		for (size_t n = 1; n < 8; n++)
			test_pieces(&tap, row, n, request);
	}
	test_room(&tap);
	free(parse);
	free(request);
	return tap_end(&tap);
}
