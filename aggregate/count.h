/* count - rolling counts: events and persons per quarter of an hour, event name and breakdown
 *
 *      store: rows come, go, persons are tied anew --> dirty buckets
 *      count_round: a scan over them --> cells --> those that differ from what was said --> emit
 *
 * Exact: a bucket that anything has changed in is counted anew from the store, so late events,
 * links, merges and deletes correct the past. Which buckets a tie concerns: those of the rows of
 * the actors whose leader changed. Nothing is kept per person. What was said last is, 16 bytes a
 * cell, at most cells_max of them: over that the oldest buckets are let go of, and stay as they
 * were said. So do buckets older than the store keeps.
 *
 * A cell is (event, bucket), or (event, bucket, property, value). Values of a property are at most
 * COUNT_VALUES_MAX, else it is not counted by (the log says so); texts over COUNT_TEXT_MAX bytes
 * are left out. A round takes at most some 50 ms (or one scan), and the next one comes ten times as
 * long after it.
 *
 * All is one thread's (the filter's).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COUNT_H
#define AGGREGATE_COUNT_H

#include "aggregate/bucket_set.h"
#include "aggregate/store.h"

#define COUNT_BY_MAX     5
#define COUNT_VALUES_MAX 10000
#define COUNT_TEXT_MAX   255
#define COUNT_LABELS_MAX 262144         /* (event, property, value): more are left out */

struct count;

struct count_conf {
	const char *const *by;          /* properties; borrowed */
	size_t by_count;                /* <= COUNT_BY_MAX */
	size_t cells_max;
	int64_t retain_us;              /* of the store; 0: all */
	int threads;
	const struct log *log;
};

MUST_CHECK int count_open(struct count **countp, const struct count_conf *conf, struct err *err);
void count_close(struct count *count);
/* For store_conf.dirt. */
struct bucket_set *count_dirt(struct count *count);

struct count_cell {
	struct slice event;
	struct slice by, value;         /* ptr NULL: all together */
	int64_t bucket_us;
	int64_t total, unique;
};

/* What was said before: the newest of a cell counts. Before count_begin. -ENOMEM. */
MUST_CHECK int count_said(struct count *count, const struct count_cell *cell);
/* All that the store has is dirty. */
MUST_CHECK int count_begin(struct count *count, struct store *store, struct err *err);

typedef int count_emit_fn(void *ctx, const struct count_cell *cell);
bool count_is_due(const struct count *count, int64_t now_ms);
/* Counts dirty buckets and emits what differs from what was said: total 0 where a cell is no more.
 * all: whatever it takes. What emit returns, -ENOMEM. */
MUST_CHECK int count_round(struct count *count, bool all, count_emit_fn *emit, void *ctx,
			   struct err *err);

struct count_counts {
	uint64_t cells, rounds;
	uint64_t left_out;              /* cells, of values too long or too many */
	int64_t since_us;               /* buckets before it stay as they were said; 0: none */
};
struct count_counts count_counts(const struct count *count);

#endif
