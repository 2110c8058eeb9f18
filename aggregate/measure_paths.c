// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "aggregate/measure.h"
#include "aggregate/pick.h"

#define STEPS_MAX  10
#define TOP_MAX    50
#define WINDOW_US  (INT64_C(7) * 24 * 3600 * 1000000)
#define NUMBER_MAX ((UINT64_C(1) << 28) - 1)
/* Stands for "nothing came any more", and for the rest of a step's events. */
#define DROPPED    (NUMBER_MAX - 1)
#define OTHER      NUMBER_MAX

enum { START = 1, ANY = 2 };

struct ask {
	struct question_range range;
	struct predicate *where;
	struct pick start;
	int64_t steps, top, window_us;
	bool is_before, is_totals, collapses;
	struct scan_prop *names;        /* $event */
};

/* From event to event, between a step and the next: open addressing, 0 is free (key_of is not). */
struct link {
	uint64_t key, count;
};

struct links {
	struct link *slots;             /* owned */
	size_t room, count;             /* room: a power of two */
};

struct tally {
	const struct ask *ask;
	struct scan_conf *scan;
	struct links links;
	struct scan_look *look;
};

static uint64_t key_of(uint64_t step, uint64_t from, uint64_t to)
{
	return (step + 1) << 56 | from << 28 | to;
}

static uint64_t mix(uint64_t key)
{
	key ^= key >> 32;
	key *= UINT64_C(0xd6e8feb86659fd93);
	return key ^ key >> 32;
}

static struct link *find(const struct links *links, uint64_t key)
{
	size_t at = mix(key) & (links->room - 1);

	while (links->slots[at].key && links->slots[at].key != key)
		at = (at + 1) & (links->room - 1);
	return &links->slots[at];
}

static int grow(struct links *links, struct scan_conf *scan)
{
	struct links more = { .room = links->room ? 2 * links->room : 256 };

	if (scan_charge(scan, more.room * sizeof(*more.slots)) < 0)
		return -ENOSPC;
	more.slots = calloc(more.room, sizeof(*more.slots));
	if (!more.slots)
		return -ENOMEM;
	for (size_t i = 0; i < links->room; i++)
		if (links->slots[i].key)
			*find(&more, links->slots[i].key) = links->slots[i];
	more.count = links->count;
	free(links->slots);
	*links = more;
	return 0;
}

static int add(struct links *links, struct scan_conf *scan, uint64_t key, uint64_t count)
{
	struct link *link;
	int rc = links->count * 4 >= links->room * 3 ? grow(links, scan) : 0;

	if (rc < 0)
		return rc;
	link = find(links, key);
	links->count += link->key == 0;
	link->key = key;
	link->count += count;
	return 0;
}

static void close_tally(struct tally *tally)
{
	if (!tally)
		return;
	free(tally->links.slots);
	scan_look_close(tally->look);
	free(tally);
}

static int begin(void *ctx, int thread, void **statep)
{
	const struct tally *total = ctx;
	struct tally *tally = calloc(1, sizeof(*tally));

	(void)thread;
	*statep = tally;
	if (!tally)
		return -ENOMEM;
	tally->ask = total->ask;
	tally->scan = total->scan;
	return scan_look_open(&tally->look, tally->ask->names);
}

static int fold(void *ctx, void *state)
{
	struct tally *total = ctx, *tally = state;
	int rc = 0;

	for (size_t i = 0; tally && i < tally->links.room && rc == 0; i++)
		if (tally->links.slots[i].key)
			rc = add(&total->links, total->scan, tally->links.slots[i].key,
				 tally->links.slots[i].count);
	close_tally(tally);
	return rc;
}

/* One path from events[at], forwards or backwards, until steps are filled, the window passed, or
 * nothing came any more. */
static int walk(struct tally *tally, const struct scan_person *person, uint32_t at)
{
	const struct ask *ask = tally->ask;
	int64_t start = person->events[at].time_us, step = 0;
	uint64_t from = scan_look(tally->look, person->leader, &person->events[at]);
	int rc = 0;

	for (int64_t i = ask->is_before ? (int64_t)at - 1 : (int64_t)at + 1;
	     i >= 0 && i < person->count && step < ask->steps && rc == 0;
	     i += ask->is_before ? -1 : 1) {
		const struct scan_event *event = &person->events[i];
		int64_t distance = ask->is_before ? start - event->time_us :
						    event->time_us - start;
		uint64_t to;

		if (distance > ask->window_us)
			break;
		if (!(event->match & ANY))
			continue;
		to = scan_look(tally->look, person->leader, event);
		if (ask->collapses && to == from)
			continue;
		rc = add(&tally->links, tally->scan, key_of((uint64_t)step, from, to), 1);
		from = to;
		step++;
	}
	if (rc == 0 && step < ask->steps)
		rc = add(&tally->links, tally->scan, key_of((uint64_t)step, from, DROPPED), 1);
	return rc;
}

