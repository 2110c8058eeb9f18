/* lane - the way of one topic's records to where they are safe
 *
 *      DIRECT     lane_write --> bus
 *
 *      SPOOLING   lane_write --> spool --drain--> bus             (with a spool, Kafka only)
 *
 *      DIRECT -> SPOOLING   a record is not acknowledged after spool_after_ms, or the buffer is
 *                           full, or Kafka gave up: what is not acknowledged goes to the spool, too
 *      SPOOLING -> DIRECT   the spool is drained: nothing overtakes what waits
 *
 * A lane begins SPOOLING, so that it can begin while Kafka is away. What was moved to the spool is
 * still in librdkafka's queue as well; the drain begins when that queue is empty, behind what
 * came from there: so only a crash makes Kafka have something twice (enrich drops that by message
 * id).
 *
 * A record that Kafka refuses for good (too large for it, mostly) is found by sending what was on
 * the way one by one, goes to a log beside the spool (spool.h), and the rest goes on.
 *
 * Records are numbered 1, 2, .. whichever way they go.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_LANE_H
#define COLLECT_LANE_H

#include "lib/bus.h"
#include "lib/loop.h"

struct lane;

/* The key of a stored record; valid until the next call. */
typedef struct slice lane_key_fn(void *ctx, const struct value *fields);
typedef void lane_moved_fn(void *ctx);

struct lane_conf {
	const char *url;
	const char *topic;              /* the spool's name for it */
	const struct bus_conf *bus_conf;        /* borrowed until lane_close */
	struct loop *loop;              /* NULL: nobody watches (--stdin) */
	lane_moved_fn *moved;           /* the durable mark rose, or an error came or went */
	void *ctx;
	const char *spool;              /* directory; NULL: none */
	int64_t spool_after_ms, spool_bytes;
	bool always_spool;
	lane_key_fn *key;
};

MUST_CHECK int lane_open(struct lane **lanep, const struct lane_conf *conf, struct err *err);
void lane_close(struct lane *lane);

/* -EAGAIN: the buffer is full. Other -errno: as lane_error. */
MUST_CHECK int lane_write(struct lane *lane, struct slice key, struct slice value, uint64_t *seq);
/* At the end of a turn: lets go what was written, and moves on what waits in the spool. */
void lane_turn(struct lane *lane);
/* Now and then (100 ms): looks whether something waits too long; tidies. */
void lane_tick(struct lane *lane);
/* The buffer is full: a spool, if there is one, takes over. */
void lane_press(struct lane *lane);
uint64_t lane_durable(const struct lane *lane);
/* 0, or why nothing more is taken now. It may go away; lane_is_dead does not. */
int lane_error(const struct lane *lane);
const char *lane_error_text(const struct lane *lane);
bool lane_is_dead(const struct lane *lane);
/* Waits until all that was written is safe. 0, -ETIMEDOUT, or the error. */
MUST_CHECK int lane_flush(struct lane *lane, int timeout_ms);
/* Waits for room. */
MUST_CHECK int lane_wait(struct lane *lane, int timeout_ms);
/* Of the spool: records that wait, bytes on disk; 0 without one. */
int64_t lane_spool_waiting(const struct lane *lane);
int64_t lane_spool_bytes(const struct lane *lane);
/* Records that Kafka refused, and that were put aside, since lane_open. */
int64_t lane_refused(const struct lane *lane);

#endif
