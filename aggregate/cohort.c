// SPDX-License-Identifier: Apache-2.0
#include "aggregate/cohort_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct cohort *cohort;
	struct json_reader *json;       /* of leaves that are written anew */
	struct question_error *error;
};

static int parse_node(struct parser *parser, yyjson_val *node, const char *at, int depth);

static int no_memory(struct parser *parser)
{
	return question_fail_scan(parser->error, -ENOMEM);
}

static struct cohort_node *new_node(struct parser *parser, enum cohort_kind kind, const char *at)
{
	struct cohort *cohort = parser->cohort;
	struct cohort_node *node;

	if (cohort->count == COHORT_NODES_MAX) {
		question_fail(parser->error, at, "too_large", "a query has at most %d conditions",
			      COHORT_NODES_MAX);
		return NULL;
	}
	node = &cohort->nodes[cohort->count++];
	*node = (struct cohort_node){ .kind = kind, .skip = 1, .prop = -1, .from_us = INT64_MIN,
				      .to_us = INT64_MAX };
	return node;
}

/* and, or, not */

static int parse_group(struct parser *parser, yyjson_val *node, const char *at, int depth)
{
	static const char *const words[] = { "and", "or", "not" };
	static const enum cohort_kind kinds[] = { COHORT_AND, COHORT_OR, COHORT_NOT };
	struct cohort *cohort = parser->cohort;
	int begin = cohort->count, w = 0, rc = 0;
	const char *known[2] = { NULL, NULL };
	yyjson_val *child, *list;
	char place[160];
	size_t i, count;

	while (!json_get(node, words[w]))
		w++;
	known[0] = words[w];
	list = json_get(node, words[w]);
	if (question_known(node, at, known, parser->error) < 0)
		return -EINVAL;
	question_at(place, at, words[w]);
	if (!new_node(parser, kinds[w], at))
		return -EINVAL;
	if (w == 2) {
		rc = parse_node(parser, list, place, depth + 1);
	} else if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0) {
		return question_fail(parser->error, place, "bad_value",
				     "a list [..] of conditions is needed");
	} else {
		yyjson_arr_foreach(list, i, count, child) {
			char at_child[160];

			question_at_index(at_child, at, words[w], i);
			if (rc == 0)
				rc = parse_node(parser, child, at_child, depth + 1);
		}
	}
	cohort->nodes[begin].skip = cohort->count - begin;
	return rc;
}

/* prop: a leaf of predicate.h, about the profile. It is written anew with that said. */

static bool is_word(yyjson_val *key, const char *a, const char *b)
{
	return slice_is(json_string(key), a) || slice_is(json_string(key), b);
}

static void write_leaf(yyjson_val *node, struct buf *out)
{
	yyjson_val *key, *value;
	size_t i, count;

	buf_append_text(out, "{\"of\":\"profile\"");
	yyjson_obj_foreach(node, i, count, key, value) {
		if (is_word(key, "of", "src"))
			continue;
		buf_append_char(out, ',');
		json_write(key, out);
		buf_append_char(out, ':');
		json_write(value, out);
	}
	buf_append_char(out, '}');
}

/* Operators whose answer changes though the value does not. */
static void look_at_ops(struct cohort *cohort, yyjson_val *node)
{
	struct slice op = json_text(node, "op");
	yyjson_val *key, *value;
	size_t i, count;

	if (!node)
		return;
	cohort->is_relative |= slice_is(op, "in_last") || slice_is(op, "not_in_last") ||
			       slice_is(op, "before_last");
	cohort->has_cohort |= slice_is(op, "in_cohort") || slice_is(op, "not_in_cohort");
	/* json.h bounds the depth. */
	yyjson_arr_foreach(node, i, count, value)
		look_at_ops(cohort, value);
	yyjson_obj_foreach(node, i, count, key, value)
		look_at_ops(cohort, value);
}

/* Is it about the latest of what a person's events have? (in_cohort passes prop over.) */
static bool is_latest(yyjson_val *node)
{
	struct slice op = json_text(node, "op");

	return person_is_latest(json_text(node, "prop")) && !slice_is(op, "in_cohort") &&
	       !slice_is(op, "not_in_cohort");
}

