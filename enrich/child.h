/* child - one run of a shell command: bytes in, bytes out
 *
 *      child_run: /bin/sh -c COMMAND, stdin = in, then its end; stdout until its end; exit status
 *
 * The command runs in a process group of its own, with all signals as usual and stderr ours; at
 * the time-out, or when anything is wrong, the whole group is killed. Nothing is left behind.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_CHILD_H
#define ENRICH_CHILD_H

#include "lib/buf.h"

enum child_end {
	CHILD_END_GOOD,         /* status 0, all input read */
	CHILD_END_STATUS,       /* another status, or a signal */
	CHILD_END_UNREAD,       /* status 0, but it did not read all */
	CHILD_END_TIMEOUT,
	CHILD_END_TOO_MUCH,     /* out's limit */
	CHILD_END_NOT_RUN,      /* the shell could not run it: 126, 127 */
};

/* out is emptied first. words say what happened where the end is not good. -errno: no process or
 * pipe can be had at all. */
MUST_CHECK int child_run(const char *command, struct slice in, struct buf *out, int timeout_ms,
			 enum child_end *end, struct err *words);

#endif
