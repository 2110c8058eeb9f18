// SPDX-License-Identifier: Apache-2.0
#include "sink/trigger.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/json.h"
#include "lib/opt.h"
#include "sink/field.h"
#include "sink/kinds.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

struct common {
	const char *query, *channel, *on, *once, *schedule, *zone, *quiet, *throttle, *suppressed;
	bool is_enabled, current, recheck, dry_run, report;
	int64_t period_ms, delay_ms, holdout, max_age_ms;
	int64_t retry_min_ms, retry_max_ms, retry_for_ms;
};

struct own {
	struct arena arena;
	struct yaml_file *file, *config;
};

#define AT(field) offsetof(struct common, field)

static const struct dest_field common_fields[] = {
	{ "enabled", DEST_FIELD_FLAG, AT(is_enabled), "yes", false, 0, 0, NULL,
	  "no: nothing is sent" },
	{ "query", DEST_FIELD_TEXT, AT(query), NULL, true, 0, 0, NULL,
	  "name of the saved query: reports/NAME.yaml of kind people" },
	{ "on", DEST_FIELD_CHOICE, AT(on), "enter", false, 0, 0, "enter|exit|schedule",
	  "when a person comes to match it, no longer does, or at set times" },
	{ "channel", DEST_FIELD_CHOICE, AT(channel), NULL, true, 0, 0,
	  "email|slack|discord|webhook", "how it is sent" },
	{ "current", DEST_FIELD_FLAG, AT(current), "no", false, 0, 0, NULL,
	  "also who matches already when the trigger or its query begins" },
	{ "once", DEST_FIELD_CHOICE, AT(once), "person", false, 0, 0, "person|period|every",
	  "once for each person, once a period, or each time" },
	{ "period", DEST_FIELD_MS, AT(period_ms), "30d", false, 1, 3660 * DAY_MS, NULL,
	  "once a period: least time between two to one person" },
	{ "schedule", DEST_FIELD_TEXT, AT(schedule), NULL, false, 0, 0, NULL,
	  "on schedule: minute hour day month weekday, such as 0 9 * * wed" },
	{ "zone", DEST_FIELD_TEXT, AT(zone), "UTC", false, 0, 0, NULL,
	  "time zone of schedule and quiet: Europe/Stockholm" },
	{ "quiet", DEST_FIELD_TEXT, AT(quiet), NULL, false, 0, 0, NULL,
	  "no message then, it waits: 22:00-08:00" },
	{ "delay", DEST_FIELD_MS, AT(delay_ms), "0", false, 0, 366 * DAY_MS, NULL,
	  "wait so long first" },
	{ "recheck", DEST_FIELD_FLAG, AT(recheck), "yes", false, 0, 0, NULL,
	  "who waited and no longer matches gets nothing" },
	{ "throttle", DEST_FIELD_TEXT, AT(throttle), NULL, false, 0, 0, NULL,
	  "at most so many messages in a time, such as 100/1h; the rest waits" },
	{ "holdout", DEST_FIELD_COUNT, AT(holdout), "0", false, 0, 100, NULL,
	  "percent of persons who never get one, for comparison" },
	{ "max_age", DEST_FIELD_MS, AT(max_age_ms), "1d", false, 1, 3660 * DAY_MS, NULL,
	  "who entered longer ago (after an outage) gets nothing" },
	{ "dry_run", DEST_FIELD_FLAG, AT(dry_run), "no", false, 0, 0, NULL,
	  "do everything but send" },
	{ "suppressed", DEST_FIELD_TEXT, AT(suppressed), "messages/suppressed.txt", false, 0, 0,
	  NULL, "file of addresses and persons who get nothing, one a line" },
	{ "report", DEST_FIELD_FLAG, AT(report), "yes", false, 0, 0, NULL,
	  "outcomes come back as events message_sent, message_failed" },
	{ "retry_min", DEST_FIELD_MS, AT(retry_min_ms), "10s", false, 1, DAY_MS, NULL,
	  "back-off after the first failure" },
	{ "retry_max", DEST_FIELD_MS, AT(retry_max_ms), "5m", false, 1, DAY_MS, NULL,
	  "back-off, at most" },
	{ "retry_for", DEST_FIELD_MS, AT(retry_for_ms), "4h", false, 0, 30 * DAY_MS, NULL,
	  "then it has failed" },
	{ .name = NULL },
};

