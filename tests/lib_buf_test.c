/* lib_buf_test - buf and arena: growth, limits, reuse */
// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"

#include <stdint.h>

#include "lib/arena.h"
#include "tests/tap.h"

static void test_buf(struct tap *tap)
{
	struct buf buf = { .limit = 1000 };
	char long_text[700];

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	buf_append_text(&buf, "ab");
	buf_printf(&buf, "%d-%s", 12, long_text);
	OK(tap, !buf.failed && buf.len == 2 + 3 + 699, "printf grows the buffer");
	buf_append(&buf, long_text, 500);
	OK(tap, buf.failed && buf.len == 704, "over the limit: failed, and what was there stays");
	buf_append_char(&buf, 'y');
	OK(tap, buf.len == 704, "nothing more after that");
	buf_reset(&buf);
	buf_append_text(&buf, "hello");
	buf_drop(&buf, 2);
	OK(tap, slice_is(buf_slice(&buf), "llo") && !buf.failed, "reset and drop");
	buf_drop(&buf, 3);
	OK(tap, buf.len == 0 && !buf_reserve(&buf, SIZE_MAX), "an absurd size fails");
	buf_close(&buf);
	OK(tap, buf_slice(&buf).ptr && buf_slice(&buf).len == 0, "an empty one has a pointer");
}

static void test_arena(struct tap *tap)
{
	struct arena arena = { .bytes_max = 4 << 20 };
	char *first = arena_alloc(&arena, 10), *again;
	struct slice copy = arena_copy(&arena, SLICE("abc"));
	bool aligned = true;

	for (int i = 0; i < 10000; i++) {
		void *at = arena_alloc(&arena, (size_t)i % 90);

		aligned = aligned && at && (uintptr_t)at % 16 == 0;
	}
	OK(tap, aligned, "aligned to 16");
	OK(tap, slice_is(copy, "abc") && copy.ptr[3] == '\0', "a copy ends with NUL");
	OK(tap, arena_alloc(&arena, 2 << 20) != NULL, "a large one");
	OK(tap, arena_alloc(&arena, 3 << 20) == NULL, "over bytes_max: NULL");
	OK(tap, arena_alloc(&arena, SIZE_MAX - 5) == NULL, "an absurd size: NULL");
	arena_reset(&arena);
	again = arena_alloc(&arena, 10);
	OK(tap, again == first, "reset gives the same memory again");
	OK(tap, arena.bytes <= 1 << 20, "and large chunks back");
	arena_close(&arena);
	OK(tap, arena.bytes == 0 && !arena.first, "closed");
}

int main(void)
{
	struct tap tap = { 0 };

	test_buf(&tap);
	test_arena(&tap);
	return tap_end(&tap);
}
