/* teller - one message of a trigger: made from a members record, and sent
 *
 * Blocks while sending: a trigger's messages go one after the other.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_TELLER_H
#define SINK_TELLER_H

#include "sink/trigger.h"

struct teller;

struct teller_conf {
	const struct trigger *trigger;
	const struct schema *schema;    /* of members */
	const struct guard *guard;
	const struct log *log;
	const char *state_dir, *ca_file;
	const atomic_bool *stop;
	bool is_dry;
};

MUST_CHECK int teller_open(struct teller **tellerp, const struct teller_conf *conf,
			   struct err *err);
void teller_close(struct teller *teller);
/* -EBADMSG: no message can be made, words say why. */
MUST_CHECK int teller_make(struct teller *teller, const struct value *fields, struct err *err);
/* What was made last: where to ("" but for email), and its text. */
struct slice teller_to(const struct teller *teller);
struct slice teller_text(const struct teller *teller);
void teller_send(struct teller *teller, const char *key, struct dest_result *result);

/* POSTs JSON to a URL (or file:PATH, whose first line is HOST:PORT) with a write key. 0: 2xx; else
 * words. */
MUST_CHECK int teller_report(struct teller *teller, const char *url, const char *key,
			     struct slice body, struct err *err);

#endif
