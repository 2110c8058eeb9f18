/* funnel_count - runs a checked funnel over a snapshot
 *
 *      person's events -> translate -> groups of held values -> funnel_run -> paths
 *        -> overall cell, cell of the path's segment, bucket of its entry, list of people
 *
 * Segments take two passes: the first ranks values by people at step 1, the second counts the top
 * ones and the rest as one, in which a person is once ($other is a union, no sum). Where there are
 * few values the first counts each of them, and is all where they fit the top. Many numbers are
 * ranges of what the first pass saw.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_FUNNEL_COUNT_H
#define AGGREGATE_FUNNEL_COUNT_H

#include "aggregate/funnel_ask.h"
#include "aggregate/funnel_tally.h"
#include "aggregate/ranges.h"

struct funnel_segments {
	struct scan_prop *prop;         /* owned; NULL: no breakdown */
	struct ranges ranges;
	uint32_t *numbers;              /* owned; groups of the top segments, in their order */
	size_t count;
	bool has_rest;                  /* cell 1 + count is $other */
	uint32_t *cell_of;              /* owned; [group]: its cell */
};

struct funnel_result {
	struct funnel_tally tally;      /* cells: overall, then the segments */
	struct funnel_segments segments;
	int64_t *bounds;                /* owned; of the trend's buckets, bucket_count + 1 */
};

/* scan: snapshot, threads, limits; selectors are set here. The caller closes in any case. Errors
 * are scan_run's. */
MUST_CHECK int funnel_count_run(struct funnel_result *result, const struct funnel_ask *ask,
				struct scan_conf *scan);
void funnel_count_close(struct funnel_result *result);

#endif
