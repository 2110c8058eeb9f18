// SPDX-License-Identifier: Apache-2.0
#include "aggregate/predicate.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "aggregate/operator.h"

#define NODES_MAX (PREDICATE_LEAVES_MAX * 4)

enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_EVENT, NODE_PROFILE, NODE_COHORT };

struct node {
	enum node_kind kind;
	int child, next;                /* indices, -1: none */
	struct slice name;              /* property or cohort; owned by the predicate */
	struct operator *operator;      /* of EVENT and PROFILE */
	int leaf;                       /* its number among leaves */
	bool is_not;                    /* of COHORT */
};

struct predicate {
	struct predicate_world world;
	struct zone *utc;               /* owned; where the world has no zone */
	struct node nodes[NODES_MAX];
	int count, leaves, root;
};

struct place {
	const struct column *column;    /* NULL: no row has it */
	atomic_uchar *yes;              /* [values + 1]: 0 not asked yet, else 1 no, 2 yes; owned */
};

struct predicate_bound {
	const struct predicate *predicate;
	const struct persons *persons;
	struct place places[PREDICATE_LEAVES_MAX];
	const struct place *single;     /* the whole is this one dense leaf; NULL: it is not */
};

struct predicate_cursor {
	struct predicate_bound *bound;
	uint32_t at[PREDICATE_LEAVES_MAX];      /* in sparse columns */
	uint32_t leader;                /* whom `said` is about */
	bool has_leader;
	uint8_t said[PREDICATE_LEAVES_MAX];     /* 0 not asked yet, 1 no, 2 yes */
	struct buf scratch;
};

/* Parsing */

struct parser {
	struct predicate *predicate;
	struct question_error *error;
};

static int parse_node(struct parser *parser, yyjson_val *node, const char *at, int depth,
		      int *index);

static int add_node(struct parser *parser, enum node_kind kind, const char *at, int *index)
{
	struct predicate *predicate = parser->predicate;

	if (predicate->count == NODES_MAX)
		return question_fail(parser->error, at, "too_large", "this filter has too many "
				     "parts");
	*index = predicate->count++;
	predicate->nodes[*index] = (struct node){ .kind = kind, .child = -1, .next = -1 };
	return 0;
}

static int parse_list(struct parser *parser, yyjson_val *list, enum node_kind kind,
		      const char *at, int depth, int *index)
{
	struct node *nodes = parser->predicate->nodes;
	int last = -1, child, rc = add_node(parser, kind, at, index);
	size_t i, count;
	yyjson_val *node;
	char place[160];

	if (rc == 0 && !yyjson_is_arr(list))
		rc = question_fail(parser->error, at, "bad_value",
				   "a list of conditions is needed");
	yyjson_arr_foreach(list, i, count, node) {
		question_at_index(place, at, NULL, i);
		if (rc == 0)
			rc = parse_node(parser, node, place, depth + 1, &child);
		if (rc < 0)
			return rc;
		if (last < 0)
			nodes[*index].child = child;
		else
			nodes[last].next = child;
		last = child;
	}
	return rc;
}

static int copy_name(struct slice name, struct slice *copy)
{
	char *bytes = malloc(name.len + 1);

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, name.ptr, name.len);
	bytes[name.len] = '\0';
	*copy = (struct slice){ bytes, name.len };
	return 0;
}

static int parse_cohort(struct parser *parser, struct slice name, bool is_not, const char *at,
			int *index)
{
	struct predicate *predicate = parser->predicate;
	const struct predicate_world *world = &predicate->world;
	int rc = add_node(parser, NODE_COHORT, at, index);

	if (rc < 0)
		return rc;
	if (!name.len || name.len > 200)
		return question_fail(parser->error, at, "bad_value", "the name of a saved query is "
				     "needed");
	if (!world->in_cohort || (world->has_cohort && !world->has_cohort(world->ctx, name)))
		return question_fail(parser->error, at, "unknown_cohort", "there is no saved query "
				     "'%.*s'", (int)name.len, name.ptr);
	predicate->nodes[*index].is_not = is_not;
	if (predicate->leaves == PREDICATE_LEAVES_MAX)
		return question_fail(parser->error, at, "too_large", "at most %d conditions",
				     PREDICATE_LEAVES_MAX);
	predicate->nodes[*index].leaf = predicate->leaves++;
	if (copy_name(name, &predicate->nodes[*index].name) < 0)
		return question_fail_scan(parser->error, -ENOMEM);
	return 0;
}

