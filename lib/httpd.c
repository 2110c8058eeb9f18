// SPDX-License-Identifier: Apache-2.0
#include "lib/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/httpd_conn.h"

#define ACCEPTS_MAX     64      /* per turn */
#define LISTEN_BACKLOG  4096    /* the kernel cuts it to net.core.somaxconn */
#define EVICT_PROBES    16
#define LINGER_MS       1000
#define DRAIN_READ_MS   2000    /* requests half read when draining begins */
#define HEADERS_MAX_TOP 65536   /* http_parser ends at 80 KiB */

/* Splits HOST:PORT; an IPv6 host stands in brackets, none or * means all addresses. */
static int split_address(const char *text, char host[256], const char **portp, struct err *err)
{
	const char *colon = strrchr(text, ':');
	size_t len;

	if (!colon || !colon[1])
		return err_set(err, -EINVAL, "'%s' is no HOST:PORT", text);
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return err_set(err, -EINVAL, "'%s': an IPv6 address stands in brackets: [::1]:PORT",
			       text);
	}
	if (len >= 256)
		return err_set(err, -EINVAL, "'%.40s..' is no HOST:PORT", text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (strcmp(host, "*") == 0)
		host[0] = '\0';
	*portp = colon + 1;
	return 0;
}

static int listen_on(const struct addrinfo *info)
{
	int one = 1, zero = 0, rc;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, LISTEN_BACKLOG)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static void print_address(struct httpd *httpd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	char host[INET6_ADDRSTRLEN] = "", port[8] = "";

	if (getsockname(httpd->listen_fd, (struct sockaddr *)&address, &len) == 0)
		(void)!getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port,
				   sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(httpd->address, sizeof(httpd->address),
		 address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static int open_listener(struct httpd *httpd, const char *text, struct err *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *infos = NULL;
	char host[256];
	const char *port = NULL;
	int rc = split_address(text, host, &port, err);

	if (rc)
		return rc;
	rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &infos);
	if (rc)
		return err_set(err, -EADDRNOTAVAIL, "cannot listen on %s: %s", text,
			       gai_strerror(rc));
	rc = -EADDRNOTAVAIL;
	for (struct addrinfo *info = infos; info && rc < 0; info = info->ai_next)
		rc = listen_on(info);
	freeaddrinfo(infos);
	if (rc < 0)
		return err_set(err, rc, "cannot listen on %s: %s", text, strerror(-rc));
	httpd->listen_fd = rc;
	print_address(httpd);
	return 0;
}

/* Whether its client has sent nothing, or has closed. */
static bool is_silent(const struct http_conn *conn)
{
	char byte;

	return recv(conn->fd, &byte, 1, MSG_PEEK) <= 0;
}

/* Who gives way: one that is over already, else the eldest idle one whose client has not just sent
 * a request. NULL: all are busy. */
static struct http_conn *eldest(struct httpd *httpd)
{
	struct http_link *idle = &httpd->waits[HTTP_WAIT_IDLE];
	struct http_link *link = httpd->waits[HTTP_WAIT_LINGER].next;
	int probes = 0;

	if (link != &httpd->waits[HTTP_WAIT_LINGER])
		return HTTP_OF(struct http_conn, wait_link, link);
	for (link = idle->next; link != idle && probes < EVICT_PROBES; link = link->next, probes++)
		if (is_silent(HTTP_OF(struct http_conn, wait_link, link)))
			return HTTP_OF(struct http_conn, wait_link, link);
	return NULL;
}

static void accept_pause(struct httpd *httpd)
{
	if (!httpd->listen_watch || loop_watch_events(httpd->listen_watch, 0))
		return;
	httpd->listen_paused = true;
}

void httpd_accept_again(struct httpd *httpd)
{
	if (!httpd->listen_paused || !httpd->listen_watch ||
	    loop_watch_events(httpd->listen_watch, EPOLLIN))
		return;
	httpd->listen_paused = false;
}

static void warn_accept(struct httpd *httpd, int error)
{
	int64_t now = loop_now_ms(httpd->loop);

	if (httpd->warned_ms && now - httpd->warned_ms < 10000)
		return;
	httpd->warned_ms = now;
	log_words(httpd->log, LOG_LEVEL_WARN, "accept", "%s; %d connections are open",
		  strerror(error), httpd->conn_count);
}

static void accept_ready(void *ctx, uint32_t events)
{
	struct httpd *httpd = ctx;

	(void)events;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage address = { 0 };
		socklen_t len = sizeof(address);
		struct http_conn *full = NULL;
		int fd;

		if (httpd->conn_count >= httpd->conns_max && !(full = eldest(httpd))) {
			accept_pause(httpd);    /* they wait in the backlog */
			return;
		}
		fd = accept4(httpd->listen_fd, (struct sockaddr *)&address, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			       errno == ENOMEM)) {
			warn_accept(httpd, errno);
			full = eldest(httpd);
			if (full) {
				conn_close(full);
				continue;
			}
			accept_pause(httpd);    /* until a connection closes, or the next tick */
			return;
		}
		if (fd >= 0 && full)
			conn_close(full);
		if (fd >= 0 && conn_open(httpd, fd, &address))
			close(fd);
	}
}

