// SPDX-License-Identifier: Apache-2.0
#include "collect/limit.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <xxhash.h>

#include "collect/address.h"

#define SETS 4096       /* a power of two */
#define WAYS 4

struct slot {
	uint64_t network;       /* hash; 0: free */
	struct limit limit;
};

struct limit_table {
	int64_t rate;
	uint64_t seed;          /* so that nobody can choose whom to collide with */
	struct slot slots[SETS][WAYS];
};

void limit_init(struct limit *limit, int64_t rate)
{
	*limit = (struct limit){ .rate = rate, .tokens = rate * 1000 * LIMIT_BURST_S };
}

static void refill(struct limit *limit, int64_t now_ms)
{
	int64_t max = limit->rate * 1000 * LIMIT_BURST_S, gain;
	int64_t passed = now_ms - limit->at_ms;

	if (limit->at_ms == 0 || passed < 0)
		passed = 0;
	limit->at_ms = now_ms;
	if (__builtin_mul_overflow(passed, limit->rate, &gain) ||
	    __builtin_add_overflow(limit->tokens, gain, &gain) || gain > max)
		gain = max;
	limit->tokens = gain;
}

int limit_check(struct limit *limit, int64_t now_ms)
{
	int64_t seconds;

	if (limit->rate <= 0)
		return 0;
	refill(limit, now_ms);
	if (limit->tokens > 0)
		return 0;
	seconds = (-limit->tokens / limit->rate + 999) / 1000;
	return seconds < 1 ? 1 : seconds > 300 ? 300 : (int)seconds;
}

/* The debt is bounded by what one request may bring, and that is bounded elsewhere. */
void limit_take(struct limit *limit, int64_t n)
{
	if (limit->rate > 0)
		limit->tokens -= n * 1000;
}

int limit_table_open(struct limit_table **tablep, int64_t rate, struct err *err)
{
	struct limit_table *table = calloc(1, sizeof(*table));

	if (!table)
		return err_set(err, -ENOMEM, "no memory for rate limits");
	table->rate = rate;
	if (RAND_bytes((unsigned char *)&table->seed, sizeof(table->seed)) != 1) {
		free(table);
		return err_set(err, -EIO, "no random numbers");
	}
	*tablep = table;
	return 0;
}

void limit_table_close(struct limit_table *table)
{
	free(table);
}

/* What is not an address (there is none such) shares a bucket. */
static uint64_t network_hash(const struct limit_table *table, struct slice text)
{
	struct address address = { { 0 }, 0 };
	size_t bytes;
	uint64_t hash;

	if (address_parse(text, &address))
		address.bits = 128;
	bytes = address.bits == 32 ? 15 : 7;    /* IPv4 is ::ffff:a.b.c.d */
	hash = XXH3_64bits_withSeed(address.bytes, bytes, table->seed);
	return hash ? hash : 1;
}

struct limit *limit_table_find(struct limit_table *table, struct slice text, int64_t now_ms)
{
	uint64_t network = network_hash(table, text);
	struct slot *set = table->slots[network & (SETS - 1)];
	struct slot *eldest = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].network == network)
			return &set[i].limit;
		if (set[i].limit.at_ms < eldest->limit.at_ms)
			eldest = &set[i];
	}
	eldest->network = network;
	limit_init(&eldest->limit, table->rate);
	eldest->limit.at_ms = now_ms;
	return &eldest->limit;
}
