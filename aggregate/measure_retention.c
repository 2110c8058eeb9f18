// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "aggregate/calendar.h"
#include "aggregate/measure.h"
#include "aggregate/pick.h"

#define PERIODS_MAX 366
#define CELLS_MAX   2000000
#define DAY_US      (INT64_C(24) * 3600 * 1000000)

enum { START = 1, RETURN = 2 };
enum kind { RECURRING, FIRST_TIME, FIRST_EVER };

struct ask {
	struct question_range range;
	struct predicate *where;
	struct pick start, back;
	struct calendar calendar;
	enum zone_unit unit;
	int64_t periods;
	int kind;
	bool on_or_after, is_rolling;
	int64_t width_us;               /* of a rolling period */
};

/* A person's entries: the bucket and the first start event in it. */
struct entry {
	int cohort;
	int64_t time_us;
};

struct tally {
	const struct ask *ask;
	uint64_t *sizes;                /* [cohort] */
	uint64_t *values;               /* [cohort * periods + k] */
	struct entry *entries;          /* scratch, one per cohort at most */
};

static int begin(void *ctx, int thread, void **statep)
{
	const struct tally *total = ctx;
	struct tally *tally = calloc(1, sizeof(*tally));
	size_t cohorts = (size_t)total->ask->calendar.count;

	(void)thread;
	*statep = tally;
	if (!tally)
		return -ENOMEM;
	tally->ask = total->ask;
	tally->sizes = calloc(cohorts + 1, sizeof(*tally->sizes));
	tally->values = calloc(cohorts * (size_t)total->ask->periods + 1,
			       sizeof(*tally->values));
	tally->entries = calloc(cohorts + 1, sizeof(*tally->entries));
	return tally->sizes && tally->values && tally->entries ? 0 : -ENOMEM;
}

static int fold(void *ctx, void *state)
{
	struct tally *total = ctx, *tally = state;
	size_t cohorts = (size_t)total->ask->calendar.count;

	if (tally && tally->sizes && tally->values) {
		for (size_t i = 0; i < cohorts; i++)
			total->sizes[i] += tally->sizes[i];
		for (size_t i = 0; i < cohorts * (size_t)total->ask->periods; i++)
			total->values[i] += tally->values[i];
	}
	if (tally) {
		free(tally->sizes);
		free(tally->values);
		free(tally->entries);
	}
	free(tally);
	return 0;
}

/* Which cohorts the person is in: every unit with a start, or that of the first one only. */
static size_t find_entries(struct tally *tally, const struct scan_person *person)
{
	const struct ask *ask = tally->ask;
	size_t count = 0;
	int hint = 0;

	for (uint32_t i = 0; i < person->count; i++) {
		int64_t t = person->events[i].time_us;
		int cohort;

		if (!(person->events[i].match & START))
			continue;
		if (ask->kind != RECURRING && count > 0)
			break;
		if (t < ask->range.from_us || t >= ask->range.to_us) {
			if (ask->kind == FIRST_EVER)
				break;  /* the first of all is not in range */
			continue;
		}
		cohort = calendar_bucket(&ask->calendar, t, &hint);
		if (count > 0 && tally->entries[count - 1].cohort == cohort)
			continue;
		tally->entries[count++] = (struct entry){ cohort, t };
	}
	return count;
}

/* The period of a return for an entry, or -1: before it. */
static int64_t period_of(const struct ask *ask, const struct entry *entry, int64_t t, int bucket)
{
	if (t < entry->time_us)
		return -1;
	return ask->is_rolling ? (t - entry->time_us) / ask->width_us : bucket - entry->cohort;
}

static void count_returns(struct tally *tally, const struct entry *entry,
			  const struct scan_person *person)
{
	const struct ask *ask = tally->ask;
	uint64_t *values = tally->values + (size_t)entry->cohort * (size_t)ask->periods;
	int64_t last = -1;
	int hint = entry->cohort;

	for (uint32_t i = 0; i < person->count; i++) {
		int64_t t = person->events[i].time_us, period;

		if (!(person->events[i].match & RETURN) || t < entry->time_us)
			continue;
		period = period_of(ask, entry, t, calendar_bucket(&ask->calendar, t, &hint));
		if (period == last)
			continue;
		if (!ask->on_or_after && period >= ask->periods)
			break;
		last = period;
		if (!ask->on_or_after)
			values[period]++;
	}
	if (ask->on_or_after)
		for (int64_t k = 0; k <= last && k < ask->periods; k++)
			values[k]++;
}

