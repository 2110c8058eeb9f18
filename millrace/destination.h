/* destination - the switch: destinations/NAME.yaml from the command line
 *
 *      list                       name, type, on or off, what its sink says
 *      add NAME --type T --set K=V..   writes the file; `millrace up` sees it within a second
 *      enable, disable, remove, test NAME
 *      letters NAME               what it did not take: dead letters in bad         letters.h
 *
 * Files are written whole beside their place and renamed. A --secret KEY is read from stdin into
 * destinations/.secrets/NAME.KEY, for the owner alone, and never shown again.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_DESTINATION_H
#define MILLRACE_DESTINATION_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/opt.h"
#include "millrace/settings.h"

struct destination_conf {
	const char *data, *type, *secret, *bus;
	struct opt_list sets, kafka;
	int64_t limit;
	bool is_json;
};

extern const struct opt_program destination_program;

/* args: verb and name. secret: what stdin held, for --secret. -EINVAL: words. */
MUST_CHECK int destination_run(const struct destination_conf *conf, const struct settings *settings,
			       const struct opt_list *args, struct slice secret, struct buf *out,
			       struct err *err);

#endif
