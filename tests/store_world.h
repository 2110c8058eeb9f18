/* store_world - made-up events for tests of the store, the same ones for the same seed
 *
 * Some 40 ids, ties in time, values of all types, properties that few have, messages that are UUIDs
 * or texts. world_row makes event i; it lives until the next call.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_STORE_WORLD_H
#define TESTS_STORE_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "aggregate/store.h"

#define WORLD_BASE_US INT64_C(1793491200000000) /* 2026-11-01 */
#define WORLD_ACTORS  40u

struct world {
	uint64_t seed;
	struct store_row row;
	struct store_prop props[16];
	char text[16][64];
	struct buf list;
};

static inline uint64_t world_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* The k-th random number of event i. */
static inline uint64_t world_random(const struct world *world, uint64_t i, uint64_t k)
{
	return world_mix(world->seed * 1000003 + world_mix(i * 64 + k));
}

static inline void world_add(struct world *world, const char *name, struct prop value)
{
	world->props[world->row.count++] = (struct store_prop){ slice_from(name), value };
}

static inline struct prop world_text(struct world *world, const char *format, uint64_t number)
{
	char *text = world->text[world->row.count];

	/* the formats are this file's own */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, 64, format, (unsigned long long)number);
#pragma GCC diagnostic pop
	return (struct prop){ .kind = PROP_TEXT, .text = slice_from(text) };
}

static inline const struct store_row *world_row(struct world *world, uint64_t i)
{
	struct store_row *row = &world->row;
	struct prop element = { .kind = PROP_NUMBER };
	uint64_t r = world_random(world, i, 0);
	char id[64];

	*row = (struct store_row){ .props = world->props };
	row->actor = (uint32_t)(1 + r % WORLD_ACTORS * (r >> 32 & 7) / 7);
	/* seconds: many ties */
	row->time_us = WORLD_BASE_US + (int64_t)(world_random(world, i, 1) % 3000) * 1000000;
	row->received_us = row->time_us + 1000000;
	snprintf(id, sizeof(id), i % 3 ? "%08llx-0000-4000-8000-%012llx" : "m-%llu-%llu",
		 (unsigned long long)(world_random(world, i, 2) & 0xffffffff),
		 (unsigned long long)i);
	row->message = message_key_of(slice_from(id));
	world_add(world, "$event", world_text(world, "Event %llu", world_random(world, i, 3) % 9));
	world_add(world, "$source", world_text(world, "s%llu", world_random(world, i, 4) % 2));
	world_add(world, "plan", world_text(world, "plan %llu", world_random(world, i, 5) % 4));
	if (r & 1)
		world_add(world, "price", (struct prop){ .kind = PROP_NUMBER, .number =
			  (double)(world_random(world, i, 6) % 4000) / 8 - 100 });
	if (r & 2)
		world_add(world, "paid", (struct prop){ .kind = r & 4 ? PROP_TRUE : PROP_FALSE });
	if (r % 101 == 0)
		world_add(world, "rare", world_text(world, "r%llu", i));
	if (r % 5 == 0)
		world_add(world, "url", world_text(world, "https://shop.example/p/%llu",
						   world_random(world, i, 7) % 700));
	if (r % 7 == 0) {
		buf_reset(&world->list);
		for (uint64_t k = 0; k < r / 7 % 4; k++) {
			element.number = (double)(world_random(world, i, 8 + k) % 10);
			prop_list_add(&world->list, &element);
		}
		world_add(world, "mixed", (struct prop){ .kind = PROP_LIST,
							 .text = buf_slice(&world->list) });
	} else if (r % 7 < 3) {
		world_add(world, "mixed", r % 7 == 1 ? world_text(world, "%llu", r % 13) :
			  (struct prop){ .kind = PROP_NUMBER, .number = (double)(r % 13) });
	}
	return row;
}

#endif
