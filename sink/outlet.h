/* outlet - what is behind deliver: the file sink, or the courier of all other destinations
 *
 *      resume   where a partition goes on, asked once before its first record
 *      put      one record, and what became of it: usually FILTER_PENDING until commit
 *               settles it
 *      skip     an offset that gets no record (a marker, a repeat)
 *      commit   called between batches: make safe what is due, all of it when ending, and settle
 *               it (filter_settle). What was sent to bad before is durable now
 *
 * Offsets of a partition come in rising order, from resume's answer on. What is settled as out
 * never has to be sent again. All calls come from one thread.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_OUTLET_H
#define SINK_OUTLET_H

#include <stdint.h>

#include "lib/bus.h"
#include "lib/filter.h"
#include "lib/stamp.h"

struct outlet;

enum outlet_skip { OUTLET_SKIP_MARKER, OUTLET_SKIP_DUPLICATE };

/* A record's stamp; partition -1: it has none. */
struct outlet_src {
	int32_t partition;
	int64_t offset, index;
};

struct outlet_ops {
	/* *next: the offset to go on at, BUS_OFFSET_FIRST where nothing is there yet, or
	 * BUS_OFFSET_END. Stamps of what is there are added to seen. in may be NULL (tests). */
	int (*resume)(struct outlet *outlet, struct bus *in, int32_t partition,
		      struct stamp_seen *seen, int64_t *next, struct err *err);
	/* The input kept nothing before offset first although the destination waits for less. */
	int (*lost)(struct outlet *outlet, int32_t partition, int64_t first, struct err *err);
	/* record->partition and record->fields; offset and src are what counts. Returns a fate. */
	int (*put)(struct outlet *outlet, struct filter *filter, const struct bus_record *record,
		   int64_t offset, struct outlet_src src, struct err *err);
	int (*skip)(struct outlet *outlet, int32_t partition, int64_t offset,
		    struct outlet_src src, enum outlet_skip why, struct err *err);
	int (*commit)(struct outlet *outlet, struct filter *filter, struct err *err);
	int (*begin)(struct outlet *outlet, struct filter *filter, struct err *err);
	void (*close)(struct outlet *outlet);
};

struct outlet {
	const struct outlet_ops *ops;
};

#endif