static int parse_prop(struct parser *parser, yyjson_val *node, const char *at)
{
	struct slice of = json_text(node, json_get(node, "of") ? "of" : "src");
	struct cohort_node *made;
	struct buf text = { 0 };
	struct err err = { "" };
	yyjson_val *root;
	int rc = 0;

	if (of.len && !slice_is(of, "profile"))
		return question_fail(parser->error, at, "bad_value", "a property of a person is "
				     "\"of\":\"profile\"; one of events stands in the \"where\" of "
				     "a did");
	made = new_node(parser, COHORT_PROP, at);
	if (!made)
		return -EINVAL;
	write_leaf(node, &text);
	rc = text.failed ? -ENOMEM : json_parse(parser->json, buf_slice(&text), &root, &err);
	if (rc == 0)
		rc = predicate_parse(&made->predicate, root, at, &parser->cohort->world,
				     parser->error);
	else
		rc = no_memory(parser);
	buf_close(&text);
	look_at_ops(parser->cohort, node);
	if (rc == 0 && is_latest(node)) {
		struct slice name = json_text(node, "prop");

		made->name = strndup(name.ptr, name.len);
		rc = made->name ? 0 : no_memory(parser);
	}
	return rc;
}

/* within */

static int parse_within(struct parser *parser, yyjson_val *node, const char *at,
			struct cohort_node *made)
{
	static const char *const names[] = { "last", "from", "to", "zone", NULL };
	int64_t now_us = parser->cohort->world.now_us;
	yyjson_val *within = json_get(node, "within");
	struct question_range range;
	char place[160], last[160];
	bool is_ever;
	int rc;

	if (!within || slice_is(json_string(within), "ever"))
		return 0;
	question_at(place, at, "within");
	question_at(last, place, "last");
	rc = question_known(within, place, names, parser->error);
	if (rc < 0)
		return rc;
	if (json_get(within, "last")) {
		rc = question_duration(json_get(within, "last"), last, &made->last_us,
				       parser->error);
		made->from_us = now_us - made->last_us;
		return rc;
	}
	rc = question_range_parse_node(&range, within, place, now_us, &is_ever, parser->error);
	if (rc < 0)
		return rc;
	if (!is_ever) {
		made->from_us = range.from_us;
		made->to_us = range.to_us;
	}
	question_range_close(&range);
	return 0;
}

/* Selectors */

static int add_selector(struct parser *parser, struct pick *pick, int64_t from_us, int64_t to_us,
			const char *at)
{
	struct cohort *cohort = parser->cohort;

	if (cohort->selector_count == SCAN_SELECTORS_MAX) {
		pick_close(pick);
		return question_fail(parser->error, at, "too_large",
				     "a query has at most %d events", SCAN_SELECTORS_MAX);
	}
	cohort->picks[cohort->selector_count] = *pick;
	cohort->selectors[cohort->selector_count] =
		pick_selector(&cohort->picks[cohort->selector_count], NULL, from_us, to_us);
	cohort->selector_count++;
	return 0;
}

/* The event that `word` names, with the node's where. */
static int add_event(struct parser *parser, yyjson_val *node, const char *word, const char *at,
		     int64_t from_us, int64_t to_us)
{
	struct slice name = json_text(node, word);
	struct pick pick = { .where = NULL };
	char place[160];
	int rc = 0;

	question_at(place, at, word);
	if (name.len == 0 || name.len > PICK_NAME_MAX)
		return question_fail(parser->error, place, "bad_value",
				     "the name of an event is needed, or \"*\"");
	if (!slice_is(name, "*")) {
		char *copy = malloc(name.len);

		if (!copy)
			return no_memory(parser);
		memcpy(copy, name.ptr, name.len);
		pick.event = (struct slice){ copy, name.len };
	}
	question_at(place, at, "where");
	look_at_ops(parser->cohort, json_get(node, "where"));
	if (json_get(node, "where"))
		rc = predicate_parse(&pick.where, json_get(node, "where"), place,
				     &parser->cohort->world, parser->error);
	if (rc < 0) {
		pick_close(&pick);
		return rc;
	}
	return add_selector(parser, &pick, from_us, to_us, at);
}

/* did */

static const char *const measures[] = {
	"count", "days", "distinct", "sum", "avg", "min", "max", NULL
};

