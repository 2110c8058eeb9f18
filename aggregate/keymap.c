// SPDX-License-Identifier: Apache-2.0
#include "aggregate/keymap.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t mix(uint64_t key)
{
	key ^= key >> 32;
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return key ^ key >> 29;
}

int keymap_init(struct keymap *map, uint64_t space)
{
	*map = (struct keymap){ .space = space };
	if (space > KEYMAP_DIRECT)
		return 0;
	map->direct = calloc(space ? space : 1, sizeof(*map->direct));
	return map->direct ? 0 : -ENOMEM;
}

void keymap_reset(struct keymap *map)
{
	free(map->direct);
	free(map->slots);
	free(map->keys);
	*map = (struct keymap){ 0 };
}

uint32_t keymap_find_hashed(const struct keymap *map, uint64_t key)
{
	uint32_t mask = map->slot_count - 1;

	if (!map->slot_count)
		return KEYMAP_NONE;
	for (uint32_t at = (uint32_t)mix(key) & mask; map->slots[at]; at = (at + 1) & mask)
		if (map->keys[map->slots[at] - 1] == key)
			return map->slots[at] - 1;
	return KEYMAP_NONE;
}

static int grow(struct keymap *map)
{
	uint32_t room = map->room ? 2 * map->room : 64, slot_count = 2 * room;
	uint64_t *keys;
	uint32_t *slots;

	if (room > UINT32_MAX / 4)
		return -ENOMEM;
	keys = realloc(map->keys, room * sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	map->keys = keys;
	map->room = room;
	if (map->direct)
		return 0;
	slots = calloc(slot_count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < map->count; i++) {
		uint32_t at = (uint32_t)mix(keys[i]) & (slot_count - 1);

		while (slots[at])
			at = (at + 1) & (slot_count - 1);
		slots[at] = i + 1;
	}
	free(map->slots);
	map->slots = slots;
	map->slot_count = slot_count;
	return 0;
}

int keymap_add(struct keymap *map, uint64_t key, uint32_t *number)
{
	*number = keymap_find(map, key);
	if (*number != KEYMAP_NONE)
		return 0;
	if (map->count == map->room && grow(map) < 0)
		return -ENOMEM;
	*number = map->count++;
	map->keys[*number] = key;
	if (map->direct) {
		map->direct[key] = *number + 1;
	} else {
		uint32_t mask = map->slot_count - 1, at = (uint32_t)mix(key) & mask;

		while (map->slots[at])
			at = (at + 1) & mask;
		map->slots[at] = *number + 1;
	}
	return 0;
}