static void expire(struct http_conn *conn)
{
	enum http_wait wait = conn->wait;

	if (wait != HTTP_WAIT_IDLE && wait != HTTP_WAIT_LINGER)
		conn->httpd->counts.timed_out++;
	if (wait != HTTP_WAIT_HEAD && wait != HTTP_WAIT_BODY) {
		conn_close(conn);
		return;
	}
	conn_refuse(conn, 408, wait == HTTP_WAIT_HEAD ? "the headers took too long" :
		    "the body took too long");
	conn_settle(conn);
}

static void expire_list(struct httpd *httpd, enum http_wait wait, int64_t since_ms)
{
	struct http_link *list = &httpd->waits[wait];

	while (list->next != list) {
		struct http_conn *conn = HTTP_OF(struct http_conn, wait_link, list->next);

		if (conn->since_ms > since_ms)
			return;
		expire(conn);
	}
}

/* Half of the spare exchanges that no peak needed since the last tick are given back. */
static void trim_spare(struct httpd *httpd)
{
	int drop = (httpd->spare_low + 1) / 2;

	while (drop-- > 0 && httpd->spare_count > 0) {
		struct http_link *link = httpd->spare.next;
		struct http_exchange *exchange = HTTP_OF(struct http_exchange, link, link);

		http_list_remove(link);
		httpd->spare_count--;
		buf_close(&exchange->parse.in);
		free(exchange);
	}
	httpd->spare_low = httpd->spare_count;
}

static void tick(void *ctx)
{
	struct httpd *httpd = ctx;
	int64_t now = loop_now_ms(httpd->loop);

	for (enum http_wait wait = HTTP_WAIT_IDLE; wait < HTTP_WAITS; wait++)
		expire_list(httpd, wait, now - httpd->wait_ms[wait]);
	if (httpd->draining && now >= httpd->drain_ms) {
		expire_list(httpd, HTTP_WAIT_IDLE, now);
		expire_list(httpd, HTTP_WAIT_HEAD, now);
		expire_list(httpd, HTTP_WAIT_BODY, now);
	}
	trim_spare(httpd);
	if (!httpd->draining)
		httpd_accept_again(httpd);
}

static void end_turn(void *ctx)
{
	struct httpd *httpd = ctx;
	struct http_link *last = httpd->turn.prev;
	bool more = last != &httpd->turn;

	/* Those that conn_process puts behind `last` wait for the next turn; closing others
	 * may take `last` away, so each is looked at for what it is. */
	for (int left = httpd->conn_count; more && left > 0; left--) {
		struct http_link *link = httpd->turn.next;

		if (link == &httpd->turn)
			break;
		more = link != last;
		http_list_remove(link);
		conn_process(HTTP_OF(struct http_conn, turn_link, link));
	}
	if (httpd->turn.next != &httpd->turn)
		loop_again(httpd->loop);
	if (httpd->draining && httpd->drained && !httpd->work_count &&
	    httpd->conn_count == httpd->linger_count) {
		loop_timer_fn *drained = httpd->drained;

		httpd->drained = NULL;
		drained(httpd->drained_ctx);
	}
}

static void set_limits(struct httpd *httpd, const struct httpd_conf *conf)
{
	size_t headers_max = conf->headers_max ? conf->headers_max : 16384;

	httpd->limits.headers_max = headers_max > HEADERS_MAX_TOP ? HEADERS_MAX_TOP : headers_max;
	httpd->limits.body_max = conf->body_max ? conf->body_max : (size_t)1 << 20;
	httpd->wait_ms[HTTP_WAIT_HEAD] = conf->header_ms ? conf->header_ms : 5000;
	httpd->wait_ms[HTTP_WAIT_BODY] = conf->body_ms ? conf->body_ms : 30000;
	httpd->wait_ms[HTTP_WAIT_IDLE] = conf->idle_ms ? conf->idle_ms : 60000;
	httpd->wait_ms[HTTP_WAIT_WRITE] = httpd->wait_ms[HTTP_WAIT_BODY];
	httpd->wait_ms[HTTP_WAIT_LINGER] = LINGER_MS;
	httpd->conns_max = conf->connections_max ? conf->connections_max : 4096;
}