static int parse_op(struct parser *parser, yyjson_val *node, const char *at, enum cohort_op *op)
{
	static const char *const words[] = { "=", "!=", ">", ">=", "<", "<=", NULL };
	static const char *const others[] = { "eq", "ne", "gt", "gte", "lt", "lte" };
	struct slice text = json_text(node, "op");
	char place[160];

	*op = COHORT_MORE_EQUAL;
	if (!json_get(node, "op"))
		return 0;
	for (int i = 0; words[i]; i++) {
		*op = (enum cohort_op)i;
		if (slice_is(text, words[i]) || slice_is(text, others[i]))
			return 0;
	}
	question_at(place, at, "op");
	return question_fail(parser->error, place, "bad_value",
			     "one of =, !=, >, >=, <, <= is needed");
}

/* How often is never "not at all": that is did_not. So 0 is only good behind ">". */
static int check_n(struct parser *parser, const struct cohort_node *made, const char *at)
{
	char place[160];
	bool is_whole = made->measure <= COHORT_DISTINCT;
	double least = made->op == COHORT_MORE || made->op == COHORT_NOT_EQUAL ? 0
		       : made->op == COHORT_LESS			       ? 2
										: 1;

	question_at(place, at, "n");
	if (!is_whole)
		return 0;
	if (made->n != (double)(int64_t)made->n || made->n < 0 || made->n > 1e15)
		return question_fail(parser->error, place, "bad_value",
				     "a whole number is needed");
	if (made->n < least)
		return question_fail(parser->error, place, "never",
				     "who did it less than once is asked for with did_not");
	return 0;
}

static int add_prop(struct parser *parser, struct slice name, int *index)
{
	struct cohort *cohort = parser->cohort;
	char *copy = malloc(name.len + 1);

	if (!copy)
		return no_memory(parser);
	memcpy(copy, name.ptr, name.len);
	*index = cohort->prop_count++;
	cohort->props[*index].name = (struct slice){ copy, name.len };
	return 0;
}

static int parse_measure(struct parser *parser, yyjson_val *node, const char *at,
			 struct cohort_node *made)
{
	static const char *const plain[] = { "op", "n", NULL };
	static const char *const of_prop[] = { "op", "n", "prop", NULL };
	yyjson_val *measure = NULL;
	char place[160], at_prop[160];
	int found = 0, rc;

	made->op = COHORT_MORE_EQUAL;
	made->n = 1;
	for (int i = 0; measures[i]; i++) {
		if (!json_get(node, measures[i]))
			continue;
		measure = json_get(node, measures[i]);
		made->measure = (enum cohort_measure)i;
		found++;
	}
	if (!found)
		return 0;
	question_at(place, at, measures[made->measure]);
	question_at(at_prop, place, "prop");
	if (found > 1)
		return question_fail(parser->error, place, "bad_value",
				     "only one of count, days, sum, .. at a time");
	rc = question_known(measure, place, made->measure < COHORT_DISTINCT ? plain : of_prop,
			    parser->error);
	if (rc == 0)
		rc = parse_op(parser, measure, place, &made->op);
	if (rc == 0 && json_real(json_get(measure, "n"), &made->n) < 0) {
		question_at(place, place, "n");
		return question_fail(parser->error, place, "bad_value", "a number is needed");
	}
	if (rc == 0)
		rc = check_n(parser, made, place);
	if (rc == 0 && made->measure >= COHORT_DISTINCT) {
		struct slice prop = json_text(measure, "prop");

		if (prop.len == 0)
			return question_fail(parser->error, at_prop, "bad_value",
					     "the name of a property is needed");
		rc = add_prop(parser, prop, &made->prop);
	}
	return rc;
}

static int parse_did(struct parser *parser, yyjson_val *node, const char *at, bool is_not)
{
	static const char *const did[] = { "did", "count", "days", "distinct", "sum", "avg", "min",
					   "max", "within", "where", NULL };
	static const char *const did_not[] = { "did_not", "within", "where", NULL };
	struct cohort_node *made;
	int rc = question_known(node, at, is_not ? did_not : did, parser->error);

	if (rc < 0)
		return rc;
	if (is_not) {
		made = new_node(parser, COHORT_NOT, at);
		if (!made)
			return -EINVAL;
		made->skip = 2;
	}
	made = new_node(parser, COHORT_DID, at);
	if (!made)
		return -EINVAL;
	made->selector = (int)parser->cohort->selector_count;
	rc = parse_within(parser, node, at, made);
	if (rc == 0)
		rc = parse_measure(parser, node, at, made);
	return rc < 0 ? rc
		      : add_event(parser, node, is_not ? "did_not" : "did", at, made->from_us,
				  made->to_us);
}

