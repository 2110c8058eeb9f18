// SPDX-License-Identifier: Apache-2.0
#include "lib/zone.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lib/when.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)

static int64_t us_of(const char *text)
{
	int64_t us;

	return when_parse(slice_from(text), &us) == 0 ? us : INT64_MIN;
}

static const struct {
	const char *zone;
	enum zone_unit unit;
	const char *at, *start, *next, *print;
} starts[] = {
	{ "UTC", ZONE_DAY, "2026-11-24T10:11:12Z", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z",
	  "2026-11-24" },
	{ "UTC", ZONE_WEEK, "2026-11-24T10:11:12Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z",
	  "2026-11-23" },
	{ "UTC", ZONE_MONTH, "1971-01-31T10:00:00Z", "1971-01-01T00:00:00Z",
	  "1971-02-01T00:00:00Z", "1971-01-01" },
	{ "UTC", ZONE_QUARTER, "2026-11-24T10:11:12Z", "2026-10-01T00:00:00Z",
	  "2027-01-01T00:00:00Z", "2026-10-01" },
	{ "UTC", ZONE_YEAR, "2026-11-24T10:11:12Z", "2026-01-01T00:00:00Z",
	  "2027-01-01T00:00:00Z", "2026-01-01" },
	{ "UTC", ZONE_HOUR, "2026-11-24T10:11:12Z", "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z",
	  "2026-11-24T10:00:00Z" },
	{ "UTC", ZONE_DAY, "1969-12-31T23:59:59.999999Z", "1969-12-31T00:00:00Z",
	  "1970-01-01T00:00:00Z", "1969-12-31" },
	/* 23 hours, 25 hours */
	{ "Europe/Stockholm", ZONE_DAY, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z",
	  "2026-03-29T22:00:00Z", "2026-03-29" },
	{ "Europe/Stockholm", ZONE_DAY, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z",
	  "2026-10-25T23:00:00Z", "2026-10-25" },
	{ "Europe/Stockholm", ZONE_HOUR, "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z",
	  "2026-10-25T01:00:00Z", "2026-10-25T02:00:00+02:00" },
	{ "Europe/Stockholm", ZONE_HOUR, "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z",
	  "2026-10-25T02:00:00Z", "2026-10-25T02:00:00+01:00" },
	/* after the table, by the footer's rule */
	{ "Europe/Stockholm", ZONE_DAY, "2077-07-01T12:00:00Z", "2077-06-30T22:00:00Z",
	  "2077-07-01T22:00:00Z", "2077-07-01" },
	{ "America/New_York", ZONE_WEEK, "2026-11-01T12:00:00Z", "2026-10-26T04:00:00Z",
	  "2026-11-02T05:00:00Z", "2026-10-26" },
	/* R04 of the semantics: a month in UTC and in the west */
	{ "America/Los_Angeles", ZONE_MONTH, "2020-05-01T02:00:00Z", "2020-04-01T07:00:00Z",
	  "2020-05-01T07:00:00Z", "2020-04-01" },
	/* half hours and quarters */
	{ "Asia/Kolkata", ZONE_HOUR, "2026-11-24T10:11:12Z", "2026-11-24T09:30:00Z",
	  "2026-11-24T10:30:00Z", "2026-11-24T15:00:00+05:30" },
	{ "Asia/Kathmandu", ZONE_DAY, "2026-11-24T18:20:00Z", "2026-11-24T18:15:00Z",
	  "2026-11-25T18:15:00Z", "2026-11-25" },
	/* midnight did not exist */
	{ "America/Sao_Paulo", ZONE_DAY, "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z",
	  "2018-11-05T02:00:00Z", "2018-11-04" },
	/* a whole day did not exist */
	{ "Pacific/Apia", ZONE_DAY, "2011-12-30T09:00:00Z", "2011-12-29T10:00:00Z",
	  "2011-12-30T10:00:00Z", "2011-12-29" },
	/* half an hour of summer time */
	{ "Australia/Lord_Howe", ZONE_DAY, "2026-10-03T18:00:00Z", "2026-10-03T13:30:00Z",
	  "2026-10-04T13:00:00Z", "2026-10-04" },
	/* summer before winter within a year */
	{ "Australia/Sydney", ZONE_DAY, "2090-01-10T00:00:00Z", "2090-01-09T13:00:00Z",
	  "2090-01-10T13:00:00Z", "2090-01-10" },
};

static void test_starts(struct tap *tap)
{
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct zone *zone;
		struct err err = { "" };
		struct buf out = { 0 };
		int64_t start, next;
		char text[2][WHEN_TEXT_MAX];

		if (!OK(tap, zone_open(&zone, slice_from(starts[i].zone), &err) == 0,
			"%s opens: %s", starts[i].zone, err.text))
			continue;
		start = zone_start(zone, starts[i].unit, us_of(starts[i].at));
		next = zone_add(zone, starts[i].unit, start, 1);
		when_print(start, 3, text[0]);
		when_print(next, 3, text[1]);
		OK(tap, start == us_of(starts[i].start), "%s: %s begins at %s", starts[i].zone,
		   starts[i].at, text[0]);
		OK(tap, next == us_of(starts[i].next), "the next at %s", text[1]);
		OK(tap, zone_start(zone, starts[i].unit, start) == start, "which is its own start");
		zone_print(zone, starts[i].unit, start, &out);
		OK(tap, slice_is(buf_slice(&out), starts[i].print), "%.*s is printed",
		   (int)out.len, out.ptr);
		buf_close(&out);
		zone_close(zone);
	}
}

