/* buf - bytes that grow
 *
 * The output side of slice: encoders append to one buffer that is emptied, not freed, between
 * records, so that a hot path stops allocating after its largest record. `limit` bounds it:
 * whatever would pass it sets `failed`, and nothing is appended from then on. A caller makes
 * many appends and looks at `failed` once.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

struct buf {
	char *ptr;      /* owned; NULL while cap is 0 */
	size_t len;
	size_t cap;
	size_t limit;   /* bytes at most; 0 = BUF_LIMIT_DEFAULT */
	bool failed;    /* the limit or memory was reached: the content is not whole */
};

#define BUF_LIMIT_DEFAULT ((size_t)1 << 30)

/* Room for n more bytes at ptr + len; NULL (and failed) where the limit or memory ends.
 * The caller adds what it used to len. */
char *buf_grow(struct buf *buf, size_t n);
static inline char *buf_reserve(struct buf *buf, size_t n)
{
	size_t limit = buf->limit ? buf->limit : BUF_LIMIT_DEFAULT, want;

	if (!buf->failed && buf->ptr && !__builtin_add_overflow(buf->len, n, &want) &&
	    want <= limit && want <= buf->cap)
		return buf->ptr + buf->len;
	return buf_grow(buf, n);
}
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_append_slice(struct buf *buf, struct slice bytes);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Drops the first n bytes (n <= len) and moves the rest down. */
void buf_drop(struct buf *buf, size_t n);
/* Empty again, failed cleared, the memory kept. */
void buf_reset(struct buf *buf);
void buf_close(struct buf *buf);

static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){ buf->ptr ? buf->ptr : "", buf->len };
}

#endif
