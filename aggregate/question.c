// SPDX-License-Identifier: Apache-2.0
#include "aggregate/question.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/when.h"

#define SECOND   INT64_C(1000000)
#define DURATION_MAX (INT64_C(100) * 366 * 24 * 3600 * SECOND)
#define HOUR     (3600 * SECOND)
#define DAY      (24 * HOUR)
#define FROM_MIN (365 * DAY)            /* 1971-01-01 */
#define LAST_MAX 100000

int question_fail(struct question_error *error, const char *at, const char *code,
		  const char *format, ...)
{
	va_list args;

	*error = (struct question_error){ .status = 400 };
	snprintf(error->code, sizeof(error->code), "%s", code);
	snprintf(error->at, sizeof(error->at), "%s", at);
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -EINVAL;
}

int question_fail_scan(struct question_error *error, int rc)
{
	static const struct {
		int rc, status;
		const char *code, *words;
	} table[] = {
		{ -ETIME, 408, "deadline",
		  "the question took too long: ask for a shorter range, or raise --query-time" },
		{ -ENOSPC, 413, "too_large", "the answer needs too much memory: ask for fewer "
		  "segments or buckets, or raise --query-memory" },
		{ -ECANCELED, 499, "canceled", "the client went away" },
		{ -ENOMEM, 503, "no_memory", "no memory for this question" },
	};

	if (error->status)
		return rc;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (rc != table[i].rc)
			continue;
		question_fail(error, "", table[i].code, "%s", table[i].words);
		error->status = table[i].status;
		return rc;
	}
	question_fail(error, "", "failed", "the question failed: %s", strerror(-rc));
	error->status = 500;
	return rc;
}

void question_at(char out[160], const char *at, const char *name)
{
	if (snprintf(out, 160, "%s/%s", at, name) >= 160)
		out[159] = '\0';
}

void question_at_index(char out[160], const char *at, const char *name, size_t index)
{
	int n = name ? snprintf(out, 160, "%s/%s/%zu", at, name, index)
		     : snprintf(out, 160, "%s/%zu", at, index);

	if (n >= 160)
		out[159] = '\0';
}

int question_known(yyjson_val *object, const char *at, const char *const *names,
		   struct question_error *error)
{
	size_t i, count;
	yyjson_val *key, *value;
	char place[160];

	if (!yyjson_is_obj(object))
		return question_fail(error, at, "bad_value", "an object {..} is needed here");
	yyjson_obj_foreach(object, i, count, key, value) {
		struct slice name = json_string(key);
		const char *const *known = names;

		while (*known && !slice_is(name, *known))
			known++;
		if (*known)
			continue;
		snprintf(place, sizeof(place), "%s/%.*s", at, (int)(name.len > 60 ? 60 : name.len),
			 name.ptr);
		return question_fail(error, place, "unknown_field", "'%.*s' is unknown here",
				     (int)(name.len > 60 ? 60 : name.len), name.ptr);
	}
	return 0;
}

static const struct {
	const char *name;
	int64_t us;
	int unit;                       /* of a calendar, -1: none */
} units[] = {
	{ "second", SECOND, -1 }, { "minute", 60 * SECOND, ZONE_MINUTE },
	{ "hour", HOUR, ZONE_HOUR }, { "day", DAY, ZONE_DAY },
	{ "week", 7 * DAY, ZONE_WEEK }, { "month", 30 * DAY, ZONE_MONTH },
	{ "quarter", 0, ZONE_QUARTER }, { "year", 0, ZONE_YEAR },
};

#define UNITS (sizeof(units) / sizeof(units[0]))

int question_unit(yyjson_val *node, const char *at, enum zone_unit *unit,
		  struct question_error *error)
{
	struct slice text = json_string(node);

	for (size_t i = 0; i < UNITS; i++) {
		if (!slice_is(text, units[i].name) || units[i].unit < 0)
			continue;
		*unit = (enum zone_unit)units[i].unit;
		return 0;
	}
	return question_fail(error, at, "bad_value",
			     "one of minute, hour, day, week, month, quarter, year is needed");
}

static int parse_n(yyjson_val *node, const char *at, int64_t max, int64_t *n,
		   struct question_error *error)
{
	static const char *const names[] = { "n", "unit", NULL };
	char place[160];
	int rc = question_known(node, at, names, error);

	if (rc < 0)
		return rc;
	question_at(place, at, "n");
	if (json_num(json_get(node, "n"), n) < 0 || *n < 1 || *n > max)
		return question_fail(error, place, "bad_value",
				     "a whole number from 1 to %lld is needed", (long long)max);
	return 0;
}

int question_duration(yyjson_val *node, const char *at, int64_t *us,
		      struct question_error *error)
{
	struct slice text;
	char place[160];
	int64_t n;
	int rc = parse_n(node, at, INT64_C(4000000000), &n, error);

