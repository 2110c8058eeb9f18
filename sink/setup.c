// SPDX-License-Identifier: Apache-2.0
#include "sink/setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "lib/opt.h"
#include "lib/when.h"
#include "sink/field.h"

struct common {
	const char *type, *from, *start, *order, *where, *map;
	bool is_enabled;
	struct dest_list types, events, not_events, drop;
	const struct yaml *rename;
	int64_t batch_size, batch_bytes, batch_wait_ms, concurrency, rate, timeout_ms;
	int64_t retry_min_ms, retry_max_ms, retry_for_ms;
};

#define AT(field) offsetof(struct common, field)
#define DAY_MS ((int64_t)24 * 3600 * 1000)

static const struct dest_field common_fields[] = {
	{ "type", DEST_FIELD_TEXT, AT(type), NULL, true, 0, 0, NULL, "what kind it is" },
	{ "enabled", DEST_FIELD_FLAG, AT(is_enabled), "yes", false, 0, 0, NULL,
	  "no: nothing is sent" },
	{ "from", DEST_FIELD_TEXT, AT(from), "enriched", false, 0, 0, NULL, "topic" },
	{ "start", DEST_FIELD_TEXT, AT(start), "now", false, 0, 0, NULL,
	  "where a new one begins: now, first, an instant, or how long ago (7d)" },
	{ "types", DEST_FIELD_LIST, AT(types), NULL, false, 0, 0, NULL,
	  "only these: track, identify, page, screen, group, alias" },
	{ "events", DEST_FIELD_LIST, AT(events), NULL, false, 0, 0, NULL,
	  "only events of these names; * at the end stands for any rest" },
	{ "not_events", DEST_FIELD_LIST, AT(not_events), NULL, false, 0, 0, NULL,
	  "no events of these names" },
	{ "where", DEST_FIELD_TEXT, AT(where), NULL, false, 0, 0, NULL,
	  "jq expression: only events for which it is true" },
	{ "map", DEST_FIELD_TEXT, AT(map), NULL, false, 0, 0, NULL,
	  "jq expression that makes the event that is sent" },
	{ "rename", DEST_FIELD_MAP, AT(rename), NULL, false, 0, 0, NULL,
	  "properties.old: properties.new" },
	{ "drop", DEST_FIELD_LIST, AT(drop), NULL, false, 0, 0, NULL,
	  "what is left out, such as context.ip" },
	{ "order", DEST_FIELD_CHOICE, AT(order), "none", false, 0, 0, "none|person",
	  "person: events of one person one after the other" },
	{ "batch_size", DEST_FIELD_COUNT, AT(batch_size), "0", false, 0, 0, NULL,
	  "parts in one request, at most; 0: as many as the kind allows" },
	{ "batch_bytes", DEST_FIELD_BYTES, AT(batch_bytes), "0", false, 0, 0, NULL,
	  "bytes of one request, about, at most; 0: the kind's bound" },
	{ "batch_wait", DEST_FIELD_MS, AT(batch_wait_ms), NULL, false, 0, 0, NULL,
	  "how long a batch that is not full waits for more" },
	{ "concurrency", DEST_FIELD_COUNT, AT(concurrency), "0", false, 0, 256, NULL,
	  "requests at once, at most; 0: the kind's number" },
	{ "rate", DEST_FIELD_COUNT, AT(rate), "0", false, 0, 0, NULL,
	  "parts a second, at most; 0: the kind's bound" },
	{ "timeout", DEST_FIELD_MS, AT(timeout_ms), "0", false, 0, 600000, NULL,
	  "of one request; 0: the kind's" },
	{ "retry_min", DEST_FIELD_MS, AT(retry_min_ms), "10s", false, 1, DAY_MS, NULL,
	  "back-off after the first failure" },
	{ "retry_max", DEST_FIELD_MS, AT(retry_max_ms), "5m", false, 1, DAY_MS, NULL,
	  "back-off, at most" },
	{ "retry_for", DEST_FIELD_MS, AT(retry_for_ms), "4h", false, 0, 30 * DAY_MS, NULL,
	  "after that an event goes to bad" },
	{ .name = NULL },
};

static const char *const type_names[] = { "track", "identify", "page", "screen", "group",
					  "alias" };

struct reading {
	struct setup *setup;
	struct field_place place;
	struct common common;
	const struct yaml *root;
};