static int take(void *state, const struct scan_person *person)
{
	struct tally *tally = state;
	int rc = 0;

	if (person->leader == PERSON_NOBODY)
		return 0;
	for (uint32_t i = 0; i < person->count && rc == 0; i++) {
		if (!(person->events[i].match & START))
			continue;
		rc = walk(tally, person, i);
		if (!tally->ask->is_totals)
			break;
	}
	return rc;
}

static const struct scan_ops ops = { .begin = begin, .take = take, .fold = fold };

/* --- the answer: the top events of each step, the rest as one --- */

struct node {
	uint64_t number, count;
	struct slice name;
};

static struct slice name_of(const struct ask *ask, uint64_t number)
{
	if (number == DROPPED)
		return SLICE("$drop_off");
	if (number == OTHER)
		return SLICE("$other");
	return scan_prop_of(ask->names, (uint32_t)number).text;
}

static int compare_nodes(const void *a, const void *b)
{
	const struct node *x = a, *y = b;
	struct prop x_name = { .kind = PROP_TEXT, .text = x->name };
	struct prop y_name = { .kind = PROP_TEXT, .text = y->name };

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return prop_compare(&x_name, &y_name);
}

/* What stands at one step: top nodes in order, then $other and $drop_off. */
struct level {
	struct node nodes[TOP_MAX + 2];
	size_t count;
};

/* Where an event stands in a level. */
static size_t index_of(const struct level *level, uint64_t number)
{
	size_t other = level->count;

	for (size_t i = 0; i < level->count; i++) {
		if (level->nodes[i].number == number)
			return i;
		if (level->nodes[i].number == OTHER)
			other = i;
	}
	return other;
}

/* Step s > 0 has what links of step s - 1 lead to; step 0 what its own links come from. */
static int rank_level(struct level *level, const struct tally *total, int step)
{
	uint32_t numbers = scan_prop_count(total->ask->names);
	struct node *all = calloc((size_t)numbers + 1, sizeof(*all));
	uint64_t dropped = 0, other = 0;
	size_t top = (size_t)total->ask->top, count = 0;

	*level = (struct level){ .count = 0 };
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < total->links.room; i++) {
		const struct link *link = &total->links.slots[i];
		uint64_t number = step ? link->key & NUMBER_MAX : link->key >> 28 & NUMBER_MAX;

		if (link->key >> 56 != (uint64_t)(step ? step : 1))
			continue;
		if (number == DROPPED)
			dropped += link->count;
		else
			all[number].count += link->count;
	}
	for (uint32_t i = 0; i < numbers; i++)
		if (all[i].count > 0)
			all[count++] = (struct node){ i, all[i].count,
						      name_of(total->ask, i) };
	if (count > 0)
		qsort(all, count, sizeof(*all), compare_nodes);
	for (size_t i = 0; i < count; i++)
		if (i < top)
			level->nodes[level->count++] = all[i];
		else
			other += all[i].count;
	if (other)
		level->nodes[level->count++] = (struct node){ OTHER, other, SLICE("$other") };
	if (dropped)
		level->nodes[level->count++] = (struct node){ DROPPED, dropped,
							      SLICE("$drop_off") };
	free(all);
	return 0;
}

static void write_level(struct buf *out, const struct level *level, int step)
{
	buf_printf(out, "%s{\"step\":%d,\"nodes\":[", step ? "," : "", step);
	for (size_t i = 0; i < level->count; i++) {
		buf_append_text(out, i ? ",{\"event\":" : "{\"event\":");
		json_write_text(level->nodes[i].name, out);
		buf_printf(out, ",\"count\":%llu}", (unsigned long long)level->nodes[i].count);
	}
	buf_append_text(out, "]}");
}

/* Links between the nodes that are shown, in their order. */
static void write_links(struct buf *out, const struct tally *total, const struct level *from,
			const struct level *to, int step, bool *is_first)
{
	uint64_t counts[TOP_MAX + 3][TOP_MAX + 3] = { { 0 } };

	for (size_t i = 0; i < total->links.room; i++) {
		const struct link *link = &total->links.slots[i];

		if (link->key >> 56 == (uint64_t)step + 1)
			counts[index_of(from, link->key >> 28 & NUMBER_MAX)]
			      [index_of(to, link->key & NUMBER_MAX)] += link->count;
	}
	for (size_t f = 0; f < from->count; f++)
		for (size_t t = 0; t < to->count; t++) {
			if (counts[f][t] == 0)
				continue;
			buf_printf(out, "%s{\"step\":%d,\"from\":", *is_first ? "" : ",", step);
			*is_first = false;
			json_write_text(from->nodes[f].name, out);
			buf_append_text(out, ",\"to\":");
			json_write_text(to->nodes[t].name, out);
			buf_printf(out, ",\"count\":%llu}", (unsigned long long)counts[f][t]);
		}
}

