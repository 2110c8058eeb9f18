/* ingest - enriched records into the counts
 *
 * The step and commit of lib/filter.h. A record is counted once: repeats by its stamp are dropped,
 * markers count nothing. A person is user_id, else anonymous_id; who is whom comes with the store.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_INGEST_H
#define AGGREGATE_INGEST_H

#include "aggregate/count.h"
#include "aggregate/emit.h"
#include "aggregate/progress.h"
#include "lib/filter.h"
#include "lib/stamp.h"

struct ingest {
	struct count *count;            /* all borrowed */
	struct emit *emit;              /* NULL: nothing is emitted */
	struct progress *progress;
	struct bus *in;
	int64_t emit_every_ms;
	/* its own */
	struct stamp_seen seen;
	struct progress_state state;    /* the filter's thread's; copied to progress */
	int64_t received_us[BUS_PARTITIONS_MAX];        /* of the last record */
	int64_t looked_ms, emitted_ms;
	struct metric *persons, *names, *emitted;
};

void ingest_init(struct ingest *ingest);

extern const struct filter_ops ingest_ops;

#endif
