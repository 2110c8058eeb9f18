/* quantile - exact medians and percentiles of whole numbers, without sorting them
 *
 * R-7 (linear interpolation between the two nearest ranks), what spreadsheets and NumPy do by
 * default. Quickselect with a median of three: O(n) on average; falls back to sorting what is left
 * where a pattern would make it quadratic.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_QUANTILE_H
#define AGGREGATE_QUANTILE_H

#include <stddef.h>
#include <stdint.h>

/* 0 <= q <= 1, count >= 1. Reorders values. */
double quantile(int64_t *values, size_t count, double q);

#endif
