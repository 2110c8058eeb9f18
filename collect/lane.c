// SPDX-License-Identifier: Apache-2.0
#include "collect/lane.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "collect/spool.h"
#include "lib/datum.h"
#include "lib/when.h"

#define DRAIN_RECORDS 4096              /* in flight from the spool to Kafka */
#define DRAIN_BYTES   ((int64_t)4 << 20)
#define TURN_RECORDS  1024              /* drained in one turn: requests come in between */
#define TIDY_MS       250
#define REOPEN_MS     2000
#define FLIGHT_FLUSH_MS 2000

/* A record of DIRECT that the bus has not acknowledged; key and value follow it in `ring`. */
struct waiting {
	uint64_t seq;                   /* the lane's */
	int64_t since_ms;
	uint32_t value_len;
	uint32_t key_len;
};

/* A record drained from the spool. */
struct flight {
	uint64_t bus_seq;
	int64_t offset_next;
	int64_t bytes;
};

struct lane {
	struct lane_conf conf;
	struct bus *bus;                /* NULL: being opened again */
	struct spool *spool;
	struct loop_watch *bus_watch, *spool_watch;
	bool is_log;
	bool spooling;
	bool dead;
	struct err words;
	uint64_t written, durable;      /* the lane's numbers */
	uint64_t bus_written;           /* the bus's */
	/* DIRECT: lane number = bus number - bus_base + lane_base */
	uint64_t lane_base, bus_base;
	uint64_t spool_base, spool_lane;        /* SPOOLING: the same for the spool's numbers */
	/* DIRECT with a spool: what may have to be moved there */
	struct buf ring;
	size_t ring_at;
	/* SPOOLING */
	/* the first part of the spool is in the bus's queue, too.. */
	bool moved;
	uint64_t moved_seq;             /* ..until this number of the bus is durable.. */
	uint64_t moved_spool_seq;       /* ..and this one of the spool: no position beyond it.. */
	int64_t moved_end;              /* ..then all before this offset is delivered */
	struct flight flights[DRAIN_RECORDS];
	size_t flight_first, flight_count;
	int64_t flight_bytes;
	struct bus_record held;         /* read from the spool, and not taken by the bus */
	bool has_held;
	struct buf datum;
	/* The bus refused one of the records before this offset: one at a time.. */
	int64_t careful_until;
	int64_t careful_refused;        /* refused_count when that began */
	int64_t refused_at;             /* ..until it was alone: this one; -1: none */
	int64_t refused_count;
	int64_t tidy_ms, reopen_ms;
};

static void update_durable(struct lane *lane)
{
	uint64_t mark = 0, now;

	if (lane->spooling) {
		now = spool_durable(lane->spool);
		if (now > lane->spool_base)
			mark = now - lane->spool_base + lane->spool_lane;
	} else if (lane->bus) {
		now = bus_durable(lane->bus);
		if (now > lane->bus_base)
			mark = now - lane->bus_base + lane->lane_base;
	}
	if (mark > lane->durable)
		lane->durable = mark;
	assert(lane->durable <= lane->written);
}

/* --- DIRECT: remembering what is not acknowledged --- */

static bool ring_peek(const struct lane *lane, size_t at, struct waiting *waiting)
{
	if (at == lane->ring.len)
		return false;
	memcpy(waiting, lane->ring.ptr + at, sizeof(*waiting));
	return true;
}

static size_t ring_size(const struct waiting *waiting)
{
	return sizeof(*waiting) + waiting->value_len + waiting->key_len;
}

static void ring_pop(struct lane *lane)
{
	struct waiting waiting;

	while (ring_peek(lane, lane->ring_at, &waiting) && waiting.seq <= lane->durable)
		lane->ring_at += ring_size(&waiting);
	if (lane->ring_at == lane->ring.len) {
		buf_reset(&lane->ring);
		lane->ring_at = 0;
	} else if (lane->ring_at > lane->ring.len / 2 && lane->ring_at > 65536) {
		buf_drop(&lane->ring, lane->ring_at);
		lane->ring_at = 0;
	}
}

