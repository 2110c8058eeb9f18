// SPDX-License-Identifier: Apache-2.0
#include "aggregate/funnel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/funnel_match.h"

#define NO_NODE  UINT32_MAX
#define NO_START INT64_MIN

/* Chains share their beginnings: a node is an event and the chain before it. */
struct node {
	uint32_t event, before;
};

/* A chain that has reached a level. */
struct reach {
	int64_t start;                  /* time of its first step; NO_START: there is none */
	uint32_t node;
};

struct funnel {
	struct funnel_conf conf;
	uint64_t exclusion_bits;
	struct node *nodes;             /* owned; of this person */
	uint32_t node_count, node_room;
	bool failed;                    /* no memory for a node */
	/* FUNNEL_BEST: [k]: the chain with the latest start at level k, 1..steps */
	struct reach reach[FUNNEL_STEPS_MAX + 1];
	int level;
	uint32_t best;                  /* node of the path of that level */
	/* `drop`: the earliest start that came to a level and was not looked at by an exclusion
	 * yet, and whether an attempt at that level ended without one. */
	int64_t pending[FUNNEL_STEPS_MAX + 1];
	bool is_clean[FUNNEL_STEPS_MAX + 1];
};

/* One call's view. */
struct walk {
	struct funnel *funnel;
	const struct scan_event *events;
	uint32_t count;
	int64_t from_us, to_us;
	funnel_take_fn *take;
	void *ctx;
	int level;                      /* highest level taken */
};

int funnel_open(struct funnel **funnelp, const struct funnel_conf *conf)
{
	struct funnel *funnel;

	assert(conf->steps >= 1 && conf->steps <= FUNNEL_STEPS_MAX);
	assert(conf->exclusion_count <= FUNNEL_EXCLUSIONS_MAX);
	assert(conf->order == FUNNEL_ORDERED ||
	       (conf->count == FUNNEL_BEST && conf->exclusion_count == 0));
	funnel = calloc(1, sizeof(*funnel));
	*funnelp = funnel;
	if (!funnel)
		return -ENOMEM;
	funnel->conf = *conf;
	for (size_t i = 0; i < conf->exclusion_count; i++)
		funnel->exclusion_bits |= conf->exclusions[i].match;
	return 0;
}

void funnel_close(struct funnel *funnel)
{
	if (!funnel)
		return;
	free(funnel->nodes);
	free(funnel);
}

static uint32_t add_node(struct funnel *funnel, uint32_t event, uint32_t before)
{
	if (funnel->node_count == funnel->node_room) {
		uint32_t room = funnel->node_room ? 2 * funnel->node_room : 1024;
		struct node *nodes = realloc(funnel->nodes, room * sizeof(*nodes));

		if (!nodes || room < funnel->node_room) {
			funnel->failed = true;
			return NO_NODE;
		}
		funnel->nodes = nodes;
		funnel->node_room = room;
	}
	funnel->nodes[funnel->node_count] = (struct node){ event, before };
	return funnel->node_count++;
}

/* Does t lie in the window that began at start? Never overflows: start <= t. */
static bool in_window(const struct funnel *funnel, int64_t start, int64_t t)
{
	return (uint64_t)t - (uint64_t)start <= (uint64_t)funnel->conf.window_us;
}

static bool in_range(const struct walk *walk, int64_t t)
{
	return walk->from_us <= t && t < walk->to_us;
}

static uint64_t step_bits(const struct funnel *funnel)
{
	return (UINT64_C(1) << funnel->conf.steps) - 1;
}

/* The end of the events with the time of events[i]. */
static uint32_t tie_end(const struct walk *walk, uint32_t i)
{
	uint32_t end = i + 1;

	while (end < walk->count && walk->events[end].time_us == walk->events[i].time_us)
		end++;
	return end;
}

static int take_path(struct walk *walk, const struct funnel_path *path)
{
	int rc = walk->take ? walk->take(walk->ctx, path) : 0;

	if (path->level > walk->level)
		walk->level = path->level;
	return rc;
}

static int take_chain(struct walk *walk, int level, uint32_t node)
{
	struct funnel_path path = { .level = level };

	if (level == 0)
		return 0;
	for (int k = level; k-- > 0; node = walk->funnel->nodes[node].before)
		path.events[k] = walk->funnel->nodes[node].event;
	return take_path(walk, &path);
}

/* --- ordered, best --- */

static void begin_best(struct funnel *funnel)
{
	funnel->node_count = 0;
	funnel->failed = false;
	funnel->level = 0;
	funnel->best = NO_NODE;
	for (int k = 0; k <= funnel->conf.steps; k++) {
		funnel->reach[k] = (struct reach){ NO_START, NO_NODE };
		funnel->pending[k] = NO_START;
		funnel->is_clean[k] = false;
	}
}

