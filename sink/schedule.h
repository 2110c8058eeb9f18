/* schedule - cron lines and quiet hours, in the local time of a zone
 *
 *      minute hour day month weekday      * , - /  and jan.. mon..; @hourly @daily @weekly @monthly
 *
 * Day and weekday: where both are given, either will do, as in cron. Where clocks go forward, what
 * stands in the hour that is left out happens when they have gone; where they go back, an hour that
 * comes twice counts the first time only, unless every hour is meant.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SCHEDULE_H
#define SINK_SCHEDULE_H

#include <stdbool.h>

#include "lib/zone.h"

struct cron {
	uint64_t minutes;               /* a bit each */
	uint32_t hours, days, months, weekdays;
	bool any_day, any_weekday;
};

struct quiet {
	bool is_set;
	int from, to;                   /* minutes of the day; from > to: over midnight */
};

/* -EBADMSG: words say which part is wrong. */
MUST_CHECK int cron_parse(const char *text, struct cron *cron, struct err *err);
/* The first instant after after_us; INT64_MAX: none within five years (30 February). */
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_us);
/* "22:00-08:00"; NULL or "": never. */
MUST_CHECK int quiet_parse(const char *text, struct quiet *quiet, struct err *err);
/* us where it is not quiet then, else when it ends. */
int64_t quiet_end(const struct quiet *quiet, const struct zone *zone, int64_t us);

#endif
