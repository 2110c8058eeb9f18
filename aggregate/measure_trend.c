// SPDX-License-Identifier: Apache-2.0
#include "aggregate/trend.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Ranges and scans */

static int open_days(struct trend_range *range, const struct trend *trend, int back)
{
	const struct zone *zone = trend->range.zone;
	int64_t today = zone_start(zone, ZONE_DAY, range->from_us);
	int64_t first = zone_add(zone, ZONE_DAY, today, -back);
	int count;

	range->days = calloc(QUESTION_BUCKETS_MAX * 8 + 1, sizeof(*range->days));
	if (!range->days)
		return -ENOMEM;
	count = zone_bounds(zone, ZONE_DAY, first, range->to_us, range->days,
			    QUESTION_BUCKETS_MAX * 8);
	if (count < 0)
		return count;
	range->day_count = count;
	while (range->days[range->day_first] < today)
		range->day_first++;
	return 0;
}

int trend_range_open(struct trend_range *range, const struct trend *trend, int64_t from_us,
		     int64_t to_us)
{
	const struct zone *zone = trend->range.zone;
	int back = 0, count, rc = 0;

	*range = (struct trend_range){ .from_us = from_us, .to_us = to_us,
				       .scan_from_us = from_us };
	for (size_t i = 0; i < trend->measure_count; i++)
		if (trend->measures[i].days > back)
			back = trend->measures[i].days;
	range->bounds = calloc(QUESTION_BUCKETS_MAX + 1, sizeof(*range->bounds));
	if (!range->bounds)
		return -ENOMEM;
	if (trend->rolling) {
		/* Whole units, also before the range. */
		range->from_us = zone_start(zone, trend->unit, from_us);
		range->scan_from_us = zone_add(zone, trend->unit, range->from_us,
					       1 - trend->rolling);
	}
	count = zone_bounds(zone, trend->unit, range->scan_from_us, to_us, range->bounds,
			    QUESTION_BUCKETS_MAX);
	if (count < 0)
		rc = count;
	range->buckets = count;
	while (rc == 0 && trend->rolling && range->bounds[range->first] < range->from_us)
		range->first++;
	return rc == 0 && back ? open_days(range, trend, back - 1) : rc;
}

void trend_range_close(struct trend_range *range)
{
	free(range->bounds);
	free(range->days);
}

int trend_charge(const struct trend *trend, size_t bytes)
{
	struct measure_world *world = trend->world;
	size_t charged = atomic_fetch_add_explicit(&world->charged, bytes, memory_order_relaxed);

	return world->memory_max && charged + bytes > world->memory_max ? -ENOSPC : 0;
}

/* A selector per measure; true: sessions are counted. */
static bool set_selectors(const struct trend *trend, const struct trend_range *range,
			  struct scan_selector *selectors)
{
	bool has_sessions = false;

	for (size_t i = 0; i < trend->measure_count; i++) {
		const struct trend_measure *measure = &trend->measures[i];

		selectors[i] = (struct scan_selector){
			.events = &measure->event, .event_count = measure->is_any ? 0 : 1,
			.where = measure->where, .also = trend->where,
			.from_us = measure->days && range->days
				   ? range->days[range->day_first - (measure->days - 1)]
				   : range->scan_from_us,
			.to_us = range->to_us,
		};
		has_sessions |= measure->kind == TREND_SESSIONS;
	}
	return has_sessions;
}

static struct scan_conf scan_conf_of(const struct trend *trend,
				     const struct scan_selector *selectors)
{
	const struct measure_world *world = trend->world;

	return (struct scan_conf){
		.snapshot = world->snapshot, .selectors = selectors,
		.selector_count = trend->measure_count,
		.threads = world->threads, .cancel = world->cancel,
		.deadline_ms = world->deadline_ms, .memory_max = world->memory_max,
	};
}

