// SPDX-License-Identifier: Apache-2.0
#include "sink/schedule.h"

#include <errno.h>
#include <string.h>

#include "lib/when.h"
#include "tests/tap.h"

/* Sweden: clocks go forward 2026-03-29 02:00 -> 03:00, back 2026-10-25 03:00 -> 02:00. */
static const struct {
	const char *line, *zone, *after, *wanted;
} crons[] = {
	{ "0 9 * * wed", "UTC", "2026-11-24T10:00:00Z", "2026-11-25T09:00:00.000Z" },
	{ "0 9 * * wed", "Europe/Stockholm", "2026-11-25T08:00:00Z", "2026-12-02T08:00:00.000Z" },
	{ "0 9 * * *", "Europe/Stockholm", "2026-03-28T08:00:00Z", "2026-03-29T07:00:00.000Z" },
	{ "0 9 * * *", "Europe/Stockholm", "2026-10-24T08:00:00Z", "2026-10-25T08:00:00.000Z" },
	{ "30 2 * * *", "Europe/Stockholm", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00.000Z" },
	{ "30 2 * * *", "Europe/Stockholm", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00.000Z" },
	{ "30 2 * * *", "Europe/Stockholm", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00.000Z" },
	{ "30 2 * * *", "Europe/Stockholm", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00.000Z" },
	{ "15 * * * *", "Europe/Stockholm", "2026-10-25T00:15:00Z", "2026-10-25T01:15:00.000Z" },
	{ "*/20 8-10 * * mon-fri", "UTC", "2026-11-27T10:40:00Z", "2026-11-30T08:00:00.000Z" },
	{ "0 0 29 feb *", "UTC", "2026-11-24T00:00:00Z", "2028-02-29T00:00:00.000Z" },
	{ "0 0 13 * fri", "UTC", "2026-11-24T00:00:00Z", "2026-11-27T00:00:00.000Z" },
	{ "@monthly", "America/New_York", "2026-11-24T00:00:00Z", "2026-12-01T05:00:00.000Z" },
	{ "0 0 * * 7", "UTC", "2026-11-24T00:00:00Z", "2026-11-29T00:00:00.000Z" },
	{ "0 0 30 feb *", "UTC", "2026-11-24T00:00:00Z", NULL },
};

static const struct {
	const char *quiet, *zone, *at, *wanted;
} quiets[] = {
	{ "22:00-08:00", "UTC", "2026-11-24T21:59:59Z", "2026-11-24T21:59:59.000Z" },
	{ "22:00-08:00", "UTC", "2026-11-24T22:00:00Z", "2026-11-25T08:00:00.000Z" },
	{ "22:00-08:00", "UTC", "2026-11-25T07:59:00Z", "2026-11-25T08:00:00.000Z" },
	{ "22:00-08:00", "UTC", "2026-11-25T08:00:00Z", "2026-11-25T08:00:00.000Z" },
	{ "22:00-08:00", "Europe/Stockholm", "2026-03-28T22:00:00Z", "2026-03-29T06:00:00.000Z" },
	{ "22:00-08:00", "Europe/Stockholm", "2026-10-24T21:00:00Z", "2026-10-25T07:00:00.000Z" },
	{ "01:00-02:30", "Europe/Stockholm", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00.000Z" },
	{ "12:00-13:00", "Asia/Kolkata", "2026-11-24T07:00:00Z", "2026-11-24T07:30:00.000Z" },
	{ "", "UTC", "2026-11-24T23:00:00Z", "2026-11-24T23:00:00.000Z" },
};

static const char *const wrong[] = { "", "0 9 * *", "60 * * * *", "0 24 * * *", "0 0 0 * *",
	"0 0 * 13 *", "0 0 * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *", "0 9 * * wed x",
	"1, * * * * x", "@never" };

static const char *const wrong_quiets[] = { "22-8", "22:00", "25:00-08:00", "22:00-08:60", "x",
	"08:00-08:00", "22:00-08:00x" };

int main(void)
{
	struct tap tap = { 0 };
	struct err err = { "" };
	char text[WHEN_TEXT_MAX];
	struct quiet quiet;
	struct cron cron;
	struct zone *zone;
	int64_t us, got;

	for (size_t i = 0; i < sizeof(crons) / sizeof(crons[0]); i++) {
		if (cron_parse(crons[i].line, &cron, &err) < 0 ||
		    zone_open(&zone, slice_from(crons[i].zone), &err) < 0 ||
		    when_parse(slice_from(crons[i].after), &us) < 0) {
			OK(&tap, false, "%s: %s", crons[i].line, err.text);
			continue;
		}
		got = cron_next(&cron, zone, us);
		when_print(got, 3, text);
		OK(&tap, crons[i].wanted ? strcmp(text, crons[i].wanted) == 0 : got == INT64_MAX,
		   "%s %s after %s: %s", crons[i].line, crons[i].zone, crons[i].after, text);
		zone_close(zone);
	}
	for (size_t i = 0; i < sizeof(quiets) / sizeof(quiets[0]); i++) {
		if (quiet_parse(quiets[i].quiet, &quiet, &err) < 0 ||
		    zone_open(&zone, slice_from(quiets[i].zone), &err) < 0 ||
		    when_parse(slice_from(quiets[i].at), &us) < 0) {
			OK(&tap, false, "%s: %s", quiets[i].quiet, err.text);
			continue;
		}
		when_print(quiet_end(&quiet, zone, us), 3, text);
		OK(&tap, strcmp(text, quiets[i].wanted) == 0, "%s %s at %s: %s", quiets[i].quiet,
		   quiets[i].zone, quiets[i].at, text);
		zone_close(zone);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		OK(&tap, cron_parse(wrong[i], &cron, &err) == -EBADMSG, "no cron: %s", wrong[i]);
	for (size_t i = 0; i < sizeof(wrong_quiets) / sizeof(wrong_quiets[0]); i++)
		OK(&tap, quiet_parse(wrong_quiets[i], &quiet, &err) == -EBADMSG, "no span: %s",
		   wrong_quiets[i]);
	return tap_end(&tap);
}
