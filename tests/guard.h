/* guard - a copy of bytes that ends where memory ends
 *
 *      [ ....copy][no access]
 *
 * One byte read too far is a crash, with or without a sanitizer. One struct guard holds one copy of
 * up to GUARD_SIZE bytes at a time.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/slice.h"

#define GUARD_SIZE ((size_t)1 << 20)
#define GUARD_PAGE ((size_t)64 << 10)

struct guard {
	char *ptr;
};

static inline void guard_open(struct guard *guard)
{
	guard->ptr = mmap(NULL, GUARD_SIZE + GUARD_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(guard->ptr != MAP_FAILED);
	assert(mprotect(guard->ptr + GUARD_SIZE, GUARD_PAGE, PROT_NONE) == 0);
}

static inline struct slice guard_copy(struct guard *guard, const void *bytes, size_t len)
{
	char *at = guard->ptr + GUARD_SIZE - len;

	assert(len <= GUARD_SIZE);
	if (len)
		memcpy(at, bytes, len);
	return (struct slice){ at, len };
}

static inline void guard_close(struct guard *guard)
{
	munmap(guard->ptr, GUARD_SIZE + GUARD_PAGE);
}

#endif
