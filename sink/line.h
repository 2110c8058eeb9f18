/* line - a record as one line of JSON
 *
 *      {"message_id":"m1",..,"geo":{"country":null,..},"properties":{"price":9.90},..}\n
 *
 * Names and order are the schema's; "geo.country" is in an object geo. Times are ISO 8601 with
 * milliseconds and Z. Text leaves that hold JSON (properties, traits, context, integrations, body)
 * stand as JSON, or as a string where they are not valid. Bytes are a string where they are UTF-8,
 * else base64 in NAME_base64; both names are always there. NaN and infinities are null.
 * With nulls every line has every name, so that readers which guess columns from some lines guess
 * the same ones from all; without, a null leaf and an object without members are left out: half
 * the size for web events, as measured, before compression.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_LINE_H
#define SINK_LINE_H

#include "lib/buf.h"
#include "lib/datum.h"
#include "lib/schema.h"

struct line;

/* schema is borrowed until line_close. */
MUST_CHECK int line_open(struct line **linep, const struct schema *schema, bool nulls,
			 struct err *err);
void line_close(struct line *line);

/* Appends the line with its newline. -ENOSPC: out's limit. */
MUST_CHECK int line_print(struct line *line, const struct value *fields, struct buf *out);

#endif
