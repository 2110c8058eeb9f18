/* stage - records on their way out, committed in groups by a thread of its own
 *
 *      stage_write --> staged chunks --release--> ready chunks --commit thread--> durable
 *      (owner only, no lock)            (one mutex)             (log: files; pipe: stdout)
 *
 * What bus_log and bus_pipe share: numbering, the bound on bytes in memory, group commit, waiting,
 * the event fd, and trying again after a failure. A chunk is the raw content of one Avro block: it
 * is cut at BLOCK_CUT, and small releases are put together into one chunk while the thread is busy.
 * All released records of all partitions go into the next round; when the round is durable the
 * durable mark jumps to its last record, so the mark never passes a record that is not safe.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_STAGE_H
#define LIB_STAGE_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

struct stage;

struct stage_chunk {
	struct stage_chunk *next;
	struct buf bytes;               /* datums, one after the other */
	int64_t count;
};

/* The chunks of one partition, in order. */
struct stage_list {
	struct stage_chunk *first;
	struct stage_chunk *last;
};

/* Makes a round durable: lists[partition]. Called on the stage's thread. Whatever partition is
 * durable is given back with stage_done. 0: all were. -errno with words: with conf.retry the rest
 * comes again after a while (100 ms doubling to 5 s), else the error stays for good. */
typedef int stage_commit_fn(void *ctx, struct stage_list *lists, struct err *err);
/* Housekeeping, called on the same thread every tick_ms. */
typedef void stage_tick_fn(void *ctx);

struct stage_conf {
	int partitions;
	int commit_ms;                  /* least time between the starts of two rounds */
	int64_t buffer_bytes;           /* staged + not yet durable, at most */
	int64_t eager_bytes;            /* released bytes that start a round at once */
	bool retry;
	stage_commit_fn *commit;
	stage_tick_fn *tick;            /* may be NULL */
	int tick_ms;
	void *ctx;
};

MUST_CHECK int stage_open(struct stage **stagep, const struct stage_conf *conf, struct err *err);
/* From a commit function: the partition's chunks are durable. */
void stage_done(struct stage *stage, struct stage_list *list);

/* These are what bus.h says of bus_write, bus_release, .. */
MUST_CHECK int stage_write(struct stage *stage, int32_t partition, struct slice value,
			   uint64_t *seq);
MUST_CHECK int stage_release(struct stage *stage);
uint64_t stage_durable(struct stage *stage);
MUST_CHECK int stage_wait(struct stage *stage, int timeout_ms);
MUST_CHECK int stage_flush(struct stage *stage, int timeout_ms);
int stage_event_fd(struct stage *stage);
int stage_error(struct stage *stage);
const char *stage_error_text(struct stage *stage);
/* Ends the thread after the round that is under way; what was not committed is dropped. */
void stage_close(struct stage *stage);

#endif
