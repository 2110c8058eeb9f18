/* position - what of each partition was delivered, so that a crash repeats only what was in flight
 *
 *      begin 7, 8, 9, 10  --settle 8, 10-->  next = 7, settled above: 8, 10
 *
 * Every offset that was read is begun, in order; each is settled once, when the destination has
 * taken it, or when it needs none (filtered, dead letter, marker). The file holds, per
 * partition, `next` (all below it is settled), the settled ranges above, and the src stamp that
 * came before `next`. It is written whole after each request's answer, with one pwrite; so kill
 * -9 repeats at most the requests whose answers were not seen. Against power loss it is synced
 * once a second and at the end: that much may come twice, with the same keys, but nothing is lost.
 *
 * File: 4 slots of POSITION_SLOT bytes. 0 and 1 are written in turn without a sync, 2 and 3 in turn
 * with one; so one whole slot is always there. The valid slot with the highest seq counts.
 *      millrace position 1 SEQ LEN CRC32(of the next LEN bytes, hex)\n
 *      KEY                                     what it belongs to: topic and destination
 *      PARTITION NEXT SRC_PARTITION SRC_OFFSET SRC_INDEX [FIRST-LAST ..]\n   one per partition
 * Ranges that do not fit are left out: they would come twice after a crash.
 *
 * Safe from two threads. flock on the file: one sink per destination.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_POSITION_H
#define SINK_POSITION_H

#include <stdint.h>

#include "lib/bus.h"
#include "lib/stamp.h"

#define POSITION_SLOT ((size_t)128 << 10)

struct position;

struct position_src {
	int32_t partition;              /* -1: the record has no stamp */
	int64_t offset, index;
};

/* Makes the file where it is missing. -EBUSY: another sink has it. -EBADMSG: it belongs to another
 * topic, or no slot is valid. */
MUST_CHECK int position_open(struct position **positionp, const char *path, const char *key,
			     struct err *err);
/* Writes and syncs what is not yet, and frees. NULL is fine. */
void position_close(struct position *position);

/* *next: BUS_OFFSET_FIRST where nothing was ever begun. The stamp before next is added to seen. */
void position_resume(struct position *position, int32_t partition, struct stamp_seen *seen,
		     int64_t *next);
/* A new one begins there: written and synced before anything is delivered. */
MUST_CHECK int position_start(struct position *position, int32_t partition, int64_t next,
			      struct err *err);
/* An offset was read; offsets rise. 1: it is to be delivered and settled. 0: it was settled before
 * the last end. -ENOMEM. */
MUST_CHECK int position_begin(struct position *position, int32_t partition, int64_t offset,
			      struct position_src src);
/* It needs nothing more. */
void position_settle(struct position *position, int32_t partition, int64_t offset);
/* Writes what changed since the last call; sync: durably. 0 or -errno. */
MUST_CHECK int position_save(struct position *position, bool sync);
/* Reads only, without the lock: 1: that offset is settled; 0: it is not; -ENOENT: no file. */
MUST_CHECK int position_look(const char *path, const char *key, int32_t partition, int64_t offset);
/* Nothing stood in the file when it was opened. */
bool position_is_new(const struct position *position);

#endif
