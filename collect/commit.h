/* commit - a request is answered when its events are safe
 *
 *      parcel --commit_parcel--> lanes (collected, bad)        [ticket]..[ticket] in order
 *                                   |                              |
 *                                   `-- durable mark passes it --> answer 200
 *
 * All of a parcel is written or none of it. Answers are given in the order of the marks: first that
 * of `collected`, then, where a request had bad ones, that of `bad`, so that a slow bad topic holds
 * up only those. What is not safe within answer_ms, or when the disk is full, is answered with 503;
 * it may still become safe (then the sender's repeat is dropped by enrich: same message id).
 *
 * The ledger counts messages: in = out (safe in collected) + bad (safe in bad) + filtered (of
 * sources switched off) + pending.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_COMMIT_H
#define COLLECT_COMMIT_H

#include "collect/options.h"
#include "collect/parcel.h"
#include "lib/bus.h"
#include "lib/httpd.h"
#include "lib/ledger.h"
#include "lib/loop.h"

struct commit;

/* What is to be answered; the same bits come back as were given to commit_parcel. */
struct commit_answer {
	struct http_request *request;   /* NULL: nobody waits */
	int status;                     /* when it is safe */
	size_t rejected;
	uint64_t filtered;              /* of sources that are switched off */
	bool echo_origin;
	const char *reason;             /* of a refused body: a constant, as in bad; else NULL */
	char *words;                    /* malloc'd or NULL; taken by commit_parcel */
};
/* unsafe: answer 503 instead, with these words. */
typedef void commit_answer_fn(void *ctx, const struct commit_answer *answer, const char *unsafe);

struct commit_conf {
	const struct collect_conf *options;     /* borrowed */
	const struct schema *schemas[PARCEL_LANES];
	const struct log *log;
	struct loop *loop;                      /* NULL: --stdin */
	struct json_reader *json;               /* borrowed; used between requests only */
	commit_answer_fn *answer;
	void *ctx;
};

/* Opens both topics (for --stdin bad only when it is needed). */
MUST_CHECK int commit_open(struct commit **commitp, const struct commit_conf *conf,
			   struct err *err);
/* With a loop: from now on each turn's events go out at its end. After httpd_open, whose own end of
 * turn hands out requests that waited in buffers: their events shall not wait for the next turn. */
MUST_CHECK int commit_begin(struct commit *commit, struct err *err);
void commit_close(struct commit *commit);
/* -EAGAIN: full just now. Other -errno: the bus takes nothing; commit_error_text. Then answer is
 * not called for it. */
MUST_CHECK int commit_parcel(struct commit *commit, const struct parcel *parcel,
			     const struct commit_answer *answer);
/* 0, or why nothing is taken now. */
int commit_error(const struct commit *commit);
const char *commit_error_text(const struct commit *commit);
/* The program cannot go on (and is to be started again). */
bool commit_is_dead(const struct commit *commit);
const struct ledger *commit_ledger(const struct commit *commit);
size_t commit_waiting(const struct commit *commit);     /* requests not answered */
int64_t commit_spool_waiting(const struct commit *commit);
int64_t commit_spool_bytes(const struct commit *commit);
int64_t commit_spool_refused(const struct commit *commit);
/* Waits until all is safe and answers what waits. -ETIMEDOUT. */
MUST_CHECK int commit_flush(struct commit *commit, int timeout_ms, struct err *err);
/* --stdin: lets go what was written (a loop does that at the end of each turn). */
void commit_turn(struct commit *commit);
/* --stdin: waits until some of what is written is safe. */
MUST_CHECK int commit_wait(struct commit *commit, int timeout_ms);

#endif
