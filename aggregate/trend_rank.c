// SPDX-License-Identifier: Apache-2.0
#include "aggregate/trend_own.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define SUM_SCALE 1048576.0             /* ranking needs no more digits than a millionth */

/* What a segment comes to over the whole range. */
struct rank {
	uint64_t events;
	uint32_t users, last;
	double extreme;
	struct { int64_t high; uint64_t low; } sum;     /* 128 bits, by add128 */
};

struct ranking {
	struct keymap keys;
	struct rank *ranks;             /* [room] */
	uint32_t room;
};

/* Bits "was this person of the chunk seen with this key": as trend_block.c's. */
#define SEEN_BYTES  ((size_t)256 << 10)
#define SEEN_PERSON ((size_t)4096)

struct rank_state {
	struct trend *trend;
	uint64_t *seen;                 /* of blocks: [ranked][chunk][words]; owned */
	size_t words;
	uint32_t chunk;
	struct breakdown_look *look;
	struct scan_look *props[TREND_MEASURES_MAX];
	struct ranking rankings[TREND_MEASURES_MAX];
};

struct rank_result {
	struct trend *trend;
	struct ranking rankings[TREND_MEASURES_MAX];
};

static void ranking_reset(struct ranking *ranking)
{
	keymap_reset(&ranking->keys);
	free(ranking->ranks);
	*ranking = (struct ranking){ 0 };
}

static int ranking_at(const struct trend *trend, struct ranking *ranking, uint64_t key,
		      struct rank **rankp)
{
	uint32_t number;
	int rc = keymap_add(&ranking->keys, key, &number);

	if (rc < 0)
		return rc;
	if (number >= ranking->room) {
		uint32_t room = ranking->room ? 2 * ranking->room : 64;
		struct rank *ranks;

		rc = trend_charge(trend, (room - ranking->room) * (sizeof(*ranks) + 24));
		if (rc < 0)
			return rc;
		ranks = realloc(ranking->ranks, room * sizeof(*ranks));
		if (!ranks)
			return -ENOMEM;
		memset(ranks + ranking->room, 0, (room - ranking->room) * sizeof(*ranks));
		for (uint32_t i = ranking->room; i < room; i++)
			ranks[i].extreme = NAN;
		ranking->ranks = ranks;
		ranking->room = room;
	}
	*rankp = &ranking->ranks[number];
	return 0;
}

static void add128(struct rank *rank, int64_t high, uint64_t low)
{
	rank->sum.high += high + __builtin_add_overflow(rank->sum.low, low, &rank->sum.low);
}

static void add_extreme(const struct trend_measure *measure, struct rank *rank, double value)
{
	rank->extreme = measure->kind == TREND_MIN ? fmin(rank->extreme, value)
						   : fmax(rank->extreme, value);
}

static void add_value(const struct trend_measure *measure, struct rank *rank, double value)
{
	add_extreme(measure, rank, value);
	value = fmax(fmin(value, 1e12), -1e12) * SUM_SCALE;
	add128(rank, value < 0 ? -1 : 0, (uint64_t)(int64_t)value);
}

/* For formulas all measures have the segments of the first. */
static size_t ranked_count(const struct trend *trend)
{
	return trend->formula.count ? 1 : trend->measure_count;
}

static void drop_state(struct rank_state *state)
{
	if (!state)
		return;
	breakdown_look_close(state->look);
	free(state->seen);
	for (size_t i = 0; i < state->trend->measure_count; i++) {
		scan_look_close(state->props[i]);
		ranking_reset(&state->rankings[i]);
	}
	free(state);
}

static int make_state(struct trend *trend, struct rank_state **statep)
{
	struct rank_state *state = calloc(1, sizeof(*state));
	int rc = state ? 0 : -ENOMEM;

	*statep = state;
	if (rc < 0)
		return rc;
	state->trend = trend;
	rc = breakdown_look_open(&state->look, trend->breakdown);
	for (size_t i = 0; i < trend->measure_count && rc == 0; i++) {
		rc = keymap_init(&state->rankings[i].keys, breakdown_keys(trend->breakdown));
		if (rc == 0 && trend->measures[i].prop)
			rc = scan_look_open(&state->props[i], trend->measures[i].prop);
	}
	if (rc < 0) {
		drop_state(state);
		*statep = NULL;
	}
	return rc;
}

/* see: which values do numbers have? */

static int see_begin(void *ctx, int thread, void **statep)
{
	(void)thread;
	return make_state(ctx, (struct rank_state **)statep);
}

