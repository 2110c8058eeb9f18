// SPDX-License-Identifier: Apache-2.0
#include "collect/extent.h"

#include <stdlib.h>

static size_t skip_space(struct slice text, size_t at)
{
	while (at < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '\t' ||
				 text.ptr[at] == '\n' || text.ptr[at] == '\r'))
		at++;
	return at;
}

/* at is a quote; the end is behind the closing one. */
static size_t skip_string(struct slice text, size_t at)
{
	for (at++; at < text.len && text.ptr[at] != '"'; at++)
		if (text.ptr[at] == '\\')
			at++;
	return at < text.len ? at + 1 : text.len;
}

static size_t skip_value(struct slice text, size_t at)
{
	size_t depth = 0;

	while (at < text.len) {
		char c = text.ptr[at];

		if (c == '"') {
			at = skip_string(text, at);
			if (!depth)
				return at;
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		else if (!depth && (c == ',' || c == '}' || c == ']' || c <= ' '))
			return at;
		else if ((c == '}' || c == ']') && --depth == 0)
			return at + 1;
		at++;
	}
	return at;
}

size_t extent_end(struct slice text, size_t at)
{
	return skip_value(text, at);
}

static bool add(struct slice item, struct slice **items, size_t *count, size_t *cap)
{
	if (*count == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		struct slice *grown = realloc(*items, more * sizeof(**items));

		if (!grown)
			return false;
		*items = grown;
		*cap = more;
	}
	(*items)[(*count)++] = item;
	return true;
}

/* at is behind the '['. */
static void find_items(struct slice text, size_t at, struct slice **items, size_t *count,
		       size_t *cap)
{
	*count = 0;
	for (;;) {
		size_t end;

		at = skip_space(text, at);
		if (at >= text.len || text.ptr[at] == ']')
			return;
		end = skip_value(text, at);
		if (!add((struct slice){ text.ptr + at, end - at }, items, count, cap)) {
			*count = 0;
			return;
		}
		at = skip_space(text, end);
		if (at < text.len && text.ptr[at] == ',')
			at++;
	}
}

void extent_find(struct slice text, const char *key, struct slice **items, size_t *count,
		 size_t *cap)
{
	size_t at = skip_space(text, 0) + 1, end;

	*count = 0;
	for (;;) {
		struct slice name;

		at = skip_space(text, at);
		if (at >= text.len || text.ptr[at] != '"')
			return;
		end = skip_string(text, at);
		name = (struct slice){ text.ptr + at + 1, end - at - 2 };
		if (memchr(name.ptr, '\\', name.len)) {
			*count = 0;
			return;
		}
		at = skip_space(text, skip_space(text, end) + 1);       /* behind the colon */
		if (slice_is(name, key)) {
			*count = 0;
			if (at < text.len && text.ptr[at] == '[')
				find_items(text, at + 1, items, count, cap);
		}
		at = skip_space(text, skip_value(text, at));
		if (at < text.len && text.ptr[at] == ',')
			at++;
	}
}
