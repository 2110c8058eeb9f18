// SPDX-License-Identifier: Apache-2.0
#include "aggregate/trend.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const struct {
	const char *name;
	bool wants_prop;
	double quantile;
	int days;
} kinds[] = {
	[TREND_TOTAL] = { "total", false, -1, 0 },
	[TREND_UNIQUE] = { "unique", false, -1, 0 },
	[TREND_PER_USER] = { "per_user", false, -1, 0 },
	[TREND_SUM] = { "sum", true, -1, 0 },
	[TREND_AVG] = { "avg", true, -1, 0 },
	[TREND_MIN] = { "min", true, -1, 0 },
	[TREND_MAX] = { "max", true, -1, 0 },
	[TREND_MEDIAN] = { "median", true, 0.5, 0 },
	[TREND_P25] = { "p25", true, 0.25, 0 },
	[TREND_P75] = { "p75", true, 0.75, 0 },
	[TREND_P90] = { "p90", true, 0.9, 0 },
	[TREND_P99] = { "p99", true, 0.99, 0 },
	[TREND_DISTINCT] = { "distinct", true, -1, 0 },
	[TREND_DAU] = { "dau", false, -1, 1 },
	[TREND_WAU] = { "wau", false, -1, 7 },
	[TREND_MAU] = { "mau", false, -1, 30 },
	[TREND_SESSIONS] = { "sessions", false, -1, 0 },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct predicate_world world_of(const struct trend *trend)
{
	const struct measure_world *world = trend->world;

	return (struct predicate_world){ .now_us = world->now_us, .zone = trend->range.zone,
					 .in_cohort = world->in_cohort,
					 .has_cohort = world->has_cohort,
					 .ctx = world->cohort_ctx };
}

static int parse_kind(struct trend_measure *measure, yyjson_val *node, const char *at,
		      struct question_error *error)
{
	const char *words[KINDS + 1] = { NULL };
	int kind = TREND_TOTAL, rc;

	for (size_t i = 0; i < KINDS; i++)
		words[i] = kinds[i].name;
	rc = question_word(node, "measure", at, words, &kind, error);
	measure->kind = (enum trend_kind)kind;
	measure->quantile = kinds[kind].quantile;
	measure->days = kinds[kind].days;
	return rc;
}

/* The numbers of all values, once. */
static int read_numbers(struct trend_measure *measure)
{
	uint32_t count = scan_prop_count(measure->prop);

	measure->numbers = calloc(count, sizeof(*measure->numbers));
	if (!measure->numbers)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		struct prop value = scan_prop_of(measure->prop, i);

		measure->numbers[i] = value.kind == PROP_NUMBER ? value.number : NAN;
	}
	measure->exponent = sum_fixed_exponent(measure->numbers, count);
	return 0;
}

static int parse_prop(struct trend *trend, struct trend_measure *measure, yyjson_val *node,
		      const char *at, struct question_error *error)
{
	static const char *const ofs[] = { "event", "profile", NULL };
	static const char *const casts[] = { "", "number", NULL };
	bool wants = kinds[measure->kind].wants_prop;
	struct scan_prop_conf conf = { 0 };
	char place[160];
	int of = 0, cast = 0, rc = question_text(node, "prop", at, 1000, &conf.name, error);

	question_at(place, at, "prop");
	if (rc == 0 && wants != (conf.name.ptr != NULL))
		rc = question_fail(error, place, "bad_value", wants
				   ? "this measure needs a property" : "this measure takes no "
				   "property: sum, avg, min, max, median, p25, p75, p90, p99, "
				   "distinct do");
	if (rc == 0)
		rc = question_word(node, "of", at, ofs, &of, error);
	if (rc == 0)
		rc = question_word(node, "type", at, casts, &cast, error);
	if (rc < 0 || !wants)
		return rc;
	conf.of_profile = of;
	conf.cast = cast ? SCAN_AS_NUMBER : SCAN_AS_IS;
	rc = scan_prop_open(&measure->prop, trend->world->snapshot, &conf);
	if (rc == 0)
		rc = read_numbers(measure);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}

