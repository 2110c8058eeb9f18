// SPDX-License-Identifier: Apache-2.0
#include "enrich/step.h"

#include <assert.h>

#define STEP_NAME(suffix, name) SLICE_INIT(name),

void step_pick(yyjson_val *object, const struct slice *names, int count, yyjson_val **picked)
{
	yyjson_obj_iter iter;
	yyjson_val *key;

	for (int i = 0; i < count; i++)
		picked[i] = NULL;
	if (!yyjson_is_obj(object))
		return;
	yyjson_obj_iter_init(object, &iter);
	while ((key = yyjson_obj_iter_next(&iter))) {
		const char *text = yyjson_get_str(key);
		size_t len = yyjson_get_len(key);

		for (int i = 0; i < count; i++) {
			if (names[i].len == len && names[i].ptr[0] == text[0] &&
			    memcmp(names[i].ptr, text, len) == 0) {
				yyjson_val *value = yyjson_obj_iter_get_val(key);

				picked[i] = yyjson_is_null(value) ? NULL : value;
				break;
			}
		}
	}
}

static unsigned place_of(const char *text, size_t len)
{
	return ((unsigned)len * 3 + (unsigned char)text[0]) % STEP_INDEX;
}

static void names_init(struct step_names *index, const struct slice *names, int count)
{
	assert(count <= STEP_BODY_COUNT);
	*index = (struct step_names){ .names = names };
	memset(index->first, -1, sizeof(index->first));
	for (int i = 0; i < count; i++) {
		unsigned place = place_of(names[i].ptr, names[i].len);

		index->next[i] = index->first[place];
		index->first[place] = (int8_t)i;
	}
}

/* slice_eq without the call, which takes longer than a name of 4 to 16 bytes. */
static inline bool name_eq(struct slice a, struct slice b)
{
	uint64_t low[2], high[2];

	if (a.len != b.len)
		return false;
	if (a.len < 8 || a.len > 16)
		return memcmp(a.ptr, b.ptr, a.len) == 0;
	memcpy(&low[0], a.ptr, 8);
	memcpy(&low[1], b.ptr, 8);
	memcpy(&high[0], a.ptr + a.len - 8, 8);
	memcpy(&high[1], b.ptr + b.len - 8, 8);
	return low[0] == low[1] && high[0] == high[1];
}

/* yyjson's iterator checks at each step what is checked here once: 40 % of this loop's time. */
static void pick_indexed(yyjson_val *object, const struct step_names *index, int count,
			 yyjson_val **picked)
{
	yyjson_val *key;

	memset(picked, 0, (size_t)count * sizeof(*picked));
	if (!yyjson_is_obj(object))
		return;
	key = unsafe_yyjson_get_first(object);
	for (size_t left = unsafe_yyjson_get_len(object); left;
	     left--, key = unsafe_yyjson_get_next(key + 1)) {
		struct slice name = { unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key) };
		int i = name.len ? index->first[place_of(name.ptr, name.len)] : -1;

		while (i >= 0 && !name_eq(name, index->names[i]))
			i = index->next[i];
		if (i >= 0)
			picked[i] = unsafe_yyjson_is_null(key + 1) ? NULL : key + 1;
	}
}

void step_event_init(struct step_event *event)
{
	static const struct slice body_names[] = { STEP_BODY_KEYS(STEP_NAME) };
	static const struct slice context_names[] = { STEP_CONTEXT_KEYS(STEP_NAME) };
	static const struct slice page_names[] = { STEP_PAGE_KEYS(STEP_NAME) };

	names_init(&event->body_names, body_names, STEP_BODY_COUNT);
	names_init(&event->context_names, context_names, STEP_CONTEXT_COUNT);
	names_init(&event->page_names, page_names, STEP_PAGE_COUNT);
}