static int parse_leaf(struct parser *parser, yyjson_val *leaf, const char *at, int *index)
{
	static const char *const known[] = { "prop", "op", "values", "of", "type", "elements",
					     NULL };
	static const char *const ofs[] = { "event", "profile", NULL };
	struct predicate *predicate = parser->predicate;
	struct slice name, op = json_text(leaf, "op");
	int of = 0, rc = question_known(leaf, at, known, parser->error);
	struct node *node;
	char place[160];

	if (rc == 0 && op.ptr && (slice_is(op, "in_cohort") || slice_is(op, "not_in_cohort"))) {
		question_at_index(place, at, "values", 0);
		return parse_cohort(parser, json_string(yyjson_arr_get_first(
				    json_get(leaf, "values"))), op.ptr[0] == 'n', place, index);
	}
	if (rc == 0)
		rc = question_word(leaf, "of", at, ofs, &of, parser->error);
	if (rc == 0)
		rc = question_text(leaf, "prop", at, 1000, &name, parser->error);
	if (rc == 0 && !name.ptr)
		rc = question_fail(parser->error, at, "bad_value", "a condition needs 'prop' and "
				   "'op', or is one of and, or, not, in_cohort");
	if (rc == 0 && predicate->leaves == PREDICATE_LEAVES_MAX)
		rc = question_fail(parser->error, at, "too_large", "at most %d conditions",
				   PREDICATE_LEAVES_MAX);
	if (rc == 0)
		rc = add_node(parser, of ? NODE_PROFILE : NODE_EVENT, at, index);
	if (rc < 0)
		return rc;
	node = &predicate->nodes[*index];
	node->leaf = predicate->leaves++;
	if (copy_name(name, &node->name) < 0)
		return question_fail_scan(parser->error, -ENOMEM);
	return operator_parse(&node->operator, leaf, at, predicate->world.zone,
			      predicate->world.now_us, parser->error);
}

static int parse_node(struct parser *parser, yyjson_val *node, const char *at, int depth,
		      int *index)
{
	static const char *const ands[] = { "and", NULL }, *const ors[] = { "or", NULL };
	static const char *const nots[] = { "not", NULL }, *const cohorts[] = { "in_cohort", NULL };
	char place[160];
	int child, rc;

	if (depth > PREDICATE_DEPTH_MAX)
		return question_fail(parser->error, at, "too_deep", "at most %d levels",
				     PREDICATE_DEPTH_MAX);
	if (yyjson_is_arr(node))
		return parse_list(parser, node, NODE_AND, at, depth, index);
	if (json_get(node, "and")) {
		question_at(place, at, "and");
		rc = question_known(node, at, ands, parser->error);
		return rc ? rc : parse_list(parser, json_get(node, "and"), NODE_AND, place, depth,
					    index);
	}
	if (json_get(node, "or")) {
		question_at(place, at, "or");
		rc = question_known(node, at, ors, parser->error);
		return rc ? rc : parse_list(parser, json_get(node, "or"), NODE_OR, place, depth,
					    index);
	}
	if (json_get(node, "in_cohort")) {
		question_at(place, at, "in_cohort");
		rc = question_known(node, at, cohorts, parser->error);
		return rc ? rc : parse_cohort(parser, json_text(node, "in_cohort"), false, place,
					      index);
	}
	if (!json_get(node, "not"))
		return parse_leaf(parser, node, at, index);
	question_at(place, at, "not");
	rc = question_known(node, at, nots, parser->error);
	if (rc == 0)
		rc = add_node(parser, NODE_NOT, at, index);
	if (rc == 0)
		rc = parse_node(parser, json_get(node, "not"), place, depth + 1, &child);
	if (rc == 0)
		parser->predicate->nodes[*index].child = child;
	return rc;
}

static int make(struct predicate **predicatep, const struct predicate_world *world)
{
	struct predicate *predicate = calloc(1, sizeof(*predicate));

	*predicatep = predicate;
	if (!predicate)
		return -ENOMEM;
	predicate->world = *world;
	if (!world->zone && zone_open(&predicate->utc, SLICE("UTC"), NULL) < 0)
		return -ENOMEM;
	if (!world->zone)
		predicate->world.zone = predicate->utc;
	return 0;
}

