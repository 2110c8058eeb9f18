/* table - text in columns, bars and sparklines for a terminal
 *
 * Cells may come from outside: control characters in them become question marks, so that an
 * event's name cannot talk to the terminal. Width is counted in code points.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_TABLE_H
#define MILLRACE_TABLE_H

#include <stddef.h>

#include "lib/buf.h"
#include "lib/slice.h"

#define TABLE_COLUMNS_MAX 40
#define TABLE_CELL_MAX    60    /* code points; what is longer is cut */

struct table {
	int columns;                            /* set by the owner, <= TABLE_COLUMNS_MAX */
	bool is_right[TABLE_COLUMNS_MAX];       /* aligned to the right: numbers */
	int width[TABLE_COLUMNS_MAX];
	size_t cell_count;
	struct buf cells;                       /* each cell, ended by NUL */
};

/* The next cell, row by row. */
void table_cell(struct table *table, struct slice text);
/* Appends all rows to out. */
void table_print(const struct table *table, struct buf *out);
void table_close(struct table *table);

/* A bar of value/most of `width` columns, in eighths. */
void table_bar(double value, double most, int width, struct buf *out);
/* One character per value; more than `width` values are added up in groups. */
void table_spark(const double *values, size_t count, size_t width, struct buf *out);
/* One field of a CSV line, quoted where needed. */
void table_csv(struct slice text, struct buf *out);

#endif