/* Keys that nobody knows are misspelt ones. */
static int check_keys(struct reading *r, struct err *err)
{
	for (const struct yaml *node = r->root->first; node; node = node->next)
		if (!field_find(common_fields, node->key) &&
		    !field_find(r->setup->kind->fields, node->key))
			return err_set(err, -EBADMSG, "%s:%d: type %s has no '%.40s' (see `sink "
				       "kinds`)", r->place.path, node->line, r->setup->kind->name,
				       node->key);
	return 0;
}

static int set_start(struct reading *r, struct err *err)
{
	struct setup *setup = r->setup;
	const char *text = r->common.start;
	int64_t ms;

	if (strcmp(text, "now") == 0 || strcmp(text, "first") == 0) {
		setup->start = text[0] == 'n' ? SETUP_NOW : SETUP_FIRST;
		return 0;
	}
	setup->start = SETUP_TIME;
	if (when_parse(slice_from(text), &setup->start_us) == 0)
		return 0;
	if (opt_parse_ms(text, &ms) < 0 || ms < 0 || ms > INT64_MAX / 1000)
		return err_set(err, -EBADMSG, "%s: start: '%.40s' is not now, first, an instant "
			       "(2026-11-01T00:00:00Z) or a span (7d)", r->place.path, text);
	setup->start_us = when_now_us() - ms * 1000;
	return 0;
}

static int set_types(struct reading *r, struct err *err)
{
	const struct dest_list *list = &r->common.types;

	r->setup->types = list->count ? 0 : DEST_ALL;
	for (size_t i = 0; i < list->count; i++) {
		unsigned bit = 0;

		for (unsigned t = 0; t < sizeof(type_names) / sizeof(type_names[0]); t++)
			if (strcasecmp(list->items[i], type_names[t]) == 0)
				bit = 1u << t;
		if (!bit)
			return err_set(err, -EBADMSG, "%s: types: '%.40s' is not track, identify, "
				       "page, screen, group or alias", r->place.path,
				       list->items[i]);
		r->setup->types |= bit;
	}
	r->setup->types &= r->setup->kind->accepts;
	return 0;
}

/* properties.a.b -> ["properties","a","b"] */
static void put_path(struct buf *out, const char *path)
{
	buf_append_char(out, '[');
	for (const char *at = path;; at++) {
		size_t len = strcspn(at, ".");

		json_write_text((struct slice){ at, len }, out);
		at += len;
		if (!*at)
			break;
		buf_append_char(out, ',');
	}
	buf_append_char(out, ']');
}

/* drop, then rename, then map: one jq program. */
static int set_map(struct reading *r, struct err *err)
{
	const struct common *c = &r->common;
	struct buf out = { 0 };

	for (size_t i = 0; i < c->drop.count; i++) {
		buf_append_text(&out, out.len ? "|delpaths([" : "delpaths([");
		put_path(&out, c->drop.items[i]);
		buf_append_text(&out, "])");
	}
	for (const struct yaml *at = c->rename ? c->rename->first : NULL; at; at = at->next) {
		if (at->kind != YAML_KIND_SCALAR || !at->text[0]) {
			buf_close(&out);
			return err_set(err, -EBADMSG, "%s:%d: rename: `old: new` is wanted",
				       r->place.path, at->line);
		}
		buf_append_text(&out, out.len ? "|(getpath(" : "(getpath(");
		put_path(&out, at->key);
		buf_append_text(&out, ") as $v|if $v==null then . else setpath(");
		put_path(&out, at->text);
		buf_append_text(&out, ";$v)|delpaths([");
		put_path(&out, at->key);
		buf_append_text(&out, "]) end)");
	}
	if (c->map) {
		buf_append_text(&out, out.len ? "|(" : "(");
		buf_append_text(&out, c->map);
		buf_append_text(&out, "\n)");           /* a # comment in it ends there */
	}
	if (out.len)
		r->setup->map = arena_copy(r->place.arena, buf_slice(&out)).ptr;
	buf_close(&out);
	return 0;
}

static int64_t lower(int64_t bound, int64_t wish)
{
	return wish > 0 && (bound == 0 || wish < bound) ? wish : bound;
}

