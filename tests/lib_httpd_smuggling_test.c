// SPDX-License-Identifier: Apache-2.0
#include "tests/httpd_world.h"
#include "tests/tap.h"

#define NEXT "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"

/* Each is followed by NEXT in the same write: where the request is refused, its connection is
 * closed and NEXT must never be read as a request. said is what the answer's body holds. */
static const struct {
	const char *request;
	int wanted;
	const char *said;
} table[] = {
	/* lengths and codings */
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "0\r\n\r\n",
	  400, "both" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
	  "0\r\n\r\n",
	  400, "both" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n"
	  "hello",
	  400, "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	  400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	  400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5, 5\r\n\r\nhello", 400,
	  "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: +5\r\n\r\nhello", 400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -5\r\n\r\nhello", 400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0x5\r\n\r\nhello", 400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1 5\r\n\r\nhello", 400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5.0\r\n\r\nhello", 400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5_0\r\n\r\nhello", 400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n\r\nhello", 400, "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: \xd9\xa5\r\n\r\nhello", 400,
	  "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551617\r\n\r\nh", 400,
	  "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999999\r\n\r\nh", 400,
	  "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551614\r\n\r\nh", 400,
	  "Content-Length" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2000000\r\n\r\nh", 413, "large" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
	  400,
	  "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400,
	  "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400,
	  "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400,
	  "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400,
	  "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:\x0b" "chunked\r\n\r\n0\r\n\r\n", 400,
	  "control byte" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
	  "chunked\r\n\r\n"
	  "0\r\n\r\n", 400, "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
	  "identity\r\n\r\n"
	  "0\r\n\r\n", 400, "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 400,
	  "Transfer-Encoding" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer_Encoding: chunked\r\nContent-Length: 0\r\n"
	  "\r\n", 200,
	  "POST" },
	{ "POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
	  "HTTP/1.0" },
	/* header lines */
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400,
	  "space before" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length\t: 5\r\n\r\nhello", 400, "space before" },
	{ "GET / HTTP/1.1\r\nHost: t\r\n Content-Length: 5\r\n\r\nhello", 400, "folded" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n", 400, "folded" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX: a\r\n\tb\r\n\r\n", 400, "folded" },
	{ "GET / HTTP/1.1\r\n Host: t\r\n\r\n", 400, "folded" },
	{ "GET / HTTP/1.1\r\nHost: t\nX: a\r\n\r\n", 400, "bare LF" },
	{ "GET / HTTP/1.1\nHost: t\r\n\r\n", 400, "bare LF" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX: a\n\r\n\r\n", 400, "bare LF" },
	{ "GET / HTTP/1.1\r\nHost: t\r\n\n", 400, "bad byte" },
	{ "GET / HTTP/1.1\r\nHost: t\rX: a\r\n\r\n", 400, "bare CR" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX: a\r\r\n\r\n", 400, "bare CR" },
	{ "GET / HTTP/1.1\r\nHost: t\r\n\r\r\n", 400, "bare CR" },
	{ "GET / HTTP/1.1\rHost: t\r\n\r\n", 400, "bare CR" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX\r\n\r\n", 400, "without a colon" },
	{ "GET / HTTP/1.1\r\nHost: t\r\n: a\r\n\r\n", 400, "header name" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX@Y: a\r\n\r\n", 400, "header name" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX\xe9: a\r\n\r\n", 400, "header name" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX: a\x01" "b\r\n\r\n", 400, "control byte" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nX: a\x7f" "b\r\n\r\n", 400, "control byte" },
	/* hosts, versions, request lines */
	{ "GET / HTTP/1.1\r\n\r\n", 400, "no Host" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n", 400, "two Host" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nHost: t\r\n\r\n", 400, "two Host" },
	{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad Host" },
	{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad Host" },
	{ "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, "bad Host" },
	{ "GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505, "HTTP/1" },
	{ "GET / HTTP/1.2\r\nHost: t\r\n\r\n", 505, "HTTP/1" },
	{ "GET / HTTP/0.9\r\nHost: t\r\n\r\n", 400, "version" },
	{ "GET / HTTP/11\r\nHost: t\r\n\r\n", 400, "" },
	{ "GET / HTTP/1.10\r\nHost: t\r\n\r\n", 400, "" },
	{ "GET / http/1.1\r\nHost: t\r\n\r\n", 400, "" },
	{ "GET / HTTPS/1.1\r\nHost: t\r\n\r\n", 400, "" },
	{ "GET /\r\nHost: t\r\n\r\n", 400, "version" },
	{ "GET\r\n\r\n", 501, "method" },
	{ "GET  / HTTP/1.1\r\nHost: t\r\n\r\n", 400, "" },
	{ "GET /  HTTP/1.1\r\nHost: t\r\n\r\n", 400, "" },
	{ "GET / HTTP/1.1 \r\nHost: t\r\n\r\n", 400, "" },
	{ "GET\t/ HTTP/1.1\r\nHost: t\r\n\r\n", 400, "request line" },
	{ "GET /a b HTTP/1.1\r\nHost: t\r\n\r\n", 400, "" },
	{ "GET /a\xe9 HTTP/1.1\r\nHost: t\r\n\r\n", 400, "request line" },
	{ "GET /a#b HTTP/1.1\r\nHost: t\r\n\r\n", 400, "fragment" },
	{ "GET a HTTP/1.1\r\nHost: t\r\n\r\n", 400, "" },
	{ "GET * HTTP/1.1\r\nHost: t\r\n\r\n", 400, "no path" },
	{ "get / HTTP/1.1\r\nHost: t\r\n\r\n", 400, "request line" },
	{ "BREW / HTTP/1.1\r\nHost: t\r\n\r\n", 501, "method" },
	{ "GETX / HTTP/1.1\r\nHost: t\r\n\r\n", 501, "method" },
	{ "CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n", 501, "proxy" },
	{ " GET / HTTP/1.1\r\nHost: t\r\n\r\n", 400, "request line" },
	{ "\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", 400, "bare LF" },
	{ "\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", 400, "request line" },
	{ "\x16\x03\x01\x02", 400, "request line" },
	{ "GET / HTTP/1.1\r\nHost: t\r\nExpect: the unexpected\r\n\r\n", 417, "expectation" },
	/* chunks */
#define CHUNKED "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
	{ CHUNKED "5;a=b\r\nhello\r\n0\r\n\r\n", 400, "extension" },
	{ CHUNKED "0;a=b\r\n\r\n", 400, "extension" },
	{ CHUNKED "5 \r\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED " 5\r\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED "+5\r\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED "5_0\r\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED "\r\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED "g\r\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED "5\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED "5\r\rhello\r\n0\r\n\r\n", 400, "bare CR" },
	{ CHUNKED "5\r\nhello\n0\r\n\r\n", 400, "longer" },
	{ CHUNKED "5\r\nhello\r0\r\n\r\n", 400, "bare CR" },
	{ CHUNKED "5\r\nhelloXX0\r\n\r\n", 400, "longer" },
	{ CHUNKED "4\r\nhello\r\n0\r\n\r\n", 400, "longer" },
	{ CHUNKED "6\r\nhello\r\n0\r\n\r\n", 400, "longer" },
	{ CHUNKED "ffffffffffffffff\r\nh", 413, "large" },
	{ CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", 413, "large" },
	{ CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n", 400, "chunk size" },
	{ CHUNKED "fffff\r\nh", 200, NULL },
	{ CHUNKED "100001\r\nh", 413, "large" },
	{ CHUNKED "0\r\nX : a\r\n\r\n", 400, "space before" },
	{ CHUNKED "0\r\n X: a\r\n\r\n", 400, "folded" },
	{ CHUNKED "0\r\nX: a\n\r\n", 400, "bare LF" },
	{ CHUNKED "0\r\n\r\r\n", 400, "bare CR" },
	/* and what must pass */
	{ "GET / HTTP/1.1\r\nHost: t\r\n\r\n", 200, "GET /? " },
	{ "\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", 200, "GET /? " },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 200, "GET /? " },
	{ "GET / HTTP/1.1\r\nhOST: [::1]:80\r\nX:\r\nY: \t a\xe9 \t \r\n\r\n", 200, "GET /? " },
	{ "GET http://t/a?b HTTP/1.1\r\nHost: t\r\n\r\n", 200, "GET /a?b " },
	{ "GET http://t?b HTTP/1.1\r\nHost: t\r\n\r\n", 200, "GET /?b " },
	{ "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", 200, "OPTIONS *? " },
	{ "GET /a?b=//c??d HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\n"
	  "Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n", 200, "GET /a?b=//c??d " },
	{ "POST / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: "
	  "2\r\n\r\nab",
	  200, "POST /? ab" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 005\r\n\r\nhello", 200, "POST /? hello" },
	{ "POST / HTTP/1.1\r\nHost: t\r\ntransfer-encoding: CHUNKED \r\n\r\n05\r\nhello\r\n0\r\n"
	  "X: a\r\n\r\n",
	  200, "POST /? hello" },
	{ CHUNKED "A\r\n0123456789\r\n1\r\nx\r\n000\r\n\r\n", 200, "POST /? 0123456789x" },
};

static void test_one(struct tap *tap, const struct world *world, size_t i, struct buf *in)
{
	const char *request = table[i].request, *said = table[i].said;
	int fd = dial(world);
	const char *answer;
	char status[32];
	bool refused = table[i].wanted != 200;

	snprintf(status, sizeof(status), "HTTP/1.1 %d ", table[i].wanted);
	say(fd, request);
	if (!said) {    /* within the limits, but not whole: nothing is answered */
		close(fd);
		return;
	}
	if (refused || strstr(request, "\r\n\r\n"))
		say(fd, NEXT);
	if (!refused)
		shutdown(fd, SHUT_WR);
	answer = hear_all(fd, in);
	close(fd);
	if (!OK(tap, answer && strncmp(answer, status, strlen(status)) == 0 && strstr(answer, said),
		"%zu: %d, %s", i, table[i].wanted, said))
		printf("# to: %s\n# got: %s\n", request, answer ? answer : "(no end)");
	if (!answer)
		return;
	if (refused)
		OK(tap, strstr(answer, "\r\nConnection: close\r\n") && !strstr(answer, "smuggled"),
		   "%zu: closed, what follows is no request", i);
	else
		OK(tap, strstr(answer, "GET /smuggled? "), "%zu: the next request is one", i);
}

/* A NUL cannot stand in a table of texts. */
static void test_nul(struct tap *tap, const struct world *world, struct buf *in)
{
	static const char in_value[] = "GET / HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n";
	static const char in_name[] = "GET / HTTP/1.1\r\nHost: t\r\nX\0: ab\r\n\r\n";
	static const char in_path[] = "GET /\0 HTTP/1.1\r\nHost: t\r\n\r\n";
	const char *const texts[] = { in_value, in_name, in_path };
	const size_t lens[] = { sizeof(in_value) - 1, sizeof(in_name) - 1, sizeof(in_path) - 1 };

	for (int i = 0; i < 3; i++) {
		int fd = dial(world);
		const char *answer;

		say_bytes(fd, texts[i], lens[i]);
		answer = hear_all(fd, in);
		OK(tap, answer && strncmp(answer, "HTTP/1.1 400 ", 13) == 0, "NUL %d", i);
		close(fd);
	}
}

int main(void)
{
	struct tap tap = { 0 };
	struct world world;
	struct buf in = { 0 };
	struct httpd_conf conf = { 0 };

	if (!OK(&tap, world_open(&world, &conf), "open: %s", world.err.text))
		return tap_end(&tap);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		test_one(&tap, &world, i, &in);
	test_nul(&tap, &world, &in);
	OK(&tap, counts_become(&world, " work=0 open=1 ", &in), "nothing is left");
	world_close(&world);
	buf_close(&in);
	return tap_end(&tap);
}
