// SPDX-License-Identifier: Apache-2.0
#include "sink/carrier.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/thread.h"
#include "lib/when.h"
#include "sink/pace.h"
#include "sink/parcel.h"

#define QUEUE_LETTERS ((size_t)20000)
#define QUEUE_BYTES   ((size_t)64 << 20)
#define TICK_MS       1000
#define WARN_EVERY_MS 10000

enum count { COUNT_REQUESTS, COUNT_OK, COUNT_TRANSIENT, COUNT_THROTTLED, COUNT_INVALID,
	     COUNT_SETUP, COUNT_RETRIES, COUNT_DEAD, COUNT_WINDOW, COUNT_RUNNING, COUNT_STATE,
	     COUNT_MAX };

struct heap {                           /* of parked parcels, the earliest first */
	struct parcel **items;
	size_t count, cap;
};

struct carrier {
	struct carrier_conf conf;
	const struct dest_kind *kind;
	pthread_t thread;
	bool has_thread;
	struct metric *counts[COUNT_MAX];       /* the filter's, gone when it ends */
	atomic_int_fast64_t values[COUNT_MAX];
	/* the thread's own */
	struct pace pace;
	struct sorter *sorter;
	struct post *post;
	struct heap parked;
	struct post_request *requests[256];     /* free ones */
	struct parcel *flying[256];
	int request_count, running;
	struct dest_result *results;
	bool *keep;
	int64_t warned_ms;
	/* shared, under the lock */
	pthread_mutex_t lock;
	pthread_cond_t settled;
	struct letter *in_head, *in_tail, *out_head, *out_tail;
	size_t letters, bytes;
	bool is_flushing, is_stopping, is_waiting;
	int64_t stop_ms;                /* end of grace */
	struct carrier_status status;
};

/* Metrics and status */

void carrier_metrics(struct carrier *carrier, struct metric_set *set)
{
	static const struct {
		const char *name, *labels, *help;
		enum metric_kind kind;
	} table[COUNT_MAX] = {
		{ "millrace_sink_requests_total", "", "Requests sent.", METRIC_COUNTER },
		{ "millrace_sink_parts_total", "class=\"ok\"", "Parts, by what became of them.",
		  METRIC_COUNTER },
		{ "millrace_sink_parts_total", "class=\"transient\"", "", METRIC_COUNTER },
		{ "millrace_sink_parts_total", "class=\"throttled\"", "", METRIC_COUNTER },
		{ "millrace_sink_parts_total", "class=\"invalid\"", "", METRIC_COUNTER },
		{ "millrace_sink_parts_total", "class=\"setup\"", "", METRIC_COUNTER },
		{ "millrace_sink_retries_total", "", "Requests that were a retry.",
		  METRIC_COUNTER },
		{ "millrace_sink_dead_total", "", "Events that became dead letters.",
		  METRIC_COUNTER },
		{ "millrace_sink_window", "", "Requests allowed at once now.", METRIC_GAUGE },
		{ "millrace_sink_running", "", "Requests under way.", METRIC_GAUGE },
		{ "millrace_sink_state", "", "0 delivering, 1 waiting, 2 stopped by a setup error.",
		  METRIC_GAUGE },
	};

	for (int i = 0; i < COUNT_MAX; i++)
		carrier->counts[i] = metric_add(set, table[i].kind, table[i].name, table[i].labels,
						table[i].help);
}

static void bump(struct carrier *c, enum count count, int64_t n)
{
	atomic_fetch_add_explicit(&c->values[count], n, memory_order_relaxed);
}

static void gauges(struct carrier *c)
{
	atomic_store_explicit(&c->values[COUNT_WINDOW], (int64_t)c->pace.window,
			      memory_order_relaxed);
	atomic_store_explicit(&c->values[COUNT_RUNNING], c->running, memory_order_relaxed);
	atomic_store_explicit(&c->values[COUNT_STATE], c->status.state, memory_order_relaxed);
}

void carrier_show(struct carrier *carrier)
{
	for (int i = 0; i < COUNT_MAX && carrier->counts[0]; i++)
		metric_set_value(carrier->counts[i],
				 atomic_load_explicit(&carrier->values[i], memory_order_relaxed));
}

