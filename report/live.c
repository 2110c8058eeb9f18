// SPDX-License-Identifier: Apache-2.0
#include "report/live.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bus.h"
#include "lib/json.h"
#include "lib/record.h"
#include "lib/thread.h"
#include "lib/when.h"
#include "report/row.h"

#define WAIT_MS       100       /* rows are handed on together, at most so late */
#define UNREAD_MAX    ((size_t)1 << 20)
#define PING_MS       15000
#define FILTERS_MAX   16
#define FIRST_ROWS    50        /* a new subscriber begins with so many */
#define ROW_MAX       ((size_t)256 << 10)

struct row {
	uint64_t seq;                   /* 1, 2, ..; 0: free */
	int32_t partition;
	int64_t offset;
	char *text;                     /* owned */
	size_t len;
};

struct filter_term {
	char kind;                      /* 'e' event, 'w' where, 'q' text */
	struct slice name, value;       /* into subscriber.terms_text */
};

struct subscriber {
	struct http_request *request;
	uint64_t seq;                   /* delivered up to it */
	struct buf terms_text;
	struct filter_term terms[FILTERS_MAX];
	size_t term_count;
	struct slice after;             /* an id; into the query, for the start only */
	bool is_gone;
	struct subscriber *next;
};

struct live {
	struct live_conf conf;
	struct bus_conf bus_conf;
	struct bus *bus;                /* the thread's */
	struct schema *schema;
	pthread_t thread;
	bool is_running;
	atomic_bool is_ending, is_open;
	int wake_fd;
	struct loop_watch *watch;
	struct loop_timer *ping;
	pthread_mutex_t lock;           /* of the ring */
	struct row *ring;
	uint64_t last;                  /* seq of the newest row */
	struct subscriber *subscribers; /* the loop's */
};

/* --- the thread --- */

/* The latest rows of each partition, not all of history. */
static int64_t start_at(void *ctx, int32_t partition, struct err *err)
{
	struct live *live = ctx;
	int64_t first, end;

	(void)err;
	if (bus_range(live->bus, partition, &first, &end) < 0)
		return BUS_OFFSET_END;
	return end - first > (int64_t)live->conf.rows ? end - (int64_t)live->conf.rows : first;
}

static void keep(struct live *live, const struct bus_record *record, struct buf *text)
{
	struct row *row;
	char *copy;

	if (!record->fields ||
	    slice_is(value_slice(&record->fields[ENRICHED_TYPE]), RECORD_TYPE_MARKER))
		return;
	buf_reset(text);
	row_write(record, text);
	copy = text->failed ? NULL : malloc(text->len);
	if (!copy)
		return;
	memcpy(copy, text->ptr, text->len);
	pthread_mutex_lock(&live->lock);
	live->last++;
	row = &live->ring[live->last % live->conf.rows];
	free(row->text);
	*row = (struct row){ live->last, record->partition, record->offset, copy, text->len };
	pthread_mutex_unlock(&live->lock);
}

static void wake(struct live *live)
{
	uint64_t one = 1;

	if (write(live->wake_fd, &one, sizeof(one)) < 0)
		return;         /* its counter is full: it is awake */
}

static int follow(struct live *live, struct err *err)
{
	struct buf text = { .limit = ROW_MAX };
	struct bus_record record;
	int64_t woken_ms = 0;
	bool is_new = false;
	int rc;

	rc = bus_open(&live->bus, live->conf.in, BUS_READ, &live->bus_conf, err);
	atomic_store(&live->is_open, rc == 0);
	while (rc >= 0 && !atomic_load(&live->is_ending)) {
		int64_t now_ms = when_monotonic_ms();

		if (is_new && now_ms - woken_ms >= WAIT_MS) {
			wake(live);
			woken_ms = now_ms;
			is_new = false;
		}
		rc = bus_next(live->bus, &record, is_new ? WAIT_MS / 2 : WAIT_MS);
		if (rc == 1) {
			keep(live, &record, &text);
			is_new = true;
		}
	}
	if (rc < 0 && live->bus)
		err_set(err, rc, "%s", bus_error_text(live->bus));
	bus_close(live->bus);
	live->bus = NULL;
	buf_close(&text);
	return rc < 0 ? rc : 0;
}

