/* breakdown - events by up to five properties: keys and their labels
 *
 *      event --> a number per property (scan.h) --> group --> key = mixed-radix number
 *
 * Missing values are the segment "(not set)", "" is "(empty string)", a list is one segment per
 * element. Numbers with more than RANGES_NUMBERS different values fall into even ranges of a
 * round width, "[0, 10)": which ones is decided by the values that the question's own events have
 * (breakdown_see, then breakdown_settle), not by what else is in the files.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_BREAKDOWN_H
#define AGGREGATE_BREAKDOWN_H

#include "aggregate/question.h"
#include "aggregate/scan.h"

#define BREAKDOWN_PROPS_MAX 5
#define BREAKDOWN_KEYS_MAX  256         /* of one event (lists); more are left out */

struct breakdown;

/* From a list of {"prop":..,"of":..,"type":..}, or one such object. With a name instead of a node:
 * by that property alone. */
MUST_CHECK int breakdown_open(struct breakdown **breakdownp, yyjson_val *node, const char *at,
			      const char *prop, const struct snapshot *snapshot,
			      struct question_error *error);
void breakdown_close(struct breakdown *breakdown);
size_t breakdown_count(const struct breakdown *breakdown);      /* of properties */

/* Must the events be seen before their keys are asked for? */
bool breakdown_wants_to_see(const struct breakdown *breakdown);
/* Keys are below it. */
uint64_t breakdown_keys(const struct breakdown *breakdown);
/* The parts of a key's label, as JSON texts separated by commas. */
void breakdown_write(const struct breakdown *breakdown, uint64_t key, struct buf *out);
/* By label: numbers by value, texts by bytes. */
int breakdown_compare(const struct breakdown *breakdown, uint64_t a, uint64_t b);

/* One thread's. */
struct breakdown_look;
MUST_CHECK int breakdown_look_open(struct breakdown_look **lookp,
				   const struct breakdown *breakdown);
void breakdown_look_close(struct breakdown_look *look);
void breakdown_see(struct breakdown_look *look, uint32_t leader, const struct scan_event *event);
/* Once per thread, one at a time; breakdown_settle after the last. */
void breakdown_fold_seen(struct breakdown *breakdown, const struct breakdown_look *look);
MUST_CHECK int breakdown_settle(struct breakdown *breakdown);
/* The event's keys: one, unless a property is a list. *keys lives until the next call. */
size_t breakdown_look_up(struct breakdown_look *look, uint32_t leader,
			 const struct scan_event *event, const uint64_t **keys);
/* Has every event one key? Then those of rows of a block can be had at once. */
bool breakdown_is_single(const struct breakdown *breakdown);
/* By the event's name alone? Then a code of that column has its key. */
bool breakdown_is_event(const struct breakdown *breakdown);
uint64_t breakdown_key_of(const struct breakdown_look *look, size_t file, uint32_t code);
/* Does it ask who did it? */
bool breakdown_has_profile(const struct breakdown *breakdown);
void breakdown_look_rows(struct breakdown_look *look, const struct scan_block *block,
			 const uint16_t *places, uint32_t count, uint64_t *keys);

#endif
