// SPDX-License-Identifier: Apache-2.0
#include "aggregate/trend_own.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define GRID_MAX 16384
/* Counts per (cell, value) are a plain array up to so many: 50,000 prices in 30 days took 5.4 s of
 * CPU for 10 M events through a hash table, 0.6 s so. */
#define DIRECT_MAX (8u << 20)

struct state {
	struct run *run;
	struct breakdown_look *look;
	struct scan_look *props[TREND_MEASURES_MAX];
	struct cells cells[TREND_MEASURES_MAX];
	/* of sessions */
	uint32_t session, person;
	int64_t previous_us;
};

static bool has_users(enum trend_kind kind)
{
	return kind == TREND_UNIQUE || kind == TREND_PER_USER || kind == TREND_SESSIONS ||
	       (kind >= TREND_DAU && kind <= TREND_MAU);
}

void cells_reset(struct cells *cells)
{
	free(cells->total);
	free(cells->users);
	free(cells->last);
	free(cells->sums);
	free(cells->fixed);
	free(cells->extremes);
	free(cells->counts);
	free(cells->direct);
	free(cells->days);
	free(cells->day_person);
	free(cells->day_end);
	keymap_reset(&cells->values);
	*cells = (struct cells){ 0 };
}

static void *make(const struct run *run, size_t count, size_t size, int *rc)
{
	void *made = NULL;

	if (*rc == 0)
		*rc = trend_charge(run->trend, count * size);
	if (*rc == 0 && !(made = calloc(count, size)))
		*rc = -ENOMEM;
	return made;
}

int cells_init(struct cells *cells, const struct run *run, size_t i)
{
	const struct trend_measure *measure = &run->trend->measures[i];
	const struct trend_segments *segments = &run->trend->segments[i];
	size_t count;
	int rc = 0;

	*cells = (struct cells){ .segments = segments->keys.count + 1,
				 .columns = (size_t)run->range->buckets + 1 };
	count = cells->segments * cells->columns;
	if (count > TREND_CELLS_MAX)
		return -ENOSPC;
	cells->total = make(run, count, sizeof(*cells->total), &rc);
	if (has_users(measure->kind)) {
		cells->users = make(run, count, sizeof(*cells->users), &rc);
		cells->last = make(run, count, sizeof(*cells->last), &rc);
	}
	if (measure->kind == TREND_SUM || measure->kind == TREND_AVG) {
		cells->sums = make(run, count, sizeof(*cells->sums), &rc);
		if (measure->exponent != SUM_NO_EXPONENT)
			cells->fixed = make(run, count, sizeof(*cells->fixed), &rc);
	}
	if (measure->kind == TREND_MIN || measure->kind == TREND_MAX) {
		cells->extremes = make(run, count, sizeof(*cells->extremes), &rc);
		for (size_t j = 0; rc == 0 && j < count; j++)
			cells->extremes[j] = NAN;
	}
	if (trend_has_values(measure) &&
	    count * (uint64_t)scan_prop_count(measure->prop) <= DIRECT_MAX) {
		cells->direct_count = count * scan_prop_count(measure->prop);
		cells->direct = make(run, cells->direct_count, sizeof(*cells->direct), &rc);
	} else if (trend_has_values(measure) && rc == 0)
		rc = keymap_init(&cells->values, (uint64_t)count * scan_prop_count(measure->prop));
	if (measure->days) {
		cells->days = make(run, cells->segments * ((size_t)run->range->day_count + 1),
				   sizeof(*cells->days), &rc);
		cells->day_person = make(run, cells->segments, sizeof(*cells->day_person), &rc);
		cells->day_end = make(run, cells->segments, sizeof(*cells->day_end), &rc);
	}
	return rc;
}

/* Buckets: a grid over time says where to begin, and at most a few steps follow. */

