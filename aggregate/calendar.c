// SPDX-License-Identifier: Apache-2.0
#include "aggregate/calendar.h"

#include <errno.h>
#include <stdlib.h>

int calendar_init(struct calendar *calendar, const struct question_range *range,
		  enum zone_unit unit, int beyond, struct question_error *error)
{
	int count;

	*calendar = (struct calendar){ .unit = unit, .zone = range->zone };
	calendar->bounds = calloc((size_t)QUESTION_BUCKETS_MAX + (size_t)beyond + 1,
				  sizeof(*calendar->bounds));
	if (!calendar->bounds)
		return question_fail_scan(error, -ENOMEM);
	count = zone_bounds(range->zone, unit, range->from_us, range->to_us, calendar->bounds,
			    QUESTION_BUCKETS_MAX);
	if (count < 0)
		return question_fail(error, "/unit", "too_many",
				     "more than %d buckets; ask for a shorter range or a longer "
				     "unit", QUESTION_BUCKETS_MAX);
	calendar->count = count;
	calendar->beyond = beyond;
	for (int i = count; i < count + beyond; i++)
		calendar->bounds[i + 1] = zone_add(range->zone, unit, calendar->bounds[i], 1);
	return 0;
}

void calendar_close(struct calendar *calendar)
{
	free(calendar->bounds);
	*calendar = (struct calendar){ .bounds = NULL };
}

int calendar_bucket(const struct calendar *calendar, int64_t time_us, int *hint)
{
	int last = calendar->count + calendar->beyond;

	if (time_us < calendar->bounds[0])
		return -1;
	while (*hint < last && time_us >= calendar->bounds[*hint + 1])
		(*hint)++;
	return *hint;
}

void calendar_write(const struct calendar *calendar, struct buf *out)
{
	buf_append_text(out, "\"buckets\":[");
	for (int i = 0; i < calendar->count; i++) {
		buf_append_text(out, i ? ",\"" : "\"");
		zone_print(calendar->zone, calendar->unit, calendar->bounds[i], out);
		buf_append_char(out, '"');
	}
	buf_append_char(out, ']');
}
