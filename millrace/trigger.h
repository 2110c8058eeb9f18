/* trigger - the switch of messages: triggers/NAME.yaml from the command line
 *
 *      list                       name, channel, query, on or off, what its sink says
 *      enable, disable NAME       `millrace up` sees it within a second
 *      log NAME                   the latest lines of what was sent, oldest first
 *      check, preview, test NAME  sink's own: it has the channels
 *
 * docs/messages.md says what stands in the files, in the log and in a status.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_TRIGGER_H
#define MILLRACE_TRIGGER_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/opt.h"
#include "millrace/settings.h"

struct trigger_conf {
	const char *data, *person, *address;
	int64_t limit;
	bool is_json;
};

extern const struct opt_program trigger_program;

#define TRIGGER_CALL_MAX 12

/* A call of sink that does it: texts are owned, the array ends with NULL. */
struct trigger_call {
	char *args[TRIGGER_CALL_MAX];
};

/* args: verb and name. Appends what is to be printed, or fills call. -EINVAL: words. */
MUST_CHECK int trigger_run(const struct trigger_conf *conf, const struct settings *settings,
			   const struct opt_list *args, struct trigger_call *call,
			   struct buf *out, struct err *err);
void trigger_call_close(struct trigger_call *call);

#endif