/* A change of state is one log line; repeats are one in a while. */
static void set_state(struct carrier *c, enum carrier_state state, const char *words)
{
	static const char *const names[] = { "delivering", "waiting", "setup" };
	int64_t now_ms = when_monotonic_ms();
	struct log_line line;
	bool changed;

	pthread_mutex_lock(&c->lock);
	changed = c->status.state != state;
	if (changed)
		c->status.state_us = when_now_us();
	if (state == CARRIER_OK)
		c->status.ok_us = when_now_us();
	else
		c->status.failed_us = when_now_us();
	c->status.state = state;
	snprintf(c->status.words, sizeof(c->status.words), "%s", state == CARRIER_OK ? "" : words);
	pthread_mutex_unlock(&c->lock);
	if (!changed && (state == CARRIER_OK || now_ms - c->warned_ms < WARN_EVERY_MS))
		return;
	c->warned_ms = now_ms;
	log_begin(&line, c->conf.log, state == CARRIER_OK ? LOG_LEVEL_INFO :
		  state == CARRIER_SETUP ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, names[state]);
	log_str(&line, "to", c->conf.setup->name);
	if (state != CARRIER_OK)
		log_str(&line, "why", words);
	if (state == CARRIER_SETUP)
		log_str(&line, "what", "nothing is sent until this is mended; events are kept");
	log_end(&line);
}

/* Heap */