/* All hours of 60 years, against the C library. */
static void test_library(struct tap *tap, const char *name)
{
	struct zone *zone;
	struct buf out = { 0 };
	int64_t wrong = 0, checked = 0;

	if (!OK(tap, zone_open(&zone, slice_from(name), NULL) == 0, "%s opens", name))
		return;
	setenv("TZ", name, 1);
	tzset();
	for (int64_t second = INT64_C(3600) * 24 * 400; second < INT64_C(86400) * 365 * 80;
	     second += 3 * 3600 + 61) {
		time_t time = (time_t)second;
		struct tm tm;
		char wanted[32];

		localtime_r(&time, &tm);
		strftime(wanted, sizeof(wanted), "%Y-%m-%d", &tm);
		buf_reset(&out);
		zone_print(zone, ZONE_DAY, zone_start(zone, ZONE_DAY, second * SECOND), &out);
		wrong += !slice_is(buf_slice(&out), wanted);
		checked++;
	}
	OK(tap, wrong == 0, "%s: %lld days as the C library says, %lld not", name,
	   (long long)checked, (long long)wrong);
	buf_close(&out);
	zone_close(zone);
}

static void test_bounds(struct tap *tap)
{
	int64_t bounds[1001];
	struct zone *zone;
	int n;

	if (!OK(tap, zone_open(&zone, SLICE("Europe/Stockholm"), NULL) == 0, "opens"))
		return;
	n = zone_bounds(zone, ZONE_HOUR, us_of("2026-10-24T22:00:00Z"),
			us_of("2026-10-25T23:00:00Z"), bounds, 1000);
	OK(tap, n == 25, "25 hours in a day of October, %d", n);
	n = zone_bounds(zone, ZONE_HOUR, us_of("2026-03-28T23:00:00Z"),
			us_of("2026-03-29T22:00:00Z"), bounds, 1000);
	OK(tap, n == 23, "23 hours in a day of March, %d", n);
	n = zone_bounds(zone, ZONE_DAY, us_of("2026-03-01T12:00:00Z"),
			us_of("2026-04-01T12:00:00Z"), bounds, 1000);
	OK(tap, n == 32 && bounds[0] == us_of("2026-02-28T23:00:00Z") &&
	   bounds[32] == us_of("2026-04-01T22:00:00Z"), "days that are touched count, %d", n);
	OK(tap, zone_bounds(zone, ZONE_DAY, 0, us_of("2026-04-01T12:00:00Z"), bounds, 1000) ==
	   -ENOSPC, "too many");
	OK(tap, zone_bounds(zone, ZONE_DAY, 5, 5, bounds, 1000) == 0, "none");
	OK(tap, zone_shift(zone, ZONE_DAY, us_of("2026-03-30T10:00:00Z"), -7) ==
	   us_of("2026-03-23T11:00:00Z"), "a week back by the clock");
	OK(tap, zone_shift(zone, ZONE_MONTH, us_of("2026-03-31T10:00:00Z"), -1) ==
	   us_of("2026-02-28T11:00:00Z"), "a month back from the 31st");
	for (int days = 0; days < 7; days++) {
		char text[WHEN_TEXT_MAX];
		int64_t start;

		zone_week(zone, days);
		/* The 25th is a Sunday of 25 hours, and the sixth day after Monday. */
		start = zone_start(zone, ZONE_WEEK, us_of("2026-10-25T22:59:59Z"));
		when_print(start, 3, text);
		OK(tap, start == us_of("2026-10-18T22:00:00Z") + days * 86400 * SECOND,
		   "a week that begins %d days after Monday: %s", days, text);
		OK(tap, zone_add(zone, ZONE_WEEK, start, 1) ==
		   us_of("2026-10-25T23:00:00Z") + days * 86400 * SECOND,
		   "and its end");
		n = zone_bounds(zone, ZONE_WEEK, us_of("1969-12-20T00:00:00Z"),
				us_of("1970-01-20T00:00:00Z"), bounds, 1000);
		OK(tap, n == 5 || n == 6, "weeks around 1970, %d", n);
		for (int i = 0; i < n; i++)
			OK(tap, zone_start(zone, ZONE_WEEK, bounds[i + 1] - 1) == bounds[i],
			   "with whole weeks");
	}
	zone_close(zone);
	if (OK(tap, zone_open(&zone, SLICE("Australia/Lord_Howe"), NULL) == 0, "opens")) {
		n = zone_bounds(zone, ZONE_HOUR, us_of("2026-10-03T13:30:00Z"),
				us_of("2026-10-04T13:00:00Z"), bounds, 1000);
		OK(tap, n == 24, "half an hour is an hour of its own, %d", n);
		zone_close(zone);
	}
}

static void test_names(struct tap *tap)
{
	static const char *const bad[] = { "", "Mars", "../../etc/passwd", "/etc/localtime",
		"Europe", "Europe/Stockholm/", "Europe/..", "utc '", "leapseconds" };
	struct zone *zone;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = { "" };

		OK(tap, zone_open(&zone, slice_from(bad[i]), &err) < 0 && !zone && err.text[0],
		   "'%s' is none: %s", bad[i], err.text);
		zone_close(zone);
	}
}

int main(void)
{
	struct tap tap = { 0 };

	test_starts(&tap);
	test_bounds(&tap);
	test_names(&tap);
	test_library(&tap, "Europe/Stockholm");
	test_library(&tap, "America/New_York");
	test_library(&tap, "Asia/Kathmandu");
	test_library(&tap, "Australia/Lord_Howe");
	test_library(&tap, "Africa/Casablanca");
	test_library(&tap, "Europe/Dublin");
	return tap_end(&tap);
}
