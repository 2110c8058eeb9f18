/* answer - questions to JSON answers
 *
 *      POST /v1/query/KIND --> table of measures --> snapshot --> measure_KIND --> JSON or CSV
 *      POST /v1/delete    GET /v1/status
 *
 * No HTTP in it: a method, a path and a body become a status and a body. One answer_ask at a time
 * per struct answer; several of them may work at once.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_ANSWER_H
#define AGGREGATE_ANSWER_H

#include <stdatomic.h>

#include "aggregate/progress.h"
#include "aggregate/store.h"
#include "lib/buf.h"
#include "lib/slice.h"

struct answer;
struct saved;
struct erase;

struct answer_conf {
	struct store *store;            /* all borrowed */
	struct saved *saved;            /* NULL: no cohorts */
	struct erase *erase;            /* NULL: no deletes */
	struct progress *progress;
	int threads;                    /* of one question; 0: one per core */
	size_t memory_max;              /* of one question */
	int week_start;                 /* where a question says none: days after Monday */
};

struct answer_request {
	struct slice method, path, body;
	struct slice accept;            /* of its header; may be {NULL, 0} */
	const atomic_bool *cancel;      /* the client went away; may be NULL */
	int64_t deadline_ms;            /* monotonic; 0: none */
};

MUST_CHECK int answer_open(struct answer **answerp, const struct answer_conf *conf,
			   struct err *err);
void answer_close(struct answer *answer);

/* Appends the body to out and returns the status; *type is its Content-Type. */
int answer_ask(struct answer *answer, const struct answer_request *request, struct buf *out,
	       const char **type);

#endif