static int ring_add(struct lane *lane, struct slice key, struct slice value, uint64_t seq)
{
	struct waiting waiting = {
		.seq = seq, .since_ms = when_monotonic_ms(),
		.value_len = (uint32_t)value.len, .key_len = (uint32_t)key.len,
	};

	buf_append(&lane->ring, &waiting, sizeof(waiting));
	buf_append_slice(&lane->ring, value);
	buf_append_slice(&lane->ring, key);
	return lane->ring.failed ? -ENOMEM : 0;
}

static void ring_cut(struct lane *lane, size_t len)
{
	lane->ring.len = len;
	lane->ring.failed = false;
}

/* Remembered first: what the bus took and the ring did not would put their numbers apart. */
static int write_direct(struct lane *lane, struct slice key, struct slice value)
{
	size_t len = lane->ring.len;
	int rc = lane->spool ? ring_add(lane, key, value, lane->written + 1) : 0;

	if (!rc)
		rc = bus_write(lane->bus, -1, key, value, &lane->bus_written);
	if (rc)
		ring_cut(lane, len);
	return rc;
}

/* --- between the two --- */

static void fail(struct lane *lane, int rc, const char *words)
{
	lane->dead = true;
	lane->words.text[0] = '\0';
	err_set(&lane->words, rc, "%s", words);
	log_words(lane->conf.bus_conf->log, LOG_LEVEL_ERROR, "lane_failed", "%s: %s",
		  lane->conf.url, words);
}

/* What is not acknowledged goes to the spool. */
static void divert(struct lane *lane, const char *why)
{
	uint64_t seq = 0, count = 0;
	struct waiting waiting;
	int rc = 0;

	if (!lane->spool || lane->spooling)
		return;
	update_durable(lane);
	ring_pop(lane);
	lane->spool_base = spool_written(lane->spool);
	for (size_t at = lane->ring_at; ring_peek(lane, at, &waiting) && !rc;
	     at += ring_size(&waiting), count++)
		rc = spool_write(lane->spool, (struct slice){ lane->ring.ptr + at + sizeof(waiting),
							     waiting.value_len }, &seq);
	if (rc) {
		fail(lane, rc, "the spool does not take what was not acknowledged");
		return;
	}
	lane->spool_lane = lane->durable;
	lane->moved = count > 0;
	lane->moved_seq = lane->bus_written;
	lane->moved_spool_seq = spool_written(lane->spool);
	lane->moved_end = spool_end(lane->spool);
	lane->spooling = true;
	buf_close(&lane->ring);
	lane->ring_at = 0;
	log_words(lane->conf.bus_conf->log, LOG_LEVEL_WARN, "spooling", "%s: %s; %" PRIu64
		  " records moved to the spool", lane->conf.url, why, count);
}

/* All that was spooled is in the bus's hands, in order: what comes now may follow it. */
static void undivert(struct lane *lane)
{
	lane->spooling = false;
	lane->durable = lane->written;  /* only what is durable can be read from the spool */
	lane->bus_base = lane->bus_written;
	lane->lane_base = lane->written;
	log_words(lane->conf.bus_conf->log, LOG_LEVEL_INFO, "direct", "%s: the spool is drained",
		  lane->conf.url);
}

/* --- SPOOLING: from the spool to the bus --- */

static void land(struct lane *lane)
{
	uint64_t durable = lane->bus ? bus_durable(lane->bus) : 0;

	while (lane->flight_count) {
		struct flight *flight = &lane->flights[lane->flight_first];

		if (flight->bus_seq > durable)
			break;
		spool_delivered(lane->spool, flight->offset_next);
		lane->flight_bytes -= flight->bytes;
		lane->flight_first = (lane->flight_first + 1) % DRAIN_RECORDS;
		lane->flight_count--;
	}
	if (lane->moved && durable >= lane->moved_seq &&
	    spool_durable(lane->spool) >= lane->moved_spool_seq) {
		spool_delivered(lane->spool, lane->moved_end);
		lane->moved = false;
	}
}

static void take_off(struct lane *lane, int64_t offset_next, int64_t bytes)
{
	size_t at = (lane->flight_first + lane->flight_count++) % DRAIN_RECORDS;

	lane->flights[at] = (struct flight){ lane->bus_written, offset_next, bytes };
	lane->flight_bytes += bytes;
}