static int park(struct carrier *c, struct parcel *parcel, int64_t due_ms)
{
	struct heap *heap = &c->parked;
	size_t i = heap->count;

	if (heap->count == heap->cap) {
		size_t cap = heap->cap ? heap->cap * 2 : 64;
		struct parcel **items = reallocarray(heap->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		heap->items = items;
		heap->cap = cap;
	}
	parcel->due_ms = due_ms;
	for (heap->count++; i && heap->items[(i - 1) / 2]->due_ms > due_ms; i = (i - 1) / 2)
		heap->items[i] = heap->items[(i - 1) / 2];
	heap->items[i] = parcel;
	return 0;
}

static struct parcel *unpark(struct carrier *c)
{
	struct heap *heap = &c->parked;
	struct parcel *first = heap->items[0], *last = heap->items[--heap->count];
	size_t i = 0, child;

	while ((child = i * 2 + 1) < heap->count) {
		if (child + 1 < heap->count &&
		    heap->items[child + 1]->due_ms < heap->items[child]->due_ms)
			child++;
		if (heap->items[child]->due_ms >= last->due_ms)
			break;
		heap->items[i] = heap->items[child];
		i = child;
	}
	heap->items[i] = last;
	return first;
}

/* The other side works again: what was parked need not wait for its own time. */
static void wake_parked(struct carrier *c, int64_t now_ms)
{
	for (size_t i = 0; i < c->parked.count; i++)
		if (c->parked.items[i]->due_ms > now_ms)
			c->parked.items[i]->due_ms = now_ms;
}

/* Settling */

static void fail(struct carrier *c, int rc)
{
	pthread_mutex_lock(&c->lock);
	if (c->status.error == 0)
		c->status.error = rc;
	pthread_cond_broadcast(&c->settled);
	pthread_mutex_unlock(&c->lock);
}

/* The part needs nothing more; with the letter's last one the letter goes back. */
static void settle(struct carrier *c, struct part *part, const struct dest_result *dead)
{
	struct letter *letter = part->letter;

	sorter_release(c->sorter, part);
	if (dead && !letter->is_dead) {
		letter->is_dead = true;
		letter->why = dead->class;
		memcpy(letter->words, dead->words, sizeof(letter->words));
	}
	if (--letter->parts_left)
		return;
	/* A dead one is settled by the courier, when bad has it safe. */
	if (!letter->is_dead && c->conf.position)
		position_settle(c->conf.position, letter->partition, letter->offset);
	letter->next = NULL;
	pthread_mutex_lock(&c->lock);
	if (c->out_tail)
		c->out_tail->next = letter;
	else
		c->out_head = letter;
	c->out_tail = letter;
	c->letters--;
	c->bytes -= letter->bytes;
	c->status.delivered += !letter->is_dead;
	c->status.dead += letter->is_dead;
	pthread_mutex_unlock(&c->lock);
	bump(c, COUNT_DEAD, letter->is_dead);
}

static void parcel_done(struct carrier *c, struct parcel *parcel, int64_t now_ms)
{
	struct parcel *then = parcel->then;

	parcel_close(parcel);
	if (then && park(c, then, now_ms) < 0)
		fail(c, -ENOMEM);
}

/* One bad part among many, and the other side cannot say which: two halves are tried. */
static int split(struct carrier *c, struct parcel *parcel, int64_t now_ms)
{
	struct parcel *rest = parcel_cut(parcel, parcel->count / 2);

	if (!rest)
		return -ENOMEM;
	if (!c->conf.setup->by_person)
		return park(c, rest, now_ms) < 0 ? -ENOMEM : park(c, parcel, now_ms);
	rest->then = parcel->then;
	parcel->then = rest;
	return park(c, parcel, now_ms);
}

struct verdict {
	size_t count[5];                /* by class */
	int64_t retry_after_ms;
	const char *words;              /* of the first that is not ok */
};

static struct verdict count_results(const struct dest_result *results, size_t count)
{
	struct verdict v = { .retry_after_ms = -1, .words = "" };

	for (size_t i = 0; i < count; i++) {
		v.count[results[i].class]++;
		if (results[i].retry_after_ms > v.retry_after_ms)
			v.retry_after_ms = results[i].retry_after_ms;
		if (results[i].class != DEST_OK && !v.words[0])
			v.words = results[i].words;
	}
	return v;
}

/* What the answer says of the other side as a whole. */
static void set_pace(struct carrier *c, const struct verdict *v, size_t count, int64_t now_ms)
{
	bool was_open = c->pace.is_open;

	if (v->count[DEST_SETUP]) {
		c->pace.is_open = true;         /* one at a time until one is good */
		pace_pause(&c->pace, now_ms + c->conf.setup->retry_max_ms);
		set_state(c, CARRIER_SETUP, v->words);
	} else if (v->count[DEST_THROTTLED]) {
		pace_throttled(&c->pace, now_ms, v->retry_after_ms);
		set_state(c, CARRIER_WAITING, v->words);
	} else if (v->count[DEST_TRANSIENT] == count) {
		pace_failed(&c->pace, now_ms);
		set_state(c, CARRIER_WAITING, v->words);
	} else {
		pace_good(&c->pace);
		if (was_open)
			wake_parked(c, now_ms);
		set_state(c, CARRIER_OK, "");
	}
}

static void count_all(struct carrier *c, const struct verdict *v)
{
	bump(c, COUNT_OK, (int64_t)v->count[DEST_OK]);
	bump(c, COUNT_TRANSIENT, (int64_t)v->count[DEST_TRANSIENT]);
	bump(c, COUNT_THROTTLED, (int64_t)v->count[DEST_THROTTLED]);
	bump(c, COUNT_INVALID, (int64_t)v->count[DEST_INVALID]);
	bump(c, COUNT_SETUP, (int64_t)v->count[DEST_SETUP]);
}

/* Which parts stay for another try. */
static size_t sort_results(struct carrier *c, struct parcel *parcel, bool *keep, int64_t now_ms)
{
	bool is_late = now_ms - parcel->first_ms >= c->conf.setup->retry_for_ms;
	size_t left = 0;

	for (size_t i = 0; i < parcel->count; i++) {
		struct dest_result *result = &c->results[i];

		parcel->parts[i]->letter->attempts = parcel->attempts;
		keep[i] = result->class == DEST_SETUP ||
			  (result->class != DEST_OK && result->class != DEST_INVALID && !is_late);
		left += keep[i];
		if (!keep[i])
			settle(c, parcel->parts[i], result->class == DEST_OK ? NULL : result);
	}
	return left;
}

static void judged(struct carrier *c, struct parcel *parcel)
{
	bool whole = (c->kind->flags & DEST_WHOLE) || (!c->kind->put && !c->kind->judge);
	struct verdict v = count_results(c->results, parcel->count);
	int64_t now_ms = when_monotonic_ms(), wait_ms;
	int rc = 0;

	count_all(c, &v);
	set_pace(c, &v, parcel->count, now_ms);
	if (whole && parcel->count > 1 && v.count[DEST_INVALID] == parcel->count) {
		rc = split(c, parcel, now_ms);
	} else if (sort_results(c, parcel, c->keep, now_ms) == 0) {
		parcel_done(c, parcel, now_ms);
	} else {
		parcel_keep(parcel, c->keep);
		wait_ms = v.count[DEST_SETUP] ? 0 : v.retry_after_ms >= 0
			  ? v.retry_after_ms : pace_backoff(&c->pace, parcel->attempts);
		rc = park(c, parcel, now_ms + wait_ms);
	}
	if (rc == 0 && c->conf.position)
		rc = position_save(c->conf.position, false);
	pthread_mutex_lock(&c->lock);
	pthread_cond_broadcast(&c->settled);
	pthread_mutex_unlock(&c->lock);
	if (rc < 0)
		fail(c, rc);
	else if (v.count[DEST_SETUP] && c->conf.until_end)
		fail(c, -EINVAL);
}

static void clear_results(struct carrier *c, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		c->results[i].class = DEST_OK;
		c->results[i].retry_after_ms = -1;
		c->results[i].words[0] = '\0';
	}
}