struct reading {
	struct trigger *trigger;
	struct own *own;
	struct field_place place;
	struct common common;
	const struct yaml *root;
	bool even_off;
};

static int wrong(const struct reading *r, const char *field, const struct err *why,
		 struct err *err)
{
	const struct yaml *node = yaml_get(r->root, field);

	return err_set(err, -EBADMSG, "%s:%d: %s: %.160s", r->place.path, node ? node->line : 1,
		       field, why->text);
}

/* The file's keys, and those of `smtp:` that it has not. */
static const struct yaml *merge(struct reading *r, const struct yaml *smtp)
{
	struct yaml *root = arena_alloc(&r->own->arena, sizeof(*root));
	const struct yaml *lists[] = { r->root->first, smtp ? smtp->first : NULL };
	const struct yaml **last;

	if (!root)
		return NULL;
	*root = *r->root;
	last = &root->first;
	for (int i = 0; i < 2; i++) {
		for (const struct yaml *at = lists[i]; at; at = at->next) {
			struct yaml *copy;

			if (i == 1 && yaml_get(r->root, at->key))
				continue;
			copy = arena_alloc(&r->own->arena, sizeof(*copy));
			if (!copy)
				return NULL;
			*copy = *at;
			*last = copy;
			last = &copy->next;
		}
	}
	*last = NULL;
	return root;
}

static int check_keys(struct reading *r, struct err *err)
{
	for (const struct yaml *node = r->root->first; node; node = node->next)
		if (!field_find(common_fields, node->key) &&
		    !field_find(r->trigger->kind->fields, node->key))
			return err_set(err, -EBADMSG, "%s:%d: a trigger with channel %s has no "
				       "'%.40s' (see docs/messages.md)", r->place.path, node->line,
				       r->common.channel, node->key);
	return 0;
}

static int read_channel(struct reading *r, const char *config, struct err *err)
{
	struct trigger *t = r->trigger;
	const struct yaml *settings = NULL, *root;
	int rc = 0;

	t->kind = dest_kind_find(slice_from(r->common.channel));
	if (!t->kind)
		return err_set(err, -EBADMSG, "%s: channel: no such one", r->place.path);
	if ((rc = check_keys(r, err)) < 0 || (!t->is_enabled && !r->even_off))
		return rc;
	if (t->kind == &dest_email && config) {
		rc = yaml_open(&r->own->config, config, &settings, err);
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	root = merge(r, yaml_get(settings, "smtp"));
	t->conf = calloc(1, t->kind->conf_size + 1);
	if (!root || !t->conf)
		return err_set(err, -ENOMEM, "no memory");
	rc = field_read(t->kind->fields, t->conf, root, &r->place, err);
	if (rc == 0 && t->kind->check) {
		struct err why = { "" };

		rc = t->kind->check(t->conf, &why);
		if (rc < 0)
			return err_set(err, rc, "%s: %.200s", r->place.path, why.text);
	}
	return rc;
}

static int read_throttle(struct reading *r, struct err *err)
{
	const char *text = r->common.throttle, *slash = text ? strchr(text, '/') : NULL;
	struct trigger *t = r->trigger;
	char *end;

	if (!text || !text[0])
		return 0;
	t->throttle_count = strtoll(text, &end, 10);
	if (slash && end == slash && t->throttle_count > 0 && t->throttle_count <= 100000 &&
	    opt_parse_ms(slash + 1, &t->throttle_ms) == 0 && t->throttle_ms > 0)
		return 0;
	return wrong(r, "throttle", &(struct err){ "count/time is wanted, such as 100/1h" }, err);
}

static int read_times(struct reading *r, struct err *err)
{
	struct trigger *t = r->trigger;
	struct err why = { "" };

	if (zone_open(&t->zone, slice_from(r->common.zone), &why) < 0)
		return wrong(r, "zone", &(struct err){ "no such zone; as in Europe/Stockholm" },
			     err);
	if (quiet_parse(r->common.quiet, &t->quiet, &why) < 0)
		return wrong(r, "quiet", &why, err);
	if (t->on == TRIGGER_SCHEDULE && !r->common.schedule)
		return wrong(r, "schedule", &(struct err){ "is missing: on: schedule needs one, "
			     "such as 0 9 * * wed" }, err);
	if (t->on == TRIGGER_SCHEDULE && cron_parse(r->common.schedule, &t->cron, &why) < 0)
		return wrong(r, "schedule", &why, err);
	return read_throttle(r, err);
}

static int read_all(struct reading *r, const char *config, struct err *err)
{
	struct trigger *t = r->trigger;
	const struct common *c = &r->common;
	int rc;

	if (r->root->kind != YAML_KIND_MAP)
		return err_set(err, -EBADMSG, "%s: `name: value` lines are wanted", r->place.path);
	if ((rc = field_read(common_fields, &r->common, r->root, &r->place, err)) < 0)
		return rc;
	t->is_enabled = c->is_enabled;
	t->query = c->query;
	t->channel = c->channel;
	t->on = c->on[0] == 's' ? TRIGGER_SCHEDULE : c->on[1] == 'n' ? TRIGGER_ENTER
							      : TRIGGER_EXIT;
	t->once = c->once[0] == 'e' ? TRIGGER_EVERY : c->once[3] == 's' ? TRIGGER_PERSON
								: TRIGGER_PERIOD;
	t->current = c->current;
	t->recheck = c->recheck;
	t->dry_run = c->dry_run;
	t->report = c->report;
	t->period_ms = c->period_ms;
	t->delay_ms = c->delay_ms;
	t->holdout = c->holdout;
	t->max_age_ms = c->max_age_ms;
	t->retry_min_ms = c->retry_min_ms;
	t->retry_max_ms = c->retry_max_ms;
	t->retry_for_ms = c->retry_for_ms;
	t->suppressed = c->suppressed;
	rc = read_times(r, err);
	return rc < 0 ? rc : read_channel(r, config, err);
}

static bool is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "-_");

	return len > 0 && len <= 64 && name[len] == '\0';
}

