/* Quantiles: by hand, and against sorting on random and unkind arrays. */
// SPDX-License-Identifier: Apache-2.0
#include "aggregate/quantile.h"

#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

#define MOST 4000
#define SEED 7u

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static double by_sorting(const int64_t *sorted, size_t count, double q)
{
	double rank = q * (double)(count - 1);
	size_t k = (size_t)rank;

	if (k + 1 >= count)
		return (double)sorted[count - 1];
	return (double)sorted[k] + (rank - (double)k) * (double)(sorted[k + 1] - sorted[k]);
}

static void fill(int64_t *values, size_t count, int kind, uint64_t *seed)
{
	for (size_t i = 0; i < count; i++) {
		*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		switch (kind) {
		case 0: values[i] = (int64_t)(*seed >> 20); break;
		case 1: values[i] = (int64_t)(*seed >> 62); break;      /* many equal ones */
		case 2: values[i] = (int64_t)i; break;
		case 3: values[i] = -(int64_t)i; break;
		default: values[i] = (int64_t)(i < count / 2 ? i : count - i); break;
		}
	}
}

int main(void)
{
	static const double QS[] = { 0, 0.25, 0.5, 0.75, 0.9, 0.99, 1 };
	static int64_t values[MOST], sorted[MOST], work[MOST];
	int64_t hand[] = { 3, 1, 2, 4 };
	struct tap tap = { 0 };
	uint64_t seed = SEED;
	int wrong = 0;

	OK(&tap, quantile(hand, 4, 0.5) == 2.5, "the median of four");
	OK(&tap, quantile(hand, 4, 0.25) == 1.75, "R-7: 1 + 0.75");
	OK(&tap, quantile(hand, 1, 0.99) == (double)hand[0], "one value");
	for (int round = 0; round < 300; round++) {
		size_t count = 1 + (size_t)round * 13 % MOST;

		fill(values, count, round % 5, &seed);
		memcpy(sorted, values, count * sizeof(*sorted));
		qsort(sorted, count, sizeof(*sorted), compare);
		for (size_t i = 0; i < sizeof(QS) / sizeof(QS[0]); i++) {
			memcpy(work, values, count * sizeof(*work));
			wrong += quantile(work, count, QS[i]) != by_sorting(sorted, count, QS[i]);
		}
	}
	OK(&tap, wrong == 0, "as sorting: 300 arrays, seed %u, %d differ", SEED, wrong);
	return tap_end(&tap);
}
