// SPDX-License-Identifier: Apache-2.0
#include "aggregate/funnel_ask.h"

#include <errno.h>
#include <stdlib.h>

#define TOP_MAX        1000
/* Selectors whose match is another thing than a step. */
#define VISIBLE        (UINT64_C(1) << 63)

struct parse {
	struct funnel_ask *ask;
	const struct predicate_world *world;
	struct question_error *error;
};

static int no_memory(const struct parse *parse)
{
	return question_fail_scan(parse->error, -ENOMEM);
}

static int copy(const struct parse *parse, struct slice text, struct slice *out)
{
	char *ptr = malloc(text.len + 1);

	if (!ptr)
		return no_memory(parse);
	memcpy(ptr, text.ptr, text.len);
	ptr[text.len] = '\0';
	*out = (struct slice){ ptr, text.len };
	return 0;
}

/* One selector: an event name or "*", and a condition. */
static int add_selector(const struct parse *parse, yyjson_val *node, const char *at,
			const char *const *known, uint64_t bit, bool first_step)
{
	struct funnel_ask *ask = parse->ask;
	struct pick *pick = &ask->picks[ask->selector_count];
	int rc;

	if (ask->selector_count == SCAN_SELECTORS_MAX - 1)      /* the last is VISIBLE's */
		return question_fail(parse->error, at, "too_many",
				     "steps and exclusions have more than %d events in all",
				     SCAN_SELECTORS_MAX - 1);
	rc = pick_parse(pick, node, at, known, parse->world, parse->error);
	if (rc < 0) {
		pick_close(pick);
		return rc;
	}
	ask->selectors[ask->selector_count] =
		pick_selector(pick, ask->where, ask->range.from_us,
			      first_step ? ask->range.to_us : INT64_MAX);
	ask->bits[ask->selector_count++] = bit;
	return 0;
}

static void add_label(struct buf *label, yyjson_val *node)
{
	struct slice event = json_text(node, "event");

	if (label->len > 0)
		buf_append_text(label, " or ");
	if (slice_is(event, "*"))
		buf_append_text(label, "any event");
	else
		buf_append_slice(label, event);
}

static int parse_event(const struct parse *parse, yyjson_val *node, const char *at, uint64_t bit,
		       bool first_step, struct buf *label)
{
	static const char *const ONE[] = { "event", "where", "label", NULL };
	int rc = add_selector(parse, node, at, ONE, bit, first_step);

	if (rc == 0)
		add_label(label, node);
	return rc;
}

static int parse_step(const struct parse *parse, yyjson_val *node, const char *at, int step,
		      struct buf *label)
{
	static const char *const SEVERAL[] = { "any_of", "label", NULL };
	yyjson_val *any_of = json_get(node, "any_of"), *one;
	uint64_t bit = UINT64_C(1) << step;
	bool first_step = step == 0 && parse->ask->conf.order != FUNNEL_ANY;
	char place[160];
	size_t i, n;
	int rc;

