/* operator - one condition on one value: {"op":"contains","values":["pro"]}
 *
 * What the leaves of a predicate do once they have a value in hand. Operators and types are listed
 * in docs/questions.md. A negative operator is true exactly where its positive one is false, so
 * also for missing values. Texts are compared without regard to case where a part of them is looked
 * for (contains, starts_with, ends_with) and in regular expressions (PCRE2; (?-i) turns it off);
 * `is` compares bytes. Any number of threads may test at once.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_OPERATOR_H
#define AGGREGATE_OPERATOR_H

#include <stdbool.h>

#include "aggregate/prop.h"
#include "aggregate/question.h"

#define OPERATOR_VALUES_MAX 1000

struct operator;

/* From a leaf's "op", "values", "type" and "elements"; at: the leaf's place. */
MUST_CHECK int operator_parse(struct operator **operatorp, yyjson_val *leaf, const char *at,
			      const struct zone *zone, int64_t now_us,
			      struct question_error *error);
void operator_close(struct operator *operator);
bool operator_test(const struct operator *operator, const struct prop *value);

#endif
