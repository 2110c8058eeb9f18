/* state_dir - the directory that is one aggregate's own
 *
 * Locked (flock on DIR/lock) for as long as the program runs. Nothing else is in it yet: the counts
 * are rebuilt from the topic, and the store that comes next keeps its files here.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_STATE_DIR_H
#define AGGREGATE_STATE_DIR_H

#include "lib/err.h"

/* Makes it where it is missing. The lock's descriptor, or -EBUSY, -errno with words. */
MUST_CHECK int state_dir_lock(const char *dir, struct err *err);

#endif
