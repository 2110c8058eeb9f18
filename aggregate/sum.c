// SPDX-License-Identifier: Apache-2.0
#include "aggregate/sum.h"

#include <math.h>

#define LIMB_BITS  32
#define LIMB_MASK  INT64_C(0xffffffff)
/* Each adds under 2^32 to a limb; the sign bit stays far away. */
#define ADDS_MAX   (UINT64_C(1) << 29)
#define EXPONENT_0 (-1074)              /* of the lowest bit */

static void carry(struct sum *sum)
{
	int64_t over = 0;

	for (int i = 0; i < SUM_LIMBS - 1; i++) {
		int64_t limb = sum->limbs[i] + over;

		sum->limbs[i] = limb & LIMB_MASK;
		over = limb >> LIMB_BITS;
	}
	sum->limbs[SUM_LIMBS - 1] += over;
	sum->adds = 1;
}

void sum_add(struct sum *sum, double value)
{
	uint64_t bits, mantissa, low;
	int exponent, at, shift;
	int64_t sign;

	memcpy(&bits, &value, sizeof(bits));
	exponent = (int)(bits >> 52 & 0x7ff);
	mantissa = bits & ((UINT64_C(1) << 52) - 1);
	if (exponent)
		mantissa |= UINT64_C(1) << 52;
	else
		exponent = 1;
	at = (exponent - 1) / LIMB_BITS;
	shift = (exponent - 1) % LIMB_BITS;
	sign = bits >> 63 ? -1 : 1;
	/* 53 bits shifted by up to 31 span three limbs. */
	low = (mantissa & (uint64_t)LIMB_MASK) << shift;
	sum->limbs[at] += sign * (int64_t)(low & (uint64_t)LIMB_MASK);
	low = (low >> LIMB_BITS) + ((mantissa >> LIMB_BITS) << shift);
	sum->limbs[at + 1] += sign * (int64_t)(low & (uint64_t)LIMB_MASK);
	sum->limbs[at + 2] += sign * (int64_t)(low >> LIMB_BITS);
	if (++sum->adds >= ADDS_MAX)
		carry(sum);
}

void sum_merge(struct sum *sum, const struct sum *other)
{
	struct sum copy = *other;

	carry(sum);
	carry(&copy);
	for (int i = 0; i < SUM_LIMBS; i++)
		sum->limbs[i] += copy.limbs[i];
	carry(sum);
}

double sum_value(const struct sum *sum)
{
	struct sum copy = *sum;
	double sign = 1, value;
	int top = SUM_LIMBS - 1, shift;
	uint64_t high, low;

	carry(&copy);
	if (copy.limbs[top] < 0) {
		sign = -1;
		for (int i = 0; i < SUM_LIMBS; i++)
			copy.limbs[i] = -copy.limbs[i];
		carry(&copy);
	}
	while (top > 2 && copy.limbs[top] == 0)
		top--;
	/* The highest 64 bits of three limbs; the last one also stands for what is below. */
	high = (uint64_t)copy.limbs[top] << LIMB_BITS | (uint64_t)copy.limbs[top - 1];
	low = (uint64_t)copy.limbs[top - 2];
	shift = high ? __builtin_clzll(high) : 64;
	shift = shift > LIMB_BITS ? LIMB_BITS : shift;
	high = (high << shift) | (low << shift >> LIMB_BITS);
	low = low << shift & (uint64_t)LIMB_MASK;
	for (int i = top - 3; i >= 0 && !low; i--)
		low = (uint64_t)copy.limbs[i];
	value = ldexp((double)(high | (low != 0)),
		      (top - 1) * LIMB_BITS - shift + EXPONENT_0);
	return sign * value;
}

/* Terms of 53 bits moved by up to SPAN bits leave 2^(127 - 53 - SPAN) of them room. */
#define SPAN 40

int32_t sum_fixed_exponent(const double *values, size_t count)
{
	int32_t least = SUM_NO_EXPONENT, most = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t bits;
		int32_t exponent;

		if (isnan(values[i]) || values[i] == 0)
			continue;
		memcpy(&bits, &values[i], sizeof(bits));
		exponent = (int32_t)(bits >> 52 & 0x7ff);
		least = exponent < least ? exponent : least;
		most = exponent > most ? exponent : most;
	}
	if (least == SUM_NO_EXPONENT)
		return 1;
	/* Not those below the normal ones, and none whose sums end above all limbs. */
	return least < 1 || most - least > SPAN || most > 1900 ? SUM_NO_EXPONENT : least;
}

void sum_add_fixed(struct sum *sum, const struct sum_fixed *fixed, int32_t exponent)
{
	uint64_t words[2] = { fixed->low, (uint64_t)fixed->high };
	int64_t sign = 1;
	int at = (exponent - 1) / LIMB_BITS, shift = (exponent - 1) % LIMB_BITS;

	if (fixed->low == 0 && fixed->high == 0)
		return;
	if (fixed->high < 0) {
		sign = -1;
		words[0] = ~words[0] + 1;
		words[1] = ~words[1] + (words[0] == 0);
	}
	for (int i = 0; i < 4; i++) {
		uint64_t word = words[i / 2] >> (i % 2 * LIMB_BITS) & (uint64_t)LIMB_MASK;

		word <<= shift;
		sum->limbs[at + i] += sign * (int64_t)(word & (uint64_t)LIMB_MASK);
		sum->limbs[at + i + 1] += sign * (int64_t)(word >> LIMB_BITS);
	}
	sum->adds += 2;
	if (sum->adds >= ADDS_MAX)
		carry(sum);
}
