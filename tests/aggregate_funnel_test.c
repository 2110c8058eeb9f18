/* The funnel engine: the cases of data/conformance.json (rules and results of peers' own tests), a
 * brute-force oracle over small random streams with ties, and laws that hold for any stream.
 */
// SPDX-License-Identifier: Apache-2.0
#include "aggregate/funnel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "tests/tap.h"

#define EXCLUDED     (UINT64_C(1) << 40)
#define EVENTS_MAX   64
#define ROUNDS       20000
#define SEED         20261124u

#define IS(tap, got, wanted, ...) \
	do { \
		int64_t got_ = (got), wanted_ = (wanted); \
		if (!OK(tap, got_ == wanted_, __VA_ARGS__)) \
			printf("# got %" PRId64 ", wanted %" PRId64 "\n", got_, wanted_); \
	} while (0)

struct taken {
	int paths, levels[EVENTS_MAX];
	struct funnel_path last;
};

static int take(void *ctx, const struct funnel_path *path)
{
	struct taken *taken = ctx;

	if (taken->paths < EVENTS_MAX)
		taken->levels[taken->paths] = path->level;
	taken->paths++;
	taken->last = *path;
	return 0;
}

static int run(const struct funnel_conf *conf, const struct scan_event *events, uint32_t count,
	       int64_t from, int64_t to, struct taken *taken)
{
	struct funnel *funnel;
	int level;

	*taken = (struct taken){ .paths = 0 };
	if (funnel_open(&funnel, conf) < 0)
		return -ENOMEM;
	level = funnel_run(funnel, events, count, from, to, take, taken);
	funnel_close(funnel);
	return level;
}

/* --- data/conformance.json --- */

static struct slice read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	static char text[1 << 20];
	size_t len = file ? fread(text, 1, sizeof(text), file) : 0;

	if (file)
		fclose(file);
	return (struct slice){ text, len };
}

static int64_t num(yyjson_val *value)
{
	double real = 0;

	if (json_real(value, &real) < 0)
		real = -1;
	return (int64_t)real;
}

static uint32_t read_events(yyjson_val *call, const char *excluded, struct scan_event *events)
{
	yyjson_val *row;
	size_t i, n;

	yyjson_arr_foreach(yyjson_obj_get(call, "events"), i, n, row) {
		struct slice name = json_string(yyjson_arr_get(row, 3));

		if (i >= EVENTS_MAX)
			break;
		events[i] = (struct scan_event){
			.time_us = num(yyjson_arr_get(row, 0)) * 1000000,
			.match = (uint64_t)num(yyjson_arr_get(row, 1)),
		};
		if (excluded && slice_is(name, excluded))
			events[i].match |= EXCLUDED;
	}
	return (uint32_t)n;
}

static void check_level(struct tap *tap, yyjson_val *result, int level, const struct taken *taken,
			const struct scan_event *events, const char *said)
{
	yyjson_val *time, *times = yyjson_arr_get(result, 1);
	size_t i, n;

	if (!yyjson_is_arr(result)) {
		IS(tap, level, num(result), "%s: level", said);
		return;
	}
	IS(tap, level, num(yyjson_arr_get(result, 0)), "%s: level", said);
	if (!yyjson_is_arr(times) || level <= 0)
		return;
	yyjson_arr_foreach(times, i, n, time)
		IS(tap, events[taken->last.events[i]].time_us / 1000000, num(time),
		       "%s: time of step %zu", said, i + 1);
}