static int see_take(void *ctx, const struct scan_person *person)
{
	struct rank_state *state = ctx;

	for (uint32_t i = 0; i < person->count; i++)
		breakdown_see(state->look, person->leader, &person->events[i]);
	return 0;
}

static int see_fold(void *ctx, void *one)
{
	struct trend *trend = ctx;
	struct rank_state *state = one;

	breakdown_fold_seen(trend->breakdown, state->look);
	drop_state(state);
	return 0;
}

/* rank: which segments are the top ones? */

static int rank_begin(void *ctx, int thread, void **statep)
{
	struct rank_result *result = ctx;

	(void)thread;
	return make_state(result->trend, (struct rank_state **)statep);
}

static int rank_event(struct rank_state *state, size_t i, uint64_t key, uint32_t leader,
		      double value)
{
	struct rank *rank;
	int rc = ranking_at(state->trend, &state->rankings[i], key, &rank);

	if (rc < 0)
		return rc;
	rank->events++;
	if (leader != PERSON_NOBODY && rank->last != leader) {
		rank->last = leader;
		rank->users++;
	}
	if (!isnan(value))
		add_value(&state->trend->measures[i], rank, value);
	return 0;
}

static int rank_take(void *ctx, const struct scan_person *person)
{
	struct rank_state *state = ctx;
	const struct trend *trend = state->trend;
	uint64_t wanted = ranked_count(trend) == 64 ? UINT64_MAX
			  : (UINT64_C(1) << ranked_count(trend)) - 1;

	for (uint32_t i = 0; i < person->count; i++) {
		const struct scan_event *event = &person->events[i];
		const uint64_t *keys;
		size_t count;

		if (!(event->match & wanted))
			continue;
		count = breakdown_look_up(state->look, person->leader, event, &keys);
		for (uint64_t left = event->match & wanted; left; left &= left - 1) {
			int m = __builtin_ctzll(left);
			const struct trend_measure *measure = &trend->measures[m];
			double value = NAN;

			if (measure->prop) {
				uint32_t n = scan_look(state->props[m], person->leader, event);

				value = measure->numbers[n];
				if (measure->kind == TREND_DISTINCT ? n == 0 : isnan(value))
					continue;
			}
			for (size_t k = 0; k < count; k++) {
				int rc = rank_event(state, (size_t)m, keys[k], person->leader,
						    value);

				if (rc < 0)
					return rc;
			}
		}
	}
	return 0;
}

/* By rows: keys of persons that were seen are bits. */

static size_t words_of(const struct trend *trend)
{
	return ((size_t)breakdown_keys(trend->breakdown) + 63) / 64;
}

/* Is any measure ranked by its users? */
static bool has_users(const struct trend *trend)
{
	for (size_t i = 0; i < ranked_count(trend); i++)
		if (trend->measures[i].kind == TREND_UNIQUE || trend->measures[i].kind >= TREND_DAU)
			return true;
	return false;
}

static bool has_blocks(const struct trend *trend)
{
	return !has_users(trend) || breakdown_keys(trend->breakdown) <= SEEN_PERSON * 8;
}

static uint32_t chunk_of(const struct trend *trend)
{
	size_t chunk = has_users(trend) ? SEEN_BYTES / (words_of(trend) * 8) : 0;

	return chunk < SCAN_CHUNK ? (uint32_t)chunk : SCAN_CHUNK;
}

static int block_begin(void *ctx, int thread, void **statep)
{
	struct rank_result *result = ctx;
	struct rank_state *state;
	size_t count;
	int rc = make_state(result->trend, &state);

	(void)thread;
	if (rc < 0)
		return rc;
	state->words = words_of(state->trend);
	state->chunk = chunk_of(state->trend);
	count = ranked_count(state->trend) * state->chunk * state->words + 1;
	rc = trend_charge(state->trend, count * sizeof(*state->seen));
	if (rc == 0 && !(state->seen = calloc(count, sizeof(*state->seen))))
		rc = -ENOMEM;
	if (rc < 0)
		drop_state(state);
	else
		*statep = state;
	return rc;
}

static int block_turn(void *ctx)
{
	struct rank_state *state = ctx;

	memset(state->seen, 0, ranked_count(state->trend) * state->chunk * state->words *
			       sizeof(*state->seen));
	return 0;
}

