// SPDX-License-Identifier: Apache-2.0
#include "aggregate/user_set.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Numbers are handed out in order: a multiplication spreads them (Fibonacci hashing). */
static uint32_t slot_of(uint32_t user, uint32_t slots)
{
	return (user * UINT32_C(2654435769)) >> (32 - __builtin_ctz(slots));
}

static int put(uint32_t *table, uint32_t slots, uint32_t user)
{
	uint32_t i = slot_of(user, slots);

	for (; table[i]; i = (i + 1) & (slots - 1))
		if (table[i] == user + 1)
			return 0;
	table[i] = user + 1;
	return 1;
}

static int grow(struct user_set *set)
{
	uint32_t slots = set->slots ? set->slots * 2 : USER_SET_SMALL * 4;
	uint32_t *table = slots ? calloc(slots, sizeof(*table)) : NULL;
	uint32_t at = 0, user;

	if (!table)
		return -ENOMEM;
	while (user_set_next(set, &at, &user))
		put(table, slots, user);
	if (set->slots)
		free(set->table);
	set->table = table;
	set->slots = slots;
	return 0;
}

int user_set_add(struct user_set *set, uint32_t user)
{
	int rc;

	if (!set->slots) {
		for (uint32_t i = 0; i < set->count; i++)
			if (set->small[i] == user)
				return 0;
		if (set->count < USER_SET_SMALL) {
			set->small[set->count++] = user;
			return 1;
		}
	}
	if (set->count >= set->slots / 4 * 3) {
		rc = grow(set);
		if (rc < 0)
			return rc;
	}
	rc = put(set->table, set->slots, user);
	set->count += (uint32_t)rc;
	return rc;
}

bool user_set_next(const struct user_set *set, uint32_t *at, uint32_t *user)
{
	if (!set->slots) {
		if (*at >= set->count)
			return false;
		*user = set->small[(*at)++];
		return true;
	}
	while (*at < set->slots) {
		uint32_t stored = set->table[(*at)++];

		if (stored) {
			*user = stored - 1;
			return true;
		}
	}
	return false;
}

void user_set_close(struct user_set *set)
{
	if (set->slots)
		free(set->table);
	memset(set, 0, sizeof(*set));
}