static void check_call(struct tap *tap, const char *id, size_t nr, yyjson_val *call)
{
	struct slice fn = json_text(call, "fn");
	yyjson_val *args = yyjson_obj_get(call, "args"), *result = yyjson_obj_get(call, "result");
	struct scan_event events[EVENTS_MAX];
	struct funnel_conf conf = { .steps = (int)num(yyjson_obj_get(call, "n")),
				    .window_us = num(yyjson_obj_get(call, "W")) * 1000000 };
	int64_t from = INT64_MIN, to = INT64_MAX;
	bool excludes = slice_is(fn, "excl_level");
	uint32_t count = read_events(call, excludes ? "x" : slice_is(fn, "totals") ? "A" : NULL,
				     events);
	struct taken taken;
	char said[80];
	int level, converted = 0;

	snprintf(said, sizeof(said), "%s, user %zu", id, nr);
	if (slice_is(fn, "best2") && yyjson_arr_size(args) == 2) {
		from = num(yyjson_arr_get(args, 0)) * 1000000;
		to = num(yyjson_arr_get(args, 1)) * 1000000;
	}
	if (slice_is(fn, "first_entry"))
		conf.count = FUNNEL_FIRST;
	else if (slice_is(fn, "strict"))
		conf.order = FUNNEL_STRICT;
	else if (slice_is(fn, "unordered"))
		conf.order = FUNNEL_ANY;
	else if (slice_is(fn, "totals"))
		conf.count = FUNNEL_TOTALS;
	if (excludes || (slice_is(fn, "totals") && slice_is(slice_from(id), "F20"))) {
		conf.exclusion_count = 1;
		conf.exclusions[0] = (struct funnel_exclusion){
			EXCLUDED, 1, 2, excludes && yyjson_is_true(yyjson_arr_get(args, 1)) };
	}
	level = run(&conf, events, count, from, to, &taken);
	if (!slice_is(fn, "totals")) {
		check_level(tap, result, level, &taken, events, said);
		return;
	}
	for (int i = 0; i < taken.paths; i++)
		converted += taken.levels[i] == conf.steps;
	IS(tap, taken.paths, num(yyjson_arr_get(result, 0)), "%s: entries", said);
	IS(tap, converted, num(yyjson_arr_get(result, 1)), "%s: conversions", said);
}

static void test_conformance(struct tap *tap)
{
	struct json_reader *reader = NULL;
	struct err err = { "" };
	yyjson_val *root, *one, *call;
	size_t i, n, j, m, calls = 0;

	if (json_open(&reader, &err) < 0 ||
	    json_parse(reader, read_file("tests/data/conformance.json"), &root, &err) < 0) {
		OK(tap, false, "data/conformance.json: %s", err.text);
		json_close(reader);
		return;
	}
	yyjson_arr_foreach(root, i, n, one)
		yyjson_arr_foreach(yyjson_obj_get(one, "calls"), j, m, call) {
			check_call(tap, yyjson_get_str(yyjson_obj_get(one, "id")), j, call);
			calls++;
		}
	OK(tap, calls > 100, "%zu calls in data/conformance.json", calls);
	json_close(reader);
}

/* --- by hand --- */

struct hand {
	/* "A0 B5 x7": name and second; A..F step 1..6, x excluded */
	const char *events;
	int steps;
	enum funnel_order order;
	enum funnel_count count;
	int after, before;              /* of x; 0: none */
	bool drop;
	int window_s;
	const char *wanted;             /* levels of the paths */
	const char *said;
};

