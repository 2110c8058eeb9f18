// SPDX-License-Identifier: Apache-2.0
#include "aggregate/ranges.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

bool ranges_may_need(const struct scan_prop *prop)
{
	uint32_t numbers = 0, count = scan_prop_count(prop);

	for (uint32_t i = 1; i < count && numbers <= RANGES_NUMBERS; i++)
		numbers += scan_prop_of(prop, i).kind == PROP_NUMBER;
	return numbers > RANGES_NUMBERS;
}

/* 1, 2 or 5 times a power of ten, so that about RANGES_ABOUT cover the span. */
static double round_width(double span)
{
	double least = span / RANGES_ABOUT, power = pow(10, floor(log10(least)));

	return least <= power ? power : least <= 2 * power ? 2 * power
	       : least <= 5 * power ? 5 * power : 10 * power;
}

static uint32_t range_of(const struct ranges *ranges, double number, uint32_t count)
{
	double range = floor((number - ranges->from) / ranges->width);

	if (range < 0)
		range = 0;
	return range < count ? (uint32_t)range : count - 1;
}

int ranges_make(struct ranges *ranges, const struct scan_prop *prop, const uint8_t *seen)
{
	double low = INFINITY, high = -INFINITY;
	uint32_t numbers = 0;

	*ranges = (struct ranges){ .values = scan_prop_count(prop) };
	for (uint32_t i = 1; i < ranges->values; i++) {
		struct prop value = scan_prop_of(prop, i);

		if (!seen[i] || value.kind != PROP_NUMBER)
			continue;
		numbers++;
		low = fmin(low, value.number);
		high = fmax(high, value.number);
	}
	if (numbers <= RANGES_NUMBERS || !isfinite(high - low))
		return 0;
	ranges->groups = calloc(ranges->values, sizeof(*ranges->groups));
	if (!ranges->groups)
		return -ENOMEM;
	ranges->width = round_width(high - low);
	ranges->from = floor(low / ranges->width) * ranges->width;
	ranges->count = (uint32_t)((high - ranges->from) / ranges->width) + 1;
	for (uint32_t i = 0; i < ranges->values; i++) {
		struct prop value = scan_prop_of(prop, i);

		ranges->groups[i] = value.kind != PROP_NUMBER ? i : ranges->values +
				    range_of(ranges, value.number, ranges->count);
	}
	return 0;
}

void ranges_close(struct ranges *ranges)
{
	free(ranges->groups);
	*ranges = (struct ranges){ .count = 0 };
}

static struct prop edge(const struct ranges *ranges, uint32_t range)
{
	return (struct prop){ .kind = PROP_NUMBER,
			      .number = ranges->from + range * ranges->width + 0.0 };
}

struct prop ranges_low(const struct ranges *ranges, const struct scan_prop *prop, uint32_t group)
{
	if (!ranges->count || group < ranges->values)
		return scan_prop_of(prop, group);
	return edge(ranges, group - ranges->values);
}

void ranges_write(const struct ranges *ranges, const struct scan_prop *prop, uint32_t group,
		  struct buf *out)
{
	bool is_range = ranges->count && group >= ranges->values;
	struct prop low = ranges_low(ranges, prop, group), high;

	if (is_range) {
		high = edge(ranges, group - ranges->values + 1);
		buf_append_char(out, '[');
		prop_print(&low, out);
		buf_append_text(out, ", ");
		prop_print(&high, out);
		buf_append_char(out, ')');
	} else if (low.kind == PROP_NONE) {
		buf_append_text(out, "(not set)");
	} else if (low.kind == PROP_TEXT && low.text.len == 0) {
		buf_append_text(out, "(empty string)");
	} else {
		prop_print(&low, out);
	}
}
