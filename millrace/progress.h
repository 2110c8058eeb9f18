/* progress - how far aggregate is: it is asked, else its manifest is read */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_PROGRESS_H
#define MILLRACE_PROGRESS_H

#include <stdbool.h>

#include "lib/bus.h"
#include "millrace/settings.h"

struct progress {
	bool is_known, is_running;
	int64_t next[BUS_PARTITIONS_MAX];       /* offset of enriched behind the last counted */
	uint64_t events;                        /* in the store; UINT64_MAX: not known */
};

void progress_read(const struct settings *settings, struct progress *progress);

#endif
