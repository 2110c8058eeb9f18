/* ranges - numbers of which there are too many to be a segment each, in even ranges
 *
 *      numbers of a property's values (scan.h) --> groups: a value, or values + the range's number
 *
 * About RANGES_ABOUT of a round width (1, 2 or 5 times a power of ten) cover the values that a
 * question's own events have, where these are more than RANGES_NUMBERS different numbers.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_RANGES_H
#define AGGREGATE_RANGES_H

#include "aggregate/scan.h"

#define RANGES_NUMBERS 20
#define RANGES_ABOUT   10

struct ranges {
	uint32_t values;                /* of the property */
	uint32_t count;                 /* of ranges; 0: a value is its own group */
	double from, width;
	uint32_t *groups;               /* owned; [values]; NULL: count is 0 */
};

/* Are there so many numbers among all of its values that ranges may be needed? */
bool ranges_may_need(const struct scan_prop *prop);
/* seen: which values there are. -ENOMEM. */
MUST_CHECK int ranges_make(struct ranges *ranges, const struct scan_prop *prop,
			   const uint8_t *seen);
void ranges_close(struct ranges *ranges);

static inline uint32_t ranges_group(const struct ranges *ranges, uint32_t number)
{
	return ranges->groups ? ranges->groups[number] : number;
}

/* Where a range begins; a value that is its own group. */
struct prop ranges_low(const struct ranges *ranges, const struct scan_prop *prop, uint32_t group);
/* "[0, 10)", "(not set)", "(empty string)" or the value. */
void ranges_write(const struct ranges *ranges, const struct scan_prop *prop, uint32_t group,
		  struct buf *out);

#endif
