// SPDX-License-Identifier: Apache-2.0
#include "enrich/plan.h"

#include <errno.h>
#include <stdlib.h>

#define PLAN_EVENTS_MAX 20000

struct plan_event {
	struct slice name;
	double version;
	struct plan_message message;
};

struct plan {
	struct json_schema *schema;
	struct plan_event *events;      /* sorted by name once all are there */
	size_t count;
	struct plan_message types[STEP_TYPE_COUNT], common;
	bool has_type[STEP_TYPE_COUNT], has_common;
	const char *where;              /* while it is opened */
	struct err *err;
};

static int refuse(struct plan *plan, struct slice event, const char *words)
{
	return err_set(plan->err, -EINVAL, "%s: tracking plan: %.*s: %s", plan->where,
		       (int)(event.len < 60 ? event.len : 60), event.ptr, words);
}

static int compile_part(struct plan *plan, struct slice event, yyjson_val *source,
			struct schema_node **nodep)
{
	struct err words = { "" };
	int rc = json_schema_compile(plan->schema, source, nodep, &words);

	if (rc < 0)
		return refuse(plan, event, words.text);
	json_schema_declare(*nodep);
	return 0;
}

static int part_of(yyjson_val *name)
{
	static const char *const names[LEAF_COUNT] = { "properties", "traits", "context" };

	for (int i = 0; i < LEAF_COUNT; i++) {
		if (yyjson_equals_str(name, names[i]))
			return i;
	}
	return -1;
}

static int read_required(struct plan *plan, struct slice event, yyjson_val *list,
			 struct plan_message *message)
{
	yyjson_arr_iter iter;
	yyjson_val *name;

	if (!yyjson_is_arr(list))
		return refuse(plan, event, "required must be a list");
	yyjson_arr_iter_init(list, &iter);
	while ((name = yyjson_arr_iter_next(&iter))) {
		int part = part_of(name);

		if (part >= 0)
			message->required[part] = true;
	}
	return 0;
}

static int read_parts(struct plan *plan, struct slice event, yyjson_val *parts,
		      struct plan_message *message)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = 0;

	if (!yyjson_is_obj(parts))
		return refuse(plan, event, "properties must be an object");
	yyjson_obj_iter_init(parts, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter))) {
		int part = part_of(key);

		if (part < 0)
			return refuse(plan, event, "a message is described by properties, traits "
				      "and context only");
		rc = compile_part(plan, event, yyjson_obj_iter_get_val(key),
				  &message->parts[part]);
	}
	return rc;
}

/* A schema of the whole message. */
static int read_message(struct plan *plan, struct slice event, yyjson_val *source,
			struct plan_message *message)
{
	static const char *const passed[] = { "$schema", "type", "title", "description", "id",
					      "$id", "labels", "$comment", "default", "examples" };
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = 0;

	*message = (struct plan_message){ .parts = { NULL } };
	if (!yyjson_is_obj(source))
		return refuse(plan, event, "its JSON Schema must be an object");
	yyjson_obj_iter_init(source, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter))) {
		yyjson_val *value = yyjson_obj_iter_get_val(key);
		bool known = false;

		for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
			known |= yyjson_equals_str(key, passed[i]);
		if (yyjson_equals_str(key, "properties"))
			rc = read_parts(plan, event, value, message);
		else if (yyjson_equals_str(key, "required"))
			rc = read_required(plan, event, value, message);
		else if (!known)
			return refuse(plan, event, "of the schema of a message only type, "
				      "properties and required are supported");
	}
	return rc;
}

static int compare_events(const void *a, const void *b)
{
	const struct plan_event *x = a, *y = b;
	size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
	int order = memcmp(x->name.ptr, y->name.ptr, len);

	if (order == 0)
		order = (x->name.len > y->name.len) - (x->name.len < y->name.len);
	return order ? order : (x->version > y->version) - (x->version < y->version);
}

static int add_event(struct plan *plan, struct slice name, yyjson_val *version,
		     struct plan_event **eventp)
{
	if (name.len == 0)
		return refuse(plan, name, "an event needs a name");
	if (plan->count == PLAN_EVENTS_MAX)
		return refuse(plan, name, "over 20,000 events");
	*eventp = &plan->events[plan->count++];
	**eventp = (struct plan_event){ .name = text_cut(name, TEXT_ID_MAX) };
	if (version && json_real(version, &(*eventp)->version) < 0)
		return refuse(plan, name, "version must be a number");
	return 0;
}

/* Of rules: [{type, key, version, jsonSchema}]. */
static int read_rule(struct plan *plan, yyjson_val *rule)
{
	static const struct { const char *name; enum step_type type; } types[] = {
		{ "IDENTIFY", STEP_TYPE_IDENTIFY }, { "GROUP", STEP_TYPE_GROUP },
		{ "PAGE", STEP_TYPE_PAGE }, { "SCREEN", STEP_TYPE_SCREEN },
	};
	struct slice type = json_text(rule, "type"), key = json_text(rule, "key");
	yyjson_val *source = json_get(rule, "jsonSchema");
	struct plan_event *event;
	int rc;

	if (slice_is(type, "TRACK")) {
		rc = add_event(plan, key, json_get(rule, "version"), &event);
		return rc < 0 ? rc : read_message(plan, key, source, &event->message);
	}
	if (slice_is(type, "COMMON")) {
		plan->has_common = true;
		return read_message(plan, type, source, &plan->common);
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!slice_is(type, types[i].name))
			continue;
		plan->has_type[types[i].type] = true;
		return read_message(plan, type, source, &plan->types[types[i].type]);
	}
	return refuse(plan, key, "a rule's type is TRACK, IDENTIFY, GROUP, PAGE, SCREEN or "
		      "COMMON");
}

