/* state_dir - the directory that is one aggregate's own
 *
 *      lock            flock'ed for as long as the program runs
 *      manifest        which of the following count (manifest.h)
 *      column-N        events (column.h)
 *      persons-N       who is whom (person.h)
 *
 * A rebuild is made aside, in DIR.rebuild, and takes the place of DIR in one step.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_STATE_DIR_H
#define AGGREGATE_STATE_DIR_H

#include "lib/dir.h"
#include "lib/err.h"

/* Makes it where it is missing. The lock's descriptor, or -EBUSY, -errno with words. */
MUST_CHECK int state_dir_lock(const char *dir, struct err *err);

/* The name of the directory aside, made and empty; the descriptor of its lock. */
MUST_CHECK int state_dir_aside(const char *dir, char aside[DIR_PATH_MAX], struct err *err);
/* The two change places; what was in dir is removed. */
MUST_CHECK int state_dir_swap(const char *dir, const char *aside, struct err *err);

#endif
