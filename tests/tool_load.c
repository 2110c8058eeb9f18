/* tool_load - sends events over HTTP like many SDKs at once, and notes what was acknowledged
 *
 *      tool_load --url http://127.0.0.1:PORT --key K --connections 64 --batch 1 --seconds 5
 *
 * One thread and epoll; each connection has one request in flight: POST /v1/track with one event,
 * or POST /v1/batch with `batch` of them, in Segment's format and of the size that analytics-next
 * sends. Message ids are CLIENT-0, CLIENT-1, ...: with --acks each id goes to a file, a line each,
 * when its request was answered with 2xx, and only then. With --retry a request that failed
 * (connection lost, 429, 5xx) is sent again, same bytes, until it is acknowledged; so the server
 * may be killed and started again. SIGTERM ends like --seconds: no new requests, those in
 * flight are brought to their end. Exit: 0, or 1 when an event was not acknowledged.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <http_parser.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/when.h"

#define ANSWER_MS     15000     /* without an answer the connection counts as lost, as SDKs do */
#define RETRY_MIN_MS  20
#define RETRY_MAX_MS  200
#define LATENCIES     1024      /* 32 per octave of microseconds */

enum conn_state { CONN_IDLE, CONN_PAUSED, CONN_CONNECTING, CONN_SENDING, CONN_ANSWER };

struct conn {
	struct load *load;
	int fd;                         /* -1: none */
	enum conn_state state;
	bool has_request;               /* `request` is not acknowledged */
	uint64_t first;                 /* its ids: first .. first + count - 1 */
	int count;
	struct buf request;
	size_t sent;
	int64_t since_us;               /* of this try */
	int64_t begun_ms;               /* of the first try */
	int64_t resume_ms;
	int failures;                   /* in a row */
	http_parser parser;
	bool is_whole, is_retry_after;
	int retry_after_s;
};

struct load {
	const char *url, *key, *client, *acks, *path;
	int connections, batch, users;
	int64_t total, seconds, rate, timeout_ms;
	bool retry;
	uint64_t seed;

