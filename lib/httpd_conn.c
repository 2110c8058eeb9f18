// SPDX-License-Identifier: Apache-2.0
#include "lib/httpd_conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READS_MAX     8         /* per connection and turn: others want their turn, too */
#define REQUESTS_MAX  64        /* the same, pipelined */
#define SPARE_MAX     1024
#define SPARE_IN_MAX  262144    /* a spare exchange does not keep a larger buffer */
#define ROUND_EVENTS  (EPOLLIN | EPOLLRDHUP)

static struct http_exchange *exchange_take(struct http_conn *conn)
{
	struct httpd *httpd = conn->httpd;
	struct http_link *link = httpd->spare.prev;     /* the last used: warm in the caches */
	struct http_exchange *exchange;

	if (link != &httpd->spare) {
		exchange = HTTP_OF(struct http_exchange, link, link);
		http_list_remove(link);
		if (--httpd->spare_count < httpd->spare_low)
			httpd->spare_low = httpd->spare_count;
	} else {
		exchange = calloc(1, sizeof(*exchange));
		if (!exchange)
			return NULL;
		exchange->httpd = httpd;
	}
	http_list_add(&httpd->used, &exchange->link);
	exchange->state = HTTP_READING;
	exchange->conn = conn;
	conn->exchange = exchange;
	return exchange;
}

void exchange_release(struct http_exchange *exchange)
{
	struct httpd *httpd = exchange->httpd;

	http_list_remove(&exchange->link);
	if (httpd->spare_count >= SPARE_MAX) {
		buf_close(&exchange->parse.in);
		free(exchange);
		return;
	}
	http_parse_reset(&exchange->parse);
	if (exchange->parse.in.cap > SPARE_IN_MAX)
		buf_close(&exchange->parse.in);
	exchange->conn = NULL;
	http_list_add(&httpd->spare, &exchange->link);
	httpd->spare_count++;
}

void conn_wait(struct http_conn *conn, enum http_wait wait)
{
	if (conn->wait == wait && !conn->restart)
		return;
	if (conn->wait == HTTP_WAIT_LINGER)
		conn->httpd->linger_count--;
	if (wait == HTTP_WAIT_LINGER)
		conn->httpd->linger_count++;
	http_list_remove(&conn->wait_link);
	http_list_add(&conn->httpd->waits[wait], &conn->wait_link);
	conn->wait = wait;
	conn->since_ms = loop_now_ms(conn->httpd->loop);
	conn->restart = false;
}

void conn_later(struct http_conn *conn)
{
	if (conn->turn_link.next)
		return;
	http_list_add(&conn->httpd->turn, &conn->turn_link);
	loop_again(conn->httpd->loop);
}

/* false: it was closed. */
static bool conn_events(struct http_conn *conn, uint32_t events)
{
	if (events == conn->events)
		return true;
	if (loop_watch_events(conn->watch, events)) {
		conn_close(conn);
		return false;
	}
	conn->events = events;
	return true;
}

static void tell_gone(struct http_exchange *exchange)
{
	struct httpd *httpd = exchange->httpd;

	if (exchange->request.is_gone)
		return;
	exchange->request.is_gone = true;
	if (httpd->gone)
		httpd->gone(httpd->ctx, &exchange->request);
}

void conn_close(struct http_conn *conn)
{
	struct httpd *httpd = conn->httpd;
	struct http_exchange *exchange = conn->exchange;

	assert(!conn->busy);
	if (conn->wait == HTTP_WAIT_LINGER)
		httpd->linger_count--;
	http_list_remove(&conn->wait_link);
	if (conn->turn_link.next)
		http_list_remove(&conn->turn_link);
	loop_unwatch(conn->watch);
	close(conn->fd);
	buf_close(&conn->out);
	conn->turn_link.next = (struct http_link *)httpd->spare_conns;
	httpd->spare_conns = conn;
	httpd->conn_count--;
	httpd_accept_again(httpd);
	if (!exchange)
		return;
	exchange->conn = NULL;
	if (exchange->state == HTTP_READING)
		exchange_release(exchange);
	else
		tell_gone(exchange);
}

