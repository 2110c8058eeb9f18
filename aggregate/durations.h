/* durations - times one by one, for exact means, medians and a histogram
 *
 * What funnels and sessions tell of time. Each grows under the question's memory bound.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_DURATIONS_H
#define AGGREGATE_DURATIONS_H

#include "aggregate/scan.h"

/* All zero is the empty one. */
struct durations {
	int64_t *us;                    /* owned */
	size_t count, room;
};

/* -ENOSPC over scan's memory_max, -ENOMEM. */
MUST_CHECK int durations_add(struct durations *durations, struct scan_conf *scan, int64_t us);
MUST_CHECK int durations_fold(struct durations *durations, struct scan_conf *scan,
			      const struct durations *more);
void durations_close(struct durations *durations);

double durations_mean(const struct durations *durations);       /* us; count > 0 */
/* ,"MEAN":1234.5,"MEDIAN":1000: in milliseconds, null where there are none. Reorders. */
void durations_write(struct durations *durations, const char *mean, const char *median,
		     struct buf *out);
/* [[0,3],[4000,1],..]: from_ms and count. Bins of equal width from the least to the greatest, as
 * many as the cube root of the count; the greatest stands on the edge of a last one. */
void durations_write_bins(const struct durations *durations, struct buf *out);

#endif
