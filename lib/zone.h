/* zone - local time of an IANA zone, from the system's TZif files
 *
 * Buckets are local calendar units: a day may have 23 or 25 hours. Boundaries are computed once
 * per question; a time finds its bucket by binary search, or by stepping on from the last one.
 * Weeks begin on Monday, or as zone_week says.
 * TZif: RFC 8536, version 2 block and its footer rule.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_ZONE_H
#define LIB_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

struct zone;

enum zone_unit {
	ZONE_MINUTE, ZONE_HOUR, ZONE_DAY, ZONE_WEEK, ZONE_MONTH, ZONE_QUARTER, ZONE_YEAR
};

/* "UTC", "Europe/Stockholm". -ENOENT: no such zone; also for names with ".." or a leading '/'. */
MUST_CHECK int zone_open(struct zone **zonep, struct slice name, struct err *err);
void zone_close(struct zone *zone);
/* Weeks begin so many days after Monday, 0 to 6. Before the zone is shared. */
void zone_week(struct zone *zone, int days);

/* The start of the unit that time_us is in; n units further (or back). */
int64_t zone_start(const struct zone *zone, enum zone_unit unit, int64_t time_us);
int64_t zone_add(const struct zone *zone, enum zone_unit unit, int64_t start_us, int64_t n);
/* The same time of the clock n units away, for any instant; the 31st becomes a month's last day. */
int64_t zone_shift(const struct zone *zone, enum zone_unit unit, int64_t us, int64_t n);
/* bounds[0] <= from < bounds[1] ..: starts of all units that touch [from, to), and the end of the
 * last. Returns the number of buckets, or -ENOSPC over max. bounds has room for max + 1. */
MUST_CHECK int zone_bounds(const struct zone *zone, enum zone_unit unit, int64_t from_us,
			   int64_t to_us, int64_t *bounds, int max);
/* Local midnight of a date, as an instant. -EINVAL: no such day. */
MUST_CHECK int zone_date(const struct zone *zone, int year, int month, int day, int64_t *us);
/* "2026-11-01" for days, weeks and longer, "2026-11-01T13:00:00+01:00" for shorter units. */
void zone_print(const struct zone *zone, enum zone_unit unit, int64_t us, struct buf *out);

#endif