static const struct hand HANDS[] = {
	{ "A0 B0", 2, 0, 0, 0, 0, 0, 10, "2", "the same instant converts" },
	{ "B0 A0", 2, 0, 0, 0, 0, 0, 10, "2", "whatever stands first" },
	{ "B0 A0", 2, 0, FUNNEL_FIRST, 0, 0, 0, 10, "2", "also for the first entry" },
	{ "B0 A0", 2, 0, FUNNEL_TOTALS, 0, 0, 0, 10, "2", "and for totals" },
	{ "B0 A0", 2, FUNNEL_STRICT, 0, 0, 0, 0, 10, "1", "strict: as they stand" },
	{ "A0 B10", 2, 0, 0, 0, 0, 0, 10, "2", "the window includes its end" },
	{ "A0 B11", 2, 0, 0, 0, 0, 0, 10, "1", "and not more" },
	{ "A0 A5 B12", 2, 0, 0, 0, 0, 0, 10, "2", "best: the later entry" },
	{ "A0 A5 B12", 2, 0, FUNNEL_FIRST, 0, 0, 0, 10, "1", "first: only the first" },
	{ "A0 A5 B12", 2, 0, FUNNEL_TOTALS, 0, 0, 0, 10, "1", "totals: within an attempt" },
	{ "A0 A11 B12", 2, 0, FUNNEL_TOTALS, 0, 0, 0, 10, "1 2", "totals: a new one after it" },
	{ "A0 B1 A2 B3", 2, 0, FUNNEL_TOTALS, 0, 0, 0, 10, "2 2", "totals: twice" },
	{ "A0 B0 A0 B0", 2, 0, FUNNEL_TOTALS, 0, 0, 0, 10, "2 2", "totals: twice at once" },
	{ "A0 x1 B2", 2, 0, 0, 1, 2, 0, 10, "1", "excluded: keeps its step" },
	{ "A0 x1 B2", 2, 0, 0, 1, 2, 1, 10, "", "dropped" },
	{ "A0 x1 B2", 2, 0, FUNNEL_FIRST, 1, 2, 1, 10, "", "dropped, first entry" },
	{ "A0 x1 A2 B3", 2, 0, 0, 1, 2, 1, 10, "2", "a clean attempt after it" },
	{ "A0 x0 B0", 2, 0, 0, 1, 2, 1, 10, "2", "an exclusion of the same instant" },
	{ "A0 x1 B1", 2, 0, 0, 1, 2, 1, 10, "2", "or of the last step's: after it" },
	{ "A0 B1 x1 C2", 3, 0, 0, 1, 2, 1, 10, "3", "with the step that leaves its reach" },
	{ "A0 B1 x1 C2", 3, 0, 0, 1, 3, 0, 10, "2", "not one that stays in it" },
	{ "A0 x1 B2 C3", 3, 0, 0, 2, 3, 0, 10, "3", "before its reach" },
	{ "A0 x1 B2", 2, 0, FUNNEL_TOTALS, 1, 2, 0, 10, "1", "totals: ends the attempt" },
	{ "A0 x1 A1 B2", 2, 0, FUNNEL_TOTALS, 1, 2, 0, 10, "1", "A1 belongs to the old one" },
	{ "A0 B1 x1 A1 B2", 2, 0, FUNNEL_TOTALS, 1, 2, 0, 10, "2 2", "the new one has x before" },
	{ "A0 z1 B2", 2, FUNNEL_STRICT, 0, 0, 0, 0, 10, "1", "strict: a foreign event" },
	{ "A0 z1 A2 B3", 2, FUNNEL_STRICT, 0, 0, 0, 0, 10, "2", "strict: may begin again" },
	{ "A0 A1 B2", 2, FUNNEL_STRICT, 0, 0, 0, 0, 10, "2", "strict: from the second A" },
	{ "C0 A5 B9", 3, FUNNEL_ANY, 0, 0, 0, 0, 10, "3", "any order" },
	{ "C0 A5 B11", 3, FUNNEL_ANY, 0, 0, 0, 0, 10, "2", "any order: in one window" },
};

static uint32_t read_hand(const char *text, struct scan_event *events)
{
	uint32_t count = 0;
	char name;
	int second, used;

	while (sscanf(text, " %c%d%n", &name, &second, &used) == 2) {
		uint64_t match = name == 'x' ? EXCLUDED :
				 name == 'z' ? 0 : UINT64_C(1) << (name - 'A');

		events[count++] = (struct scan_event){ second * INT64_C(1000000), match, 0, 0 };
		text += used;
	}
	return count;
}

