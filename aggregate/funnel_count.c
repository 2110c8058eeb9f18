// SPDX-License-Identifier: Apache-2.0
#include "aggregate/funnel_plain.h"

#include <errno.h>
#include <stdlib.h>

/* One attempt with its events: what the sinks look at. */
struct found {
	int level;
	struct scan_event steps[FUNNEL_STEPS_MAX];
};

/* An event under one key: of held properties, or of a value that it is broken down by. */
struct keyed {
	uint32_t key[FUNNEL_HOLD_MAX];
	uint32_t index;
};

struct job {
	const struct funnel_ask *ask;
	struct funnel_result *result;
	struct scan_prop *hold[FUNNEL_HOLD_MAX];
	uint64_t *ranks;                /* first pass: [number]; NULL in the second */
};

struct worker {
	struct job *job;
	struct funnel *funnel;
	struct funnel_tally tally;
	uint64_t *ranks;
	struct scan_look *hold[FUNNEL_HOLD_MAX], *by;
	struct scan_event *translated, *grouped, *valued;       /* scratch */
	struct keyed *keys;
	size_t room, value_room;
	uint32_t leader;
	int person_level;
	/* the run that is on */
	const struct scan_event *events;
	struct found best;              /* of the groups, where one path per person counts */
	void (*sink)(struct worker *worker, const struct found *found);
	uint32_t value;                 /* FUNNEL_EACH: whose events these are */
	size_t bucket;
	struct funnel_bucket seen;
	int rc;                         /* of a sink */
};

/* --- sinks --- */

static void tally_found(struct worker *worker, size_t cell, const struct found *found)
{
	int64_t times[FUNNEL_STEPS_MAX];

	for (int k = 0; k < found->level; k++)
		times[k] = found->steps[k].time_us;
	if (worker->rc == 0)
		worker->rc = funnel_tally_path(&worker->tally, cell, found->level, times);
}

/* Several elements of a list may be one group, which counts once. */
static bool is_again(const struct funnel_segments *segments, const uint32_t *elements, size_t i)
{
	uint32_t group = ranges_group(&segments->ranges, elements[i]);
	bool again = false;

	for (size_t j = 0; segments->ranges.groups && j < i; j++)
		again |= ranges_group(&segments->ranges, elements[j]) == group;
	return again;
}

/* In the first pass a value gets its rank; in the second the path its cells, each once. */
static void tally_value(struct worker *worker, uint32_t number, const struct found *found)
{
	const struct funnel_segments *segments = &worker->job->result->segments;
	size_t count, rest = 1 + segments->count;
	const uint32_t *elements = scan_prop_elements(segments->prop, number, &count);
	bool in_rest = false;

	for (size_t i = 0; i < count; i++) {
		uint32_t group = ranges_group(&segments->ranges, elements[i]);
		size_t cell;

		if (is_again(segments, elements, i))
			continue;
		if (worker->ranks) {
			worker->ranks[group]++;
			continue;
		}
		cell = segments->cell_of[group];
		if (cell == rest && in_rest)
			continue;
		in_rest = in_rest || cell == rest;
		tally_found(worker, cell, found);
	}
}

static uint32_t attributed(struct worker *worker, const struct found *found)
{
	const struct funnel_ask *ask = worker->job->ask;
	uint32_t number = 0;
	int step = ask->attribution_step - 1;

	if (step < 0 && ask->attribution == FUNNEL_FIRST_STEP)
		step = 0;
	if (step < 0 && ask->attribution == FUNNEL_LAST_STEP)
		step = found->level - 1;
	if (step >= 0)
		return step < found->level ?
		       scan_look(worker->by, worker->leader, &found->steps[step]) : 0;
	for (int k = 0; k < found->level && number == 0; k++) {
		int at = ask->attribution == FUNNEL_LAST_DEFINED ? found->level - 1 - k : k;

		number = scan_look(worker->by, worker->leader, &found->steps[at]);
	}
	return number;
}