	if (!any_of)
		return parse_event(parse, node, at, bit, first_step, label);
	rc = question_known(node, at, SEVERAL, parse->error);
	if (rc < 0)
		return rc;
	if (!yyjson_is_arr(any_of) || yyjson_arr_size(any_of) == 0)
		return question_fail(parse->error, at, "type",
				     "any_of is a list of {\"event\": NAME}, with one at least");
	yyjson_arr_foreach(any_of, i, n, one) {
		question_at_index(place, at, "any_of", i);
		rc = parse_event(parse, one, place, bit, first_step, label);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int parse_steps(const struct parse *parse, yyjson_val *root)
{
	struct funnel_ask *ask = parse->ask;
	yyjson_val *steps = json_get(root, "steps"), *node;
	char place[160];
	size_t i, n;

	if (!yyjson_is_arr(steps) || yyjson_arr_size(steps) == 0)
		return question_fail(parse->error, "/steps", "missing",
				     "a list of steps, the first one first");
	if (yyjson_arr_size(steps) > FUNNEL_STEPS_MAX)
		return question_fail(parse->error, "/steps", "too_many",
				     "%zu steps; at most %d", yyjson_arr_size(steps),
				     FUNNEL_STEPS_MAX);
	ask->conf.steps = (int)yyjson_arr_size(steps);
	yyjson_arr_foreach(steps, i, n, node) {
		struct buf label = { .limit = 64 << 10 };
		struct slice given = json_text(node, "label"), text = { NULL, 0 };
		int rc;

		question_at_index(place, "", "steps", i);
		rc = parse_step(parse, node, place, (int)i, &label);
		if (rc == 0)
			rc = copy(parse, given.ptr ? given : buf_slice(&label), &text);
		ask->labels[i] = (char *)text.ptr;
		buf_close(&label);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int parse_exclusion(const struct parse *parse, yyjson_val *node, const char *at)
{
	static const char *const KNOWN[] = { "event", "where", "after", "before", "mode", NULL };
	static const char *const MODES[] = { "keep", "drop", NULL };
	struct funnel_ask *ask = parse->ask;
	struct funnel_exclusion *exclusion =
		&ask->conf.exclusions[ask->conf.exclusion_count];
	int64_t after = 1, before = ask->conf.steps;
	int mode = 0;
	int rc;

	rc = question_count(node, "after", at, 1, ask->conf.steps - 1, &after, parse->error);
	if (rc == 0)
		rc = question_count(node, "before", at, after + 1, ask->conf.steps, &before,
				    parse->error);
	if (rc == 0)
		rc = question_word(node, "mode", at, MODES, &mode, parse->error);
	if (rc < 0)
		return rc;
	*exclusion = (struct funnel_exclusion){
		UINT64_C(1) << (FUNNEL_STEPS_MAX + ask->conf.exclusion_count),
		(int)after, (int)before, mode == 1,
	};
	ask->conf.exclusion_count++;
	return add_selector(parse, node, at, KNOWN, exclusion->match, false);
}

static int parse_exclusions(const struct parse *parse, yyjson_val *root)
{
	struct funnel_ask *ask = parse->ask;
	yyjson_val *list = json_get(root, "exclusions"), *node;
	char place[160];
	size_t i, n;
	int rc = 0;

	if (!list)
		return 0;
	if (!yyjson_is_arr(list) || yyjson_arr_size(list) > FUNNEL_EXCLUSIONS_MAX)
		return question_fail(parse->error, "/exclusions", "type",
				     "a list of at most %d exclusions", FUNNEL_EXCLUSIONS_MAX);
	if (yyjson_arr_size(list) > 0 && ask->conf.order != FUNNEL_ORDERED)
		return question_fail(parse->error, "/exclusions", "conflict",
				     "exclusions need \"order\": \"ordered\"");
	if (yyjson_arr_size(list) > 0 && ask->conf.steps < 2)
		return question_fail(parse->error, "/exclusions", "conflict",
				     "exclusions stand between two steps; there is one");
	yyjson_arr_foreach(list, i, n, node) {
		question_at_index(place, "", "exclusions", i);
		if (!yyjson_is_obj(node))
			return question_fail(parse->error, place, "type",
					     "an exclusion is {\"event\": NAME, \"after\": 1, "
					     "\"before\": 2}");
		rc = parse_exclusion(parse, node, place);
		if (rc < 0)
			break;
	}
	return rc;
}

/* Order, counting and window: what the other parts depend on. */
static int parse_manner(const struct parse *parse, yyjson_val *root)
{
	static const char *const ORDERS[] = { "ordered", "strict", "any", NULL };
	static const char *const COUNTS[] = { "best", "first", "totals", "sessions", NULL };
	struct funnel_ask *ask = parse->ask;
	yyjson_val *window = json_get(root, "window");
	int order = 0, count = 0;
	int rc = question_word(root, "order", "", ORDERS, &order, parse->error);

	if (rc == 0)
		rc = question_word(root, "count", "", COUNTS, &count, parse->error);
	if (rc < 0)
		return rc;
	if (order != FUNNEL_ORDERED && count != FUNNEL_BEST)
		return question_fail(parse->error, "/count", "conflict",
				     "with \"order\": \"%s\" the only count is \"best\"",
				     ORDERS[order]);
	ask->conf.order = (enum funnel_order)order;
	ask->by_session = count == 3;
	ask->conf.count = ask->by_session ? FUNNEL_TOTALS : (enum funnel_count)count;
	ask->conf.window_us = ask->by_session ? INT64_MAX : FUNNEL_WINDOW_US;
	rc = session_parse(&ask->session, root, ask->range.zone, parse->error);
	if (rc < 0 || !window)
		return rc;
	if (ask->by_session)
		return question_fail(parse->error, "/window", "conflict",
				     "with \"count\": \"sessions\" the session is the window");
	return question_duration(window, "/window", &ask->conf.window_us, parse->error);
}

static int parse_hold(const struct parse *parse, yyjson_val *root)
{
	struct funnel_ask *ask = parse->ask;
	yyjson_val *list = json_get(root, "hold"), *node;
	char place[160];
	size_t i, n;
	int rc;

	if (!list)
		return 0;
	if (!yyjson_is_arr(list) || yyjson_arr_size(list) > FUNNEL_HOLD_MAX)
		return question_fail(parse->error, "/hold", "type",
				     "a list of at most %d property names", FUNNEL_HOLD_MAX);
	yyjson_arr_foreach(list, i, n, node) {
		struct slice name = json_string(node);

		question_at_index(place, "", "hold", i);
		if (name.len == 0 || name.len > PICK_NAME_MAX)
			return question_fail(parse->error, place, "type", "a property's name");
		rc = copy(parse, name, &ask->hold[ask->hold_count]);
		if (rc < 0)
			return rc;
		ask->hold_count++;
	}
	return 0;
}

static int parse_breakdown(const struct parse *parse, yyjson_val *root)
{
	static const char *const KNOWN[] = { "prop", "of", "type", "attribution", "step", NULL };
	static const char *const TYPES[] = { "", "string", NULL };
	static const char *const OF[] = { "event", "profile", NULL };
	static const char *const WAYS[] = { "first", "last", "first_step", "last_step", "each",
					    NULL };
	struct funnel_ask *ask = parse->ask;
	yyjson_val *node = json_get(root, "breakdown");
	int64_t step = 0;
	struct slice name;
	int way = 0, of = 0, type = 0, rc;

	ask->top = 6;
	rc = question_count(root, "top", "", 1, TOP_MAX, &ask->top, parse->error);
	if (rc < 0 || !node)
		return rc;
	if (yyjson_is_arr(node) && yyjson_arr_size(node) == 1)
		node = yyjson_arr_get_first(node);
	if (!yyjson_is_obj(node))
		return question_fail(parse->error, "/breakdown", "type",
				     "a funnel is broken down by one {\"prop\": NAME}");
	rc = question_known(node, "/breakdown", KNOWN, parse->error);
	if (rc == 0)
		rc = question_text(node, "prop", "/breakdown", PICK_NAME_MAX, &name,
				   parse->error);
	if (rc == 0)
		rc = question_word(node, "of", "/breakdown", OF, &of, parse->error);
	if (rc == 0)
		rc = question_word(node, "type", "/breakdown", TYPES, &type, parse->error);
	if (rc == 0)
		rc = question_word(node, "attribution", "/breakdown", WAYS, &way, parse->error);
	if (rc == 0)
		rc = question_count(node, "step", "/breakdown", 1, ask->conf.steps, &step,
				    parse->error);
	if (rc < 0)
		return rc;
	if (!name.ptr)
		return question_fail(parse->error, "/breakdown/prop", "missing",
				     "the property to break down by");
	if (ask->by_session && way == FUNNEL_EACH && step == 0)
		return question_fail(parse->error, "/breakdown/attribution", "conflict",
				     "with \"count\": \"sessions\" a session has one value: "
				     "first, last, first_step, last_step or a step");
	ask->attribution = (enum funnel_attribution)way;
	ask->attribution_step = (int)step;
	ask->breakdown_of_profile = of == 1;
	ask->breakdown_as_text = type == 1;
	return copy(parse, name, &ask->breakdown);
}

static int parse_people(const struct parse *parse, yyjson_val *root)
{
	static const char *const KNOWN[] = { "step", "dropped", "limit", NULL };
	struct funnel_ask *ask = parse->ask;
	yyjson_val *node = json_get(root, "people"), *trend = json_get(root, "trend");
	int64_t step = 0;
	int rc = 0;

	if (trend) {
		ask->has_trend = true;
		rc = question_unit(trend, "/trend", &ask->trend, parse->error);
	}
	if (rc < 0 || !node)
		return rc;
	ask->people_limit = 100;
	if (!yyjson_is_obj(node))
		return question_fail(parse->error, "/people", "type",
				     "{\"step\": 2, \"dropped\": true}");
	rc = question_known(node, "/people", KNOWN, parse->error);
	if (rc == 0)
		rc = question_count(node, "step", "/people", 1, ask->conf.steps, &step,
				    parse->error);
	if (rc == 0)
		rc = question_flag(node, "dropped", "/people", &ask->people_dropped,
				   parse->error);
	if (rc == 0)
		rc = question_count(node, "limit", "/people", 1, FUNNEL_PEOPLE_MAX,
				    &ask->people_limit, parse->error);
	if (rc < 0)
		return rc;
	if (step == 0)
		return question_fail(parse->error, "/people/step", "missing",
				     "the step whose people are wanted, from 1");
	if (ask->people_dropped && step == 1)
		return question_fail(parse->error, "/people/step", "range",
				     "nobody drops out before step 1");
	ask->people_step = (int)step;
	return 0;
}

/* What steps after the first may reach to, and what else must be seen. */
static int bound_selectors(const struct parse *parse)
{
	struct funnel_ask *ask = parse->ask;
	int64_t to;

	if (__builtin_add_overflow(ask->range.to_us, ask->conf.window_us, &to))
		to = INT64_MAX;
	if (ask->by_session || ask->conf.order == FUNNEL_STRICT) {
		ask->selectors[ask->selector_count] = (struct scan_selector){
			.also = ask->conf.order == FUNNEL_STRICT ? ask->where : NULL,
			.from_us = ask->range.from_us, .to_us = INT64_MAX,
		};
		ask->bits[ask->selector_count++] = VISIBLE;
	}
	ask->is_direct = true;
	for (size_t i = 0; i < ask->selector_count; i++) {
		if (ask->selectors[i].to_us > to)
			ask->selectors[i].to_us = to;
		ask->is_direct = ask->is_direct && ask->bits[i] == UINT64_C(1) << i;
	}
	return 0;
}

int funnel_ask_parse(struct funnel_ask *ask, yyjson_val *root,
		     const struct predicate_world *world, struct question_error *error)
{
	static const char *const KNOWN[] = {
		"steps", "window", "order", "count", "exclusions", "hold", "breakdown", "top",
		"trend", "people", "session", "from", "to", "last", "zone", "week_start",
		"where", "source", NULL
	};
	struct predicate_world local = *world;
	struct parse parse = { ask, &local, error };
	int rc;

	*ask = (struct funnel_ask){ .selector_count = 0 };
	rc = question_known(root, "", KNOWN, error);
	if (rc == 0)
		rc = question_range_parse(&ask->range, root, world->now_us, world->week_start,
					  error);
	local.zone = ask->range.zone;
	if (rc == 0)
		rc = predicate_parse_root(&ask->where, root, &local, error);
	if (rc == 0)
		rc = parse_manner(&parse, root);
	if (rc == 0)
		rc = parse_steps(&parse, root);
	if (rc == 0)
		rc = parse_exclusions(&parse, root);
	if (rc == 0)
		rc = parse_hold(&parse, root);
	if (rc == 0)
		rc = parse_breakdown(&parse, root);
	if (rc == 0)
		rc = parse_people(&parse, root);
	return rc < 0 ? rc : bound_selectors(&parse);
}

void funnel_ask_close(struct funnel_ask *ask)
{
	for (size_t i = 0; i < ask->selector_count; i++)
		pick_close(&ask->picks[i]);
	for (int k = 0; k < FUNNEL_STEPS_MAX; k++)
		free(ask->labels[k]);
	for (size_t i = 0; i < ask->hold_count; i++)
		free((char *)ask->hold[i].ptr);
	free((char *)ask->breakdown.ptr);
	predicate_close(ask->where);
	question_range_close(&ask->range);
	*ask = (struct funnel_ask){ .selector_count = 0 };
}

uint64_t funnel_ask_match(const struct funnel_ask *ask, uint64_t selected)
{
	uint64_t match = 0;

	if (ask->is_direct)
		return selected;
	for (; selected; selected &= selected - 1)
		match |= ask->bits[__builtin_ctzll(selected)];
	return match;
}
