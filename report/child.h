/* child - programs of ours that answer a request
 *
 *      request --> run: fork, exec --> its stdout and stderr, by pipes --> done, in the loop
 *
 * What other programs know, they are asked for by their command lines, as a person would: `sink
 * kinds` and `sink check` have the tables of fields, `millrace audit` and `trace` the ledgers. They
 * are beside our own executable, else in PATH; run in the settings' directory, with nothing on
 * stdin. At most CHILD_MAX run at once (-EBUSY); one whose time is over is killed.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_CHILD_H
#define REPORT_CHILD_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/loop.h"

#define CHILD_MAX      8
#define CHILD_ARGS_MAX 24
#define CHILD_OUT_MAX  ((size_t)16 << 20)

struct children;

struct child_result {
	int status;                     /* exit status; 128 + signal; 124: its time was over */
	struct slice out;               /* stdout, until done returns */
	const char *words;              /* the last line of stderr, without what a log line has
	                                   before its words */
};

typedef void child_done_fn(void *ctx, const struct child_result *result);

/* dir: where they run. */
MUST_CHECK int children_open(struct children **childrenp, struct loop *loop, const char *dir,
			     struct err *err);
/* Kills what runs; done is called for each. */
void children_close(struct children *children);

/* args ends with NULL, [0] is the program; copied. done is called once, later, unless this fails
 * (-EBUSY, -errno). */
MUST_CHECK int child_run(struct children *children, const char *const *args, int64_t timeout_ms,
			 child_done_fn *done, void *ctx);

#endif