static int make_grid(struct run *run)
{
	const struct trend_range *range = run->range;
	uint64_t span = (uint64_t)(range->bounds[range->buckets] - range->bounds[0]);
	uint32_t bucket = 0;

	while (span >> run->shift >= GRID_MAX)
		run->shift++;
	run->grid = calloc((span >> run->shift) + 2, sizeof(*run->grid));
	if (!run->grid)
		return -ENOMEM;
	for (uint64_t i = 0; i <= span >> run->shift; i++) {
		int64_t time_us = range->bounds[0] + (int64_t)(i << run->shift);

		while (bucket + 1 < (uint32_t)range->buckets &&
		       range->bounds[bucket + 1] <= time_us)
			bucket++;
		run->grid[i] = bucket;
	}
	return 0;
}

/* Counting */

int trend_count_value(const struct run *run, struct cells *cells, uint64_t key)
{
	uint32_t number;
	int rc;

	if (cells->direct) {
		cells->direct[key]++;
		return 0;
	}
	rc = keymap_add(&cells->values, key, &number);
	if (rc < 0)
		return rc;
	if (number >= cells->value_room) {
		uint32_t room = cells->value_room ? 2 * cells->value_room : 256;
		uint64_t *counts;

		rc = trend_charge(run->trend, (room - cells->value_room) * (sizeof(*counts) + 24));
		if (rc < 0)
			return rc;
		counts = realloc(cells->counts, room * sizeof(*counts));
		if (!counts)
			return -ENOMEM;
		memset(counts + cells->value_room, 0,
		       (room - cells->value_room) * sizeof(*counts));
		cells->counts = counts;
		cells->value_room = room;
	}
	cells->counts[number]++;
	return 0;
}

static void count_user(const struct run *run, struct cells *cells, size_t row, uint32_t bucket,
		       uint32_t who)
{
	size_t cell = row + bucket, all = row + cells->columns - 1;

	if (run->trend->is_cumulative) {
		/* Events come in order: the first bucket of each is where the curve rises. */
		if (cells->last[all] == who)
			return;
		cells->last[all] = who;
		cells->users[all]++;
		cells->users[cell]++;
		return;
	}
	if (cells->last[cell] == who)
		return;
	cells->last[cell] = who;
	cells->users[cell]++;
	if (bucket < (uint32_t)run->range->first || cells->last[all] == who)
		return;
	cells->last[all] = who;
	cells->users[all]++;
}

