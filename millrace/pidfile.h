/* pidfile - one supervisor per data directory
 *
 * DATA/millrace.pid holds the pid of the one that has locked it (flock). The lock is the truth: it
 * goes with the process, however that ends, so a file left by a crash blocks nobody. The file
 * stays; its text is emptied at an orderly end.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_PIDFILE_H
#define MILLRACE_PIDFILE_H

#include <sys/types.h>

#include "lib/err.h"

/* Makes the directory (and those above), locks, writes our pid. Returns a descriptor >= 0 for
 * pidfile_unlock. -EBUSY: another one runs there, the words have its pid. */
MUST_CHECK int pidfile_lock(const char *data, struct err *err);
void pidfile_unlock(int fd);

/* The pid of the supervisor that runs on the directory; 0: none; -errno. */
MUST_CHECK pid_t pidfile_find(const char *data, struct err *err);

#endif