int predicate_parse(struct predicate **predicatep, yyjson_val *node, const char *at,
		    const struct predicate_world *world, struct question_error *error)
{
	struct parser parser = { .error = error };
	int rc = make(&parser.predicate, world);

	*predicatep = NULL;
	if (rc < 0)
		question_fail_scan(error, rc);
	else
		rc = parse_node(&parser, node, at, 0, &parser.predicate->root);
	if (rc < 0)
		predicate_close(parser.predicate);
	else
		*predicatep = parser.predicate;
	return rc;
}

/* {"prop":"$source","op":"is","values":[source]} next to the root's where. */
static int parse_source(struct parser *parser, yyjson_val *source, int *index)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *leaf = doc ? yyjson_mut_obj(doc) : NULL;
	yyjson_mut_val *values = doc ? yyjson_mut_arr(doc) : NULL;
	struct slice name = json_string(source);
	yyjson_doc *made = NULL;
	int rc;

	if (!name.len || name.len > 200) {
		yyjson_mut_doc_free(doc);
		return question_fail(parser->error, "/source", "bad_value", "the name of a source "
				     "is needed");
	}
	if (leaf && values) {
		yyjson_mut_arr_add_strn(doc, values, name.ptr, name.len);
		yyjson_mut_obj_add_str(doc, leaf, "prop", "$source");
		yyjson_mut_obj_add_str(doc, leaf, "op", "is");
		yyjson_mut_obj_add_val(doc, leaf, "values", values);
		yyjson_mut_doc_set_root(doc, leaf);
		made = yyjson_mut_doc_imut_copy(doc, NULL);
	}
	rc = made ? parse_leaf(parser, yyjson_doc_get_root(made), "/source", index)
		  : question_fail_scan(parser->error, -ENOMEM);
	yyjson_doc_free(made);
	yyjson_mut_doc_free(doc);
	return rc;
}

int predicate_parse_root(struct predicate **predicatep, yyjson_val *root,
			 const struct predicate_world *world, struct question_error *error)
{
	yyjson_val *where = json_get(root, "where"), *source = json_get(root, "source");
	struct parser parser = { .error = error };
	int index, rc;

	*predicatep = NULL;
	if (!source && !where)
		return 0;
	if (!source)
		return predicate_parse(predicatep, where, "/where", world, error);
	rc = make(&parser.predicate, world);
	if (rc < 0)
		question_fail_scan(error, rc);
	else
		rc = add_node(&parser, NODE_AND, "", &parser.predicate->root);
	if (rc == 0)
		rc = parse_source(&parser, source, &index);
	if (rc == 0) {
		parser.predicate->nodes[parser.predicate->root].child = index;
		if (where)
			rc = parse_node(&parser, where, "/where", 0,
					&parser.predicate->nodes[index].next);
	}
	if (rc < 0)
		predicate_close(parser.predicate);
	else
		*predicatep = parser.predicate;
	return rc;
}

void predicate_close(struct predicate *predicate)
{
	if (!predicate)
		return;
	for (int i = 0; i < predicate->count; i++) {
		operator_close(predicate->nodes[i].operator);
		free((char *)(uintptr_t)predicate->nodes[i].name.ptr);
	}
	zone_close(predicate->utc);
	free(predicate);
}

static bool has_kind(const struct predicate *predicate, enum node_kind a, enum node_kind b)
{
	for (int i = 0; i < predicate->count; i++)
		if (predicate->nodes[i].kind == a || predicate->nodes[i].kind == b)
			return true;
	return false;
}

bool predicate_has_profile(const struct predicate *predicate)
{
	return has_kind(predicate, NODE_PROFILE, NODE_COHORT);
}

bool predicate_has_event(const struct predicate *predicate)
{
	return has_kind(predicate, NODE_EVENT, NODE_EVENT);
}

/* Running */