static void answered(void *ctx, void *request_ctx, const struct post_answer *answer)
{
	struct carrier *c = ctx;
	struct parcel *parcel = request_ctx;
	struct dest_batch *batch = &parcel->batch;

	c->requests[c->request_count++] = parcel->request;
	parcel->request = NULL;
	for (int i = 0; i < c->running; i++) {
		if (c->flying[i] == parcel) {
			c->flying[i] = c->flying[--c->running];
			break;
		}
	}
	clear_results(c, parcel->count);
	if (answer->status == 0)
		dest_result_all(batch, c->results, answer->is_setup ? DEST_SETUP : DEST_TRANSIENT,
				slice_from(answer->error));
	else if (c->kind->judge)
		c->kind->judge(c->conf.dest, batch, answer, c->results);
	else
		dest_judge_status(batch, answer, c->results);
	judged(c, parcel);
}

/* Sending */

static struct post_request *get_request(struct carrier *c)
{
	if (c->request_count)
		return c->requests[--c->request_count];
	return calloc(1, sizeof(struct post_request));
}

static void send_parcel(struct carrier *c, struct parcel *parcel, int64_t now_ms)
{
	int rc;

	if (parcel->first_ms == 0) {
		parcel->first_ms = now_ms;
		for (size_t i = 0; i < parcel->count; i++)
			if (parcel->parts[i]->letter->first_us == 0)
				parcel->parts[i]->letter->first_us = when_now_us();
	}
	bump(c, COUNT_REQUESTS, 1);
	bump(c, COUNT_RETRIES, parcel->attempts > 0);
	parcel->batch.attempt = ++parcel->attempts;
	pace_take(&c->pace, (int64_t)parcel->count);
	if (c->kind->put) {
		clear_results(c, parcel->count);
		c->kind->put(c->conf.dest, &parcel->batch, c->results);
		judged(c, parcel);
		return;
	}
	parcel->request = get_request(c);
	if (!parcel->request) {
		fail(c, -ENOMEM);
		return;
	}
	post_request_reset(parcel->request);
	rc = c->kind->build(c->conf.dest, &parcel->batch, parcel->request);
	if (rc == 0 && parcel->request->body.failed)
		rc = -ENOMEM;
	if (rc == 0)
		rc = post_send(c->post, parcel->request, parcel);
	if (rc < 0) {
		fail(c, rc);
		return;
	}
	c->flying[c->running++] = parcel;
}

static struct parcel *next_parcel(struct carrier *c, int64_t now_ms, bool flush)
{
	if (c->parked.count && c->parked.items[0]->due_ms <= now_ms)
		return unpark(c);
	/* A probe is one that has failed before, where there is one. */
	if (c->pace.is_open && c->parked.count)
		return unpark(c);
	return sorter_next(c->sorter, now_ms, flush);
}

