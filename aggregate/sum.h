/* sum - exact sums of doubles, whatever the order of the terms
 *
 * A fixed-point number over the whole range of a double, in limbs of 32 bits with room for carries:
 * adding is three integer additions. So an answer does not depend on how persons were split between
 * threads or in which order files were merged (a sum of doubles would, in its last digits).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SUM_H
#define AGGREGATE_SUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SUM_LIMBS 68

/* All zero is the sum of nothing. */
struct sum {
	int64_t limbs[SUM_LIMBS];
	uint64_t adds;                  /* since carries were last passed on */
};

void sum_add(struct sum *sum, double value);    /* value: finite */
void sum_merge(struct sum *sum, const struct sum *other);
double sum_value(const struct sum *sum);

/* The same where the terms' magnitudes are near each other, as prices' are: 128 bits, in units of
 * 2^exponent. All zero is the sum of nothing. */
struct sum_fixed {
	uint64_t low;
	int64_t high;
};

#define SUM_NO_EXPONENT INT32_MAX

/* The exponent for these (NaNs are no terms); SUM_NO_EXPONENT: they are too far apart. */
int32_t sum_fixed_exponent(const double *values, size_t count);
void sum_add_fixed(struct sum *sum, const struct sum_fixed *fixed, int32_t exponent);

static inline void sum_fixed_add(struct sum_fixed *fixed, double value, int32_t exponent)
{
	uint64_t bits, mantissa, low, high, sign;
	unsigned shift;

	memcpy(&bits, &value, sizeof(bits));
	if (bits << 1 == 0)
		return;
	shift = (unsigned)((int32_t)(bits >> 52 & 0x7ff) - exponent) & 63;
	mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
	low = mantissa << shift;
	high = mantissa >> 1 >> (63 - shift);
	/* Minus is all bits turned, plus one. */
	sign = bits >> 63 ? UINT64_MAX : 0;
	low = (low ^ sign) + (sign & 1);
	high = (high ^ sign) + ((sign & 1) & (low == 0));
	fixed->low += low;
	fixed->high += (int64_t)(high + (fixed->low < low));
}

#endif