static int write(struct buf *out, const struct tally *total)
{
	struct level *levels = calloc(STEPS_MAX + 1, sizeof(*levels));
	bool is_first = true;
	int rc = levels ? 0 : -ENOMEM;

	buf_append_text(out, "\"steps\":[");
	for (int step = 0; step <= total->ask->steps && rc == 0; step++) {
		rc = rank_level(&levels[step], total, step);
		if (rc == 0)
			write_level(out, &levels[step], step);
	}
	buf_append_text(out, "],\"links\":[");
	for (int step = 0; step < total->ask->steps && rc == 0; step++)
		write_links(out, total, &levels[step], &levels[step + 1], step, &is_first);
	buf_append_char(out, ']');
	free(levels);
	return rc == 0 && out->failed ? -ENOSPC : rc;
}

static int parse(struct ask *ask, yyjson_val *root, const struct measure_world *world,
		 struct question_error *error)
{
	static const char *const KNOWN[] = {
		"start", "steps", "top", "window", "direction", "count", "collapse", "from", "to",
		"last", "zone", "week_start", "where", "source", NULL
	};
	static const char *const PICK[] = { "event", "where", NULL };
	static const char *const DIRECTIONS[] = { "after", "before", NULL };
	static const char *const COUNTS[] = { "unique", "totals", NULL };
	struct predicate_world predicates = measure_predicates(world, NULL);
	int direction = 0, count = 0;
	int rc = question_known(root, "", KNOWN, error);

	*ask = (struct ask){ .steps = 3, .top = 3, .window_us = WINDOW_US };
	if (rc == 0)
		rc = question_range_parse(&ask->range, root, world->now_us,
					  world->week_start, error);
	predicates.zone = ask->range.zone;
	if (rc == 0)
		rc = predicate_parse_root(&ask->where, root, &predicates, error);
	if (rc == 0)
		rc = pick_parse(&ask->start, json_get(root, "start"), "/start", PICK, &predicates,
				error);
	if (rc == 0)
		rc = question_count(root, "steps", "", 1, STEPS_MAX, &ask->steps, error);
	if (rc == 0)
		rc = question_count(root, "top", "", 1, TOP_MAX, &ask->top, error);
	if (rc == 0 && json_get(root, "window"))
		rc = question_duration(json_get(root, "window"), "/window", &ask->window_us, error);
	if (rc == 0)
		rc = question_word(root, "direction", "", DIRECTIONS, &direction, error);
	if (rc == 0)
		rc = question_word(root, "count", "", COUNTS, &count, error);
	if (rc == 0)
		rc = question_flag(root, "collapse", "", &ask->collapses, error);
	ask->is_before = direction == 1;
	ask->is_totals = count == 1;
	return rc;
}

static int run(struct ask *ask, struct measure_world *world, struct buf *out)
{
	struct scan_selector selectors[2] = {
		pick_selector(&ask->start, ask->where, ask->range.from_us, ask->range.to_us),
		{ .also = ask->where, .from_us = INT64_MIN, .to_us = INT64_MAX },
	};
	struct scan_conf scan = { .snapshot = world->snapshot, .threads = world->threads,
				  .cancel = world->cancel, .deadline_ms = world->deadline_ms,
				  .memory_max = world->memory_max, .selectors = selectors,
				  .selector_count = 2 };
	struct scan_prop_conf names = { .name = SLICE("$event"), .values_max = DROPPED };
	struct tally total = { .ask = ask, .scan = &scan };
	int rc = scan_prop_open(&ask->names, world->snapshot, &names);

	if (!ask->is_before)
		selectors[1].from_us = ask->range.from_us;
	else
		selectors[1].to_us = ask->range.to_us;
	if (rc == 0)
		rc = scan_run(&scan, &ops, &total);
	world->scanned += atomic_load(&scan.scanned);
	if (rc == 0)
		rc = write(out, &total);
	free(total.links.slots);
	scan_prop_close(ask->names);
	return rc;
}

int measure_paths(struct measure_world *world, yyjson_val *question, struct buf *out,
		  struct question_error *error)
{
	struct ask ask;
	int rc = parse(&ask, question, world, error);

	if (rc == 0) {
		rc = run(&ask, world, out);
		if (rc < 0)
			rc = question_fail_scan(error, rc);
	}
	pick_close(&ask.start);
	predicate_close(ask.where);
	question_range_close(&ask.range);
	return rc;
}
