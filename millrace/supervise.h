/* supervise - keeps programs running, and stops them in the order of the stream
 *
 *      plan --> start all --> one ends by itself --> start it again, 100 ms, 200 ms .. 10 s later
 *               TERM, INT --> stage 0 stops --> stage 1 stops, reads what is left --> stage 2 ..
 *               HUP       --> plan again: start, stop, replace; the rest get the signal
 *
 * A program is stopped by TERM and has stop_ms to end, then it is killed: nothing acknowledged is
 * lost by that. One that reads (stage > 0) is then run once more with --until-end, so that all
 * that the stages before it wrote is through when `up` ends.
 *
 * Programs run in process groups of their own, so that a terminal's ^C reaches the supervisor
 * alone, and are killed by the kernel when it dies. Their stderr is ours.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_SUPERVISE_H
#define MILLRACE_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/log.h"

#define SUPERVISE_PROGRAMS_MAX 72
#define SUPERVISE_ARGS_MAX     24
#define SUPERVISE_LOOK_MS 500
#define SUPERVISE_BACKOFF_MIN_MS 100
#define SUPERVISE_BACKOFF_MAX_MS 10000
/* A signal so soon after the first is the same one: GNU timeout sends it to us, then our group. */
#define SUPERVISE_AGAIN_MS       1000
#define SUPERVISE_STEADY_MS      30000  /* alive so long: the back-off begins anew */

struct supervise_program {
	char *name;                             /* in the log: "enrich", "sink:files" */
	int stage;
	char *argv[SUPERVISE_ARGS_MAX];         /* ends with NULL; [0] is the program */
};

struct supervise_plan {
	struct supervise_program programs[SUPERVISE_PROGRAMS_MAX];
	int count;
};

/* Fills an empty plan. On failure after the start the old plan stays, and the words are logged. */
typedef int supervise_plan_fn(void *ctx, struct supervise_plan *plan, struct err *err);

struct supervise_conf {
	const struct log *log;
	const char *bin;                /* directory of the programs; what is not there: PATH */
	const char *dir;                /* where the programs run */
	int64_t stop_ms;
	supervise_plan_fn *plan;
	bool (*changed)(void *ctx);     /* asked each SUPERVISE_LOOK_MS: plan again? or NULL */
	void *ctx;
};

/* Until SIGTERM or SIGINT. 0: all stopped in order. -EINVAL: a program refused its settings at
 * its first start, all are stopped. -EINTR: a second signal, all were killed. */
MUST_CHECK int supervise_run(const struct supervise_conf *conf, struct err *err);

/* Adds a program; name and args (ends with NULL, the program's name first) are copied. */
MUST_CHECK int supervise_add(struct supervise_plan *plan, const char *name, int stage,
			     const char *const *args);
void supervise_plan_close(struct supervise_plan *plan);

#endif
