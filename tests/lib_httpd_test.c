// SPDX-License-Identifier: Apache-2.0
#include "lib/httpd.h"

#include "tests/httpd_world.h"
#include "tests/tap.h"

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"

static int count_of(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

/* One exchange on a connection of its own: what is said, what must (and must not) be heard. */
static const struct {
	const char *request, *wanted, *unwanted, *said;
} table[] = {
	{ LAST("/a?b=c"), "GET /a?b=c ", NULL, "method, path and query" },
	{ LAST("/"), "\r\nDate: ", NULL, "a date" },
	{ LAST("/"), "\r\nConnection: close\r\n", NULL, "a client that closes is told so" },
	{ LAST("/"), "\r\nX-Echo: 1\r\n", NULL, "the handler's headers" },
	{ GET("/1") LAST("/2"), "GET /2? ", NULL, "pipelined: the second" },
	{ GET("/1") LAST("/2"), "GET /1? ", NULL, "pipelined: the first" },
	{ LAST("/1") GET("/2"), "GET /1? ", "GET /2", "nothing after the last" },
	{ "GET / HTTP/1.0\r\n\r\n", "\r\nConnection: close\r\n", NULL, "HTTP/1.0 closes" },
	{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" LAST("/2"), "GET /2? ", NULL,
	  "HTTP/1.0 with keep-alive" },
	{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" LAST("/2"),
	  "\r\nConnection: keep-alive\r\n", NULL, "... says so" },
	{ "HEAD /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "Content-Length: 12\r\n",
	  "HEAD /echo? ", "HEAD has a length and no body" },
	{ "HEAD / HTTP/1.1\r\nHost: t\r\n\r\n" LAST("/2"), "\r\n\r\nHTTP/1.1 200", NULL,
	  "the answer after HEAD's" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
	  "POST /? abc", NULL, "a body" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc" LAST("/2"), "GET /2? ", NULL,
	  "what follows a body" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\n"
	  "defg\r\n0\r\n\r\n"
	  LAST("/2"), "POST /? abcdefg", NULL, "chunks are joined" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: "
	  "y\r\n\r\n"
	  LAST("/2"), "GET /2? ", NULL, "what follows chunks and a trailer" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" LAST("/2"),
	  "POST /? HTTP", NULL, "an empty chunked body" },
	{ "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
	  "Connection: close\r\n\r\nabc", "POST /? abc", "100 Continue",
	  "no 100 where the body came at once" },
	{ "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "POST /? abc",
	  "100 Continue", "nor for HTTP/1.0" },
	{ "GET /stream?3 HTTP/1.1\r\nHost: t\r\n\r\n" LAST("/2"), "\r\n0\r\n\r\nHTTP/1.1 200 "
	  "OK\r\n",
	  NULL, "a stream ends, the connection goes on" },
	{ "GET /stream?3 HTTP/1.1\r\nHost: t\r\n\r\n" LAST("/2"), "\r\n3e8\r\nbbbbbbb", NULL,
	  "a stream is chunked" },
	{ "GET /stream?2 HTTP/1.0\r\n\r\n", "ab", "\r\n3e8\r\n", "but not for HTTP/1.0" },
	{ "HEAD /stream?2 HTTP/1.1\r\nHost: t\r\n\r\n" LAST("/2"), "GET /2? ", "aaa",
	  "HEAD of a stream" },
};

static void test_table(struct tap *tap, const struct world *world, struct buf *in)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int fd = dial(world);
		const char *answer;

		say(fd, table[i].request);
		answer = hear_all(fd, in);
		close(fd);
		if (!OK(tap, answer && strstr(answer, table[i].wanted) &&
			!(table[i].unwanted && strstr(answer, table[i].unwanted)), "%s",
			table[i].said))
			printf("# got: %s\n", answer ? answer : "(no end)");
	}
}