static void conn_end(struct http_conn *conn)
{
	if (!conn->linger || conn->eof || conn->httpd->draining) {
		conn_close(conn);
		return;
	}
	if (shutdown(conn->fd, SHUT_WR)) {
		conn_close(conn);
		return;
	}
	conn_wait(conn, HTTP_WAIT_LINGER);
	conn_events(conn, EPOLLIN);
}

static void settle_reading(struct http_conn *conn)
{
	struct http_parse *parse = &conn->exchange->parse;

	if (conn->eof && !conn->turn_link.next) {
		conn_close(conn);       /* half a request */
		return;
	}
	conn_wait(conn, parse->phase == HTTP_PHASE_HEAD ? HTTP_WAIT_HEAD : HTTP_WAIT_BODY);
	conn_events(conn, ROUND_EVENTS);
}

void conn_settle(struct http_conn *conn)
{
	struct http_exchange *exchange = conn->exchange;

	if (conn->failed) {
		conn_close(conn);
	} else if (conn_unsent(conn)) {
		conn_wait(conn, HTTP_WAIT_WRITE);
		conn_events(conn, EPOLLOUT | (exchange && exchange->state == HTTP_STREAM &&
					      !exchange->request.is_gone ? EPOLLRDHUP : 0));
	} else if (conn->closing) {
		conn_end(conn);
	} else if (!exchange) {
		if (conn->eof || conn->httpd->draining) {
			conn_close(conn);
			return;
		}
		conn_wait(conn, HTTP_WAIT_IDLE);
		if (conn_events(conn, ROUND_EVENTS) && conn->httpd->listen_paused)
			httpd_accept_again(conn->httpd);        /* this one may give way */
	} else if (exchange->state == HTTP_READING) {
		settle_reading(conn);
	} else {
		conn_wait(conn, HTTP_WAIT_NONE);
		if (conn->events & EPOLLOUT)
			conn_events(conn, exchange->request.is_gone ? 0 : EPOLLRDHUP);
	}
}

static void hand_out(struct http_conn *conn, struct http_exchange *exchange)
{
	struct http_request *request = &exchange->request;
	struct httpd *httpd = conn->httpd;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	memcpy(exchange->peer, conn->peer, conn->peer_len + 1);
	request->peer = (struct slice){ exchange->peer, conn->peer_len };
	request->received_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	request->is_gone = false;
	request->ctx = NULL;
	exchange->state = HTTP_WORK;
	httpd->work_count++;
	httpd->counts.requests++;
	httpd->handler(httpd->ctx, request);
}

void conn_process(struct http_conn *conn)
{
	struct httpd *httpd = conn->httpd;

	assert(!conn->busy);
	conn->busy = true;
	for (int i = 0;; i++) {
		struct http_exchange *exchange = conn->exchange;
		int rc;

		if (conn->failed || conn->closing || conn_unsent(conn) || !exchange ||
		    exchange->state != HTTP_READING)
			break;
		if (i == REQUESTS_MAX) {
			conn_later(conn);
			break;
		}
		rc = http_parse(&exchange->parse, &httpd->limits, &exchange->request);
		if (rc == -EAGAIN) {
			if (exchange->parse.continue_due)
				buf_append_text(&httpd->batch, "HTTP/1.1 100 Continue\r\n\r\n");
			exchange->parse.continue_due = false;
			break;
		}
		if (rc)
			conn_refuse(conn, exchange->parse.status, exchange->parse.why);
		else
			hand_out(conn, exchange);
	}
	conn_send(conn, buf_slice(&httpd->batch), (struct slice){ "", 0 });
	buf_reset(&httpd->batch);
	conn->busy = false;
	conn_settle(conn);
}

/* One read. false: there is no more to read now. */
static bool read_some(struct http_conn *conn, struct http_exchange *exchange)
{
	size_t room;
	char *at = http_parse_room(&exchange->parse, &room);
	ssize_t n;

	if (!at) {
		conn->failed = true;
		return false;
	}
	do
		n = recv(conn->fd, at, room, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		conn->failed = errno != EAGAIN;
		return false;
	}
	conn->eof = n == 0;
	exchange->parse.in.len += (size_t)n;
	return (size_t)n == room;
}