int trend_scan(struct trend *trend, const struct trend_range *range, bool in_pieces,
	       const struct scan_ops *ops, void *ctx)
{
	struct scan_selector selectors[TREND_MEASURES_MAX + 1] = { 0 };
	struct scan_conf conf = scan_conf_of(trend, selectors);
	bool has_sessions = set_selectors(trend, range, selectors);
	int rc;

	conf.in_pieces = in_pieces;
	/* What a person does next to the events that are counted holds a session together. */
	if (has_sessions && !in_pieces)
		selectors[conf.selector_count++] = (struct scan_selector){
			.from_us = range->scan_from_us, .to_us = range->to_us };
	rc = scan_run(&conf, ops, ctx);
	trend->world->scanned += conf.scanned;
	return rc;
}

/* Does any condition, breakdown or property ask who did it? */
static bool has_profile(const struct trend *trend)
{
	bool has = (trend->where && predicate_has_profile(trend->where)) ||
		   (trend->breakdown && breakdown_has_profile(trend->breakdown));

	for (size_t i = 0; i < trend->measure_count; i++) {
		const struct trend_measure *measure = &trend->measures[i];

		has |= (measure->where && predicate_has_profile(measure->where)) ||
		       (measure->prop && scan_prop_is_of_profile(measure->prop));
	}
	return has;
}

int trend_scan_blocks(struct trend *trend, const struct trend_range *range, uint32_t chunk,
		      const struct scan_block_ops *ops, void *ctx)
{
	struct scan_selector selectors[TREND_MEASURES_MAX] = { 0 };
	struct scan_conf conf = scan_conf_of(trend, selectors);
	int rc;

	(void)set_selectors(trend, range, selectors);
	conf.chunk = chunk;
	conf.without_leaders = chunk == 0 && !has_profile(trend);
	rc = scan_run_blocks(&conf, ops, ctx);
	trend->world->scanned += conf.scanned;
	return rc;
}

/* Answers */

static void put_number(double value, struct buf *out)
{
	struct prop prop = { .kind = PROP_NUMBER, .number = value + 0.0 };

	if (isfinite(value))
		prop_write_json(&prop, out);
	else
		buf_append_text(out, "null");
}

static void put_values(const double *values, size_t count, struct buf *out)
{
	buf_append_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_append_char(out, ',');
		put_number(values[i], out);
	}
	buf_append_char(out, ']');
}

static void put_buckets(const struct trend *trend, const struct trend_range *range,
			const char *name, struct buf *out)
{
	buf_printf(out, "\"%s\":[", name);
	for (int i = range->first; i < range->buckets; i++) {
		buf_append_text(out, i > range->first ? ",\"" : "\"");
		zone_print(trend->range.zone, trend->unit, range->bounds[i], out);
		buf_append_char(out, '"');
	}
	buf_append_char(out, ']');
}

static void put_incomplete(const struct trend *trend, const struct trend_range *range,
			   struct buf *out)
{
	buf_append_text(out, ",\"incomplete\":[");
	for (int i = range->first; i < range->buckets; i++) {
		bool whole = range->bounds[i + 1] <= trend->world->complete_through_us;

		buf_append_text(out, i > range->first ? (whole ? ",false" : ",true")
				     : whole	      ? "false"
						      : "true");
	}
	buf_append_char(out, ']');
}

/* One line: what it is called, its values, and those of the past next to it. */
struct line {
	size_t measure;
	bool is_formula;
	uint32_t segment;
	const double *values, *past;
	double overall, past_overall;
};

struct answer {
	const struct trend *trend;
	struct trend_range range, past_range;
	struct trend_values values[TREND_MEASURES_MAX], past[TREND_MEASURES_MAX];
	double *scratch[2];             /* a formula's values, now and past; owned */
	struct buf *out;
	bool has_lines;
};

static size_t asked_buckets(const struct trend_range *range)
{
	return (size_t)(range->buckets - range->first);
}

