/* count - events and different users per event name and hour
 *
 *      name --> event --> cells by hour --> total, set of users
 *      user --> number (0, 1, ..), once for all events
 *
 * Exact: a cell keeps every user that it saw, as a number of 32 bits in a hash set. The users of
 * a range are the union of its hours' sets, never a sum. Hours are of UTC. All is in memory: about
 * 40 bytes a user and 8 a user, event and hour. It is rebuilt from the topic at each start.
 *
 * count_add and the emit calls are one thread's; readers on others stand between count_hold and
 * count_release, in which nothing moves.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COUNT_H
#define AGGREGATE_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define COUNT_HOUR_US   INT64_C(3600000000)
#define COUNT_EVENTS_MAX 100000         /* names; later ones are counted as COUNT_REST */
#define COUNT_REST      "$too_many_names"

struct count;

MUST_CHECK int count_open(struct count **countp, struct err *err);
void count_close(struct count *count);

/* One event. kind tells namespaces apart ('u' a user id, 'a' an anonymous id); an empty user is
 * counted in the total only. -ENOMEM, or -ENOSPC after 2^32 - 1 users. */
MUST_CHECK int count_add(struct count *count, struct slice event, char kind, struct slice user,
			 int64_t time_us);

/* Readers */
void count_hold(struct count *count);
void count_release(struct count *count);
uint64_t count_persons(const struct count *count);
uint64_t count_events(const struct count *count);       /* added */
int count_names(const struct count *count);             /* event names; they are 0..n-1 */
struct slice count_name(const struct count *count, int event);
int count_find(const struct count *count, struct slice event);  /* or -ENOENT */

/* Sums up events over buckets: bucket i is the hours bounds[i] <= hour < bounds[i + 1]. With
 * is_unique, values[i] and *overall are different users, else events. *scanned gets the number of
 * cells looked at added. */
struct count_ask {
	const int *events;
	size_t event_count;
	bool is_unique;
	const int64_t *bounds;          /* bucket_count + 1, rising */
	size_t bucket_count;
};
MUST_CHECK int count_series(const struct count *count, const struct count_ask *ask,
			    int64_t *values, int64_t *overall, uint64_t *scanned);

/* All names with their totals in hours [from, to), most first, ties by name; those with none are
 * left out. The caller frees *ranks. */
struct count_rank {
	int event;
	int64_t total;
};
MUST_CHECK int count_ranks(const struct count *count, int64_t from, int64_t to,
			   struct count_rank **ranks, size_t *rank_count);

/* What was emitted of each cell, and which cells changed since (emit.h). */
struct count_cell {
	struct slice event;
	int64_t hour;
	int64_t total, unique;
	int64_t emitted_total, emitted_unique;
};
/* A cell's emitted values, as read back. */
MUST_CHECK int count_set_emitted(struct count *count, struct slice event, int64_t hour,
				 int64_t total, int64_t unique);
/* The next cell that differs from what was emitted; false: there is none. *cell is good until the
 * next call on count. */
bool count_next_change(struct count *count, struct count_cell *cell);
/* It was emitted as it is. */
void count_emitted(struct count *count, const struct count_cell *cell);

#endif
