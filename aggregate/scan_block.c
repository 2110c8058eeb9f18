// SPDX-License-Identifier: Apache-2.0
#include "aggregate/scan_own.h"

#include <errno.h>
#include <stdlib.h>

/* Filling */

static int hand_over(struct walker *walker)
{
	struct scan_block *block = walker->block;
	int rc = scan_pause(walker);

	if (rc == 0 && block->count)
		rc = walker->scan->block_ops->take(walker->state, block);
	block->count = 0;
	return rc < 0 ? rc : 0;
}

static inline void put_rows(struct scan_block *block, uint32_t row, uint32_t n, uint32_t leader)
{
	uint32_t *rows = block->rows + block->count, *leaders = block->leaders + block->count;

	/* Most persons have few rows in a file: four at once, whatever the number. */
	for (uint32_t i = 0; i < 4; i++) {
		rows[i] = row + i;
		leaders[i] = leader;
	}
	for (uint32_t i = 4; i < n; i++) {
		rows[i] = row + i;
		leaders[i] = leader;
	}
	block->count += n;
}

/* One actor's rows of the block's file. */
static int add_run(struct walker *walker, uint32_t place, uint32_t leader)
{
	struct scan_block *block = walker->block;
	const struct column_file *file = walker->scan->plans[block->file].file;
	uint32_t row = column_first(file, place), end = file->start[place + 1];

	walker->scanned += end - row;
	while (row < end) {
		uint32_t n = end - row;
		int rc;

		if (n > SCAN_BLOCK_ROWS - block->count)
			n = SCAN_BLOCK_ROWS - block->count;
		put_rows(block, row, n, leader);
		row += n;
		if (block->count == SCAN_BLOCK_ROWS && (rc = hand_over(walker)) < 0)
			return rc;
	}
	return 0;
}

static int compare_ties(const void *a, const void *b)
{
	uint32_t x = ((const struct scan_tie *)a)->actor, y = ((const struct scan_tie *)b)->actor;

	return x < y ? -1 : x > y;
}

/* The other actors of the chunk's persons. */
static int find_ties(struct walker *walker, uint32_t from, uint32_t to)
{
	const struct scan *scan = walker->scan;

	walker->tie_count = 0;
	for (uint32_t leader = from; leader < to; leader++) {
		if (leader == PERSON_NOBODY || scan->leaders[leader] != leader)
			continue;
		for (uint32_t actor = scan->ring[leader]; actor != leader;
		     actor = scan->ring[actor]) {
			if (walker->tie_count == walker->tie_room) {
				size_t room = walker->tie_room ? 2 * walker->tie_room : SCAN_CHUNK;
				struct scan_tie *ties = realloc(walker->ties, room * sizeof(*ties));

				if (!ties)
					return -ENOMEM;
				walker->ties = ties;
				walker->tie_room = room;
			}
			walker->ties[walker->tie_count++] = (struct scan_tie){ actor, leader };
		}
	}
	if (walker->tie_count)
		qsort(walker->ties, walker->tie_count, sizeof(*walker->ties), compare_ties);
	return 0;
}

/* The chunk's rows of one file. */
static int walk_file(struct walker *walker, size_t i, uint32_t from, uint32_t to)
{
	const struct scan *scan = walker->scan;
	const struct column_file *file = scan->plans[i].file;
	const uint32_t *leaders = scan->leaders;
	int rc = 0;

	walker->block->file = (uint32_t)i;
	for (uint32_t at = scan_find_actor(file, from); at < file->actors && rc == 0; at++) {
		uint32_t actor = file->actor[at];

		if (actor >= to)
			break;
		if (actor == PERSON_NOBODY || leaders[actor] == actor)
			rc = add_run(walker, at, actor);
	}
	for (size_t t = 0; t < walker->tie_count && rc == 0; t++) {
		uint32_t at = scan_find_actor(file, walker->ties[t].actor);

		if (at < file->actors && file->actor[at] == walker->ties[t].actor)
			rc = add_run(walker, at, walker->ties[t].leader);
	}
	return rc == 0 ? hand_over(walker) : rc;
}

static int walk_chunk(struct walker *walker, uint32_t from, uint32_t to)
{
	const struct scan *scan = walker->scan;
	int rc = find_ties(walker, from, to);

	walker->block->from = from;
	for (size_t i = 0; i < scan->conf->snapshot->file_count && rc == 0; i++)
		if (scan->plans[i].bits)
			rc = walk_file(walker, i, from, to);
	return rc == 0 ? scan->block_ops->turn(walker->state) : rc;
}

static int walk_chunks(struct walker *walker)
{
	struct scan *scan = walker->scan;
	int rc = 0;

	while (rc == 0) {
		uint32_t from = atomic_fetch_add(&scan->next, scan->chunk);

		if (from >= scan->actors || atomic_load(&scan->rc))
			break;
		rc = scan_must_stop(scan->conf);
		if (rc == 0)
			rc = walk_chunk(walker, from, scan->actors - from > scan->chunk
						      ? from + scan->chunk : scan->actors);
	}
	return rc;
}