static void test_by_hand(struct tap *tap)
{
	for (size_t i = 0; i < sizeof(HANDS) / sizeof(HANDS[0]); i++) {
		const struct hand *hand = &HANDS[i];
		struct funnel_conf conf = { .steps = hand->steps,
					    .order = hand->order,
					    .count = hand->count,
					    .exclusion_count = hand->after > 0,
					    .window_us = hand->window_s * INT64_C(1000000) };
		struct scan_event events[EVENTS_MAX];
		uint32_t count = read_hand(hand->events, events);
		struct taken taken;
		char got[200] = "";

		conf.exclusions[0] = (struct funnel_exclusion){ EXCLUDED, hand->after,
								hand->before, hand->drop };
		run(&conf, events, count, INT64_MIN, INT64_MAX, &taken);
		for (int p = 0; p < taken.paths; p++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%d",
				 p ? " " : "", taken.levels[p]);
		OK(tap, strcmp(got, hand->wanted) == 0, "%s: %s", hand->events, hand->said);
	}
}

/* --- brute force --- */

static uint32_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

/* Every choice of distinct events with times that do not fall. */
static int brute(const struct scan_event *events, uint32_t count, const struct funnel_conf *conf,
		 int64_t from, int64_t to, uint64_t used, int level, int64_t start, int64_t last)
{
	int best = level;

	if (level == conf->steps)
		return level;
	for (uint32_t i = 0; i < count; i++) {
		int64_t t = events[i].time_us;
		int got;

		if ((used >> i & 1) || !(events[i].match >> level & 1) || t < last)
			continue;
		if (level == 0 ? t < from || t >= to : t - start > conf->window_us)
			continue;
		got = brute(events, count, conf, from, to, used | UINT64_C(1) << i, level + 1,
			    level ? start : t, t);
		if (got > best)
			best = got;
	}
	return best;
}

/* The most steps filled from events of one window, in any order. */
static int brute_any(const struct scan_event *events, uint32_t count,
		     const struct funnel_conf *conf, int64_t t0, uint64_t used, int step)
{
	int best;

	if (step == conf->steps)
		return 0;
	best = brute_any(events, count, conf, t0, used, step + 1);
	for (uint32_t i = 0; i < count; i++) {
		int64_t t = events[i].time_us;
		int got;

		if ((used >> i & 1) || !(events[i].match >> step & 1) || t < t0 ||
		    t - t0 > conf->window_us)
			continue;
		got = 1 + brute_any(events, count, conf, t0, used | UINT64_C(1) << i, step + 1);
		if (got > best)
			best = got;
	}
	return best;
}

static uint32_t random_events(uint64_t *seed, int steps, bool ties, struct scan_event *events)
{
	uint32_t count = next_random(seed) % 8;
	int64_t t = 0;

	for (uint32_t i = 0; i < count; i++) {
		t += next_random(seed) % 4 + (ties ? 0 : 1);
		if (ties && next_random(seed) % 2 && i > 0)
			t = events[i - 1].time_us;
		events[i] = (struct scan_event){ t, next_random(seed) % (1u << steps), 0, 0 };
		if (next_random(seed) % 2)
			events[i].match &= UINT64_C(1) << next_random(seed) % (uint32_t)steps;
	}
	return count;
}

static void test_brute(struct tap *tap, bool ties)
{
	uint64_t seed = SEED;
	int wrong = 0, wrong_any = 0, wrong_path = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct funnel_conf conf = { .steps = (int)(next_random(&seed) % 4) + 1,
					    .window_us = next_random(&seed) % 8 };
		struct scan_event events[EVENTS_MAX];
		uint32_t count = random_events(&seed, conf.steps, ties, events);
		int64_t from = next_random(&seed) % 4, to = from + 1 + next_random(&seed) % 8;
		struct taken taken;
		int level = run(&conf, events, count, from, to, &taken), most = 0;

		wrong += level != brute(events, count, &conf, from, to, 0, 0, 0, INT64_MIN);
		for (int k = 0; k < level; k++) {
			const struct scan_event *event = &events[taken.last.events[k]];

			wrong_path += !(event->match >> k & 1);
			for (int s = 0; s < k; s++)
				wrong_path += taken.last.events[s] == taken.last.events[k] ||
					      events[taken.last.events[s]].time_us > event->time_us;
		}
		conf.order = FUNNEL_ANY;
		level = run(&conf, events, count, from, to, &taken);
		for (uint32_t i = 0; i < count; i++) {
			int64_t t0 = events[i].time_us;
			int got = t0 < from || t0 >= to || !(events[i].match) ? 0 :
				  brute_any(events, count, &conf, t0, 0, 0);

			if (got > most)
				most = got;
		}
		wrong_any += level != most;
	}
	IS(tap, wrong, 0, "best = brute force in %d streams, ties %d, seed %u", ROUNDS, ties, SEED);
	IS(tap, wrong_path, 0, "every path is made of distinct events in order that match");
	IS(tap, wrong_any, 0, "any order = brute force");
}