static bool is_each(const struct funnel_ask *ask)
{
	return ask->breakdown.ptr && ask->attribution == FUNNEL_EACH && ask->attribution_step == 0;
}

static void sink_overall(struct worker *worker, const struct found *found)
{
	const struct funnel_ask *ask = worker->job->ask;

	if (found->level > worker->person_level)
		worker->person_level = found->level;
	if (!worker->ranks)
		tally_found(worker, 0, found);
	if (worker->by && !is_each(ask))
		tally_value(worker, attributed(worker, found), found);
}

/* The rest's levels are folded by the caller of the runs: a person is in it once. */
static void sink_value(struct worker *worker, const struct found *found)
{
	const struct funnel_segments *segments = &worker->job->result->segments;

	if (worker->ranks)
		worker->ranks[worker->value]++;
	else
		tally_found(worker, segments->cell_of[worker->value], found);
}

static void sink_bucket(struct worker *worker, const struct found *found)
{
	worker->seen.entered++;
	worker->seen.converted += found->level == worker->job->ask->conf.steps;
}

/* --- runs --- */

static int on_path(void *ctx, const struct funnel_path *path)
{
	struct worker *worker = ctx;
	struct found found = { .level = path->level };

	for (int k = 0; k < path->level; k++)
		found.steps[k] = worker->events[path->events[k]];
	if (worker->job->ask->conf.count == FUNNEL_TOTALS)
		worker->sink(worker, &found);
	else if (worker->best.level == 0 ||
		 (worker->job->ask->conf.count == FUNNEL_FIRST ?
		  found.steps[0].time_us < worker->best.steps[0].time_us :
		  found.level > worker->best.level))
		worker->best = found;
	return worker->rc;
}

static int run_slice(struct worker *worker, const struct scan_event *events, size_t count,
		     int64_t from_us, int64_t to_us)
{
	int rc;

	worker->events = events;
	rc = funnel_run(worker->funnel, events, (uint32_t)count, from_us, to_us, on_path, worker);
	return rc < 0 ? rc : 0;
}

static int compare_keyed(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	int order = memcmp(x->key, y->key, sizeof(x->key));

	if (order)
		return order;
	return x->index < y->index ? -1 : x->index > y->index;
}

