/* activity - which local units a person did something in: lifecycle, stickiness
 *
 * Both questions are {"event":NAME,"where":..,"unit":..} over a range; whole units count, so that
 * the range is widened to those that it touches.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_ACTIVITY_H
#define AGGREGATE_ACTIVITY_H

#include "aggregate/calendar.h"
#include "aggregate/measure.h"
#include "aggregate/pick.h"

struct activity {
	struct question_range range;    /* owned, as all below */
	struct predicate *where;
	struct pick pick;
	struct calendar calendar;
};

/* known: the question's members. The caller closes in any case. */
MUST_CHECK int activity_parse(struct activity *activity, yyjson_val *root,
			      const char *const *known, const struct measure_world *world,
			      struct question_error *error);
void activity_close(struct activity *activity);

/* Scans with one selector, from from_us on; ops->begin gets ctx. */
MUST_CHECK int activity_scan(const struct activity *activity, int64_t from_us,
			     struct measure_world *world, const struct scan_ops *ops, void *ctx,
			     struct question_error *error);

/* ,"incomplete":[false,..]: of each bucket. */
void activity_write_incomplete(const struct activity *activity, int64_t through_us,
			       struct buf *out);

#endif