/* Without leaders: files are walked as they lie, UNIT_ROWS at a time. */

#define UNIT_ROWS (1u << 16)

static uint32_t units_of(const struct plan *plan)
{
	return plan->bits ? (plan->file->rows + UNIT_ROWS - 1) / UNIT_ROWS : 0;
}

static int add_rows(struct walker *walker, uint32_t row, uint32_t end)
{
	struct scan_block *block = walker->block;
	int rc = 0;

	for (; row < end && rc == 0; row += block->count) {
		uint32_t n = end - row < SCAN_BLOCK_ROWS ? end - row : SCAN_BLOCK_ROWS;

		for (uint32_t i = 0; i < n; i++)
			block->rows[i] = row + i;
		block->count = n;
		walker->scanned += n;
		rc = walker->scan->block_ops->take(walker->state, block);
	}
	block->count = 0;
	return rc < 0 ? rc : 0;
}

/* But for those that are gone. */
static int walk_unit(struct walker *walker, uint32_t row, uint32_t end)
{
	const struct column_file *file = walker->scan->plans[walker->block->file].file;
	uint32_t hint = 0, from, count;
	int rc = 0;

	for (uint32_t i = 0; i < file->gone_count && row < end && rc == 0; i++) {
		if (!column_gone_run(file, i, &hint, &from, &count) || from + count <= row)
			continue;
		if (from >= end)
			break;
		if (from > row)
			rc = add_rows(walker, row, from);
		row = from + count;
	}
	return rc == 0 && row < end ? add_rows(walker, row, end) : rc;
}

static int walk_units(struct walker *walker)
{
	struct scan *scan = walker->scan;
	size_t files = scan->conf->snapshot->file_count;
	int rc = 0;

	while (rc == 0) {
		uint32_t unit = atomic_fetch_add(&scan->next, 1), rows;
		size_t i = 0;

		while (i < files && unit >= units_of(&scan->plans[i]))
			unit -= units_of(&scan->plans[i++]);
		if (i == files || atomic_load(&scan->rc))
			break;
		walker->block->file = (uint32_t)i;
		rows = scan->plans[i].file->rows - unit * UNIT_ROWS;
		rc = scan_must_stop(scan->conf);
		if (rc == 0)
			rc = walk_unit(walker, unit * UNIT_ROWS, unit * UNIT_ROWS +
				       (rows < UNIT_ROWS ? rows : UNIT_ROWS));
	}
	return rc == 0 ? scan->block_ops->turn(walker->state) : rc;
}

int scan_walk_blocks(struct walker *walker)
{
	walker->block = calloc(1, sizeof(*walker->block));
	if (!walker->block)
		return -ENOMEM;
	walker->block->walker = walker;
	return walker->scan->conf->without_leaders ? walk_units(walker) : walk_chunks(walker);
}

/* Selecting */

/* Rows whose event has the bit. The width of the codes is a constant in each copy of this. */
static inline __attribute__((always_inline)) uint32_t
select_events_of(const struct scan_block *block, const struct plan *plan, uint64_t bit,
		 uint8_t width, uint16_t *places)
{
	const void *codes = plan->file->event->codes;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < block->count; i++) {
		places[kept] = (uint16_t)i;
		kept += (plan->bits[column_load(codes, width, block->rows[i])] & bit) != 0;
	}
	return kept;
}

static uint32_t select_events(const struct scan_block *block, const struct plan *plan, uint64_t bit,
			      uint16_t *places)
{
	if (plan->of_all & bit) {
		for (uint32_t i = 0; i < block->count; i++)
			places[i] = (uint16_t)i;
		return block->count;
	}
	switch (plan->file->event->width) {
	case 1:
		return select_events_of(block, plan, bit, 1, places);
	case 2:
		return select_events_of(block, plan, bit, 2, places);
	default:
		return select_events_of(block, plan, bit, 4, places);
	}
}

uint32_t scan_block_select(const struct scan_block *block, size_t i,
			   uint16_t places[SCAN_BLOCK_ROWS])
{
	const struct walker *walker = block->walker;
	const struct scan_conf *conf = walker->scan->conf;
	const struct plan *plan = &walker->scan->plans[block->file];
	const struct scan_selector *selector = &conf->selectors[i];
	const struct cursor_pair *pair =
		&walker->cursors[block->file * conf->selector_count + i];
	const int64_t *times = plan->file->time;
	uint32_t kept = 0, count = select_events(block, plan, UINT64_C(1) << i, places);

	if (pair->where)
		count = predicate_rows(pair->where, block->rows, block->leaders, places, count);
	if (pair->also)
		count = predicate_rows(pair->also, block->rows, block->leaders, places, count);
	if (selector->from_us <= plan->file->time_min && selector->to_us > plan->file->time_max)
		return count;
	for (uint32_t k = 0; k < count; k++) {
		int64_t time_us = times[block->rows[places[k]]];

		places[kept] = places[k];
		kept += time_us >= selector->from_us && time_us < selector->to_us;
	}
	return kept;
}
