/* funnel_plain - the commonest funnels, straight from the rows
 *
 *      spans of a person's rows --> row after row: the steps' chains --> level, times --> tally
 *
 * Ordered, best entry, no exclusions, nothing held, no segments, no trend. Reading stops where a
 * person has come to the last step. One whose spans overlap in time, or who did two things at the
 * same instant, goes through funnel_run; the others by the same rules for lone events.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_FUNNEL_PLAIN_H
#define AGGREGATE_FUNNEL_PLAIN_H

#include "aggregate/funnel_count.h"

bool funnel_plain_may(const struct funnel_ask *ask);
/* As funnel_count_run; the tally is made. */
MUST_CHECK int funnel_plain_run(struct funnel_result *result, const struct funnel_ask *ask,
				struct scan_conf *scan);

#endif
