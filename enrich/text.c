// SPDX-License-Identifier: Apache-2.0
#include "enrich/text.h"

#include <stdint.h>

#include "lib/json.h"

struct slice text_cut(struct slice text, size_t max)
{
	if (text.len <= max)
		return text;
	while (max > 0 && ((unsigned char)text.ptr[max] & 0xc0) == 0x80)
		max--;
	text.len = max;
	return text;
}

static bool is_ascii(struct slice text)
{
	size_t i = 0;
	uint64_t word;

	for (; text.len - i >= 8; i += 8) {
		memcpy(&word, text.ptr + i, 8);
		if (word & 0x8080808080808080u)
			return false;
	}
	for (; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] >= 0x80)
			return false;
	}
	return true;
}

struct slice text_utf8(struct arena *arena, struct slice text)
{
	struct buf clean = { .limit = text.len * 3 };
	struct slice copy = { NULL, 0 };

	if (is_ascii(text))
		return text;
	json_clean_utf8(text, &clean);
	if (!clean.failed)
		copy = slice_eq(buf_slice(&clean), text) ? text
							 : arena_copy(arena, buf_slice(&clean));
	buf_close(&clean);
	return copy;
}

struct slice text_lower(struct arena *arena, struct slice text)
{
	size_t i;
	char *out;

	for (i = 0; i < text.len; i++) {
		if (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z')
			break;
	}
	if (i == text.len)
		return text;
	out = arena_alloc(arena, text.len);
	if (!out)
		return (struct slice){ NULL, 0 };
	for (i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		out[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	return (struct slice){ out, text.len };
}
