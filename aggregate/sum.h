/* sum - exact sums of doubles, whatever the order of the terms
 *
 * A fixed-point number over the whole range of a double, in limbs of 32 bits with room for carries:
 * adding is three integer additions. So an answer does not depend on how persons were split between
 * threads or in which order files were merged (a sum of doubles would, in its last digits).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SUM_H
#define AGGREGATE_SUM_H

#include <stdint.h>

#define SUM_LIMBS 68

/* All zero is the sum of nothing. */
struct sum {
	int64_t limbs[SUM_LIMBS];
	uint64_t adds;                  /* since carries were last passed on */
};

void sum_add(struct sum *sum, double value);    /* value: finite */
void sum_merge(struct sum *sum, const struct sum *other);
double sum_value(const struct sum *sum);

#endif
