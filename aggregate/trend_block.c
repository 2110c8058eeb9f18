// SPDX-License-Identifier: Apache-2.0
#include "aggregate/trend_own.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Bits "was this person of the chunk counted in this cell": so many bytes in a chunk stay in the
 * cache, and over so many of one person walking persons is cheaper. */
#define SEEN_BYTES     ((size_t)256 << 10)
#define SEEN_PERSON    ((size_t)4096)

struct tally {
	struct cells cells;
	struct scan_look *look;
	uint64_t *seen;                 /* owned; [chunk][words]; NULL: counts no users */
	size_t words;
};

/* One thread's. Arrays are of the block's rows that a measure selects. */
struct state {
	struct run *run;
	uint32_t chunk;
	struct breakdown_look *look;
	struct tally tallies[TREND_MEASURES_MAX];
	uint16_t places[SCAN_BLOCK_ROWS];
	uint32_t numbers[SCAN_BLOCK_ROWS], buckets[SCAN_BLOCK_ROWS], cells[SCAN_BLOCK_ROWS];
	uint64_t keys[SCAN_BLOCK_ROWS];
};

/* Where one measure's rows go. */
struct target {
	struct state *state;
	const struct scan_block *block;
	size_t m;
};

static size_t words_of(const struct cells *cells)
{
	return (cells->segments * cells->columns + 63) / 64;
}

static uint32_t chunk_of(const struct run *run)
{
	size_t chunk = SCAN_CHUNK;

	for (size_t i = 0; i < run->trend->measure_count; i++) {
		size_t bytes = words_of(&run->result[i]) * 8;

		if (run->result[i].users && SEEN_BYTES / bytes < chunk)
			chunk = SEEN_BYTES / bytes;
	}
	return (uint32_t)chunk;
}

bool trend_has_blocks(const struct run *run)
{
	for (size_t i = 0; i < run->trend->measure_count; i++)
		if (run->result[i].users && words_of(&run->result[i]) * 8 > SEEN_PERSON)
			return false;
	return true;
}

/* Counting into cells */

static void count_users(const struct target *target, uint32_t count)
{
	struct state *state = target->state;
	struct tally *tally = &state->tallies[target->m];
	const uint32_t *leaders = target->block->leaders, *cells = state->cells;
	uint32_t from = target->block->from, first = (uint32_t)state->run->range->first;
	uint32_t columns = (uint32_t)tally->cells.columns, *users = tally->cells.users;
	size_t words = tally->words;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t leader = leaders[state->places[i]], cell = cells[i], all;
		uint64_t *seen, fresh;

		if (leader == PERSON_NOBODY)
			continue;
		seen = tally->seen + (leader - from) * words;
		fresh = ~(seen[cell >> 6] >> (cell & 63)) & 1;
		seen[cell >> 6] |= UINT64_C(1) << (cell & 63);
		users[cell] += (uint32_t)fresh;
		all = cell - state->buckets[i] + columns - 1;
		fresh = ~(seen[all >> 6] >> (all & 63)) & (state->buckets[i] >= first);
		seen[all >> 6] |= fresh << (all & 63);
		users[all] += (uint32_t)fresh;
	}
}

static void count_numbers(const struct target *target, uint32_t count)
{
	struct state *state = target->state;
	struct cells *cells = &state->tallies[target->m].cells;
	const struct trend_measure *measure = &state->run->trend->measures[target->m];

	if (cells->fixed) {
		for (uint32_t i = 0; i < count; i++)
			sum_fixed_add(&cells->fixed[state->cells[i]],
				      measure->numbers[state->numbers[i]], measure->exponent);
	} else if (cells->sums) {
		for (uint32_t i = 0; i < count; i++)
			sum_add(&cells->sums[state->cells[i]], measure->numbers[state->numbers[i]]);
	}
	for (uint32_t i = 0; i < count && cells->extremes; i++) {
		double value = measure->numbers[state->numbers[i]];
		double *extreme = &cells->extremes[state->cells[i]];

		*extreme = measure->kind == TREND_MIN ? fmin(*extreme, value)
						      : fmax(*extreme, value);
	}
}

