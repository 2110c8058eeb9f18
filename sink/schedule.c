// SPDX-License-Identifier: Apache-2.0
#include "sink/schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MINUTE_US (INT64_C(60) * 1000000)
#define HOUR_US   (60 * MINUTE_US)

struct local {
	int year, month, day, hour, minute;
};

static struct local local_of(const struct zone *zone, int64_t us)
{
	struct local l = { 0 };
	struct buf text = { 0 };

	zone_print(zone, ZONE_MINUTE, us, &text);
	buf_append_char(&text, '\0');
	if (text.ptr && sscanf(text.ptr, "%d-%d-%dT%d:%d", &l.year, &l.month, &l.day, &l.hour,
			       &l.minute) != 5)
		l = (struct local){ 0 };
	buf_close(&text);
	return l;
}

static int weekday_of(const struct local *l)
{
	static const int shift[] = { 0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4 };
	int y = l->year - (l->month < 3);

	return (y + y / 4 - y / 100 + y / 400 + shift[(l->month - 1 + 12) % 12] + l->day) % 7;
}

/* One number or name; -1. */
static int take_value(const char **at, const char *const *names, int first)
{
	char *end;
	long n;

	for (int i = 0; names && names[i]; i++) {
		if (strncasecmp(*at, names[i], 3) == 0) {
			*at += 3;
			return i + first;
		}
	}
	n = strtol(*at, &end, 10);
	if (end == *at || **at == '-' || **at == '+' || n > 99)
		return -1;
	*at = end;
	return (int)n;
}

static bool take_field(const char *text, int min, int max, const char *const *names,
		       uint64_t *mask)
{
	const char *at = text;

	*mask = 0;
	do {
		int from = min, to = max, step = 1;

		if (*at == '*') {
			at++;
		} else {
			if ((from = to = take_value(&at, names, min)) < 0)
				return false;
			if (*at == '-') {
				at++;
				to = take_value(&at, names, min);
			} else if (*at == '/') {
				to = max;
			}
		}
		if (*at == '/') {
			at++;
			step = take_value(&at, NULL, 0);
		}
		if (from < min || to > max || from > to || step < 1)
			return false;
		for (int i = from; i <= to; i += step)
			*mask |= UINT64_C(1) << i;
	} while (*at == ',' && *++at);
	return !*at;
}

int cron_parse(const char *text, struct cron *cron, struct err *err)
{
	static const char *const months[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
					      "aug", "sep", "oct", "nov", "dec", NULL };
	static const char *const days[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat",
					    NULL };
	static const struct {
		const char *name, *line;
	} shorts[] = {
		{ "@hourly", "0 * * * *" }, { "@daily", "0 0 * * *" },
		{ "@weekly", "0 0 * * 0" }, { "@monthly", "0 0 1 * *" },
	};
	static const char *const what[] = { "minute (0-59)", "hour (0-23)", "day (1-31)",
					    "month (1-12)", "weekday (0-7, sun-sat)" };
	static const int bounds[5][2] = { { 0, 59 }, { 0, 23 }, { 1, 31 }, { 1, 12 }, { 0, 7 } };
	uint64_t masks[5] = { 0 };
	char parts[5][64], more[2];

	for (size_t i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++)
		if (strcasecmp(text, shorts[i].name) == 0)
			text = shorts[i].line;
	if (sscanf(text, "%63s %63s %63s %63s %63s %1s", parts[0], parts[1], parts[2], parts[3],
		   parts[4], more) != 5)
		return err_set(err, -EBADMSG, "'%.60s' is not five fields: minute hour day month "
			       "weekday, such as 0 9 * * wed", text);
	for (int i = 0; i < 5; i++)
		if (!take_field(parts[i], bounds[i][0], bounds[i][1],
				i == 3 ? months : i == 4 ? days : NULL, &masks[i]))
			return err_set(err, -EBADMSG, "'%.40s' is no %s", parts[i], what[i]);
	*cron = (struct cron){ masks[0], (uint32_t)masks[1], (uint32_t)masks[2],
			       (uint32_t)masks[3], (uint32_t)((masks[4] | masks[4] >> 7) & 0x7f),
			       parts[2][0] == '*', parts[4][0] == '*' };
	return 0;
}

static bool is_day(const struct cron *cron, const struct local *l)
{
	bool day = cron->days >> l->day & 1, weekday = cron->weekdays >> weekday_of(l) & 1;

	if (!(cron->months >> l->month & 1))
		return false;
	if (cron->any_day || cron->any_weekday)
		return day && weekday;
	return day || weekday;
}

/* Looks at one hour that begins at us; after: only later minutes. INT64_MAX: none. */
static int64_t in_hour(const struct cron *cron, const struct zone *zone, int64_t us, int64_t after)
{
	struct local l = local_of(zone, us), before = local_of(zone, us - MINUTE_US);
	bool every = cron->hours == 0xffffff;

	/* Clocks went forward: hours between were left out. */
	for (int h = before.hour + 1; h < l.hour && before.day == l.day; h++)
		if (!every && cron->hours >> h & 1 && us > after)
			return us;
	if (!(cron->hours >> l.hour & 1))
		return INT64_MAX;
	if (!every && before.hour == l.hour && before.day == l.day)
		return INT64_MAX;       /* clocks went back: it comes the second time */
	for (int m = 0; m < 60; m++)
		if (cron->minutes >> m & 1 && us + m * MINUTE_US > after)
			return us + m * MINUTE_US;
	return INT64_MAX;
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_us)
{
	int64_t day = zone_start(zone, ZONE_DAY, after_us), found;

	for (int days = 0; days < 5 * 366; days++) {
		int64_t next = zone_add(zone, ZONE_DAY, day, 1);
		struct local l = local_of(zone, day);

		if (is_day(cron, &l)) {
			for (int64_t hour = day; hour < next; hour += HOUR_US)
				if ((found = in_hour(cron, zone, hour, after_us)) != INT64_MAX)
					return found;
		}
		day = next;
	}
	return INT64_MAX;
}

int quiet_parse(const char *text, struct quiet *quiet, struct err *err)
{
	int a, b, c, d, end = 0;

	*quiet = (struct quiet){ 0 };
	if (!text || !text[0])
		return 0;
	if (sscanf(text, "%2d:%2d-%2d:%2d%n", &a, &b, &c, &d, &end) != 4 || text[end] || a < 0 ||
	    a > 23 || b < 0 || b > 59 || c < 0 || c > 24 || d < 0 || d > 59 || (c == 24 && d))
		return err_set(err, -EBADMSG, "'%.40s' is not like 22:00-08:00", text);
	*quiet = (struct quiet){ true, a * 60 + b, c * 60 + d };
	if (quiet->from == quiet->to)
		return err_set(err, -EBADMSG, "'%.40s' is never", text);
	return 0;
}

static bool is_quiet(const struct quiet *quiet, const struct local *l)
{
	int m = l->hour * 60 + l->minute;

	return quiet->from < quiet->to ? m >= quiet->from && m < quiet->to
				       : m >= quiet->from || m < quiet->to;
}

int64_t quiet_end(const struct quiet *quiet, const struct zone *zone, int64_t us)
{
	struct local l;
	int64_t at;

	if (!quiet->is_set)
		return us;
	l = local_of(zone, us);
	if (!is_quiet(quiet, &l))
		return us;
	/* By the clock on the wall, minute by minute: right over every change of clocks. */
	for (at = zone_start(zone, ZONE_MINUTE, us); is_quiet(quiet, &l); l = local_of(zone, at))
		at += MINUTE_US;
	return at;
}