int trigger_open(struct trigger **triggerp, const char *dir, const char *config, const char *name,
		 const char *file, bool even_off, struct err *err)
{
	struct trigger *t = calloc(1, sizeof(*t));
	struct own *own = calloc(1, sizeof(*own));
	struct reading r = { .trigger = t, .own = own, .place = { NULL, dir,
			     own ? &own->arena : NULL }, .even_off = even_off };
	char path[PATH_MAX];
	int rc = t && own ? 0 : err_set(err, -ENOMEM, "no memory");

	*triggerp = NULL;
	if (rc == 0 && !is_name(name))
		rc = err_set(err, -EINVAL, "'%.64s': a trigger's name has up to 64 letters, "
			     "digits, - and _", name);
	if (rc < 0) {
		free(t);
		free(own);
		return rc;
	}
	if (file)
		snprintf(path, sizeof(path), "%.4000s", file);
	else
		snprintf(path, sizeof(path), "%.3900s/triggers/%.64s.yaml", dir, name);
	r.place.path = path;
	t->own = own;
	snprintf(t->name, sizeof(t->name), "%s", name);
	rc = yaml_open(&own->file, path, &r.root, err);
	if (rc == 0)
		rc = read_all(&r, config, err);
	if (rc < 0) {
		trigger_close(t);
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	*triggerp = t;
	return 0;
}

void trigger_close(struct trigger *t)
{
	struct own *own = t ? t->own : NULL;

	if (!t)
		return;
	zone_close(t->zone);
	free(t->conf);
	yaml_close(own->file);
	yaml_close(own->config);
	arena_close(&own->arena);
	free(own);
	free(t);
}

void trigger_print_fields(struct buf *out)
{
	static const char *const channels[] = { "email", "slack", "discord", "webhook" };

	buf_append_text(out, "{\"common\":");
	field_print(common_fields, out);
	buf_append_text(out, ",\n\"channels\":[");
	for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
		const struct dest_kind *kind = dest_kind_find(slice_from(channels[i]));

		buf_printf(out, "%s{\"channel\":\"%s\",\"summary\":", i ? ",\n" : "\n",
			   channels[i]);
		json_write_text(slice_from(kind->summary), out);
		buf_append_text(out, ",\"fields\":");
		field_print(kind->fields, out);
		buf_append_char(out, '}');
	}
	buf_append_text(out, "]}\n");
}
