// SPDX-License-Identifier: Apache-2.0
#include "sink/who.h"

#include <stdlib.h>
#include <xxhash.h>

static struct who **find(struct who **slots, size_t cap, uint64_t high, uint64_t low)
{
	size_t i = low & (cap - 1);

	while (slots[i] && (slots[i]->low != low || slots[i]->high != high))
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

static bool grow(struct who_table *table)
{
	size_t cap = table->cap ? table->cap * 2 : 1024;
	struct who **slots = calloc(cap, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < table->cap; i++)
		if (table->slots[i])
			*find(slots, cap, table->slots[i]->high, table->slots[i]->low) =
				table->slots[i];
	free(table->slots);
	table->slots = slots;
	table->cap = cap;
	return true;
}

struct who *who_at(struct who_table *table, struct slice id)
{
	XXH128_hash_t h = XXH3_128bits(id.ptr, id.len);
	struct who **slot;

	if (table->count * 2 >= table->cap && !grow(table))
		return NULL;
	slot = find(table->slots, table->cap, h.high64, h.low64);
	if (*slot)
		return *slot;
	*slot = calloc(1, sizeof(**slot));
	if (*slot) {
		(*slot)->high = h.high64;
		(*slot)->low = h.low64;
		table->count++;
	}
	return *slot;
}

void who_reset(struct who_table *table)
{
	for (size_t i = 0; i < table->cap; i++) {
		if (table->slots[i])
			free(table->slots[i]->datum);
		free(table->slots[i]);
	}
	free(table->slots);
	*table = (struct who_table){ 0 };
}
