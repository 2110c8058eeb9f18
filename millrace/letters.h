/* letters - the dead letters of a destination: what it did not take, or not in time
 *
 *      bad (destination = NAME) --> message id, event, person, reason, words, attempts, times
 *
 * `sink --from bad --to NAME` sends them again, each once: what that has settled is marked so.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_LETTERS_H
#define MILLRACE_LETTERS_H

#include "lib/buf.h"
#include "lib/opt.h"
#include "millrace/settings.h"

struct letters_conf {
	const char *bus;                /* NULL: the settings' */
	const struct opt_list *kafka;
	int64_t limit;                  /* the latest ones are shown */
	bool is_json;
};

MUST_CHECK int letters_print(const struct letters_conf *conf, const struct settings *settings,
			     const char *name, struct buf *out, struct err *err);

#endif