static void come_to(struct funnel *funnel, int k, uint32_t node)
{
	if (k > funnel->level) {
		funnel->level = k;
		funnel->best = node;
	}
}

/* A lone event moves each chain on by one step at most, so the steps go from high to low. */
static void best_single(struct walk *walk, uint32_t i)
{
	struct funnel *funnel = walk->funnel;
	int64_t t = walk->events[i].time_us;
	uint64_t bits = walk->events[i].match & step_bits(funnel);

	while (bits) {
		int k = 64 - __builtin_clzll(bits);
		const struct reach *before = &funnel->reach[k - 1];
		int64_t start = t;
		uint32_t node = NO_NODE;

		bits &= ~(UINT64_C(1) << (k - 1));
		if (k == 1) {
			if (!in_range(walk, t))
				continue;
		} else {
			if (before->start == NO_START || !in_window(funnel, before->start, t))
				continue;
			start = before->start;
			node = before->node;
		}
		if (start <= funnel->reach[k].start)
			continue;       /* NO_START is below all */
		node = add_node(funnel, i, node);
		funnel->reach[k] = (struct reach){ start, node };
		if (funnel->pending[k] == NO_START || start < funnel->pending[k])
			funnel->pending[k] = start;
		come_to(funnel, k, node);
	}
}

/* Exclusions of an instant may stand before or after its steps, as is best for the person: a chain
 * that came into [after, before) from below within the instant has them before itself. One that
 * stood in there already, and still does, is killed. */
static bool is_killed(const struct funnel *funnel, uint64_t match, int base, int level)
{
	for (size_t x = 0; x < funnel->conf.exclusion_count; x++) {
		const struct funnel_exclusion *exclusion = &funnel->conf.exclusions[x];

		if ((match & exclusion->match) && exclusion->after <= base &&
		    level < exclusion->before)
			return true;
	}
	return false;
}

static void note_drops(struct funnel *funnel, uint64_t match, int64_t t)
{
	for (size_t x = 0; x < funnel->conf.exclusion_count; x++) {
		const struct funnel_exclusion *exclusion = &funnel->conf.exclusions[x];

		if (!(match & exclusion->match) || !exclusion->drop)
			continue;
		for (int k = exclusion->after; k < exclusion->before; k++) {
			if (funnel->pending[k] == NO_START)
				continue;
			if (!in_window(funnel, funnel->pending[k], t))
				funnel->is_clean[k] = true;
			funnel->pending[k] = NO_START;
		}
	}
}

/* All chains that grow from level `base` within the instant. */
static void grow_from(struct walk *walk, int base, const struct reach *from,
		      struct funnel_match *match, uint64_t excluded, struct reach *grown)
{
	struct funnel *funnel = walk->funnel;
	int64_t t = walk->events[match->from].time_us;
	int64_t start = base == 0 ? t : from->start;

	for (int k = base + 1; k <= funnel->conf.steps; k++) {
		uint32_t node = base == 0 ? NO_NODE : from->node;
		bool is_later;

		if (!funnel_match_step(match, k - 1))
			return;
		is_later = start > grown[k].start && !is_killed(funnel, excluded, base, k);
		if (!is_later && k <= funnel->level)
			continue;
		for (int s = base; s < k; s++)
			node = add_node(funnel, (uint32_t)match->owner[s], node);
		come_to(funnel, k, node);
		if (!is_later)
			continue;
		grown[k] = (struct reach){ start, node };
		if (funnel->pending[k] == NO_START || start < funnel->pending[k])
			funnel->pending[k] = start;
	}
}

/* Events of one instant: each chain from before it may use any of them in any order. */
static void best_tie(struct walk *walk, uint32_t i, uint32_t end)
{
	struct funnel *funnel = walk->funnel;
	struct reach grown[FUNNEL_STEPS_MAX + 1];
	struct funnel_match match;
	int64_t t = walk->events[i].time_us;
	uint64_t all = 0;

	for (uint32_t e = i; e < end; e++)
		all |= walk->events[e].match;
	if (all & funnel->exclusion_bits)
		note_drops(funnel, all, t);
	for (int k = 1; k <= funnel->conf.steps; k++) {
		grown[k] = funnel->reach[k];
		if (grown[k].start != NO_START && is_killed(funnel, all, k, k) &&
		    in_window(funnel, grown[k].start, t))
			grown[k] = (struct reach){ NO_START, NO_NODE };
	}
	for (int base = funnel->conf.steps - 1; base >= 0; base--) {
		const struct reach *from = &funnel->reach[base];

		if (!(all >> base & 1))
			continue;
		if (base == 0 ? !in_range(walk, t)
			      : from->start == NO_START || !in_window(funnel, from->start, t))
			continue;
		funnel_match_init(&match, walk->events, i, end);
		grow_from(walk, base, from, &match, all, grown);
	}
	memcpy(&funnel->reach[1], &grown[1], (size_t)funnel->conf.steps * sizeof(grown[0]));
}