	struct sockaddr_storage address;
	socklen_t address_len;
	char host[256], auth[512];
	int epoll_fd, signal_fd, acks_fd;
	struct conn *conns;
	struct buf ack_lines, body;
	uint64_t first_id, next_id, limit_id;
	bool ending;
	int64_t start_us, end_us;
	int64_t statuses[600], retries, lost_connections, refused_connections;
	int64_t requests, events, given_up;
	int64_t latencies[LATENCIES], latency_max_us;
};

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static uint64_t random_next(struct load *load)
{
	uint64_t x = load->seed += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Few users are busy: the cube of a uniform number. */
static unsigned random_user(struct load *load)
{
	double r = (double)(random_next(load) >> 11) / 9007199254740992.0;

	return (unsigned)(r * r * r * load->users);
}

static void put_event(struct load *load, struct buf *out, uint64_t id, const char *now)
{
	static const char *const names[] = { "Product Viewed", "Product Viewed", "Product Viewed",
		"Product List Viewed", "Product Added", "Checkout Started", "Order Completed",
		"Link Clicked" };
	static const char *const paths[] = { "/", "/shop", "/shop/shoes", "/shop/coats", "/cart",
		"/checkout", "/blog/ten-things-about-wool", "/about" };
	static const char *const agents[] = {
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
		"Chrome/126.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
		"(KHTML, "
		"like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
	};
	uint64_t r = random_next(load);
	unsigned user = random_user(load);
	const char *path = paths[r >> 3 & 7];
	bool is_page = load->batch > 1 && (r >> 6 & 3) == 0;

	buf_printf(out, "{\"timestamp\":\"%s\",\"integrations\":{\"Segment.io\":true},", now);
	if (is_page)
		buf_append_text(out, "\"type\":\"page\",");
	else
		buf_printf(out, "\"type\":\"track\",\"event\":\"%s\",", names[r & 7]);
	buf_printf(out, "\"properties\":{\"path\":\"%s\",\"product_id\":\"sku-%u\","
		"\"price\":%u.%02u,"
		   "\"currency\":\"EUR\",\"quantity\":%u,\"title\":\"The shop\"},", path,
		   (unsigned)(r >> 8 & 1023), (unsigned)(r >> 18 & 255), (unsigned)(r >> 26) % 100,
		   1 + (unsigned)(r >> 33 & 3));
	buf_printf(out, "\"context\":{\"page\":{\"path\":\"%s\","
		"\"referrer\":\"https://www.example.org/"
		   "search?q=wool\",\"search\":\"?utm_source=goog\",\"title\":\"The shop\","
		   "\"url\":\"https://shop.example.com%s?utm_source=goog\"},\"userAgent\":\"%s\",",
		   path, path, agents[user % 3]);
	buf_append_text(out, "\"locale\":\"en-US\",\"library\":{\"name\":\"analytics.js\","
		"\"version\":"
			"\"next-1.84.3\"},\"campaign\":{\"source\":\"goog\",\"medium\":\"cpc\","
			"\"name\":"
			"\"autumn\"},\"timezone\":\"Europe/Berlin\"},");
	buf_printf(out, "\"messageId\":\"%s-%" PRIu64 "\",\"anonymousId\":\"%08x-97b6-4c1e-9d7a-"
		   "0000%08x\",\"userId\":", load->client, id, user * 2654435761u, user);
	if (user & 1)
		buf_append_text(out, "null}");
	else
		buf_printf(out, "\"user-%u\"}", user);
}

/* Takes the next ids and writes their request. */
static void request_make(struct conn *conn)
{
	struct load *load = conn->load;
	struct buf *body = &load->body;
	uint64_t left = load->limit_id - load->next_id;
	char now[WHEN_TEXT_MAX];

	when_print(when_now_us(), 3, now);
	conn->first = load->next_id;
	conn->count = left < (uint64_t)load->batch ? (int)left : load->batch;
	load->next_id += (uint64_t)conn->count;
	buf_reset(body);
	if (load->batch > 1)
		buf_append_text(body, "{\"batch\":[");
	for (int i = 0; i < conn->count; i++) {
		if (i)
			buf_append_char(body, ',');
		put_event(load, body, conn->first + (uint64_t)i, now);
	}
	if (load->batch > 1)
		buf_printf(body, "],\"sentAt\":\"%s\"}", now);
	buf_reset(&conn->request);
	buf_printf(&conn->request, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: "
		"application/json\r\n"
		   "User-Agent: tool_load/1\r\nAccept: */*\r\nAuthorization: Basic %s\r\n"
		   "Content-Length: %zu\r\n\r\n", load->path, load->host, load->auth, body->len);
	buf_append_slice(&conn->request, buf_slice(body));
	conn->has_request = true;
	conn->begun_ms = now_us() / 1000;
}

static void conn_watch(struct conn *conn, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = conn };

	epoll_ctl(conn->load->epoll_fd, op, conn->fd, &event);
}

static void conn_drop(struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	conn->state = CONN_IDLE;
}

static void request_over(struct conn *conn)
{
	conn->has_request = false;
	conn->failures = 0;
}

/* This try failed: again after a while, or never. */
static void try_failed(struct conn *conn, int64_t wait_ms)
{
	struct load *load = conn->load;
	int64_t now_ms = now_us() / 1000;

	if (conn->has_request && (!load->retry || now_ms - conn->begun_ms > load->timeout_ms)) {
		load->given_up += conn->count;
		request_over(conn);
	} else if (conn->has_request) {
		load->retries++;
		conn->failures++;
	}
	conn->state = CONN_PAUSED;
	conn->resume_ms = now_ms + wait_ms;
}

static void conn_lost(struct conn *conn)
{
	int64_t wait_ms = RETRY_MIN_MS << (conn->failures > 3 ? 3 : conn->failures);

	if (conn->state == CONN_CONNECTING)
		conn->load->refused_connections++;
	else
		conn->load->lost_connections++;
	conn_drop(conn);
	try_failed(conn, wait_ms > RETRY_MAX_MS ? RETRY_MAX_MS : wait_ms);
}

