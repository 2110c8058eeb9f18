/* emit - changed counts to the topic `counted`
 *
 * A cell (count.h) whose total or unique differs from what was emitted last is emitted as it is
 * now, with as_of = the input offsets that it includes. Values are absolute: the newest record
 * of a cell is the one that counts, and one more does no harm. total 0: the cell is no more.
 * Records by the hour, of earlier versions, are passed over.
 *
 * A start reads `counted` from its beginning: each cell knows again what it said last, and up to
 * which offsets of the input. Nothing is emitted until the input was read so far again; from then
 * on only what differs.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_EMIT_H
#define AGGREGATE_EMIT_H

#include "aggregate/count.h"
#include "lib/filter.h"

struct emit;

/* Opens the topic for writing and reads it. conf is bus_open's for a writer; its schema is set
 * here. All is borrowed until emit_close. */
MUST_CHECK int emit_open(struct emit **emitp, const char *url, const struct bus_conf *conf,
			 struct count *count, struct err *err);
void emit_close(struct emit *emit);

/* For filter_conf.out. */
struct bus *emit_bus(struct emit *emit);

/* Emits what is due; all: whatever it takes. next[p], end[p] for p < partitions: where reading is,
 * where the topic ends. */
struct emit_progress {
	const int64_t *next, *end;
	int partitions;
	bool all;
};
MUST_CHECK int emit_changes(struct emit *emit, struct filter *filter,
			    const struct emit_progress *progress, uint64_t *emitted,
			    struct err *err);

/* "0:1200,1:1187" into next[BUS_PARTITIONS_MAX], raising what is lower. -EBADMSG. */
MUST_CHECK int emit_parse_as_of(struct slice text, int64_t *next);

#endif
