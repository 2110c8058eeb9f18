/* scan - walks persons in order through all files, with all cores
 *
 *      snapshot --> split by leader into slices --> thread: person after person
 *                                                     |  rows of all its actors from all files
 *                                                     |  that match a selector, by (time, message)
 *                                                     `-> take(thread state, person)
 *
 * A measure says what it wants to see as selectors (a set of event names, a condition, a range of
 * time) and gets, per person, an array of the events that match at least one, with a bit for each
 * selector. What a selector costs is decided per file once: event codes to bits by a table, a
 * condition to one look-up per value (predicate.h). Persons are disjoint between threads, so that
 * sums of the threads' states are exact, uniques included.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SCAN_H
#define AGGREGATE_SCAN_H

#include <stdatomic.h>

#include "aggregate/predicate.h"
#include "aggregate/store.h"

#define SCAN_SELECTORS_MAX 64

struct scan_selector {
	const struct slice *events;     /* names, any of them; count 0: every behavioural event,
	                                   which is all but Identify, Group, Alias and '$..' */
	size_t event_count;
	const struct predicate *where;  /* NULL: all */
	int64_t from_us, to_us;         /* half open; INT64_MIN, INT64_MAX: no bound */
};

struct scan_event {
	int64_t time_us;
	uint64_t match;                 /* bit i: selector i */
	uint32_t file, row;             /* of the snapshot: for scan_prop */
};

struct scan_person {
	uint32_t leader;                /* PERSON_NOBODY: events without an id, one by one */
	uint32_t count;
	const struct scan_event *events;        /* canonical order; until take returns */
};

/* Per thread: make, take each person that has a match, and fold the thread's state into the
 * result. A negative return stops the scan. */
struct scan_ops {
	int (*begin)(void *ctx, int thread, void **statep);
	int (*take)(void *state, const struct scan_person *person);
	int (*fold)(void *ctx, void *state);            /* one thread at a time; frees state */
};

struct scan;

struct scan_conf {
	const struct snapshot *snapshot;
	const struct scan_selector *selectors;
	size_t selector_count;
	const struct predicate *who;    /* a condition on the profile only; NULL: everybody */
	bool with_everyone;             /* take() also persons without a match, count 0 */
	int threads;                    /* 0: one per core */
	const atomic_bool *cancel;      /* the client went away; may be NULL */
	int64_t deadline_ms;            /* monotonic; 0: none */
	size_t memory_max;              /* for what measures ask through scan_charge; 0: none */
	uint64_t scanned;               /* out: rows looked at */
};

/* 0, -ECANCELED, -ETIME (deadline), -ENOSPC (memory), -ENOMEM, or what an op returned. */
MUST_CHECK int scan_run(struct scan_conf *conf, const struct scan_ops *ops, void *ctx);

/* Properties of events, by names resolved once: the value's number in a table that all files and
 * threads share, for breakdowns; 0: not set. */
struct scan_prop;
MUST_CHECK int scan_prop_open(struct scan_prop **propp, const struct snapshot *snapshot,
			      struct slice name);
void scan_prop_close(struct scan_prop *prop);
struct prop scan_prop_value(const struct scan_prop *prop, const struct scan_event *event);
uint32_t scan_prop_number(const struct scan_prop *prop, const struct scan_event *event);
struct prop scan_prop_of(const struct scan_prop *prop, uint32_t number);
uint32_t scan_prop_count(const struct scan_prop *prop); /* numbers are below it */

#endif
