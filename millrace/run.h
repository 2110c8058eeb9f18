/* run - one of our programs, run to its end, with what it said
 *
 * For the commands that ask another program: audit runs `enrich --verify`. The programs are beside
 * our own executable, else in PATH.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_RUN_H
#define MILLRACE_RUN_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

struct run_result {
	int status;                     /* exit status; 128 + signal */
	struct buf text;                /* stdout and stderr, at most 1 MiB of it */
};

/* args ends with NULL; [0] is the program. After timeout_ms it is killed: -ETIMEDOUT. */
MUST_CHECK int run_child(const char *const *args, int64_t timeout_ms, struct run_result *result,
			   struct err *err);
void run_result_close(struct run_result *result);
/* The last line of the text, or the `why=` of a log line. */
void run_last_words(const struct run_result *result, char *words, size_t size);

#endif