/* --- laws (semantics: metamorphic) --- */

static void test_laws(struct tap *tap)
{
	uint64_t seed = SEED + 1;
	int order = 0, more = 0, window = 0, shift = 0, first = 0, totals = 0, strict = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct funnel_conf conf = { .steps = (int)(next_random(&seed) % 4) + 1,
					    .window_us = next_random(&seed) % 8 };
		struct scan_event events[EVENTS_MAX], other[EVENTS_MAX];
		uint32_t count = random_events(&seed, conf.steps, true, events), n = 0;
		uint32_t without = count ? next_random(&seed) % count : 0;
		struct taken taken;
		int level = run(&conf, events, count, INT64_MIN, INT64_MAX, &taken), entries = 0;

		for (uint32_t i = 0, end; i < count; i = end) {         /* ties turned round */
			for (end = i + 1; end < count && events[end].time_us == events[i].time_us;)
				end++;
			for (uint32_t e = i; e < end; e++)
				other[e] = events[end - 1 - (e - i)];
		}
		order += run(&conf, other, count, INT64_MIN, INT64_MAX, &taken) != level;
		for (uint32_t i = 0; i < count; i++)
			if (i != without)
				other[n++] = events[i];
		more += run(&conf, other, n, INT64_MIN, INT64_MAX, &taken) > level;
		for (uint32_t i = 0; i < count; i++) {
			other[i] = events[i];
			other[i].time_us += INT64_C(1767225600000000);
		}
		shift += run(&conf, other, count, INT64_MIN, INT64_MAX, &taken) != level;
		conf.window_us++;
		window += run(&conf, events, count, INT64_MIN, INT64_MAX, &taken) < level;
		conf.window_us--;
		conf.count = FUNNEL_FIRST;
		first += run(&conf, events, count, INT64_MIN, INT64_MAX, &taken) > level;
		conf.count = FUNNEL_TOTALS;
		totals += run(&conf, events, count, INT64_MIN, INT64_MAX, &taken) > level;
		for (uint32_t i = 0; i < count; i++)
			entries += events[i].match & 1;
		totals += taken.paths > entries;
		conf.count = FUNNEL_BEST;
		conf.order = FUNNEL_STRICT;
		strict += run(&conf, events, count, INT64_MIN, INT64_MAX, &taken) > level;
	}
	IS(tap, order, 0, "the order of ties changes nothing (%d streams, seed %u)", ROUNDS,
	   SEED + 1);
	IS(tap, more, 0, "an event more never lowers the level");
	IS(tap, window, 0, "nor does a longer window");
	IS(tap, shift, 0, "a shift of all times changes nothing");
	IS(tap, first, 0, "first <= best");
	IS(tap, totals, 0, "totals <= best, and no more entries than first steps");
	IS(tap, strict, 0, "strict <= best");
}

int main(void)
{
	struct tap tap = { 0 };

	test_conformance(&tap);
	test_by_hand(&tap);
	test_brute(&tap, false);
	test_brute(&tap, true);
	test_laws(&tap);
	return tap_end(&tap);
}
