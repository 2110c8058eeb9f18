// SPDX-License-Identifier: Apache-2.0
#include "aggregate/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "aggregate/count.h"
#include "lib/when.h"

#define LAST_MAX 100000


PRINTF_LIKE(4, 5)
static int refuse(struct query_error *error, const char *code, const char *at, const char *format,
		  ...)
{
	va_list args;

	error->status = strcmp(code, "too_large") == 0 ? 413 : 400;
	error->code = code;
	snprintf(error->at, sizeof(error->at), "%s", at);
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -EINVAL;
}

static bool is_in(struct slice name, const char *const *names)
{
	for (; *names; names++)
		if (slice_is(name, *names))
			return true;
	return false;
}

/* Does the value say nothing? `"where":null`, `"breakdown":[]` may stand. */
static bool is_empty(yyjson_val *value)
{
	return yyjson_is_null(value) || (yyjson_is_ctn(value) && yyjson_get_len(value) == 0);
}

/* Every member must be known, and those of `later` must be empty. */
static int check_members(struct query_error *error, yyjson_val *object, const char *at,
			 const char *const *known, const char *const *later)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(object);
	yyjson_val *key;
	char place[96];

	while ((key = yyjson_obj_iter_next(&iter))) {
		struct slice name = json_string(key);

		if (is_in(name, known))
			continue;
		snprintf(place, sizeof(place), "%s/%.*s", at, (int)(name.len > 40 ? 40 : name.len),
			 name.ptr);
		if (!is_in(name, later))
			return refuse(error, "unknown_field", place, "there is no such field here");
		if (!is_empty(yyjson_obj_iter_get_val(key)))
			return refuse(error, "not_supported", place,
				      "this version cannot do that yet");
	}
	return 0;
}

static int parse_root(struct json_reader *reader, struct slice body, yyjson_val **root,
		      struct query_error *error)
{
	struct err err = { "" };

	*error = (struct query_error){ 0 };
	if (json_parse(reader, body, root, &err) < 0)
		return refuse(error, "bad_json", "", "the body is no JSON: %s", err.text);
	if (!yyjson_is_obj(*root))
		return refuse(error, "bad_json", "", "the body must be a JSON object");
	return 0;
}

/* Hours of the calendar */

int64_t query_unit_hours(enum query_unit unit)
{
	return unit == QUERY_UNIT_HOUR ? 1 : unit == QUERY_UNIT_DAY ? 24 : 168;
}

int64_t query_unit_start(enum query_unit unit, int64_t hour)
{
	/* 1970-01-01 was a Thursday: weeks begin three days before it. */
	int64_t shift = unit == QUERY_UNIT_WEEK ? 72 : 0;
	int64_t rest = (hour + shift) % query_unit_hours(unit);

	return hour - (rest < 0 ? rest + query_unit_hours(unit) : rest);
}

static int parse_unit(struct query_error *error, yyjson_val *value, const char *at,
		      enum query_unit *unit)
{
	struct slice text = json_string(value);

	if (slice_is(text, "hour"))
		*unit = QUERY_UNIT_HOUR;
	else if (slice_is(text, "day"))
		*unit = QUERY_UNIT_DAY;
	else if (slice_is(text, "week"))
		*unit = QUERY_UNIT_WEEK;
	else if (slice_is(text, "minute") || slice_is(text, "month"))
		return refuse(error, "not_supported", at, "this version has hour, day and week");
	else
		return refuse(error, "bad_value", at, "must be hour, day or week");
	return 0;
}

/* A date, or an instant at a full hour. is_end: a date means the end of its day. */
static int parse_hour(struct query_error *error, yyjson_val *value, const char *at, bool is_end,
		      int64_t *hour)
{
	struct slice text = json_string(value);
	char instant[32];
	bool is_date = text.len == 10;
	int64_t us;

	if (!text.ptr || text.len > 40)
		return refuse(error, "bad_value", at, "must be a date such as 2026-11-01, or an "
			      "instant such as 2026-11-01T10:00:00Z");
	if (is_date) {
		snprintf(instant, sizeof(instant), "%.10sT00:00:00Z", text.ptr);
		text = slice_from(instant);
	}
	if (when_parse(text, &us) < 0)
		return refuse(error, "bad_value", at, "must be a date such as 2026-11-01, or an "
			      "instant such as 2026-11-01T10:00:00Z");
	if (us % COUNT_HOUR_US)
		return refuse(error, "not_supported", at, "this version counts full hours: the "
			      "instant must be on the hour");
	*hour = us / COUNT_HOUR_US + (is_date && is_end ? 24 : 0);
	return 0;
}

