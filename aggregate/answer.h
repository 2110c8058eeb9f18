/* answer - questions to JSON answers
 *
 *      POST /v1/query/trend    POST /v1/query/names    GET /v1/status
 *
 * No HTTP in it: a method, a path and a body become a status and a body. One thread at a time.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_ANSWER_H
#define AGGREGATE_ANSWER_H

#include "aggregate/count.h"
#include "aggregate/progress.h"
#include "lib/buf.h"
#include "lib/slice.h"

struct answer;

/* count and progress are borrowed. */
MUST_CHECK int answer_open(struct answer **answerp, struct count *count,
			   struct progress *progress, struct err *err);
void answer_close(struct answer *answer);

/* Appends the body to out and returns the status. */
int answer_ask(struct answer *answer, struct slice method, struct slice path, struct slice body,
	       struct buf *out);

#endif