static int take(void *state, const struct scan_person *person)
{
	struct tally *tally = state;
	size_t count;

	if (person->leader == PERSON_NOBODY)
		return 0;
	count = find_entries(tally, person);
	for (size_t i = 0; i < count; i++) {
		tally->sizes[tally->entries[i].cohort]++;
		count_returns(tally, &tally->entries[i], person);
	}
	return 0;
}

static const struct scan_ops ops = { .begin = begin, .take = take, .fold = fold };

static int parse_events(struct ask *ask, yyjson_val *root, const struct predicate_world *world,
			struct question_error *error)
{
	static const char *const KNOWN[] = { "event", "where", NULL };
	int rc = pick_parse(&ask->start, json_get(root, "start"), "/start", KNOWN, world, error);

	return rc == 0 ? pick_parse(&ask->back, json_get(root, "return"), "/return", KNOWN, world,
				    error) : rc;
}

static int parse(struct ask *ask, yyjson_val *root, const struct measure_world *world,
		 struct question_error *error)
{
	static const char *const KNOWN[] = {
		"start", "return", "unit", "periods", "kind", "mode", "clock", "from", "to",
		"last", "zone", "week_start", "where", "source", NULL
	};
	static const char *const KINDS[] = { "recurring", "first_time", "first_ever", NULL };
	static const char *const MODES[] = { "on", "on_or_after", NULL };
	static const char *const CLOCKS[] = { "calendar", "rolling", NULL };
	static const char *const UNITS[] = { "day", "week", "month", NULL };
	static const int64_t WIDTHS[] = { DAY_US, 7 * DAY_US, 30 * DAY_US };
	static const enum zone_unit ZONES[] = { ZONE_DAY, ZONE_WEEK, ZONE_MONTH };
	struct predicate_world predicates = measure_predicates(world, NULL);
	int mode = 0, clock = 0, unit = 0;
	int rc = question_known(root, "", KNOWN, error);

	ask->periods = 11;
	if (rc == 0)
		rc = question_range_parse(&ask->range, root, world->now_us,
					  world->week_start, error);
	predicates.zone = ask->range.zone;
	if (rc == 0)
		rc = predicate_parse_root(&ask->where, root, &predicates, error);
	if (rc == 0)
		rc = parse_events(ask, root, &predicates, error);
	if (rc == 0)
		rc = question_word(root, "unit", "", UNITS, &unit, error);
	if (rc == 0)
		rc = question_count(root, "periods", "", 1, PERIODS_MAX, &ask->periods, error);
	if (rc == 0)
		rc = question_word(root, "kind", "", KINDS, &ask->kind, error);
	if (rc == 0)
		rc = question_word(root, "mode", "", MODES, &mode, error);
	if (rc == 0)
		rc = question_word(root, "clock", "", CLOCKS, &clock, error);
	if (rc < 0)
		return rc;
	ask->on_or_after = mode == 1;
	ask->is_rolling = clock == 1;
	ask->unit = ZONES[unit];
	ask->width_us = WIDTHS[unit];
	rc = calendar_init(&ask->calendar, &ask->range, ask->unit, (int)ask->periods, error);
	if (rc == 0 && ask->calendar.count * ask->periods > CELLS_MAX)
		rc = question_fail(error, "/periods", "too_many",
				   "%d cohorts of %lld periods; at most %d cells in all",
				   ask->calendar.count, (long long)ask->periods, CELLS_MAX);
	return rc;
}

/* When a period ends for the last who can be in the cohort, and begins for the first. */
static int64_t period_end(const struct ask *ask, int cohort, int64_t k)
{
	return ask->is_rolling ? ask->calendar.bounds[cohort + 1] + (k + 1) * ask->width_us :
				 ask->calendar.bounds[cohort + 1 + k];
}

static int64_t period_begin(const struct ask *ask, int cohort, int64_t k)
{
	return ask->is_rolling ? ask->calendar.bounds[cohort] + k * ask->width_us :
				 ask->calendar.bounds[cohort + k];
}