static void *run(void *ctx)
{
	struct live *live = ctx;

	while (!atomic_load(&live->is_ending)) {
		struct err err = { "" };

		if (follow(live, &err) == 0)
			break;
		log_words(live->conf.log, LOG_LEVEL_ERROR, "live", "%s", err.text);
		for (int i = 0; i < 50 && !atomic_load(&live->is_ending); i++)
			usleep(100000);
	}
	return NULL;
}

/* --- subscribers --- */

static bool matches(const struct subscriber *subscriber, const struct row *row)
{
	struct slice text = { row->text, row->len };
	bool has_event = false, is_event = false;

	for (size_t i = 0; i < subscriber->term_count; i++) {
		const struct filter_term *term = &subscriber->terms[i];

		if (term->kind == 'e') {
			has_event = true;
			is_event = is_event || row_has(text, SLICE("event"), term->value);
		} else if (term->kind == 'w' ? !row_has(text, term->name, term->value) :
					       !row_contains(text, term->value)) {
			return false;
		}
	}
	return !has_event || is_event;
}

static int add_term(struct subscriber *subscriber, struct slice name, struct slice raw)
{
	struct filter_term *term = &subscriber->terms[subscriber->term_count];
	size_t at = subscriber->terms_text.len;
	const char *colon;

	if (slice_is(name, "after"))
		subscriber->after = raw;
	if (!slice_is(name, "event") && !slice_is(name, "where") && !slice_is(name, "q"))
		return 0;
	if (subscriber->term_count == FILTERS_MAX ||
	    http_unescape(raw, &subscriber->terms_text) < 0)
		return -EINVAL;
	/* The text moves while it grows: slices are set by finish_terms. */
	*term = (struct filter_term){ .kind = name.ptr[0] };
	term->value = (struct slice){ (const char *)at, subscriber->terms_text.len - at };
	if (term->kind == 'w') {
		colon = memchr(subscriber->terms_text.ptr + at, ':', term->value.len);
		if (!colon)
			return -EINVAL;
		term->name = (struct slice){ (const char *)at,
			(size_t)(colon - subscriber->terms_text.ptr) - at };
		term->value.ptr += term->name.len + 1;
		term->value.len -= term->name.len + 1;
	}
	subscriber->term_count++;
	return 0;
}

static int parse_terms(struct subscriber *subscriber, struct slice query)
{
	const char *base;
	int rc = 0;

	subscriber->terms_text.limit = 64 << 10;
	while (query.len > 0 && rc == 0) {
		const char *end = memchr(query.ptr, '&', query.len);
		size_t len = end ? (size_t)(end - query.ptr) : query.len;
		const char *equals = memchr(query.ptr, '=', len);

		if (equals)
			rc = add_term(subscriber,
				      (struct slice){ query.ptr, (size_t)(equals - query.ptr) },
				      (struct slice){ equals + 1,
						      len - (size_t)(equals + 1 - query.ptr) });
		query = slice_skip(query, len + 1);
	}
	base = subscriber->terms_text.ptr;
	for (size_t i = 0; i < subscriber->term_count; i++) {
		struct filter_term *term = &subscriber->terms[i];

		term->name.ptr = base + (size_t)term->name.ptr;
		term->value.ptr = base + (size_t)term->value.ptr;
	}
	return rc;
}

/* With the lock held: the oldest seq that the ring has. */
static uint64_t oldest(const struct live *live)
{
	return live->last > live->conf.rows ? live->last - live->conf.rows + 1 : 1;
}

