// SPDX-License-Identifier: Apache-2.0
#include "lib/when.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "tests/guard.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)
#define FIRST (INT64_C(-62167219200) * SECOND)  /* 0000-01-01 */
#define END   (INT64_C(253402300800) * SECOND)  /* 10000-01-01 */

#define BAD INT64_MIN

static const struct {
	const char *text;
	int64_t us;             /* BAD: refused */
} rows[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "1970-01-01T00:00:00.000Z", 0 },
	{ "1970-01-01t00:00:00z", 0 },
	{ "1970-01-01 00:00:00Z", 0 },
	{ "1969-12-31T23:59:59.999999Z", -1 },
	{ "2026-11-24T10:00:00.123Z", INT64_C(1795514400123000) },
	{ "2026-11-24T10:00:00.1Z", INT64_C(1795514400100000) },
	{ "2026-11-24T10:00:00.123456Z", INT64_C(1795514400123456) },
	{ "2026-11-24T10:00:00.123456789Z", INT64_C(1795514400123456) },
	{ "2026-11-24T10:00:00.999999999Z", INT64_C(1795514400999999) },
	{ "2026-11-24T12:30:00+02:30", INT64_C(1795514400000000) },
	{ "2026-11-24T02:00:00-08:00", INT64_C(1795514400000000) },
	{ "2026-11-24T02:00:00.5-08:00", INT64_C(1795514400500000) },
	{ "1970-01-01T00:00:00+00:00", 0 },
	{ "1970-01-01T00:00:00-00:00", 0 },
	{ "1970-01-01T23:59:00+23:59", 0 },
	{ "2000-02-29T00:00:00Z", INT64_C(951782400000000) },
	{ "0000-01-01T00:00:00Z", FIRST },
	{ "0000-02-29T00:00:00Z", FIRST + 59 * 86400 * SECOND },
	{ "9999-12-31T23:59:59.999999Z", END - 1 },
	{ "2016-12-31T23:59:60Z", INT64_C(1483228800000000) },
	{ "2016-12-31T18:59:60.5-05:00", INT64_C(1483228800500000) },
	{ "2016-12-31T22:59:60Z", BAD },
	{ "2016-12-31T23:58:60Z", BAD },
	{ "0000-01-01T00:00:00+00:01", BAD },
	{ "9999-12-31T23:59:59-00:01", BAD },
	{ "9999-12-31T23:59:60Z", BAD },
	{ "2026-02-29T00:00:00Z", BAD },
	{ "1900-02-29T00:00:00Z", BAD },
	{ "2026-02-30T00:00:00Z", BAD },
	{ "2026-04-31T00:00:00Z", BAD },
	{ "2026-00-10T00:00:00Z", BAD },
	{ "2026-13-10T00:00:00Z", BAD },
	{ "2026-01-00T00:00:00Z", BAD },
	{ "2026-01-32T00:00:00Z", BAD },
	{ "2026-11-24T24:00:00Z", BAD },
	{ "2026-11-24T10:60:00Z", BAD },
	{ "2026-11-24T10:00:61Z", BAD },
	{ "2026-11-24T10:00:00", BAD },
	{ "2026-11-24T10:00:00.123", BAD },
	{ "2026-11-24T10:00Z", BAD },
	{ "2026-11-24", BAD },
	{ "2026-11-24T10:00:00.Z", BAD },
	{ "2026-11-24T10:00:00.1234567890Z", BAD },
	{ "2026-11-24T10:00:00,5Z", BAD },
	{ "2026-11-24T10:00:00+0200", BAD },
	{ "2026-11-24T10:00:00+02", BAD },
	{ "2026-11-24T10:00:00+24:00", BAD },
	{ "2026-11-24T10:00:00+02:60", BAD },
	{ "2026-11-24T10:00:00ZZ", BAD },
	{ "2026-11-24T10:00:00Z ", BAD },
	{ " 2026-11-24T10:00:00Z", BAD },
	{ "-026-11-24T10:00:00Z", BAD },
	{ "2026-1 -24T10:00:00Z", BAD },
	{ "20261124T100000Z1234", BAD },
	{ "", BAD },
	{ "1795514400", BAD },
};

static void test_rows(struct tap *tap)
{
	struct guard guard;
	int taken = 0;

	guard_open(&guard);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice text = guard_copy(&guard, rows[i].text, strlen(rows[i].text));
		int64_t us = BAD;
		int rc = when_parse(text, &us);

		OK(tap, rc == (rows[i].us == BAD ? -EBADMSG : 0) && us == rows[i].us, "'%s' (%lld)",
		   rows[i].text, (long long)us);
		for (size_t cut = 0; cut < text.len; cut++)
			if (when_parse(guard_copy(&guard, rows[i].text, cut), &us) == 0 && cut < 20)
				taken++;
	}
	OK(tap, taken == 0, "nothing under 20 bytes is an instant");
	guard_close(&guard);
}

/* What glibc makes of the same instant. */
static bool agrees(int64_t us, int digits)
{
	char ours[WHEN_TEXT_MAX], wanted[64];
	int64_t seconds = us / SECOND, fraction = us % SECOND, back;
	time_t at;
	struct tm tm;
	size_t len = when_print(us, digits, ours);

	if (fraction < 0) {
		fraction += SECOND;
		seconds--;
	}
	at = (time_t)seconds;
	gmtime_r(&at, &tm);
	if (digits != 6)
		fraction = fraction / 1000 * 1000;
	snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT%02d:%02d:%02d.%0*dZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, digits,
		 (int)(digits == 6 ? fraction : fraction / 1000));
	if (len != strlen(wanted) || strcmp(ours, wanted) != 0) {
		printf("# %lld: '%s', gmtime says '%s'\n", (long long)us, ours, wanted);
		return false;
	}
	return when_parse((struct slice){ ours, len }, &back) == 0 &&
	       back == seconds * SECOND + fraction;
}

static void test_gmtime(struct tap *tap)
{
	uint64_t seed = 20261124, x = seed;
	int wrong = 0, days = 0;

	for (int64_t us = FIRST; us < END && wrong < 5; us += 86400 * SECOND, days++)
		wrong += !agrees(us, 3);
	OK(tap, wrong == 0 && days == 3652425, "all %d days of the years 0 to 9999 as gmtime's",
		days);
	for (int i = 0; i < 200000 && wrong < 5; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		wrong += !agrees(FIRST + (int64_t)((x >> 1) % (uint64_t)(END - FIRST)),
				 i % 2 ? 3 : 6);
	}
	OK(tap, wrong == 0, "200,000 random instants, seed %llu", (unsigned long long)seed);
}

int main(void)
{
	struct tap tap = { 0 };
	char text[WHEN_TEXT_MAX];
	int64_t us, ms = when_monotonic_ms();

	test_rows(&tap);
	test_gmtime(&tap);
	OK(&tap, when_print(INT64_MIN, 3, text) == 24 &&
	   strcmp(text, "0000-01-01T00:00:00.000Z") == 0, "clamped at the start");
	OK(&tap, when_print(INT64_MAX, 6, text) == 27 &&
	   strcmp(text, "9999-12-31T23:59:59.999999Z") == 0, "clamped at the end");
	us = when_now_us();
	OK(&tap, us / SECOND - time(NULL) <= 1 && time(NULL) - us / SECOND <= 1, "now is now");
	OK(&tap, when_monotonic_ms() >= ms, "the clock goes on");
	return tap_end(&tap);
}
