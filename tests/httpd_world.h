/* httpd_world - a real server in a thread, and clients to talk to it
 *
 *      struct world world; world_open(&world, &conf); fd = dial(&world); say(fd, text);
 *      hear_all(fd, &buf);
 *
 * The server's behaviour is chosen by the path, so that the test's thread touches nothing of it:
 * /echo answers at once with method, path, query and body; /later is kept until /release
 * answers all kept ones, last first; /big?BYTES; /stream?CHUNKS of 1000 bytes; /tail streams until
 * its client lets 1 MB wait; /counts; /drain.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_HTTPD_WORLD_H
#define TESTS_HTTPD_WORLD_H

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/httpd.h"

#define WAIT_MS 20000   /* for what must happen; a busy machine is slow */

struct world {
	struct loop *loop;
	struct httpd *httpd;
	pthread_t thread;
	struct err err;
	/* the server thread's */
	struct http_request *later[4096];
	int later_count, gone, drained;
	struct http_request *tail;
	struct loop_timer *tail_timer;
	size_t tail_bytes;
};

static inline int64_t world_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void world_echo(struct http_request *request)
{
	struct buf out = { 0 };

	buf_append_slice(&out, request->method);
	buf_append_char(&out, ' ');
	buf_append_slice(&out, request->path);
	buf_append_char(&out, '?');
	buf_append_slice(&out, request->query);
	buf_append_char(&out, ' ');
	buf_append_slice(&out, request->body);
	http_answer(request, 200, "X-Echo: 1\r\n", buf_slice(&out));
	buf_close(&out);
}

static inline void world_tail_step(void *ctx)
{
	struct world *world = ctx;
	char bytes[4096];
	bool slow = false;

	memset(bytes, 't', sizeof(bytes));
	for (int i = 0; i < 64 && !slow && !world->tail->is_gone; i++) {
		slow = http_stream_write(world->tail, (struct slice){ bytes, sizeof(bytes) }) >
		       1 << 20;
		world->tail_bytes += sizeof(bytes);
	}
	if (!slow && !world->tail->is_gone)
		return;
	loop_timer_stop(world->tail_timer);
	http_stream_end(world->tail);
	world->tail = NULL;
}

static inline void world_stream(struct world *world, struct http_request *request)
{
	char chunk[1000];
	int chunks = atoi(request->query.ptr);

	http_stream_begin(request, 200, "Content-Type: text/event-stream\r\n");
	if (slice_is(request->path, "/tail")) {
		world->tail = request;
		assert(loop_timer(world->loop, 1, true, world_tail_step, world,
				  &world->tail_timer) == 0);
		return;
	}
	for (int i = 0; i < chunks; i++) {
		memset(chunk, 'a' + i % 26, sizeof(chunk));
		(void)http_stream_write(request, (struct slice){ chunk, sizeof(chunk) });
	}
	(void)http_stream_write(request, SLICE(""));
	http_stream_end(request);
}

static inline void world_drained(void *ctx)
{
	struct world *world = ctx;

	world->drained++;
	loop_stop(world->loop);
}

static inline void world_handle(void *ctx, struct http_request *request)
{
	struct world *world = ctx;
	struct buf out = { 0 };

	if (slice_is(request->path, "/later")) {
		world->later[world->later_count++] = request;
		return;
	}
	if (slice_is(request->path, "/stream") || slice_is(request->path, "/tail")) {
		world_stream(world, request);
		return;
	}
	if (slice_is(request->path, "/big")) {
		size_t n = (size_t)atoll(request->query.ptr);

		for (size_t i = 0; i < n; i++)
			buf_append_char(&out, (char)('a' + i % 23));
	} else if (slice_is(request->path, "/release")) {
		buf_printf(&out, "%d", world->later_count);
		while (world->later_count)
			world_echo(world->later[--world->later_count]);
	} else if (slice_is(request->path, "/counts")) {
		struct httpd_counts counts = httpd_counts(world->httpd);

		buf_printf(&out, "gone=%d work=%d open=%d refused=%d timed_out=%d tail=%d "
			"later=%d ",
			   world->gone, (int)counts.in_work - 1, (int)counts.connections,
			   (int)counts.refused, (int)counts.timed_out, world->tail != NULL,
			   world->later_count);
	} else if (slice_is(request->path, "/drain")) {
		httpd_drain(world->httpd, world_drained, world);
	} else {
		world_echo(request);
		return;
	}
	http_answer(request, 200, "", buf_slice(&out));
	buf_close(&out);
}

