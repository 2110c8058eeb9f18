/* field - a table of settings filled from a YAML map
 *
 * What lib/opt is for flags, this is for destinations/NAME.yaml: one const table per kind makes
 * reading, checks, forms and the manual's list. Defaults are texts in the table.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_FIELD_H
#define SINK_FIELD_H

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/yaml.h"
#include "sink/dest.h"

struct field_place {
	const char *path;               /* of the file, for words */
	const char *dir;                /* that relative paths are relative to */
	struct arena *arena;            /* owns all texts and lists */
};

/* Fills conf from the map's keys and the table's defaults. Keys of others are passed over.
 * -EBADMSG: words with path and line; -ENOMEM. */
MUST_CHECK int field_read(const struct dest_field *fields, void *conf, const struct yaml *root,
			  const struct field_place *place, struct err *err);
const struct dest_field *field_find(const struct dest_field *fields, const char *name);
/* The table as a JSON array of objects: name, type, required, default, choices, help. */
void field_print(const struct dest_field *fields, struct buf *out);

#endif
