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

#endif
