/* query - questions to aggregate, and its answers as tables
 *
 *      options --> JSON question --> aggregate --> JSON answer --> table | CSV | as it came
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_QUERY_H
#define MILLRACE_QUERY_H

#include "lib/buf.h"
#include "lib/err.h"
#include "millrace/options.h"

/* kind: "trend" or "events". Appends what is to be printed to out. -ECONNREFUSED: nobody is
 * there; -EINVAL: the question is wrong, in aggregate's words. */
MUST_CHECK int query_run(const struct query_conf *conf, const char *url, const char *kind,
			 struct buf *out, struct err *err);

/* The parts, for tests. */
MUST_CHECK int query_write_trend(const struct query_conf *conf, struct buf *json, struct err *err);
MUST_CHECK int query_print_trend(const struct query_conf *conf, struct slice answer,
				 struct buf *out, struct err *err);
MUST_CHECK int query_print_names(const struct query_conf *conf, struct slice answer,
				 struct buf *out, struct err *err);

#endif
