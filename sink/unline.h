/* unline - a JSON object back to a record's leaves: line.h the other way
 *
 * Names and nesting are the schema's. What is missing or null is null; times are ISO 8601 or
 * numbers of milliseconds; the four JSON leaves are objects. Names that nobody knows are dropped.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_UNLINE_H
#define SINK_UNLINE_H

#include "lib/datum.h"
#include "lib/schema.h"

struct unline;

MUST_CHECK int unline_open(struct unline **unlinep, const struct schema *schema, struct err *err);
void unline_close(struct unline *unline);

/* fields: schema_field_count() values, valid until the next call. -EBADMSG: words name the leaf. */
MUST_CHECK int unline_read(struct unline *unline, struct slice text, struct value *fields,
			   struct err *err);

#endif
