/* name_table - texts to numbers: the first is 0, the next new one 1, ..
 *
 * A hash table of numbers beside an array of texts; nothing is ever taken out.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_NAME_TABLE_H
#define AGGREGATE_NAME_TABLE_H

#include <stdint.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/slice.h"

struct name_table {
	struct arena arena;             /* the texts */
	struct name_entry {
		uint32_t hash;
		uint32_t len;
		const char *ptr;
	} *entries;                     /* owned; by number */
	uint32_t count, room;
	uint32_t *slots;                /* owned; number + 1, 0: free */
	uint32_t slot_count;            /* a power of two, or 0 */
};

/* All zero is the empty table. The number of text, which is copied where it is new.
 * -ENOMEM; -ENOSPC: max numbers are given out. */
MUST_CHECK int name_table_add(struct name_table *table, struct slice text, uint32_t max,
			      uint32_t *number);
MUST_CHECK int name_table_find(const struct name_table *table, struct slice text,
			       uint32_t *number);       /* or -ENOENT */
struct slice name_table_text(const struct name_table *table, uint32_t number);
void name_table_close(struct name_table *table);

#endif
