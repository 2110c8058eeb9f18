// SPDX-License-Identifier: Apache-2.0
#include "lib/stage.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/block.h"
#include "lib/bus.h"
#include "lib/thread.h"

#define POOL_BYTES_MAX  ((size_t)4 << 20)       /* of empty chunks that are kept */
#define BACKOFF_MIN_MS  100
#define BACKOFF_MAX_MS  5000
#define ERROR_TEXTS     8

struct stage {
	struct stage_conf conf;
	pthread_t thread;
	bool has_thread;
	int event_fd;

	/* the owner's, without a lock */
	struct stage_list *staged;      /* [partitions] */
	uint64_t staged_seq;
	int64_t staged_bytes;
	uint64_t seen;                  /* durable mark when the owner last looked */

	/* under the mutex */
	pthread_mutex_t mutex;
	pthread_cond_t work;            /* for the thread */
	pthread_cond_t done;            /* for waiters */
	struct stage_list *ready;       /* [partitions] */
	uint64_t ready_seq;
	int64_t ready_bytes;
	int flushing;                   /* callers inside stage_flush */
	bool stop;
	struct stage_chunk *pool;
	size_t pool_bytes;
	char texts[ERROR_TEXTS][sizeof(((struct err *)0)->text)];
	unsigned int text_next;

	/* the thread's */
	struct stage_list *round;       /* [partitions] */
	int64_t tick_at;

	_Atomic uint64_t durable;
	_Atomic int64_t pending_bytes;  /* released, not durable */
	_Atomic int error;
	_Atomic(const char *) text;     /* into texts, a ring: a reader of one is not raced */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t at_ms)
{
	struct timespec at = { .tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000 };

	pthread_cond_timedwait(cond, mutex, &at);
}

static void list_add(struct stage_list *list, struct stage_chunk *chunk)
{
	chunk->next = NULL;
	if (list->last)
		list->last->next = chunk;
	else
		list->first = chunk;
	list->last = chunk;
}

/* Under the mutex. */
static void chunk_give(struct stage *stage, struct stage_chunk *chunk)
{
	if (stage->pool_bytes + chunk->bytes.cap > POOL_BYTES_MAX) {
		buf_close(&chunk->bytes);
		free(chunk);
		return;
	}
	buf_reset(&chunk->bytes);
	chunk->count = 0;
	chunk->next = stage->pool;
	stage->pool = chunk;
	stage->pool_bytes += chunk->bytes.cap;
}

static struct stage_chunk *chunk_take(struct stage *stage)
{
	struct stage_chunk *chunk;

	pthread_mutex_lock(&stage->mutex);
	chunk = stage->pool;
	if (chunk) {
		stage->pool = chunk->next;
		stage->pool_bytes -= chunk->bytes.cap;
	}
	pthread_mutex_unlock(&stage->mutex);
	return chunk ? chunk : calloc(1, sizeof(*chunk));
}

static void list_free(struct stage_list *list)
{
	struct stage_chunk *next;

	for (struct stage_chunk *chunk = list->first; chunk; chunk = next) {
		next = chunk->next;
		buf_close(&chunk->bytes);
		free(chunk);
	}
	*list = (struct stage_list){ 0 };
}

void stage_done(struct stage *stage, struct stage_list *list)
{
	struct stage_chunk *next;
	int64_t bytes = 0;

	pthread_mutex_lock(&stage->mutex);
	for (struct stage_chunk *chunk = list->first; chunk; chunk = next) {
		next = chunk->next;
		bytes += (int64_t)chunk->bytes.len;
		chunk_give(stage, chunk);
	}
	pthread_mutex_unlock(&stage->mutex);
	*list = (struct stage_list){ 0 };
	atomic_fetch_sub(&stage->pending_bytes, bytes);
}

static void notify(struct stage *stage)
{
	uint64_t one = 1;
	ssize_t n = write(stage->event_fd, &one, sizeof(one));

	(void)n;        /* a full counter is readable already */
	pthread_cond_broadcast(&stage->done);
}

/* Under the mutex. rc == 0 clears the error. */
static void error_set(struct stage *stage, int rc, const struct err *err)
{
	char *text = stage->texts[stage->text_next++ % ERROR_TEXTS];
	size_t i;

	for (i = 0; rc && i < sizeof(err->text) - 1 && err->text[i]; i++)
		text[i] = err->text[i];
	text[i] = '\0';
	atomic_store(&stage->text, text);
	atomic_store(&stage->error, rc);
}

