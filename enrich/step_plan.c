// SPDX-License-Identifier: Apache-2.0
/*
 * Is the event what its tracking plan declares? Three things can be wrong, and each is allowed,
 * blocked or stripped as the settings say:
 *
 *      undeclared_event        a track call that the plan does not name
 *      undeclared_property     a member that its schema does not name
 *      violation               a member that breaks its schema
 *
 * allow: noted in the leaf `violations`. strip: noted, and what is wrong is taken away: the member,
 * or of an undeclared event all properties; what is missing cannot be, and is noted only. block:
 * the event is bad (plan_undeclared_event, plan_undeclared_property, plan_violation). At most
 * NOTES_MAX are noted of an event, and then that there were more; all are stripped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "enrich/leaf.h"
#include "enrich/plan.h"
#include "lib/bus.h"

#define NOTES_MAX 20
#define AT_MAX    500

enum plan_act { PLAN_ALLOW, PLAN_BLOCK, PLAN_STRIP };

struct conf {
	const char *file, *undeclared_event, *undeclared_property, *violation;
};

struct check {
	struct plan *plan;
	enum plan_act event, property, violation;
};

#define AT(field) offsetof(struct conf, field)

static const struct opt opts[] = {
	{ "file", OPT_TEXT, AT(file), NULL, 0, 0, "FILE", "the tracking plan" },
	{ "undeclared-event", OPT_TEXT, AT(undeclared_event), "allow", 0, 0, "ACT", "" },
	{ "undeclared-property", OPT_TEXT, AT(undeclared_property), "allow", 0, 0, "ACT", "" },
	{ "violation", OPT_TEXT, AT(violation), "allow", 0, 0, "ACT", "" },
	{ .name = NULL },
};

static int read_act(const char *name, const char *text, enum plan_act *act, const char *where,
		    struct err *err)
{
	static const char *const acts[] = { "allow", "block", "strip" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(text, acts[i]) == 0) {
			*act = (enum plan_act)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "%s: %s: '%.40s' is not allow, block or strip", where, name,
		       text);
}

static void close_state(void *state)
{
	struct check *check = state;

	plan_close(check->plan);
	free(check);
}

static int open_state(void **statep, const struct step_args *args, struct err *err)
{
	const struct conf *conf = args->conf;
	struct check *check = calloc(1, sizeof(*check));
	struct slice text;
	int rc;

	if (!check)
		return err_set(err, -ENOMEM, "%s: no memory", args->where);
	rc = read_act("undeclared_event", conf->undeclared_event, &check->event, args->where, err);
	if (rc == 0)
		rc = read_act("undeclared_property", conf->undeclared_property, &check->property,
			      args->where, err);
	if (rc == 0)
		rc = read_act("violation", conf->violation, &check->violation, args->where, err);
	if (rc == 0 && (!conf->file || !conf->file[0]))
		rc = err_set(err, -EINVAL, "%s: needs file: of a tracking plan", args->where);
	if (rc == 0)
		rc = step_file_read(args, conf->file, &text, err);
	if (rc == 0)
		rc = plan_open(&check->plan, text, args->where, err);
	if (rc < 0) {
		close_state(check);
		return rc;
	}
	*statep = check;
	return 0;
}

/* What was found in one event. */
struct findings {
	const struct check *check;
	struct step_event *event;
	struct leaf_edits edits[LEAF_COUNT];
	enum leaf leaf;
	struct slice notes[NOTES_MAX];          /* JSON, in the arena */
	size_t count;                           /* all, noted or not */
	int error;
	struct slice blocked_at;                /* in the arena, ends with NUL */
	const char *blocked_rule;               /* NULL: not blocked */
	bool blocked_is_undeclared;
};

/* "/properties/cart/items/0/price" */
static struct slice pointer_of(struct arena *arena, enum leaf leaf,
			       const struct schema_place *place)
{
	static const char *const names[LEAF_COUNT] = { "/properties", "/traits", "/context" };
	const struct schema_place *places[JSON_SCHEMA_DEPTH + 1];
	char text[AT_MAX + 40];
	size_t n = strlen(names[leaf]);
	int depth = 0;

	memcpy(text, names[leaf], n);
	for (; place && depth < JSON_SCHEMA_DEPTH; place = place->up)
		places[depth++] = place;
	while (depth && n < AT_MAX) {
		struct slice name;
		char digits[24];

		place = places[--depth];
		snprintf(digits, sizeof(digits), "%zu", place->index);
		name = place->key ? (struct slice){ yyjson_get_str(place->key),
						    yyjson_get_len(place->key) }
				  : slice_from(digits);
		text[n++] = '/';
		for (size_t i = 0; i < name.len && n < AT_MAX; i++) {
			bool special = name.ptr[i] == '~' || name.ptr[i] == '/';

			text[n++] = special ? '~' : name.ptr[i];
			if (special)
				text[n++] = name.ptr[i] == '~' ? '0' : '1';
		}
	}
	return arena_copy(arena, text_cut((struct slice){ text, n }, AT_MAX));
}

static void note(struct findings *f, struct slice at, const char *rule, const char *action)
{
	struct buf *scratch = &f->event->scratch;

	if (f->count++ >= NOTES_MAX)
		return;
	scratch->limit = BUS_RECORD_MAX;
	buf_reset(scratch);
	buf_append_text(scratch, "{\"at\":");
	json_write_text(at, scratch);
	buf_printf(scratch, ",\"rule\":\"%s\",\"action\":\"%s\"}", rule, action);
	f->notes[f->count - 1] = arena_copy(f->event->arena, buf_slice(scratch));
	if (scratch->failed || !f->notes[f->count - 1].ptr)
		f->error = -ENOMEM;
}