static int count_values(const struct target *target, uint32_t count)
{
	struct state *state = target->state;
	struct cells *cells = &state->tallies[target->m].cells;
	uint64_t numbers = scan_prop_count(state->run->trend->measures[target->m].prop);
	int rc = 0;

	for (uint32_t i = 0; i < count && cells->direct; i++)
		cells->direct[state->cells[i] * numbers + state->numbers[i]]++;
	for (uint32_t i = 0; i < count && !cells->direct && rc == 0; i++)
		rc = trend_count_value(state->run, cells,
				       state->cells[i] * numbers + state->numbers[i]);
	return rc;
}

/* The first `count` of the state's arrays. */
static int count_cells(const struct target *target, uint32_t count)
{
	struct state *state = target->state;
	const struct trend_measure *measure = &state->run->trend->measures[target->m];
	struct cells *cells = &state->tallies[target->m].cells;

	for (uint32_t i = 0; i < count; i++)
		cells->total[state->cells[i]]++;
	if (cells->users)
		count_users(target, count);
	if (measure->prop)
		count_numbers(target, count);
	return trend_has_values(measure) ? count_values(target, count) : 0;
}

static uint32_t segment_of(const struct keymap *keys, uint64_t key)
{
	uint32_t segment = keymap_find(keys, key);

	return segment == KEYMAP_NONE ? keys->count : segment;
}

/* Rows that may have several keys, one by one: each segment counts a row once. The row's values are
 * moved to the front, where count_cells looks. */
static int count_lists(const struct target *target, uint32_t count)
{
	struct state *state = target->state;
	const struct scan_block *block = target->block;
	const struct keymap *map = &state->run->trend->segments[target->m].keys;
	size_t columns = state->tallies[target->m].cells.columns;
	int rc = 0;

	for (uint32_t i = 0; i < count && rc == 0; i++) {
		uint32_t done[BREAKDOWN_KEYS_MAX], bucket = state->buckets[i];
		struct scan_event event = { .file = block->file,
					    .row = block->rows[state->places[i]] };
		const uint64_t *keys;
		size_t key_count = breakdown_look_up(state->look, block->leaders[state->places[i]],
						     &event, &keys), done_count = 0;

		state->places[0] = state->places[i];
		state->numbers[0] = state->numbers[i];
		state->buckets[0] = bucket;
		for (size_t k = 0; k < key_count && rc == 0; k++) {
			uint32_t segment = segment_of(map, keys[k]);
			size_t j = 0;

			while (j < done_count && done[j] != segment)
				j++;
			if (j < done_count)
				continue;
			done[done_count++] = segment;
			state->cells[0] = (uint32_t)(segment * columns) + bucket;
			rc = count_cells(target, 1);
		}
	}
	return rc;
}

/* Numbers of the selected rows; those without one are left out. */
static uint32_t look_numbers(const struct target *target, uint32_t count)
{
	struct state *state = target->state;
	const struct trend_measure *measure = &state->run->trend->measures[target->m];
	uint32_t kept = 0;

	scan_look_rows(state->tallies[target->m].look, target->block, state->places, count,
		       state->numbers);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = state->numbers[i];

		state->places[kept] = state->places[i];
		state->numbers[kept] = number;
		kept += measure->kind == TREND_DISTINCT ? number != 0
							: !isnan(measure->numbers[number]);
	}
	return kept;
}

