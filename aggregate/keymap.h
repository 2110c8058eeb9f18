/* keymap - 64-bit keys to small numbers, in order of arrival
 *
 * A key gets the next number (0, 1, ..) when it is first added. Keys known to be below `space` use
 * a plain array where that is small, others a hash table. For counts per segment and per value.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_KEYMAP_H
#define AGGREGATE_KEYMAP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define KEYMAP_NONE   UINT32_MAX
#define KEYMAP_DIRECT 65536u

struct keymap {
	uint64_t space;                 /* keys are below it */
	uint32_t *direct;               /* [space]: number + 1; NULL: slots. Owned. */
	uint32_t *slots;                /* hash -> number + 1; owned */
	uint32_t slot_count;
	uint64_t *keys;                 /* [count] by number; owned */
	uint32_t count, room;
};

MUST_CHECK int keymap_init(struct keymap *map, uint64_t space);
void keymap_reset(struct keymap *map);  /* frees */
/* *number of the key; -ENOMEM. Arrays that go along are grown by the caller when count grew. */
MUST_CHECK int keymap_add(struct keymap *map, uint64_t key, uint32_t *number);
uint32_t keymap_find_hashed(const struct keymap *map, uint64_t key);

static inline uint32_t keymap_find(const struct keymap *map, uint64_t key)
{
	return map->direct ? map->direct[key] - 1 : keymap_find_hashed(map, key);
}

#endif
