/* trend_own - what trend_run.c (persons in order), trend_block.c (rows) and trend_rank.c share
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_TREND_OWN_H
#define AGGREGATE_TREND_OWN_H

#include "aggregate/trend.h"

/* A measure's numbers per (segment, bucket); which ones there are depends on its kind. A row of
 * cells has one more than there are buckets: the whole range. */
struct cells {
	uint32_t segments;
	size_t columns;
	uint64_t *total;                /* events that count */
	uint32_t *users, *last;         /* last: who was counted in this cell last */
	struct sum *sums;
	struct sum_fixed *fixed;        /* of trend_block.c, until it folds; NULL: sums only */
	double *extremes;
	struct keymap values;           /* (cell, value) -> index */
	uint64_t *counts;               /* [value_room] */
	uint32_t value_room;
	uint32_t *direct;               /* instead of values and counts: [cells * numbers] */
	size_t direct_count;
	int32_t *days;                  /* [segments][day_count + 1]: changes of "was active" */
	uint32_t *day_person;           /* [segments] */
	int64_t *day_end;               /* [segments]: the last day that this person is active on */
};

struct run {
	struct trend *trend;
	const struct trend_range *range;
	struct cells result[TREND_MEASURES_MAX];
	uint32_t *grid;                 /* time >> shift -> a bucket at or before it; owned */
	int shift;
	bool in_order;
};

static inline uint32_t trend_bucket_of(const struct run *run, int64_t time_us)
{
	const int64_t *bounds = run->range->bounds;
	uint32_t bucket = run->grid[(uint64_t)(time_us - bounds[0]) >> run->shift];

	while (time_us >= bounds[bucket + 1])
		bucket++;
	return bucket;
}

/* Does it keep all values? */
static inline bool trend_has_values(const struct trend_measure *measure)
{
	return measure->quantile >= 0 || measure->kind == TREND_DISTINCT;
}

/* trend_run.c */
MUST_CHECK int cells_init(struct cells *cells, const struct run *run, size_t measure);
void cells_reset(struct cells *cells);
/* Adds a thread's cells to the result. */
MUST_CHECK int fold_cells(struct run *run, size_t measure, const struct cells *from);
/* One more of a value in a cell: key = cell * numbers + number. */
MUST_CHECK int trend_count_value(const struct run *run, struct cells *cells, uint64_t key);

/* trend_block.c: counts rows, where neither order nor sessions matter. trend_has_blocks: may it? */
bool trend_has_blocks(const struct run *run);
MUST_CHECK int trend_run_blocks(struct run *run);

/* trend_quarter.c: totals of events without conditions, without rows. */
struct trend_quarters {
	void *ctx;
	size_t m;                       /* the measure */
	uint64_t key;                   /* of the breakdown */
};
typedef int trend_quarter_fn(const struct trend_quarters *quarters, int64_t time_us,
			     uint32_t count);
bool trend_has_quarters(const struct trend *trend, const struct trend_range *range);
MUST_CHECK int trend_take_quarters(struct trend *trend, const struct trend_range *range,
				   trend_quarter_fn *take, void *ctx);
MUST_CHECK int trend_run_quarters(struct run *run);

#endif
