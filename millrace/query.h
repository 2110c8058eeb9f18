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

bool query_is_kind(const char *kind);
/* kind: "trend", "events", "funnel", .. json: the question (JSON, @FILE, - for stdin); NULL: made
 * from conf. Appends what is to be printed to out. -ECONNREFUSED: nobody is there; -EINVAL: the
 * question is wrong, in aggregate's words. notes: lines about names that nothing has. */
MUST_CHECK int query_run(const struct query_conf *conf, const char *url, const char *kind,
			 const char *json, struct buf *out, struct buf *notes, struct err *err);

/* The parts, for tests. */
MUST_CHECK int query_write(const struct query_conf *conf, const char *kind, struct buf *json,
			   struct err *err);
MUST_CHECK int query_write_trend(const struct query_conf *conf, struct buf *json, struct err *err);
MUST_CHECK int query_print_trend(const struct query_conf *conf, struct slice answer,
				 struct buf *out, struct err *err);
MUST_CHECK int query_print_names(const struct query_conf *conf, struct slice answer,
				 struct buf *out, struct err *err);

/* query_table.c: steps with bars, and lists of objects. */
MUST_CHECK int query_print_funnel(struct slice answer, struct buf *out, struct err *err);
MUST_CHECK int query_print_retention(struct slice answer, struct buf *out, struct err *err);
MUST_CHECK int query_print_list(const char *kind, struct slice answer, struct buf *out,
				struct err *err);

#endif
