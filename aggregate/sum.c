// SPDX-License-Identifier: Apache-2.0
#include "aggregate/sum.h"

#include <math.h>
#include <string.h>

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
