// SPDX-License-Identifier: Apache-2.0
/* Trends over a real store of random events, against a count by hand. */
#include "aggregate/measure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/when.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)
#define USERS  400
#define EVENTS 30000
#define DAYS   10
#define PLANS  30

struct row {
	uint32_t user;
	int64_t time_us;
	int event, plan;                /* plan 0: not set */
	double price;                   /* NAN: not set */
};

struct world {
	struct store *store;
	struct row rows[EVENTS];
	int64_t start_us;
	uint64_t seed;
};

static const char *const events[] = { "View", "Buy", "$hidden", "Identify" };

static uint64_t next(struct world *world)
{
	world->seed ^= world->seed << 13;
	world->seed ^= world->seed >> 7;
	return world->seed ^= world->seed << 17;
}

static uint32_t actor_of(struct store *store, uint32_t user, bool anonymous)
{
	char id[16];
	uint32_t actor = 0;
	int n = snprintf(id, sizeof(id), "%c%u", anonymous ? 'a' : 'u', user);

	if (persons_actor(store_persons(store), anonymous ? 'a' : 'u',
			  (struct slice){ id, (size_t)n }, 1, &actor) < 0)
		return 0;
	return actor;
}

static int add(struct world *world, size_t i)
{
	struct row *row = &world->rows[i];
	char plan[16];
	struct store_prop props[3] = {
		{ SLICE("$event"), { .kind = PROP_TEXT, .text = slice_from(events[row->event]) } },
	};
	struct store_row store_row = { .time_us = row->time_us, .received_us = row->time_us,
				       .props = props, .count = 1 };
	struct err err = { "" };

	memcpy(store_row.message.bytes, &i, sizeof(i));
	store_row.actor = actor_of(world->store, row->user, next(world) % 3 == 0);
	if (row->plan) {
		int n = snprintf(plan, sizeof(plan), "plan%d", row->plan);

		props[store_row.count++] = (struct store_prop){ SLICE("plan"),
			{ .kind = PROP_TEXT, .text = { plan, (size_t)n } } };
	}
	if (!isnan(row->price))
		props[store_row.count++] = (struct store_prop){ SLICE("price"),
			{ .kind = PROP_NUMBER, .number = row->price } };
	return store_add(world->store, &store_row, &err);
}

