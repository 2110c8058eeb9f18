/* ingest - enriched records into the store
 *
 *      step: repeat by stamp? marker? --> row_take          (a batch is one change of the store)
 *      commit: end of the change, store_commit, emit what changed, progress for answers
 *
 * The step and commit of lib/filter.h. A record is taken once: repeats by its stamp, and by its
 * message in the store, are dropped; markers only move the offset. Reading begins where the store's
 * manifest says (ingest_start for bus_conf.start).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_INGEST_H
#define AGGREGATE_INGEST_H

#include "aggregate/count.h"
#include "aggregate/emit.h"
#include "aggregate/erase.h"
#include "aggregate/progress.h"
#include "aggregate/row.h"
#include "aggregate/saved.h"
#include "lib/filter.h"
#include "lib/stamp.h"

struct ingest {
	struct store *store;            /* all borrowed */
	struct count *count;            /* what emit tells; NULL where emit is */
	struct emit *emit;              /* NULL: nothing is emitted */
	struct saved *saved;            /* NULL: none are saved */
	struct erase *erase;            /* NULL: no deletes */
	struct progress *progress;
	struct bus *in;
	int64_t emit_every_ms;
	/* its own */
	struct row_taker *taker;
	bool is_changing;               /* a batch is open */
	struct stamp_seen seen;
	struct progress_state state;    /* the filter's thread's; copied to progress */
	int64_t received_us[BUS_PARTITIONS_MAX];        /* of the last record */
	int64_t first_end[BUS_PARTITIONS_MAX];  /* of the topic at the first look */
	int first_count;                /* its partitions then; 0: not looked yet */
	int64_t looked_ms, emitted_ms;
	struct serve *serve;            /* for its counts; may be NULL */
	struct metric *gauges[23];
};

/* next[p]: as the store said. Counts of what the store has are made where count is set. */
MUST_CHECK int ingest_open(struct ingest *ingest, const int64_t next[BUS_PARTITIONS_MAX],
			   struct err *err);
void ingest_close(struct ingest *ingest);
/* A bus_start_fn; ctx is the struct ingest. */
int64_t ingest_start(void *ctx, int32_t partition, struct err *err);

extern const struct filter_ops ingest_ops;

#endif
