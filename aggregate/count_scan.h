/* count_scan - the cells of some buckets, counted from a snapshot */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COUNT_SCAN_H
#define AGGREGATE_COUNT_SCAN_H

#include "aggregate/count.h"
#include "aggregate/keymap.h"

struct count_tally {
	struct keymap map;              /* count_key to index */
	struct count_sum {
		uint64_t total;
		uint32_t unique, last;  /* last: the leader that was counted last, + 1 */
	} *sums;                        /* owned */
	uint32_t room;
};

struct count_scan {
	const struct snapshot *snapshot;
	const struct bucket_set *wanted;        /* only these of low <= bucket < high */
	uint32_t low, high;
	const char *const *by;
	size_t by_count;
	uint32_t cells_max;             /* more: -ENOSPC */
	int threads;
	/* results: count_scan_close */
	struct scan_prop *event, *props[COUNT_BY_MAX];
	bool is_left_out[COUNT_BY_MAX]; /* too many values */
	struct count_tally tally;
};

/* Of a key: bucket from low on, number of the event, property (0: none, else index + 1), value. */
struct count_key {
	uint32_t bucket, event, prop, value;
};
struct count_key count_key_of(uint64_t key);

MUST_CHECK int count_scan_run(struct count_scan *scan);
void count_scan_close(struct count_scan *scan);

#endif
