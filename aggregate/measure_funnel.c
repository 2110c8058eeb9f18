// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "aggregate/funnel_count.h"
#include "aggregate/measure.h"

static void write_real(struct buf *out, double real)
{
	struct prop prop = { .kind = PROP_NUMBER, .number = real };

	prop_write_json(&prop, out);
}

/* The part of a whole; null where there is no whole. */
static void write_share(struct buf *out, const char *name, uint64_t part, uint64_t whole)
{
	buf_printf(out, ",\"%s\":", name);
	if (whole == 0)
		buf_append_text(out, "null");
	else
		write_real(out, (double)part / (double)whole);
}

static void write_steps(struct buf *out, const struct funnel_ask *ask,
			struct funnel_cell *cell)
{
	buf_append_text(out, "\"steps\":[");
	for (int k = 0; k < ask->conf.steps; k++) {
		buf_append_text(out, k ? ",{\"event\":" : "{\"event\":");
		json_write_text(slice_from(ask->labels[k]), out);
		buf_printf(out, ",\"count\":%llu", (unsigned long long)cell->counts[k]);
		write_share(out, "share", cell->counts[k], cell->counts[0]);
		write_share(out, "from_previous", cell->counts[k], cell->counts[k ? k - 1 : 0]);
		durations_write(&cell->previous[k], "mean_ms", "median_ms", out);
		durations_write(&cell->start[k], "from_start_mean_ms", "from_start_median_ms",
				out);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
}

/* The step that loses the largest part of those who came to the one before it; the first of
 * equals. */
static void write_worst(struct buf *out, const struct funnel_ask *ask,
			const struct funnel_cell *cell)
{
	double least = 1;
	int worst = 0;

	for (int k = 1; k < ask->conf.steps; k++) {
		double part;

		if (cell->counts[k - 1] == 0)
			break;
		part = (double)cell->counts[k] / (double)cell->counts[k - 1];
		if (part < least) {
			least = part;
			worst = k + 1;
		}
	}
	if (worst)
		buf_printf(out, ",\"worst\":%d", worst);
	else
		buf_append_text(out, ",\"worst\":null");
}

static void write_conversion(struct buf *out, const struct funnel_ask *ask,
			     struct funnel_cell *cell)
{
	struct durations *times = &cell->start[ask->conf.steps - 1];

	buf_printf(out, ",\"times\":{\"count\":%zu", times->count);
	durations_write(times, "mean_ms", "median_ms", out);
	buf_append_text(out, ",\"bins\":");
	durations_write_bins(times, out);
	buf_append_char(out, '}');
}

static void write_segment_name(struct buf *out, const struct funnel_segments *segments, size_t i)
{
	struct buf name = { .limit = PROP_TEXT_MAX * 4 };

	if (i == segments->count)
		buf_append_text(&name, "$other");
	else
		ranges_write(&segments->ranges, segments->prop, segments->numbers[i], &name);
	json_write_text(buf_slice(&name), out);
	buf_close(&name);
}

static void write_segments(struct buf *out, const struct funnel_ask *ask,
			   const struct funnel_result *result)
{
	const struct funnel_segments *segments = &result->segments;

	buf_append_text(out, ",\"segments\":[");
	for (size_t i = 0; i < segments->count + segments->has_rest; i++) {
		buf_append_text(out, i ? ",{\"segment\":" : "{\"segment\":");
		write_segment_name(out, segments, i);
		buf_append_char(out, ',');
		write_steps(out, ask, &result->tally.cells[1 + i]);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
}

static void write_trend(struct buf *out, const struct funnel_ask *ask,
			const struct funnel_result *result, int64_t now_us)
{
	buf_append_text(out, ",\"trend\":[");
	for (size_t i = 0; i < result->tally.bucket_count; i++) {
		const struct funnel_bucket *bucket = &result->tally.buckets[i];
		int64_t end = result->bounds[i + 1];
		bool is_open = __builtin_add_overflow(end, ask->conf.window_us, &end) ||
			       end > now_us;

		buf_append_text(out, i ? ",{\"bucket\":\"" : "{\"bucket\":\"");
		zone_print(ask->range.zone, ask->trend, result->bounds[i], out);
		buf_printf(out, "\",\"entered\":%llu,\"converted\":%llu",
			   (unsigned long long)bucket->entered,
			   (unsigned long long)bucket->converted);
		write_share(out, "share", bucket->converted, bucket->entered);
		/* Somebody of it may still convert. */
		buf_printf(out, ",\"incomplete\":%s}", is_open ? "true" : "false");
	}
	buf_append_char(out, ']');
}

static int compare_leaders(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void write_people(struct buf *out, const struct funnel_ask *ask,
			 struct funnel_tally *tally, const struct persons *persons)
{
	if (tally->person_count > 0)
		qsort(tally->people, tally->person_count, sizeof(*tally->people),
		      compare_leaders);
	buf_printf(out, ",\"people\":{\"step\":%d,\"dropped\":%s,\"total\":%zu,\"people\":[",
		   ask->people_step, ask->people_dropped ? "true" : "false",
		   tally->person_count);
	for (size_t i = 0; i < tally->person_count && i < (size_t)ask->people_limit; i++) {
		uint32_t actor = persons_canonical(persons, tally->people[i]);
		char kind;

		buf_append_text(out, i ? ",{\"id\":" : "{\"id\":");
		json_write_text(persons_id(persons, actor, &kind), out);
		buf_append_char(out, '}');
	}
	buf_append_text(out, "]}");
}

static int write_answer(struct buf *out, const struct measure_world *world,
			const struct funnel_ask *ask, struct funnel_result *result)
{
	struct funnel_cell *overall = &result->tally.cells[0];

	write_steps(out, ask, overall);
	write_worst(out, ask, overall);
	write_conversion(out, ask, overall);
	if (ask->breakdown.ptr) {
		write_segments(out, ask, result);
		buf_printf(out, ",\"property_known\":%s",
			   scan_prop_is_known(result->segments.prop) ? "true" : "false");
	}
	if (ask->has_trend)
		write_trend(out, ask, result, world->now_us);
	if (ask->people_step > 0)
		write_people(out, ask, &result->tally, world->snapshot->persons);
	return out->failed ? -ENOSPC : 0;
}

int measure_funnel(struct measure_world *world, yyjson_val *question, struct buf *out,
		   struct question_error *error)
{
	struct predicate_world predicates = measure_predicates(world, NULL);
	struct scan_conf scan = { .snapshot = world->snapshot, .threads = world->threads,
				  .cancel = world->cancel, .deadline_ms = world->deadline_ms,
				  .memory_max = world->memory_max };
	struct funnel_result result = { .bounds = NULL };
	struct funnel_ask ask;
	int rc = funnel_ask_parse(&ask, question, &predicates, error);

	if (rc == 0) {
		rc = funnel_count_run(&result, &ask, &scan);
		world->scanned += atomic_load(&scan.scanned);
		if (rc == 0)
			rc = write_answer(out, world, &ask, &result);
		if (rc < 0)
			rc = question_fail_scan(error, rc);
	}
	funnel_count_close(&result);
	funnel_ask_close(&ask);
	return rc;
}
