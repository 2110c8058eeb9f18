/* column_out - puts a column file together, section by section, into memory or a file
 *
 *      begin .. end  (actor, start, time, message, bloom)
 *      column, put codes, put rows, values     once per column, rising by name
 *      finish                                  directory and foot
 *
 * Both writers (column_write.c: rows; merge.c: files) go through it, so that the same rows give the
 * same bytes whichever way they came. Bytes go out once, in order, through a buffer of 1 MiB.
 * Errors stick: they are returned by column_out_finish.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COLUMN_OUT_H
#define AGGREGATE_COLUMN_OUT_H

#include <xxhash.h>

#include "aggregate/column_format.h"

struct column_out {
	struct buf *image;              /* borrowed; NULL: to fd */
	int fd;                         /* borrowed */
	uint64_t at;                    /* bytes put so far */
	XXH3_state_t *sum;              /* owned; of the section or column in work */
	struct buf buf;                 /* what fd did not get yet */
	struct buf directory;           /* of struct column_entry */
	struct column_entry entry;      /* of the column in work */
	struct column_foot foot;
	bool is_open;                   /* a column is */
	int error;
};

MUST_CHECK int column_out_open(struct column_out *out, struct buf *image, int fd);
void column_out_close(struct column_out *out);

void column_out_begin(struct column_out *out, enum column_section section);
void column_out_put(struct column_out *out, const void *bytes, size_t len);
void column_out_end(struct column_out *out, enum column_section section);

/* Is sparse smaller for so many entries among so many rows? $event is always dense. */
bool column_out_is_sparse(struct slice name, uint32_t rows, uint32_t count, uint32_t values);
uint8_t column_out_width(uint32_t values);

/* A column begins; set: how many codes are not 0. Its codes are put next (column_out_put), then its
 * rows. */
void column_out_column(struct column_out *out, struct slice name, uint32_t count, uint32_t set,
		       uint8_t width);
void column_out_rows(struct column_out *out);
/* Its dictionary: value(ctx, i) for i < count, rising, and it is done. */
typedef struct prop column_value_fn(void *ctx, uint32_t i);
void column_out_values(struct column_out *out, uint32_t count, column_value_fn *value, void *ctx);

/* The rest. 0 or what went wrong first. */
MUST_CHECK int column_out_finish(struct column_out *out, uint32_t rows, uint32_t actors,
				 int64_t time_min, int64_t time_max);

/* A Bloom filter of the right size for rows, cleared; NULL: no memory. The caller frees it. */
uint64_t *column_bloom_open(uint32_t rows, uint32_t *blocks);
void column_bloom_add(uint64_t *bloom, uint32_t blocks, const struct message_key *keys,
		      size_t count);

#endif