/* The same bytes one at a time, and cut at every length, give the same, or nothing. */
static void test_pieces(struct tap *tap, const struct world *world, struct buf *in)
{
	static const char *const texts[] = {
		"POST /p?q HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
		"POST /p?q HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"
		"2\r\nlo\r\n"
		"0\r\nX: y\r\n\r\n",
	};

	for (int t = 0; t < 2; t++) {
		size_t len = strlen(texts[t]), quiet = 0;
		int fd = dial(world);

		for (size_t i = 0; i < len; i++)
			say_bytes(fd, texts[t] + i, 1);
		say(fd, LAST("/2"));
		hear_all(fd, in);
		OK(tap, strstr(buf_text(in), "POST /p?q hello") && strstr(buf_text(in), "GET /2? "),
		   "text %d byte by byte", t);
		close(fd);
		for (size_t cut = 0; cut < len; cut++) {
			fd = dial(world);
			say_bytes(fd, texts[t], cut);
			shutdown(fd, SHUT_WR);
			quiet += hear_all(fd, in) && in->len == 0;
			close(fd);
		}
		OK(tap, quiet == len, "text %d cut at %zu of %zu lengths is not answered", t, quiet,
		   len);
	}
}

static void test_pipeline(struct tap *tap, const struct world *world, struct buf *in)
{
	struct buf out = { 0 };
	const char *at;
	int fd = dial(world), in_order = 0;
	char wanted[32];

	for (int i = 0; i < 1000; i++)
		buf_printf(&out, "GET /%d HTTP/1.1\r\nHost: t\r\n\r\n", i);
	buf_append_text(&out, LAST("/end"));
	say_bytes(fd, out.ptr, out.len);
	at = hear_all(fd, in);
	for (int i = 0; at && i < 1000; i++) {
		snprintf(wanted, sizeof(wanted), "GET /%d? ", i);
		at = strstr(at, wanted);
		in_order += at != NULL;
	}
	OK(tap, in_order == 1000 && strstr(at, "GET /end? "), "1000 pipelined, %d in order",
		in_order);
	close(fd);
	buf_close(&out);
}

static void test_later(struct tap *tap, const struct world *world, struct buf *in)
{
	int fds[50], right = 0;
	char text[128], wanted[32];

	for (int i = 0; i < 50; i++) {
		fds[i] = dial(world);
		snprintf(text, sizeof(text), GET("/later?%d") GET("/after?%d"), i, i);
		say(fds[i], text);
	}
	OK(tap, counts_become(world, "later=50 ", in), "50 requests wait for their answers");
	OK(tap, hear_some(fds[7], in, 0) == -1, "a pipelined one waits behind them");
	OK(tap, strstr(ask(world, "/release", in), "\r\n\r\n50"), "answered, last first");
	for (int i = 0; i < 50; i++) {
		const char *at = hear_until(fds[i], in, "GET /", 2);

		snprintf(wanted, sizeof(wanted), "GET /later?%d ", i);
		at = strstr(at, wanted);
		snprintf(wanted, sizeof(wanted), "GET /after?%d ", i);
		right += at && strstr(at, wanted);
	}
	OK(tap, right == 50, "each got its own, and the pipelined one's: %d", right);
	for (int i = 0; i < 50; i++) {
		say(fds[i], GET("/again"));
		right -= strstr(hear_until(fds[i], in, "GET /again", 1), "GET /again? ") != NULL;
		close(fds[i]);
	}
	OK(tap, right == 0, "the connections are kept");
}

static void test_gone(struct tap *tap, const struct world *world, struct buf *in)
{
	struct linger reset = { 1, 0 };
	int fds[3];

	for (int i = 0; i < 3; i++) {
		fds[i] = dial(world);
		say(fds[i], GET("/later"));
	}
	OK(tap, counts_become(world, "later=3 ", in), "three wait");
	close(fds[0]);
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[1]);
	shutdown(fds[2], SHUT_WR);
	OK(tap, counts_become(world, "gone=3 work=3 ", in), "closed, reset, half closed: gone is "
		"told");
	OK(tap, strstr(ask(world, "/release", in), "\r\n\r\n3"), "an answer to nobody frees");
	OK(tap, counts_become(world, "work=0 ", in), "nothing is left in work");
	OK(tap, hear_all(fds[2], in) && strstr(in->ptr, "GET /later? "),
	   "who half closed is answered still");
	close(fds[2]);
	fds[0] = dial(world);
	say(fds[0], GET("/tail"));
	OK(tap, counts_become(world, "tail=1 ", in), "a stream runs");
	close(fds[0]);
	OK(tap, counts_become(world, "gone=4 work=0 ", in) && strstr(in->ptr, "tail=0"),
	   "a stream's client went away");
}