static void conn_send(struct conn *conn)
{
	while (conn->sent < conn->request.len) {
		ssize_t n = send(conn->fd, conn->request.ptr + conn->sent,
				 conn->request.len - conn->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (conn->state != CONN_SENDING)
				conn_watch(conn, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			conn->state = CONN_SENDING;
			return;
		}
		if (n < 0) {
			conn_lost(conn);
			return;
		}
		conn->sent += (size_t)n;
	}
	if (conn->state == CONN_SENDING || conn->state == CONN_CONNECTING)
		conn_watch(conn, EPOLL_CTL_MOD, EPOLLIN);
	conn->state = CONN_ANSWER;
}

static void conn_connect(struct conn *conn)
{
	struct load *load = conn->load;
	int one = 1;

	conn->state = CONN_CONNECTING;
	conn->fd = socket(load->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0) {
		conn_lost(conn);
		return;
	}
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(conn->fd, (struct sockaddr *)&load->address, load->address_len) &&
	    errno != EINPROGRESS)
		conn_lost(conn);
	else
		conn_watch(conn, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Sends the request, anew or again. */
static void conn_start(struct conn *conn)
{
	conn->since_us = now_us();
	conn->sent = 0;
	conn->is_whole = conn->is_retry_after = false;
	conn->retry_after_s = 0;
	http_parser_init(&conn->parser, HTTP_RESPONSE);
	conn->parser.data = conn;
	if (conn->fd < 0)
		conn_connect(conn);
	else
		conn_send(conn);
}

static void note_latency(struct load *load, int64_t us)
{
	unsigned octave;

	if (us < 1)
		us = 1;
	if (us > load->latency_max_us)
		load->latency_max_us = us;
	octave = 63 - (unsigned)__builtin_clzll((unsigned long long)us);
	if (octave < 5)
		load->latencies[us]++;
	else if (octave < 30)
		load->latencies[(octave - 4) * 32 + (us >> (octave - 5) & 31)]++;
	else
		load->latencies[LATENCIES - 1]++;
}

static double latency_ms(const struct load *load, double share)
{
	int64_t all = 0, seen = 0;
	int i;

	for (i = 0; i < LATENCIES; i++)
		all += load->latencies[i];
	for (i = 0; i < LATENCIES - 1; i++)
		if ((seen += load->latencies[i]) > share * (double)all)
			break;
	if (i < 32)
		return i / 1000.0;
	return (double)((int64_t)(32 + i % 32) << (i / 32 - 1)) / 1000.0;
}

static void answered(struct conn *conn)
{
	struct load *load = conn->load;
	int status = (int)conn->parser.status_code;

	load->statuses[status < 600 ? status : 0]++;
	if (!http_should_keep_alive(&conn->parser))
		conn_drop(conn);
	conn->state = CONN_IDLE;
	if (status >= 200 && status < 300) {
		note_latency(load, now_us() - conn->since_us);
		load->requests++;
		load->events += conn->count;
		if (load->acks_fd >= 0)
			for (int i = 0; i < conn->count; i++)
				buf_printf(&load->ack_lines, "%s-%" PRIu64 "\n", load->client,
					   conn->first + (uint64_t)i);
		request_over(conn);
	} else if (status == 429 || status >= 500) {
		try_failed(conn, conn->retry_after_s ? RETRY_MAX_MS : 2 * RETRY_MIN_MS);
	} else {
		load->given_up += conn->count;
		request_over(conn);
	}
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
	struct conn *conn = parser->data;

	conn->is_retry_after = len == 11 && strncasecmp(at, "retry-after", len) == 0;
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	struct conn *conn = parser->data;

	if (conn->is_retry_after && len)
		conn->retry_after_s = at[0] != '0';
	return 0;
}

static int on_complete(http_parser *parser)
{
	struct conn *conn = parser->data;

	/* Where an interim answer (100) ends, the real one is still to come. */
	conn->is_whole = parser->status_code >= 200;
	return 0;
}

static void conn_read(struct conn *conn)
{
	static const http_parser_settings settings = { .on_header_field = on_field,
		.on_header_value = on_value, .on_message_complete = on_complete };
	char bytes[16384];
	ssize_t n;

	do
		n = recv(conn->fd, bytes, sizeof(bytes), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (conn->state == CONN_ANSWER || conn->state == CONN_SENDING) {
		if (n >= 0 && http_parser_execute(&conn->parser, &settings, bytes, (size_t)n) ==
		    (size_t)n && conn->is_whole) {
			answered(conn);
			return;
		}
		if (n > 0 && HTTP_PARSER_ERRNO(&conn->parser) == HPE_OK)
			return;
		conn_lost(conn);
	} else if (n <= 0) {
		conn_drop(conn);        /* between requests: the next one connects */
		if (conn->has_request)
			conn->state = CONN_PAUSED;
	}
}

static void conn_ready(struct conn *conn, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (conn->fd < 0)
		return;
	if (conn->state == CONN_CONNECTING) {
		getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error)
			conn_lost(conn);
		else
			conn_send(conn);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		conn_read(conn);
	else if (events & EPOLLOUT && conn->state == CONN_SENDING)
		conn_send(conn);
}

/* Whether a new request may begin now. */
static bool may_begin(struct load *load, int64_t now)
{
	if (load->ending || load->next_id >= load->limit_id)
		return false;
	return !load->rate || (double)(load->next_id - load->first_id) + load->batch <=
	       (double)(now - load->start_us) * (double)load->rate / 1e6 + 1;
}

static void acks_write(struct load *load)
{
	size_t at = 0;

	while (at < load->ack_lines.len) {
		ssize_t n = write(load->acks_fd, load->ack_lines.ptr + at,
			load->ack_lines.len - at);

		if (n < 0 && errno != EINTR) {
			perror(load->acks);
			exit(EX_IOERR);
		}
		if (n > 0)
			at += (size_t)n;
	}
	buf_reset(&load->ack_lines);
}

/* Starts what can start. Returns how many connections have something left to do. */
static int pump(struct load *load, int64_t now)
{
	int busy = 0;

	for (int i = 0; i < load->connections; i++) {
		struct conn *conn = &load->conns[i];

		if (conn->state == CONN_PAUSED && now / 1000 >= conn->resume_ms)
			conn->state = CONN_IDLE;
		if (conn->state == CONN_IDLE && !conn->has_request && may_begin(load, now))
			request_make(conn);
		if (conn->state == CONN_IDLE && conn->has_request)
			conn_start(conn);
		else if (conn->state > CONN_PAUSED && now - conn->since_us > ANSWER_MS * 1000)
			conn_lost(conn);
		busy += conn->has_request;
	}
	return busy;
}

static void run(struct load *load)
{
	struct epoll_event events[256];
	int64_t now = now_us();
	int busy;

	load->start_us = now;
	for (;;) {
		int n, wait_ms = 100;

		if (load->seconds && now - load->start_us >= load->seconds * 1000000)
			load->ending = true;
		busy = pump(load, now);
		if (load->ack_lines.len)
			acks_write(load);
		if (!busy && (load->ending || load->next_id >= load->limit_id))
			break;
		/* Pauses and rates need a look each millisecond; else an answer wakes us. */
		for (int i = 0; i < load->connections; i++)
			if (load->conns[i].state <= CONN_PAUSED)
				wait_ms = 1;
		n = epoll_wait(load->epoll_fd, events, 256, wait_ms);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == load)
				load->ending = true;    /* once: the watch is edge-triggered */
			else
				conn_ready(events[i].data.ptr, events[i].events);
		}
		now = now_us();
	}
	load->end_us = now;
}

static int report(const struct load *load)
{
	double seconds = (double)(load->end_us - load->start_us) / 1e6;
	struct rusage usage;

	if (seconds <= 0)
		seconds = 1e-6;
	getrusage(RUSAGE_SELF, &usage);
	printf("requests %" PRId64 "\nevents %" PRId64 "\nseconds %.3f\n", load->requests,
	       load->events, seconds);
	printf("requests_per_s %.1f\nevents_per_s %.1f\n", (double)load->requests / seconds,
	       (double)load->events / seconds);
	printf("p50_ms %.3f\np99_ms %.3f\nmax_ms %.3f\n", latency_ms(load, 0.5),
	       latency_ms(load, 0.99), (double)load->latency_max_us / 1e3);
	for (int i = 0; i < 600; i++)
		if (load->statuses[i])
			printf("status_%d %" PRId64 "\n", i, load->statuses[i]);
	printf("retries %" PRId64 "\nlost_connections %" PRId64 "\nrefused_connections "
		"%" PRId64 "\n",
	       load->retries, load->lost_connections, load->refused_connections);
	printf("unacknowledged %" PRId64 "\n", load->given_up);
	printf("cpu_s %.3f\n", (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	return load->given_up ? 1 : 0;
}

static void basic_auth(struct load *load)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[300];
	int len = snprintf(text, sizeof(text) - 3, "%.200s:", load->key);
	char *at = load->auth;

	memset(text + len, 0, 3);
	for (int i = 0; i < len; i += 3) {
		unsigned bits = (unsigned)(unsigned char)text[i] << 16 |
				(unsigned)(unsigned char)text[i + 1] << 8 |
				(unsigned char)text[i + 2];

		for (int k = 0; k < 4; k++)
			*at++ = i + k > len ? '=' : digits[bits >> (18 - 6 * k) & 63];
	}
	*at = '\0';
}

/* http://HOST:PORT */
static int resolve(struct load *load)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *info;
	const char *host = strncmp(load->url, "http://", 7) == 0 ? load->url + 7 : load->url;
	char name[256], *colon;

	snprintf(load->host, sizeof(load->host), "%.*s", (int)strcspn(host, "/"), host);
	memcpy(name, load->host, sizeof(name));
	colon = strrchr(name, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	if (name[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		memmove(name, name + 1, strlen(name));
	}
	if (getaddrinfo(name, colon + 1, &hints, &info))
		return -EINVAL;
	memcpy(&load->address, info->ai_addr, info->ai_addrlen);
	load->address_len = info->ai_addrlen;
	freeaddrinfo(info);
	return 0;
}

static int usage(void)
{
	fputs("usage: tool_load --url http://HOST:PORT [--key K] [--connections N] [--batch B]\n"
	      "         [--count EVENTS | --seconds S] [--rate EVENTS_PER_S] [--client NAME]\n"
	      "         [--acks FILE] [--retry] [--timeout S] [--path P] [--users N] [--seed N]\n"
	      "         [--first ID]\n", stderr);
	return EX_USAGE;
}

static int parse(struct load *load, int argc, char **argv)
{
	static const struct option options[] = {
		{ "url", 1, NULL, 'u' }, { "key", 1, NULL, 'k' }, { "connections", 1, NULL, 'c' },
		{ "batch", 1, NULL, 'b' }, { "count", 1, NULL, 'n' }, { "seconds", 1, NULL, 's' },
		{ "rate", 1, NULL, 'r' }, { "client", 1, NULL, 'i' }, { "acks", 1, NULL, 'a' },
		{ "retry", 0, NULL, 'R' }, { "timeout", 1, NULL, 't' }, { "path", 1, NULL, 'p' },
		{ "users", 1, NULL, 'U' }, { "seed", 1, NULL, 'S' }, { "first", 1, NULL, 'f' },
		{ NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int64_t number = optarg ? strtoll(optarg, NULL, 10) : 0;

		switch (c) {
		case 'u': load->url = optarg; break;
		case 'k': load->key = optarg; break;
		case 'c': load->connections = (int)number; break;
		case 'b': load->batch = (int)number; break;
		case 'n': load->total = number; break;
		case 's': load->seconds = number; break;
		case 'r': load->rate = number; break;
		case 'i': load->client = optarg; break;
		case 'a': load->acks = optarg; break;
		case 'R': load->retry = true; break;
		case 't': load->timeout_ms = number * 1000; break;
		case 'p': load->path = optarg; break;
		case 'U': load->users = (int)number; break;
		case 'S': load->seed = (uint64_t)number; break;
		case 'f': load->first_id = load->next_id = (uint64_t)number; break;
		default: return -EINVAL;
		}
	}
	if (!load->url || optind < argc || load->connections < 1 || load->batch < 1 ||
	    load->users < 1 || (!load->total && !load->seconds))
		return -EINVAL;
	if (!load->path)
		load->path = load->batch > 1 ? "/v1/batch" : "/v1/track";
	load->limit_id = load->total ? load->next_id + (uint64_t)load->total : UINT64_MAX;
	return resolve(load);
}

static int open_all(struct load *load)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = load };
	sigset_t ends;

	basic_auth(load);
	load->ack_lines.limit = (size_t)1 << 29;
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	load->signal_fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (load->epoll_fd < 0 || load->signal_fd < 0 ||
	    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->signal_fd, &event))
		return -errno;
	load->acks_fd = -1;
	if (load->acks)
		load->acks_fd = open(load->acks, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (load->acks && load->acks_fd < 0)
		return -errno;
	load->conns = calloc((size_t)load->connections, sizeof(*load->conns));
	if (!load->conns)
		return -ENOMEM;
	for (int i = 0; i < load->connections; i++) {
		load->conns[i].load = load;
		load->conns[i].fd = -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct load load = { .key = "wk", .client = "load", .connections = 16, .batch = 1,
			     .users = 10000, .timeout_ms = 60000 };
	int rc;

	if (parse(&load, argc, argv))
		return usage();
	rc = open_all(&load);
	if (rc) {
		fprintf(stderr, "tool_load: %s\n", strerror(-rc));
		return EX_IOERR;
	}
	run(&load);
	for (int i = 0; i < load.connections; i++) {
		conn_drop(&load.conns[i]);
		buf_close(&load.conns[i].request);
	}
	free(load.conns);
	buf_close(&load.body);
	buf_close(&load.ack_lines);
	return report(&load);
}