/* As rank_event, but who was here is a bit. */
static int rank_row(struct rank_state *state, const struct scan_block *block, uint16_t place,
		    size_t m, uint64_t key, double value)
{
	uint32_t leader = block->leaders[place];
	struct rank *rank;
	uint64_t *seen;
	int rc = ranking_at(state->trend, &state->rankings[m], key, &rank);

	if (rc < 0)
		return rc;
	rank->events++;
	if (leader != PERSON_NOBODY && state->chunk) {
		seen = state->seen + (m * state->chunk + leader - block->from) * state->words;
		rank->users += !(seen[key >> 6] >> (key & 63) & 1);
		seen[key >> 6] |= UINT64_C(1) << (key & 63);
	}
	if (!isnan(value))
		add_value(&state->trend->measures[m], rank, value);
	return 0;
}

static int rank_keys(struct rank_state *state, const struct scan_block *block, uint16_t place,
		     size_t m, double value)
{
	struct scan_event event = { .file = block->file, .row = block->rows[place] };
	const uint64_t *keys;
	size_t count = breakdown_look_up(state->look, block->leaders[place], &event, &keys);
	int rc = 0;

	for (size_t k = 0; k < count && rc == 0; k++)
		rc = rank_row(state, block, place, m, keys[k], value);
	return rc;
}

static int rank_block(struct rank_state *state, const struct scan_block *block, size_t m)
{
	const struct trend_measure *measure = &state->trend->measures[m];
	uint16_t places[SCAN_BLOCK_ROWS];
	uint32_t numbers[SCAN_BLOCK_ROWS];
	uint64_t keys[SCAN_BLOCK_ROWS];
	uint32_t count = scan_block_select(block, m, places);
	bool is_single = breakdown_is_single(state->trend->breakdown);
	int rc = 0;

	if (measure->prop)
		scan_look_rows(state->props[m], block, places, count, numbers);
	if (is_single)
		breakdown_look_rows(state->look, block, places, count, keys);
	for (uint32_t i = 0; i < count && rc == 0; i++) {
		double value = measure->prop ? measure->numbers[numbers[i]] : NAN;

		if (measure->prop && (measure->kind == TREND_DISTINCT ? numbers[i] == 0
								      : isnan(value)))
			continue;
		rc = is_single ? rank_row(state, block, places[i], m, keys[i], value)
			       : rank_keys(state, block, places[i], m, value);
	}
	return rc;
}

static int block_take(void *ctx, const struct scan_block *block)
{
	struct rank_state *state = ctx;
	int rc = 0;

	for (size_t m = 0; m < ranked_count(state->trend) && rc == 0; m++)
		rc = rank_block(state, block, m);
	return rc;
}

static int rank_fold(void *ctx, void *one)
{
	struct rank_result *result = ctx;
	struct rank_state *state = one;
	int rc = 0;

	for (size_t i = 0; i < ranked_count(result->trend) && rc == 0; i++) {
		const struct ranking *ranking = &state->rankings[i];

		for (uint32_t j = 0; j < ranking->keys.count && rc == 0; j++) {
			const struct rank *from = &ranking->ranks[j];
			struct rank *to;

			rc = ranking_at(result->trend, &result->rankings[i], ranking->keys.keys[j],
					&to);
			if (rc < 0)
				break;
			to->events += from->events;
			to->users += from->users;
			add_extreme(&result->trend->measures[i], to, from->extreme);
			add128(to, from->sum.high, from->sum.low);
		}
	}
	drop_state(state);
	return rc;
}

/* Without rows. */
static int rank_quarter(const struct trend_quarters *quarters, int64_t time_us, uint32_t count)
{
	struct rank_result *result = quarters->ctx;
	struct rank *rank;
	int rc;

	(void)time_us;
	if (quarters->m >= ranked_count(result->trend))
		return 0;
	rc = ranking_at(result->trend, &result->rankings[quarters->m], quarters->key, &rank);
	if (rc == 0)
		rank->events += count;
	return rc;
}

static double rank_value(const struct trend_measure *measure, const struct rank *rank)
{
	switch (measure->kind) {
	case TREND_UNIQUE:
	case TREND_DAU:
	case TREND_WAU:
	case TREND_MAU:
	case TREND_SESSIONS:
		return rank->users;
	case TREND_SUM:
		return ldexp((double)rank->sum.high, 64) + (double)rank->sum.low;
	case TREND_MIN:
	case TREND_MAX:
		return rank->extreme;
	default:
		return (double)rank->events;
	}
}