/* Where to begin: behind the id that the browser saw last, else so that the latest rows come. */
static uint64_t begin_after(struct live *live, const struct subscriber *subscriber)
{
	struct slice last_id = http_header(subscriber->request, "Last-Event-ID");
	uint64_t first = oldest(live), found = 0;
	char text[64];
	int partition;
	long long offset;

	/* A browser that gave up and begins anew cannot send the header: it says after=ID. */
	if (!last_id.len)
		last_id = subscriber->after;
	snprintf(text, sizeof(text), "%.*s", (int)(last_id.len < 60 ? last_id.len : 60),
		 last_id.len ? last_id.ptr : "");
	if (sscanf(text, "%d-%lld", &partition, &offset) == 2) {
		for (uint64_t seq = live->last; seq >= first; seq--) {
			const struct row *row = &live->ring[seq % live->conf.rows];

			if (row->partition == partition && row->offset == offset)
				return seq;
		}
		return first - 1;
	}
	for (uint64_t seq = live->last; seq >= first && found < FIRST_ROWS; seq--) {
		if (matches(subscriber, &live->ring[seq % live->conf.rows]))
			found++;
		first = found == FIRST_ROWS ? seq : first;
	}
	return first - 1;
}

static void write_row(struct buf *out, const struct row *row)
{
	buf_printf(out, "id: %d-%lld\ndata: ", (int)row->partition, (long long)row->offset);
	buf_append(out, row->text, row->len);
	buf_append_text(out, "\n\n");
}

static void deliver(struct live *live, struct subscriber *subscriber)
{
	struct buf out = { .limit = 16 << 20 };

	pthread_mutex_lock(&live->lock);
	if (subscriber->seq + 1 < oldest(live))
		subscriber->seq = oldest(live) - 1;
	while (subscriber->seq < live->last) {
		const struct row *row = &live->ring[++subscriber->seq % live->conf.rows];

		if (matches(subscriber, row))
			write_row(&out, row);
	}
	pthread_mutex_unlock(&live->lock);
	if (out.len > 0 && http_stream_write(subscriber->request, buf_slice(&out)) > UNREAD_MAX)
		subscriber->is_gone = true;
	buf_close(&out);
}

static void free_subscriber(struct subscriber *subscriber)
{
	buf_close(&subscriber->terms_text);
	free(subscriber);
}

static void drop_gone(struct live *live)
{
	struct subscriber **link = &live->subscribers;

	while (*link) {
		struct subscriber *subscriber = *link;

		if (!subscriber->is_gone) {
			link = &subscriber->next;
			continue;
		}
		*link = subscriber->next;
		http_stream_end(subscriber->request);
		free_subscriber(subscriber);
	}
}

static void on_wake(void *ctx, uint32_t events)
{
	struct live *live = ctx;
	uint64_t count;

	(void)events;
	if (read(live->wake_fd, &count, sizeof(count)) < 0)
		return;
	for (struct subscriber *s = live->subscribers; s; s = s->next)
		if (!s->is_gone)
			deliver(live, s);
	drop_gone(live);
}

/* A comment now and then: proxies keep the connection, and one that is dead is found out. */
static void on_ping(void *ctx)
{
	struct live *live = ctx;

	for (struct subscriber *s = live->subscribers; s; s = s->next)
		if (!s->is_gone &&
		    http_stream_write(s->request, SLICE(": ping\n\n")) > UNREAD_MAX)
			s->is_gone = true;
	drop_gone(live);
}

static void answer_list(struct live *live, const struct subscriber *subscriber)
{
	struct buf out = { .limit = 64 << 20 };
	char headers[2048];
	bool is_first = true;

	buf_append_text(&out, "{\"rows\":[");
	pthread_mutex_lock(&live->lock);
	for (uint64_t seq = live->last, found = 0; seq >= oldest(live) && found < 200; seq--) {
		const struct row *row = &live->ring[seq % live->conf.rows];

		if (!matches(subscriber, row))
			continue;
		found++;
		buf_append_text(&out, is_first ? "" : ",");
		buf_append(&out, row->text, row->len);
		is_first = false;
	}
	pthread_mutex_unlock(&live->lock);
	buf_append_text(&out, "]}");
	snprintf(headers, sizeof(headers), "%sContent-Type: application/json\r\n"
		 "Cache-Control: no-store\r\n", live->conf.headers);
	http_answer(subscriber->request, 200, headers, buf_slice(&out));
	buf_close(&out);
}

