/* reach - how far each destination has come, by what its sink left on the disk
 *
 *      files:  DIR/TOPIC-PARTITION-FIRST-LAST.EXT, and .TOPIC-PARTITION.sums   (sink/file_name.h)
 *      others: DATA/sinks/NAME/position, started, status.json                  (sink/position.h)
 *
 * Only reads; takes no lock. The sinks may be at work meanwhile: what is found here was true.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_REACH_H
#define MILLRACE_REACH_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/bus.h"

#define REACH_NAME_MAX 64

/* Offsets first..last of a partition are settled. */
struct reach_range {
	int32_t partition;
	int64_t first, last;
	/* Of files: what their line of the sums says; has_sum. */
	bool has_sum;
	uint64_t records, markers, duplicates;
	uint64_t seen;                  /* the caller's, 0 */
};

struct reach {
	char name[REACH_NAME_MAX + 1];
	char type[40], from[REACH_NAME_MAX + 1], ext[16];
	bool is_on, is_file;
	char dir[PATH_MAX];             /* of files, or its state directory */
	int64_t begin[BUS_PARTITIONS_MAX];      /* it got nothing before; -1: from the first
						 * on; INT64_MAX: it has not begun */
	struct reach_range *ranges;     /* owned; by partition, then first */
	size_t count;
	char words[200];                /* why it cannot be read; "" where it can */
};

struct reach_list {
	struct reach *items;            /* owned */
	size_t count;
};

/* dir: of millrace.yaml; data: of the supervisor. Destinations that cannot be read are in the
 * list with words. -ENOMEM. */
MUST_CHECK int reach_read(struct reach_list *list, const char *dir, const char *data,
			  struct err *err);
void reach_close(struct reach_list *list);

/* What a replay of a destination has settled of `bad` (sink --from bad --to NAME). -ENOMEM. The
 * caller frees reach->ranges. */
MUST_CHECK int reach_read_replay(struct reach *reach, const char *data, const char *name);

/* The range that has that offset, or NULL. hint (start with 0) makes rising offsets cheap. */
struct reach_range *reach_find(const struct reach *reach, int32_t partition, int64_t offset,
			       size_t *hint);
/* The highest settled offset + 1 of the partition; -1: nothing. */
int64_t reach_end(const struct reach *reach, int32_t partition);

#endif
