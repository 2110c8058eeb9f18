/* predicate - a filter tree of a question, ready to run
 *
 *      {"and":[{"prop":"plan","op":"is","values":["pro"]}]} -> checked tree -> tables per file
 *
 * Operators and types are listed in docs/questions.md. Leaves are about the event (its property
 * as it was then) or about the profile (as it is now). A leaf about an event is bound to a file:
 * one byte per value of the dictionary says yes or no, code 0 (not set) too: a row is one look-up.
 * Missing values: every operator is false but is_not_set, is_not, not_contains, not_matches,
 * not_between, !=. Values of another type never match the positive operators.
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
	const struct zone *zone;        /* for dates without a time; NULL: UTC */
	bool (*in_cohort)(void *ctx, struct slice name, uint32_t leader);
	void *ctx;
};

/* Builds from JSON; `at` is the JSON pointer of node. The tree owns copies of all it needs.
 * -EINVAL with *error (question.h) naming the place and the mend. */
MUST_CHECK int predicate_parse(struct predicate **predicatep, yyjson_val *node, const char *at,
			       const struct predicate_world *world,
			       struct question_error *error);
void predicate_close(struct predicate *predicate);
bool predicate_has_profile(const struct predicate *predicate);

/* Does a single value satisfy a leaf tree that has exactly one property? For profiles. */
bool predicate_person(const struct predicate *predicate, const struct persons *persons,
		      uint32_t leader, struct buf *scratch);

/* Bound to one file and one thread (hints of sparse columns are in it). */
struct predicate_bound;
MUST_CHECK int predicate_bind(struct predicate_bound **boundp, const struct predicate *predicate,
			      const struct column_file *file, const struct persons *persons);
void predicate_unbind(struct predicate_bound *bound);
/* May any row match? false: the file can be passed over. */
bool predicate_may_match(const struct predicate_bound *bound);
bool predicate_row(struct predicate_bound *bound, uint32_t row, uint32_t leader);

#endif