static int parse_last(struct query_error *error, yyjson_val *last, int64_t now_hour,
		      struct query_trend *query)
{
	static const char *const known[] = { "n", "unit", NULL }, *const later[] = { NULL };
	enum query_unit unit = QUERY_UNIT_DAY;
	int64_t n, start;
	int rc;

	if (!yyjson_is_obj(last))
		return refuse(error, "bad_value", "/last",
			      "must be like {\"n\":30,\"unit\":\"day\"}");
	rc = check_members(error, last, "/last", known, later);
	if (rc == 0 && (json_num(json_get(last, "n"), &n) < 0 || n < 1 || n > LAST_MAX))
		rc = refuse(error, "bad_value", "/last/n", "must be 1 to %d", LAST_MAX);
	if (rc == 0)
		rc = parse_unit(error, json_get(last, "unit"), "/last/unit", &unit);
	if (rc < 0)
		return rc;
	start = query_unit_start(unit, now_hour);
	query->to = start + query_unit_hours(unit);
	query->from = query->to - n * query_unit_hours(unit);
	return 0;
}

static int parse_range(struct query_error *error, yyjson_val *root, int64_t now_us,
		       struct query_trend *query)
{
	yyjson_val *from = json_get(root, "from"), *to = json_get(root, "to");
	yyjson_val *last = json_get(root, "last");
	int64_t now_hour = now_us / COUNT_HOUR_US;
	int rc = 0;

	if (last && (from || to))
		return refuse(error, "bad_value", "/last",
			      "exclude each other: last, and from and to");
	if (last)
		return parse_last(error, last, now_hour, query);
	if (to && !from)
		return refuse(error, "bad_value", "/from", "is missing");
	query->to = query_unit_start(QUERY_UNIT_DAY, now_hour) + 24;
	query->from = query->to - 30 * 24;
	if (from)
		rc = parse_hour(error, from, "/from", false, &query->from);
	if (rc == 0 && to)
		rc = parse_hour(error, to, "/to", true, &query->to);
	if (rc == 0 && query->from >= query->to)
		rc = refuse(error, "bad_value", "/to", "must be after from");
	return rc;
}

/* trend */

static int parse_measure(struct query_error *error, yyjson_val *object, size_t i,
			 struct query_measure *measure)
{
	static const char *const known[] = { "event", "measure", NULL };
	static const char *const later[] = { "where", "prop", "first", "any_of", NULL };
	static const char *const later_measures[] = {
		"per_user", "sum", "avg", "min", "max", "median", "p25", "p75", "p90", "p99",
		"distinct", "dau", "wau", "mau", "sessions", NULL,
	};
	struct slice kind;
	char at[48];
	int rc;

	snprintf(at, sizeof(at), "/measures/%zu", i);
	if (!yyjson_is_obj(object))
		return refuse(error, "bad_value", at, "must be like {\"event\":\"Order Completed\","
			      "\"measure\":\"total\"}");
	rc = check_members(error, object, at, known, later);
	if (rc < 0)
		return rc;
	measure->event = json_text(object, "event");
	snprintf(at, sizeof(at), "/measures/%zu/event", i);
	if (!measure->event.ptr)
		return refuse(error, "bad_value", at, "must be an event's name, or *");
	measure->is_any = slice_is(measure->event, "*");
	snprintf(at, sizeof(at), "/measures/%zu/measure", i);
	kind = json_text(object, "measure");
	measure->is_unique = slice_is(kind, "unique");
	if (measure->is_unique || slice_is(kind, "total") || !json_get(object, "measure"))
		return 0;
	if (kind.ptr && is_in(kind, later_measures))
		return refuse(error, "not_supported", at, "this version has total and unique");
	return refuse(error, "bad_value", at, "must be total or unique");
}

