/* tap - test results as lines (Test Anything Protocol) from C
 *
 *      struct tap tap = { 0 };
 *      OK(&tap, 1 + 1 == 2, "sums");
 *      return tap_end(&tap);
 *
 * A test program is one main() with many OK()s. A failed one prints where, and the words, which
 * are a printf format. Helpers take the struct tap.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

struct tap {
	int count;
	int failed;
};

#define OK(tap, condition, ...) \
	tap_ok(tap, (condition), __FILE__, __LINE__, #condition, __VA_ARGS__)

__attribute__((format(printf, 6, 7)))
static inline bool tap_ok(struct tap *tap, bool pass, const char *file, int line,
			  const char *condition, const char *words, ...)
{
	va_list args;

	tap->count++;
	printf("%sok %d - ", pass ? "" : "not ", tap->count);
	va_start(args, words);
	vprintf(words, args);
	va_end(args);
	printf("\n");
	if (!pass) {
		tap->failed++;
		printf("# %s:%d: %s\n", file, line, condition);
	}
	fflush(stdout);
	return pass;
}

static inline int tap_end(const struct tap *tap)
{
	printf("1..%d\n", tap->count);
	return tap->failed ? 1 : 0;
}

#endif
