// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "lib/httpd_conn.h"

#define COPY_MAX   16384                /* a larger body is written from where it is */
#define BATCH_MAX  65536                /* pipelined answers are written when they come to this */
#define UNSENT_MAX ((size_t)256 << 20)  /* a client that lets more wait is cut off */
#define HEAD_ROOM  256

static char *put(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

static char *put_date(char *at, struct httpd *httpd)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != httpd->date_s || !httpd->date[0]) {
		httpd->date_s = now.tv_sec;
		gmtime_r(&now.tv_sec, &tm);
		snprintf(httpd->date, sizeof(httpd->date),
			 "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n", days + 3 * tm.tm_wday,
			 tm.tm_mday, months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000,
			 tm.tm_hour, tm.tm_min, tm.tm_sec);
	}
	return put(at, httpd->date, strlen(httpd->date));
}

static char *put_number(char *at, size_t number)
{
	char digits[24];
	size_t n = sizeof(digits);

	do
		digits[--n] = (char)('0' + number % 10);
	while (number /= 10);
	return put(at, digits + n, sizeof(digits) - n);
}

static char *put_status(char *at, int status)
{
	const char *words;

	if (status == 200)
		return put(at, "HTTP/1.1 200 OK\r\n", 17);
	at = put(at, "HTTP/1.1 ", 9);
	at = put_number(at, (size_t)status);
	*at++ = ' ';
	words = http_status_str((enum http_status)status);
	if (words[0] == '<')    /* "<unknown>" */
		words = "Status";
	at = put(at, words, strlen(words));
	return put(at, "\r\n", 2);
}

enum framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED };

static void head_append(struct buf *out, struct httpd *httpd, const struct http_parse *parse,
			int status, const char *headers, enum framing framing, size_t length,
			bool keep)
{
	size_t headers_len = strlen(headers);
	char *at = buf_reserve(out, HEAD_ROOM + headers_len);
	char *start = at;

	assert(status >= 200 && status <= 999);
	if (!at)
		return;
	at = put_status(at, status);
	at = put_date(at, httpd);
	if (framing == FRAMING_LENGTH) {
		at = put(at, "Content-Length: ", 16);
		at = put_number(at, length);
		at = put(at, "\r\n", 2);
	} else if (framing == FRAMING_CHUNKED) {
		at = put(at, "Transfer-Encoding: chunked\r\n", 28);
	}
	if (!keep)
		at = put(at, "Connection: close\r\n", 19);
	else if (parse->is_http10)
		at = put(at, "Connection: keep-alive\r\n", 24);
	at = put(at, headers, headers_len);
	at = put(at, "\r\n", 2);
	out->len += (size_t)(at - start);
}

static void keep_unsent(struct http_conn *conn, struct slice a, struct slice b)
{
	if (conn->out_at) {
		buf_drop(&conn->out, conn->out_at);
		conn->out_at = 0;
	}
	conn->out.limit = UNSENT_MAX;
	buf_append_slice(&conn->out, a);
	buf_append_slice(&conn->out, b);
	if (conn->out.failed)
		conn->failed = true;
}

void conn_send(struct http_conn *conn, struct slice a, struct slice b)
{
	struct iovec parts[2] = { { (void *)(uintptr_t)a.ptr, a.len },
				  { (void *)(uintptr_t)b.ptr, b.len } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = b.len ? 2 : 1 };
	ssize_t n;

	if (conn->failed || a.len + b.len == 0)
		return;
	if (conn_unsent(conn)) {
		keep_unsent(conn, a, b);
		return;
	}
	do
		n = b.len ? sendmsg(conn->fd, &message, MSG_NOSIGNAL) :
			    send(conn->fd, a.ptr, a.len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		conn->failed = true;
		return;
	}
	if (n < 0)
		n = 0;
	if ((size_t)n == a.len + b.len)
		return;
	if ((size_t)n > a.len)
		b = slice_skip(b, (size_t)n - a.len);
	keep_unsent(conn, slice_skip(a, (size_t)n), b);
}

void conn_flush(struct http_conn *conn)
{
	while (conn_unsent(conn)) {
		ssize_t n = send(conn->fd, conn->out.ptr + conn->out_at, conn_unsent(conn),
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			conn->failed = errno != EAGAIN;
			return;
		}
		conn->out_at += (size_t)n;
		conn->restart = true;
	}
	conn->out_at = 0;
	buf_close(&conn->out);
}

/* Where an answer's bytes are gathered: while conn_process runs, with their like. */
static struct buf *gather(struct http_conn *conn)
{
	struct httpd *httpd = conn->httpd;

	if (conn->busy)
		return &httpd->batch;
	buf_reset(&httpd->single);
	return &httpd->single;
}

/* Sends what was gathered, with body after it, or leaves it for the end of conn_process. */
static void gathered(struct http_conn *conn, struct buf *out, struct slice body)
{
	if (out->failed) {
		conn->failed = true;
		return;
	}
	if (body.len <= COPY_MAX) {
		buf_append_slice(out, body);
		body.len = 0;
	}
	if (conn->busy && !body.len && out->len < BATCH_MAX)
		return;
	conn_send(conn, buf_slice(out), body);
	buf_reset(out);
}