static void put_segment(const struct answer *answer, const struct line *line)
{
	const struct trend *trend = answer->trend;
	const struct trend_segments *segments = &trend->segments[line->measure];
	bool is_other = line->segment == segments->keys.count;
	struct buf *out = answer->out;

	if (trend->is_top_events) {
		if (is_other)
			buf_append_text(out, "\"$other\"");
		else
			breakdown_write(trend->breakdown, segments->keys.keys[line->segment], out);
		buf_append_text(out, ",\"segment\":[]");
		return;
	}
	json_write_text(line->is_formula ? trend->formula_text
					 : trend->measures[line->measure].event, out);
	buf_append_text(out, ",\"segment\":[");
	if (trend->breakdown && is_other)
		buf_append_text(out, "\"$other\"");
	else if (trend->breakdown)
		breakdown_write(trend->breakdown, segments->keys.keys[line->segment], out);
	buf_append_char(out, ']');
}

static void put_line(struct answer *answer, const struct line *line)
{
	struct buf *out = answer->out;
	size_t count = asked_buckets(&answer->range);

	buf_append_text(out, answer->has_lines ? ",{" : "{");
	answer->has_lines = true;
	if (line->is_formula)
		buf_append_text(out, "\"formula\":true,\"event\":");
	else
		buf_printf(out, "\"measure\":%zu,\"event\":", line->measure);
	put_segment(answer, line);
	buf_append_text(out, ",\"values\":");
	put_values(line->values, count, out);
	buf_append_text(out, ",\"overall\":");
	put_number(line->overall, out);
	put_incomplete(answer->trend, &answer->range, out);
	if (line->past) {
		size_t past = asked_buckets(&answer->past_range);

		buf_append_text(out, ",\"compared\":");
		put_values(line->past, past < count ? past : count, out);
		buf_append_text(out, ",\"compared_overall\":");
		put_number(line->past_overall, out);
	}
	buf_append_char(out, '}');
}

/* The formula of one segment, bucket by bucket; *overall likewise. */
static void evaluate(const struct trend *trend, const struct trend_values *values,
		     uint32_t segment, size_t buckets, double *out, double *overall)
{
	double measures[TREND_MEASURES_MAX];

	for (size_t b = 0; b <= buckets; b++) {
		double value;

		for (size_t m = 0; m < trend->measure_count; m++)
			measures[m] = b < buckets ? values[m].values[segment * buckets + b]
						  : values[m].overall[segment];
		value = formula_value(&trend->formula, measures);
		if (b < buckets)
			out[b] = value;
		else
			*overall = value;
	}
}

static void put_formula(struct answer *answer, uint32_t segment)
{
	const struct trend *trend = answer->trend;
	struct line line = { .is_formula = true, .segment = segment, .values = answer->scratch[0] };

	evaluate(trend, answer->values, segment, asked_buckets(&answer->range),
		 answer->scratch[0], &line.overall);
	if (trend->has_compare) {
		evaluate(trend, answer->past, segment, asked_buckets(&answer->past_range),
			 answer->scratch[1], &line.past_overall);
		line.past = answer->scratch[1];
	}
	put_line(answer, &line);
}

static void put_measure(struct answer *answer, size_t m, uint32_t segment)
{
	const struct trend_values *values = &answer->values[m], *past = &answer->past[m];
	struct line line = { .measure = m, .segment = segment };

	line.values = values->values + segment * asked_buckets(&answer->range);
	line.overall = values->overall[segment];
	if (answer->trend->has_compare) {
		line.past = past->values + segment * asked_buckets(&answer->past_range);
		line.past_overall = past->overall[segment];
	}
	put_line(answer, &line);
}

struct order {
	const struct trend *trend;
	const struct trend_values *values;
	size_t measure;
};

static int by_rank(const void *left, const void *right, void *ctx)
{
	const struct order *order = ctx;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	double rank_a = order->values->rank[a], rank_b = order->values->rank[b];
	const uint64_t *keys = order->trend->segments[order->measure].keys.keys;

	if (rank_a != rank_b)
		return rank_a > rank_b ? -1 : 1;
	return breakdown_compare(order->trend->breakdown, keys[a], keys[b]);
}