static void conn_read(struct http_conn *conn)
{
	struct httpd *httpd = conn->httpd;

	for (int i = 0; i < READS_MAX; i++) {
		struct http_exchange *exchange = conn->exchange;
		int count = httpd->conn_count;
		bool more;

		if (!exchange && !(exchange = exchange_take(conn))) {
			conn_close(conn);
			return;
		}
		more = read_some(conn, exchange);
		if (!exchange->parse.in.len) {
			conn->exchange = NULL;
			exchange_release(exchange);
			conn_settle(conn);
			return;
		}
		conn_process(conn);
		/* Freed, handed out, or waiting: then its events say when to go on. */
		if (!more || httpd->conn_count < count || conn->exchange != exchange ||
		    exchange->state != HTTP_READING || conn_unsent(conn) || conn->turn_link.next)
			return;
	}
}

/* The handler has the request: what comes next waits in the socket, but an end is told. */
static void ready_in_work(struct http_conn *conn, uint32_t events)
{
	struct http_exchange *exchange = conn->exchange;

	if (!(events & EPOLLRDHUP)) {
		conn_events(conn, conn->events & ~(uint32_t)EPOLLIN);
		return;
	}
	/* Nobody half-closes a stream. Who half-closed after a request may still read. */
	if (exchange->state == HTTP_STREAM) {
		conn_close(conn);
		return;
	}
	if (conn_events(conn, conn->events & ~(uint32_t)(EPOLLIN | EPOLLRDHUP)))
		tell_gone(exchange);
}

static void drain_input(struct http_conn *conn)
{
	char bytes[16384];
	ssize_t n;

	n = recv(conn->fd, bytes, sizeof(bytes), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_close(conn);
}

static void conn_ready(void *ctx, uint32_t events)
{
	struct http_conn *conn = ctx;

	if (events & (EPOLLERR | EPOLLHUP)) {
		conn_close(conn);
		return;
	}
	if (conn->wait == HTTP_WAIT_LINGER) {
		drain_input(conn);
		return;
	}
	if (events & EPOLLOUT) {
		conn_flush(conn);
		if (conn->failed || conn_unsent(conn))
			conn_settle(conn);
		else
			conn_process(conn);     /* pipelined ones waited for the room */
		return;
	}
	/* What is in the buffer already comes first. */
	if (conn->closing || conn->turn_link.next)
		return;
	if (conn->exchange && conn->exchange->state != HTTP_READING)
		ready_in_work(conn, events);
	else
		conn_read(conn);
}

static void print_peer(struct http_conn *conn, const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const void *bytes = &v4->sin_addr;
	int family = AF_INET;

	if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		bytes = &v6->sin6_addr.s6_addr[12];
	} else if (address->ss_family == AF_INET6) {
		bytes = &v6->sin6_addr;
		family = AF_INET6;
	}
	if (!inet_ntop(family, bytes, conn->peer, sizeof(conn->peer)))
		conn->peer[0] = '\0';
	conn->peer_len = strlen(conn->peer);
}

int conn_open(struct httpd *httpd, int fd, const struct sockaddr_storage *address)
{
	struct http_conn *conn = httpd->spare_conns;
	int one = 1, rc;

	if (conn)
		httpd->spare_conns = (struct http_conn *)conn->turn_link.next;
	else if (!(conn = malloc(sizeof(*conn))))
		return -ENOMEM;
	*conn = (struct http_conn){ .httpd = httpd, .fd = fd, .events = ROUND_EVENTS };
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	rc = loop_watch(httpd->loop, fd, ROUND_EVENTS, conn_ready, conn, &conn->watch);
	if (rc) {
		free(conn);
		return rc;
	}
	print_peer(conn, address);
	httpd->conn_count++;
	httpd->counts.accepted++;
	conn->wait = HTTP_WAIT_IDLE;
	conn->since_ms = loop_now_ms(httpd->loop);
	http_list_add(&httpd->waits[HTTP_WAIT_IDLE], &conn->wait_link);
	return 0;
}
