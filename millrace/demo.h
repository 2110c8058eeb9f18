/* demo - the shop, sent to a whole millrace that is started for it
 *
 *      DIR/millrace.yaml, destinations/ --> `millrace up` (its log: DIR/millrace.log)
 *      history of the last days --POST /v1/batch--> collect --> ..  --> DIR/truth.json
 *      then live, so many events a second, until ^C;  or, with --no-live, an orderly stop
 *
 * DIR/shop.json keeps what the history was made from (seed, users, time). A demo that was
 * interrupted makes the same messages again, and one that is started again on a whole history
 * makes it without sending, to know its visitors; so nothing is ever counted twice.
 * DIR/live.json has the counts of the live runs, so that the next goes on with them.
 * DIR/truth.json has what the shop knows: events and people by event name.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_DEMO_H
#define MILLRACE_DEMO_H

#include "lib/err.h"
#include "millrace/options.h"

/* Words for the person at the terminal; whole lines. */
typedef void demo_say_fn(void *ctx, const char *text);

/* program: how the person called us, for the commands that are shown. Ends with 0 after ^C. */
MUST_CHECK int demo_run(const struct demo_conf *conf, const char *program, demo_say_fn *say,
			void *ctx, struct err *err);

#endif