/* Keeps the best `top`, in order: one comparison for most of the others. */
static int choose(struct trend *trend, size_t i, const struct ranking *ranking)
{
	const struct trend_measure *measure = &trend->measures[i];
	struct trend_segments *segments = &trend->segments[i];
	uint32_t *best = calloc((size_t)trend->top + 1, sizeof(*best)), count = 0;
	int rc = best ? keymap_init(&segments->keys, breakdown_keys(trend->breakdown)) : -ENOMEM;

	for (uint32_t j = 0; rc == 0 && j < ranking->keys.count; j++) {
		double value = rank_value(measure, &ranking->ranks[j]);
		uint32_t at = count;

		while (at > 0) {
			double other = rank_value(measure, &ranking->ranks[best[at - 1]]);

			if (other > value || (other == value &&
			    breakdown_compare(trend->breakdown, ranking->keys.keys[best[at - 1]],
					      ranking->keys.keys[j]) < 0))
				break;
			at--;
		}
		if (at >= trend->top)
			continue;
		count += count < trend->top;
		memmove(best + at + 1, best + at, (count - 1 - at) * sizeof(*best));
		best[at] = j;
	}
	for (uint32_t j = 0; rc == 0 && j < count; j++) {
		uint32_t number;

		rc = keymap_add(&segments->keys, ranking->keys.keys[best[j]], &number);
	}
	segments->has_other = ranking->keys.count > count;
	free(best);
	return rc;
}

/* Few keys: every one gets cells, and the values say later which are empty and how they rank. */
static int choose_all(struct trend *trend, size_t i)
{
	uint64_t keys = trend->breakdown ? breakdown_keys(trend->breakdown) : 1;
	int rc = keymap_init(&trend->segments[i].keys, keys);

	for (uint64_t key = 0; key < keys && rc == 0; key++) {
		uint32_t number;

		rc = keymap_add(&trend->segments[i].keys, key, &number);
	}
	return rc;
}

static int rank(struct trend *trend, const struct trend_range *range)
{
	static const struct scan_ops ops = { rank_begin, rank_take, rank_fold };
	static const struct scan_block_ops block_ops = { block_begin, block_turn, block_take,
							 rank_fold };
	struct rank_result *result = calloc(1, sizeof(*result));
	int rc = result ? 0 : -ENOMEM;

	if (rc < 0)
		return rc;
	result->trend = trend;
	for (size_t i = 0; i < ranked_count(trend) && rc == 0; i++)
		rc = keymap_init(&result->rankings[i].keys, breakdown_keys(trend->breakdown));
	if (rc == 0 && trend_has_quarters(trend, range))
		rc = trend_take_quarters(trend, range, rank_quarter, result);
	else if (rc == 0)
		rc = has_blocks(trend)
		     ? trend_scan_blocks(trend, range, chunk_of(trend), &block_ops, result)
		     : trend_scan(trend, range, true, &ops, result);
	for (size_t i = 0; i < ranked_count(trend); i++) {
		if (rc == 0)
			rc = choose(trend, i, &result->rankings[i]);
		ranking_reset(&result->rankings[i]);
	}
	free(result);
	return rc;
}

/* The first measure's segments for all. */
static int copy_segments(struct trend *trend)
{
	const struct trend_segments *from = &trend->segments[0];
	int rc = 0;

	for (size_t i = 1; i < trend->measure_count && rc == 0; i++) {
		struct trend_segments *to = &trend->segments[i];

		rc = keymap_init(&to->keys, from->keys.space);
		for (uint32_t j = 0; j < from->keys.count && rc == 0; j++) {
			uint32_t number;

			rc = keymap_add(&to->keys, from->keys.keys[j], &number);
		}
		to->has_other = from->has_other;
	}
	return rc;
}

int trend_choose(struct trend *trend, const struct trend_range *range)
{
	static const struct scan_ops see = { see_begin, see_take, see_fold };
	int rc = 0;

	/* Ranks are of the range that is asked for, not of what a rolling average looks back at. */
	struct trend_range asked = *range;

	asked.scan_from_us = range->from_us;
	asked.days = NULL;
	if (trend->breakdown && breakdown_wants_to_see(trend->breakdown)) {
		rc = trend_scan(trend, &asked, true, &see, trend);
		if (rc == 0)
			rc = breakdown_settle(trend->breakdown);
	}
	if (rc == 0 && trend->breakdown && breakdown_keys(trend->breakdown) > trend->top) {
		rc = rank(trend, &asked);
		return rc == 0 && trend->formula.count ? copy_segments(trend) : rc;
	}
	for (size_t i = 0; i < trend->measure_count && rc == 0; i++)
		rc = choose_all(trend, i);
	return rc;
}