static void send_all(struct carrier *c, bool flush)
{
	int64_t now_ms = when_monotonic_ms();
	struct parcel *parcel;

	while (c->status.error == 0 && pace_may_send(&c->pace, now_ms, c->running) &&
	       pace_allows(&c->pace, now_ms, 1) > 0 &&
	       (parcel = next_parcel(c, now_ms, flush))) {
		send_parcel(c, parcel, now_ms);
		if (c->kind->put)
			break;          /* it took its time: look at the inbox */
	}
}

static void take_inbox(struct carrier *c)
{
	int64_t now_ms = when_monotonic_ms();
	struct letter *letter;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	letter = c->in_head;
	c->in_head = c->in_tail = NULL;
	pthread_mutex_unlock(&c->lock);
	for (; letter && rc == 0; letter = letter->next)
		for (unsigned i = 0; i < letter->part_count && rc == 0; i++)
			rc = sorter_add(c->sorter, &letter->parts[i], now_ms);
	if (rc < 0)
		fail(c, rc);
}

static int wait_ms(struct carrier *c, bool flush)
{
	int64_t now_ms = when_monotonic_ms(), due = now_ms + TICK_MS, at;

	if ((at = pace_next_ms(&c->pace, now_ms)) < due && at > now_ms)
		due = at;
	if (!pace_may_send(&c->pace, now_ms, c->running) || pace_allows(&c->pace, now_ms, 1) == 0)
		return (int)(due - now_ms);
	if (c->parked.count && (c->pace.is_open ? now_ms : c->parked.items[0]->due_ms) < due)
		due = c->parked.items[0]->due_ms;
	if ((at = sorter_due_ms(c->sorter, now_ms, flush)) < due)
		due = at;
	return due <= now_ms ? 0 : (int)(due - now_ms);
}

static void *run(void *ctx)
{
	struct carrier *c = ctx;
	bool flush, stop, has_mail;
	int rc = 0;

	do {
		take_inbox(c);
		pthread_mutex_lock(&c->lock);
		flush = c->is_flushing;
		stop = c->is_stopping;
		pthread_mutex_unlock(&c->lock);
		if (!stop)
			send_all(c, flush);
		gauges(c);
		if (stop && (c->running == 0 || when_monotonic_ms() >= c->stop_ms))
			break;
		pthread_mutex_lock(&c->lock);
		has_mail = c->in_head != NULL;
		c->is_waiting = !has_mail;
		pthread_mutex_unlock(&c->lock);
		rc = post_wait(c->post, has_mail ? 0 : stop ? 20 : wait_ms(c, flush));
		pthread_mutex_lock(&c->lock);
		c->is_waiting = false;
		pthread_mutex_unlock(&c->lock);
		if (rc < 0)
			fail(c, rc);
	} while (rc == 0);
	return NULL;
}

/* The other side of the lock */

static void wake(struct carrier *c)
{
	bool was_waiting = c->is_waiting;

	c->is_waiting = false;
	if (was_waiting)
		post_wake(c->post);
}

bool carrier_has_room(struct carrier *c)
{
	size_t bytes = c->conf.setup->limits.bytes * 3;
	size_t letters = c->conf.setup->limits.items * 3;
	bool room;

	if (bytes < QUEUE_BYTES)
		bytes = QUEUE_BYTES;
	if (letters < QUEUE_LETTERS)
		letters = QUEUE_LETTERS;
	pthread_mutex_lock(&c->lock);
	room = c->letters < letters && c->bytes < bytes;
	pthread_mutex_unlock(&c->lock);
	return room;
}

void carrier_put(struct carrier *c, struct letter *letter)
{
	letter->next = NULL;
	pthread_mutex_lock(&c->lock);
	if (c->in_head)
		c->in_tail->next = letter;
	else
		c->in_head = letter;
	c->in_tail = letter;
	c->letters++;
	c->bytes += letter->bytes;
	wake(c);
	pthread_mutex_unlock(&c->lock);
}

struct letter *carrier_take(struct carrier *c)
{
	struct letter *list;

	pthread_mutex_lock(&c->lock);
	list = c->out_head;
	c->out_head = c->out_tail = NULL;
	pthread_mutex_unlock(&c->lock);
	return list;
}

void carrier_wait(struct carrier *c, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&c->lock);
	if (!c->out_head && c->status.error == 0)
		pthread_cond_timedwait(&c->settled, &c->lock, &until);
	pthread_mutex_unlock(&c->lock);
}

