/* column_format - the bytes of a column file, for its reader and its writers
 *
 *      offset  size
 *      0       8     COLUMN_MAGIC
 *      8       ..    sections, one after the other, each from a multiple of 8, zeros between
 *      ..      n*120 directory: a struct column_entry per column, rising by name
 *      end-160 160   struct column_foot
 *
 * Sections that the foot names: actor (u32 each), start (u32, actors + 1), time (i64), message (16
 * bytes), bloom (64-byte blocks). Of each column: name, codes, rows (sparse only), dictionary =
 * numbers (f64), text ends (u32, rising, the end of each in text bytes), text bytes. A column's
 * sections follow each other from `at` for `bytes`, and have one checksum. All little endian;
 * checksums are XXH3 of 64 bits.
 *
 * Valid is a file whose foot has the magic, version and its own checksum, whose sections lie inside
 * it, rise, and have their checksums (column_open); and whose actors, starts, times, names and
 * dictionaries rise, codes are within the dictionary and all used, messages are in the Bloom filter
 * (column_verify, too). The foot comes last, so a file that was cut has none.
 *
 * Bloom filter: a power of two of 64-byte blocks, at least rows / 32 (16 to 32 bits a row). The
 * block is picked by the low bits of the key's hash; 5 bits in it by 9 bits each from bit 19 up.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COLUMN_FORMAT_H
#define AGGREGATE_COLUMN_FORMAT_H

#include <assert.h>

#include "aggregate/column.h"

#define COLUMN_MAGIC    "mrcolumn"
#define COLUMN_VERSION  1
#define COLUMN_ROWS_MAX UINT32_C(0x7fffffff)
#define COLUMN_BLOOM_BLOCK 64
#define COLUMN_BLOOM_BITS  5

enum column_section {
	COLUMN_ACTOR, COLUMN_START, COLUMN_TIME, COLUMN_MESSAGE, COLUMN_BLOOM, COLUMN_SECTIONS
};

struct column_entry {
	uint64_t at, bytes, sum;        /* all of the column */
	uint64_t codes_at, rows_at;     /* rows_at 0: dense */
	uint64_t numbers_at, ends_at, text_at, text_bytes;
	uint32_t name_len;              /* the name is at `at` */
	uint32_t count;                 /* codes */
	uint32_t values;
	uint32_t numbers, texts, lists; /* of the values; the others are false and true */
	uint32_t width;
	uint32_t flags;                 /* 1: has false, 2: has true */
	uint32_t set, reserved[3];      /* set: rows that have a value */
};
static_assert(sizeof(struct column_entry) == 120, "column directory entry");

struct column_foot {
	uint64_t at[COLUMN_SECTIONS];
	uint64_t sum[COLUMN_SECTIONS];
	uint64_t directory_at, directory_sum;
	int64_t time_min, time_max;
	uint64_t bytes;                 /* of the whole file */
	uint32_t rows, actors;
	uint32_t bloom_blocks, columns;
	uint32_t version, reserved;
	char magic[8];
	uint64_t foot_sum;              /* of the foot before this field */
};
static_assert(sizeof(struct column_foot) == 160, "column foot");

/* The size of section i by the counts of the foot. */
static inline uint64_t column_section_bytes(const struct column_foot *foot, int section)
{
	switch (section) {
	case COLUMN_ACTOR: return (uint64_t)foot->actors * 4;
	case COLUMN_START: return (uint64_t)foot->actors * 4 + 4;
	case COLUMN_TIME: return (uint64_t)foot->rows * 8;
	case COLUMN_MESSAGE: return (uint64_t)foot->rows * 16;
	default: return (uint64_t)foot->bloom_blocks * COLUMN_BLOOM_BLOCK;
	}
}

/* A key's bytes are random enough (UUID v4, XXH3) but for v7's time: mixed once more. */
static inline uint64_t column_key_hash(const struct message_key *key)
{
	uint64_t a, b;

	memcpy(&a, key->bytes, 8);
	memcpy(&b, key->bytes + 8, 8);
	a = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
	a = (a ^ a >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return a ^ a >> 32;
}

/* The bits of a block, as its eight words. */
static inline void column_bloom_bits(uint64_t hash, uint64_t words[8])
{
	for (int i = 0; i < COLUMN_BLOOM_BITS; i++) {
		unsigned bit = hash >> (19 + 9 * i) & 511;

		words[bit >> 6] |= UINT64_C(1) << (bit & 63);
	}
}

#endif