static void test_slow_reader(struct tap *tap, const struct world *world, struct buf *in)
{
	int fd = dial(world), rc;
	const char *at;
	size_t len = 0;

	say(fd, GET("/tail"));
	OK(tap, counts_become(world, "tail=1 ", in), "a stream runs");
	OK(tap, counts_become(world, "tail=0 ", in), "and ends when 1 MB waits for its client");
	say(fd, LAST("/after"));
	at = hear_all(fd, in);
	OK(tap, at && in->len > 1 << 20 && strstr(at, "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n") &&
	   strstr(at, "GET /after? "), "what waited arrives whole (%zu bytes), then the next",
	   in->len);
	close(fd);
	fd = dial(world);
	say(fd, GET("/big?20000000") LAST("/after"));
	buf_reset(in);
	while ((rc = hear_some(fd, in, WAIT_MS)) > 0)
		;
	at = memmem(in->ptr, in->len, "\r\n\r\n", 4);
	for (at += 4; at + len < in->ptr + in->len && at[len] == (char)('a' + len % 23); len++)
		;
	OK(tap, rc == 0 && len == 20000000, "20 MB arrive in order: %zu", len);
	OK(tap, strstr(buf_text(in), "GET /after? "), "and the pipelined one after them");
	close(fd);
}

static void test_continue(struct tap *tap, const struct world *world, struct buf *in)
{
	int fd = dial(world);

	say(fd, "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
	    "Connection: close\r\n\r\n");
	OK(tap, strcmp(hear_until(fd, in, "\r\n\r\n", 1), "HTTP/1.1 100 Continue\r\n\r\n") == 0,
	   "100 before the body");
	say(fd, "abc");
	OK(tap, hear_all(fd, in) && strstr(in->ptr, "POST /? abc"), "then the answer");
	close(fd);
	fd = dial(world);
	say(fd, "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: "
		"9999999\r\n\r\n");
	OK(tap, hear_all(fd, in) && strncmp(in->ptr, "HTTP/1.1 413 ", 13) == 0,
	   "too large is said before the body is sent");
	close(fd);
}

/* The rest of a refused request is read, so that its client can read the answer. */
static void test_limits(struct tap *tap, const struct world *world, struct buf *in)
{
	struct buf out = { 0 };

	for (int kind = 0; kind < 4; kind++) {
		static const char *const wanted[] = { "HTTP/1.1 431 ", "HTTP/1.1 431 ",
						      "HTTP/1.1 413 ", "HTTP/1.1 413 " };
		int fd = dial(world);

		buf_reset(&out);
		buf_append_text(&out, "POST / HTTP/1.1\r\nHost: t\r\n");
		if (kind == 0) {
			buf_append_text(&out, "X: ");
			for (int i = 0; i < 200000; i++)
				buf_append_char(&out, 'x');
		} else if (kind == 1) {
			for (int i = 0; i < 100; i++)
				buf_printf(&out, "X%d: y\r\n", i);
		} else if (kind == 2) {
			buf_append_text(&out, "Content-Length: 2000000\r\n\r\n");
			for (int i = 0; i < 2000000; i++)
				buf_append_char(&out, 'x');
		} else {
			buf_append_text(&out, "Transfer-Encoding: chunked\r\n\r\n");
			for (int i = 0; i < 400000; i++)
				buf_append_text(&out, "5\r\nhello\r\n");
		}
		(void)say_bytes(fd, out.ptr, out.len);
		OK(tap, hear_all(fd, in) && strncmp(in->ptr, wanted[kind], 13) == 0,
		   "limit %d: %.30s", kind, buf_text(in));
		close(fd);
	}
	buf_close(&out);
}

static void test_large(struct tap *tap, const struct world *world, struct buf *in)
{
	struct buf out = { 0 };
	bool same;
	int fd = dial(world);

	buf_append_text(&out, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n"
			"Connection: close\r\n\r\n");
	for (int i = 0; i < 1000000; i++)
		buf_append_char(&out, (char)('a' + i % 19));
	say_bytes(fd, out.ptr, out.len);
	same = hear_all(fd, in) && in->len > 1000000 &&
	       memcmp(in->ptr + in->len - 1000000, out.ptr + out.len - 1000000, 1000000) == 0;
	OK(tap, same, "a body of 1 MB");
	close(fd);
	fd = dial(world);
	buf_reset(&out);
	buf_append_text(&out, "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
			"Connection: close\r\n\r\n");
	for (int i = 0; i < 100000; i++)
		buf_append_text(&out, "7\r\nchunked\r\n");
	buf_append_text(&out, "0\r\n\r\n");
	say_bytes(fd, out.ptr, out.len);
	OK(tap, hear_all(fd, in) && count_of(in->ptr, "chunked") == 100000, "100,000 chunks");
	close(fd);
	buf_close(&out);
}