	if (rc < 0)
		return rc;
	text = json_text(node, "unit");
	for (size_t i = 0; i < UNITS; i++) {
		if (!units[i].us || !slice_is(text, units[i].name))
			continue;
		if (!__builtin_mul_overflow(n, units[i].us, us) && *us <= DURATION_MAX)
			return 0;
		question_at(place, at, "n");
		return question_fail(error, place, "bad_value", "over 100 years");
	}
	question_at(place, at, "unit");
	return question_fail(error, place, "bad_value",
			     "one of second, minute, hour, day, week, month is needed");
}

int question_count(yyjson_val *object, const char *key, const char *at, int64_t min, int64_t max,
		   int64_t *value, struct question_error *error)
{
	yyjson_val *node = json_get(object, key);
	char place[160];
	int64_t n;

	if (!node)
		return 0;
	question_at(place, at, key);
	if (json_num(node, &n) < 0 || n < min || n > max)
		return question_fail(error, place, "bad_value",
				     "a whole number from %lld to %lld is needed", (long long)min,
				     (long long)max);
	*value = n;
	return 0;
}

int question_text(yyjson_val *object, const char *key, const char *at, size_t max,
		  struct slice *text, struct question_error *error)
{
	yyjson_val *node = json_get(object, key);
	char place[160];

	*text = (struct slice){ NULL, 0 };
	if (!node)
		return 0;
	*text = json_string(node);
	if (text->len >= 1 && text->len <= max)
		return 0;
	question_at(place, at, key);
	return question_fail(error, place, "bad_value", "a text of 1 to %zu bytes is needed", max);
}

int question_word(yyjson_val *object, const char *key, const char *at, const char *const *words,
		  int *index, struct question_error *error)
{
	yyjson_val *node = json_get(object, key);
	struct slice text = json_string(node);
	char place[160], list[160] = "";
	size_t len = 0;

	if (!node)
		return 0;
	for (int i = 0; words[i]; i++) {
		if (text.ptr && slice_is(text, words[i])) {
			*index = i;
			return 0;
		}
		if (len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
						i ? ", " : "", words[i]);
	}
	question_at(place, at, key);
	return question_fail(error, place, "bad_value", "one of %s is needed", list);
}

int question_flag(yyjson_val *object, const char *key, const char *at, bool *value,
		  struct question_error *error)
{
	yyjson_val *node = json_get(object, key);
	char place[160];

	if (!node)
		return 0;
	question_at(place, at, key);
	if (!yyjson_is_bool(node))
		return question_fail(error, place, "bad_value", "true or false is needed");
	*value = yyjson_get_bool(node);
	return 0;
}

static bool digits(struct slice text, size_t at, size_t count, int *value)
{
	*value = 0;
	for (size_t i = at; i < at + count; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		*value = *value * 10 + (text.ptr[i] - '0');
	}
	return true;
}

int question_instant(struct slice text, const struct zone *zone, int64_t *us, bool *is_date)
{
	char with_zone[48];
	int year, month, day;

	*is_date = false;
	if (text.len == 10 && text.ptr[4] == '-' && text.ptr[7] == '-' &&
	    digits(text, 0, 4, &year) && digits(text, 5, 2, &month) && digits(text, 8, 2, &day)) {
		*is_date = true;
		if (zone)
			return zone_date(zone, year, month, day, us) < 0 ? -EBADMSG : 0;
		snprintf(with_zone, sizeof(with_zone), "%.10sT00:00:00Z", text.ptr);
		return when_parse(slice_from(with_zone), us);
	}
	if (text.len < 16 || text.len > 40)
		return -EBADMSG;
	if (when_parse(text, us) == 0)
		return 0;
	/* Without a zone it is UTC; without seconds it is the minute's start. */
	snprintf(with_zone, sizeof(with_zone), "%.*s%sZ", (int)text.len, text.ptr,
		 text.len == 16 ? ":00" : "");
	return when_parse(slice_from(with_zone), us);
}

static const char *const WEEK_DAYS[] = {
	"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", NULL
};

int question_week_day(struct slice text)
{
	for (int i = 0; WEEK_DAYS[i]; i++)
		if (slice_is(text, WEEK_DAYS[i]))
			return i;
	return -1;
}

static int parse_zone(struct question_range *range, yyjson_val *node, const char *at,
		      int week_start, struct question_error *error)
{
	struct slice name;
	struct err err = { "" };
	char place[160];
	int rc = question_text(node, "zone", at, 63, &name, error);

	if (rc == 0)
		rc = question_word(node, "week_start", at, WEEK_DAYS, &week_start, error);
	if (rc < 0)
		return rc;
	if (zone_open(&range->zone, name.ptr ? name : SLICE("UTC"), &err) == 0) {
		zone_week(range->zone, week_start);
		return 0;
	}
	question_at(place, at, "zone");
	return question_fail(error, place, "bad_zone", "%s", err.text);
}

