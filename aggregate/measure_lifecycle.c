// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "aggregate/activity.h"

/* New: the first time ever. Returning: in the unit before, too. Resurrecting: earlier, but not in
 * the unit before. Dormant: in the unit before, not in this one; told as a negative number. */
enum { NEW, RETURNING, RESURRECTING, DORMANT, KINDS };

static const char *const NAMES[KINDS] = { "new", "returning", "resurrecting", "dormant" };

struct tally {
	const struct calendar *calendar;
	int64_t before_us;              /* where the unit before the first begins */
	int64_t *counts;                /* [kind * buckets + bucket] */
};

static int begin(void *ctx, int thread, void **statep)
{
	const struct tally *total = ctx;
	struct tally *tally = calloc(1, sizeof(*tally));

	(void)thread;
	*statep = tally;
	if (!tally)
		return -ENOMEM;
	*tally = *total;
	tally->counts = calloc((size_t)total->calendar->count * KINDS + 1, sizeof(int64_t));
	return tally->counts ? 0 : -ENOMEM;
}

static int fold(void *ctx, void *state)
{
	struct tally *total = ctx, *tally = state;

	if (tally && tally->counts)
		for (int i = 0; i < total->calendar->count * KINDS; i++)
			total->counts[i] += tally->counts[i];
	if (tally)
		free(tally->counts);
	free(tally);
	return 0;
}

static int take(void *state, const struct scan_person *person)
{
	struct tally *tally = state;
	int buckets = tally->calendar->count, hint = 0;
	int last = -2;                  /* the latest active unit; -1: the one before the range */
	bool was_there = false;

	if (person->leader == PERSON_NOBODY)
		return 0;
	for (uint32_t i = 0; i < person->count; i++) {
		int64_t t = person->events[i].time_us;
		int bucket = calendar_bucket(tally->calendar, t, &hint), kind;

		if (bucket < 0) {
			was_there = true;
			last = t >= tally->before_us ? -1 : -2;
			continue;
		}
		if (bucket == last)
			continue;
		if (last >= -1 && last + 1 < bucket)
			tally->counts[DORMANT * buckets + last + 1]--;
		kind = !was_there ? NEW : last == bucket - 1 ? RETURNING : RESURRECTING;
		tally->counts[kind * buckets + bucket]++;
		was_there = true;
		last = bucket;
	}
	if (last >= -1 && last + 1 < buckets)
		tally->counts[DORMANT * buckets + last + 1]--;
	return 0;
}

static const struct scan_ops ops = { .begin = begin, .take = take, .fold = fold };

int measure_lifecycle(struct measure_world *world, yyjson_val *question, struct buf *out,
		      struct question_error *error)
{
	static const char *const KNOWN[] = {
		"event", "where", "unit", "from", "to", "last", "zone", "week_start",
		"source", NULL
	};
	struct activity activity;
	struct tally total = { .counts = NULL };
	int rc = activity_parse(&activity, question, KNOWN, world, error);
	const struct calendar *calendar = &activity.calendar;

	if (rc == 0) {
		total.calendar = calendar;
		total.before_us = zone_add(calendar->zone, calendar->unit, calendar->bounds[0],
					   -1);
		total.counts = calloc((size_t)calendar->count * KINDS + 1, sizeof(int64_t));
		rc = total.counts ? activity_scan(&activity, INT64_MIN, world, &ops, &total,
						  error) :
				    question_fail_scan(error, -ENOMEM);
	}
	if (rc == 0) {
		calendar_write(calendar, out);
		buf_append_text(out, ",\"series\":[");
		for (int kind = 0; kind < KINDS; kind++) {
			buf_printf(out, "%s{\"name\":\"%s\",\"values\":[", kind ? "," : "",
				   NAMES[kind]);
			for (int i = 0; i < calendar->count; i++)
				buf_printf(out, "%s%lld", i ? "," : "",
					   (long long)total.counts[kind * calendar->count + i]);
			buf_append_text(out, "]}");
		}
		buf_append_char(out, ']');
		activity_write_incomplete(&activity, world->complete_through_us, out);
	}
	free(total.counts);
	activity_close(&activity);
	return rc;
}
