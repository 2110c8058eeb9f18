/* who - what a trigger knows of each person, by a hash of the id
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_WHO_H
#define SINK_WHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

struct who {
	uint64_t high, low;             /* of the id */
	int64_t version;                /* of the newest record */
	int64_t done;                   /* the newest version (tick) that was dealt with; 0: none */
	int64_t sent_us;                /* of the newest message to that id; 0: none */
	bool is_member;
	char *datum;                    /* the newest record with a profile, where it is kept */
	size_t datum_len;
};

struct who_table {
	struct who **slots;             /* entries do not move */
	size_t count, cap;
};

/* The entry of an id, made where it is missing. NULL: no memory. */
struct who *who_at(struct who_table *table, struct slice id);
void who_reset(struct who_table *table);

#endif