/* With `drop`: is there an attempt at the person's level that no exclusion ended? */
static bool is_dropped(const struct funnel *funnel)
{
	int level = funnel->level;

	for (size_t x = 0; x < funnel->conf.exclusion_count; x++)
		if (funnel->conf.exclusions[x].drop)
			return level > 0 && !funnel->is_clean[level] &&
			       funnel->pending[level] == NO_START;
	return false;
}

static int run_best(struct walk *walk)
{
	struct funnel *funnel = walk->funnel;

	begin_best(funnel);
	for (uint32_t i = 0, end; i < walk->count; i = end) {
		end = tie_end(walk, i);
		if (end == i + 1 && !(walk->events[i].match & funnel->exclusion_bits))
			best_single(walk, i);
		else
			best_tie(walk, i, end);
		if (funnel->failed)
			return -ENOMEM;
		if (funnel->level == funnel->conf.steps)
			break;
	}
	return is_dropped(funnel) ? 0 : take_chain(walk, funnel->level, funnel->best);
}

/* --- ordered, first entry and totals: one attempt at a time --- */

struct attempt {
	struct funnel_path path;        /* level 0: none is active */
	int64_t start;
	bool is_over;                   /* FIRST: nothing more can happen */
	bool is_dropped;
};

/* Fills as many steps from the events of an instant as there are: each step takes the first event
 * that is not used yet. For FUNNEL_TOTALS a conversion is taken and a new attempt may begin. A
 * matching would find more only where one event satisfies several steps that another needs. */
static int attempt_grow(struct walk *walk, struct attempt *attempt, uint32_t i, uint32_t end,
			uint64_t *used)
{
	const struct funnel_conf *conf = &walk->funnel->conf;
	int64_t t = walk->events[i].time_us;
	int rc = 0;

	for (uint32_t e = i; e < end && rc >= 0 && !attempt->is_over; e++) {
		int level = attempt->path.level;

		if ((used[(e - i) / 64] >> ((e - i) % 64) & 1) ||
		    !(walk->events[e].match >> level & 1) || (level == 0 && !in_range(walk, t)))
			continue;
		used[(e - i) / 64] |= UINT64_C(1) << ((e - i) % 64);
		if (level == 0)
			attempt->start = t;
		attempt->path.events[level] = e;
		attempt->path.level++;
		if (attempt->path.level == conf->steps) {
			rc = take_path(walk, &attempt->path);
			attempt->path.level = 0;
			attempt->is_over = conf->count == FUNNEL_FIRST;
		}
		e = i - 1;              /* from the beginning: for the next step */
	}
	return rc;
}

/* The attempt ends here: what it came to counts. */
static int attempt_end(struct walk *walk, struct attempt *attempt)
{
	int rc = 0;

	if (attempt->path.level > 0 && !attempt->is_dropped)
		rc = take_path(walk, &attempt->path);
	attempt->path.level = 0;
	attempt->is_over = walk->funnel->conf.count == FUNNEL_FIRST;
	return rc;
}

static int attempt_exclude(struct walk *walk, struct attempt *attempt, int base, uint64_t match)
{
	const struct funnel_conf *conf = &walk->funnel->conf;
	int level = attempt->path.level;

	for (size_t x = 0; x < conf->exclusion_count; x++) {
		const struct funnel_exclusion *exclusion = &conf->exclusions[x];

		if (!(match & exclusion->match) || exclusion->after > base ||
		    level >= exclusion->before)
			continue;
		attempt->is_dropped = exclusion->drop && conf->count == FUNNEL_FIRST;
		return attempt_end(walk, attempt);
	}
	return 0;
}

/* An exclusion of an instant ends the attempt that stood there before it and still does, after what
 * else of the instant moved it on; one that began within the instant has it before itself. */
static int attempt_tie(struct walk *walk, struct attempt *attempt, uint32_t i, uint32_t end)
{
	uint64_t few[4] = { 0 }, *used = few;
	uint64_t match = 0;
	int base = attempt->path.level, rc;

	if (end - i > 256) {
		used = calloc((end - i + 63) / 64, sizeof(*used));
		if (!used)
			return -ENOMEM;
	}
	for (uint32_t e = i; e < end; e++)
		match |= walk->events[e].match;
	rc = attempt_grow(walk, attempt, i, end, used);
	if (rc >= 0 && base > 0 && attempt->path.level > 0 &&
	    attempt->start < walk->events[i].time_us &&
	    (match & walk->funnel->exclusion_bits))
		rc = attempt_exclude(walk, attempt, base, match);
	if (used != few)
		free(used);
	return rc;
}