/* The exchange is over: its connection goes on to the next request, or ends. */
static void finish(struct http_exchange *exchange, bool keep)
{
	struct http_conn *conn = exchange->conn;
	struct http_parse *parse = &exchange->parse;

	conn->restart = true;
	if (keep && parse->in.len > parse->at) {
		http_parse_next(parse);
		exchange->state = HTTP_READING;
		if (!conn->busy)
			conn_later(conn);
		return;
	}
	if (!keep) {
		conn->closing = true;
		/* Closing with unread bytes would reset the connection, answer and all. */
		if (parse->in.len > parse->at || !(conn->events & EPOLLIN))
			conn->linger = true;
	}
	conn->exchange = NULL;
	exchange_release(exchange);
	if (conn->busy)
		return;
	if (conn->failed)
		conn_later(conn);
	else
		conn_settle(conn);
}

/* Ends the handler's hold on the request. false: there is nobody to answer. */
static bool take_back(struct http_exchange *exchange, enum http_exchange_state state)
{
	assert(exchange->state == state);
	exchange->httpd->work_count--;
	if (exchange->conn)
		return true;
	exchange_release(exchange);
	return false;
}

void http_answer(struct http_request *request, int status, const char *headers, struct slice body)
{
	struct http_exchange *exchange = (struct http_exchange *)request;
	struct http_conn *conn = exchange->conn;
	struct httpd *httpd = exchange->httpd;
	bool keep, bare = status == 204 || status == 304;
	struct buf *out;

	if (!take_back(exchange, HTTP_WORK))
		return;
	keep = exchange->parse.keep_alive && !httpd->draining;
	out = gather(conn);
	head_append(out, httpd, &exchange->parse, status, headers,
		    bare ? FRAMING_NONE : FRAMING_LENGTH, body.len, keep);
	if (bare || exchange->parse.is_head)
		body.len = 0;
	gathered(conn, out, body);
	finish(exchange, keep);
}

void http_stream_begin(struct http_request *request, int status, const char *headers)
{
	struct http_exchange *exchange = (struct http_exchange *)request;
	struct http_conn *conn = exchange->conn;
	struct buf *out;

	assert(exchange->state == HTTP_WORK);
	exchange->state = HTTP_STREAM;
	/* HTTP/1.0 knows no chunks: there the end of the connection ends the body. */
	exchange->is_chunked = !exchange->parse.is_http10 && !exchange->parse.is_head;
	if (exchange->parse.is_http10 || exchange->httpd->draining)
		exchange->parse.keep_alive = false;
	if (!conn)
		return;
	out = gather(conn);
	head_append(out, conn->httpd, &exchange->parse, status, headers,
		    exchange->is_chunked ? FRAMING_CHUNKED : FRAMING_NONE, 0,
		    exchange->parse.keep_alive);
	gathered(conn, out, (struct slice){ "", 0 });
	if (!conn->busy)
		conn_later(conn);
}

size_t http_stream_write(struct http_request *request, struct slice bytes)
{
	struct http_exchange *exchange = (struct http_exchange *)request;
	struct http_conn *conn = exchange->conn;
	struct buf *out;

	assert(exchange->state == HTTP_STREAM);
	if (!conn || conn->failed || exchange->parse.is_head)
		return 0;
	if (!bytes.len)         /* an empty chunk would end the body */
		return conn_unsent(conn);
	out = gather(conn);
	if (exchange->is_chunked)
		buf_printf(out, "%zx\r\n", bytes.len);
	buf_append_slice(out, bytes);
	if (exchange->is_chunked)
		buf_append(out, "\r\n", 2);
	gathered(conn, out, (struct slice){ "", 0 });
	if (!conn->busy && (conn->failed || conn_unsent(conn)))
		conn_later(conn);
	return conn_unsent(conn);
}

void http_stream_end(struct http_request *request)
{
	struct http_exchange *exchange = (struct http_exchange *)request;
	struct http_conn *conn = exchange->conn;
	struct buf *out;

	if (!take_back(exchange, HTTP_STREAM))
		return;
	if (exchange->is_chunked) {
		out = gather(conn);
		buf_append(out, "0\r\n\r\n", 5);
		gathered(conn, out, (struct slice){ "", 0 });
	}
	finish(exchange, exchange->parse.keep_alive && !exchange->httpd->draining);
}

void conn_refuse(struct http_conn *conn, int status, const char *why)
{
	struct http_exchange *exchange = conn->exchange;
	struct httpd *httpd = conn->httpd;
	struct buf *out = gather(conn);
	struct slice words = slice_from(why);

	assert(exchange && exchange->state == HTTP_READING);
	httpd->counts.refused++;
	log_words(httpd->log, LOG_LEVEL_DEBUG, "refused", "%d %s from %s", status, why, conn->peer);
	head_append(out, httpd, &exchange->parse, status, httpd->refuse_headers, FRAMING_LENGTH,
		    words.len + 1, false);
	if (!exchange->parse.is_head) {
		buf_append_slice(out, words);
		buf_append_char(out, '\n');
	}
	gathered(conn, out, (struct slice){ "", 0 });
	conn->closing = conn->linger = conn->restart = true;
	conn->exchange = NULL;
	exchange_release(exchange);
}
