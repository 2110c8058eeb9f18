/* session - where a person's visits begin
 *
 * A session is what a person does without a pause: a gap of timeout or more (30 minutes) begins a
 * new one, and so does local midnight where a question asks for it. Nothing is stored: the rule is
 * applied to the events when a question is asked, so that a change of it shows in the past, too.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SESSION_H
#define AGGREGATE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/question.h"

#define SESSION_TIMEOUT_US (INT64_C(30) * 60 * 1000000)

struct session_rule {
	int64_t timeout_us;
	const struct zone *midnight;    /* a day of this zone ends sessions; NULL: it does not */
};

/* From the question's "session": {"timeout":{"n":30,"unit":"minute"},"midnight":true}. */
MUST_CHECK int session_parse(struct session_rule *rule, yyjson_val *root, const struct zone *zone,
			     struct question_error *error);

/* Does an event at time_us, after one at previous_us (<= time_us), begin a new session? */
static inline bool session_begins(const struct session_rule *rule, int64_t previous_us,
				  int64_t time_us)
{
	return time_us - previous_us >= rule->timeout_us ||
	       (rule->midnight && zone_start(rule->midnight, ZONE_DAY, time_us) > previous_us);
}

#endif