static int64_t tick_ms(const struct httpd *httpd)
{
	int64_t ms = 4000;

	for (enum http_wait wait = HTTP_WAIT_IDLE; wait < HTTP_WAITS; wait++)
		if (httpd->wait_ms[wait] < ms)
			ms = httpd->wait_ms[wait];
	return ms / 4 < 10 ? 10 : ms / 4;
}

int httpd_open(struct httpd **httpdp, struct loop *loop, const struct httpd_conf *conf,
	       struct err *err)
{
	struct httpd *httpd = calloc(1, sizeof(*httpd));
	int rc;

	*httpdp = NULL;
	if (!httpd)
		return err_set(err, -ENOMEM, "no memory for an HTTP server");
	httpd->loop = loop;
	httpd->log = conf->log;
	snprintf(httpd->refuse_headers, sizeof(httpd->refuse_headers),
		 "Content-Type: text/plain\r\n%s",
		 conf->refuse_headers ? conf->refuse_headers : "");
	httpd->handler = conf->handler;
	httpd->gone = conf->gone;
	httpd->ctx = conf->ctx;
	httpd->listen_fd = -1;
	set_limits(httpd, conf);
	for (int i = 0; i < HTTP_WAITS; i++)
		http_list_init(&httpd->waits[i]);
	http_list_init(&httpd->turn);
	http_list_init(&httpd->used);
	http_list_init(&httpd->spare);
	loop_after_turn(loop, end_turn, httpd);
	rc = open_listener(httpd, conf->listen, err);
	if (!rc)
		rc = loop_watch(loop, httpd->listen_fd, EPOLLIN, accept_ready, httpd,
				&httpd->listen_watch);
	if (!rc)
		rc = loop_timer(loop, tick_ms(httpd), true, tick, httpd, &httpd->tick);
	if (rc) {
		httpd_close(httpd);
		return err_set(err, rc, "cannot serve on %s: %s", conf->listen, strerror(-rc));
	}
	*httpdp = httpd;
	return 0;
}

const char *httpd_address(const struct httpd *httpd)
{
	return httpd->address;
}

struct httpd_counts httpd_counts(const struct httpd *httpd)
{
	struct httpd_counts counts = httpd->counts;

	counts.connections = httpd->conn_count;
	counts.in_work = httpd->work_count;
	return counts;
}

static void stop_listening(struct httpd *httpd)
{
	loop_unwatch(httpd->listen_watch);
	httpd->listen_watch = NULL;
	if (httpd->listen_fd >= 0)
		close(httpd->listen_fd);
	httpd->listen_fd = -1;
}

void httpd_drain(struct httpd *httpd, loop_timer_fn *drained, void *ctx)
{
	struct http_link *idle = &httpd->waits[HTTP_WAIT_IDLE];

	httpd->drained = drained;
	httpd->drained_ctx = ctx;
	loop_again(httpd->loop);
	if (httpd->draining)
		return;
	httpd->draining = true;
	httpd->drain_ms = loop_now_ms(httpd->loop) + DRAIN_READ_MS;
	stop_listening(httpd);
	for (struct http_link *link = idle->next, *next; link != idle; link = next) {
		struct http_conn *conn = HTTP_OF(struct http_conn, wait_link, link);

		next = link->next;
		/* A request that has come but was not read yet is still answered. */
		if (!conn->busy && is_silent(conn))
			conn_close(conn);
	}
}

static void exchanges_free(struct http_link *list)
{
	while (list->next != list) {
		struct http_link *link = list->next;
		struct http_exchange *exchange = HTTP_OF(struct http_exchange, link, link);

		http_list_remove(link);
		buf_close(&exchange->parse.in);
		free(exchange);
	}
}

void httpd_close(struct httpd *httpd)
{
	if (!httpd)
		return;
	httpd->gone = NULL;
	stop_listening(httpd);
	for (int i = 0; i < HTTP_WAITS; i++)
		while (httpd->waits[i].next != &httpd->waits[i])
			conn_close(HTTP_OF(struct http_conn, wait_link, httpd->waits[i].next));
	exchanges_free(&httpd->used);
	exchanges_free(&httpd->spare);
	while (httpd->spare_conns) {
		struct http_conn *conn = httpd->spare_conns;

		httpd->spare_conns = (struct http_conn *)conn->turn_link.next;
		free(conn);
	}
	loop_timer_stop(httpd->tick);
	loop_after_turn_stop(httpd->loop, end_turn, httpd);
	buf_close(&httpd->batch);
	buf_close(&httpd->single);
	free(httpd);
}
