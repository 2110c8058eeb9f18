/* calendar - the buckets of a question: local units that touch its range, and some after it
 *
 * Cohorts look further than the range: bucket i + k must have a place for k up to the periods asked
 * for.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_CALENDAR_H
#define AGGREGATE_CALENDAR_H

#include "aggregate/question.h"

struct calendar {
	enum zone_unit unit;
	const struct zone *zone;        /* borrowed */
	int64_t *bounds;                /* owned; count + beyond + 1 */
	int count;                      /* buckets that touch the range */
	int beyond;                     /* further ones */
};

/* -EINVAL with *error over QUESTION_BUCKETS_MAX buckets; -ENOMEM. */
MUST_CHECK int calendar_init(struct calendar *calendar, const struct question_range *range,
			     enum zone_unit unit, int beyond, struct question_error *error);
void calendar_close(struct calendar *calendar);

/* The bucket of a time, from a hint that only moves on: times must not fall between two calls with
 * the same *hint (0 at first). -1 before the first, count + beyond behind the last. */
int calendar_bucket(const struct calendar *calendar, int64_t time_us, int *hint);

/* "buckets":["2026-11-01",..] of the range. */
void calendar_write(const struct calendar *calendar, struct buf *out);

#endif
