// SPDX-License-Identifier: Apache-2.0
#include "enrich/step.h"

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

void step_event_pick(struct step_event *event, yyjson_val *body)
{
	static const struct slice body_names[] = { STEP_BODY_KEYS(STEP_NAME) };
	static const struct slice context_names[] = { STEP_CONTEXT_KEYS(STEP_NAME) };
	static const struct slice page_names[] = { STEP_PAGE_KEYS(STEP_NAME) };
	bool is_view = event->type == STEP_TYPE_PAGE || event->type == STEP_TYPE_SCREEN;

	step_pick(body, body_names, STEP_BODY_COUNT, event->body);
	step_pick(event->body[STEP_BODY_CONTEXT], context_names, STEP_CONTEXT_COUNT,
		  event->context);
	step_pick(event->context[STEP_CONTEXT_PAGE], page_names, STEP_PAGE_COUNT, event->page);
	step_pick(is_view ? event->body[STEP_BODY_PROPERTIES] : NULL, page_names, STEP_PAGE_COUNT,
		  event->properties);
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
