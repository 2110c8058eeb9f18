// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 256

char *buf_grow(struct buf *buf, size_t n)
{
	size_t limit = buf->limit ? buf->limit : BUF_LIMIT_DEFAULT;
	size_t want, cap;
	char *ptr;

	if (buf->failed || __builtin_add_overflow(buf->len, n, &want) || want > limit) {
		buf->failed = true;
		return NULL;
	}
	if (want <= buf->cap && buf->ptr)
		return buf->ptr + buf->len;
	cap = buf->cap ? buf->cap : BUF_FIRST;
	while (cap < want)
		cap *= 2;
	ptr = realloc(buf->ptr, cap);
	if (!ptr) {
		buf->failed = true;
		return NULL;
	}
	buf->ptr = ptr;
	buf->cap = cap;
	return ptr + buf->len;
}

void buf_append(struct buf *buf, const void *bytes, size_t len)
{
	char *at = buf_reserve(buf, len);

	if (!at)
		return;
	if (len)
		memcpy(at, bytes, len);
	buf->len += len;
}

void buf_append_slice(struct buf *buf, struct slice bytes)
{
	buf_append(buf, bytes.ptr, bytes.len);
}

void buf_append_text(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_append_char(struct buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	char *at = buf_reserve(buf, 64);
	int n;

	if (!at)
		return;
	va_start(args, format);
	n = vsnprintf(at, buf->cap - buf->len, format, args);
	va_end(args);
	assert(n >= 0);
	if ((size_t)n >= buf->cap - buf->len) {
		at = buf_reserve(buf, (size_t)n + 1);
		if (!at)
			return;
		va_start(args, format);
		vsnprintf(at, (size_t)n + 1, format, args);
		va_end(args);
	}
	buf->len += (size_t)n;
}

void buf_drop(struct buf *buf, size_t n)
{
	assert(n <= buf->len);
	if (n && n < buf->len)
		memmove(buf->ptr, buf->ptr + n, buf->len - n);
	buf->len -= n;
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

void buf_close(struct buf *buf)
{
	free(buf->ptr);
	*buf = (struct buf){ 0 };
}
