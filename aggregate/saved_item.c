// SPDX-License-Identifier: Apache-2.0
#include "aggregate/saved_item.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct saved_look {
	struct saved_item *item;
	struct json_reader *json;
	struct cohort *cohort;
	struct cohort_eye *eye;
	struct funnel_ask ask;
	struct funnel *funnel;
	struct buf events;
	struct scan_conf conf;
	struct scan *scan;
	const struct snapshot *snapshot;
};

/* Trying */

static int open_people(struct saved_look *look, yyjson_val *root,
		       const struct predicate_world *world, struct question_error *error)
{
	static const char *const known[] = { "query", NULL };
	int rc = question_known(root, "", known, error);

	if (rc == 0 && !json_get(root, "query"))
		rc = question_fail(error, "/query", "missing", "a query is needed");
	if (rc == 0)
		rc = cohort_parse(&look->cohort, json_get(root, "query"), "/query", world, error);
	if (rc < 0)
		return rc;
	look->item->is_relative = cohort_is_relative(look->cohort);
	look->item->has_cohort = cohort_has_cohort(look->cohort);
	look->item->steps = 1;
	look->conf.selectors = cohort_selectors(look->cohort, &look->conf.selector_count);
	if (!look->snapshot)
		return 0;
	rc = cohort_bind(look->cohort, look->snapshot);
	if (rc == 0)
		rc = cohort_eye_open(&look->eye, look->cohort);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}

static int open_funnel(struct saved_look *look, yyjson_val *root,
		       const struct predicate_world *world, struct question_error *error)
{
	int rc = funnel_ask_parse(&look->ask, root, world, error);

	if (rc < 0)
		return rc;
	if (look->ask.conf.count == FUNNEL_TOTALS || look->ask.by_session || look->ask.hold_count)
		return question_fail(error, "", "not_supported", "a saved funnel counts persons: "
				     "no totals, sessions, hold");
	look->item->is_relative = !json_get(root, "from");
	look->item->steps = look->ask.conf.steps;
	for (int k = 0; k < look->ask.conf.steps; k++) {
		free(look->item->labels[k]);
		look->item->labels[k] = strdup(look->ask.labels[k] ? look->ask.labels[k] : "");
	}
	look->conf.selectors = look->ask.selectors;
	look->conf.selector_count = look->ask.selector_count;
	rc = funnel_open(&look->funnel, &look->ask.conf);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}

int saved_look_open(struct saved_look **lookp, struct saved_item *item,
		    const struct snapshot *snapshot, const struct predicate_world *world,
		    struct question_error *error)
{
	struct saved_look *look = calloc(1, sizeof(*look));
	struct err err = { "" };
	yyjson_val *root;
	int rc = look ? json_open(&look->json, &err) : -ENOMEM;

	*lookp = NULL;
	if (rc == 0) {
		look->item = item;
		look->snapshot = look->conf.snapshot = snapshot;
		look->conf.with_everyone = true;
		rc = json_parse(look->json, slice_from(item->text), &root, &err);
	}
	if (rc == 0)
		rc = item->kind == SAVED_PEOPLE ? open_people(look, root, world, error)
						: open_funnel(look, root, world, error);
	else
		rc = question_fail(error, "", "bad_value", "%s", err.text);
	if (rc == 0 && snapshot) {
		rc = scan_open(&look->scan, &look->conf);
		if (rc < 0)
			rc = question_fail_scan(error, rc);
	}
	if (rc < 0)
		saved_look_close(look);
	else
		*lookp = look;
	return rc;
}

void saved_look_close(struct saved_look *look)
{
	if (!look)
		return;
	scan_close(look->scan);
	cohort_eye_close(look->eye);
	cohort_close(look->cohort);
	funnel_close(look->funnel);
	if (look->item && look->item->kind == SAVED_FUNNEL)
		funnel_ask_close(&look->ask);
	buf_close(&look->events);
	json_close(look->json);
	free(look);
}

static int take_nothing(void *ctx, const struct funnel_path *path)
{
	(void)ctx;
	(void)path;
	return 0;
}

static int try_funnel(struct saved_look *look, const struct scan_person *person)
{
	buf_reset(&look->events);
	for (uint32_t i = 0; i < person->count; i++) {
		struct scan_event event = person->events[i];

		event.match = funnel_ask_match(&look->ask, event.match);
		buf_append(&look->events, &event, sizeof(event));
	}
	if (look->events.failed)
		return -ENOMEM;
	if (!person->count)
		return 0;
	return funnel_run(look->funnel, (const void *)look->events.ptr, person->count,
			  look->ask.range.from_us, look->ask.range.to_us, take_nothing, NULL);
}

int saved_look_one(struct saved_look *look, uint32_t leader, int64_t *next_us, int64_t *at_us)
{
	struct scan_person person;
	int rc;

	*next_us = INT64_MAX;
	*at_us = 0;
	/* A person that was merged into another, or is not known (any more), is in nothing. */
	if (persons_leaders(look->snapshot->persons)[leader] != leader ||
	    !persons_is_known(look->snapshot->persons, leader))
		return 0;
	rc = scan_one(look->scan, leader, &person);
	if (rc < 0)
		return rc;
	person.leader = leader;
	if (person.count)
		*at_us = person.events[person.count - 1].time_us;
	return look->item->kind == SAVED_PEOPLE ? cohort_try(look->eye, &person, next_us)
						: try_funnel(look, &person);
}

