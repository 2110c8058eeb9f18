// SPDX-License-Identifier: Apache-2.0
#include "aggregate/funnel_match.h"

void funnel_match_init(struct funnel_match *match, const struct scan_event *events,
		       uint32_t from, uint32_t to)
{
	match->events = events;
	match->from = from;
	match->to = to;
	for (int k = 0; k < FUNNEL_STEPS_MAX; k++)
		match->owner[k] = -1;
}

static int filled_by(const struct funnel_match *match, uint32_t event)
{
	for (int k = 0; k < FUNNEL_STEPS_MAX; k++)
		if (match->owner[k] == (int64_t)event)
			return k;
	return -1;
}

/* Breadth first from the step that lacks an event: a free event ends the path, a taken one leads
 * to the step that holds it. via[k] is the event through which step k was come to. Steps are few,
 * so each is visited once at most, and the path is turned over backwards. */
bool funnel_match_step(struct funnel_match *match, int step)
{
	int queue[FUNNEL_STEPS_MAX], parent[FUNNEL_STEPS_MAX];
	int head = 0, tail = 0;
	uint64_t seen = UINT64_C(1) << step;

	queue[tail++] = step;
	parent[step] = -1;
	while (head < tail) {
		int k = queue[head++];

		for (uint32_t i = match->from; i < match->to; i++) {
			int holder;

			if (!(match->events[i].match >> k & 1))
				continue;
			holder = filled_by(match, i);
			if (holder >= 0) {
				if (!(seen >> holder & 1)) {
					seen |= UINT64_C(1) << holder;
					parent[holder] = k;
					queue[tail++] = holder;
				}
				continue;
			}
			/* Along the path each step takes over what its child held. */
			for (int64_t event = i; k >= 0; k = parent[k]) {
				int64_t held = match->owner[k];

				match->owner[k] = event;
				event = held;
			}
			return true;
		}
	}
	return false;
}

/* The other way round: from the event to a step that lacks one. */
bool funnel_match_event(struct funnel_match *match, uint32_t event, uint64_t steps)
{
	int queue[FUNNEL_STEPS_MAX], parent[FUNNEL_STEPS_MAX];
	int head = 0, tail = 0;
	uint64_t reach = match->events[event].match & steps, seen = reach;

	for (int k = 0; k < FUNNEL_STEPS_MAX; k++)
		if (reach >> k & 1) {
			parent[k] = -1;
			queue[tail++] = k;
		}
	while (head < tail) {
		int k = queue[head++];

		if (match->owner[k] < 0) {
			/* k takes its parent's event, and so on up; the first takes `event`. */
			while (parent[k] >= 0) {
				match->owner[k] = match->owner[parent[k]];
				k = parent[k];
			}
			match->owner[k] = event;
			return true;
		}
		reach = match->events[match->owner[k]].match & steps & ~seen;
		seen |= reach;
		for (int s = 0; s < FUNNEL_STEPS_MAX; s++)
			if (reach >> s & 1) {
				parent[s] = k;
				queue[tail++] = s;
			}
	}
	return false;
}
