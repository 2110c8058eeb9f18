/* funnel_match - the most steps that distinct events can fill
 *
 * Steps on one side, events on the other, an edge where an event satisfies a step: a maximum
 * bipartite matching, grown one step or one event at a time by augmenting paths (Kuhn). For the
 * few events of one instant (funnel.c) and of one window (order any).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_FUNNEL_MATCH_H
#define AGGREGATE_FUNNEL_MATCH_H

#include "aggregate/funnel.h"

struct funnel_match {
	const struct scan_event *events;        /* borrowed */
	uint32_t from, to;              /* those that take part, as indices */
	int64_t owner[FUNNEL_STEPS_MAX];        /* [step]: the event that fills it, or -1 */
};

void funnel_match_init(struct funnel_match *match, const struct scan_event *events,
		       uint32_t from, uint32_t to);
/* Fills one step more (0-based), moving others to other events where that helps. */
bool funnel_match_step(struct funnel_match *match, int step);
/* One event more is there: can it raise the number of filled steps? steps: bits that count. */
bool funnel_match_event(struct funnel_match *match, uint32_t event, uint64_t steps);

#endif
