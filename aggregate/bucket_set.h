/* bucket_set - quarters of an hour, as a bit each
 *
 * Which buckets of the rolling counts changed since they were told last. From 1970 to 2089 that is
 * half a MiB; other times are the nearest of these.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_BUCKET_SET_H
#define AGGREGATE_BUCKET_SET_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_US    (INT64_C(15) * 60 * 1000000)
#define BUCKET_COUNT (UINT32_C(1) << 22)

struct bucket_set {
	uint64_t *bits;                 /* owned; [BUCKET_COUNT / 64] */
	uint32_t low, high;             /* all that are in are low <= bucket < high */
	uint32_t count;
};

static inline uint32_t bucket_of(int64_t time_us)
{
	int64_t bucket = time_us < 0 ? 0 : time_us / BUCKET_US;

	return bucket < BUCKET_COUNT ? (uint32_t)bucket : BUCKET_COUNT - 1;
}

static inline bool bucket_set_has(const struct bucket_set *set, uint32_t bucket)
{
	return set->bits[bucket / 64] >> bucket % 64 & 1;
}

static inline void bucket_set_add(struct bucket_set *set, uint32_t bucket)
{
	if (bucket_set_has(set, bucket))
		return;
	set->bits[bucket / 64] |= UINT64_C(1) << bucket % 64;
	if (set->count++ == 0) {
		set->low = bucket;
		set->high = bucket + 1;
	}
	if (bucket < set->low)
		set->low = bucket;
	if (bucket >= set->high)
		set->high = bucket + 1;
}

static inline void bucket_set_remove(struct bucket_set *set, uint32_t bucket)
{
	set->count -= bucket_set_has(set, bucket);
	set->bits[bucket / 64] &= ~(UINT64_C(1) << bucket % 64);
}

#endif