void carrier_flush(struct carrier *c, bool flush)
{
	pthread_mutex_lock(&c->lock);
	if (c->is_flushing != flush) {
		c->is_flushing = flush;
		wake(c);
	}
	pthread_mutex_unlock(&c->lock);
}

void carrier_status(struct carrier *c, struct carrier_status *status)
{
	pthread_mutex_lock(&c->lock);
	*status = c->status;
	status->under_way = c->letters;
	pthread_mutex_unlock(&c->lock);
}

void carrier_stop(struct carrier *c, int64_t grace_ms)
{
	if (!c || !c->has_thread)
		return;
	pthread_mutex_lock(&c->lock);
	c->is_stopping = true;
	c->stop_ms = when_monotonic_ms() + grace_ms;
	if (c->conf.stop)
		atomic_store(c->conf.stop, true);
	pthread_mutex_unlock(&c->lock);
	post_wake(c->post);
	pthread_join(c->thread, NULL);
	c->has_thread = false;
}

static void parcels_close(struct carrier *c)
{
	for (size_t i = 0; i < c->parked.count; i++) {
		struct parcel *parcel = c->parked.items[i];

		while (parcel) {
			struct parcel *then = parcel->then;

			parcel_close(parcel);
			parcel = then;
		}
	}
	free(c->parked.items);
	for (int i = 0; i < c->running; i++) {
		c->requests[c->request_count++] = c->flying[i]->request;
		parcel_close(c->flying[i]);
	}
}

void carrier_close(struct carrier *c)
{
	if (!c)
		return;
	carrier_stop(c, 0);
	post_close(c->post);
	parcels_close(c);
	sorter_close(c->sorter);
	for (int i = 0; i < c->request_count; i++) {
		post_request_close(c->requests[i]);
		free(c->requests[i]);
	}
	free(c->results);
	free(c->keep);
	pthread_cond_destroy(&c->settled);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int open_parts(struct carrier *c, struct err *err)
{
	const struct setup *setup = c->conf.setup;
	const unsigned flags = setup->kind->flags;
	struct sorter_conf sorter = {
		.limits = setup->limits, .is_ordered = setup->by_person || (flags & DEST_PARTITION),
		.is_atomic = flags & (DEST_ATOMIC | DEST_PARTITION),
		.by_partition = flags & DEST_PARTITION, .has_key = !(flags & DEST_NO_BATCH_KEY),
	};
	struct pace_conf pace = {
		.min_ms = setup->retry_min_ms, .max_ms = setup->retry_max_ms,
		.window_max = setup->limits.concurrency, .per_second = setup->limits.per_second,
		.seed = (uint64_t)when_now_us() * 2 + 1,
	};
	struct post_conf post = {
		.guard = c->conf.guard, .log = c->conf.log,
		.connections = setup->limits.concurrency,
		.timeout_ms = setup->limits.timeout_ms, .user_agent = "millrace",
		.ca_file = c->conf.ca_file, .done = answered, .ctx = c,
	};

	pace_init(&c->pace, &pace, when_monotonic_ms());
	c->results = calloc(setup->limits.items, sizeof(*c->results));
	c->keep = calloc(setup->limits.items, sizeof(*c->keep));
	if (!c->results || !c->keep || sorter_open(&c->sorter, &sorter) < 0)
		return err_set(err, -ENOMEM, "no memory");
	return post_open(&c->post, &post, err);
}

int carrier_open(struct carrier **carrierp, const struct carrier_conf *conf, struct err *err)
{
	struct carrier *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	int rc;

	*carrierp = NULL;
	if (!c)
		return err_set(err, -ENOMEM, "no memory");
	c->conf = *conf;
	c->kind = conf->setup->kind;
	c->status.state_us = when_now_us();
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->settled, &attr);
	pthread_condattr_destroy(&attr);
	rc = open_parts(c, err);
	if (rc == 0) {
		rc = thread_start(&c->thread, run, c);
		c->has_thread = rc == 0;
	}
	if (rc < 0) {
		carrier_close(c);
		return err_set(err, rc, "carrier: %s", strerror(-rc));
	}
	*carrierp = c;
	return 0;
}
