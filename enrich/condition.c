// SPDX-License-Identifier: Apache-2.0
#include "enrich/condition.h"

#include <errno.h>
#include <stdlib.h>

struct side {
	struct opt_list sources, types, events, properties;
	struct opt_set *set;            /* owns them; NULL: the side was not given */
};

struct condition {
	struct side when, unless;
};

#define AT(field) offsetof(struct side, field)

static const struct opt opts[] = {
	{ "source", OPT_LIST, AT(sources), NULL, 0, 0, "NAME", "source of the event" },
	{ "type", OPT_LIST, AT(types), NULL, 0, 0, "TYPE", "track, page, .." },
	{ "event", OPT_LIST, AT(events), NULL, 0, 0, "NAME", "name; * at its end" },
	{ "property", OPT_LIST, AT(properties), NULL, 0, 0, "NAME[=VALUE]", "of properties" },
	{ .name = NULL },
};

static int side_open(struct side *side, const struct yaml *node, const char *path, struct err *err)
{
	int rc;

	if (!node)
		return 0;
	if (node->kind != YAML_KIND_MAP || !node->first)
		return err_set(err, -EINVAL, "%s:%d: %s is a map of source, type, event, property",
			       path, node->line, node->key);
	rc = opt_read(opts, side, node, path, NULL, &side->set, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < side->types.count; i++) {
		if (step_type_of(slice_from(side->types.items[i])) < 0)
			return err_set(err, -EINVAL, "%s:%d: there is no type '%.40s'", path,
				       node->line, side->types.items[i]);
	}
	return 0;
}

int condition_open(struct condition **conditionp, const struct yaml *settings, const char *path,
		   struct err *err)
{
	const struct yaml *when = yaml_get(settings, "when");
	const struct yaml *unless = yaml_get(settings, "unless");
	struct condition *condition;
	int rc;

	*conditionp = NULL;
	if (!when && !unless)
		return 0;
	condition = calloc(1, sizeof(*condition));
	if (!condition)
		return err_set(err, -ENOMEM, "no memory");
	rc = side_open(&condition->when, when, path, err);
	if (rc == 0)
		rc = side_open(&condition->unless, unless, path, err);
	if (rc < 0) {
		condition_close(condition);
		return rc;
	}
	*conditionp = condition;
	return 0;
}

void condition_close(struct condition *condition)
{
	if (!condition)
		return;
	opt_close(condition->when.set);
	opt_close(condition->unless.set);
	free(condition);
}

bool condition_needs_ids(const struct condition *condition)
{
	return condition && (condition->when.events.count || condition->unless.events.count);
}

bool condition_name_matches(struct slice name, const char *pattern)
{
	struct slice wanted = slice_from(pattern);

	if (wanted.len && wanted.ptr[wanted.len - 1] == '*')
		return slice_starts(name, (struct slice){ wanted.ptr, wanted.len - 1 });
	return slice_eq(name, wanted);
}

static bool any_matches(struct slice name, const struct opt_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (condition_name_matches(name, list->items[i]))
			return true;
	}
	return list->count == 0;
}

static bool value_is(yyjson_val *value, struct slice wanted)
{
	if (yyjson_is_bool(value))
		return slice_is(wanted, yyjson_get_bool(value) ? "true" : "false");
	return slice_eq(json_is_num(value) ? json_digits(value) : json_string(value), wanted);
}

static bool property_holds(yyjson_val *properties, const char *text)
{
	const char *equals = strchr(text, '=');
	struct slice path = { text, equals ? (size_t)(equals - text) : strlen(text) };
	yyjson_val *value = step_find(properties, path);

	if (!value || yyjson_is_null(value))
		return false;
	return !equals || value_is(value, slice_from(equals + 1));
}

static bool any_property(yyjson_val *properties, const struct opt_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (property_holds(properties, list->items[i]))
			return true;
	}
	return list->count == 0;
}

static bool side_holds(const struct side *side, const struct step_event *event)
{
	return any_matches(value_slice(&event->out[ENRICHED_SOURCE]), &side->sources) &&
	       any_matches(value_slice(&event->out[ENRICHED_TYPE]), &side->types) &&
	       any_matches(value_slice(&event->out[ENRICHED_EVENT]), &side->events) &&
	       any_property(event->body[STEP_BODY_PROPERTIES], &side->properties);
}

bool condition_holds(const struct condition *condition, const struct step_event *event)
{
	if (condition->when.set && !side_holds(&condition->when, event))
		return false;
	return !condition->unless.set || !side_holds(&condition->unless, event);
}

static void side_hash(const struct side *side, const char *name, struct buf *text)
{
	if (!side->set)
		return;
	buf_printf(text, "%s\n", name);
	for (const struct opt *opt = opts; opt->name; opt++)
		step_hash_option(opt, side, text);
}

void condition_hash(const struct condition *condition, struct buf *text)
{
	if (!condition)
		return;
	side_hash(&condition->when, "when", text);
	side_hash(&condition->unless, "unless", text);
}
