// SPDX-License-Identifier: Apache-2.0
/* How a record passes through:
 *
 *      caller's thread                       the writer's own thread
 *      bus_write    -> staged chunks
 *      bus_release  -> released chunks  ---> rd_kafka_produce ... on_report
 *                                                              |
 *      bus_durable  <- durable <- ring: one bit per seq <------'
 *
 * Acknowledgements of different partitions come out of order; `durable` rises over the ring's
 * leading ones. librdkafka is used by one thread only, so that its queue being full means a pause
 * of that thread and never a lost record; the caller feels it as -EAGAIN.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/bus_kafka.h"
#include "lib/thread.h"

#define CHUNK_BYTES    ((size_t)256 << 10)
#define CHUNKS_FREE    16               /* kept for reuse */
#define BUFFER_DEFAULT ((int64_t)32 << 20)
#define RECORD_COST    160              /* what librdkafka and we keep beside a record's bytes */
#define RECORD_BYTES   (1000000 - 1024) /* under librdkafka's message.max.bytes */
#define KEY_BYTES      4096             /* of a key that go to the broker: it only places records */

static_assert(BUS_RECORD_MAX + KEY_BYTES <= RECORD_BYTES, "every record of the bus fits");
#define IDLE_MS        200              /* the thread looks up at least so often */

/* Before each record in a chunk. */
struct head {
	int32_t partition;
	uint32_t key_len;
	uint32_t value_len;             /* with the frame */
};

struct chunk {
	struct chunk *next;
	uint64_t first;                 /* seq of its first record */
	uint32_t count;
	size_t len;
	size_t cap;
	char bytes[];
};

struct list {
	struct chunk *first;
	struct chunk **last;
};

struct writer {
	struct kafka k;                 /* first */
	char frame[KAFKA_FRAME];
	int64_t bytes_max;
	size_t ring_size;               /* a power of two */
	uint64_t *ring;                 /* bit seq % ring_size: acknowledged; the thread's own */
	/* the caller's */
	struct list staged;
	uint64_t seq;                   /* of the latest record */
	uint64_t progress_seen;
	/* shared */
	pthread_mutex_t lock;           /* released, spare, spares */
	pthread_cond_t moved;
	struct list released;
	struct chunk *spare;
	int spares;
	atomic_llong waiting;           /* bytes with RECORD_COST, staged to acknowledged */
	atomic_ullong durable;
	atomic_ullong progress;         /* counts acknowledgements */
	atomic_bool stop;
	int wake_fd;                    /* for the thread: released, or librdkafka has events */
	int event_fd;                   /* for the caller */
	bool has_thread;
	pthread_t thread;
	rd_kafka_queue_t *queue;
};