static int set_limits(struct reading *r, struct err *err)
{
	const struct common *c = &r->common;
	struct setup *setup = r->setup;
	struct dest_limits *limits = &setup->limits;

	*limits = setup->kind->limits;
	if (c->batch_size > 0 && (size_t)c->batch_size <= limits->items_max)
		limits->items = (size_t)c->batch_size;
	limits->items = (size_t)lower((int64_t)limits->items, c->batch_size);
	limits->bytes = (size_t)lower((int64_t)limits->bytes, c->batch_bytes);
	if (!limits->item_bytes)
		limits->item_bytes = limits->bytes;
	if (c->batch_wait_ms >= 0)
		limits->wait_ms = c->batch_wait_ms;
	if (c->concurrency)
		limits->concurrency = (int)c->concurrency;
	if (limits->concurrency < 1 || setup->kind->put)
		limits->concurrency = 1;
	limits->per_second = lower(limits->per_second, c->rate);
	limits->timeout_ms = c->timeout_ms ? c->timeout_ms
			     : limits->timeout_ms ? limits->timeout_ms : 30000;
	setup->retry_min_ms = c->retry_min_ms;
	setup->retry_max_ms = c->retry_max_ms;
	setup->retry_for_ms = c->retry_for_ms;
	if (c->retry_max_ms < c->retry_min_ms)
		return err_set(err, -EBADMSG, "%s: retry_max is less than retry_min",
			       r->place.path);
	return 0;
}

static int find_kind(struct reading *r, struct err *err)
{
	struct buf names = { 0 };

	r->setup->kind = dest_kind_find(slice_from(r->common.type));
	if (r->setup->kind)
		return 0;
	for (size_t i = 0; dest_kind_at(i); i++)
		buf_printf(&names, "%s%s", i ? ", " : "", dest_kind_at(i)->name);
	buf_append_char(&names, '\0');
	err_set(err, -EBADMSG, "%s: type '%.30s' is not one of %s", r->place.path, r->common.type,
		names.ptr ? names.ptr : "");
	buf_close(&names);
	return -EBADMSG;
}

static int read_all(struct reading *r, struct err *err)
{
	struct setup *setup = r->setup;
	int rc;

	if (r->root->kind != YAML_KIND_MAP)
		return err_set(err, -EBADMSG, "%s: `name: value` lines are wanted", r->place.path);
	r->common.batch_wait_ms = -1;
	rc = field_read(common_fields, &r->common, r->root, &r->place, err);
	if (rc == 0)
		rc = find_kind(r, err);
	if (rc == 0)
		rc = check_keys(r, err);
	if (rc < 0)
		return rc;
	setup->conf = calloc(1, setup->kind->conf_size + 1);
	if (!setup->conf)
		return -ENOMEM;
	setup->is_enabled = r->common.is_enabled;
	setup->from = r->common.from;
	setup->events = r->common.events;
	setup->not_events = r->common.not_events;
	setup->where = r->common.where;
	setup->by_person = strcmp(r->common.order, "person") == 0;
	/* A switched-off one may lack what it needs to be on. */
	if (setup->is_enabled) {
		rc = field_read(setup->kind->fields, setup->conf, r->root, &r->place, err);
		if (rc == 0 && setup->kind->check)
			rc = setup->kind->check(setup->conf, err);
	}
	if (rc == 0 && (rc = set_start(r, err)) == 0 && (rc = set_types(r, err)) == 0 &&
	    (rc = set_map(r, err)) == 0)
		rc = set_limits(r, err);
	return rc;
}

static bool is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "-_");

	return len > 0 && len <= SETUP_NAME_MAX && name[len] == '\0';
}

int setup_open(struct setup **setupp, const char *dir, const char *name, struct err *err)
{
	return setup_open_file(setupp, dir, name, NULL, err);
}

int setup_open_file(struct setup **setupp, const char *dir, const char *name, const char *file,
		    struct err *err)
{
	struct setup *setup = calloc(1, sizeof(*setup));
	struct arena *arena = calloc(1, sizeof(*arena));
	struct reading r = { .setup = setup, .place = { NULL, dir, arena } };
	char path[4096];
	int rc = setup && arena ? 0 : -ENOMEM;