int step_type_of(struct slice name)
{
	static const struct slice names[STEP_TYPE_COUNT] = {
		[STEP_TYPE_TRACK] = SLICE_INIT("track"),
		[STEP_TYPE_IDENTIFY] = SLICE_INIT("identify"),
		[STEP_TYPE_PAGE] = SLICE_INIT("page"),
		[STEP_TYPE_SCREEN] = SLICE_INIT("screen"),
		[STEP_TYPE_GROUP] = SLICE_INIT("group"),
		[STEP_TYPE_ALIAS] = SLICE_INIT("alias"),
	};

	for (int i = 0; i < STEP_TYPE_COUNT; i++) {
		if (slice_eq(name, names[i]))
			return i;
	}
	return -1;
}

void step_event_close(struct step_event *event)
{
	for (int i = 0; i < LEAF_COUNT; i++)
		json_close(event->trees[i].reader);
	buf_close(&event->scratch);
}

void step_event_pick(struct step_event *event, yyjson_val *body)
{
	bool is_view = event->type == STEP_TYPE_PAGE || event->type == STEP_TYPE_SCREEN;

	pick_indexed(body, &event->body_names, STEP_BODY_COUNT, event->body);
	pick_indexed(event->body[STEP_BODY_CONTEXT], &event->context_names, STEP_CONTEXT_COUNT,
		     event->context);
	pick_indexed(event->context[STEP_CONTEXT_PAGE], &event->page_names, STEP_PAGE_COUNT,
		     event->page);
	pick_indexed(is_view ? event->body[STEP_BODY_PROPERTIES] : NULL, &event->page_names,
		     STEP_PAGE_COUNT, event->properties);
	for (int i = 0; i < LEAF_COUNT; i++)
		event->trees[i].root = NULL;
	event->bad.reason = NULL;
}

/* The last of equal names, as everywhere. */
static yyjson_val *member(yyjson_val *object, struct slice name)
{
	yyjson_val *key, *found = NULL;
	yyjson_obj_iter iter;

	if (!yyjson_is_obj(object))
		return NULL;
	yyjson_obj_iter_init(object, &iter);
	while ((key = yyjson_obj_iter_next(&iter))) {
		if (yyjson_get_len(key) == name.len &&
		    memcmp(yyjson_get_str(key), name.ptr, name.len) == 0)
			found = yyjson_obj_iter_get_val(key);
	}
	return yyjson_is_null(found) ? NULL : found;
}

yyjson_val *step_find(yyjson_val *object, struct slice path)
{
	yyjson_val *value = member(object, path);

	while (!value && object && path.len) {
		const char *dot = memchr(path.ptr, '.', path.len);

		if (!dot)
			return NULL;
		object = member(object, (struct slice){ path.ptr, (size_t)(dot - path.ptr) });
		path = slice_skip(path, (size_t)(dot - path.ptr) + 1);
		value = member(object, path);
	}
	return value;
}

static void hash_text(const char *text, struct buf *out)
{
	if (text)
		buf_printf(out, " %zu:%s", strlen(text), text);
}

void step_hash_option(const struct opt *opt, const void *conf, struct buf *text)
{
	const void *field = (const char *)conf + opt->offset;
	const struct opt_list *list = field;

	if (opt->arg && strcmp(opt->arg, "FILE") == 0)
		return;
	buf_printf(text, "%s", opt->name);
	switch (opt->type) {
	case OPT_TEXT:
	case OPT_SECRET:
		hash_text(*(const char *const *)field, text);
		break;
	case OPT_FLAG:
		buf_printf(text, " %d", *(const bool *)field);
		break;
	case OPT_COUNT:
	case OPT_BYTES:
	case OPT_MS:
		buf_printf(text, " %lld", (long long)*(const int64_t *)field);
		break;
	case OPT_LIST:
		for (size_t i = 0; i < list->count; i++)
			hash_text(list->items[i], text);
		break;
	}
	buf_append_char(text, '\n');
}

struct value step_text(yyjson_val *value, size_t max)
{
	struct slice text = json_string(value);

	if (text.len == 0)
		return (struct value){ .is_set = false };
	return value_text(text_cut(text, max));
}

struct value step_id(yyjson_val *value)
{
	struct slice digits = value && json_is_num(value) ? json_digits(value)
							  : (struct slice){ NULL, 0 };

	if (digits.len)
		return value_text(text_cut(digits, TEXT_ID_MAX));
	return step_text(value, TEXT_ID_MAX);
}
