/* funnel_tally - what a funnel counts: people per step, times between steps, by segment and bucket
 *
 * One per thread, folded into one at the end. A cell is one row of the answer: overall, or a
 * segment. Times are kept one by one, since medians are exact; they are charged to the question's
 * memory.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_FUNNEL_TALLY_H
#define AGGREGATE_FUNNEL_TALLY_H

#include "aggregate/durations.h"
#include "aggregate/funnel.h"

struct funnel_cell {
	uint64_t counts[FUNNEL_STEPS_MAX];      /* paths that reached step k + 1 */
	struct durations previous[FUNNEL_STEPS_MAX]; /* [k]: from step k to k + 1 */
	struct durations start[FUNNEL_STEPS_MAX];    /* [k]: from the first step */
};

struct funnel_bucket {
	uint64_t entered, converted;
};

struct funnel_tally {
	int steps;
	struct scan_conf *scan;         /* charged; borrowed */
	struct funnel_cell *cells;      /* owned; [0] overall */
	size_t cell_count;
	struct funnel_bucket *buckets;  /* owned; of the trend */
	size_t bucket_count;
	uint32_t *people;               /* owned; leaders */
	size_t person_count, person_room;
};

MUST_CHECK int funnel_tally_init(struct funnel_tally *tally, int steps, size_t cells,
				 size_t buckets, struct scan_conf *scan);
void funnel_tally_close(struct funnel_tally *tally);

/* times[k]: when step k + 1 was reached; level of them. -ENOSPC, -ENOMEM. */
MUST_CHECK int funnel_tally_path(struct funnel_tally *tally, size_t cell, int level,
				 const int64_t *times);
MUST_CHECK int funnel_tally_person(struct funnel_tally *tally, uint32_t leader);
/* Adds another of the same shape. */
MUST_CHECK int funnel_tally_fold(struct funnel_tally *tally, const struct funnel_tally *other);

#endif
