/* httpd - HTTP/1.1 whose answers may wait
 *
 *      accept -> read -> parse (http_parser, strict) -> handler -> answer, now or later -> write
 *
 * collect answers when the commit has passed an event, aggregate when a query is done, report
 * streams: so a handler may return without an answer and give it later, from the loop's thread.
 * One request of a connection is in work at a time; pipelined ones wait in its buffer.
 *
 * Refused with 400 and close: Content-Length together with Transfer-Encoding, two differing
 * lengths, signs or spaces in a length, a bare CR or LF in a header, folded headers, a coding other
 * than chunked, a space before the colon, HTTP/1.1 without Host. 431: headers over headers_max
 * bytes or 100 lines. 413: a body over body_max. 408: header_ms, body_ms passed. Idle connections
 * close after idle_ms; at most connections_max, the eldest idle one gives way.
 * `Expect: 100-continue` is answered.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_HTTPD_H
#define LIB_HTTPD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/slice.h"

#define HTTPD_HEADERS_MAX 100

struct httpd;

struct http_request {
	/* All slices live until the request is answered. */
	struct slice method;            /* "POST" */
	struct slice path;              /* before '?', as sent */
	struct slice query;             /* after '?', as sent; may be empty */
	struct slice body;              /* unchunked, not inflated */
	struct slice peer;              /* the client's address as text, no port */
	int header_count;
	struct { struct slice name, value; } headers[HTTPD_HEADERS_MAX];
	int64_t received_us;            /* wall clock, UTC, when the body was whole */
	bool is_gone;                   /* the client went away: an answer will reach nobody */
	void *ctx;                      /* the handler's, between the call and the answer */
};

/* Gets every request. Must answer each one exactly once, at once or later, also when is_gone
 * (then the answer only frees it). */
typedef void http_handler_fn(void *ctx, struct http_request *request);
/* The client of an unanswered request went away (is_gone is set). May be NULL. A client that only
 * closed its sending side counts as gone, but an answer is still sent to it. */
typedef void http_gone_fn(void *ctx, struct http_request *request);

struct httpd_conf {
	const char *listen;             /* HOST:PORT, [::1]:PORT; port 0 picks one */
	const struct log *log;
	size_t headers_max;             /* bytes; 0 = 16 KiB, at most 64 KiB */
	size_t body_max;                /* bytes; 0 = 1 MiB */
	int64_t header_ms, body_ms, idle_ms;    /* 0 = 5 s, 30 s, 60 s */
	int connections_max;            /* 0 = 4096 */
	const char *refuse_headers;     /* whole lines for refusals by httpd itself (CORS); may be
	                                   NULL; borrowed */
	http_handler_fn *handler;
	http_gone_fn *gone;
	void *ctx;
};

/* Binds and listens; serving happens in loop_run. -EADDRINUSE ... with words. */
MUST_CHECK int httpd_open(struct httpd **httpdp, struct loop *loop, const struct httpd_conf *conf,
			  struct err *err);
/* HOST:PORT as bound (the port that was picked). Lives as long as httpd. */
const char *httpd_address(const struct httpd *httpd);
/* No new connections and requests; `drained` (may be NULL) is called when all answers are out. */
void httpd_drain(struct httpd *httpd, loop_timer_fn *drained, void *ctx);
/* Not from within a handler. Requests that are still unanswered are freed, too. */
void httpd_close(struct httpd *httpd);

struct httpd_counts {
	int64_t accepted, requests;
	int64_t refused;                /* 4xx and 5xx by httpd itself */
	int64_t timed_out;              /* connections that a deadline cut, but no idle ones */
	int64_t connections;            /* open now */
	int64_t in_work;                /* requests handed out, not yet answered */
};
struct httpd_counts httpd_counts(const struct httpd *httpd);

/* The first header of that name, case-insensitive; {NULL, 0} where there is none. */
struct slice http_header(const struct http_request *request, const char *name);
/* The raw (still %-encoded) value of a query parameter; {NULL, 0} where there is none. */
struct slice http_query(const struct http_request *request, const char *name);
/* Decodes %XX and, in queries, '+'. out is appended to. -EBADMSG: a bad escape. */
MUST_CHECK int http_unescape(struct slice text, struct buf *out);

/* Answers and frees the request. headers: whole lines "Name: value\r\n" (may be ""). Adds
 * Content-Length, Date, and Connection as needed. body is copied. */
void http_answer(struct http_request *request, int status, const char *headers,
		 struct slice body);

/* A stream (server-sent events): the head now, chunks until http_stream_end frees the request.
 * http_stream_write returns the bytes that wait for the client, so that a slow one can be
 * dropped. */
void http_stream_begin(struct http_request *request, int status, const char *headers);
size_t http_stream_write(struct http_request *request, struct slice bytes);
void http_stream_end(struct http_request *request);

#endif