static int read_rule_list(struct plan *plan, yyjson_val *rules)
{
	yyjson_arr_iter iter;
	yyjson_val *rule;
	int rc = 0;

	yyjson_arr_iter_init(rules, &iter);
	while (rc == 0 && (rule = yyjson_arr_iter_next(&iter)))
		rc = read_rule(plan, rule);
	return rc;
}

/* Of rules: {events, global, identify, group}. */
static int read_rule_map(struct plan *plan, yyjson_val *rules)
{
	static const struct { const char *name; enum step_type type; } types[] = {
		{ "identify", STEP_TYPE_IDENTIFY }, { "group", STEP_TYPE_GROUP },
	};
	yyjson_val *events = json_get(rules, "events"), *global = json_get(rules, "global"), *item;
	struct plan_event *event;
	yyjson_arr_iter iter;
	int rc = 0;

	if (events && !yyjson_is_arr(events))
		return refuse(plan, SLICE("rules"), "events must be a list");
	if (events)
		yyjson_arr_iter_init(events, &iter);
	while (events && rc == 0 && (item = yyjson_arr_iter_next(&iter))) {
		struct slice name = json_text(item, "name");

		rc = add_event(plan, name, json_get(item, "version"), &event);
		if (rc == 0)
			rc = read_message(plan, name, json_get(item, "rules"), &event->message);
	}
	if (rc == 0 && global) {
		plan->has_common = true;
		rc = read_message(plan, SLICE("global"), global, &plan->common);
	}
	for (int i = 0; i < 2 && rc == 0; i++) {
		item = json_get(rules, types[i].name);
		plan->has_type[types[i].type] = item;
		if (item)
			rc = read_message(plan, slice_from(types[i].name), item,
					  &plan->types[types[i].type]);
	}
	return rc;
}

/* The short form. */
static int read_short(struct plan *plan, yyjson_val *root)
{
	static const struct { const char *name; enum step_type type; enum leaf part; } types[] = {
		{ "identify", STEP_TYPE_IDENTIFY, LEAF_TRAITS },
		{ "group", STEP_TYPE_GROUP, LEAF_TRAITS },
		{ "page", STEP_TYPE_PAGE, LEAF_PROPERTIES },
		{ "screen", STEP_TYPE_SCREEN, LEAF_PROPERTIES },
	};
	yyjson_val *events = json_get(root, "events"), *key;
	struct plan_event *event;
	yyjson_obj_iter iter;
	int rc = 0;

	if (!yyjson_is_obj(events))
		return refuse(plan, SLICE("root"), "it needs rules, or events as a map of names "
			      "and schemas");
	yyjson_obj_iter_init(events, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter))) {
		struct slice name = { yyjson_get_str(key), yyjson_get_len(key) };

		rc = add_event(plan, name, NULL, &event);
		if (rc == 0)
			rc = compile_part(plan, name, yyjson_obj_iter_get_val(key),
					  &event->message.parts[LEAF_PROPERTIES]);
	}
	for (int i = 0; i < 4 && rc == 0; i++) {
		yyjson_val *source = json_get(root, types[i].name);

		plan->has_type[types[i].type] = source;
		if (source)
			rc = compile_part(plan, slice_from(types[i].name), source,
					  &plan->types[types[i].type].parts[types[i].part]);
	}
	return rc;
}

static int read_plan(struct plan *plan)
{
	yyjson_val *root = json_schema_root(plan->schema), *rules;
	int rc;

	if (json_get(root, "data"))
		root = json_get(root, "data");
	if (json_get(root, "tracking_plan"))
		root = json_get(root, "tracking_plan");
	if (json_get(root, "trackingPlan"))
		root = json_get(root, "trackingPlan");
	rules = json_get(root, "rules");
	rc = yyjson_is_arr(rules) ? read_rule_list(plan, rules)
	   : yyjson_is_obj(rules) ? read_rule_map(plan, rules) : read_short(plan, root);
	if (rc == 0)
		qsort(plan->events, plan->count, sizeof(*plan->events), compare_events);
	return rc;
}

int plan_open(struct plan **planp, struct slice text, const char *where, struct err *err)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	struct err words = { "" };
	int rc = -ENOMEM;

	if (plan) {
		plan->events = calloc(PLAN_EVENTS_MAX, sizeof(*plan->events));
		plan->where = where;
		plan->err = err;
	}
	if (plan && plan->events)
		rc = json_schema_open(&plan->schema, text, &words);
	if (rc < 0)
		err_set(err, rc, "%s: tracking plan: %s", where, words.text);
	else
		rc = read_plan(plan);
	if (rc < 0) {
		plan_close(plan);
		return rc;
	}
	*planp = plan;
	return 0;
}

void plan_close(struct plan *plan)
{
	if (!plan)
		return;
	json_schema_close(plan->schema);
	free(plan->events);
	free(plan);
}

const struct json_schema *plan_schema(const struct plan *plan)
{
	return plan->schema;
}

const struct plan_message *plan_find(const struct plan *plan, enum step_type type,
				     struct slice event)
{
	struct plan_event wanted = { .name = event, .version = 1e300 };
	size_t low = 0, high = plan->count;

	if (type != STEP_TYPE_TRACK)
		return plan->has_type[type] ? &plan->types[type] : NULL;
	while (low < high) {            /* the last one that is not above it */
		size_t middle = low + (high - low) / 2;

		if (compare_events(&plan->events[middle], &wanted) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low && slice_eq(plan->events[low - 1].name, event) ? &plan->events[low - 1].message
								  : NULL;
}

const struct plan_message *plan_common(const struct plan *plan)
{
	return plan->has_common ? &plan->common : NULL;
}
