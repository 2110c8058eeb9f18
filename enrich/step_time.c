// SPDX-License-Identifier: Apache-2.0
/*
 * When: the sender's time, corrected for its clock.
 *
 *      given     = timestamp, else originalTimestamp (rudder-sdk-node has only that)
 *      timestamp = given + (received_at - sent_at)      Segment's rule; without sent_at: given
 *                = received_at where nothing was given or it cannot be read
 *
 * The difference of the sender's clock at sending and ours at receipt is its error plus the
 * network's delay. A result before 1971 or more than an hour after received_at is a broken
 * clock, and becomes received_at (docs/semantics: a time in the future is overwritten with now).
 * original_timestamp keeps what was given. The clock of this machine plays no part.
 */
#include "enrich/step.h"

#include <errno.h>

#include "lib/when.h"

#define TIME_FIRST_US   INT64_C(31536000000000)         /* 1971-01-01T00:00:00Z */
#define TIME_AHEAD_US   INT64_C(3600000000)

static struct value parse(yyjson_val *value)
{
	struct slice text = json_string(value);
	int64_t us;

	if (text.len == 0 || when_parse(text, &us) < 0)
		return (struct value){ .is_set = false };
	return value_num(us);
}

static int64_t corrected(struct value given, struct value sent, int64_t received_us)
{
	int64_t skew_us = 0, us;

	if (!given.is_set)
		return received_us;
	if (sent.is_set && __builtin_sub_overflow(received_us, sent.num, &skew_us))
		return received_us;
	if (__builtin_add_overflow(given.num, skew_us, &us) || us < TIME_FIRST_US)
		return received_us;
	return us > received_us && us - received_us > TIME_AHEAD_US ? received_us : us;
}

static int apply(void *state, struct step_event *event)
{
	struct value given = parse(event->body[STEP_BODY_TIMESTAMP]);

	(void)state;
	if (!given.is_set)
		given = parse(event->body[STEP_BODY_ORIGINAL_TIMESTAMP]);
	event->out[ENRICHED_ORIGINAL_TIMESTAMP] = given;
	event->out[ENRICHED_TIMESTAMP] =
		value_num(corrected(given, event->in[COLLECTED_SENT_AT],
				    event->in[COLLECTED_RECEIVED_AT].num));
	return 0;
}

const struct step_kind step_time = {
	.name = "time",
	.version = 1,
	.apply = apply,
};
