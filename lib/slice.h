/* slice - bytes that somebody else owns
 *
 * A slice points into memory of another owner and never ends it with NUL. Whoever hands one
 * out says how long it lives: usually until the next call on the same handle, or until the
 * arena's reset. Bytes from outside travel only like this, so that a length always goes with
 * the pointer.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_SLICE_H
#define LIB_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* As the initializer of a const table's element. */
#define SLICE_INIT(literal) { "" literal, sizeof(literal) - 1 }
#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })

static inline struct slice slice_from(const char *text)
{
	return (struct slice){ text, text ? strlen(text) : 0 };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
	return slice_eq(a, slice_from(text));
}

static inline bool slice_starts(struct slice a, struct slice prefix)
{
	return a.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/* The rest after the first n bytes; n > len gives the empty slice. */
static inline struct slice slice_skip(struct slice a, size_t n)
{
	if (n > a.len)
		n = a.len;
	return (struct slice){ a.ptr + n, a.len - n };
}

/* Copies a to `to`, which has the room, and returns the end. Most texts are short: two overlapping
 * copies of a fixed size cost less than a call of memcpy. */
static inline char *slice_put(char *to, struct slice a)
{
	if (a.len > 32) {
		memcpy(to, a.ptr, a.len);
	} else if (a.len >= 16) {
		char low[16], high[16];

		memcpy(low, a.ptr, 16);
		memcpy(high, a.ptr + a.len - 16, 16);
		memcpy(to, low, 16);
		memcpy(to + a.len - 16, high, 16);
	} else if (a.len >= 8) {
		char low[8], high[8];

		memcpy(low, a.ptr, 8);
		memcpy(high, a.ptr + a.len - 8, 8);
		memcpy(to, low, 8);
		memcpy(to + a.len - 8, high, 8);
	} else {
		for (size_t i = 0; i < a.len; i++)
			to[i] = a.ptr[i];
	}
	return to + a.len;
}

#endif
