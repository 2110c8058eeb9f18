// SPDX-License-Identifier: Apache-2.0
#include "sink/dest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/part.h"

int dest_out_end(struct dest_out *out, int route)
{
	if (out->count == out->cap) {
		size_t cap = out->cap ? out->cap * 2 : 16;
		struct dest_part *parts = reallocarray(out->parts, cap, sizeof(*parts));

		if (!parts)
			return -ENOMEM;
		out->parts = parts;
		out->cap = cap;
	}
	if (out->buf->failed)
		return -ENOSPC;
	out->parts[out->count++] = (struct dest_part){ out->begin, out->buf->len - out->begin,
						       route };
	out->begin = out->buf->len;
	return 0;
}

void dest_out_drop(struct dest_out *out)
{
	out->buf->len = out->begin;
}

void dest_result_set(struct dest_result *result, enum dest_class class, struct slice words)
{
	size_t len = words.len < DEST_WORDS_MAX ? words.len : DEST_WORDS_MAX - 1;

	result->class = class;
	result->retry_after_ms = -1;
	result->bounce = NULL;
	result->is_unknown = false;
	for (size_t i = 0; i < len; i++)
		result->words[i] = (unsigned char)words.ptr[i] < 0x20 || words.ptr[i] == 0x7f
					   ? ' ' : words.ptr[i];
	/* Not within a character. */
	while (len > 0 && len < words.len && ((unsigned char)words.ptr[len] & 0xc0) == 0x80)
		len--;
	result->words[len] = '\0';
}

void dest_result_all(const struct dest_batch *batch, struct dest_result *results,
		     enum dest_class class, struct slice words)
{
	for (size_t i = 0; i < batch->count; i++)
		dest_result_set(&results[i], class, words);
}

enum dest_class dest_class_of_status(int status, bool has_retry_after)
{
	if (status >= 200 && status < 300)
		return DEST_OK;
	if (status == 429 || (status == 503 && has_retry_after))
		return DEST_THROTTLED;
	if (status == 408 || status == 425 || status >= 500 || status < 200)
		return DEST_TRANSIENT;
	if (status < 400 || status == 401 || status == 402 || status == 403 || status == 404 ||
	    status == 405 || status == 407 || status == 410)
		return DEST_SETUP;
	return DEST_INVALID;
}

void dest_judge_status(const struct dest_batch *batch, const struct post_answer *answer,
		       struct dest_result *results)
{
	enum dest_class class = dest_class_of_status(answer->status, answer->retry_after_ms >= 0);
	char text[DEST_WORDS_MAX];
	size_t len = answer->body.len < 150 ? answer->body.len : 150;
	int n = snprintf(text, sizeof(text), "status %d: %.*s", answer->status, (int)len,
			 answer->body.len ? answer->body.ptr : "");
	struct slice words = { text, n < 0 ? 0 : strnlen(text, sizeof(text)) };

	if (class == DEST_OK)
		words.len = 0;
	dest_result_all(batch, results, class, words);
	for (size_t i = 0; i < batch->count && class == DEST_THROTTLED; i++)
		results[i].retry_after_ms = answer->retry_after_ms;
}

const char *dest_class_name(enum dest_class class)
{
	static const char *const names[] = { "ok", "transient", "throttled", "invalid", "setup" };

	return names[class];
}