/* Commits the round that was taken, with patience where that is asked for. */
static int round_commit(struct stage *stage)
{
	int64_t pause_ms = BACKOFF_MIN_MS;

	for (;;) {
		struct err err = { "" };
		int rc = stage->conf.commit(stage->conf.ctx, stage->round, &err);
		int64_t at;

		pthread_mutex_lock(&stage->mutex);
		if (rc == 0 && atomic_load(&stage->error) == 0) {
			pthread_mutex_unlock(&stage->mutex);
			return 0;
		}
		error_set(stage, rc, &err);
		notify(stage);
		at = now_ms() + pause_ms;
		while (rc && stage->conf.retry && !stage->stop && now_ms() < at)
			wait_until(&stage->work, &stage->mutex, at);
		if (!rc || !stage->conf.retry || stage->stop) {
			pthread_mutex_unlock(&stage->mutex);
			return rc;
		}
		pthread_mutex_unlock(&stage->mutex);
		pause_ms = pause_ms * 2 < BACKOFF_MAX_MS ? pause_ms * 2 : BACKOFF_MAX_MS;
	}
}

/* Under the mutex: waits for the time of the next round. false: stop. */
static bool round_wait(struct stage *stage, int64_t last_ms)
{
	int64_t start_at = last_ms + stage->conf.commit_ms;

	while (!stage->stop) {
		bool some = stage->ready_seq > atomic_load(&stage->durable);
		int64_t now = now_ms();

		if (some && (stage->flushing || stage->ready_bytes >= stage->conf.eager_bytes ||
			     now >= start_at))
			return true;
		if (stage->conf.tick && now >= stage->tick_at) {
			pthread_mutex_unlock(&stage->mutex);
			stage->conf.tick(stage->conf.ctx);
			pthread_mutex_lock(&stage->mutex);
			stage->tick_at = now_ms() + stage->conf.tick_ms;
			continue;
		}
		if (some)
			wait_until(&stage->work, &stage->mutex, start_at);
		else if (stage->conf.tick)
			wait_until(&stage->work, &stage->mutex, stage->tick_at);
		else
			pthread_cond_wait(&stage->work, &stage->mutex);
	}
	return false;
}

static void *stage_run(void *arg)
{
	struct stage *stage = arg;
	int64_t last_ms = now_ms() - stage->conf.commit_ms;

	pthread_mutex_lock(&stage->mutex);
	while (round_wait(stage, last_ms)) {
		uint64_t seq = stage->ready_seq;
		struct stage_list *taken = stage->ready;
		int rc;

		stage->ready = stage->round;
		stage->round = taken;
		stage->ready_bytes = 0;
		pthread_mutex_unlock(&stage->mutex);
		last_ms = now_ms();
		rc = round_commit(stage);
		pthread_mutex_lock(&stage->mutex);
		if (rc < 0)
			break;
		atomic_store(&stage->durable, seq);
		notify(stage);
	}
	pthread_mutex_unlock(&stage->mutex);
	return NULL;
}

int stage_open(struct stage **stagep, const struct stage_conf *conf, struct err *err)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	size_t n = (size_t)conf->partitions;
	pthread_condattr_t attr;
	int rc = -ENOMEM;

	if (!stage)
		return err_set(err, -ENOMEM, "out of memory");
	stage->conf = *conf;
	stage->tick_at = now_ms() + conf->tick_ms;
	atomic_store(&stage->text, "");
	pthread_mutex_init(&stage->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&stage->work, &attr);
	pthread_cond_init(&stage->done, &attr);
	pthread_condattr_destroy(&attr);
	stage->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	stage->staged = calloc(n, sizeof(*stage->staged));
	stage->ready = calloc(n, sizeof(*stage->ready));
	stage->round = calloc(n, sizeof(*stage->round));
	if (stage->event_fd >= 0 && stage->staged && stage->ready && stage->round)
		rc = thread_start(&stage->thread, stage_run, stage);
	stage->has_thread = rc == 0;
	if (rc < 0) {
		stage_close(stage);
		return err_set(err, rc, "cannot start the commit thread: %s", strerror(-rc));
	}
	*stagep = stage;
	return 0;
}

static int sticky(struct stage *stage)
{
	return stage->conf.retry ? 0 : atomic_load_explicit(&stage->error, memory_order_relaxed);
}

int stage_write(struct stage *stage, int32_t partition, struct slice value, uint64_t *seq)
{
	struct stage_list *list = &stage->staged[partition];
	struct stage_chunk *chunk = list->last;
	int64_t waiting;
	int rc = sticky(stage);

	if (rc < 0)
		return rc;
	if (value.len > BUS_RECORD_MAX)
		return -EMSGSIZE;
	/* In this order: a mark that rises between the two ends the wait that follows. */
	stage->seen = atomic_load(&stage->durable);
	waiting = atomic_load(&stage->pending_bytes) + stage->staged_bytes;
	if (waiting && waiting + (int64_t)value.len > stage->conf.buffer_bytes)
		return -EAGAIN;
	if (!chunk || chunk->bytes.len + value.len > BLOCK_CUT) {
		chunk = chunk_take(stage);
		if (!chunk)
			return -ENOMEM;
		list_add(list, chunk);
	}
	buf_append_slice(&chunk->bytes, value);
	if (chunk->bytes.failed) {
		chunk->bytes.failed = false;
		return -ENOMEM;
	}
	chunk->count++;
	stage->staged_bytes += (int64_t)value.len;
	stage->staged_seq++;
	if (seq)
		*seq = stage->staged_seq;
	return 0;
}

