/* audit_book - what an audit has counted
 *
 * A stage is a line of it; the bits say of each collected offset what was seen of it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_AUDIT_BOOK_H
#define MILLRACE_AUDIT_BOOK_H

#include "lib/buf.h"
#include "millrace/reach.h"
#include "millrace/topic.h"

enum book_fate { BOOK_OUT, BOOK_BAD, BOOK_DUPLICATE, BOOK_FILTERED, BOOK_PENDING, BOOK_FATES };

struct book_stage {
	char name[REACH_NAME_MAX + 8];
	uint64_t in, fates[BOOK_FATES];
	uint64_t lost;                  /* in none of them */
	uint64_t extra;                 /* came out, and never went in */
	uint64_t unproven;              /* of the filtered ones */
	int64_t oldest_us;              /* received_at of the oldest pending one; 0: none */
	char words[400];                /* what is to be said of it */
};

/* Counts n records; received_us is looked at for pending ones. */
void book_count(struct book_stage *stage, enum book_fate fate, uint64_t n, int64_t received_us);
void book_say(struct book_stage *stage, const char *format, ...) PRINTF_LIKE(2, 3);
bool book_holds(const struct book_stage *stage);

/* Two bits for each offset from base on. */
struct book_bits {
	int64_t base;
	size_t count;
	unsigned char *bytes;           /* owned; bit 0 of a pair: out, bit 1: bad */
};

enum book_mark { BOOK_MARK_OUT = 1, BOOK_MARK_BAD = 2 };

/* -ENOMEM. Offsets below base are passed over. */
MUST_CHECK int book_mark(struct book_bits *bits, int64_t offset, enum book_mark mark);
unsigned book_marks(const struct book_bits *bits, int64_t offset);

/* Dropped records, until an earlier one with the same id is found. */
struct book_drop {
	uint64_t id;
	int64_t offset;
	int64_t received_us;
	int32_t partition;
	bool is_proven;
};

struct book_drops {
	struct book_drop *items;        /* owned */
	size_t count, cap;
};

MUST_CHECK int book_drop(struct book_drops *drops, struct book_drop drop);
void book_drops_sort(struct book_drops *drops);
/* Those of that id and partition behind offset are proven. */
void book_drops_prove(struct book_drops *drops, uint64_t id, int32_t partition, int64_t offset);

void book_print(const struct book_stage *stages, size_t count, const char *bus, int64_t since_us,
		bool is_json, struct buf *out);

#endif
