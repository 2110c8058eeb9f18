/* dest - where a sink brings records: one interface, one dest_KIND.c each
 *
 *      resume   where a partition goes on, asked once before its first record
 *      put      one record; it is safe only when commit has counted it
 *      skip     an offset that gets no record (a marker, a repeat)
 *      commit   called between batches: make safe what is due, all of it when ending
 *
 * Offsets of a partition come in rising order, from resume's answer on. What is `safe` never has to
 * be sent again: it is what the ledger calls out. All calls come from one thread.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_DEST_H
#define SINK_DEST_H

#include <stdint.h>

#include "lib/bus.h"
#include "lib/log.h"
#include "lib/metric.h"
#include "lib/stamp.h"

struct dest;

enum dest_skip { DEST_SKIP_MARKER, DEST_SKIP_DUPLICATE };

struct dest_ops {
	/* *next: the offset to go on at, or BUS_OFFSET_FIRST where nothing is there yet. Stamps of
	 * what is there are added to seen. */
	int (*resume)(struct dest *dest, int32_t partition, struct stamp_seen *seen, int64_t *next,
		      struct err *err);
	/* The input kept nothing before offset first although the destination waits for less. */
	int (*lost)(struct dest *dest, int32_t partition, int64_t first, struct err *err);
	int (*put)(struct dest *dest, int32_t partition, int64_t offset,
		   const struct value *fields, struct err *err);
	int (*skip)(struct dest *dest, int32_t partition, int64_t offset, enum dest_skip why,
		    struct err *err);
	/* Adds to *safe what became it since the last call (put too may make room by itself). */
	int (*commit)(struct dest *dest, bool ending, uint64_t *safe, struct err *err);
	void (*metrics)(struct dest *dest, struct metric_set *set);
	void (*close)(struct dest *dest);
};

struct dest {
	const struct dest_ops *ops;
};

#endif
