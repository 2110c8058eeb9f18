// SPDX-License-Identifier: Apache-2.0
#include "aggregate/pick.h"

#include <errno.h>
#include <stdlib.h>

int pick_parse_name(struct pick *pick, yyjson_val *node, const char *at,
		    struct question_error *error)
{
	struct slice event;
	char place[160], *name;
	int rc = question_text(node, "event", at, PICK_NAME_MAX, &event, error);

	*pick = (struct pick){ .where = NULL };
	if (rc < 0)
		return rc;
	if (!event.ptr) {
		question_at(place, at, "event");
		return question_fail(error, place, "missing",
				     "the event's name, or \"*\" for any event");
	}
	if (slice_is(event, "*"))
		return 0;
	name = malloc(event.len + 1);
	if (!name)
		return question_fail_scan(error, -ENOMEM);
	memcpy(name, event.ptr, event.len);
	name[event.len] = '\0';
	pick->event = (struct slice){ name, event.len };
	return 0;
}

int pick_parse(struct pick *pick, yyjson_val *node, const char *at, const char *const *known,
	       const struct predicate_world *world, struct question_error *error)
{
	yyjson_val *where;
	char place[160];
	int rc;

	*pick = (struct pick){ .where = NULL };
	if (!yyjson_is_obj(node))
		return question_fail(error, at, "missing",
				     "an event: {\"event\": NAME} or {\"event\": \"*\"}");
	rc = question_known(node, at, known, error);
	if (rc == 0)
		rc = pick_parse_name(pick, node, at, error);
	where = rc == 0 ? json_get(node, "where") : NULL;
	if (!where)
		return rc;
	question_at(place, at, "where");
	return predicate_parse(&pick->where, where, place, world, error);
}

void pick_close(struct pick *pick)
{
	free((char *)pick->event.ptr);
	predicate_close(pick->where);
	*pick = (struct pick){ .where = NULL };
}

struct scan_selector pick_selector(const struct pick *pick, const struct predicate *also,
				   int64_t from_us, int64_t to_us)
{
	return (struct scan_selector){
		.events = &pick->event, .event_count = pick->event.ptr ? 1 : 0,
		.where = pick->where, .also = also, .from_us = from_us, .to_us = to_us,
	};
}
