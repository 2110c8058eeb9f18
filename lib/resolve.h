/* resolve - readers for the schemas that files were written with
 *
 * Each file of a log, and a pipe, says in its header which schema its records have. Resolving one
 * against the reader's own costs a parse; this keeps the last few, found by the hash of the
 * schema's text, so that a reader that goes around many partitions does it once per version.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_RESOLVE_H
#define LIB_RESOLVE_H

#include "lib/datum.h"
#include "lib/err.h"
#include "lib/schema.h"

#define RESOLVE_MAX 8

struct resolve_entry {
	uint64_t hash[2];
	uint64_t used;
	struct schema *writer;
	struct datum_reader *datum;
};

struct resolve {
	const struct schema *reader;            /* borrowed */
	struct resolve_entry entries[RESOLVE_MAX];
	uint64_t clock;
};

/* *datum lives until RESOLVE_MAX other texts were asked for. -EBADMSG: does not resolve. */
MUST_CHECK int resolve_get(struct resolve *resolve, struct slice schema_text,
			   const struct datum_reader **datum, struct err *err);
void resolve_close(struct resolve *resolve);

#endif
