/* row - a record as a row of a table: one column per leaf
 *
 *      geo.country of schemas/enriched.avsc  ->  column geo_country, a text
 *
 * The first column of every table is message_id: the idempotency key, made of topic, partition and
 * offset where a record has none. A leaf of that name is this column. What is JSON in the record
 * is JSON in the table. Several threads may read one.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_ROW_H
#define SINK_ROW_H

#include "sink/dest.h"

#define ROW_NAME_MAX 63                 /* of a table, too: PostgreSQL's bound */

enum row_kind { ROW_TEXT, ROW_JSON, ROW_TIME, ROW_INT, ROW_REAL, ROW_FLAG, ROW_BYTES, ROW_ENUM };

struct row_column {
	char name[ROW_NAME_MAX + 1];
	int leaf;
	enum row_kind kind;
	const struct schema_field *field;
};

struct row {
	struct row_column *columns;     /* all but message_id; owned */
	size_t count;
};

/* only: names of columns that are wanted; empty: all. -EBADMSG: no leaf of such a name. */
MUST_CHECK int row_init(struct row *row, const struct schema *schema, const struct dest_list *only,
			struct err *err);
void row_reset(struct row *row);
/* A letter or _, then letters, digits and _, at most ROW_NAME_MAX. */
bool row_is_name(const char *name);
/* -EBADMSG with `what` where it is none. */
MUST_CHECK int row_check_name(const char *what, const char *name, struct err *err);

#endif
