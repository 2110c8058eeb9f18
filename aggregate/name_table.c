// SPDX-License-Identifier: Apache-2.0
#include "aggregate/name_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static uint32_t hash_of(struct slice text)
{
	return (uint32_t)XXH3_64bits(text.ptr, text.len);
}

static int find(const struct name_table *table, struct slice text, uint32_t hash, uint32_t *number)
{
	uint32_t mask = table->slot_count - 1;

	if (!table->slot_count)
		return -ENOENT;
	for (uint32_t i = hash & mask; table->slots[i]; i = (i + 1) & mask) {
		const struct name_entry *entry = &table->entries[table->slots[i] - 1];

		if (entry->hash == hash && entry->len == text.len &&
		    memcmp(entry->ptr, text.ptr, text.len) == 0) {
			*number = table->slots[i] - 1;
			return 0;
		}
	}
	return -ENOENT;
}

int name_table_find(const struct name_table *table, struct slice text, uint32_t *number)
{
	return find(table, text, hash_of(text), number);
}

static void put(uint32_t *slots, uint32_t slot_count, uint32_t hash, uint32_t number)
{
	uint32_t i = hash & (slot_count - 1);

	while (slots[i])
		i = (i + 1) & (slot_count - 1);
	slots[i] = number + 1;
}

static int grow(struct name_table *table)
{
	uint32_t slot_count = table->slot_count ? table->slot_count * 2 : 64;
	uint32_t *slots;

	if (table->count == table->room) {
		uint32_t room = table->room ? table->room * 2 : 32;
		struct name_entry *entries = reallocarray(table->entries, room, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		table->entries = entries;
		table->room = room;
	}
	if (table->count + 1 <= table->slot_count / 4 * 3)
		return 0;
	slots = slot_count ? calloc(slot_count, sizeof(*slots)) : NULL;
	if (!slots)
		return -ENOMEM;
	for (uint32_t n = 0; n < table->count; n++)
		put(slots, slot_count, table->entries[n].hash, n);
	free(table->slots);
	table->slots = slots;
	table->slot_count = slot_count;
	return 0;
}

int name_table_add(struct name_table *table, struct slice text, uint32_t max, uint32_t *number)
{
	uint32_t hash = hash_of(text);
	struct slice copy;

	if (find(table, text, hash, number) == 0)
		return 0;
	if (table->count >= max || text.len > UINT32_MAX)
		return -ENOSPC;
	if (grow(table) < 0)
		return -ENOMEM;
	copy = arena_copy(&table->arena, text);
	if (!copy.ptr)
		return -ENOMEM;
	*number = table->count;
	table->entries[table->count++] = (struct name_entry){ hash, (uint32_t)text.len, copy.ptr };
	put(table->slots, table->slot_count, hash, *number);
	return 0;
}

struct slice name_table_text(const struct name_table *table, uint32_t number)
{
	assert(number < table->count);
	return (struct slice){ table->entries[number].ptr, table->entries[number].len };
}

void name_table_close(struct name_table *table)
{
	arena_close(&table->arena);
	free(table->entries);
	free(table->slots);
	*table = (struct name_table){ 0 };
}