/* State */

static int grow(void *arrayp, size_t size, size_t from, size_t to)
{
	void **array = arrayp;
	char *grown = reallocarray(*array, to, size);

	if (!grown)
		return -ENOMEM;
	memset(grown + from * size, 0, (to - from) * size);
	*array = grown;
	return 0;
}

int saved_item_grow(struct saved_item *item, uint32_t actors)
{
	uint32_t room = item->room ? item->room : 1024;

	if (actors <= item->room)
		return 0;
	while (room < actors)
		room *= 2;
	if (grow(&item->level, 1, item->room, room) ||
	    grow(&item->called, sizeof(*item->called), item->room, room) ||
	    grow(&item->next_us, sizeof(*item->next_us), item->room, room))
		return -ENOMEM;
	item->room = room;
	return 0;
}

int saved_item_name(struct saved_item *item, uint32_t name, struct saved_name **namep)
{
	uint32_t room = item->name_room ? item->name_room : 64;

	if (name >= item->name_room) {
		while (room <= name)
			room *= 2;
		if (grow(&item->names, sizeof(*item->names), item->name_room, room))
			return -ENOMEM;
		item->name_room = room;
	}
	*namep = &item->names[name];
	return 0;
}

static int touch(struct saved_item *item, uint32_t name, enum saved_cause cause, int64_t at_us,
		 uint32_t leader, int claim)
{
	struct saved_name *said;
	int rc = saved_item_name(item, name, &said);

	if (rc < 0)
		return rc;
	said->claims += (uint32_t)claim;
	if (claim > 0)
		said->leader = leader;
	said->cause = said->is_touched && said->cause > cause ? said->cause : cause;
	said->at_us = at_us;
	if (said->is_touched)
		return 0;
	if (item->touched_count == item->touched_room) {
		size_t room = item->touched_room ? item->touched_room * 2 : 64;

		if (grow(&item->touched, sizeof(*item->touched), item->touched_room, room))
			return -ENOMEM;
		item->touched_room = room;
	}
	said->is_touched = true;
	item->touched[item->touched_count++] = name;
	return 0;
}

int saved_item_set(struct saved_item *item, uint32_t leader, int level, uint32_t name,
		   enum saved_cause cause, int64_t at_us)
{
	uint32_t was = item->called[leader];
	int rc = 0;

	item->levels[item->level[leader]]--;
	item->levels[level]++;
	item->level[leader] = (uint8_t)level;
	if (item->kind == SAVED_FUNNEL)
		return 0;
	if (level == 0)
		name = 0;
	item->total += (name != 0);
	item->total -= (was != 0);
	item->called[leader] = name;
	if (was == name)
		return 0;
	if (was && name)
		cause = SAVED_MERGED;
	if (was)
		rc = touch(item, was, cause, at_us, leader, -1);
	if (name && rc == 0)
		rc = touch(item, name, cause, at_us, leader, 1);
	return rc;
}

int saved_item_touch(struct saved_item *item, uint32_t name, enum saved_cause cause)
{
	return touch(item, name, cause, 0, 0, 0);
}

/* Timers: a heap, the earliest on top. One is set per leader; an earlier one replaces it, and what
 * is no longer set is passed over when it comes up. */

int saved_item_timer(struct saved_item *item, uint32_t leader, int64_t when_us)
{
	size_t i = item->timer_count;

	if (when_us == INT64_MAX ||
	    (item->next_us[leader] && item->next_us[leader] <= when_us))
		return 0;
	if (i == item->timer_room) {
		size_t room = item->timer_room ? item->timer_room * 2 : 64;

		if (grow(&item->timers, sizeof(*item->timers), item->timer_room, room))
			return -ENOMEM;
		item->timer_room = room;
	}
	item->next_us[leader] = when_us;
	item->timer_count++;
	for (; i && item->timers[(i - 1) / 2].when_us > when_us; i = (i - 1) / 2)
		item->timers[i] = item->timers[(i - 1) / 2];
	item->timers[i] = (struct saved_timer){ when_us, leader };
	return 0;
}

static void pop_timer(struct saved_item *item)
{
	struct saved_timer last = item->timers[--item->timer_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < item->timer_count) {
		if (child + 1 < item->timer_count &&
		    item->timers[child + 1].when_us < item->timers[child].when_us)
			child++;
		if (item->timers[child].when_us >= last.when_us)
			break;
		item->timers[i] = item->timers[child];
		i = child;
	}
	item->timers[i] = last;
}

bool saved_item_due(struct saved_item *item, int64_t now_us, struct saved_timer *timer)
{
	while (item->timer_count && item->timers[0].when_us <= now_us) {
		*timer = item->timers[0];
		pop_timer(item);
		if (item->next_us[timer->leader] != timer->when_us)
			continue;
		item->next_us[timer->leader] = 0;
		return true;
	}
	return false;
}

void saved_item_close(struct saved_item *item)
{
	free(item->name);
	free(item->text);
	free(item->level);
	free(item->called);
	free(item->next_us);
	free(item->timers);
	free(item->names);
	free(item->touched);
	for (int k = 0; k < FUNNEL_STEPS_MAX; k++)
		free(item->labels[k]);
}