static int parse_measures(struct query_error *error, yyjson_val *list, struct query_trend *query)
{
	yyjson_arr_iter iter;
	yyjson_val *object;

	if (!list)
		return 0;
	if (!yyjson_is_arr(list))
		return refuse(error, "bad_value", "/measures", "must be a list");
	if (yyjson_arr_size(list) > QUERY_MEASURES_MAX)
		return refuse(error, "too_large", "/measures", "at most %d", QUERY_MEASURES_MAX);
	iter = yyjson_arr_iter_with(list);
	while ((object = yyjson_arr_iter_next(&iter))) {
		int rc = parse_measure(error, object, query->measure_count,
				       &query->measures[query->measure_count]);

		if (rc < 0)
			return rc;
		query->measure_count++;
	}
	return 0;
}

static int parse_top(struct query_error *error, yyjson_val *value, size_t max, const char *at,
		     size_t *top)
{
	int64_t n;

	if (!value)
		return 0;
	if (json_num(value, &n) < 0 || n < 1 || n > (int64_t)max)
		return refuse(error, "bad_value", at, "must be 1 to %zu", max);
	*top = (size_t)n;
	return 0;
}

int query_parse_trend(struct json_reader *reader, struct slice body, int64_t now_us,
		      struct query_trend *query, struct query_error *error)
{
	static const char *const known[] = { "measures", "unit", "from", "to", "last", "zone",
					     "top", NULL };
	static const char *const later[] = { "source", "where", "breakdown", "compare", "formula",
					     NULL };
	yyjson_val *root, *zone;
	int rc = parse_root(reader, body, &root, error);

	*query = (struct query_trend){ .unit = QUERY_UNIT_DAY, .top = 12 };
	if (rc == 0)
		rc = check_members(error, root, "", known, later);
	if (rc == 0 && (zone = json_get(root, "zone")) && !slice_is(json_string(zone), "UTC"))
		rc = refuse(error, "not_supported", "/zone", "this version has the zone UTC only");
	if (rc == 0 && json_get(root, "unit"))
		rc = parse_unit(error, json_get(root, "unit"), "/unit", &query->unit);
	if (rc == 0)
		rc = parse_top(error, json_get(root, "top"), QUERY_TOP_MAX, "/top", &query->top);
	if (rc == 0)
		rc = parse_measures(error, json_get(root, "measures"), query);
	if (rc == 0)
		rc = parse_range(error, root, now_us, query);
	if (rc == 0 && (query->to - query->from) / query_unit_hours(query->unit) >
			       QUERY_BUCKETS_MAX - 2)
		rc = refuse(error, "too_large", "/unit",
			    "over %d buckets: take a longer unit, or a "
			    "shorter range",
			    QUERY_BUCKETS_MAX);
	return rc;
}

/* names */

int query_parse_names(struct json_reader *reader, struct slice body, struct query_names *query,
		      struct query_error *error)
{
	static const char *const known[] = { "kind", "prefix", "limit", NULL };
	static const char *const later[] = { "event", "prop", "source", NULL };
	yyjson_val *root, *prefix;
	struct slice kind;
	int rc = parse_root(reader, body, &root, error);

	*query = (struct query_names){ { "", 0 }, 50 };
	if (rc < 0)
		return rc;
	kind = json_text(root, "kind");
	if (slice_is(kind, "properties") || slice_is(kind, "values"))
		return refuse(error, "not_supported", "/kind", "this version has events only");
	if (!slice_is(kind, "events"))
		return refuse(error, "bad_value", "/kind", "must be events");
	rc = check_members(error, root, "", known, later);
	prefix = json_get(root, "prefix");
	if (rc == 0 && prefix && !yyjson_is_str(prefix))
		rc = refuse(error, "bad_value", "/prefix", "must be text");
	if (rc == 0 && prefix)
		query->prefix = json_string(prefix);
	return rc == 0 ? parse_top(error, json_get(root, "limit"), QUERY_LIMIT_MAX, "/limit",
				   &query->limit) : rc;
}