static int check_kind(const struct trend *trend, const struct trend_measure *measure,
		      const char *at, struct question_error *error)
{
	bool can_add = measure->kind <= TREND_SUM || measure->kind == TREND_SESSIONS;
	char place[160];

	question_at(place, at, "measure");
	if (measure->days && (trend->unit == ZONE_MINUTE || trend->unit == ZONE_HOUR))
		return question_fail(error, place, "bad_value",
				     "dau, wau and mau are per day, week or longer");
	if (trend->is_cumulative && !can_add)
		return question_fail(error, place, "bad_value", "only total, unique, per_user, sum "
				     "and sessions can be cumulative");
	if (trend->rolling && measure->days)
		return question_fail(error, place, "bad_value",
				     "dau, wau and mau already look back: no rolling average");
	return 0;
}

static int parse_measure(struct trend *trend, struct trend_measure *measure, yyjson_val *node,
			 const char *at, struct question_error *error)
{
	static const char *const known[] = { "event", "measure", "prop", "of", "type", "where",
					     NULL };
	struct predicate_world world = world_of(trend);
	char place[160];
	int rc = question_known(node, at, known, error);

	if (rc == 0)
		rc = question_text(node, "event", at, 1000, &measure->event, error);
	if (rc == 0 && !measure->event.ptr)
		rc = question_fail(error, at, "bad_value", "'event' is needed: a name, or \"*\" "
				   "for any");
	if (rc < 0)
		return rc;
	measure->is_any = slice_is(measure->event, "*");
	rc = parse_kind(measure, node, at, error);
	if (rc == 0)
		rc = check_kind(trend, measure, at, error);
	if (rc == 0)
		rc = parse_prop(trend, measure, node, at, error);
	question_at(place, at, "where");
	if (rc == 0 && json_get(node, "where"))
		rc = predicate_parse(&measure->where, json_get(node, "where"), place, &world,
				     error);
	return rc;
}

static int parse_measures(struct trend *trend, yyjson_val *list, struct question_error *error)
{
	size_t i, count;
	yyjson_val *node;
	char place[160];
	int rc = 0;

	if (!list) {
		trend->measures[0] = (struct trend_measure){ .event = SLICE("*"), .is_any = true,
							     .quantile = -1 };
		trend->measure_count = 1;
		return 0;
	}
	if (!yyjson_is_arr(list) || yyjson_arr_size(list) < 1 ||
	    yyjson_arr_size(list) > TREND_MEASURES_MAX)
		return question_fail(error, "/measures", "bad_value",
				     "a list of 1 to %d measures is needed", TREND_MEASURES_MAX);
	yyjson_arr_foreach(list, i, count, node) {
		question_at_index(place, "/measures", NULL, i);
		trend->measure_count++;
		rc = parse_measure(trend, &trend->measures[i], node, place, error);
		if (rc < 0)
			break;
	}
	return rc;
}

static int parse_breakdown(struct trend *trend, yyjson_val *root, struct question_error *error)
{
	yyjson_val *node = json_get(root, "breakdown");

	if (node)
		return breakdown_open(&trend->breakdown, node, "/breakdown", NULL,
				      trend->world->snapshot, error);
	if (json_get(root, "measures"))
		return 0;
	trend->is_top_events = true;
	return breakdown_open(&trend->breakdown, NULL, "", "$event", trend->world->snapshot, error);
}

