// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "aggregate/calendar.h"
#include "aggregate/durations.h"
#include "aggregate/measure.h"
#include "aggregate/pick.h"
#include "aggregate/session.h"

/* A session belongs to the bucket that it begins in; it is counted whole, also what of it comes
 * after the range. */
enum { WANTED = 1, ANY = 2 };

struct ask {
	struct question_range range;
	struct predicate *where;
	struct pick pick;
	bool has_pick;                  /* only sessions with such an event */
	struct session_rule rule;
	struct calendar calendar;
};

struct bucket {
	uint64_t sessions, events, bounced;     /* bounced: of one event */
	struct durations durations;
};

struct tally {
	const struct ask *ask;
	struct scan_conf *scan;
	struct bucket *buckets;         /* [calendar.count]; the last one more: all together */
	uint64_t persons;
};

static void close_tally(struct tally *tally)
{
	if (!tally)
		return;
	for (int i = 0; tally->buckets && i <= tally->ask->calendar.count; i++)
		durations_close(&tally->buckets[i].durations);
	free(tally->buckets);
	free(tally);
}

static struct tally *open_tally(const struct ask *ask, struct scan_conf *scan)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	tally->ask = ask;
	tally->scan = scan;
	tally->buckets = calloc((size_t)ask->calendar.count + 1, sizeof(*tally->buckets));
	if (tally->buckets)
		return tally;
	free(tally);
	return NULL;
}

static int begin(void *ctx, int thread, void **statep)
{
	const struct tally *total = ctx;

	(void)thread;
	*statep = open_tally(total->ask, total->scan);
	return *statep ? 0 : -ENOMEM;
}

static int fold(void *ctx, void *state)
{
	struct tally *total = ctx, *tally = state;
	int rc = 0;

	for (int i = 0; tally && i < total->ask->calendar.count && rc == 0; i++) {
		struct bucket *into = &total->buckets[i];
		const struct bucket *from = &tally->buckets[i];

		into->sessions += from->sessions;
		into->events += from->events;
		into->bounced += from->bounced;
		rc = durations_fold(&into->durations, total->scan, &from->durations);
	}
	if (tally)
		total->persons += tally->persons;
	close_tally(tally);
	return rc;
}

/* One session: events [first, end). 1: it counts. */
static int add_session(struct tally *tally, const struct scan_event *events, uint32_t first,
		       uint32_t end, int *hint)
{
	const struct ask *ask = tally->ask;
	int64_t start = events[first].time_us;
	struct bucket *bucket;
	bool is_wanted = !ask->has_pick;
	int rc;

	if (start < ask->range.from_us || start >= ask->range.to_us)
		return 0;
	for (uint32_t i = first; i < end && !is_wanted; i++)
		is_wanted = events[i].match & WANTED;
	if (!is_wanted)
		return 0;
	bucket = &tally->buckets[calendar_bucket(&ask->calendar, start, hint)];
	bucket->sessions++;
	bucket->events += end - first;
	bucket->bounced += end - first == 1;
	rc = durations_add(&bucket->durations, tally->scan, events[end - 1].time_us - start);
	return rc < 0 ? rc : 1;
}

static int take(void *state, const struct scan_person *person)
{
	struct tally *tally = state;
	bool has_one = false;
	int hint = 0;

	if (person->leader == PERSON_NOBODY)
		return 0;
	for (uint32_t i = 0, end; i < person->count; i = end) {
		int rc;

		for (end = i + 1; end < person->count &&
		     !session_begins(&tally->ask->rule, person->events[end - 1].time_us,
				     person->events[end].time_us);)
			end++;
		rc = add_session(tally, person->events, i, end, &hint);
		if (rc < 0)
			return rc;
		has_one = has_one || rc == 1;
	}
	tally->persons += has_one;
	return 0;
}

static const struct scan_ops ops = { .begin = begin, .take = take, .fold = fold };

static int parse(struct ask *ask, yyjson_val *root, const struct measure_world *world,
		 struct question_error *error)
{
	static const char *const KNOWN[] = {
		"event", "unit", "session", "from", "to", "last", "zone", "week_start",
		"where", "source", NULL
	};
	struct predicate_world predicates;
	enum zone_unit unit = ZONE_DAY;
	int rc = question_known(root, "", KNOWN, error);

