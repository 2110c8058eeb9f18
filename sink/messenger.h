/* messenger - a trigger at work: members records in, messages out, each once
 *
 *      record --who.h: new? matches? once? holdout? --> waiting --due, quiet, throttle, recheck-->
 *          journal `sending` --> teller --> journal `sent` | `failed` | `retry` | `unknown`
 *                                               `--> event through collect, journal `reported`
 *
 * The topic is read from its start each time, so all that is remembered of messages is the journal
 * (docs/messages.md, "The log"). What is there with `sending` was sent or may have been: it does
 * not go again, unless the channel has keys (webhook).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_MESSENGER_H
#define SINK_MESSENGER_H

#include "sink/outlet.h"
#include "sink/trigger.h"

struct messenger_conf {
	const struct trigger *trigger;
	const struct schema *schema;    /* of members */
	const char *state_dir;          /* messages/NAME; is made */
	const char *dir;                /* of millrace.yaml */
	const struct guard *guard;
	const struct log *log;
	const char *ca_file;
	const char *report_url, *report_key;    /* NULL: no events */
	int64_t (*now_us)(void *ctx);   /* the clock of tests; NULL: the real one */
	void *clock;
};

MUST_CHECK int messenger_open(struct outlet **outletp, const struct messenger_conf *conf,
			      struct err *err);

#endif
