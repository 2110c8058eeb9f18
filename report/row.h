/* row - an enriched record as one line of JSON for the live view
 *
 * The same names as a file sink's lines, without what nobody looks at: null fields are left out.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_ROW_H
#define REPORT_ROW_H

#include "lib/bus.h"

/* Appends {"id":"0-17","event":..,..}. Fields are those of record.h's enriched list. */
void row_write(const struct bus_record *record, struct buf *out);

/* Has the row a member `name` (at its top) with this text as its value? */
bool row_has(struct slice row, struct slice name, struct slice value);
/* Is text anywhere in it, whatever the case of ASCII letters? */
bool row_contains(struct slice row, struct slice text);

#endif