static bool same_key(const struct keyed *a, const struct keyed *b)
{
	return memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

static int grow(struct worker *worker, size_t count)
{
	size_t room = worker->room ? worker->room : 256;
	struct scan_event *translated, *grouped;

	if (count <= worker->room)
		return 0;
	while (room < count)
		room *= 2;
	if (scan_charge(worker->tally.scan, (room - worker->room) * 2 * sizeof(*grouped)) < 0)
		return -ENOSPC;
	translated = realloc(worker->translated, room * sizeof(*translated));
	if (translated)
		worker->translated = translated;
	grouped = realloc(worker->grouped, room * sizeof(*grouped));
	if (grouped)
		worker->grouped = grouped;
	if (!translated || !grouped)
		return -ENOMEM;
	worker->room = room;
	return 0;
}

static int grow_keys(struct worker *worker, size_t count)
{
	size_t room = worker->value_room ? worker->value_room : 256;
	struct scan_event *valued;
	struct keyed *keys;

	if (count <= worker->value_room)
		return 0;
	while (room < count)
		room *= 2;
	if (scan_charge(worker->tally.scan, (room - worker->value_room) *
			(sizeof(*keys) + sizeof(*valued))) < 0)
		return -ENOSPC;
	keys = realloc(worker->keys, room * sizeof(*keys));
	if (keys)
		worker->keys = keys;
	valued = realloc(worker->valued, room * sizeof(*valued));
	if (valued)
		worker->valued = valued;
	if (!keys || !valued)
		return -ENOMEM;
	worker->value_room = room;
	return 0;
}

/* Events in groups that agree in all held properties; those that lack one are left out. Uses the
 * upper part of keys, so that a caller's below `base` stay. */
static int run_held(struct worker *worker, const struct scan_event *events, size_t count,
		    size_t base, int64_t from_us, int64_t to_us)
{
	const struct funnel_ask *ask = worker->job->ask;
	struct keyed *keys;
	size_t n = 0;
	int rc = grow_keys(worker, base + count);

	if (rc < 0)
		return rc;
	keys = worker->keys + base;
	for (size_t i = 0; i < count; i++) {
		struct keyed *key = &keys[n];
		bool has_all = true;

		*key = (struct keyed){ .index = (uint32_t)i };
		for (size_t h = 0; h < ask->hold_count; h++) {
			key->key[h] = scan_look(worker->hold[h], worker->leader, &events[i]);
			has_all = has_all && key->key[h] != 0;
		}
		n += has_all;
	}
	qsort(keys, n, sizeof(*keys), compare_keyed);
	for (size_t i = 0, end; i < n && rc == 0; i = end) {
		for (end = i; end < n && same_key(&keys[i], &keys[end]); end++)
			worker->grouped[end - i] = events[keys[end].index];
		rc = run_slice(worker, worker->grouped, end - i, from_us, to_us);
	}
	return rc;
}

/* Paths of these events to on_path. */
static int run_once(struct worker *worker, const struct scan_event *events, size_t count,
		    size_t base, int64_t from_us, int64_t to_us)
{
	if (worker->job->ask->hold_count > 0)
		return run_held(worker, events, count, base, from_us, to_us);
	return run_slice(worker, events, count, from_us, to_us);
}

/* Sessions are made by all of the person's events, those that the funnel does not name, too. */
static int run_sessions(struct worker *worker, const struct scan_event *events, size_t count,
			int64_t from_us, int64_t to_us)
{
	int rc = 0;

	for (size_t i = 0, end; i < count && rc == 0; i = end) {
		for (end = i + 1; end < count &&
		     !session_begins(&worker->job->ask->session, events[end - 1].time_us,
				     events[end].time_us);)
			end++;
		rc = run_once(worker, events + i, end - i, 0, from_us, to_us);
	}
	return rc;
}

/* All paths of these events to the sink. */
static int run_all(struct worker *worker, const struct scan_event *events, size_t count,
		   size_t base, int64_t from_us, int64_t to_us,
		   void (*sink)(struct worker *worker, const struct found *found))
{
	int rc;

	worker->best.level = 0;
	worker->sink = sink;
	rc = worker->job->ask->by_session ?
	     run_sessions(worker, events, count, from_us, to_us) :
	     run_once(worker, events, count, base, from_us, to_us);
	if (rc == 0 && worker->best.level > 0)
		sink(worker, &worker->best);
	return rc < 0 ? rc : worker->rc;
}

/* Events under each of their values. */
static ssize_t key_values(struct worker *worker, const struct scan_event *events, size_t count)
{
	const struct scan_prop *prop = worker->job->result->segments.prop;
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t number = scan_look(worker->by, worker->leader, &events[i]);
		size_t elements;
		const uint32_t *element = scan_prop_elements(prop, number, &elements);
		int rc = grow_keys(worker, n + elements);

		if (rc < 0)
			return rc;
		for (size_t e = 0; e < elements; e++)
			if (!is_again(&worker->job->result->segments, element, e))
				worker->keys[n++] = (struct keyed){
					.key = { ranges_group(&worker->job->result->segments.ranges,
							      element[e]) },
					.index = (uint32_t)i,
				};
	}
	return (ssize_t)n;
}

/* FUNNEL_EACH: the person counts in each value's segment as far as that value's events go. All that
 * fall into $other are one segment: the furthest of its values. */
