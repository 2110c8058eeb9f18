/* stamp - exactly once by source offsets
 *
 * Every derived record carries src = (partition, offset, index) of the record it came from. A
 * filter keeps order and writes partition p of its output from partition p of its input, so
 *
 *      restart:  resume partition p at 1 + the highest src.offset in the tail of own output p
 *      reader:   keep the highest src seen per partition, drop what is not above it
 *
 * and a crash, or a zombie that still writes, changes nothing. The tail looked at is
 * STAMP_TAIL records, because a zombie's late writes can follow newer ones.
 *
 * It holds for filters that make at most one record of each input record (index 0), as all of ours
 * do. One that made several could die between two siblings, and src.offset + 1 would pass over the
 * rest: it would have to resume at src.offset itself, and leave out what its tail already holds.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_STAMP_H
#define LIB_STAMP_H

#include "lib/bus.h"

#define STAMP_TAIL 20000

/* Which leaves of the output's schema hold the stamp; index < 0: there is none. */
struct stamp_leaves {
	int partition;
	int offset;
	int index;
};

/* For the output topic at url: *next[p] = the input offset to resume at for p < count; where an
 * output partition is empty BUS_OFFSET_FIRST. For `-` everything is BUS_OFFSET_FIRST.
 * Errors as bus_open's. */
MUST_CHECK int stamp_resume(const char *url, const struct bus_conf *conf,
			    struct stamp_leaves leaves, int64_t *next, int count, struct err *err);

/* The same for one partition of an open reader; the reader stands behind it. */
MUST_CHECK int stamp_resume_partition(struct bus *reader, int32_t partition,
				      struct stamp_leaves leaves, int64_t *next, struct err *err);

/* The reader's side: what was seen per source partition. */
struct stamp_seen {
	int64_t offset[BUS_PARTITIONS_MAX];     /* highest src.offset; start with stamp_seen_init */
	int64_t index[BUS_PARTITIONS_MAX];
};

void stamp_seen_init(struct stamp_seen *seen);
/* true: new, and remembered. false: a repeat, to be dropped. */
bool stamp_is_new(struct stamp_seen *seen, int32_t partition, int64_t offset, int64_t index);

#endif
