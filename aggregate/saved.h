/* saved - queries over people and funnels in reports/NAME.yaml, kept up to date per event
 *
 *      batch committed --> persons that changed, timers that are due
 *                            '-> each tried on each saved query and funnel (scan_one)
 *                                  '-> what differs --> topics members, funnels
 *
 *      kind: people                          kind: funnel
 *      query: {"did": ..}  (cohort.h)        steps, window, ..  (as POST /v1/query/funnel)
 *
 * Files of other kinds are not ours. They are looked at twice a second; one that cannot be read
 * keeps what was in force, and the log says why. A query that is new or changed is asked over all
 * persons once; who matches then enters with cause "defined".
 *
 * Restart: `members` is read from its start: it says who was in, by which version. When the input
 * has been read as far as it says (as_of), all are asked over everybody, and what differs is
 * emitted: nothing twice, nothing lost. A change that came and went in between is not told.
 *
 * One thread (the filter's) changes; others may ask saved_has, saved_is_member at any time.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SAVED_H
#define AGGREGATE_SAVED_H

#include "aggregate/store.h"
#include "lib/bus.h"

#define SAVED_MAX 64

struct saved;

struct saved_conf {
	struct store *store;            /* all borrowed */
	const char *dir;                /* reports/; "" or none there: nothing is saved */
	const char *members, *funnels;  /* buses; "": nothing is emitted */
	const struct bus_conf *out;     /* as for a writer; schemas are set here */
	const struct log *log;
	int week_start;                 /* days after Monday, where a question says none */
	int threads;                    /* of a question over everybody; 0: one per core */
	int64_t (*now_us)(void *ctx);   /* the wall clock of tests; NULL: the real one */
	void *ctx;
};

MUST_CHECK int saved_open(struct saved **savedp, const struct saved_conf *conf, struct err *err);
void saved_close(struct saved *saved);

/* What was read: next[p], and end[p] of the topic, for p < partitions. */
struct saved_progress {
	const int64_t *next, *end;
	int partitions;
	bool idle, ending;
};
/* After store_commit, not within a change. Emits what changed and is durable when ending. saved may
 * be NULL. */
MUST_CHECK int saved_commit(struct saved *saved, struct store *store,
			    const struct saved_progress *progress, struct err *err);

/* For predicate_world: ctx is the struct saved. */
bool saved_has(void *ctx, struct slice name);
bool saved_is_member(void *ctx, struct slice name, uint32_t leader);

struct saved_counts {
	uint64_t queries, funnels, members, emitted, tried, failed;
};
struct saved_counts saved_counts(const struct saved *saved);

#endif