/* sequence, first_time, in_cohort */

static int parse_sequence(struct parser *parser, yyjson_val *node, const char *at)
{
	static const char *const known[] = { "sequence", "within", "window", NULL };
	static const char *const step[] = { "event", "where", NULL };
	struct cohort_node *made = new_node(parser, COHORT_SEQUENCE, at);
	yyjson_val *list = json_get(node, "sequence"), *child;
	char place[160];
	size_t i, count;
	int rc;

	if (!made)
		return -EINVAL;
	rc = question_known(node, at, known, parser->error);
	if (rc == 0)
		rc = parse_within(parser, node, at, made);
	question_at(place, at, "sequence");
	if (rc == 0 && (!yyjson_is_arr(list) || yyjson_arr_size(list) < 2 ||
			yyjson_arr_size(list) > COHORT_STEPS_MAX))
		return question_fail(parser->error, place, "bad_value",
				     "a list of 2 to %d events is needed", COHORT_STEPS_MAX);
	question_at(place, at, "window");
	made->window_us = INT64_MAX;
	if (rc == 0 && json_get(node, "window"))
		rc = question_duration(json_get(node, "window"), place, &made->window_us,
				       parser->error);
	made->selector = (int)parser->cohort->selector_count;
	yyjson_arr_foreach(list, i, count, child) {
		question_at_index(place, at, "sequence", i);
		if (rc == 0)
			rc = question_known(child, place, step, parser->error);
		if (rc == 0)
			rc = add_event(parser, child, "event", place, made->from_us, made->to_us);
		made->steps++;
	}
	return rc;
}

static int parse_first_time(struct parser *parser, yyjson_val *node, const char *at)
{
	static const char *const known[] = { "first_time", "within", "where", NULL };
	struct cohort_node *made = new_node(parser, COHORT_FIRST_TIME, at);
	int rc;

	if (!made)
		return -EINVAL;
	made->selector = (int)parser->cohort->selector_count;
	rc = question_known(node, at, known, parser->error);
	if (rc == 0)
		rc = parse_within(parser, node, at, made);
	return rc < 0 ? rc : add_event(parser, node, "first_time", at, INT64_MIN, INT64_MAX);
}

static int parse_in(struct parser *parser, yyjson_val *node, const char *at)
{
	static const char *const known[] = { "in_cohort", NULL };
	const struct predicate_world *world = &parser->cohort->world;
	struct slice name = json_text(node, "in_cohort");
	struct cohort_node *made = new_node(parser, COHORT_IN, at);
	char place[160];

	if (!made)
		return -EINVAL;
	if (question_known(node, at, known, parser->error) < 0)
		return -EINVAL;
	question_at(place, at, "in_cohort");
	if (name.len == 0 || !world->has_cohort || !world->has_cohort(world->ctx, name))
		return question_fail(parser->error, place, "unknown_cohort",
				     "there is no saved query '%.*s': see reports/", (int)name.len,
				     name.ptr);
	parser->cohort->has_cohort = true;
	made->name = strndup(name.ptr, name.len);
	return made->name ? 0 : no_memory(parser);
}

static int parse_node(struct parser *parser, yyjson_val *node, const char *at, int depth)
{
	if (depth > PREDICATE_DEPTH_MAX)
		return question_fail(parser->error, at, "too_large",
				     "conditions are nested at most %d deep", PREDICATE_DEPTH_MAX);
	if (!yyjson_is_obj(node))
		return question_fail(parser->error, at, "bad_value",
				     "an object {..} is needed here");
	if (json_get(node, "and") || json_get(node, "or") || json_get(node, "not"))
		return parse_group(parser, node, at, depth);
	if (json_get(node, "prop"))
		return parse_prop(parser, node, at);
	if (json_get(node, "did"))
		return parse_did(parser, node, at, false);
	if (json_get(node, "did_not"))
		return parse_did(parser, node, at, true);
	if (json_get(node, "sequence"))
		return parse_sequence(parser, node, at);
	if (json_get(node, "first_time"))
		return parse_first_time(parser, node, at);
	if (json_get(node, "in_cohort"))
		return parse_in(parser, node, at);
	return question_fail(parser->error, at, "bad_value", "one of and, or, not, prop, did, "
			     "did_not, sequence, first_time, in_cohort is needed");
}

