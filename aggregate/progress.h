/* progress - how far the input is read, for readers on other threads
 *
 * Written by the filter's thread at each commit, read by answers.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_PROGRESS_H
#define AGGREGATE_PROGRESS_H

#include <pthread.h>
#include <stdint.h>

#include "lib/bus.h"
#include "lib/ledger.h"

struct progress_state {
	struct ledger ledger;
	int partitions;                 /* 1 + the highest that is known */
	int64_t next[BUS_PARTITIONS_MAX];       /* offset after the last one read; 0: none yet */
	int64_t end[BUS_PARTITIONS_MAX];        /* of the topic, when last looked at */
	int64_t complete_through_us;    /* all that was received before it is counted; 0: unknown */
	bool is_caught_up;              /* all that was there at the start is read */
	uint64_t emitted;               /* records to `counted` */
};

struct progress {
	pthread_mutex_t lock;
	struct progress_state state;
};

#endif