void live_answer(struct live *live, struct http_request *request)
{
	struct subscriber *subscriber = calloc(1, sizeof(*subscriber));
	struct slice accept = http_header(request, "Accept");
	char headers[2048];

	if (!subscriber || parse_terms(subscriber, request->query) < 0) {
		http_answer(
			request, 400, live->conf.headers,
			SLICE("{\"error\":{\"code\":\"query\",\"at\":\"\",\"message\":\"at most 16 "
			      "of event=NAME, where=FIELD:VALUE, q=TEXT\"}}"));
		if (subscriber)
			free_subscriber(subscriber);
		return;
	}
	subscriber->request = request;
	if (!memmem(accept.ptr ? accept.ptr : "", accept.len, "text/event-stream", 17)) {
		answer_list(live, subscriber);
		free_subscriber(subscriber);
		return;
	}
	snprintf(headers, sizeof(headers), "%sContent-Type: text/event-stream\r\n"
		 "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n", live->conf.headers);
	pthread_mutex_lock(&live->lock);
	subscriber->seq = begin_after(live, subscriber);
	pthread_mutex_unlock(&live->lock);
	http_stream_begin(request, 200, headers);
	http_stream_write(request, SLICE("retry: 1000\n\n"));
	subscriber->next = live->subscribers;
	live->subscribers = subscriber;
	request->ctx = subscriber;
	deliver(live, subscriber);
}

void live_gone(struct live *live, struct http_request *request)
{
	struct subscriber *subscriber = request->ctx;

	if (subscriber)
		subscriber->is_gone = true;
	drop_gone(live);
}

uint64_t live_count(const struct live *live)
{
	return live ? live->last : 0;
}

int live_open(struct live **livep, const struct live_conf *conf, struct err *err)
{
	struct live *live = calloc(1, sizeof(*live));
	int rc;

	*livep = live;
	if (!live || !(live->ring = calloc(conf->rows, sizeof(*live->ring))))
		return err_set(err, -ENOMEM, "no memory");
	live->conf = *conf;
	live->schema = record_schema("enriched");
	live->bus_conf = (struct bus_conf){ .schema = live->schema, .log = conf->log,
					    .start = start_at, .start_ctx = live,
					    .kafka = conf->kafka, .open_ms = conf->open_ms };
	pthread_mutex_init(&live->lock, NULL);
	live->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (live->wake_fd < 0)
		return err_set(err, -errno, "an eventfd: %s", strerror(errno));
	rc = loop_watch(conf->loop, live->wake_fd, EPOLLIN, on_wake, live, &live->watch);
	if (rc == 0)
		rc = loop_timer(conf->loop, PING_MS, true, on_ping, live, &live->ping);
	if (rc == 0)
		rc = thread_start(&live->thread, run, live);
	live->is_running = rc == 0;
	return rc < 0 ? err_set(err, rc, "a thread: %s", strerror(-rc)) : 0;
}

void live_close(struct live *live)
{
	if (!live)
		return;
	atomic_store(&live->is_ending, true);
	while (live->subscribers) {
		live->subscribers->is_gone = true;
		drop_gone(live);
	}
	/* A topic that is not there yet is waited for inside bus_open: the process ends with it. */
	if (live->is_running && !atomic_load(&live->is_open)) {
		pthread_detach(live->thread);
		return;
	}
	if (live->is_running)
		pthread_join(live->thread, NULL);
	loop_unwatch(live->watch);
	loop_timer_stop(live->ping);
	close(live->wake_fd);
	for (size_t i = 0; i < live->conf.rows; i++)
		free(live->ring[i].text);
	free(live->ring);
	schema_close(live->schema);
	pthread_mutex_destroy(&live->lock);
	free(live);
}