static int run_each(struct worker *worker, const struct scan_event *events, size_t count)
{
	const struct funnel_ask *ask = worker->job->ask;
	const struct funnel_segments *segments = &worker->job->result->segments;
	ssize_t n = key_values(worker, events, count);
	struct found rest = { .level = 0 };
	/* Room for what run_held adds: nothing moves under its feet. */
	int rc = n < 0 ? (int)n : grow_keys(worker, (size_t)n + count);

	if (rc < 0)
		return rc;
	qsort(worker->keys, (size_t)n, sizeof(*worker->keys), compare_keyed);
	for (ssize_t i = 0, end; i < n && rc == 0; i = end) {
		uint32_t value = worker->keys[i].key[0];
		bool in_rest = !worker->ranks && segments->cell_of[value] == 1 + segments->count;
		bool is_single = ask->conf.count != FUNNEL_TOTALS;

		for (end = i; end < n && worker->keys[end].key[0] == value; end++)
			worker->valued[end - i] = events[worker->keys[end].index];
		worker->value = value;
		if (!in_rest || !is_single) {
			rc = run_all(worker, worker->valued, (size_t)(end - i), (size_t)n,
				     ask->range.from_us, ask->range.to_us, sink_value);
			continue;
		}
		worker->best.level = 0;
		worker->sink = NULL;    /* only totals call it */
		rc = run_once(worker, worker->valued, (size_t)(end - i), (size_t)n,
			      ask->range.from_us, ask->range.to_us);
		if (worker->best.level > rest.level)
			rest = worker->best;
	}
	if (rc == 0 && rest.level > 0)
		tally_found(worker, 1 + segments->count, &rest);
	return rc < 0 ? rc : worker->rc;
}

/* A funnel per bucket: entries in it, each person once; in totals each entry. */
static int run_trend(struct worker *worker, const struct scan_event *events, size_t count)
{
	const struct funnel_ask *ask = worker->job->ask;
	const int64_t *bounds = worker->job->result->bounds;
	uint64_t first = ask->conf.order == FUNNEL_ANY ?
			 (UINT64_C(1) << ask->conf.steps) - 1 : 1;
	size_t bucket = 0, buckets = worker->tally.bucket_count;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		int64_t t = events[i].time_us;
		int64_t from, to;
		size_t begin_at = i;

		if (!(events[i].match & first) || t < ask->range.from_us || t >= ask->range.to_us)
			continue;
		while (bucket < buckets && t >= bounds[bucket + 1])
			bucket++;
		if (bucket == buckets)
			break;
		if (t < bounds[bucket])
			continue;       /* of the bucket that was run last */
		from = bounds[bucket] > ask->range.from_us ? bounds[bucket] : ask->range.from_us;
		to = bounds[bucket + 1] < ask->range.to_us ? bounds[bucket + 1] : ask->range.to_us;
		worker->seen = (struct funnel_bucket){ 0, 0 };
		while (begin_at > 0 && events[begin_at - 1].time_us == t)
			begin_at--;
		/* Sessions need the events before; others nothing earlier than the entry. */
		if (ask->by_session)
			begin_at = 0;
		rc = run_all(worker, events + begin_at, count - begin_at, 0, from, to,
			     sink_bucket);
		worker->tally.buckets[bucket].entered += worker->seen.entered;
		worker->tally.buckets[bucket].converted += worker->seen.converted;
		bucket++;
	}
	return rc;
}

/* --- the scan's ops --- */

static int take(void *state, const struct scan_person *person)
{
	struct worker *worker = state;
	const struct funnel_ask *ask = worker->job->ask;
	const struct scan_event *events = person->events;
	int rc = 0;

	if (person->leader == PERSON_NOBODY)
		return 0;
	if (!ask->is_direct || ask->hold_count > 0) {
		rc = grow(worker, person->count);
		if (rc < 0)
			return rc;
	}
	if (!ask->is_direct) {
		for (uint32_t i = 0; i < person->count; i++) {
			worker->translated[i] = person->events[i];
			worker->translated[i].match =
				funnel_ask_match(ask, person->events[i].match);
		}
		events = worker->translated;
	}
	worker->leader = person->leader;
	worker->person_level = 0;
	rc = run_all(worker, events, person->count, 0, ask->range.from_us, ask->range.to_us,
		     sink_overall);
	if (rc == 0 && is_each(ask))
		rc = run_each(worker, events, person->count);
	if (rc < 0 || worker->ranks)
		return rc;
	if (ask->has_trend)
		rc = run_trend(worker, events, person->count);
	if (rc == 0 && ask->people_step > 0 &&
	    (ask->people_dropped ? worker->person_level == ask->people_step - 1 :
				   worker->person_level >= ask->people_step))
		rc = funnel_tally_person(&worker->tally, person->leader);
	return rc;
}