static bool test_profile(const struct predicate *predicate, const struct node *node,
			 const struct persons *persons, uint32_t leader, struct buf *scratch)
{
	struct prop value = { 0 };

	if (node->kind == NODE_COHORT)
		return (leader != PERSON_NOBODY &&
			predicate->world.in_cohort(predicate->world.ctx, node->name, leader)) !=
		       node->is_not;
	if (leader != PERSON_NOBODY) {
		buf_reset(scratch);
		value = persons_trait(persons, leader, node->name, scratch);
	}
	return operator_test(node->operator, &value);
}

static bool test_person(const struct predicate *predicate, int index,
			const struct persons *persons, uint32_t leader, struct buf *scratch)
{
	const struct node *node = &predicate->nodes[index];
	struct prop none = { 0 };

	switch (node->kind) {
	case NODE_NOT:
		return !test_person(predicate, node->child, persons, leader, scratch);
	case NODE_EVENT:
		return operator_test(node->operator, &none);
	case NODE_PROFILE:
	case NODE_COHORT:
		return test_profile(predicate, node, persons, leader, scratch);
	default:
		break;
	}
	for (int at = node->child; at >= 0; at = predicate->nodes[at].next)
		if (test_person(predicate, at, persons, leader, scratch) == (node->kind == NODE_OR))
			return node->kind == NODE_OR;
	return node->kind == NODE_AND;
}

bool predicate_person(const struct predicate *predicate, const struct persons *persons,
		      uint32_t leader, struct buf *scratch)
{
	return test_person(predicate, predicate->root, persons, leader, scratch);
}

bool predicate_value(const struct predicate *predicate, const struct prop *value)
{
	return operator_test(predicate->nodes[predicate->root].operator, value);
}

int predicate_bind(struct predicate_bound **boundp, const struct predicate *predicate,
		   const struct column_file *file, const struct persons *persons)
{
	struct predicate_bound *bound = calloc(1, sizeof(*bound));
	const struct node *root = &predicate->nodes[predicate->root];

	*boundp = NULL;
	if (!bound)
		return -ENOMEM;
	bound->predicate = predicate;
	bound->persons = persons;
	for (int i = 0; i < predicate->count; i++) {
		const struct node *node = &predicate->nodes[i];
		struct place *place = &bound->places[node->leaf];

		if (node->kind != NODE_EVENT)
			continue;
		place->column = column_find(file, node->name);
		place->yes = calloc((place->column ? place->column->values : 0) + (size_t)1, 1);
		if (!place->yes) {
			predicate_unbind(bound);
			return -ENOMEM;
		}
	}
	if (root->kind == NODE_EVENT && bound->places[root->leaf].column &&
	    !bound->places[root->leaf].column->is_sparse)
		bound->single = &bound->places[root->leaf];
	*boundp = bound;
	return 0;
}

void predicate_unbind(struct predicate_bound *bound)
{
	if (!bound)
		return;
	for (int i = 0; i < PREDICATE_LEAVES_MAX; i++)
		free(bound->places[i].yes);
	free(bound);
}

int predicate_cursor_open(struct predicate_cursor **cursorp, struct predicate_bound *bound)
{
	struct predicate_cursor *cursor = calloc(1, sizeof(*cursor));

	*cursorp = cursor;
	if (!cursor)
		return -ENOMEM;
	cursor->bound = bound;
	return 0;
}

void predicate_cursor_close(struct predicate_cursor *cursor)
{
	if (!cursor)
		return;
	buf_close(&cursor->scratch);
	free(cursor);
}

/* The first to ask decides; two threads that ask at once say the same. */
static bool decide(const struct predicate_bound *bound, const struct node *node, uint32_t code)
{
	const struct place *place = &bound->places[node->leaf];
	struct prop value = { 0 };
	bool yes;

	if (code)
		value = column_value(place->column, code);
	yes = operator_test(node->operator, &value);
	atomic_store_explicit(&place->yes[code], yes ? 2 : 1, memory_order_relaxed);
	return yes;
}

static bool test_event(struct predicate_cursor *cursor, const struct node *node, uint32_t row)
{
	const struct place *place = &cursor->bound->places[node->leaf];
	uint32_t *at = &cursor->at[node->leaf];
	uint32_t code = place->column ? column_code(place->column, row, at) : 0;
	unsigned char yes = atomic_load_explicit(&place->yes[code], memory_order_relaxed);

	return yes ? yes == 2 : decide(cursor->bound, node, code);
}