static int64_t drained_to(const struct lane *lane)
{
	size_t last = (lane->flight_first + lane->flight_count + DRAIN_RECORDS - 1) % DRAIN_RECORDS;

	return lane->flight_count ? lane->flights[last].offset_next
		: spool_end(lane->spool) - spool_waiting(lane->spool);
}

static bool is_careful(const struct lane *lane)
{
	return drained_to(lane) < lane->careful_until;
}

/* The bus refused something: was it alone on the way, or is it to be found? */
static void note_refusal(struct lane *lane)
{
	const struct flight *first = &lane->flights[lane->flight_first];
	int64_t until = lane->moved ? lane->moved_end : drained_to(lane);

	if (lane->flight_count == 1 && !lane->moved && first->offset_next <= lane->careful_until)
		lane->refused_at = first->offset_next - 1;
	else if (until > lane->careful_until)
		lane->careful_until = until;
	if (lane->refused_at < 0)
		lane->careful_refused = lane->refused_count;
}

/* All before careful_until went alone. */
static void end_care(struct lane *lane)
{
	if (lane->refused_count == lane->careful_refused)
		log_words(lane->conf.bus_conf->log, LOG_LEVEL_WARN, "batches_refused",
			  "%s takes each record alone, and not all in one batch: set "
			  "--kafka=batch.size=BYTES to less than its max.message.bytes",
			  lane->conf.url);
	lane->careful_until = 0;
}

/* The datum of the held record is put aside. 1: done. 0: the disk is full, later. */
static int put_aside(struct lane *lane, struct err *err)
{
	int rc = spool_refuse(lane->spool, buf_slice(&lane->datum), err);

	if (rc == -ENOSPC || rc == -EDQUOT)
		return 0;
	if (rc)
		return rc;
	log_words(lane->conf.bus_conf->log, LOG_LEVEL_ERROR, "refused", "%s does not take a record "
		  "of %zu bytes: it is in %s/%s-refused now", lane->conf.url, lane->datum.len,
		  lane->conf.spool, lane->conf.topic);
	lane->refused_at = -1;
	lane->refused_count++;
	return 1;
}

/* Hands one spooled record to the bus. 1: done. 0: none, or no room. */
static int drain_one(struct lane *lane, struct err *err)
{
	struct bus_record *record = &lane->held;
	struct slice key = { "", 0 };
	int rc = lane->has_held ? 1 : spool_next(lane->spool, record, err);

	if (rc <= 0)
		return rc;
	lane->has_held = true;
	buf_reset(&lane->datum);
	if (record->fields) {
		if (lane->conf.key)
			key = lane->conf.key(lane->conf.ctx, record->fields);
		rc = datum_encode(lane->conf.bus_conf->schema, record->fields, &lane->datum);
		if (!rc && record->offset == lane->refused_at) {
			rc = put_aside(lane, err);
			if (rc <= 0)
				return rc;
		} else if (!rc)
			rc = bus_write(lane->bus, -1, key, buf_slice(&lane->datum),
				       &lane->bus_written);
		if (rc == -EAGAIN)
			return 0;
		if (rc < 0)
			return rc;
	}
	lane->has_held = false;
	take_off(lane, record->offset + record->count, (int64_t)lane->datum.len);
	return 1;
}

static int drain(struct lane *lane, struct err *err)
{
	int rc = 1, count = 0;

	if (!lane->bus || lane->moved || bus_partition_count(lane->bus) <= 0)
		return 0;
	while (rc == 1 && count++ < TURN_RECORDS && lane->flight_bytes < DRAIN_BYTES &&
	       lane->flight_count < (is_careful(lane) ? 1 : DRAIN_RECORDS))
		rc = drain_one(lane, err);
	if (rc == 1 && count > TURN_RECORDS && lane->conf.loop)
		loop_again(lane->conf.loop);
	return rc < 0 ? rc : 0;
}

/* --- opening, and opening again after Kafka gave up --- */

static void on_ready(void *ctx, uint32_t events)
{
	struct lane *lane = ctx;
	uint64_t count;

	(void)events;
	if (lane->bus && read(bus_event_fd(lane->bus), &count, sizeof(count)) < 0)
		count = 0;
	lane->conf.moved(lane->conf.ctx);
}

static void on_spool_ready(void *ctx, uint32_t events)
{
	struct lane *lane = ctx;
	uint64_t count;

	(void)events;
	if (read(spool_event_fd(lane->spool), &count, sizeof(count)) < 0)
		count = 0;
	lane->conf.moved(lane->conf.ctx);
}

