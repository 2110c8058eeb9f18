/* count_answer - questions to JSON answers
 *
 *      POST /v1/query/trend    POST /v1/query/names    GET /v1/status
 *
 * No HTTP in it: a method, a path and a body become a status and a body. One thread at a time.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COUNT_ANSWER_H
#define AGGREGATE_COUNT_ANSWER_H

#include "aggregate/count.h"
#include "aggregate/progress.h"
#include "lib/buf.h"
#include "lib/slice.h"

struct count_answer;

/* count and progress are borrowed. */
MUST_CHECK int count_answer_open(struct count_answer **answerp, struct count *count,
			   struct progress *progress, struct err *err);
void count_answer_close(struct count_answer *answer);

/* Appends the body to out and returns the status. */
int count_answer_ask(struct count_answer *answer, struct slice method, struct slice path, struct slice body,
	       struct buf *out);

#endif
