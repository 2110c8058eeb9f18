/* parcel - parts waiting, sorted into requests
 *
 *      add --> lane (route, and partition where asked) --full, or old enough--> parcel
 *                 `--> waits behind an earlier part of the same person, where order is asked
 *
 * A parcel is one request: it stays together on every retry, so that its key does. With an order,
 * at most one parcel holds parts of one person (one part of each, unless the kind takes a batch
 * whole and in order); later ones wait until sorter_release.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_PARCEL_H
#define SINK_PARCEL_H

#include "sink/letter.h"

struct parcel {
	struct parcel *then;            /* goes after this one (cut in two, where order matters) */
	int route;
	unsigned attempts;              /* made so far */
	int64_t first_ms;               /* of the first; 0: none */
	int64_t due_ms;
	struct post_request *request;   /* while under way */
	struct dest_batch batch;        /* items and key */
	size_t count;
	const struct dest_item **items; /* of parts: what a kind sees */
	struct part *parts[];
};

struct sorter;

struct sorter_conf {
	struct dest_limits limits;
	bool is_ordered;                /* parts with an order wait for each other */
	bool is_atomic;                 /* ... but may share a parcel */
	bool by_partition;              /* a lane for each partition */
	bool has_key;
};

MUST_CHECK int sorter_open(struct sorter **sorterp, const struct sorter_conf *conf);
/* Parts that were added and not taken are dropped. */
void sorter_close(struct sorter *sorter);
/* -ENOMEM. */
MUST_CHECK int sorter_add(struct sorter *sorter, struct part *part, int64_t now_ms);
/* A lane that is full, or whose first part has waited long enough (flush: any). NULL: none, or no
 * memory. The parcel is the caller's: parcel_close, after sorter_release of its parts. */
struct parcel *sorter_next(struct sorter *sorter, int64_t now_ms, bool flush);
/* When sorter_next may have one, or INT64_MAX. */
int64_t sorter_due_ms(const struct sorter *sorter, int64_t now_ms, bool flush);
/* A part of a parcel is settled: those that waited for it come to the front. */
void sorter_release(struct sorter *sorter, struct part *part);

/* Takes parts[from..] into a new parcel of the same history. NULL: no memory. */
struct parcel *parcel_cut(struct parcel *parcel, size_t from);
/* Keeps the parts for which keep[i]; the key is made anew. */
void parcel_keep(struct parcel *parcel, const bool *keep);
void parcel_close(struct parcel *parcel);

#endif