static int fill(struct world *world)
{
	struct persons *persons = store_persons(world->store);
	struct err err = { "" };
	int rc = 0;

	for (size_t i = 0; i < EVENTS; i++) {
		uint32_t user = (uint32_t)(next(world) % USERS);

		if (i % 1000 == 0)
			store_change_begin(world->store);
		world->rows[i] = (struct row){
			.user = user, .event = (int)(next(world) % 4),
			.time_us = world->start_us +
				   (int64_t)(next(world) % (DAYS * 86400)) * SECOND,
			.plan = (int)(next(world) % (PLANS + 1)),
			.price = next(world) % 2 ? (double)(next(world) % 1000) / 10 : NAN,
		};
		rc = add(world, i);
		if (rc < 0)
			return rc;
		if (i % 1000 == 999) {
			/* Who is whom comes late. */
			for (uint32_t u = 0; u < USERS && i + 1 == EVENTS; u++) {
				struct person_when when = { .time_us = world->start_us,
							    .received_us = 1 };

				rc = persons_link(persons, actor_of(world->store, u, true),
						  actor_of(world->store, u, false), &when);
				if (rc < 0)
					return rc;
			}
			rc = store_change_end(world->store, &err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* The answer's root, or NULL with words. */
static yyjson_val *ask_with(int threads, measure_answer_fn *answer, struct world *world,
			    struct json_reader *reader, const char *question, struct buf *out,
			    struct question_error *error)
{
	struct json_reader *asking = NULL;
	struct snapshot snapshot;
	struct measure_world measure = { .threads = threads,
					 .now_us = world->start_us + DAYS * DAY };
	yyjson_val *root = NULL;
	int rc;

	*error = (struct question_error){ 0 };
	buf_reset(out);
	buf_append_char(out, '{');
	if (json_open(&asking, NULL) < 0 || store_snapshot(world->store, &snapshot, NULL) < 0)
		return NULL;
	measure.snapshot = &snapshot;
	rc = json_parse(asking, slice_from(question), &root, NULL);
	if (rc == 0)
		rc = answer(&measure, root, out, error);
	snapshot_release(&snapshot);
	json_close(asking);
	buf_append_char(out, '}');
	root = NULL;
	if (rc < 0 || json_parse(reader, buf_slice(out), &root, NULL) < 0)
		return NULL;
	return root;
}

static yyjson_val *ask_by(measure_answer_fn *answer, struct world *world,
			  struct json_reader *reader, const char *question, struct buf *out,
			  struct question_error *error)
{
	return ask_with(2, answer, world, reader, question, out, error);
}

static yyjson_val *ask(struct world *world, struct json_reader *reader, const char *question,
		       struct buf *out, struct question_error *error)
{
	return ask_by(measure_trend, world, reader, question, out, error);
}

static double value_at(yyjson_val *root, size_t series, size_t bucket)
{
	yyjson_val *line = yyjson_arr_get(json_get(root, "series"), series);
	double value = NAN;

	if (json_real(yyjson_arr_get(json_get(line, "values"), bucket), &value) < 0)
		return NAN;
	return value;
}

static double overall_of(yyjson_val *root, size_t series)
{
	double value = NAN;

	if (json_real(json_get(yyjson_arr_get(json_get(root, "series"), series), "overall"),
		      &value) < 0)
		return NAN;
	return value;
}

/* By hand: event -1: any that is behavioural; plan -1: any. */
static double by_hand(const struct world *world, int day, int event, int plan, char kind)
{
	bool seen[USERS] = { false };
	double total = 0, users = 0, sum = 0;

	for (size_t i = 0; i < EVENTS; i++) {
		const struct row *row = &world->rows[i];

		if ((event < 0 ? row->event > 1 : row->event != event) ||
		    (plan >= 0 && row->plan != plan) ||
		    (day >= 0 && (row->time_us - world->start_us) / DAY != day) ||
		    (kind == 's' && isnan(row->price)))
			continue;
		total++;
		users += !seen[row->user];
		seen[row->user] = true;
		sum += kind == 's' ? row->price : 0;
	}
	return kind == 't' ? total : kind == 'u' ? users : sum;
}

static const char question_all[] =
	"{\"from\":\"2026-03-01\",\"to\":\"2026-03-10\",\"measures\":["
	"{\"event\":\"*\",\"measure\":\"total\"},{\"event\":\"Buy\",\"measure\":\"unique\"},"
	"{\"event\":\"View\",\"measure\":\"sum\",\"prop\":\"price\"},"
	"{\"event\":\"$hidden\"}],\"formula\":\"A/B\"}";

static void test_plain(struct tap *tap, struct world *world, struct json_reader *reader)
{
	struct question_error error;
	struct buf out = { 0 };
	yyjson_val *root = ask(world, reader, question_all, &out, &error);
	bool total = true, unique = true, sum = true, hidden = true, formula = true;

	if (!OK(tap, root && yyjson_arr_size(json_get(root, "series")) == 5, "five lines: %s %s",
		error.at, error.message))
		return;
	for (int day = 0; day < DAYS; day++) {
		size_t b = (size_t)day;
		double a = by_hand(world, day, -1, -1, 't'), u = by_hand(world, day, 1, -1, 'u');

		total &= value_at(root, 0, b) == a;
		unique &= value_at(root, 1, b) == u;
		sum &= fabs(value_at(root, 2, b) - by_hand(world, day, 0, -1, 's')) < 1e-6;
		hidden &= value_at(root, 3, b) == by_hand(world, day, 2, -1, 't');
		formula &= fabs(value_at(root, 4, b) - a / u) < 1e-9;
	}
	OK(tap, total && overall_of(root, 0) == by_hand(world, -1, -1, -1, 't'), "total of any");
	OK(tap, unique && overall_of(root, 1) == by_hand(world, -1, 1, -1, 'u'), "unique: %g",
	   overall_of(root, 1));
	OK(tap, sum, "sum");
	OK(tap, hidden, "an event that \"*\" does not mean");
	OK(tap, formula, "formula");
	buf_close(&out);
}

static void test_segments(struct tap *tap, struct world *world, struct json_reader *reader)
{
	static const char question[] =
		"{\"from\":\"2026-03-01\",\"to\":\"2026-03-10\",\"top\":5,\"measures\":["
		"{\"event\":\"Buy\",\"measure\":\"unique\"}],\"breakdown\":[{\"prop\":\"plan\"}]}";
	struct question_error error;
	struct buf out = { 0 };
	yyjson_val *root = ask(world, reader, question, &out, &error), *series, *line;
	bool good = true, is_sorted = true, in_top[PLANS + 1] = { false }, seen[USERS] = { false };
	size_t i, count;
	double others = 0;

	series = json_get(root, "series");
	if (!OK(tap, root && yyjson_arr_size(series) == 6, "five segments and the rest: %s",
		error.message))
		return;
	yyjson_arr_foreach(series, i, count, line) {
		struct slice name = json_string(yyjson_arr_get_first(json_get(line, "segment")));
		int plan = slice_is(name, "(not set)") ? 0 : name.len > 4 ? (int)strtol(
			   name.ptr + 4, NULL, 10) : -1;

		if (i == 5)
			break;
		in_top[plan] = true;
		is_sorted &= i == 0 || overall_of(root, i - 1) >= overall_of(root, i);
		good &= overall_of(root, i) == by_hand(world, -1, 1, plan, 'u');
		for (int day = 0; day < DAYS; day++)
			good &= value_at(root, i, (size_t)day) == by_hand(world, day, 1, plan, 'u');
	}
	for (size_t r = 0; r < EVENTS; r++) {
		if (world->rows[r].event != 1 || in_top[world->rows[r].plan])
			continue;
		others += !seen[world->rows[r].user];
		seen[world->rows[r].user] = true;
	}
	OK(tap, is_sorted && good, "their users per day and in all");
	OK(tap, overall_of(root, 5) == others, "the rest is a union: %g", others);
	buf_close(&out);
}

static void test_ranges(struct tap *tap, struct world *world, struct json_reader *reader)
{
	static const char question[] =
		"{\"from\":\"2026-03-01\",\"to\":\"2026-03-10\",\"measures\":["
		"{\"event\":\"Buy\"}],\"breakdown\":{\"prop\":\"price\"}}";
	struct question_error error;
	struct buf out = { 0 };
	yyjson_val *root = ask(world, reader, question, &out, &error);
	double all = 0;

	for (size_t i = 0; root && i < yyjson_arr_size(json_get(root, "series")); i++)
		all += overall_of(root, i);
	OK(tap, root && yyjson_arr_size(json_get(root, "series")) == 11,
	   "ten ranges and not set: %zu", yyjson_arr_size(json_get(root, "series")));
	OK(tap, all == by_hand(world, -1, 1, -1, 't'), "which sum up");
	buf_close(&out);
}

/* Questions that are answered in different ways, and alike: totals from counts per quarter of an
 * hour, rows or persons; funnels from rows or persons. */
#define NO_OP "\"where\":{\"not\":{\"prop\":\"nope\",\"op\":\"is\",\"values\":[\"x\"]}}"
#define MARCH "\"from\":\"2026-03-01\",\"to\":\"2026-03-10\""
#define STEPS "\"steps\":[{\"event\":\"View\"},{\"event\":\"Buy\"},{\"event\":\"View\"}]"

static const struct {
	measure_answer_fn *answer;
	const char *member;             /* compared */
	const char *a, *b;              /* with a zone and a unit */
} ways[] = {
	{ measure_trend, "series", "{" MARCH ",\"measures\":[{\"event\":\"*\"}]",
	  "{" MARCH "," NO_OP ",\"measures\":[{\"event\":\"*\"}]" },
	{ measure_trend, "series", "{" MARCH ",\"top\":2", "{" MARCH ",\"top\":2," NO_OP },
	{ measure_trend, "series", "{\"from\":\"2026-03-02T10:07:09Z\",\"to\":"
	  "\"2026-03-09T00:15:00Z\",\"measures\":[{\"event\":\"Buy\"}]",
	  "{\"from\":\"2026-03-02T10:07:09Z\",\"to\":\"2026-03-09T00:15:00Z\"," NO_OP
	  ",\"measures\":[{\"event\":\"Buy\"}]" },
	{ measure_funnel, "steps", "{" MARCH "," STEPS, "{" MARCH "," STEPS ",\"trend\":\"day\"" },
	{ measure_funnel, "steps", "{" MARCH "," STEPS "," NO_OP,
	  "{" MARCH "," STEPS ",\"trend\":\"day\"" },
	{ measure_funnel, "people", "{" MARCH "," STEPS ",\"people\":{\"step\":2,\"dropped\":true}",
	  "{" MARCH "," STEPS ",\"trend\":\"day\",\"people\":{\"step\":2,\"dropped\":true}" },
};

static bool is_alike(struct world *world, struct json_reader *reader, size_t i, const char *more)
{
	struct question_error error;
	struct buf out = { 0 }, question = { 0 };
	char *texts[2] = { NULL };
	bool alike;

	for (int k = 0; k < 2; k++) {
		yyjson_val *root;

		buf_reset(&question);
		buf_append_text(&question, k ? ways[i].b : ways[i].a);
		buf_append_text(&question, more);
		buf_append_char(&question, '\0');
		root = ask_by(ways[i].answer, world, reader, question.ptr, &out, &error);
		if (root && json_get(root, ways[i].member))
			texts[k] = yyjson_val_write(json_get(root, ways[i].member), 0, NULL);
		else
			printf("# %s: %s %s\n", question.ptr, error.at, error.message);
	}
	alike = texts[0] && texts[1] && strcmp(texts[0], texts[1]) == 0;
	free(texts[0]);
	free(texts[1]);
	buf_close(&out);
	buf_close(&question);
	return alike;
}

/* The days of these zones begin at odd quarters, and New York's clocks are changed on the 8th. */
static void test_ways(struct tap *tap, struct world *world, struct json_reader *reader,
		      const char *when)
{
	static const char *const of_trends[] = {
		"}", ",\"zone\":\"Asia/Kathmandu\",\"unit\":\"hour\"}",
		",\"zone\":\"America/New_York\"}", ",\"zone\":\"Australia/Eucla\"}",
		",\"zone\":\"Africa/Monrovia\",\"unit\":\"week\"}",
	};
	static const char *const of_funnels[] = {
		"}", ",\"window\":{\"n\":2,\"unit\":\"hour\"}}",
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		bool is_trend = ways[i].answer == measure_trend, alike = true;

		for (size_t z = 0; z < (is_trend ? 5 : 2); z++)
			alike &= is_alike(world, reader, i, is_trend ? of_trends[z]
								     : of_funnels[z]);
		OK(tap, alike, "%s: two ways, one answer: %s", when, ways[i].a);
	}
}

/* Unique users are counted by rows, those of each day (dau) in order. */
static void test_unique(struct tap *tap, struct world *world, struct json_reader *reader,
			const char *when)
{
	static const char question[] =
		"{" MARCH ",\"measures\":[{\"event\":\"Buy\",\"measure\":\"unique\"}]}";
	static const char other[] =
		"{" MARCH ",\"measures\":[{\"event\":\"Buy\",\"measure\":\"dau\"}]}";
	struct question_error error;
	struct buf out = { 0 };
	double rows[DAYS];
	bool alike = true;
	yyjson_val *root = ask(world, reader, question, &out, &error);

	for (size_t day = 0; day < DAYS; day++)
		rows[day] = value_at(root, 0, day);
	root = ask(world, reader, other, &out, &error);
	for (size_t day = 0; day < DAYS; day++)
		alike &= rows[day] > 0 && value_at(root, 0, day) == rows[day];
	OK(tap, alike, "%s: unique users by rows and by persons", when);
	buf_close(&out);
}

/* Deletes leave rows in files that do not count. */
static bool forget(struct world *world)
{
	struct column_gone gone[20];
	struct err err = { "" };
	int rc;

	/* Half of them altogether, half until a moment. */
	for (uint32_t u = 0; u < 20; u++)
		gone[u] = (struct column_gone){
			.actor = actor_of(world->store, u * 7, u % 2),
			.until_us = u < 10 ? INT64_MAX : world->start_us + DAYS / 2 * DAY };
	store_change_begin(world->store);
	rc = store_forget(world->store, gone, 20, &err);
	return rc == 0 && store_change_end(world->store, &err) == 0;
}

static const struct {
	const char *question, *at, *said;
} bad[] = {
	{ "{\"measure\":1}", "/measure", "unknown" },
	{ "{\"measures\":[{\"event\":\"A\",\"measure\":\"mode\"}]}", "/measures/0/measure",
	  "one of" },
	{ "{\"measures\":[{\"event\":\"A\",\"measure\":\"sum\"}]}", "/measures/0/prop", "needs" },
	{ "{\"measures\":[{\"event\":\"A\",\"where\":{\"prop\":\"x\",\"op\":\"like\"}}]}",
	  "/measures/0/where/op", "operator" },
	{ "{\"where\":{\"and\":[{\"prop\":\"x\",\"op\":\"matches\",\"values\":[\"(\"]}]}}",
	  "/where/and/0/values/0", "regular" },
	{ "{\"from\":\"2026-03-10\",\"to\":\"2026-03-01\"}", "/to", "not after" },
	{ "{\"from\":\"1960-01-01\"}", "/from", "1971" },
	{ "{\"from\":\"2026-02-30\"}", "/from", "date" },
	{ "{\"zone\":\"Mars\"}", "/zone", "time zone" },
	{ "{\"unit\":\"minute\",\"last\":{\"n\":30,\"unit\":\"day\"}}", "/unit", "buckets" },
	{ "{\"formula\":\"A/C\",\"measures\":[{\"event\":\"A\"}]}", "/formula", "measure C" },
	{ "{\"breakdown\":[{\"prop\":\"\"}]}", "/breakdown/0/prop", "text" },
	{ "{\"where\":{\"in_cohort\":\"x\"}}", "/where/in_cohort", "saved query" },
};

static void test_bad(struct tap *tap, struct world *world, struct json_reader *reader)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct question_error error;
		struct buf out = { 0 };

		OK(tap, !ask(world, reader, bad[i].question, &out, &error) && error.status == 400 &&
		   strcmp(error.at, bad[i].at) == 0 && strstr(error.message, bad[i].said),
		   "%s: %s %s", bad[i].question, error.at, error.message);
		buf_close(&out);
	}
}

static const struct {
	const char *name;
	measure_answer_fn *answer;
	const char *question;
} threaded[] = {
	{ "trend", measure_trend, "{\"measures\":[{\"event\":\"*\",\"measure\":\"unique\"},"
	  "{\"event\":\"Buy\",\"measure\":\"median\",\"prop\":\"price\"},{\"event\":\"Buy\"}],"
	  "\"breakdown\":[{\"prop\":\"plan\"}]," },
	{ "trend in ranges", measure_trend, "{\"breakdown\":{\"prop\":\"price\"},\"measures\":"
	  "[{\"event\":\"*\",\"measure\":\"sessions\"},{\"event\":\"*\",\"measure\":\"mau\"}]," },
	{ "funnel", measure_funnel, "{\"steps\":[{\"event\":\"View\"},{\"event\":\"Buy\"}]," },
	{ "funnel by plan", measure_funnel, "{\"steps\":[{\"event\":\"View\"},{\"event\":\"Buy\"}],"
	  "\"breakdown\":{\"prop\":\"plan\"},\"trend\":\"day\",\"people\":{\"step\":1}," },
	{ "retention", measure_retention, "{\"start\":{\"event\":\"View\"},\"return\":"
	  "{\"event\":\"Buy\"},\"unit\":\"day\",\"periods\":5," },
	{ "lifecycle", measure_lifecycle, "{\"event\":\"Buy\"," },
	{ "stickiness", measure_stickiness, "{\"event\":\"Buy\"," },
	{ "sessions", measure_sessions, "{\"event\":\"Buy\"," },
	{ "paths", measure_paths, "{\"start\":{\"event\":\"View\"}," },
	{ "people", measure_people, "{\"query\":{\"did\":\"Buy\"},\"limit\":7,\"sort\":\"$id\"" },
	{ "values", measure_names, "{\"kind\":\"values\",\"prop\":\"plan\"" },
};

static void compare_threads(struct tap *tap, struct world *world, struct json_reader *reader,
			    const char *cores)
{
	struct question_error error = { 0 };
	struct buf one = { 0 }, many = { 0 };
	char question[600];

	for (size_t i = 0; i < sizeof(threaded) / sizeof(threaded[0]); i++) {
		const char *text = threaded[i].question;
		bool has_range = text[strlen(text) - 1] == ',', same = true;

		snprintf(question, sizeof(question), "%s%s}", text, has_range ?
			 "\"from\":\"2026-03-02\",\"to\":\"2026-03-09\"" : "");
		ask_with(1, threaded[i].answer, world, reader, question, &one, &error);
		OK(tap, !error.status && one.len > 20, "%s: %s", threaded[i].name, error.message);
		for (int threads = 2; threads <= 7; threads++) {
			ask_with(threads, threaded[i].answer, world, reader, question, &many,
				 &error);
			same &= !error.status && slice_eq(buf_slice(&one), buf_slice(&many));
		}
		OK(tap, same, "says the same with 2 to 7 threads on %s", cores);
	}
	buf_close(&one);
	buf_close(&many);
}

/* A scan has no more threads than it has chunks of actors. */
static bool add_idle(struct world *world)
{
	bool good = true;

	store_change_begin(world->store);
	for (uint32_t i = 0; i < 7 * SCAN_CHUNK; i++)
		good &= actor_of(world->store, 1000000 + i, false) != 0;
	return store_change_end(world->store, NULL) == 0 && good;
}

/* On one core a thread often begins when another is done: what that folded is not its own. */
static void test_threads(struct tap *tap, struct world *world, struct json_reader *reader)
{
	cpu_set_t before, single;

	OK(tap, add_idle(world), "enough actors for seven threads");
	compare_threads(tap, world, reader, "all cores");
	CPU_ZERO(&single);
	CPU_SET(sched_getcpu(), &single);
	OK(tap, sched_getaffinity(0, sizeof(before), &before) == 0 &&
	   sched_setaffinity(0, sizeof(single), &single) == 0, "one core");
	compare_threads(tap, world, reader, "one core");
	OK(tap, sched_setaffinity(0, sizeof(before), &before) == 0, "and all again");
}

/* What a store leaves is files. */
static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

int main(void)
{
	struct tap tap = { 0 };
	struct world *world = calloc(1, sizeof(*world));
	struct json_reader *reader = NULL;
	int64_t offsets[BUS_PARTITIONS_MAX] = { 0 };
	char dir[4096];
	struct store_conf conf = { .dir = dir };
	struct err err = { "" };

	snprintf(dir, sizeof(dir), "%s/aggregate-trend-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!world || !mkdtemp(dir) || json_open(&reader, NULL) < 0)
		return 1;
	world->seed = 20261124;
	printf("# seed %llu\n", (unsigned long long)world->seed);
	if (when_parse(SLICE("2026-03-01T00:00:00Z"), &world->start_us) < 0)
		return 1;
	OK(&tap, store_open(&world->store, &conf, offsets, &err) == 0, "a store: %s", err.text);
	if (OK(&tap, fill(world) == 0, "%d events of %d users", EVENTS, USERS)) {
		test_plain(&tap, world, reader);
		test_segments(&tap, world, reader);
		test_ranges(&tap, world, reader);
		test_bad(&tap, world, reader);
		test_ways(&tap, world, reader, "all");
		test_unique(&tap, world, reader, "all");
		test_threads(&tap, world, reader);
		OK(&tap, forget(world), "some are forgotten");
		test_ways(&tap, world, reader, "deleted");
		test_unique(&tap, world, reader, "deleted");
	}
	store_close(world->store);
	remove_dir(dir);
	json_close(reader);
	free(world);
	return tap_end(&tap);
}
