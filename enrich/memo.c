// SPDX-License-Identifier: Apache-2.0
#include "enrich/memo.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NO_TEXT UINT16_MAX

struct place {
	uint64_t hash;
	char *bytes;                    /* key, then the texts; owned */
	uint32_t cap;
	uint16_t key_len;
	uint16_t lens[MEMO_TEXTS];
	bool is_set;
};

struct memo {
	struct place *places;           /* pairs */
	uint8_t *latest;                /* of a pair: which was used last */
	uint64_t mask;                  /* pairs - 1 */
	uint64_t hash;                  /* of the latest memo_get */
	uint64_t hits, misses;
};

int memo_open(struct memo **memop, size_t entries, struct err *err)
{
	struct memo *memo = calloc(1, sizeof(*memo));

	assert((entries & (entries - 1)) == 0 && entries != 1);
	if (memo && entries) {
		memo->places = calloc(entries, sizeof(*memo->places));
		memo->latest = calloc(entries / 2, 1);
		memo->mask = entries / 2 - 1;
	}
	if (!memo || (entries && (!memo->places || !memo->latest))) {
		memo_close(memo);
		return err_set(err, -ENOMEM, "no memory");
	}
	*memop = memo;
	return 0;
}

void memo_close(struct memo *memo)
{
	if (!memo)
		return;
	for (uint64_t i = 0; memo->places && i < (memo->mask + 1) * 2; i++)
		free(memo->places[i].bytes);
	free(memo->places);
	free(memo->latest);
	free(memo);
}

static bool is_it(const struct place *place, uint64_t hash, struct slice key)
{
	return place->is_set && place->hash == hash && place->key_len == key.len &&
	       memcmp(place->bytes, key.ptr, key.len) == 0;
}

bool memo_get(struct memo *memo, struct slice key, struct slice *texts)
{
	struct place *place;
	const char *at;
	uint64_t pair;

	if (!memo->places || key.len > MEMO_KEY_MAX) {
		memo->misses++;
		return false;
	}
	memo->hash = XXH3_64bits(key.ptr, key.len);
	pair = memo->hash & memo->mask;
	place = &memo->places[pair * 2 + memo->latest[pair]];
	if (!is_it(place, memo->hash, key)) {
		place = &memo->places[pair * 2 + !memo->latest[pair]];
		if (!is_it(place, memo->hash, key)) {
			memo->misses++;
			return false;
		}
		memo->latest[pair] = !memo->latest[pair];
	}
	memo->hits++;
	at = place->bytes + place->key_len;
	for (int i = 0; i < MEMO_TEXTS; i++) {
		if (place->lens[i] == NO_TEXT) {
			texts[i] = (struct slice){ NULL, 0 };
			continue;
		}
		texts[i] = (struct slice){ at, place->lens[i] };
		at += place->lens[i];
	}
	return true;
}

void memo_put(struct memo *memo, struct slice key, const struct slice *texts)
{
	size_t size = key.len;
	struct place *place;
	uint64_t pair;
	char *at;

	if (!memo->places || key.len > MEMO_KEY_MAX)
		return;
	for (int i = 0; i < MEMO_TEXTS; i++)
		size += texts[i].ptr ? texts[i].len : 0;
	if (size > MEMO_KEY_MAX + MEMO_VALUE_MAX)
		return;
	pair = memo->hash & memo->mask;
	place = &memo->places[pair * 2 + !memo->latest[pair]];
	place->is_set = false;
	if (size > place->cap) {
		size_t cap = (size + 255) & ~(size_t)255;

		free(place->bytes);
		place->bytes = malloc(cap);
		place->cap = place->bytes ? (uint32_t)cap : 0;
		if (!place->bytes)
			return;
	}
	at = place->bytes;
	memcpy(at, key.ptr, key.len);
	at += key.len;
	for (int i = 0; i < MEMO_TEXTS; i++) {
		place->lens[i] = texts[i].ptr ? (uint16_t)texts[i].len : NO_TEXT;
		if (texts[i].ptr && texts[i].len)
			memcpy(at, texts[i].ptr, texts[i].len);
		at += texts[i].ptr ? texts[i].len : 0;
	}
	place->hash = memo->hash;
	place->key_len = (uint16_t)key.len;
	place->is_set = true;
	memo->latest[pair] = !memo->latest[pair];
}

uint64_t memo_hits(const struct memo *memo)
{
	return memo->hits;
}

uint64_t memo_misses(const struct memo *memo)
{
	return memo->misses;
}