static inline void world_gone(void *ctx, struct http_request *request)
{
	struct world *world = ctx;

	assert(request->is_gone);
	world->gone++;
}

static inline void *world_thread(void *ctx)
{
	struct world *world = ctx;

	assert(loop_run(world->loop) == 0);
	return NULL;
}

/* conf: limits and listen; the rest is filled in. false: no server (world->err). */
static inline bool world_open(struct world *world, const struct httpd_conf *limits)
{
	struct httpd_conf conf = *limits;

	memset(world, 0, sizeof(*world));
	conf.handler = world_handle;
	conf.gone = world_gone;
	conf.ctx = world;
	if (!conf.listen)
		conf.listen = "127.0.0.1:0";
	if (loop_open(&world->loop, &world->err))
		return false;
	if (httpd_open(&world->httpd, world->loop, &conf, &world->err)) {
		loop_close(world->loop);
		return false;
	}
	return pthread_create(&world->thread, NULL, world_thread, world) == 0;
}

static inline void world_close(struct world *world)
{
	loop_stop(world->loop);
	pthread_join(world->thread, NULL);
	httpd_close(world->httpd);
	loop_close(world->loop);
}

static inline int dial(const struct world *world)
{
	const char *address = httpd_address(world->httpd), *colon = strrchr(address, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *info;
	char host[64];
	int fd;

	snprintf(host, sizeof(host), "%.*s", (int)(colon - address - 2 * (*address == '[')),
		 address + (*address == '['));
	assert(getaddrinfo(host, colon + 1, &hints, &info) == 0);
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(fd >= 0);
	if (connect(fd, info->ai_addr, info->ai_addrlen)) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(info);
	return fd;
}

/* false: the server has closed. */
static inline bool say_bytes(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static inline bool say(int fd, const char *text)
{
	return say_bytes(fd, text, strlen(text));
}

/* Reads some more. 0: the server has closed. -1: nothing came in ms. */
static inline int hear_some(int fd, struct buf *in, int64_t ms)
{
	struct pollfd poll_fd = { fd, POLLIN, 0 };
	ssize_t n;

	if (poll(&poll_fd, 1, (int)ms) != 1)
		return -1;
	n = recv(fd, buf_reserve(in, 65536), 65536, 0);
	if (n <= 0)
		return 0;
	in->len += (size_t)n;
	return 1;
}

static inline const char *buf_text(struct buf *in)
{
	*buf_reserve(in, 1) = '\0';
	return in->ptr;
}

/* Everything until the server closes, as text. NULL: it did not within WAIT_MS. */
static inline const char *hear_all(int fd, struct buf *in)
{
	int rc;

	buf_reset(in);
	while ((rc = hear_some(fd, in, WAIT_MS)) > 0)
		;
	return rc == 0 ? buf_text(in) : NULL;
}

/* Until the text holds `wanted` (n times); what came so far is returned anyhow. */
static inline const char *hear_until(int fd, struct buf *in, const char *wanted, int n)
{
	buf_reset(in);
	for (;;) {
		int found = 0;

		for (const char *at = buf_text(in); (at = strstr(at, wanted)); at++)
			found++;
		if (found >= n || hear_some(fd, in, WAIT_MS) <= 0)
			return buf_text(in);
	}
}

/* One request on a connection of its own; the answer, whole. */
static inline const char *ask(const struct world *world, const char *path, struct buf *in)
{
	int fd = dial(world);
	char text[256];
	const char *answer;

	if (fd < 0)
		return "";
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		path);
	say(fd, text);
	answer = hear_all(fd, in);
	close(fd);
	return answer ? answer : "";
}

/* Waits until /counts holds the words. */
static inline bool counts_become(const struct world *world, const char *words, struct buf *in)
{
	int64_t end = world_ms() + WAIT_MS;

	while (!strstr(ask(world, "/counts", in), words)) {
		if (world_ms() > end)
			return false;
		usleep(2000);
	}
	return true;
}

#endif