	*setupp = NULL;
	if (rc == 0 && !is_name(name))
		rc = err_set(err, -EINVAL, "'%.64s': a destination's name has up to %d letters, "
			     "digits, - and _", name, SETUP_NAME_MAX);
	if (rc == 0 && snprintf(path, sizeof(path), "%s%s%s%s", file ? file : dir,
				file ? "" : "/destinations/", file ? "" : name,
				file ? "" : ".yaml") >= (int)sizeof(path))
		rc = -ENAMETOOLONG;
	r.place.path = path;
	if (rc < 0 || !setup) {
		free(arena);
		free(setup);
		return err_set(err, rc, "%s: %s", name, strerror(-rc));
	}
	setup->texts = arena;
	snprintf(setup->name, sizeof(setup->name), "%s", name);
	rc = yaml_open(&setup->file, path, &r.root, err);
	if (rc == 0)
		rc = read_all(&r, err);
	if (rc < 0) {
		setup_close(setup);
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	*setupp = setup;
	return 0;
}

void setup_close(struct setup *setup)
{
	if (!setup)
		return;
	free(setup->conf);
	yaml_close(setup->file);
	arena_close(setup->texts);
	free(setup->texts);
	free(setup);
}

/* Of files: `millrace up` reads them, and passes them on as --to file:PATH?format=FORMAT. */
struct file_conf {
	const char *type, *path, *format, *from;
	bool is_enabled;
};

static const struct dest_field file_fields[] = {
	{ "path", DEST_FIELD_TEXT, offsetof(struct file_conf, path), NULL, true, 0, 0, NULL,
	  "directory for the files" },
	{ "format", DEST_FIELD_CHOICE, offsetof(struct file_conf, format), "jsonl", false, 0, 0,
	  "jsonl|jsonl.gz|avro", "what is in them: JSON lines, plain or packed, or Avro" },
	{ .name = NULL },
};

static const struct dest_field file_common[] = {
	{ "type", DEST_FIELD_TEXT, offsetof(struct file_conf, type), NULL, true, 0, 0, NULL, "" },
	{ "enabled", DEST_FIELD_FLAG, offsetof(struct file_conf, is_enabled), "yes", false, 0, 0,
	  NULL, "" },
	{ "from", DEST_FIELD_TEXT, offsetof(struct file_conf, from), "enriched", false, 0, 0, NULL,
	  "" },
	{ .name = NULL },
};

static int check_file(const struct yaml *root, const struct field_place *place, struct err *err)
{
	struct file_conf conf = { 0 };
	int rc = field_read(file_common, &conf, root, place, err);

	if (rc == 0 && conf.is_enabled)
		rc = field_read(file_fields, &conf, root, place, err);
	for (const struct yaml *node = root->first; node && rc == 0; node = node->next)
		if (!field_find(file_common, node->key) && !field_find(file_fields, node->key))
			rc = err_set(err, -EBADMSG, "%s:%d: type file has no '%.40s'",
				     place->path, node->line, node->key);
	if (rc == 0 && conf.path && strchr(conf.path, '?'))
		rc = err_set(err, -EBADMSG, "%s: path: no question mark in it", place->path);
	return rc;
}

int setup_check(const char *dir, const char *name, const char *path, struct err *err)
{
	struct arena *arena = calloc(1, sizeof(*arena));
	struct setup *setup = NULL;
	struct yaml_file *file = NULL;
	const struct yaml *root = NULL;
	char own[4096];
	const char *type;
	int rc = arena ? 0 : -ENOMEM;

	snprintf(own, sizeof(own), "%.3000s/destinations/%.100s.yaml", dir, name);
	if (rc == 0)
		rc = yaml_open(&file, path ? path : own, &root, err);
	type = yaml_get_text(root, "type");
	if (rc == 0 && type && strcmp(type, "file") == 0) {
		struct field_place place = { path ? path : own, dir, arena };

		rc = check_file(root, &place, err);
	} else if (rc == 0) {
		rc = setup_open_file(&setup, dir, name, path, err);
	}
	setup_close(setup);
	yaml_close(file);
	if (arena)
		arena_close(arena);
	free(arena);
	return rc;
}

void setup_print_kinds(struct buf *out)
{
	const struct dest_kind *kind;

	buf_append_text(out, "{\"kinds\":[\n{\"type\":\"file\",\"summary\":\"files of events on "
			"this machine\",\"fields\":");
	field_print(file_fields, out);
	buf_append_char(out, '}');
	for (size_t i = 0; (kind = dest_kind_at(i)); i++) {
		buf_append_text(out, ",\n{\"type\":");
		json_write_text(slice_from(kind->name), out);
		buf_append_text(out, ",\"summary\":");
		json_write_text(slice_from(kind->summary), out);
		buf_append_text(out, ",\"fields\":");
		field_print(kind->fields, out);
		buf_append_char(out, '}');
	}
	buf_append_text(out, "],\n\"common\":");
	field_print(common_fields, out);
	buf_append_text(out, "}\n");
}