static void list_reset(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_free(struct list *list)
{
	for (struct chunk *c = list->first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	list_reset(list);
}

static void signal_fd(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;        /* full: it is readable already */
}

static int64_t cost(size_t key_len, size_t value_len)
{
	return (int64_t)(key_len + value_len) + RECORD_COST;
}

/* --- the thread --- */

/* Another try, or another connection, would say the same again. A user's missing rights, a topic
 * that is gone and the like can be mended, and are not of this kind. */
static bool is_refusal(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	       code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
	       code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
	       code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP ||
	       code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *report, void *opaque)
{
	struct writer *w = opaque;
	uint64_t seq = (uint64_t)(uintptr_t)report->_private;
	uint64_t durable = atomic_load_explicit(&w->durable, memory_order_relaxed);
	uint64_t mask = w->ring_size - 1, next;

	(void)rk;
	if (report->err) {
		if (is_refusal(report->err))
			kafka_refuse(&w->k, "%s/%d: a record of %zu bytes, or its batch, is "
				     "refused: %s", w->k.topic, report->partition, report->len,
				     rd_kafka_err2str(report->err));
		else if (report->err == RD_KAFKA_RESP_ERR__FATAL)
			kafka_fail_fatal(&w->k);
		else
			kafka_fail(&w->k, -EIO, "%s/%d: record of %zu bytes was not taken: %s",
				   w->k.topic, report->partition, report->len,
				   rd_kafka_err2str(report->err));
		return;
	}
	assert(seq > durable && seq - durable <= w->ring_size);
	w->ring[(seq & mask) / 64] |= (uint64_t)1 << (seq & 63);
	for (next = durable + 1; w->ring[(next & mask) / 64] >> (next & 63) & 1; next++)
		w->ring[(next & mask) / 64] &= ~((uint64_t)1 << (next & 63));
	atomic_store_explicit(&w->durable, next - 1, memory_order_release);
	atomic_fetch_sub(&w->waiting, cost(report->key_len, report->len));
	atomic_fetch_add(&w->progress, 1);
}

/* Runs the callbacks that are due and tells the caller where something moved. */
static void serve(struct writer *w, int timeout_ms)
{
	uint64_t before = atomic_load(&w->progress);
	int error = atomic_load(&w->k.error);

	while (rd_kafka_poll(w->k.rk, timeout_ms) > 0)
		timeout_ms = 0;
	if (atomic_load(&w->progress) == before && atomic_load(&w->k.error) == error)
		return;
	pthread_mutex_lock(&w->lock);
	pthread_cond_broadcast(&w->moved);
	pthread_mutex_unlock(&w->lock);
	signal_fd(w->event_fd);
}

static int32_t choose_partition(const struct writer *w, const struct head *head, uint64_t seq,
				struct slice key)
{
	int32_t partitions = (int32_t)atomic_load(&w->k.partitions);

	if (head->partition >= 0)
		return head->partition;
	/* Without a key any will do; runs of 256 to one partition make larger batches. */
	return key.len ? bus_partition_of(key, partitions) : (int32_t)(seq / 256 % partitions);
}

/* 0: handed over, or an error is set. -ECANCELED: the writer is being closed. */
static int produce(struct writer *w, const struct head *head, const char *bytes, uint64_t seq)
{
	struct slice key = { bytes, head->key_len };
	int32_t partition = choose_partition(w, head, seq, key);
	rd_kafka_resp_err_t code;

	if (partition >= atomic_load(&w->k.partitions)) {
		kafka_fail(&w->k, -EINVAL, "%s has %d partitions, a record is for number %d",
			   w->k.topic, atomic_load(&w->k.partitions), partition);
		return 0;
	}
	while (true) {
		/* librdkafka takes the value as void *, and with F_COPY only reads it. */
		if (rd_kafka_produce(w->k.rkt, partition, RD_KAFKA_MSG_F_COPY,
				     (void *)(uintptr_t)(bytes + head->key_len), head->value_len,
				     head->key_len ? bytes : NULL, head->key_len,
				     (void *)(uintptr_t)seq) == 0)
			return 0;
		code = rd_kafka_last_error();
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			break;
		serve(w, 10);
		if (atomic_load(&w->stop))
			return -ECANCELED;
		if (atomic_load(&w->k.error))
			return 0;
	}
	if (is_refusal(code))
		kafka_refuse(&w->k, "%s/%d: record of %u bytes: %s", w->k.topic, partition,
			     head->value_len, rd_kafka_err2str(code));
	else if (code == RD_KAFKA_RESP_ERR__FATAL)
		kafka_fail_fatal(&w->k);
	else
		kafka_fail(&w->k, -EIO, "%s/%d: record of %u bytes cannot be sent: %s", w->k.topic,
			   partition, head->value_len, rd_kafka_err2str(code));
	return 0;
}

static void produce_chunk(struct writer *w, const struct chunk *chunk)
{
	struct head head;
	size_t at = 0;

	for (uint32_t i = 0; i < chunk->count; i++) {
		memcpy(&head, chunk->bytes + at, sizeof(head));
		at += sizeof(head);
		if (produce(w, &head, chunk->bytes + at, chunk->first + i) ||
		    atomic_load_explicit(&w->k.error, memory_order_relaxed))
			return;
		at += head.key_len + head.value_len;
	}
	assert(at == chunk->len);
}

static struct chunk *take_released(struct writer *w)
{
	struct chunk *chunk;

	pthread_mutex_lock(&w->lock);
	chunk = w->released.first;
	if (chunk) {
		w->released.first = chunk->next;
		if (!chunk->next)
			list_reset(&w->released);
	}
	pthread_mutex_unlock(&w->lock);
	return chunk;
}

static void give_back(struct writer *w, struct chunk *chunk)
{
	pthread_mutex_lock(&w->lock);
	if (chunk->cap == CHUNK_BYTES && w->spares < CHUNKS_FREE) {
		chunk->next = w->spare;
		w->spare = chunk;
		w->spares++;
		chunk = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	free(chunk);
}

static void *run(void *ctx)
{
	struct writer *w = ctx;
	struct pollfd wait = { .fd = w->wake_fd, .events = POLLIN };
	struct chunk *chunk;
	struct err err = { "" };
	uint64_t drop;
	int rc = 0;

	if (atomic_load(&w->k.partitions) == 0)
		rc = kafka_await(&w->k, kafka_make_topic, 0, &w->stop, &err);
	if (rc < 0 && !atomic_load(&w->stop)) {
		kafka_fail(&w->k, rc, "%s", err.text);
		serve(w, 0);
	}
	while (!atomic_load(&w->stop)) {
		serve(w, 0);
		chunk = atomic_load(&w->k.error) ? NULL : take_released(w);
		if (chunk) {
			produce_chunk(w, chunk);
			give_back(w, chunk);
			continue;
		}
		if (poll(&wait, 1, IDLE_MS) > 0)
			(void)!read(w->wake_fd, &drop, sizeof(drop));
	}
	return NULL;
}

/* --- the caller --- */

static struct chunk *new_chunk(struct writer *w, size_t need)
{
	struct chunk *chunk = NULL;
	size_t cap = need > CHUNK_BYTES ? need : CHUNK_BYTES;

	if (cap == CHUNK_BYTES) {
		pthread_mutex_lock(&w->lock);
		chunk = w->spare;
		if (chunk) {
			w->spare = chunk->next;
			w->spares--;
		}
		pthread_mutex_unlock(&w->lock);
	}
	if (!chunk)
		chunk = malloc(sizeof(*chunk) + cap);
	if (!chunk)
		return NULL;
	*chunk = (struct chunk){ .cap = cap, .first = w->seq + 1 };
	*w->staged.last = chunk;
	w->staged.last = &chunk->next;
	return chunk;
}

/* The staged chunk that has room for need bytes. */
static struct chunk *room(struct writer *w, size_t need)
{
	struct chunk *chunk = NULL;

	if (w->staged.first)
		chunk = (struct chunk *)((char *)w->staged.last - offsetof(struct chunk, next));
	if (chunk && chunk->cap - chunk->len >= need)
		return chunk;
	return new_chunk(w, need);
}

static int writer_write(struct bus *bus, int32_t partition, struct slice key, struct slice value,
			uint64_t *seq)
{
	struct writer *w = (struct writer *)bus;
	struct head head = { partition < 0 ? -1 : partition,
			     (uint32_t)(key.len < KEY_BYTES ? key.len : KEY_BYTES),
			     (uint32_t)value.len + KAFKA_FRAME };
	int64_t bytes = cost(head.key_len, value.len + KAFKA_FRAME);
	struct chunk *chunk;
	int error = kafka_error(bus);
	int partitions = atomic_load_explicit(&w->k.partitions, memory_order_relaxed);
	uint64_t progress = atomic_load(&w->progress);

	if (error)
		return error;
	if (value.len > BUS_RECORD_MAX)
		return -EMSGSIZE;
	key.len = head.key_len;
	if (partitions && partition >= partitions)
		return -EINVAL;
	if (atomic_load(&w->waiting) + bytes > w->bytes_max ||
	    w->seq - atomic_load_explicit(&w->durable, memory_order_acquire) >= w->ring_size) {
		w->progress_seen = progress;
		return -EAGAIN;
	}
	chunk = room(w, sizeof(head) + key.len + head.value_len);
	if (!chunk)
		return -ENOMEM;
	memcpy(chunk->bytes + chunk->len, &head, sizeof(head));
	chunk->len += sizeof(head);
	if (key.len)
		memcpy(chunk->bytes + chunk->len, key.ptr, key.len);
	chunk->len += key.len;
	memcpy(chunk->bytes + chunk->len, w->frame, KAFKA_FRAME);
	if (value.len)
		memcpy(chunk->bytes + chunk->len + KAFKA_FRAME, value.ptr, value.len);
	chunk->len += head.value_len;
	chunk->count++;
	w->seq++;
	if (seq)
		*seq = w->seq;
	atomic_fetch_add(&w->waiting, bytes);
	return 0;
}

static int writer_release(struct bus *bus)
{
	struct writer *w = (struct writer *)bus;

	if (kafka_error(bus))
		return kafka_error(bus);
	if (!w->staged.first)
		return 0;
	pthread_mutex_lock(&w->lock);
	*w->released.last = w->staged.first;
	w->released.last = w->staged.last;
	pthread_mutex_unlock(&w->lock);
	list_reset(&w->staged);
	signal_fd(w->wake_fd);
	return 0;
}

static uint64_t writer_durable(struct bus *bus)
{
	struct writer *w = (struct writer *)bus;

	return atomic_load_explicit(&w->durable, memory_order_acquire);
}

static struct timespec after_ms(int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* What became durable since the caller last looked (the latest -EAGAIN, or the latest wait) counts:
 * else a mark that moved between the two would be waited for in vain. */
static int writer_wait(struct bus *bus, int timeout_ms)
{
	struct writer *w = (struct writer *)bus;
	struct timespec limit = after_ms(timeout_ms);
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	while (rc == 0 && !atomic_load(&w->k.error) && atomic_load(&w->durable) < w->seq &&
	       atomic_load(&w->progress) == w->progress_seen)
		rc = pthread_cond_timedwait(&w->moved, &w->lock, &limit);
	pthread_mutex_unlock(&w->lock);
	w->progress_seen = atomic_load(&w->progress);
	return kafka_error(bus);
}

static int writer_flush(struct bus *bus, int timeout_ms)
{
	struct writer *w = (struct writer *)bus;
	int64_t end = kafka_now_ms() + timeout_ms, left = timeout_ms;
	int rc = writer_release(bus);

	while (rc == 0 && writer_durable(bus) < w->seq) {
		if (left <= 0)
			return -ETIMEDOUT;
		rc = writer_wait(bus, (int)left);
		left = end - kafka_now_ms();
	}
	return rc;
}

static int writer_event_fd(struct bus *bus)
{
	return ((struct writer *)bus)->event_fd;
}

static void writer_close(struct bus *bus)
{
	struct writer *w = (struct writer *)bus;

	atomic_store(&w->stop, true);
	if (w->has_thread) {
		signal_fd(w->wake_fd);
		pthread_join(w->thread, NULL);
	}
	/* Nothing that was not flushed shall hold the end up, nor arrive after it. */
	if (w->k.rk)
		rd_kafka_purge(w->k.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
					RD_KAFKA_PURGE_F_NON_BLOCKING);
	if (w->queue) {
		rd_kafka_queue_io_event_enable(w->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(w->queue);
	}
	kafka_end(&w->k, 0);
	list_free(&w->staged);
	list_free(&w->released);
	for (struct chunk *c = w->spare, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(w->ring);
	close(w->wake_fd);
	close(w->event_fd);
	pthread_cond_destroy(&w->moved);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static const struct bus_ops writer_ops = {
	.partition_count = kafka_partition_count,
	.range = kafka_range,
	.write = writer_write,
	.release = writer_release,
	.durable = writer_durable,
	.wait = writer_wait,
	.flush = writer_flush,
	.event_fd = writer_event_fd,
	.error = kafka_error,
	.error_text = kafka_error_text,
	.close = writer_close,
};

static void set_frame(char *frame, uint64_t print)
{
	frame[0] = (char)0xc3;
	frame[1] = 0x01;
	for (int i = 0; i < 8; i++)
		frame[2 + i] = (char)(print >> (8 * i));
}

static int init_memory(struct writer *w, const struct bus_conf *conf)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->moved, &attr);
	pthread_condattr_destroy(&attr);
	list_reset(&w->staged);
	list_reset(&w->released);
	set_frame(w->frame, schema_fingerprint(conf->schema));
	w->bytes_max = conf->buffer_bytes > 0 ? conf->buffer_bytes : BUFFER_DEFAULT;
	/* One record of the largest size must always fit. */
	if (w->bytes_max < 2 * RECORD_BYTES)
		w->bytes_max = 2 * RECORD_BYTES;
	for (w->ring_size = 64; w->ring_size < (uint64_t)w->bytes_max / RECORD_COST;)
		w->ring_size *= 2;
	w->ring = calloc(w->ring_size / 64, sizeof(*w->ring));
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!w->ring)
		return -ENOMEM;
	return w->wake_fd < 0 || w->event_fd < 0 ? -EMFILE : 0;
}

static int connect_writer(struct writer *w, rd_kafka_conf_t *rkconf, struct err *err)
{
	const struct bus_conf *conf = w->k.conf;
	static const uint64_t one = 1;
	int rc;

	rd_kafka_conf_set_dr_msg_cb(rkconf, on_report);
	rc = kafka_start(&w->k, RD_KAFKA_PRODUCER, rkconf, err);
	if (rc)
		return rc;
	w->queue = rd_kafka_queue_get_main(w->k.rk);
	rd_kafka_queue_io_event_enable(w->queue, w->wake_fd, &one, sizeof(one));
	if (conf->open_ms >= 0) {
		rc = kafka_await(&w->k, kafka_make_topic, conf->open_ms, NULL, err);
		if (rc < 0)
			return rc;
	}
	rc = thread_start(&w->thread, run, w);
	w->has_thread = rc == 0;
	return rc;
}

int kafka_write_open(struct bus **busp, const char *rest, const struct bus_conf *conf,
		     struct err *err)
{
	struct writer *w = calloc(1, sizeof(*w));
	rd_kafka_conf_t *rkconf;
	int rc;

	if (!w)
		return -ENOMEM;
	w->k.bus.ops = &writer_ops;
	rc = init_memory(w, conf);
	if (rc == 0)
		rc = kafka_init(&w->k, rest, BUS_WRITE, conf, &rkconf, err);
	if (rc == 0)
		rc = connect_writer(w, rkconf, err);
	if (rc) {
		writer_close(&w->k.bus);
		return rc;
	}
	*busp = &w->k.bus;
	return 0;
}