static void found(void *ctx, const struct schema_place *place, const char *rule)
{
	struct findings *f = ctx;
	bool undeclared = strcmp(rule, "undeclared") == 0;
	enum plan_act act = undeclared ? f->check->property : f->check->violation;
	const struct schema_place *member = place;
	struct slice at = { NULL, 0 };
	int rc;

	while (member && !member->key)
		member = member->up;
	if (f->count < NOTES_MAX || act == PLAN_BLOCK) {
		at = pointer_of(f->event->arena, f->leaf, place);
		if (!at.ptr)
			f->error = -ENOMEM;
	}
	if (act == PLAN_BLOCK && !f->blocked_rule) {
		f->blocked_at = at;
		f->blocked_rule = rule;
		f->blocked_is_undeclared = undeclared;
	}
	if (act == PLAN_STRIP && member && strcmp(rule, "required") != 0) {
		rc = leaf_edit(f->event, &f->edits[f->leaf], member->key,
			       (struct slice){ NULL, 0 });
		if (rc < 0)
			f->error = rc;
		note(f, at, rule, "strip");
	} else {
		note(f, at, rule, "allow");
	}
}

static int check_message(struct findings *f, const struct plan_message *message)
{
	for (int i = 0; i < LEAF_COUNT; i++) {
		const struct schema_report report = { .found = found, .ctx = f };
		yyjson_val *tree;
		int rc;

		if (!message->parts[i] && !message->required[i])
			continue;
		f->leaf = (enum leaf)i;
		rc = leaf_tree(f->event, f->leaf, &tree);
		if (rc < 0)
			return rc;
		if (!tree && message->required[i])
			found(f, NULL, "required");
		if (tree && message->parts[i])
			json_schema_check(plan_schema(f->check->plan), message->parts[i], tree,
					  &report);
	}
	return f->error;
}

static int undeclared_event(struct findings *f)
{
	if (f->check->event == PLAN_BLOCK) {
		f->event->bad.reason = "plan_undeclared_event";
		f->event->bad.words = "the tracking plan does not name this event";
		f->event->bad.at = "/event";
		return -EBADMSG;
	}
	note(f, SLICE("/event"), "undeclared_event",
	     f->check->event == PLAN_STRIP ? "strip" : "allow");
	if (f->check->event == PLAN_STRIP)
		leaf_set(f->event, LEAF_PROPERTIES, (struct slice){ NULL, 0 });
	return f->error;
}

static int block(struct findings *f)
{
	struct buf *scratch = &f->event->scratch;

	buf_reset(scratch);
	buf_printf(scratch, "%.*s: the tracking plan's %s", (int)f->blocked_at.len,
		   f->blocked_at.ptr, f->blocked_is_undeclared ? "schema does not name it"
							      : f->blocked_rule);
	if (!f->blocked_is_undeclared)
		buf_append_text(scratch, " does not hold");
	f->event->bad.reason = f->blocked_is_undeclared ? "plan_undeclared_property"
							: "plan_violation";
	f->event->bad.words = arena_copy(f->event->arena, buf_slice(scratch)).ptr;
	f->event->bad.at = f->blocked_at.ptr;
	return f->event->bad.words ? -EBADMSG : -ENOMEM;
}

/* All notes as the leaf, behind those of an earlier plan. */
static int write_notes(struct findings *f)
{
	struct value *out = &f->event->out[ENRICHED_VIOLATIONS];
	struct buf *scratch = &f->event->scratch;
	struct slice text;

	if (f->count == 0)
		return 0;
	scratch->limit = BUS_RECORD_MAX;
	buf_reset(scratch);
	buf_append_char(scratch, '[');
	if (out->is_set && out->text.len > 2) {
		buf_append(scratch, out->text.ptr + 1, out->text.len - 2);
		buf_append_char(scratch, ',');
	}
	for (size_t i = 0; i < f->count && i < NOTES_MAX; i++) {
		if (i)
			buf_append_char(scratch, ',');
		buf_append_slice(scratch, f->notes[i]);
	}
	if (f->count > NOTES_MAX)
		buf_printf(scratch, ",{\"more\":%zu}", f->count - NOTES_MAX);
	buf_append_char(scratch, ']');
	text = arena_copy(f->event->arena, buf_slice(scratch));
	if (!text.ptr || scratch->failed)
		return -ENOMEM;
	*out = value_text(text);
	return 0;
}

static int apply(void *state, struct step_event *event)
{
	const struct check *check = state;
	struct findings f = { .check = check, .event = event };
	const struct plan_message *message, *common = plan_common(check->plan);
	int rc = 0;

	message = plan_find(check->plan, event->type, value_slice(&event->out[ENRICHED_EVENT]));
	if (!message && event->type == STEP_TYPE_TRACK)
		rc = undeclared_event(&f);
	if (rc == 0 && message)
		rc = check_message(&f, message);
	if (rc == 0 && common)
		rc = check_message(&f, common);
	if (rc == 0 && f.blocked_rule)
		return block(&f);
	for (int i = 0; i < LEAF_COUNT && rc == 0; i++)
		rc = leaf_apply(event, (enum leaf)i, &f.edits[i]);
	if (rc == 0)
		rc = write_notes(&f);
	if (rc != -ENOSPC && rc != -EBADMSG)
		return rc;
	if (rc == -EBADMSG && event->bad.reason)
		return rc;
	event->bad.reason = "too_large";
	event->bad.words = "the event's JSON cannot be checked";
	event->bad.at = "";
	return -EBADMSG;
}

const struct step_kind step_plan = {
	.name = "plan",
	.version = 1,
	.after = "ids json",
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.open = open_state,
	.close = close_state,
	.apply = apply,
};