static void close_worker(struct worker *worker)
{
	if (!worker)
		return;
	funnel_close(worker->funnel);
	funnel_tally_close(&worker->tally);
	for (size_t h = 0; h < FUNNEL_HOLD_MAX; h++)
		scan_look_close(worker->hold[h]);
	scan_look_close(worker->by);
	free(worker->ranks);
	free(worker->translated);
	free(worker->grouped);
	free(worker->valued);
	free(worker->keys);
	free(worker);
}

static uint32_t groups_of(const struct funnel_segments *segments)
{
	return scan_prop_count(segments->prop) + segments->ranges.count;
}

static int begin(void *ctx, int thread, void **statep)
{
	struct job *job = ctx;
	struct funnel_result *result = job->result;
	struct worker *worker = calloc(1, sizeof(*worker));
	int rc;

	(void)thread;
	*statep = NULL;
	if (!worker)
		return -ENOMEM;
	worker->job = job;
	rc = funnel_open(&worker->funnel, &job->ask->conf);
	if (rc == 0)
		rc = funnel_tally_init(&worker->tally, job->ask->conf.steps,
				       result->tally.cell_count, result->tally.bucket_count,
				       result->tally.scan);
	for (size_t h = 0; h < job->ask->hold_count && rc == 0; h++)
		rc = scan_look_open(&worker->hold[h], job->hold[h]);
	if (rc == 0 && result->segments.prop)
		rc = scan_look_open(&worker->by, result->segments.prop);
	if (rc == 0 && job->ranks) {
		worker->ranks = calloc(groups_of(&result->segments) + 1, sizeof(*worker->ranks));
		rc = worker->ranks ? 0 : -ENOMEM;
	}
	if (rc < 0)
		close_worker(worker);
	else
		*statep = worker;
	return rc;
}

static int fold(void *ctx, void *state)
{
	struct job *job = ctx;
	struct worker *worker = state;
	int rc;

	if (job->ranks)
		for (uint32_t i = 0; i < groups_of(&job->result->segments); i++)
			job->ranks[i] += worker->ranks[i];
	rc = funnel_tally_fold(&job->result->tally, &worker->tally);
	close_worker(worker);
	return rc;
}

static const struct scan_ops ops = { .begin = begin, .take = take, .fold = fold };

/* --- segments --- */

struct rank {
	uint32_t number;
	uint64_t count;
	struct slice name;              /* into a buffer of all names */
	size_t at;
};

static int compare_ranks(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;
	struct prop x_name = { .kind = PROP_TEXT, .text = x->name };
	struct prop y_name = { .kind = PROP_TEXT, .text = y->name };

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return prop_compare(&x_name, &y_name);
}

static int choose(struct funnel_segments *segments, struct rank *ranks, size_t count, size_t top,
		  uint32_t numbers)
{
	segments->count = count < top ? count : top;
	segments->has_rest = count > segments->count;
	segments->numbers = calloc(segments->count + 1, sizeof(*segments->numbers));
	segments->cell_of = malloc((numbers + 1) * sizeof(*segments->cell_of));
	if (!segments->numbers || !segments->cell_of)
		return -ENOMEM;
	for (uint32_t i = 0; i <= numbers; i++)
		segments->cell_of[i] = (uint32_t)(1 + segments->count);
	for (size_t i = 0; i < segments->count; i++) {
		segments->numbers[i] = ranks[i].number;
		segments->cell_of[ranks[i].number] = (uint32_t)(1 + i);
	}
	return 0;
}

