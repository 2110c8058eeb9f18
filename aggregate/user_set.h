/* user_set - a set of 32-bit numbers
 *
 * Open addressing, at most 3/4 full; number + 1 is stored, 0 is a free slot. The first four live
 * in the set itself: most cells of a small site never hold more.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_USER_SET_H
#define AGGREGATE_USER_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define USER_SET_SMALL 4

struct user_set {
	uint32_t count;
	uint32_t slots;                 /* a power of two, or 0: the numbers are in small */
	union {
		uint32_t small[USER_SET_SMALL];
		uint32_t *table;        /* owned */
	};
};

/* 1: it is new; 0: it was there; -ENOMEM. user < UINT32_MAX. All zero is the empty set. */
MUST_CHECK int user_set_add(struct user_set *set, uint32_t user);
/* The numbers one by one: *at begins as 0; false at the end. */
bool user_set_next(const struct user_set *set, uint32_t *at, uint32_t *user);
void user_set_close(struct user_set *set);

#endif