static int run_attempts(struct walk *walk)
{
	struct attempt attempt = { .is_over = false };
	int rc = 0;

	for (uint32_t i = 0, end; i < walk->count && rc >= 0 && !attempt.is_over; i = end) {
		end = tie_end(walk, i);
		if (attempt.path.level > 0 &&
		    !in_window(walk->funnel, attempt.start, walk->events[i].time_us))
			rc = attempt_end(walk, &attempt);
		if (rc >= 0 && !attempt.is_over)
			rc = attempt_tie(walk, &attempt, i, end);
	}
	if (rc >= 0 && !attempt.is_over)
		rc = attempt_end(walk, &attempt);
	return rc;
}

/* --- strict --- */

static int run_strict(struct walk *walk)
{
	struct funnel *funnel = walk->funnel;
	struct reach *reach = funnel->reach;

	begin_best(funnel);
	for (uint32_t i = 0; i < walk->count && funnel->level < funnel->conf.steps; i++) {
		int64_t t = walk->events[i].time_us;
		uint64_t match = walk->events[i].match;

		for (int k = funnel->conf.steps; k >= 1; k--) {
			bool goes_on = match >> (k - 1) & 1;

			if (k == 1)
				goes_on = goes_on && in_range(walk, t);
			else
				goes_on = goes_on && reach[k - 1].start != NO_START &&
					  in_window(funnel, reach[k - 1].start, t);
			if (!goes_on) {
				reach[k] = (struct reach){ NO_START, NO_NODE };
				continue;
			}
			reach[k].start = k == 1 ? t : reach[k - 1].start;
			reach[k].node = add_node(funnel, i, k == 1 ? NO_NODE : reach[k - 1].node);
			come_to(funnel, k, reach[k].node);
		}
		if (funnel->failed)
			return -ENOMEM;
	}
	return take_chain(walk, funnel->level, funnel->best);
}

/* --- any order --- */

/* Matches the window [begin, end) event by event; the path is the events that raised the count. */
static void match_window(struct walk *walk, uint32_t begin, uint32_t end,
			 struct funnel_path *path)
{
	struct funnel_match match;

	path->level = 0;
	funnel_match_init(&match, walk->events, begin, end);
	for (uint32_t e = begin; e < end && path->level < walk->funnel->conf.steps; e++)
		if (funnel_match_event(&match, e, step_bits(walk->funnel)))
			path->events[path->level++] = e;
}

/* Two ends move over the events; a window is matched only where it holds events of more steps
 * than the best so far. */
static int run_any(struct walk *walk)
{
	struct funnel *funnel = walk->funnel;
	struct funnel_path best = { .level = 0 }, path;
	uint32_t in_window_of[FUNNEL_STEPS_MAX] = { 0 };
	uint32_t end = 0;
	int distinct = 0;

	for (uint32_t i = 0, next; i < walk->count; i = next) {
		int64_t t = walk->events[i].time_us;
		uint64_t here = 0;

		next = tie_end(walk, i);
		for (; end < walk->count && in_window(funnel, t, walk->events[end].time_us); end++)
			for (int k = 0; k < funnel->conf.steps; k++)
				if (walk->events[end].match >> k & 1)
					distinct += in_window_of[k]++ == 0;
		for (uint32_t e = i; e < next; e++)
			here |= walk->events[e].match & step_bits(funnel);
		if (here && in_range(walk, t) && distinct > best.level) {
			match_window(walk, i, end, &path);
			if (path.level > best.level)
				best = path;
			if (best.level == funnel->conf.steps)
				break;
		}
		for (uint32_t e = i; e < next; e++)
			for (int k = 0; k < funnel->conf.steps; k++)
				if (walk->events[e].match >> k & 1)
					distinct -= --in_window_of[k] == 0;
	}
	return best.level > 0 ? take_path(walk, &best) : 0;
}

int funnel_run(struct funnel *funnel, const struct scan_event *events, uint32_t count,
	       int64_t from_us, int64_t to_us, funnel_take_fn *take, void *ctx)
{
	struct walk walk = { .funnel = funnel, .events = events, .count = count,
			     .from_us = from_us, .to_us = to_us, .take = take, .ctx = ctx };
	int rc;

	if (funnel->conf.order == FUNNEL_STRICT)
		rc = run_strict(&walk);
	else if (funnel->conf.order == FUNNEL_ANY)
		rc = run_any(&walk);
	else if (funnel->conf.count == FUNNEL_BEST)
		rc = run_best(&walk);
	else
		rc = run_attempts(&walk);
	return rc < 0 ? rc : walk.level;
}