static int open_bus(struct lane *lane, struct err *err)
{
	int rc = bus_open(&lane->bus, lane->conf.url, BUS_WRITE, lane->conf.bus_conf, err);

	if (rc || !lane->conf.loop || bus_event_fd(lane->bus) < 0)
		return rc;
	rc = loop_watch(lane->conf.loop, bus_event_fd(lane->bus), EPOLLIN, on_ready, lane,
			&lane->bus_watch);
	return rc ? err_set(err, rc, "loop: %s", strerror(-rc)) : 0;
}

static int open_spool(struct lane *lane, struct err *err)
{
	struct spool_conf conf = {
		.dir = lane->conf.spool, .topic = lane->conf.topic,
		.schema = lane->conf.bus_conf->schema, .log = lane->conf.bus_conf->log,
		.bytes_max = lane->conf.spool_bytes,
		/* All that the bus's buffer holds must fit in beside the spool's own. */
		.buffer_bytes = 2 * lane->conf.bus_conf->buffer_bytes + (4 << 20),
		.commit_ms = lane->conf.bus_conf->commit_ms,
	};
	int rc = spool_open(&lane->spool, &conf, err);

	lane->spooling = true;
	if (rc || !lane->conf.loop)
		return rc;
	rc = loop_watch(lane->conf.loop, spool_event_fd(lane->spool), EPOLLIN, on_spool_ready,
			lane, &lane->spool_watch);
	return rc ? err_set(err, rc, "loop: %s", strerror(-rc)) : 0;
}

int lane_open(struct lane **lanep, const struct lane_conf *conf, struct err *err)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	int rc = 0;

	if (!lane)
		return err_set(err, -ENOMEM, "no memory");
	lane->conf = *conf;
	lane->refused_at = -1;
	lane->is_log = strncmp(conf->url, "log:", 4) == 0;
	if (conf->spool)
		rc = open_spool(lane, err);
	if (!rc)
		rc = open_bus(lane, err);
	if (rc) {
		lane_close(lane);
		return rc;
	}
	*lanep = lane;
	return 0;
}

static void close_bus(struct lane *lane)
{
	if (lane->bus_watch)
		loop_unwatch(lane->bus_watch);
	lane->bus_watch = NULL;
	bus_close(lane->bus);
	lane->bus = NULL;
}

void lane_close(struct lane *lane)
{
	if (!lane)
		return;
	if (lane->spool)
		land(lane);
	close_bus(lane);
	if (lane->spool_watch)
		loop_unwatch(lane->spool_watch);
	spool_close(lane->spool);
	buf_close(&lane->ring);
	buf_close(&lane->datum);
	free(lane);
}

/* Kafka's handle is done for. What was on its way is still in the spool and goes again. */
static void give_up(struct lane *lane, int why, const char *words)
{
	struct err err = { "" };
	int rc;

	log_words(lane->conf.bus_conf->log, LOG_LEVEL_ERROR, "kafka_failed", "%s", words);
	divert(lane, "Kafka failed");
	land(lane);
	if (why == -EMSGSIZE)
		note_refusal(lane);
	close_bus(lane);
	lane->bus_written = lane->bus_base = 0;
	lane->flight_count = 0;
	lane->flight_bytes = 0;
	lane->moved = false;
	lane->has_held = false;
	lane->reopen_ms = when_monotonic_ms() + (why == -EMSGSIZE ? 0 : REOPEN_MS);
	rc = spool_rewind(lane->spool, &err);
	if (rc)
		fail(lane, rc, err.text);
}

static void check_bus(struct lane *lane)
{
	struct err err = { "" };
	int rc = lane->bus ? bus_error(lane->bus) : 0;

	if (lane->dead || lane->is_log)
		return;
	if (rc && lane->spool) {
		give_up(lane, rc, bus_error_text(lane->bus));
	} else if (rc) {
		fail(lane, rc, bus_error_text(lane->bus));
	} else if (!lane->bus && when_monotonic_ms() >= lane->reopen_ms) {
		lane->reopen_ms = when_monotonic_ms() + REOPEN_MS;
		rc = open_bus(lane, &err);
		if (rc)
			log_words(lane->conf.bus_conf->log, LOG_LEVEL_ERROR, "kafka_failed", "%s",
				  err.text);
	}
}

