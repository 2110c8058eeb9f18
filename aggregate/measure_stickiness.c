// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "aggregate/activity.h"

struct tally {
	const struct calendar *calendar;
	uint64_t *counts;               /* [k - 1]: persons active in exactly k units */
};

static int begin(void *ctx, int thread, void **statep)
{
	const struct tally *total = ctx;
	struct tally *tally = calloc(1, sizeof(*tally));

	(void)thread;
	*statep = tally;
	if (!tally)
		return -ENOMEM;
	tally->calendar = total->calendar;
	tally->counts = calloc((size_t)total->calendar->count + 1, sizeof(*tally->counts));
	return tally->counts ? 0 : -ENOMEM;
}

static int fold(void *ctx, void *state)
{
	struct tally *total = ctx, *tally = state;

	if (tally && tally->counts)
		for (int i = 0; i < total->calendar->count; i++)
			total->counts[i] += tally->counts[i];
	if (tally)
		free(tally->counts);
	free(tally);
	return 0;
}

static int take(void *state, const struct scan_person *person)
{
	struct tally *tally = state;
	int hint = 0, last = -1, active = 0;

	if (person->leader == PERSON_NOBODY)
		return 0;
	for (uint32_t i = 0; i < person->count; i++) {
		int bucket = calendar_bucket(tally->calendar, person->events[i].time_us, &hint);

		active += bucket != last;
		last = bucket;
	}
	if (active > 0)
		tally->counts[active - 1]++;
	return 0;
}

static const struct scan_ops ops = { .begin = begin, .take = take, .fold = fold };

/* at_least: [k] becomes the persons of k and more units. */
static void write(const struct activity *activity, struct tally *total, bool at_least,
		  int64_t through_us, struct buf *out)
{
	int count = activity->calendar.count;
	uint64_t persons = 0;

	for (int i = 0; i < count; i++)
		persons += total->counts[i];
	for (int i = count - 2; at_least && i >= 0; i--)
		total->counts[i] += total->counts[i + 1];
	calendar_write(&activity->calendar, out);
	buf_append_text(out, ",\"intervals\":[");
	for (int i = 0; i < count; i++)
		buf_printf(out, "%s%d", i ? "," : "", i + 1);
	buf_append_text(out, "],\"values\":[");
	for (int i = 0; i < count; i++)
		buf_printf(out, "%s%llu", i ? "," : "", (unsigned long long)total->counts[i]);
	buf_printf(out, "],\"total\":%llu", (unsigned long long)persons);
	buf_printf(out, ",\"incomplete\":%s", activity->calendar.bounds[count] > through_us ?
		   "true" : "false");
}

int measure_stickiness(struct measure_world *world, yyjson_val *question, struct buf *out,
		       struct question_error *error)
{
	static const char *const KNOWN[] = {
		"event", "where", "unit", "mode", "from", "to", "last", "zone",
		"week_start", "source", NULL
	};
	static const char *const MODES[] = { "exactly", "at_least", NULL };
	struct activity activity;
	struct tally total = { .counts = NULL };
	int mode = 0;
	int rc = activity_parse(&activity, question, KNOWN, world, error);

	if (rc == 0)
		rc = question_word(question, "mode", "", MODES, &mode, error);
	if (rc == 0) {
		total.calendar = &activity.calendar;
		total.counts = calloc((size_t)activity.calendar.count + 1,
				      sizeof(*total.counts));
		rc = total.counts ? activity_scan(&activity, activity.calendar.bounds[0], world,
						  &ops, &total, error) :
				    question_fail_scan(error, -ENOMEM);
	}
	if (rc == 0)
		write(&activity, &total, mode == 1, world->complete_through_us, out);
	free(total.counts);
	activity_close(&activity);
	return rc;
}
