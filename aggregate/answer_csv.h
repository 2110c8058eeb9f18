/* answer_csv - a JSON answer as a table of RFC 4180
 *
 * A trend: a line per bucket, a column per series. Others: a line per object of their list (steps,
 * cohorts, people, ..), a column per member; a list of numbers takes a column each.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_ANSWER_CSV_H
#define AGGREGATE_ANSWER_CSV_H

#include "lib/buf.h"
#include "lib/json.h"

/* list: the member of root whose objects are the lines; "": root itself is the list; "series": as
 * a trend. */
void answer_csv(yyjson_val *root, const char *list, struct buf *out);

#endif