static int day_of(const struct trend_range *range, int64_t time_us)
{
	int low = 0, high = range->day_count;

	while (high - low > 1) {
		int mid = (low + high) / 2;

		if (range->days[mid] <= time_us)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* A person is active on a day and, for wau and mau, the 6 or 29 after it. Events come in order, so
 * that what is already covered ends at day_end. */
static void count_days(const struct state *state, struct cells *cells, uint32_t segment, int days,
		       uint32_t leader, int64_t time_us)
{
	const struct trend_range *range = state->run->range;
	int32_t *changes = cells->days + (size_t)segment * ((size_t)range->day_count + 1);
	int64_t from = day_of(range, time_us), end = from + days;

	if (end > range->day_count)
		end = range->day_count;
	if (cells->day_person[segment] != leader) {
		cells->day_person[segment] = leader;
	} else if (cells->day_end[segment] > from) {
		if (end <= cells->day_end[segment])
			return;
		from = cells->day_end[segment];
	}
	if (from < end) {
		changes[from]++;
		changes[end]--;
	}
	cells->day_end[segment] = end;
}

/* One event into one segment of one measure. */
static int count_event(struct state *state, size_t m, uint32_t segment, uint32_t leader,
		       const struct scan_event *event, uint32_t bucket, uint32_t number)
{
	const struct run *run = state->run;
	const struct trend_measure *measure = &run->trend->measures[m];
	struct cells *cells = &state->cells[m];
	size_t row = segment * cells->columns, cell = row + bucket;
	double value;

	if (measure->days) {
		if (leader == PERSON_NOBODY)
			return 0;
		count_days(state, cells, segment, measure->days, leader, event->time_us);
		if (event->time_us < run->range->from_us)
			return 0;
	}
	cells->total[cell]++;
	if (cells->users && leader != PERSON_NOBODY)
		count_user(run, cells, row, bucket,
			   measure->kind == TREND_SESSIONS ? state->session : leader);
	if (!measure->prop)
		return 0;
	value = measure->numbers[number];
	if (cells->sums)
		sum_add(&cells->sums[cell], value);
	if (cells->extremes)
		cells->extremes[cell] = measure->kind == TREND_MIN
					? fmin(cells->extremes[cell], value)
					: fmax(cells->extremes[cell], value);
	if (!trend_has_values(measure))
		return 0;
	return trend_count_value(run, cells,
				 (uint64_t)cell * scan_prop_count(measure->prop) + number);
}

static uint32_t segment_of(const struct state *state, size_t m, uint64_t key)
{
	const struct keymap *keys = &state->run->trend->segments[m].keys;
	uint32_t segment = keymap_find(keys, key);

	return segment == KEYMAP_NONE ? keys->count : segment;
}

/* An event counts once in a segment, also in $other, however many elements its list has. */
static int count_keys(struct state *state, size_t m, const uint64_t *keys, size_t count,
		      uint32_t leader, const struct scan_event *event, uint32_t bucket,
		      uint32_t number)
{
	uint32_t done[BREAKDOWN_KEYS_MAX];
	size_t done_count = 0;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		uint32_t segment = segment_of(state, m, keys[i]);
		size_t j = 0;

		while (j < done_count && done[j] != segment)
			j++;
		if (j < done_count)
			continue;
		done[done_count++] = segment;
		rc = count_event(state, m, segment, leader, event, bucket, number);
	}
	return rc;
}

static void follow_session(struct state *state, uint32_t leader, int64_t time_us)
{
	if (state->person != leader ||
	    session_begins(&state->run->trend->session, state->previous_us, time_us))
		state->session++;
	state->person = leader;
	state->previous_us = time_us;
}

static int take_event(struct state *state, uint32_t leader, const struct scan_event *event,
		      uint64_t measures)
{
	static const uint64_t none = 0;
	const struct run *run = state->run;
	const uint64_t *keys = &none;
	size_t count = 1;
	/* What wau and mau look back at has no bucket. */
	uint32_t bucket = event->time_us >= run->range->bounds[0]
			  ? trend_bucket_of(run, event->time_us) : 0;

	if (run->trend->breakdown)
		count = breakdown_look_up(state->look, leader, event, &keys);
	for (uint64_t left = measures; left; left &= left - 1) {
		size_t m = (size_t)__builtin_ctzll(left);
		const struct trend_measure *measure = &run->trend->measures[m];
		uint32_t number = 0;
		int rc;

		if (measure->prop) {
			number = scan_look(state->props[m], leader, event);
			if (measure->kind == TREND_DISTINCT ? number == 0
							    : isnan(measure->numbers[number]))
				continue;
		}
		rc = count == 1 ? count_event(state, m, segment_of(state, m, keys[0]), leader,
					      event, bucket, number)
				: count_keys(state, m, keys, count, leader, event, bucket, number);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int take(void *ctx, const struct scan_person *person)
{
	struct state *state = ctx;
	const struct trend *trend = state->run->trend;
	uint64_t wanted = (UINT64_C(1) << trend->measure_count) - 1;
	bool has_sessions = false;

	for (size_t i = 0; i < trend->measure_count; i++)
		has_sessions |= trend->measures[i].kind == TREND_SESSIONS;
	for (uint32_t i = 0; i < person->count; i++) {
		const struct scan_event *event = &person->events[i];
		int rc;

		if (has_sessions && person->leader != PERSON_NOBODY)
			follow_session(state, person->leader, event->time_us);
		if (!(event->match & wanted))
			continue;
		rc = take_event(state, person->leader, event, event->match & wanted);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void drop_state(struct state *state)
{
	for (size_t i = 0; i < state->run->trend->measure_count; i++) {
		scan_look_close(state->props[i]);
		cells_reset(&state->cells[i]);
	}
	breakdown_look_close(state->look);
	free(state);
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
	if (run->trend->breakdown)
		rc = breakdown_look_open(&state->look, run->trend->breakdown);
	for (size_t i = 0; i < run->trend->measure_count && rc == 0; i++) {
		rc = cells_init(&state->cells[i], run, i);
		if (rc == 0 && run->trend->measures[i].prop)
			rc = scan_look_open(&state->props[i], run->trend->measures[i].prop);
	}
	if (rc < 0)
		drop_state(state);
	else
		*statep = state;
	return rc;
}

int fold_cells(struct run *run, size_t m, const struct cells *from)
{
	struct cells *to = &run->result[m];
	bool is_min = run->trend->measures[m].kind == TREND_MIN;
	size_t count = to->segments * to->columns;
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		to->total[i] += from->total[i];
		if (to->users)
			to->users[i] += from->users[i];
		if (to->sums && from->sums[i].adds)
			sum_merge(&to->sums[i], &from->sums[i]);
		if (to->extremes)
			to->extremes[i] = is_min ? fmin(to->extremes[i], from->extremes[i])
						 : fmax(to->extremes[i], from->extremes[i]);
	}
	for (size_t i = 0; to->days && i < to->segments * ((size_t)run->range->day_count + 1); i++)
		to->days[i] += from->days[i];
	for (size_t i = 0; i < to->direct_count; i++)
		to->direct[i] += from->direct[i];
	for (uint32_t i = 0; i < from->values.count && rc == 0; i++) {
		rc = trend_count_value(run, to, from->values.keys[i]);
		if (rc == 0)
			to->counts[keymap_find(&to->values, from->values.keys[i])] +=
				from->counts[i] - 1;
	}
	return rc;
}

static int fold(void *ctx, void *one)
{
	struct run *run = ctx;
	struct state *state = one;
	int rc = 0;

	for (size_t i = 0; i < run->trend->measure_count && rc == 0; i++)
		rc = fold_cells(run, i, &state->cells[i]);
	drop_state(state);
	return rc;
}

/* Cells to values */

struct value_count {
	uint32_t segment, bucket;
	double value;
	uint64_t count;
};

static int by_cell(const void *left, const void *right)
{
	const struct value_count *a = left, *b = right;

	if (a->segment != b->segment)
		return a->segment < b->segment ? -1 : 1;
	if (a->bucket != b->bucket)
		return a->bucket < b->bucket ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

/* Overall: by segment and value, all buckets together. */
static int by_segment(const void *left, const void *right)
{
	const struct value_count *a = left, *b = right;

	if (a->segment != b->segment)
		return a->segment < b->segment ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

/* at (n - 1) * p, between the values at its floor and the next one. */
static double quantile(const struct value_count *list, size_t count, double p)
{
	uint64_t n = 0, seen = 0;
	double at, low = NAN, high = NAN;

	for (size_t i = 0; i < count; i++)
		n += list[i].count;
	if (n == 0)
		return NAN;
	at = (double)(n - 1) * p;
	for (size_t i = 0; i < count; i++) {
		seen += list[i].count;
		if (isnan(low) && (double)seen > floor(at))
			low = list[i].value;
		if (isnan(high) && (double)seen > fmin(floor(at) + 1, (double)(n - 1)))
			high = list[i].value;
	}
	return low + (high - low) * (at - floor(at));
}

static double distinct(const struct value_count *list, size_t count)
{
	double n = 0;

	for (size_t i = 0; i < count; i++)
		n += i == 0 || list[i].value != list[i - 1].value;
	return n;
}

static double of_list(const struct trend_measure *measure, const struct value_count *list,
		      size_t count)
{
	return measure->kind == TREND_DISTINCT ? distinct(list, count)
					       : quantile(list, count, measure->quantile);
}

static struct value_count value_of(const struct trend_measure *measure, const struct cells *cells,
				   uint64_t key, uint64_t count)
{
	uint32_t numbers = scan_prop_count(measure->prop), number = (uint32_t)(key % numbers);
	size_t cell = key / numbers;

	return (struct value_count){
		(uint32_t)(cell / cells->columns), (uint32_t)(cell % cells->columns),
		measure->kind == TREND_DISTINCT ? number : measure->numbers[number], count };
}

/* All that was counted; NULL where memory ends. */
static struct value_count *list_values(const struct trend_measure *measure,
				       const struct cells *cells, uint32_t *count)
{
	struct value_count *list;

	list = calloc((size_t)cells->values.count + 1, sizeof(*list));
	*count = 0;
	for (uint32_t i = 0; list && i < cells->values.count; i++)
		list[(*count)++] = value_of(measure, cells, cells->values.keys[i],
					    cells->counts[i]);
	return list;
}

/* The numbers that have a value, by it. NULL where memory ends. */
struct numbered {
	double value;
	uint32_t number;
};

static int by_value(const void *left, const void *right)
{
	const struct numbered *a = left, *b = right;

	return (a->value > b->value) - (a->value < b->value);
}

static struct numbered *sort_numbers(const struct trend_measure *measure, uint32_t *count)
{
	uint32_t numbers = scan_prop_count(measure->prop);
	struct numbered *list = calloc((size_t)numbers + 1, sizeof(*list));

	*count = 0;
	for (uint32_t i = 0; list && i < numbers; i++)
		if (!isnan(measure->numbers[i]))
			list[(*count)++] = (struct numbered){ measure->numbers[i], i };
	if (*count)
		qsort(list, *count, sizeof(*list), by_value);
	return list;
}

/* The same as quantile() over the counts of one cell, [number]. */
static double quantile_of(const struct numbered *order, uint32_t numbers, const uint64_t *counts,
			  double p)
{
	uint64_t n = 0, seen = 0;
	double at, low = NAN, high = NAN;

	for (uint32_t i = 0; i < numbers; i++)
		n += counts[order[i].number];
	if (n == 0)
		return NAN;
	at = (double)(n - 1) * p;
	for (uint32_t i = 0; i < numbers && isnan(high); i++) {
		seen += counts[order[i].number];
		if (isnan(low) && (double)seen > floor(at))
			low = order[i].value;
		if ((double)seen > fmin(floor(at) + 1, (double)(n - 1)))
			high = order[i].value;
	}
	return low + (high - low) * (at - floor(at));
}

static double of_counts(const struct trend_measure *measure, const struct numbered *order,
			uint32_t numbers, const uint64_t *counts)
{
	double n = 0;

	if (measure->kind != TREND_DISTINCT)
		return quantile_of(order, numbers, counts, measure->quantile);
	for (uint32_t i = 0; i < scan_prop_count(measure->prop); i++)
		n += counts[i] != 0;
	return n;
}

/* From a plain array of counts: values are sorted once, for all cells. */
static int fill_from_direct(const struct run *run, size_t m, struct trend_values *out)
{
	const struct trend_measure *measure = &run->trend->measures[m];
	const struct cells *cells = &run->result[m];
	size_t numbers = scan_prop_count(measure->prop), buckets = (size_t)run->range->buckets;
	uint32_t count;
	struct numbered *order = sort_numbers(measure, &count);
	uint64_t *counts = calloc(2 * numbers + 2, sizeof(*counts)), *all = counts + numbers;

	for (uint32_t s = 0; order && counts && s < cells->segments; s++) {
		memset(all, 0, numbers * sizeof(*all));
		for (size_t b = 0; b < buckets; b++) {
			const uint32_t *direct = cells->direct +
						 (s * cells->columns + b) * numbers;

			for (size_t i = 0; i < numbers; i++) {
				counts[i] = direct[i];
				all[i] += b >= (size_t)run->range->first ? direct[i] : 0;
			}
			out->values[s * buckets + b] = of_counts(measure, order, count, counts);
		}
		out->overall[s] = out->rank[s] > 0 || measure->kind == TREND_DISTINCT
				  ? of_counts(measure, order, count, all) : out->overall[s];
	}
	free(order);
	free(counts);
	return order && counts ? 0 : -ENOMEM;
}

static int fill_from_values(const struct run *run, size_t m, struct trend_values *out)
{
	const struct trend_measure *measure = &run->trend->measures[m];
	const struct cells *cells = &run->result[m];
	uint32_t count, kept = 0;
	struct value_count *list = list_values(measure, cells, &count);
	int buckets = run->range->buckets;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; measure->kind == TREND_DISTINCT && i < (size_t)out->segments *
								   (size_t)buckets; i++)
		out->values[i] = 0;
	qsort(list, count, sizeof(*list), by_cell);
	for (uint32_t i = 0, j; i < count; i = j) {
		for (j = i; j < count && list[j].segment == list[i].segment &&
			    list[j].bucket == list[i].bucket; j++)
			;
		out->values[list[i].segment * (size_t)buckets + list[i].bucket] =
			of_list(measure, list + i, j - i);
	}
	for (uint32_t i = 0; i < count; i++)
		if (list[i].bucket >= (uint32_t)run->range->first)
			list[kept++] = list[i];
	qsort(list, kept, sizeof(*list), by_segment);
	for (uint32_t i = 0, j; i < kept; i = j) {
		for (j = i; j < kept && list[j].segment == list[i].segment; j++)
			;
		out->overall[list[i].segment] = of_list(measure, list + i, j - i);
	}
	free(list);
	return 0;
}

/* One value of a kind that needs no list; cell or, for the whole, the sum of cells. */
static double simple_value(enum trend_kind kind, uint64_t total, uint32_t users,
			   const struct sum *sum, double extreme)
{
	switch (kind) {
	case TREND_TOTAL:
		return (double)total;
	case TREND_UNIQUE:
	case TREND_SESSIONS:
	case TREND_DAU:
	case TREND_WAU:
	case TREND_MAU:
		return users;
	case TREND_PER_USER:
		return users ? (double)total / users : NAN;
	case TREND_SUM:
		return sum_value(sum);
	case TREND_AVG:
		return total ? sum_value(sum) / (double)total : NAN;
	default:
		return extreme;
	}
}

static void fill_segment(const struct run *run, size_t m, uint32_t segment,
			 struct trend_values *out)
{
	const struct trend_measure *measure = &run->trend->measures[m];
	const struct cells *cells = &run->result[m];
	size_t row = segment * cells->columns, all = row + cells->columns - 1;
	size_t buckets = (size_t)run->range->buckets;
	bool is_cumulative = run->trend->is_cumulative, is_min = measure->kind == TREND_MIN;
	static const struct sum nothing = { { 0 }, 0 };
	struct sum sum = nothing;
	uint64_t total = 0;
	uint32_t users = 0;
	double extreme = NAN;

	for (size_t b = 0; b < buckets; b++) {
		size_t cell = row + b;
		bool counts = b >= (size_t)run->range->first;

		users += cells->users ? cells->users[cell] : 0;
		total += counts ? cells->total[cell] : 0;
		if (cells->sums && counts)
			sum_merge(&sum, &cells->sums[cell]);
		if (cells->extremes && counts)
			extreme = is_min ? fmin(extreme, cells->extremes[cell])
					 : fmax(extreme, cells->extremes[cell]);
		out->values[segment * buckets + b] = is_cumulative
			? simple_value(measure->kind, total, users, &sum, extreme)
			: simple_value(measure->kind, cells->total[cell],
				       cells->users ? cells->users[cell] : 0,
				       cells->sums ? &cells->sums[cell] : &nothing,
				       cells->extremes ? cells->extremes[cell] : NAN);
	}
	users = cells->users ? cells->users[all] : 0;
	out->overall[segment] = simple_value(measure->kind, total, users, &sum, extreme);
	out->rank[segment] = total == 0 ? NAN
			     : measure->kind == TREND_UNIQUE || measure->kind >= TREND_DAU ? users
			     : measure->kind == TREND_SUM || cells->extremes
			     ? out->overall[segment]
			     : (double)total;
}

/* A day's value is what the changes up to it come to; a bucket's is that of its last day. */
static void fill_days(const struct run *run, size_t m, uint32_t segment, struct trend_values *out)
{
	const struct trend_range *range = run->range;
	const int32_t *changes = run->result[m].days +
				 (size_t)segment * ((size_t)range->day_count + 1);
	int64_t active = 0;
	int bucket = 0;

	for (int day = 0; day < range->day_count && bucket < range->buckets; day++) {
		int64_t end = range->bounds[bucket + 1] < range->to_us ? range->bounds[bucket + 1]
								       : range->to_us;

		active += changes[day];
		if (day < range->day_first || range->days[day + 1] < end)
			continue;
		out->values[segment * (size_t)range->buckets + (size_t)bucket++] = (double)active;
	}
}

static int fill(const struct run *run, size_t m, struct trend_values *out)
{
	const struct trend_measure *measure = &run->trend->measures[m];
	uint32_t segments = run->result[m].segments;
	size_t cells = segments * (size_t)run->range->buckets;

	out->segments = segments;
	out->values = malloc((cells + 1) * sizeof(*out->values));
	out->overall = calloc(segments, sizeof(*out->overall));
	out->rank = calloc(segments, sizeof(*out->rank));
	if (!out->values || !out->overall || !out->rank)
		return -ENOMEM;
	for (size_t i = 0; i < cells; i++)
		out->values[i] = NAN;
	for (uint32_t i = 0; i < segments; i++) {
		fill_segment(run, m, i, out);
		if (measure->days)
			fill_days(run, m, i, out);
		if (measure->kind == TREND_DISTINCT)
			out->overall[i] = 0;
	}
	if (!trend_has_values(measure))
		return 0;
	return run->result[m].direct ? fill_from_direct(run, m, out)
				     : fill_from_values(run, m, out);
}

/* The average of the last n values; null where all of them are. */
static int roll(const struct trend *trend, const struct trend_range *range,
		struct trend_values *out)
{
	size_t buckets = (size_t)range->buckets, asked = buckets - (size_t)range->first;
	double *rolled = malloc((out->segments * asked + 1) * sizeof(*rolled));

	if (!rolled)
		return -ENOMEM;
	for (uint32_t i = 0; i < out->segments; i++) {
		for (size_t b = 0; b < asked; b++) {
			const double *from = out->values + i * buckets + b;
			double sum = 0;
			int count = 0;

			for (int j = 0; j < trend->rolling; j++) {
				count += !isnan(from[j]);
				sum += isnan(from[j]) ? 0 : from[j];
			}
			rolled[i * asked + b] = count ? sum / count : NAN;
		}
	}
	free(out->values);
	out->values = rolled;
	return 0;
}

int trend_run(struct trend *trend, const struct trend_range *range, struct trend_values *values)
{
	static const struct scan_ops ops = { begin, take, fold };
	struct run *run = calloc(1, sizeof(*run));
	int rc = run ? 0 : -ENOMEM;
	bool in_order = trend->is_cumulative;

	if (rc == 0 && !trend->is_settled)
		rc = trend_choose(trend, range);
	if (rc < 0)
		goto out;
	trend->is_settled = true;
	run->trend = trend;
	run->range = range;
	rc = make_grid(run);
	for (size_t i = 0; i < trend->measure_count && rc == 0; i++) {
		in_order |= trend->measures[i].days || trend->measures[i].kind == TREND_SESSIONS;
		rc = cells_init(&run->result[i], run, i);
	}
	if (rc == 0 && trend_has_quarters(trend, range))
		rc = trend_run_quarters(run);
	else if (rc == 0 && !in_order && trend_has_blocks(run))
		rc = trend_run_blocks(run);
	else if (rc == 0)
		rc = trend_scan(trend, range, !in_order, &ops, run);
	for (size_t i = 0; i < trend->measure_count && rc == 0; i++) {
		rc = fill(run, i, &values[i]);
		if (rc == 0 && trend->rolling)
			rc = roll(trend, range, &values[i]);
	}
out:
	for (size_t i = 0; run && i < trend->measure_count; i++)
		cells_reset(&run->result[i]);
	if (run)
		free(run->grid);
	free(run);
	return rc;
}

void trend_values_close(struct trend_values *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(values[i].values);
		free(values[i].overall);
		free(values[i].rank);
		values[i] = (struct trend_values){ 0 };
	}
}