/* The most people at step 1 first, ties by name. */
static int rank_segments(struct job *job, size_t top)
{
	struct funnel_segments *segments = &job->result->segments;
	uint32_t groups = groups_of(segments);
	struct rank *ranks = calloc(groups + 1, sizeof(*ranks));
	struct buf names = { .ptr = NULL };
	size_t count = 0;
	int rc = ranks ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < groups && rc == 0; i++) {
		struct prop low;

		if (job->ranks[i] == 0)
			continue;
		ranks[count] = (struct rank){ .number = i, .count = job->ranks[i],
					      .at = names.len };
		low = ranges_low(&segments->ranges, segments->prop, i);
		if (i < scan_prop_count(segments->prop))
			prop_print(&low, &names);
		else
			ranges_write(&segments->ranges, segments->prop, i, &names);
		ranks[count].name.len = names.len - ranks[count].at;
		count++;
		rc = names.failed ? -ENOSPC : 0;
	}
	for (size_t i = 0; i < count; i++)
		ranks[i].name.ptr = (names.ptr ? names.ptr : "") + ranks[i].at;
	if (rc == 0 && count > 0)
		qsort(ranks, count, sizeof(*ranks), compare_ranks);
	if (rc == 0)
		rc = choose(segments, ranks, count, top, groups);
	buf_close(&names);
	free(ranks);
	return rc;
}

/* --- the first pass --- */

static int rank_all(struct job *job, struct scan_conf *scan)
{
	int rc;

	free(job->ranks);
	job->ranks = calloc(groups_of(&job->result->segments) + 1, sizeof(*job->ranks));
	if (!job->ranks)
		return -ENOMEM;
	rc = funnel_tally_init(&job->result->tally, job->ask->conf.steps, 1, 0, scan);
	if (rc == 0)
		rc = scan_run(scan, &ops, job);
	funnel_tally_close(&job->result->tally);
	return rc;
}

/* Ranges of the values that were seen; ranked anew, since somebody may have two values of one. */
static int rank_ranges(struct job *job, struct scan_conf *scan)
{
	struct funnel_segments *segments = &job->result->segments;
	uint32_t values = scan_prop_count(segments->prop);
	uint8_t *seen = calloc(values, 1);
	int rc = seen ? 0 : -ENOMEM;

	for (uint32_t i = 0; seen && i < values; i++)
		seen[i] = job->ranks[i] != 0;
	if (rc == 0)
		rc = ranges_make(&segments->ranges, segments->prop, seen);
	free(seen);
	return rc == 0 && segments->ranges.count ? rank_all(job, scan) : rc;
}

/* A cell for each value. */
static int count_all(struct job *job, struct scan_conf *scan, size_t buckets)
{
	struct funnel_segments *segments = &job->result->segments;
	uint32_t values = scan_prop_count(segments->prop);
	struct rank *ranks = calloc(values, sizeof(*ranks));
	int rc = ranks ? 0 : -ENOMEM;

	for (uint32_t i = 0; ranks && i < values; i++)
		ranks[i].number = i;
	if (rc == 0)
		rc = choose(segments, ranks, values, values, values);
	free(ranks);
	if (rc == 0)
		rc = funnel_tally_init(&job->result->tally, job->ask->conf.steps, 1 + values,
				       buckets, scan);
	if (rc == 0)
		rc = scan_run(scan, &ops, job);
	job->ranks = rc == 0 ? calloc(values + (size_t)1, sizeof(*job->ranks)) : NULL;
	for (uint32_t i = 0; job->ranks && i < values; i++)
		job->ranks[i] = job->result->tally.cells[1 + i].counts[0];
	free(segments->numbers);
	free(segments->cell_of);
	segments->numbers = segments->cell_of = NULL;
	return rc == 0 && !job->ranks ? -ENOMEM : rc;
}

/* The cells of the top, in its order; those of nobody go. */
static int sort_cells(struct funnel_result *result)
{
	const struct funnel_segments *segments = &result->segments;
	struct funnel_tally *tally = &result->tally;
	struct funnel_cell *cells = calloc(tally->cell_count, sizeof(*cells));
	size_t next = 1 + segments->count;

	if (!cells)
		return -ENOMEM;
	cells[0] = tally->cells[0];
	for (size_t i = 1; i < tally->cell_count; i++) {
		size_t cell = segments->cell_of[i - 1];

		cells[cell <= segments->count ? cell : next++] = tally->cells[i];
	}
	free(tally->cells);
	tally->cells = cells;
	return 0;
}