/* The segments of a measure that have anything, the largest first; $other is the last. */
static int put_segments(struct answer *answer, size_t m, bool is_formula)
{
	const struct trend *trend = answer->trend;
	const struct trend_values *values = &answer->values[m];
	uint32_t *list, count = 0, other = values->segments - 1;
	struct order order = { trend, values, m };

	if (!trend->breakdown) {
		if (is_formula)
			put_formula(answer, 0);
		else
			put_measure(answer, m, 0);
		return 0;
	}
	list = calloc(values->segments, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < other; i++)
		if (!isnan(values->rank[i]))
			list[count++] = i;
	qsort_r(list, count, sizeof(*list), by_rank, &order);
	if (!isnan(values->rank[other]))
		list[count++] = other;
	for (uint32_t i = 0; i < count; i++) {
		if (is_formula)
			put_formula(answer, list[i]);
		else
			put_measure(answer, m, list[i]);
	}
	free(list);
	return 0;
}

static int put_answer(struct answer *answer)
{
	const struct trend *trend = answer->trend;
	struct buf *out = answer->out;
	int rc = 0;

	put_buckets(trend, &answer->range, "buckets", out);
	if (trend->has_compare) {
		buf_append_char(out, ',');
		put_buckets(trend, &answer->past_range, "compared_buckets", out);
	}
	buf_append_text(out, ",\"series\":[");
	for (size_t m = 0; m < trend->measure_count && rc == 0; m++)
		rc = put_segments(answer, m, false);
	if (rc == 0 && trend->formula.count)
		rc = put_segments(answer, 0, true);
	buf_append_char(out, ']');
	return rc;
}

static int run_past(struct answer *answer, struct trend *trend)
{
	const struct zone *zone = trend->range.zone;
	int64_t from = trend->range.from_us, to = trend->range.to_us;
	int rc;

	if (trend->shift_n) {
		from = zone_shift(zone, trend->shift_unit, from, -trend->shift_n);
		to = zone_shift(zone, trend->shift_unit, to, -trend->shift_n);
	} else {
		from -= to - from;
		to = trend->range.from_us;
	}
	rc = trend_range_open(&answer->past_range, trend, from, to);
	return rc ? rc : trend_run(trend, &answer->past_range, answer->past);
}

static int run(struct answer *answer, struct trend *trend, struct question_error *error)
{
	int rc = trend_range_open(&answer->range, trend, trend->range.from_us, trend->range.to_us);

	if (rc == -ENOSPC)
		return question_fail(error, "/unit", "too_many_buckets",
				     "over %d buckets: ask for a longer unit or a shorter range",
				     QUESTION_BUCKETS_MAX);
	if (rc == 0)
		rc = trend_run(trend, &answer->range, answer->values);
	if (rc == 0 && trend->has_compare)
		rc = run_past(answer, trend);
	for (int i = 0; i < 2 && rc == 0; i++) {
		answer->scratch[i] = calloc(QUESTION_BUCKETS_MAX, sizeof(double));
		rc = answer->scratch[i] ? 0 : -ENOMEM;
	}
	return rc;
}

int measure_trend(struct measure_world *world, yyjson_val *question, struct buf *out,
		  struct question_error *error)
{
	struct trend *trend = calloc(1, sizeof(*trend));
	struct answer *answer = calloc(1, sizeof(*answer));
	int rc = trend && answer ? 0 : -ENOMEM;

	if (rc == 0)
		rc = trend_parse(trend, world, question, error);
	if (rc == 0) {
		answer->trend = trend;
		answer->out = out;
		rc = run(answer, trend, error);
	}
	if (rc == 0)
		rc = put_answer(answer);
	if (trend && answer) {
		trend_values_close(answer->values, trend->measure_count);
		trend_values_close(answer->past, trend->measure_count);
		trend_range_close(&answer->range);
		trend_range_close(&answer->past_range);
		free(answer->scratch[0]);
		free(answer->scratch[1]);
		trend_close(trend);
	}
	free(answer);
	free(trend);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}
