/* row - an enriched record as a row of the store, and what it says of persons
 *
 *      record --> built-in columns ($event, $browser, ..)  --> store_add --> link, alias, profile
 *             --> properties, flattened                                      (only of new events)
 *
 * One actor: the user id, else the anonymous id; ids that are junk (persons_is_junk) are none.
 * An event time before 1971 or more than an hour after it was received becomes the time it was
 * received, and the row gets $time_adjusted = true. Properties whose names are those of built-in
 * columns count only where the record does not say itself.
 *
 * Persons: both ids tie (link); an alias call ties previous_id to the user, two user ids only with
 * the property "$merge": true; traits of identify are set, those of group with "group." before
 * their names, and "$group_id". In properties and traits of any call "$set", "$set_once", "$add",
 * "$append", "$union", "$remove" are objects of what to do, "$unset" is one or a list of names, and
 * "$delete": true deletes the person with all of his events until that one (persons_delete_later).
 * These are no properties of the event.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_ROW_H
#define AGGREGATE_ROW_H

#include "aggregate/store.h"
#include "lib/arena.h"
#include "lib/json.h"

struct row_taker;

MUST_CHECK int row_taker_open(struct row_taker **takerp, struct store *store, struct err *err);
void row_taker_close(struct row_taker *taker);

/* Takes one record (fields of ENRICHED_LEAVES) within a change. What store_add says. Properties
 * that are no JSON are left out and counted. */
MUST_CHECK int row_take(struct row_taker *taker, const struct value *fields, struct err *err);

struct row_counts {
	uint64_t adjusted;              /* times */
	uint64_t left_out;              /* parts of properties: too deep, too many, no JSON */
};
struct row_counts row_counts(const struct row_taker *taker);

#endif
