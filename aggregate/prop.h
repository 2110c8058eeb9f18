/* prop - the value of a property: nothing, a boolean, a number, text, or a list
 *
 * What events and profiles carry, after JSON was flattened: {"a": {"b": 1}} is the property "a.b";
 * an array of scalars is a list; an array of objects gives one list per member ("products.sku").
 * Objects deeper than PROP_DEPTH_MAX and text over PROP_TEXT_MAX bytes (cut at a character) are the
 * only things that are not kept whole here; the log has them.
 *
 * Values have one total order, which dictionaries and answers share:
 *      false < true < numbers by value < texts by bytes < lists by their bytes
 * Dates are texts (ISO 8601) or numbers and become dates where a question says so.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_PROP_H
#define AGGREGATE_PROP_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/slice.h"

#define PROP_DEPTH_MAX  3
#define PROP_TEXT_MAX   4096
#define PROP_LIST_MAX   256             /* elements */
#define PROP_COUNT_MAX  512             /* properties of one event */

enum prop_kind { PROP_NONE, PROP_FALSE, PROP_TRUE, PROP_NUMBER, PROP_TEXT, PROP_LIST };

struct prop {
	enum prop_kind kind;
	double number;                  /* PROP_NUMBER: finite, no -0 */
	struct slice text;              /* PROP_TEXT; PROP_LIST: its elements, see prop_next */
};

/* < 0, 0, > 0 in the order above. */
int prop_compare(const struct prop *a, const struct prop *b);

/* Elements of a list are written one after the other: kind byte, then a double (LE) or a varint
 * length and bytes. *at begins as 0; false at the end or where the bytes are damaged. */
bool prop_next(struct slice list, size_t *at, struct prop *element);
/* Appends one element to a list's bytes. */
void prop_list_add(struct buf *list, const struct prop *element);

/* As people see it: true, 12.5, text as it is, [a, b]. Numbers by the shortest digits that read
 * back the same. */
void prop_print(const struct prop *prop, struct buf *out);
/* As JSON. PROP_NONE: null. */
void prop_write_json(const struct prop *prop, struct buf *out);

/* Flattens a JSON object: calls take(ctx, name, prop) once per property; null members are left
 * out. Name and prop live only during the call. scratch is the caller's and is reset. Stops at the
 * first negative return of take and hands it on; more than PROP_COUNT_MAX: the rest is left
 * out and *left_out counts them. */
typedef int prop_take_fn(void *ctx, struct slice name, const struct prop *prop);
int prop_flatten(yyjson_val *object, struct buf *scratch, prop_take_fn *take, void *ctx,
		 uint32_t *left_out);

#endif