static int parse_compare(struct trend *trend, yyjson_val *root, struct question_error *error)
{
	static const char *const known[] = { "shift", "previous", NULL };
	static const char *const shift_known[] = { "n", "unit", NULL };
	yyjson_val *node = json_get(root, "compare"), *shift = json_get(node, "shift");
	bool previous = false;
	int rc;

	if (!node)
		return 0;
	rc = question_known(node, "/compare", known, error);
	if (rc == 0)
		rc = question_flag(node, "previous", "/compare", &previous, error);
	if (rc == 0 && previous == (shift != NULL))
		rc = question_fail(error, "/compare", "bad_value", "either {\"shift\": {\"n\": 1, "
				   "\"unit\": \"week\"}} or {\"previous\": true}");
	trend->has_compare = true;
	if (rc < 0 || !shift)
		return rc;
	rc = question_known(shift, "/compare/shift", shift_known, error);
	if (rc == 0)
		rc = question_unit(json_get(shift, "unit"), "/compare/shift/unit",
				   &trend->shift_unit, error);
	trend->shift_n = 1;
	if (rc == 0)
		rc = question_count(shift, "n", "/compare/shift", 1, 1000, &trend->shift_n, error);
	return rc;
}

static int parse_formula(struct trend *trend, yyjson_val *root, struct question_error *error)
{
	struct err err = { "" };
	int rc = question_text(root, "formula", "", 500, &trend->formula_text, error);

	if (rc < 0 || !trend->formula_text.ptr)
		return rc;
	rc = formula_parse(&trend->formula, trend->formula_text, (int)trend->measure_count, &err);
	return rc < 0 ? question_fail(error, "/formula", "bad_formula", "%s", err.text) : 0;
}

static int parse_options(struct trend *trend, yyjson_val *root, struct question_error *error)
{
	int64_t top = 12, rolling = 0;
	int rc = 0;

	trend->unit = ZONE_DAY;
	if (json_get(root, "unit"))
		rc = question_unit(json_get(root, "unit"), "/unit", &trend->unit, error);
	if (rc == 0)
		rc = question_count(root, "top", "", 1, TREND_TOP_MAX, &top, error);
	if (rc == 0)
		rc = question_count(root, "rolling", "", 2, TREND_ROLLING_MAX, &rolling, error);
	if (rc == 0)
		rc = question_flag(root, "cumulative", "", &trend->is_cumulative, error);
	if (rc == 0 && rolling && trend->is_cumulative)
		rc = question_fail(error, "/rolling", "bad_value",
				   "either rolling or cumulative, not both");
	trend->top = (uint32_t)top;
	trend->rolling = (int)rolling;
	return rc;
}

int trend_parse(struct trend *trend, struct measure_world *world, yyjson_val *root,
		struct question_error *error)
{
	static const char *const known[] = {
		"source", "from", "to", "last", "zone", "week_start", "where",
		"measures", "unit", "breakdown", "top", "compare", "formula", "rolling",
		"cumulative", "session", NULL
	};
	struct predicate_world predicates;
	int rc = question_known(root, "", known, error);

	*trend = (struct trend){ .world = world };
	if (rc == 0)
		rc = question_range_parse(&trend->range, root, world->now_us,
					  world->week_start, error);
	if (rc < 0)
		return rc;
	predicates = world_of(trend);
	rc = parse_options(trend, root, error);
	if (rc == 0)
		rc = session_parse(&trend->session, root, trend->range.zone, error);
	if (rc == 0)
		rc = predicate_parse_root(&trend->where, root, &predicates, error);
	if (rc == 0)
		rc = parse_measures(trend, json_get(root, "measures"), error);
	if (rc == 0)
		rc = parse_breakdown(trend, root, error);
	if (rc == 0)
		rc = parse_compare(trend, root, error);
	return rc == 0 ? parse_formula(trend, root, error) : rc;
}

void trend_close(struct trend *trend)
{
	for (size_t i = 0; i < trend->measure_count; i++) {
		predicate_close(trend->measures[i].where);
		scan_prop_close(trend->measures[i].prop);
		free(trend->measures[i].numbers);
		keymap_reset(&trend->segments[i].keys);
	}
	breakdown_close(trend->breakdown);
	predicate_close(trend->where);
	question_range_close(&trend->range);
}