/* Under the mutex: what is staged for one partition joins what is ready. */
static void list_join(struct stage *stage, struct stage_list *ready, struct stage_list *staged)
{
	struct stage_chunk *tail = ready->last, *chunk = staged->first;

	if (tail && tail->bytes.len + chunk->bytes.len <= BLOCK_CUT) {
		buf_append_slice(&tail->bytes, buf_slice(&chunk->bytes));
		if (!tail->bytes.failed) {
			tail->count += chunk->count;
			staged->first = chunk->next;
			chunk_give(stage, chunk);
		}
		tail->bytes.failed = false;
	}
	if (!staged->first) {
		*staged = (struct stage_list){ 0 };
		return;
	}
	if (ready->last)
		ready->last->next = staged->first;
	else
		ready->first = staged->first;
	ready->last = staged->last;
	*staged = (struct stage_list){ 0 };
}

int stage_release(struct stage *stage)
{
	int rc = sticky(stage);

	if (rc < 0 || stage->staged_seq == stage->ready_seq)
		return rc;
	pthread_mutex_lock(&stage->mutex);
	for (int i = 0; i < stage->conf.partitions; i++)
		if (stage->staged[i].first)
			list_join(stage, &stage->ready[i], &stage->staged[i]);
	stage->ready_seq = stage->staged_seq;
	stage->ready_bytes += stage->staged_bytes;
	atomic_fetch_add(&stage->pending_bytes, stage->staged_bytes);
	stage->staged_bytes = 0;
	pthread_cond_signal(&stage->work);
	pthread_mutex_unlock(&stage->mutex);
	return 0;
}

uint64_t stage_durable(struct stage *stage)
{
	return atomic_load(&stage->durable);
}

int stage_wait(struct stage *stage, int timeout_ms)
{
	int64_t at = now_ms() + timeout_ms;

	pthread_mutex_lock(&stage->mutex);
	while (atomic_load(&stage->durable) == stage->seen && !sticky(stage) && now_ms() < at)
		wait_until(&stage->done, &stage->mutex, at);
	pthread_mutex_unlock(&stage->mutex);
	stage->seen = atomic_load(&stage->durable);
	return sticky(stage);
}

int stage_flush(struct stage *stage, int timeout_ms)
{
	int64_t at = now_ms() + timeout_ms;
	int rc = stage_release(stage);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&stage->mutex);
	stage->flushing++;
	pthread_cond_signal(&stage->work);
	while (atomic_load(&stage->durable) < stage->staged_seq && !sticky(stage) && now_ms() < at)
		wait_until(&stage->done, &stage->mutex, at);
	stage->flushing--;
	pthread_mutex_unlock(&stage->mutex);
	stage->seen = atomic_load(&stage->durable);
	if (stage->seen >= stage->staged_seq)
		return 0;
	rc = atomic_load(&stage->error);
	return rc ? rc : -ETIMEDOUT;
}

int stage_event_fd(struct stage *stage)
{
	return stage->event_fd;
}

int stage_error(struct stage *stage)
{
	return atomic_load(&stage->error);
}

const char *stage_error_text(struct stage *stage)
{
	return atomic_load(&stage->text);
}

void stage_close(struct stage *stage)
{
	struct stage_chunk *next;

	if (!stage)
		return;
	if (stage->has_thread) {
		pthread_mutex_lock(&stage->mutex);
		stage->stop = true;
		pthread_cond_broadcast(&stage->work);
		pthread_mutex_unlock(&stage->mutex);
		pthread_join(stage->thread, NULL);
	}
	for (int i = 0; i < stage->conf.partitions; i++) {
		if (stage->staged)
			list_free(&stage->staged[i]);
		if (stage->ready)
			list_free(&stage->ready[i]);
		if (stage->round)
			list_free(&stage->round[i]);
	}
	for (struct stage_chunk *chunk = stage->pool; chunk; chunk = next) {
		next = chunk->next;
		buf_close(&chunk->bytes);
		free(chunk);
	}
	free(stage->staged);
	free(stage->ready);
	free(stage->round);
	if (stage->event_fd >= 0)
		close(stage->event_fd);
	pthread_cond_destroy(&stage->work);
	pthread_cond_destroy(&stage->done);
	pthread_mutex_destroy(&stage->mutex);
	free(stage);
}
