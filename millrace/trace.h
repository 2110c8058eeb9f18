/* trace - where one event is, by its message id
 *
 *      collected, which offsets --> enriched, or bad, or a duplicate, or not read yet
 *                                     `--> aggregate, and each destination: file, done, dead letter
 *
 * Reads the topics from --last on, as audit does; nobody is asked but aggregate, how far it is.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_TRACE_H
#define MILLRACE_TRACE_H

#include "lib/buf.h"
#include "lib/opt.h"
#include "millrace/settings.h"

struct trace_conf {
	const char *data, *bus, *last;
	struct opt_list kafka;
	bool is_json;
};

extern const struct opt_program trace_program;

/* 0; -ENOENT: nobody knows it (out says so, too); other: words. */
MUST_CHECK int trace_run(const struct trace_conf *conf, const struct settings *settings,
			 const char *message_id, struct buf *out, struct err *err);

#endif