	if (rc == 0)
		rc = question_range_parse(&ask->range, root, world->now_us,
					  world->week_start, error);
	predicates = measure_predicates(world, ask->range.zone);
	if (rc == 0)
		rc = predicate_parse_root(&ask->where, root, &predicates, error);
	if (rc == 0)
		rc = session_parse(&ask->rule, root, ask->range.zone, error);
	if (rc == 0 && json_get(root, "unit"))
		rc = question_unit(json_get(root, "unit"), "/unit", &unit, error);
	if (rc == 0 && json_get(root, "event")) {
		struct slice event = json_text(root, "event");

		ask->has_pick = !slice_is(event, "*");
		rc = pick_parse_name(&ask->pick, root, "", error);
	}
	return rc == 0 ? calendar_init(&ask->calendar, &ask->range, unit, 0, error) : rc;
}

static void write_series(struct buf *out, struct tally *total, const char *name, int which)
{
	buf_printf(out, ",{\"name\":\"%s\",\"values\":[", name);
	for (int i = 0; i < total->ask->calendar.count; i++) {
		struct bucket *bucket = &total->buckets[i];
		struct prop real = { .kind = PROP_NUMBER };

		buf_append_text(out, i ? "," : "");
		if (which == 0) {
			buf_printf(out, "%llu", (unsigned long long)bucket->bounced);
			continue;
		}
		if (bucket->sessions == 0) {
			buf_append_text(out, "null");
			continue;
		}
		real.number = which == 1 ?
			(double)bucket->events / (double)bucket->sessions :
			durations_mean(&bucket->durations) / 1000;
		prop_write_json(&real, out);
	}
	buf_append_text(out, "]}");
}

static int write(struct buf *out, struct tally *total, int64_t through_us)
{
	const struct calendar *calendar = &total->ask->calendar;
	struct bucket *all = &total->buckets[calendar->count];
	int rc = 0;

	for (int i = 0; i < calendar->count && rc == 0; i++) {
		all->sessions += total->buckets[i].sessions;
		all->events += total->buckets[i].events;
		all->bounced += total->buckets[i].bounced;
		rc = durations_fold(&all->durations, total->scan, &total->buckets[i].durations);
	}
	calendar_write(calendar, out);
	buf_append_text(out, ",\"series\":[{\"name\":\"sessions\",\"values\":[");
	for (int i = 0; i < calendar->count; i++)
		buf_printf(out, "%s%llu", i ? "," : "",
			   (unsigned long long)total->buckets[i].sessions);
	buf_append_text(out, "]}");
	write_series(out, total, "bounced", 0);
	write_series(out, total, "events_per_session", 1);
	write_series(out, total, "mean_ms", 2);
	buf_printf(out, "],\"overall\":{\"sessions\":%llu,\"persons\":%llu,\"events\":%llu,"
		   "\"bounced\":%llu", (unsigned long long)all->sessions,
		   (unsigned long long)total->persons, (unsigned long long)all->events,
		   (unsigned long long)all->bounced);
	durations_write(&all->durations, "mean_ms", "median_ms", out);
	buf_append_text(out, ",\"bins\":");
	durations_write_bins(&all->durations, out);
	buf_append_text(out, "},\"incomplete\":[");
	for (int i = 0; i < calendar->count; i++)
		buf_printf(out, "%s%s", i ? "," : "",
			   calendar->bounds[i + 1] > through_us ? "true" : "false");
	buf_append_char(out, ']');
	return rc == 0 && out->failed ? -ENOSPC : rc;
}

static int run(struct ask *ask, struct measure_world *world, struct buf *out)
{
	int64_t from = ask->range.from_us - ask->rule.timeout_us;
	struct scan_selector selectors[2] = {
		pick_selector(&ask->pick, ask->where, from, INT64_MAX),
		{ .also = ask->where, .from_us = from, .to_us = INT64_MAX },
	};
	struct scan_conf scan = { .snapshot = world->snapshot, .threads = world->threads,
				  .cancel = world->cancel, .deadline_ms = world->deadline_ms,
				  .memory_max = world->memory_max, .selectors = selectors,
				  .selector_count = 2 };
	struct tally *total = open_tally(ask, &scan);
	int rc = total ? scan_run(&scan, &ops, total) : -ENOMEM;

	world->scanned += atomic_load(&scan.scanned);
	if (rc == 0)
		rc = write(out, total, world->complete_through_us);
	close_tally(total);
	return rc;
}

int measure_sessions(struct measure_world *world, yyjson_val *question, struct buf *out,
		     struct question_error *error)
{
	struct ask ask = { .has_pick = false };
	int rc = parse(&ask, question, world, error);

	if (rc == 0) {
		rc = run(&ask, world, out);
		if (rc < 0)
			rc = question_fail_scan(error, rc);
	}
	pick_close(&ask.pick);
	calendar_close(&ask.calendar);
	predicate_close(ask.where);
	question_range_close(&ask.range);
	return rc;
}
