/* funnel - how far one person's events go through an ordered list of steps
 *
 *      events of a person, by time, with a bit per step and per exclusion --> paths
 *
 * A pure function: no clock, no store. A path is an attempt: its level (steps reached) and the
 * event that filled each step. Which attempts count is FUNNEL_BEST .. FUNNEL_TOTALS.
 *
 * Rules (docs/questions.md, "Funnels"):
 *   one event fills at most one step; the window runs from the first step's event and includes its
 *   end; the range limits the first step only; events of the same time have no order among
 *   themselves, except for FUNNEL_STRICT, where they stand as given.
 *   FUNNEL_BEST    the highest level of any entry. For each level k the latest start of a chain
 *                  that reached it is kept: a later one only extends the deadline: none is lost.
 *                  Ties are matched as a bipartite graph. O(events x steps).
 *                  The path is that of the first time the level was reached.
 *   FUNNEL_FIRST   only the first entry in range, then the earliest event of each next step.
 *   FUNNEL_TOTALS  attempt after attempt: it ends when it converts, when the window has passed, or
 *                  by an exclusion; entries within an attempt count nothing.
 *   order any      the most steps that distinct events of one window can fill.
 *   order strict   any other event between two steps breaks the chain.
 * Exclusions (x after step a, before step b) kill the attempts that stand at a level a..b-1 while
 * their window runs. `drop` also takes the person out altogether where no attempt that was not
 * killed comes to the same level; attempts are those that the algorithm keeps: the latest starts.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_FUNNEL_H
#define AGGREGATE_FUNNEL_H

#include "aggregate/scan.h"

#define FUNNEL_STEPS_MAX      32
#define FUNNEL_EXCLUSIONS_MAX 16

enum funnel_order { FUNNEL_ORDERED, FUNNEL_STRICT, FUNNEL_ANY };
enum funnel_count { FUNNEL_BEST, FUNNEL_FIRST, FUNNEL_TOTALS };

struct funnel_exclusion {
	uint64_t match;                 /* the bit of its selector */
	int after, before;              /* steps from 1: 1 <= after < before <= steps */
	bool drop;
};

/* Bits 0..steps-1 of scan_event.match are the steps. Other bits that are no exclusion's make an
 * event visible to FUNNEL_STRICT and nothing else. */
struct funnel_conf {
	int steps;
	int64_t window_us;              /* INT64_MAX: none */
	enum funnel_order order;
	enum funnel_count count;        /* FUNNEL_BEST is the only one with strict and any */
	size_t exclusion_count;         /* 0 with strict and any */
	struct funnel_exclusion exclusions[FUNNEL_EXCLUSIONS_MAX];
};

struct funnel_path {
	int level;                      /* 1..steps */
	uint32_t events[FUNNEL_STEPS_MAX];      /* [k]: index of the event of step k + 1; with order
	                                           any: of the k-th step that was completed */
};

/* Called for each attempt that counts: at most one but for FUNNEL_TOTALS. < 0 stops. */
typedef int funnel_take_fn(void *ctx, const struct funnel_path *path);

struct funnel;

/* One per thread; conf is copied. */
MUST_CHECK int funnel_open(struct funnel **funnelp, const struct funnel_conf *conf);
void funnel_close(struct funnel *funnel);

/* Entries in [from_us, to_us). Returns the highest level taken (0: none), or -ENOMEM, or what take
 * returned. */
MUST_CHECK int funnel_run(struct funnel *funnel, const struct scan_event *events, uint32_t count,
			  int64_t from_us, int64_t to_us, funnel_take_fn *take, void *ctx);

#endif