/* Clients that send a byte now and then are cut, and others are served meanwhile. */
static void test_timeouts(struct tap *tap, struct buf *in)
{
	struct httpd_conf conf = { .header_ms = 300, .body_ms = 300, .idle_ms = 300 };
	struct world world;
	int head[20], body[20], idle, heads = 0, bodies = 0;
	int64_t end = world_ms() + 2000;

	if (!OK(tap, world_open(&world, &conf), "open"))
		return;
	idle = dial(&world);
	for (int i = 0; i < 20; i++) {
		head[i] = dial(&world);
		body[i] = dial(&world);
		say(head[i], "GET / HTTP/1.1\r\nX: ");
		say(body[i], "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n");
	}
	while (world_ms() < end) {
		for (int i = 0; i < 20; i++) {
			say(head[i], "x");
			say(body[i], "x");
		}
		if (!strstr(ask(&world, "/ok", in), "GET /ok? "))
			break;
		usleep(20000);
		if (strstr(ask(&world, "/counts", in), "timed_out=40 "))
			break;
	}
	OK(tap, strstr(buf_text(in), "timed_out=40 "), "all 40 are cut, others are served");
	for (int i = 0; i < 20; i++) {
		heads += hear_all(head[i], in) && strncmp(in->ptr, "HTTP/1.1 408 ", 13) == 0;
		bodies += hear_all(body[i], in) && strncmp(in->ptr, "HTTP/1.1 408 ", 13) == 0;
		close(head[i]);
		close(body[i]);
	}
	OK(tap, heads == 20 && bodies == 20, "with 408: %d and %d", heads, bodies);
	OK(tap, hear_all(idle, in) && in->len == 0, "an idle one is closed without a word");
	close(idle);
	world_close(&world);
}

static void test_connections_max(struct tap *tap, struct buf *in)
{
	struct httpd_conf conf = { .connections_max = 4 };
	struct linger reset = { 1, 0 };
	struct world world;
	int fds[5];

	if (!OK(tap, world_open(&world, &conf), "open"))
		return;
	for (int i = 0; i < 4; i++) {
		fds[i] = dial(&world);
		say(fds[i], GET("/x"));
		hear_until(fds[i], in, "GET /x", 1);
	}
	OK(tap, strstr(ask(&world, "/fifth", in), "GET /fifth? "), "a fifth is served");
	OK(tap, hear_all(fds[0], in) && in->len == 0, "the eldest idle one gave way");
	close(fds[0]);
	for (int i = 1; i < 4; i++) {
		say(fds[i], GET("/later"));
	}
	fds[0] = dial(&world);
	say(fds[0], GET("/x"));
	hear_until(fds[0], in, "GET /x", 1);
	OK(tap, counts_become(&world, "later=3 ", in), "three are busy");
	close(fds[0]);
	fds[0] = dial(&world);
	say(fds[0], GET("/later"));
	fds[4] = dial(&world);
	say(fds[4], GET("/release"));
	OK(tap, hear_some(fds[4], in, 50) == -1, "with four busy the fifth waits");
	setsockopt(fds[3], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[3]);
	OK(tap, strstr(hear_until(fds[4], in, "\r\n\r\n4", 1), "\r\n\r\n4"),
	   "until one closes");
	for (int i = 0; i < 5; i++)
		if (i != 3)
			close(fds[i]);
	world_close(&world);
}