/* --- the face --- */

int lane_write(struct lane *lane, struct slice key, struct slice value, uint64_t *seq)
{
	uint64_t spool_seq;
	int rc;

	if (lane->dead)
		return -EIO;
	rc = lane->spooling ? spool_write(lane->spool, value, &spool_seq)
			    : write_direct(lane, key, value);
	if (rc)
		return rc;
	*seq = ++lane->written;
	return 0;
}

void lane_turn(struct lane *lane)
{
	struct err err = { "" };
	int rc = 0;

	if (lane->dead)
		return;
	if (lane->spool) {
		land(lane);
		if (lane->careful_until && !is_careful(lane) && !lane->flight_count)
			end_care(lane);
		if (lane->spooling)
			rc = drain(lane, &err);
		if (rc && lane->bus && !bus_error(lane->bus))
			fail(lane, rc, err.text[0] ? err.text : strerror(-rc));
		if (lane->spooling && !lane->conf.always_spool && !lane->dead && lane->bus &&
		    !lane->moved && bus_partition_count(lane->bus) > 0 &&
		    drained_to(lane) >= spool_end(lane->spool))
			undivert(lane);
		rc = spool_release(lane->spool);
	}
	/* An error stays in the handle: lane_error and check_bus look there. */
	if (lane->bus)
		rc = bus_release(lane->bus);
	update_durable(lane);
	check_bus(lane);
}

void lane_tick(struct lane *lane)
{
	int64_t now = when_monotonic_ms();
	struct waiting waiting;

	update_durable(lane);
	if (!lane->spool || lane->dead)
		return;
	if (!lane->spooling) {
		ring_pop(lane);
		if (ring_peek(lane, lane->ring_at, &waiting) &&
		    now - waiting.since_ms >= lane->conf.spool_after_ms)
			divert(lane, "no acknowledgement in time");
	}
	if (now >= lane->tidy_ms) {
		spool_tidy(lane->spool);
		lane->tidy_ms = now + TIDY_MS;
	}
}

void lane_press(struct lane *lane)
{
	divert(lane, "the buffer is full");
}

uint64_t lane_durable(const struct lane *lane)
{
	return lane->durable;
}

int lane_error(const struct lane *lane)
{
	if (lane->dead)
		return -EIO;
	if (lane->spooling)
		return spool_is_full(lane->spool) ? -ENOSPC : spool_error(lane->spool);
	return lane->bus ? bus_error(lane->bus) : -EIO;
}

const char *lane_error_text(const struct lane *lane)
{
	if (lane->dead)
		return lane->words.text;
	if (lane->spooling)
		return spool_is_full(lane->spool) ? "the spool is full"
						  : spool_error_text(lane->spool);
	return lane->bus ? bus_error_text(lane->bus) : "not open";
}

bool lane_is_dead(const struct lane *lane)
{
	return lane->dead;
}

int lane_flush(struct lane *lane, int timeout_ms)
{
	int rc = lane->dead ? -EIO
		: lane->spooling ? spool_flush(lane->spool, timeout_ms)
				 : bus_flush(lane->bus, timeout_ms);

	if (rc == -ETIMEDOUT && lane->spool && !lane->spooling) {
		divert(lane, "the program ends");
		rc = spool_flush(lane->spool, timeout_ms);
	}
	/* What is on its way from the spool would come twice after the next start. */
	if (lane->spooling && lane->bus && lane->flight_count)
		(void)!bus_flush(lane->bus, FLIGHT_FLUSH_MS);
	if (lane->spool)
		land(lane);
	update_durable(lane);
	return rc;
}

int lane_wait(struct lane *lane, int timeout_ms)
{
	int rc = lane->bus ? bus_wait(lane->bus, timeout_ms) : -EIO;

	update_durable(lane);
	return rc;
}

int64_t lane_spool_waiting(const struct lane *lane)
{
	return lane->spool ? spool_waiting(lane->spool) : 0;
}

int64_t lane_spool_bytes(const struct lane *lane)
{
	return lane->spool ? spool_bytes(lane->spool) : 0;
}

int64_t lane_refused(const struct lane *lane)
{
	return lane->refused_count;
}
