/* predicate - a filter tree of a question, ready to run
 *
 *      {"and":[{"prop":"plan","op":"is","values":["pro"]}]} -> checked tree -> tables per file
 *
 * Operators and types are listed in docs/questions.md. Leaves are about the event (its property
 * as it was then) or about the profile (as it is now). A leaf about an event is bound to a file:
 * one byte per value of the dictionary says yes, no, or not asked yet; a row is one look-up.
 * Missing values: every operator is false but is_not_set and those that begin with "not" or "!".
 * Values of another type never match the positive operators.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_PREDICATE_H
#define AGGREGATE_PREDICATE_H

#include "aggregate/column.h"
#include "aggregate/person.h"
#include "aggregate/question.h"

#define PREDICATE_LEAVES_MAX 64
#define PREDICATE_DEPTH_MAX  8

struct predicate;

/* What in_cohort needs: is this person in the saved query of that name? (saved.h). May be NULL. */
struct predicate_world {
	int64_t now_us;                 /* for in_last */
	int week_start;                 /* a question's default: days after Monday */
	const struct zone *zone;        /* for dates without a time; NULL: UTC */
	bool (*in_cohort)(void *ctx, struct slice name, uint32_t leader);
	bool (*has_cohort)(void *ctx, struct slice name);       /* an unknown one is an error */
	void *ctx;
};

/* Builds from JSON; `at` is the JSON pointer of node. An array stands for "and". The tree owns
 * copies of all it needs. -EINVAL with *error (question.h) naming the place and the mend. */
MUST_CHECK int predicate_parse(struct predicate **predicatep, yyjson_val *node, const char *at,
			       const struct predicate_world *world,
			       struct question_error *error);
/* A question's own: its "where" and its "source" together; *predicatep = NULL: it has neither. */
MUST_CHECK int predicate_parse_root(struct predicate **predicatep, yyjson_val *root,
				    const struct predicate_world *world,
				    struct question_error *error);
void predicate_close(struct predicate *predicate);
bool predicate_has_profile(const struct predicate *predicate);
bool predicate_has_event(const struct predicate *predicate);

/* Of a person's profile; a predicate with leaves about events: they count as not set. */
bool predicate_person(const struct predicate *predicate, const struct persons *persons,
		      uint32_t leader, struct buf *scratch);

/* Of a predicate that is one leaf about a property: does this value satisfy it? */
bool predicate_value(const struct predicate *predicate, const struct prop *value);

/* Bound to one file; for all threads. Values are decided when a row first asks. */
struct predicate_bound;
MUST_CHECK int predicate_bind(struct predicate_bound **boundp, const struct predicate *predicate,
			      const struct column_file *file, const struct persons *persons);
void predicate_unbind(struct predicate_bound *bound);

/* One thread's place in a bound one: where it is in sparse columns, and what a person's profile
 * said last. */
struct predicate_cursor;
MUST_CHECK int predicate_cursor_open(struct predicate_cursor **cursorp,
				     struct predicate_bound *bound);
void predicate_cursor_close(struct predicate_cursor *cursor);
bool predicate_row(struct predicate_cursor *cursor, uint32_t row, uint32_t leader);
/* Of places into rows and leaders those that it is true for, in their order; how many are left. */
uint32_t predicate_rows(struct predicate_cursor *cursor, const uint32_t *rows,
			const uint32_t *leaders, uint16_t *places, uint32_t count);

#endif
