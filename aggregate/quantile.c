// SPDX-License-Identifier: Apache-2.0
#include "aggregate/quantile.h"

#include <stdlib.h>

/* Rounds that a good pivot needs for 2^64 values, with room; then sorting is the bound. */
#define ROUNDS_MAX 128

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t middle(int64_t a, int64_t b, int64_t c)
{
	if (a < b)
		return b < c ? b : a < c ? c : a;
	return a < c ? a : b < c ? c : b;
}

/* Afterwards values[k] is what sorting would put there, nothing before it is greater, nothing
 * after it is less. */
static void select_rank(int64_t *values, size_t count, size_t k)
{
	size_t low = 0, high = count - 1;

	for (int round = 0; low < high; round++) {
		int64_t pivot = middle(values[low], values[low + (high - low) / 2], values[high]);
		size_t i = low, j = high;

		if (round == ROUNDS_MAX) {
			qsort(values + low, high - low + 1, sizeof(*values), compare);
			return;
		}
		/* Hoare: i and j stop at the pivot's equals, so that equal values halve as well. */
		for (;;) {
			int64_t swap;

			while (values[i] < pivot)
				i++;
			while (values[j] > pivot)
				j--;
			if (i >= j)
				break;
			swap = values[i];
			values[i++] = values[j];
			values[j--] = swap;
		}
		if (k <= j)
			high = j;
		else
			low = j + 1;
	}
}

double quantile(int64_t *values, size_t count, double q)
{
	double rank = q * (double)(count - 1);
	size_t k = (size_t)rank;
	double part = rank - (double)k;
	int64_t next;

	select_rank(values, count, k);
	if (part <= 0 || k + 1 >= count)
		return (double)values[k];
	next = values[k + 1];
	for (size_t i = k + 2; i < count; i++)
		if (values[i] < next)
			next = values[i];
	return (double)values[k] + part * (double)(next - values[k]);
}