static void write_cohort(struct buf *out, const struct tally *total, int cohort, int64_t now_us)
{
	const struct ask *ask = total->ask;
	const uint64_t *values = total->values + (size_t)cohort * (size_t)ask->periods;

	buf_append_text(out, cohort ? ",{\"bucket\":\"" : "{\"bucket\":\"");
	zone_print(ask->calendar.zone, ask->unit, ask->calendar.bounds[cohort], out);
	buf_printf(out, "\",\"size\":%llu,\"values\":[",
		   (unsigned long long)total->sizes[cohort]);
	for (int64_t k = 0; k < ask->periods; k++) {
		buf_append_text(out, k ? "," : "");
		if (period_begin(ask, cohort, k) > now_us)
			buf_append_text(out, "null");
		else
			buf_printf(out, "%llu", (unsigned long long)values[k]);
	}
	buf_append_text(out, "],\"incomplete\":[");
	for (int64_t k = 0; k < ask->periods; k++)
		buf_printf(out, "%s%s", k ? "," : "",
			   period_end(ask, cohort, k) > now_us ? "true" : "false");
	buf_append_text(out, "]}");
}

/* Weighted by the cohorts' sizes, over complete cells only. */
static void write_average(struct buf *out, const struct tally *total, int64_t now_us)
{
	const struct ask *ask = total->ask;

	buf_append_text(out, ",\"average\":[");
	for (int64_t k = 0; k < ask->periods; k++) {
		uint64_t size = 0, sum = 0;
		struct prop share = { .kind = PROP_NUMBER };

		for (int c = 0; c < ask->calendar.count; c++) {
			if (period_end(ask, c, k) > now_us)
				continue;
			size += total->sizes[c];
			sum += total->values[(size_t)c * (size_t)ask->periods + (size_t)k];
		}
		buf_append_text(out, k ? "," : "");
		if (size == 0) {
			buf_append_text(out, "null");
			continue;
		}
		share.number = (double)sum / (double)size;
		prop_write_json(&share, out);
	}
	buf_append_char(out, ']');
}

static int run(struct ask *ask, struct measure_world *world, struct buf *out,
	       struct question_error *error)
{
	struct scan_selector selectors[2] = {
		pick_selector(&ask->start, ask->where,
			      ask->kind == FIRST_EVER ? INT64_MIN : ask->range.from_us,
			      ask->range.to_us),
		pick_selector(&ask->back, ask->where, ask->range.from_us, INT64_MAX),
	};
	struct scan_conf scan = { .snapshot = world->snapshot, .threads = world->threads,
				  .cancel = world->cancel, .deadline_ms = world->deadline_ms,
				  .memory_max = world->memory_max, .selectors = selectors,
				  .selector_count = 2 };
	size_t cells = (size_t)ask->calendar.count * (size_t)ask->periods;
	struct tally total = { .ask = ask };
	int rc = 0;

	total.sizes = calloc((size_t)ask->calendar.count + 1, sizeof(*total.sizes));
	total.values = calloc(cells + 1, sizeof(*total.values));
	if (!total.sizes || !total.values)
		rc = -ENOMEM;
	if (rc == 0)
		rc = scan_run(&scan, &ops, &total);
	world->scanned += atomic_load(&scan.scanned);
	if (rc == 0) {
		buf_append_text(out, "\"cohorts\":[");
		for (int c = 0; c < ask->calendar.count; c++)
			write_cohort(out, &total, c, world->now_us);
		buf_append_char(out, ']');
		write_average(out, &total, world->now_us);
		rc = out->failed ? -ENOSPC : 0;
	}
	free(total.sizes);
	free(total.values);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}

int measure_retention(struct measure_world *world, yyjson_val *question, struct buf *out,
		      struct question_error *error)
{
	struct ask ask = { .periods = 0 };
	int rc = parse(&ask, question, world, error);

	if (rc == 0)
		rc = run(&ask, world, out, error);
	pick_close(&ask.start);
	pick_close(&ask.back);
	calendar_close(&ask.calendar);
	predicate_close(ask.where);
	question_range_close(&ask.range);
	return rc;
}