static bool test_row(struct predicate_cursor *cursor, int index, uint32_t row, uint32_t leader)
{
	const struct predicate *predicate = cursor->bound->predicate;
	const struct node *node = &predicate->nodes[index];
	uint8_t *said = &cursor->said[node->leaf];

	switch (node->kind) {
	case NODE_NOT:
		return !test_row(cursor, node->child, row, leader);
	case NODE_EVENT:
		return test_event(cursor, node, row);
	case NODE_PROFILE:
	case NODE_COHORT:
		if (!cursor->has_leader || cursor->leader != leader) {
			memset(cursor->said, 0, sizeof(cursor->said));
			cursor->leader = leader;
			cursor->has_leader = true;
		}
		if (!*said)
			*said = test_profile(predicate, node, cursor->bound->persons, leader,
					     &cursor->scratch) ? 2 : 1;
		return *said == 2;
	default:
		break;
	}
	for (int at = node->child; at >= 0; at = predicate->nodes[at].next)
		if (test_row(cursor, at, row, leader) == (node->kind == NODE_OR))
			return node->kind == NODE_OR;
	return node->kind == NODE_AND;
}

bool predicate_row(struct predicate_cursor *cursor, uint32_t row, uint32_t leader)
{
	const struct place *single = cursor->bound->single;
	const struct predicate *predicate = cursor->bound->predicate;

	if (single) {
		uint32_t code = column_load(single->column->codes, single->column->width, row);
		unsigned char yes = atomic_load_explicit(&single->yes[code], memory_order_relaxed);

		if (yes)
			return yes == 2;
	}
	return test_row(cursor, predicate->root, row, leader);
}

/* One leaf over many rows; the width of the codes is a constant in each copy. */
static inline __attribute__((always_inline)) uint32_t
leaf_rows_of(const struct predicate_bound *bound, const struct node *node, uint8_t width,
	     const uint32_t *rows, uint16_t *places, uint32_t count)
{
	const struct place *place = &bound->places[node->leaf];
	const void *codes = place->column->codes;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint16_t at = places[i];
		uint32_t code = column_load(codes, width, rows[at]);
		unsigned char yes = atomic_load_explicit(&place->yes[code], memory_order_relaxed);

		if (__builtin_expect(!yes, 0))
			yes = decide(bound, node, code) ? 2 : 1;
		places[kept] = at;
		kept += yes == 2;
	}
	return kept;
}

static uint32_t leaf_rows(struct predicate_cursor *cursor, const struct node *node,
			  const uint32_t *rows, uint16_t *places, uint32_t count)
{
	const struct predicate_bound *bound = cursor->bound;
	const struct column *column = bound->places[node->leaf].column;
	uint32_t kept = 0;

	if (column && !column->is_sparse && column->width == 1)
		return leaf_rows_of(bound, node, 1, rows, places, count);
	if (column && !column->is_sparse && column->width == 2)
		return leaf_rows_of(bound, node, 2, rows, places, count);
	if (column && !column->is_sparse)
		return leaf_rows_of(bound, node, 4, rows, places, count);
	for (uint32_t i = 0; i < count; i++) {
		uint16_t at = places[i];

		places[kept] = at;
		kept += test_event(cursor, node, rows[at]);
	}
	return kept;
}

static uint32_t node_rows(struct predicate_cursor *cursor, int index, const uint32_t *rows,
			  const uint32_t *leaders, uint16_t *places, uint32_t count)
{
	const struct node *nodes = cursor->bound->predicate->nodes, *node = &nodes[index];
	uint32_t kept = 0;

	if (node->kind == NODE_EVENT)
		return leaf_rows(cursor, node, rows, places, count);
	if (node->kind == NODE_AND) {
		for (int at = node->child; at >= 0 && count; at = nodes[at].next)
			count = node_rows(cursor, at, rows, leaders, places, count);
		return count;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint16_t at = places[i];

		places[kept] = at;
		kept += test_row(cursor, index, rows[at], leaders[at]);
	}
	return kept;
}

uint32_t predicate_rows(struct predicate_cursor *cursor, const uint32_t *rows,
			const uint32_t *leaders, uint16_t *places, uint32_t count)
{
	return node_rows(cursor, cursor->bound->predicate->root, rows, leaders, places, count);
}