static void test_drain(struct tap *tap, struct buf *in)
{
	struct httpd_conf conf = { 0 };
	struct world world;
	int later, idle, half, fd;

	if (!OK(tap, world_open(&world, &conf), "open"))
		return;
	later = dial(&world);
	idle = dial(&world);
	half = dial(&world);
	say(later, GET("/later?1") GET("/later?2"));
	say(half, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\na");
	OK(tap, counts_become(&world, "later=1 ", in), "one is in work");
	fd = dial(&world);
	say(fd, GET("/x"));
	hear_until(fd, in, "GET /x", 1);
	say(fd, GET("/drain") GET("/release"));
	OK(tap, strstr(hear_until(fd, in, "\r\n\r\n", 1), "\r\nConnection: close\r\n"),
	   "the answer says that it is the last");
	close(fd);
	OK(tap, hear_all(idle, in) && !in->len, "an idle connection is closed at once");
	OK(tap, dial(&world) == -1, "new ones are refused");
	say(half, "bc");
	OK(tap, hear_all(half, in) && strstr(in->ptr, "POST /? abc"),
		"a half read request is answered");
	OK(tap, hear_some(later, in, 0) == -1, "the one in work still waits");
	close(half);
	close(idle);
	close(later);
	/* Its client is away, but its handler has it: not drained yet. The loop is stopped to
	 * answer it from here. */
	loop_stop(world.loop);
	pthread_join(world.thread, NULL);
	OK(tap, world.drained == 0 && world.later_count == 1, "not drained before the last answer");
	http_answer(world.later[0], 200, "", SLICE("late"));
	OK(tap, loop_run(world.loop) == 0 && world.drained == 1, "drained");
	httpd_close(world.httpd);
	loop_close(world.loop);
}

static void test_addresses(struct tap *tap, struct buf *in)
{
	static const char *const bad[] = { "", "127.0.0.1", "127.0.0.1:", "::1:80", "127.0.0.1:x",
					   "256.0.0.1:1", "[::1:80" };
	static const char *const good[] = { "127.0.0.1:0", "localhost:0", "[::1]:0", "*:0", ":0" };
	struct world world, other;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct httpd_conf conf = { .listen = bad[i] };

		OK(tap, !world_open(&world, &conf) && world.err.text[0], "'%s': %s", bad[i],
		   world.err.text);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct httpd_conf conf = { .listen = good[i] };

		if (!OK(tap, world_open(&world, &conf), "%s: %s", good[i], world.err.text))
			continue;
		OK(tap, strstr(ask(&world, "/x", in), "GET /x? "), "serves on %s",
		   httpd_address(world.httpd));
		conf.listen = httpd_address(world.httpd);
		OK(tap, !world_open(&other, &conf) && strstr(other.err.text, "in use"), "%s",
		   other.err.text);
		world_close(&world);
	}
}

static void test_request(struct tap *tap)
{
	struct http_request request = { .query = SLICE("a=1&bb=%41+x&c&a=2&d="),
		.header_count = 2 };
	struct buf out = { 0 };

	request.headers[0].name = SLICE("Content-Type");
	request.headers[0].value = SLICE("a");
	request.headers[1].name = SLICE("content-type");
	request.headers[1].value = SLICE("b");
	OK(tap, slice_is(http_header(&request, "CONTENT-type"), "a"), "the first header");
	OK(tap, !http_header(&request, "Content").ptr, "no such header");
	OK(tap, slice_is(http_query(&request, "a"), "1"), "the first parameter");
	OK(tap, slice_is(http_query(&request, "bb"), "%41+x"), "as it was sent");
	OK(tap, http_query(&request, "c").ptr && http_query(&request, "d").ptr,
		"empty ones are there");
	OK(tap, !http_query(&request, "b").ptr && !http_query(&request, "x").ptr, "others not");
	OK(tap, http_unescape(SLICE("%41+x%2b%00"), &out) == 0 && out.len == 5 &&
	   memcmp(out.ptr, "A x+", 5) == 0, "unescaped");
	OK(tap, http_unescape(SLICE("%4"), &out) == -EBADMSG, "cut escape");
	OK(tap, http_unescape(SLICE("%4g"), &out) == -EBADMSG, "bad escape");
	buf_close(&out);
}

int main(void)
{
	struct tap tap = { 0 };
	struct world world;
	struct buf in = { 0 };
	struct httpd_conf conf = { 0 };

	test_request(&tap);
	if (!OK(&tap, world_open(&world, &conf), "open: %s", world.err.text))
		return tap_end(&tap);
	test_table(&tap, &world, &in);
	test_pieces(&tap, &world, &in);
	test_pipeline(&tap, &world, &in);
	test_later(&tap, &world, &in);
	test_gone(&tap, &world, &in);
	test_slow_reader(&tap, &world, &in);
	test_continue(&tap, &world, &in);
	test_limits(&tap, &world, &in);
	test_large(&tap, &world, &in);
	OK(&tap, counts_become(&world, "work=0 open=1 ", &in), "nothing is left");
	world_close(&world);
	test_timeouts(&tap, &in);
	test_connections_max(&tap, &in);
	test_drain(&tap, &in);
	test_addresses(&tap, &in);
	buf_close(&in);
	return tap_end(&tap);
}