static int take_measure(const struct target *target)
{
	struct state *state = target->state;
	const struct run *run = state->run;
	const struct trend *trend = run->trend;
	const struct scan_block *block = target->block;
	const int64_t *times = trend->world->snapshot->files[block->file]->time;
	uint32_t columns = (uint32_t)state->tallies[target->m].cells.columns;
	uint32_t count = scan_block_select(block, target->m, state->places);

	if (count && trend->measures[target->m].prop)
		count = look_numbers(target, count);
	if (count == 0)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		state->buckets[i] = trend_bucket_of(run, times[block->rows[state->places[i]]]);
	if (!trend->breakdown) {
		memcpy(state->cells, state->buckets, count * sizeof(*state->cells));
		return count_cells(target, count);
	}
	if (!breakdown_is_single(trend->breakdown))
		return count_lists(target, count);
	breakdown_look_rows(state->look, block, state->places, count, state->keys);
	for (uint32_t i = 0; i < count; i++)
		state->cells[i] = segment_of(&trend->segments[target->m].keys, state->keys[i]) *
				  columns + state->buckets[i];
	return count_cells(target, count);
}

/* The scan's ops */

static int take(void *ctx, const struct scan_block *block)
{
	struct state *state = ctx;
	int rc = 0;

	for (size_t m = 0; m < state->run->trend->measure_count && rc == 0; m++)
		rc = take_measure(&(struct target){ state, block, m });
	return rc;
}

static int turn(void *ctx)
{
	struct state *state = ctx;

	for (size_t m = 0; m < state->run->trend->measure_count; m++) {
		struct tally *tally = &state->tallies[m];

		if (tally->seen)
			memset(tally->seen, 0, state->chunk * tally->words * sizeof(*tally->seen));
	}
	return 0;
}

static void drop_state(struct state *state)
{
	for (size_t i = 0; i < state->run->trend->measure_count; i++) {
		scan_look_close(state->tallies[i].look);
		cells_reset(&state->tallies[i].cells);
		free(state->tallies[i].seen);
	}
	breakdown_look_close(state->look);
	free(state);
}

static int open_tally(struct state *state, size_t i)
{
	const struct run *run = state->run;
	struct tally *tally = &state->tallies[i];
	int rc = cells_init(&tally->cells, run, i);

	if (rc == 0 && run->trend->measures[i].prop)
		rc = scan_look_open(&tally->look, run->trend->measures[i].prop);
	if (rc < 0 || !tally->cells.users)
		return rc;
	tally->words = words_of(&tally->cells);
	rc = trend_charge(run->trend, state->chunk * tally->words * sizeof(*tally->seen));
	if (rc < 0)
		return rc;
	tally->seen = calloc(state->chunk * tally->words, sizeof(*tally->seen));
	return tally->seen ? 0 : -ENOMEM;
}

static int begin(void *ctx, int thread, void **statep)
{
	struct run *run = ctx;
	struct state *state = calloc(1, sizeof(*state));
	int rc = state ? 0 : -ENOMEM;

	(void)thread;
	if (rc < 0)
		return rc;
	state->run = run;
	state->chunk = chunk_of(run);
	if (run->trend->breakdown)
		rc = breakdown_look_open(&state->look, run->trend->breakdown);
	for (size_t i = 0; i < run->trend->measure_count && rc == 0; i++)
		rc = open_tally(state, i);
	if (rc < 0)
		drop_state(state);
	else
		*statep = state;
	return rc;
}

static int fold(void *ctx, void *one)
{
	struct run *run = ctx;
	struct state *state = one;
	int rc = 0;

	for (size_t i = 0; i < run->trend->measure_count && rc == 0; i++) {
		struct cells *cells = &state->tallies[i].cells;

		for (size_t j = 0; cells->fixed && j < cells->segments * cells->columns; j++)
			sum_add_fixed(&cells->sums[j], &cells->fixed[j],
				      run->trend->measures[i].exponent);
		rc = fold_cells(run, i, cells);
	}
	drop_state(state);
	return rc;
}

int trend_run_blocks(struct run *run)
{
	static const struct scan_block_ops ops = { begin, turn, take, fold };

	bool has_users = false;

	for (size_t i = 0; i < run->trend->measure_count; i++)
		has_users |= run->result[i].users != NULL;
	return trend_scan_blocks(run->trend, run->range, has_users ? chunk_of(run) : 0, &ops, run);
}