/* The profile's part of a query that asks for several things at once: who does not have it is
 * passed over before his events are looked at. */
static int parse_who(struct parser *parser, yyjson_val *node, const char *at)
{
	yyjson_val *list = json_get(node, "and"), *child;
	struct buf text = { 0 };
	struct err err = { "" };
	yyjson_val *root;
	size_t i, count;
	int rc = 0, found = 0;

	buf_append_char(&text, '[');
	if (json_get(node, "prop") && !is_latest(node)) {
		write_leaf(node, &text);
		found++;
	}
	if (list)
		yyjson_arr_foreach(list, i, count, child) {
			if (!json_get(child, "prop") || is_latest(child))
				continue;
			if (found++)
				buf_append_char(&text, ',');
			write_leaf(child, &text);
		}
	buf_append_char(&text, ']');
	if (found)
		rc = text.failed ? -ENOMEM
				 : json_parse(parser->json, buf_slice(&text), &root, &err);
	if (rc < 0)
		rc = no_memory(parser);
	else if (found)
		rc = predicate_parse(&parser->cohort->who, root, at, &parser->cohort->world,
				     parser->error);
	buf_close(&text);
	return rc;
}

int cohort_parse(struct cohort **cohortp, yyjson_val *node, const char *at,
		 const struct predicate_world *world, struct question_error *error)
{
	struct parser parser = { .error = error };
	int rc = json_open(&parser.json, NULL);

	*cohortp = NULL;
	parser.cohort = calloc(1, sizeof(*parser.cohort));
	if (rc == 0 && parser.cohort) {
		parser.cohort->world = *world;
		rc = parse_node(&parser, node, at, 0);
		if (rc == 0)
			rc = parse_who(&parser, node, at);
	} else {
		rc = no_memory(&parser);
	}
	json_close(parser.json);
	if (rc < 0)
		cohort_close(parser.cohort);
	else
		*cohortp = parser.cohort;
	return rc;
}

void cohort_close(struct cohort *cohort)
{
	if (!cohort)
		return;
	for (int i = 0; i < cohort->count; i++) {
		predicate_close(cohort->nodes[i].predicate);
		free(cohort->nodes[i].name);
	}
	for (size_t i = 0; i < cohort->selector_count; i++)
		pick_close(&cohort->picks[i]);
	for (int i = 0; i < cohort->prop_count; i++) {
		scan_prop_close(cohort->props[i].prop);
		free((char *)(uintptr_t)cohort->props[i].name.ptr);
	}
	predicate_close(cohort->who);
	free(cohort);
}

const struct scan_selector *cohort_selectors(const struct cohort *cohort, size_t *count)
{
	*count = cohort->selector_count;
	return cohort->selectors;
}

const struct predicate *cohort_who(const struct cohort *cohort)
{
	return cohort->who;
}

bool cohort_is_relative(const struct cohort *cohort)
{
	return cohort->is_relative;
}

bool cohort_has_cohort(const struct cohort *cohort)
{
	return cohort->has_cohort;
}

/* May node i hold for somebody without events? */
static bool means_idle(const struct cohort *cohort, int i)
{
	const struct cohort_node *node = &cohort->nodes[i];
	bool all = true, any = false;

	for (int child = i + 1; child < i + node->skip; child += cohort->nodes[child].skip) {
		bool idle = node->kind == COHORT_NOT || means_idle(cohort, child);

		all &= idle;
		any |= idle;
	}
	switch (node->kind) {
	case COHORT_AND: return all;
	case COHORT_OR: return any;
	case COHORT_NOT: case COHORT_PROP: case COHORT_IN: return true;
	default: return false;
	}
}

bool cohort_means_idle(const struct cohort *cohort)
{
	return means_idle(cohort, 0);
}
