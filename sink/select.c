// SPDX-License-Identifier: Apache-2.0
#include "sink/select.h"

#include <ctype.h>

#include "lib/record.h"

bool select_matches(const char *pattern, struct slice name)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return name.len >= len - 1 && memcmp(pattern, name.ptr, len - 1) == 0;
	return name.len == len && memcmp(pattern, name.ptr, len) == 0;
}

static bool is_same_name(struct slice a, const char *b)
{
	size_t i = 0;

	for (;; i++, b++) {
		while (i < a.len && strchr(" -_.", a.ptr[i]))
			i++;
		while (*b && strchr(" -_.", *b))
			b++;
		if (i == a.len || !*b)
			return i == a.len && !*b;
		if (tolower((unsigned char)a.ptr[i]) != tolower((unsigned char)*b))
			return false;
	}
}

bool select_is_wanted(yyjson_val *integrations, const char *name, const char *kind)
{
	yyjson_val *key, *own = NULL, *all = NULL, *by_kind = NULL;
	yyjson_obj_iter iter;

	if (!yyjson_obj_iter_init(integrations, &iter))
		return true;
	while ((key = yyjson_obj_iter_next(&iter))) {
		struct slice text = json_string(key);
		yyjson_val *value = yyjson_obj_iter_get_val(key);

		if (is_same_name(text, "all"))
			all = value;
		if (is_same_name(text, name))
			own = value;
		if (is_same_name(text, kind))
			by_kind = value;
	}
	own = own ? own : by_kind ? by_kind : all;
	return !own || !(yyjson_is_false(own) || yyjson_is_null(own));
}

static bool is_listed(const struct dest_list *list, struct slice name)
{
	for (size_t i = 0; i < list->count; i++)
		if (select_matches(list->items[i], name))
			return true;
	return false;
}

const char *select_refuses(const struct setup *setup, const struct event *event)
{
	struct slice name;

	if (schema_find(event->schema, "integrations") != ENRICHED_INTEGRATIONS)
		return NULL;
	if (event->type == EVENT_OTHER || !(setup->types & (1u << event->type)))
		return "its type is not sent there";
	if (!select_is_wanted(event->integrations, setup->name, setup->kind->name))
		return "its integrations say no";
	name = event_text(event, ENRICHED_EVENT);
	if (setup->events.count && !is_listed(&setup->events, name))
		return "its name is not among `events`";
	if (setup->not_events.count && is_listed(&setup->not_events, name))
		return "its name is among `not_events`";
	return NULL;
}
