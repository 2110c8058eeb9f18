// SPDX-License-Identifier: Apache-2.0
#include "enrich/dedup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS_FIRST 1024
#define FULL_NUM    4           /* grows when over 4/5 of the slots are used */
#define FULL_DEN    5

struct slot {
	uint64_t high;
	uint32_t low;
	uint32_t seconds;       /* of received_at, + 1; 0: a free slot */
};

static_assert(sizeof(struct slot) == 16, "a slot is 16 bytes");

struct dedup {
	struct slot *slots;
	uint64_t size;
	uint64_t used;
	int64_t window_s;
	uint32_t newest;        /* highest `seconds` of all that were added */
};

struct dedup_id dedup_id(struct slice source, struct slice message_id)
{
	/* The source is the seed: no copy to join the two, and no separator to forge. */
	uint64_t seed = XXH3_64bits(source.ptr, source.len);
	XXH128_hash_t hash = XXH3_128bits_withSeed(message_id.ptr, message_id.len, seed);

	return (struct dedup_id){ hash.high64, (uint32_t)hash.low64 };
}

/* Years 1970 to 2106; others are as the nearest end. */
static uint32_t seconds_of(int64_t received_us)
{
	int64_t s = received_us / 1000000;

	if (s < 0)
		s = 0;
	return s >= UINT32_MAX - 1 ? UINT32_MAX : (uint32_t)s + 1;
}

/* Slots are in the order of the hash, which makes growing a walk through memory, not jumps.
 * Fewer than 2^32 slots: that would be 64 GiB. */
static uint64_t home_of(uint64_t high, uint64_t size)
{
	return (high >> 32) * size >> 32;
}

static struct slot *find(struct slot *slots, uint64_t size, uint64_t high, uint32_t low)
{
	uint64_t i = home_of(high, size);

	while (slots[i].seconds && (slots[i].high != high || slots[i].low != low))
		i = i + 1 == size ? 0 : i + 1;
	return &slots[i];
}

static bool is_live(const struct dedup *dedup, uint32_t seconds, uint32_t newest)
{
	return (int64_t)seconds >= (int64_t)newest - dedup->window_s;
}

/* Written to at once: a lookup would map the kernel's page of zeros first, and the insertion behind
 * it copy that, with an interrupt to the other cores. Large tables take huge pages where there are
 * any: each lookup is a random access, which misses the TLB else. */
static struct slot *slots_alloc(uint64_t size)
{
	size_t bytes = size * sizeof(struct slot), huge = (size_t)2 << 20;
	struct slot *slots;

	if (bytes < 2 * huge)
		return calloc(size, sizeof(*slots));
	bytes = (bytes + huge - 1) / huge * huge;
	slots = aligned_alloc(huge, bytes);
	if (!slots)
		return NULL;
	(void)!madvise(slots, bytes, MADV_HUGEPAGE);
	memset(slots, 0, bytes);
	return slots;
}

int dedup_open(struct dedup **dedupp, int64_t window_ms, struct err *err)
{
	struct dedup *dedup = calloc(1, sizeof(*dedup));

	if (dedup)
		dedup->slots = calloc(SLOTS_FIRST, sizeof(*dedup->slots));
	if (!dedup || !dedup->slots) {
		free(dedup);
		return err_set(err, -ENOMEM, "dedup: no memory");
	}
	dedup->size = SLOTS_FIRST;
	dedup->window_s = window_ms / 1000;
	*dedupp = dedup;
	return 0;
}

void dedup_close(struct dedup *dedup)
{
	if (!dedup)
		return;
	free(dedup->slots);
	free(dedup);
}

void dedup_prefetch(const struct dedup *dedup, struct dedup_id id)
{
	__builtin_prefetch(&dedup->slots[home_of(id.high, dedup->size)], 1);
}

bool dedup_seen(const struct dedup *dedup, struct dedup_id id, int64_t received_us)
{
	const struct slot *slot = find(dedup->slots, dedup->size, id.high, id.low);
	uint32_t now = seconds_of(received_us);

	return slot->seconds &&
	       is_live(dedup, slot->seconds, now > dedup->newest ? now : dedup->newest);
}

/* A table without the expired, with room: one and a half times what lives. */
static int make_room(struct dedup *dedup)
{
	uint64_t live = 0, size;
	struct slot *slots;

	for (uint64_t i = 0; i < dedup->size; i++) {
		const struct slot *slot = &dedup->slots[i];

		live += slot->seconds && is_live(dedup, slot->seconds, dedup->newest);
	}
	size = live + live / 8 * 7;
	if (size < SLOTS_FIRST)
		size = SLOTS_FIRST;
	slots = slots_alloc(size);
	if (!slots)
		return -ENOMEM;
	for (uint64_t i = 0; i < dedup->size; i++) {
		const struct slot *slot = &dedup->slots[i];

		if (slot->seconds && is_live(dedup, slot->seconds, dedup->newest))
			*find(slots, size, slot->high, slot->low) = *slot;
	}
	free(dedup->slots);
	dedup->slots = slots;
	dedup->size = size;
	dedup->used = live;
	return 0;
}

int dedup_add(struct dedup *dedup, struct dedup_id id, int64_t received_us)
{
	uint32_t now = seconds_of(received_us);
	struct slot *slot;

	if (now > dedup->newest)
		dedup->newest = now;
	slot = find(dedup->slots, dedup->size, id.high, id.low);
	if (slot->seconds) {
		if (now > slot->seconds)
			slot->seconds = now;
		return 0;
	}
	if ((dedup->used + 1) * FULL_DEN > dedup->size * FULL_NUM) {
		int rc = make_room(dedup);

		if (rc < 0)
			return rc;
		slot = find(dedup->slots, dedup->size, id.high, id.low);
	}
	*slot = (struct slot){ id.high, id.low, now };
	dedup->used++;
	return 0;
}

int64_t dedup_count(const struct dedup *dedup)
{
	return (int64_t)dedup->used;
}

int64_t dedup_bytes(const struct dedup *dedup)
{
	return (int64_t)(dedup->size * sizeof(*dedup->slots));
}
