/* formula - "A / B * 100" over measures
 *
 * + - * / and parentheses, numbers, and a letter per measure (A is the first). x / 0 is null, and
 * so is what is made of null; null is NaN here.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_FORMULA_H
#define AGGREGATE_FORMULA_H

#include "lib/err.h"
#include "lib/slice.h"

#define FORMULA_PARTS_MAX 128

struct formula {
	int count;
	struct formula_part {
		char kind;              /* 'A': measure, '0': number, '+' '-' '*' '/', '~': minus */
		int measure;
		double number;
	} parts[FORMULA_PARTS_MAX];     /* in postfix order */
};

/* -EINVAL: words say what is wrong, and where. */
MUST_CHECK int formula_parse(struct formula *formula, struct slice text, int measures,
			     struct err *err);
double formula_value(const struct formula *formula, const double *measures);

#endif
