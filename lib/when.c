// SPDX-License-Identifier: Apache-2.0
#include "lib/when.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000
#define DAY    ((int64_t)86400 * SECOND)

/* Days of the first instant of year 0, and of year 10000. */
#define DAY_FIRST (-719528)
#define DAY_END   2932897

/* The calendar repeats every 400 years = 146097 days. Counting years from March puts the leap day
 * at a year's end, where (153 * month + 2) / 5 gives the days before each month. */
static int days_from_civil(int year, int month, int day)
{
	int era, of_era;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	of_era = year - era * 400;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 +
	       (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1 - 719468;
}

static void civil_from_days(int days, int *year, int *month, int *day)
{
	int era, of_era, of_year, march;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	days -= era * 146097;
	of_era = (days - days / 1460 + days / 36524 - days / 146096) / 365;
	of_year = days - (365 * of_era + of_era / 4 - of_era / 100);
	march = (5 * of_year + 2) / 153;
	*day = of_year - (153 * march + 2) / 5 + 1;
	*month = march < 10 ? march + 3 : march - 9;
	*year = of_era + era * 400 + (*month <= 2);
}

static int month_length(int year, int month)
{
	static const char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return lengths[month - 1];
}

/* count digits at p as a number, or a negative one. */
static int digits(const char *p, int count)
{
	int num = 0, bad = 0;

	for (int i = 0; i < count; i++) {
		int digit = p[i] - '0';

		bad |= digit | (9 - digit);
		num = num * 10 + digit;
	}
	return bad < 0 ? -1 : num;
}

/* ".123456789" and whatever stands behind it; *rest gets that. */
static int parse_fraction(struct slice text, struct slice *rest, int *us)
{
	size_t count = 0;

	*us = 0;
	*rest = text;
	if (!text.len || text.ptr[0] != '.')
		return 0;
	text = slice_skip(text, 1);
	for (; count < text.len && text.ptr[count] >= '0' && text.ptr[count] <= '9'; count++)
		if (count < 6)
			*us = *us * 10 + (text.ptr[count] - '0');
	for (size_t i = count; i < 6; i++)
		*us *= 10;
	*rest = slice_skip(text, count);
	return count < 1 || count > 9 ? -EBADMSG : 0;
}

/* Z, +hh:mm, -hh:mm: minutes east. */
static int parse_zone(struct slice text, int *minutes)
{
	int hour, minute;

	*minutes = 0;
	if (text.len == 1 && (text.ptr[0] == 'Z' || text.ptr[0] == 'z'))
		return 0;
	if (text.len != 6 || (text.ptr[0] != '+' && text.ptr[0] != '-') || text.ptr[3] != ':')
		return -EBADMSG;
	hour = digits(text.ptr + 1, 2);
	minute = digits(text.ptr + 4, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
		return -EBADMSG;
	*minutes = text.ptr[0] == '-' ? -(hour * 60 + minute) : hour * 60 + minute;
	return 0;
}

int when_parse(struct slice text, int64_t *us)
{
	int year, month, day, hour, minute, second, fraction, zone;
	const char *p = text.ptr;
	struct slice rest;
	int64_t at;

	if (text.len < 20 || p[4] != '-' || p[7] != '-' || p[13] != ':' || p[16] != ':' ||
	    (p[10] != 'T' && p[10] != 't' && p[10] != ' '))
		return -EBADMSG;
	year = digits(p, 4);
	month = digits(p + 5, 2);
	day = digits(p + 8, 2);
	hour = digits(p + 11, 2);
	minute = digits(p + 14, 2);
	second = digits(p + 17, 2);
	if (year < 0 || month < 1 || month > 12 || day < 1 || day > month_length(year, month) ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return -EBADMSG;
	if (parse_fraction(slice_skip(text, 19), &rest, &fraction) || parse_zone(rest, &zone))
		return -EBADMSG;
	at = days_from_civil(year, month, day) * DAY +
	     (hour * 3600 + (minute - zone) * 60 + second) * (int64_t)SECOND + fraction;
	/* A leap second is the last of a day in UTC, and the next day's first second for us. */
	if (second == 60 && (at - fraction) % DAY != 0)
		return -EBADMSG;
	if (at < DAY_FIRST * DAY || at >= DAY_END * DAY)
		return -EBADMSG;
	*us = at;
	return 0;
}

static char *print_digits(char *at, int num, int count)
{
	for (int i = count - 1; i >= 0; i--, num /= 10)
		at[i] = (char)('0' + num % 10);
	return at + count;
}

size_t when_print(int64_t us, int precision, char text[WHEN_TEXT_MAX])
{
	int days, seconds, fraction, year, month, day;
	char *at = text;

	if (us < DAY_FIRST * DAY)
		us = DAY_FIRST * DAY;
	if (us >= DAY_END * DAY)
		us = DAY_END * DAY - 1;
	/* us - first day's is never negative, so that division rounds down. */
	days = (int)((us - DAY_FIRST * DAY) / DAY) + DAY_FIRST;
	us -= days * DAY;
	seconds = (int)(us / SECOND);
	fraction = (int)(us % SECOND);
	civil_from_days(days, &year, &month, &day);
	at = print_digits(at, year, 4);
	*at++ = '-';
	at = print_digits(at, month, 2);
	*at++ = '-';
	at = print_digits(at, day, 2);
	*at++ = 'T';
	at = print_digits(at, seconds / 3600, 2);
	*at++ = ':';
	at = print_digits(at, seconds / 60 % 60, 2);
	*at++ = ':';
	at = print_digits(at, seconds % 60, 2);
	*at++ = '.';
	if (precision == 6)
		at = print_digits(at, fraction, 6);
	else
		at = print_digits(at, fraction / 1000, 3);
	*at++ = 'Z';
	*at = '\0';
	return (size_t)(at - text);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t when_now_us(void)
{
	return clock_ns(CLOCK_REALTIME) / 1000;
}

int64_t when_monotonic_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}