static int parse_end(const struct question_range *range, yyjson_val *node, const char *at,
		     const char *key, bool is_to, int64_t *us, struct question_error *error)
{
	struct slice text = json_text(node, key);
	char place[160];
	bool is_date;

	question_at(place, at, key);
	if (!text.ptr || question_instant(text, range->zone, us, &is_date) < 0)
		return question_fail(error, place, "bad_time", "a date such as 2026-11-01 or an "
				     "instant such as 2026-11-01T10:00:00Z is needed");
	if (is_date && is_to)
		*us = zone_add(range->zone, ZONE_DAY, *us, 1);
	return 0;
}

static int parse_last(struct question_range *range, yyjson_val *last, const char *at,
		      int64_t now_us, struct question_error *error)
{
	enum zone_unit unit;
	char place[160], unit_place[160];
	int64_t n, start;
	int rc;

	question_at(place, at, "last");
	question_at(unit_place, place, "unit");
	rc = parse_n(last, place, LAST_MAX, &n, error);
	if (rc == 0)
		rc = question_unit(json_get(last, "unit"), unit_place, &unit, error);
	if (rc < 0)
		return rc;
	start = zone_start(range->zone, unit, now_us);
	range->to_us = zone_add(range->zone, unit, start, 1);
	range->from_us = zone_add(range->zone, unit, start, 1 - n);
	return 0;
}

static int check_range(const struct question_range *range, const char *at, bool has_from,
		       int64_t now_us, struct question_error *error)
{
	char place[160];

	question_at(place, at, has_from ? "from" : "last");
	if (range->from_us < FROM_MIN)
		return question_fail(error, place, "bad_range", "there are no events before 1971");
	question_at(place, at, has_from ? "to" : "last");
	if (range->to_us <= range->from_us)
		return question_fail(error, place, "bad_range", "'to' is not after 'from'");
	if (range->to_us > now_us + 366 * DAY)
		return question_fail(error, place, "bad_range",
				     "'to' is more than a year ahead: there are no events");
	return 0;
}

static int parse_range(struct question_range *range, yyjson_val *node, const char *at,
		       int64_t now_us, int week_start, bool *is_ever,
		       struct question_error *error)
{
	yyjson_val *from = json_get(node, "from"), *to = json_get(node, "to");
	yyjson_val *last = json_get(node, "last");
	char place[160];
	int rc = parse_zone(range, node, at, week_start, error);

	if (rc < 0)
		return rc;
	question_at(place, at, "last");
	*is_ever = !from && !to && !last;
	if (*is_ever)
		return 0;
	if (last && (from || to))
		return question_fail(error, place, "bad_range",
				     "either 'last' or 'from' and 'to', not both");
	if (last)
		return (rc = parse_last(range, last, at, now_us, error)) < 0
			       ? rc : check_range(range, at, false, now_us, error);
	question_at(place, at, "from");
	if (!from)
		return question_fail(error, place, "bad_range", "'to' needs a 'from'");
	rc = parse_end(range, node, at, "from", false, &range->from_us, error);
	if (rc == 0 && to)
		rc = parse_end(range, node, at, "to", true, &range->to_us, error);
	else if (rc == 0)
		range->to_us = zone_add(range->zone, ZONE_DAY,
					zone_start(range->zone, ZONE_DAY, now_us), 1);
	return rc < 0 ? rc : check_range(range, at, true, now_us, error);
}

static int parse_whole(struct question_range *range, yyjson_val *node, const char *at,
		       int64_t now_us, int week_start, bool *is_ever,
		       struct question_error *error)
{
	int rc;

	*range = (struct question_range){ 0 };
	rc = parse_range(range, node, at, now_us, week_start, is_ever, error);
	if (rc < 0)
		question_range_close(range);
	return rc;
}

int question_range_parse_node(struct question_range *range, yyjson_val *node, const char *at,
			      int64_t now_us, bool *is_ever, struct question_error *error)
{
	return parse_whole(range, node, at, now_us, 0, is_ever, error);
}

int question_range_parse(struct question_range *range, yyjson_val *root, int64_t now_us,
			 int week_start, struct question_error *error)
{
	bool is_ever;
	int rc = parse_whole(range, root, "", now_us, week_start, &is_ever, error);

	if (rc == 0 && is_ever) {
		int64_t today = zone_start(range->zone, ZONE_DAY, now_us);

		range->to_us = zone_add(range->zone, ZONE_DAY, today, 1);
		range->from_us = zone_add(range->zone, ZONE_DAY, today, -29);
	}
	return rc;
}

void question_range_close(struct question_range *range)
{
	zone_close(range->zone);
	range->zone = NULL;
}