/* *is_done: all was counted, no second pass is needed. */
static int find_segments(struct job *job, struct scan_conf *scan, size_t buckets, bool *is_done)
{
	const struct funnel_ask *ask = job->ask;
	struct funnel_segments *segments = &job->result->segments;
	struct scan_prop_conf conf = { .name = ask->breakdown,
				       .of_profile = ask->breakdown_of_profile,
				       .cast = ask->breakdown_as_text ? SCAN_AS_TEXT : SCAN_AS_IS };
	size_t charged = atomic_load(&scan->charged);
	bool is_few, wants_ranges;
	int rc = scan_prop_open(&segments->prop, scan->snapshot, &conf);

	if (rc < 0)
		return rc;
	wants_ranges = !ask->breakdown_as_text && ranges_may_need(segments->prop);
	is_few = !wants_ranges && scan_prop_count(segments->prop) <= 2 * (size_t)ask->top;
	rc = is_few ? count_all(job, scan, buckets) : rank_all(job, scan);
	if (rc == 0 && wants_ranges)
		rc = rank_ranges(job, scan);
	if (rc == 0)
		rc = rank_segments(job, (size_t)ask->top);
	free(job->ranks);
	job->ranks = NULL;
	*is_done = rc == 0 && is_few && !segments->has_rest;
	if (*is_done)
		return sort_cells(job->result);
	/* What the rest was counted into is counted anew as one. */
	funnel_tally_close(&job->result->tally);
	atomic_store(&scan->charged, charged);
	return rc;
}

static int make_buckets(struct funnel_result *result, const struct funnel_ask *ask, int *buckets)
{
	*buckets = 0;
	if (!ask->has_trend)
		return 0;
	result->bounds = calloc(QUESTION_BUCKETS_MAX + 1, sizeof(*result->bounds));
	if (!result->bounds)
		return -ENOMEM;
	*buckets = zone_bounds(ask->range.zone, ask->trend, ask->range.from_us, ask->range.to_us,
			       result->bounds, QUESTION_BUCKETS_MAX);
	return *buckets < 0 ? *buckets : 0;
}

int funnel_count_run(struct funnel_result *result, const struct funnel_ask *ask,
		     struct scan_conf *scan)
{
	struct job job = { .ask = ask, .result = result };
	bool is_done = false;
	int rc, buckets;

	*result = (struct funnel_result){ .bounds = NULL };
	scan->selectors = ask->selectors;
	scan->selector_count = ask->selector_count;
	rc = make_buckets(result, ask, &buckets);
	for (size_t h = 0; h < ask->hold_count && rc == 0; h++) {
		struct scan_prop_conf conf = { .name = ask->hold[h] };

		rc = scan_prop_open(&job.hold[h], scan->snapshot, &conf);
	}
	if (rc == 0 && ask->breakdown.ptr)
		rc = find_segments(&job, scan, (size_t)buckets, &is_done);
	if (rc == 0 && !is_done)
		rc = funnel_tally_init(&result->tally, ask->conf.steps,
				       1 + result->segments.count + result->segments.has_rest,
				       (size_t)buckets, scan);
	if (rc == 0 && !is_done)
		rc = funnel_plain_may(ask) ? funnel_plain_run(result, ask, scan)
					   : scan_run(scan, &ops, &job);
	free(job.ranks);
	for (size_t h = 0; h < ask->hold_count; h++)
		scan_prop_close(job.hold[h]);
	return rc;
}

void funnel_count_close(struct funnel_result *result)
{
	funnel_tally_close(&result->tally);
	scan_prop_close(result->segments.prop);
	ranges_close(&result->segments.ranges);
	free(result->segments.numbers);
	free(result->segments.cell_of);
	free(result->bounds);
	*result = (struct funnel_result){ .bounds = NULL };
}
