/* column_write - rows as they come, made into a column file in memory
 *
 *      row --> names to slots --> values to numbers of the slot --> pairs (slot, value)
 *      image: sort rows and each slot's values --> codes --> column_out
 *
 * The head of the store: everything is interned by hash, nothing is allocated per row once the
 * tables have grown. Names stay known for good (at most names_max, further ones are left out and
 * counted), values only until the reset. One thread.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COLUMN_WRITE_H
#define AGGREGATE_COLUMN_WRITE_H

#include "aggregate/store.h"

#define COLUMN_NAME_MAX 256             /* bytes of a property's name; longer ones are left out */

struct column_write;

MUST_CHECK int column_write_open(struct column_write **writep, uint32_t names_max);
void column_write_close(struct column_write *write);

/* A name that is taken already, in a file. */
MUST_CHECK int column_write_know(struct column_write *write, struct slice name);
/* Is a row of that message, source and actor in? */
bool column_write_has(const struct column_write *write, const struct store_row *row);
/* 0, -ENOMEM. *left_out grows by the properties that were not taken. */
MUST_CHECK int column_write_add(struct column_write *write, const struct store_row *row,
				uint64_t *left_out);
uint32_t column_write_rows(const struct column_write *write);
/* STORE_HEAD_MAX rows, or as much as that should take. */
bool column_write_is_full(const struct column_write *write);
size_t column_write_bytes(const struct column_write *write);
/* About what its rows will take as an image. */
size_t column_write_used(const struct column_write *write);

/* All rows as an image for column_open_image; they stay. -ENOMEM. */
MUST_CHECK int column_write_image(struct column_write *write, struct buf *image);
void column_write_reset(struct column_write *write);

#endif
