// SPDX-License-Identifier: Apache-2.0
#include "enrich/json_schema.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/arena.h"

#define BUCKETS   1024
#define DEPTH_MAX 64

struct json_schema {
	struct json_reader *reader;
	struct arena arena;
	yyjson_val *root;
	struct schema_node *buckets[BUCKETS];   /* by the value they come from */
	pcre2_compile_context *regex;
	struct { pcre2_code **items; size_t count, room; } codes;
	struct err *err;                /* while compiling */
	int depth;
};

typedef int keyword_fn(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		       const char *name);

static int compile(struct json_schema *schema, yyjson_val *source, struct schema_node **nodep);

static int refuse(struct json_schema *schema, const char *name, const char *words)
{
	return err_set(schema->err, -EINVAL, "JSON Schema: %.60s: %s", name, words);
}

static int no_memory(struct json_schema *schema)
{
	return err_set(schema->err, -ENOMEM, "no memory");
}

/* Patterns */

static int compile_pattern(struct json_schema *schema, struct slice text, pcre2_code **codep,
			   const char *name)
{
	char words[160];
	PCRE2_SIZE at;
	pcre2_code *code;
	int rc;

	if (schema->codes.count == schema->codes.room) {
		size_t room = schema->codes.room ? schema->codes.room * 2 : 32;
		pcre2_code **items = realloc(schema->codes.items, room * sizeof(*items));

		if (!items)
			return no_memory(schema);
		schema->codes.items = items;
		schema->codes.room = room;
	}
	code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY |
			     PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C,
			     &rc, &at, schema->regex);
	if (!code) {
		pcre2_get_error_message(rc, (PCRE2_UCHAR *)words, sizeof(words));
		return refuse(schema, name, words);
	}
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	schema->codes.items[schema->codes.count++] = code;
	*codep = code;
	return 0;
}

/* Keywords */

static int kw_ignore(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		     const char *name)
{
	(void)schema;
	(void)node;
	(void)value;
	(void)name;
	return 0;
}

static int add_type(struct json_schema *schema, struct schema_node *node, yyjson_val *value)
{
	static const struct { const char *name; unsigned bits; } types[] = {
		{ "null", SCHEMA_TYPE_NULL }, { "boolean", SCHEMA_TYPE_BOOLEAN },
		{ "integer", SCHEMA_TYPE_INTEGER }, { "number", SCHEMA_TYPE_NUMBER },
		{ "string", SCHEMA_TYPE_STRING }, { "array", SCHEMA_TYPE_ARRAY },
		{ "object", SCHEMA_TYPE_OBJECT },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (slice_is(json_string(value), types[i].name)) {
			node->types |= types[i].bits;
			return 0;
		}
	}
	return refuse(schema, "type", "must be null, boolean, integer, number, string, array, "
		      "object, or a list of these");
}

static int kw_type(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		   const char *name)
{
	yyjson_arr_iter iter;
	yyjson_val *item;
	int rc = 0;

	(void)name;
	if (!yyjson_is_arr(value))
		return add_type(schema, node, value);
	if (yyjson_arr_size(value) == 0)
		return refuse(schema, name, "an empty list");
	yyjson_arr_iter_init(value, &iter);
	while (rc == 0 && (item = yyjson_arr_iter_next(&iter)))
		rc = add_type(schema, node, item);
	return rc;
}

static int kw_bound(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		    const char *name)
{
	static const char *const names[SCHEMA_BOUND_COUNT] = {
		"maxLength", "minLength", "maxItems", "minItems", "maxProperties",
		"minProperties",
	};
	double real;

	if (!json_is_num(value) || json_real(value, &real) < 0 || real < 0 || real > 1e15)
		return refuse(schema, name, "must be a whole number, 0 or more");
	for (int i = 0; i < SCHEMA_BOUND_COUNT; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		node->has_bound |= 1U << i;
		node->bounds[i] = (size_t)real;
	}
	return 0;
}

static int kw_limit(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		    const char *name)
{
	static const char *const names[SCHEMA_LIMIT_COUNT] = {
		"maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf",
	};
	double real;

	if (!json_is_num(value) || json_real(value, &real) < 0)
		return refuse(schema, name, "must be a number");
	if (strcmp(name, "multipleOf") == 0 && real <= 0)
		return refuse(schema, name, "must be over 0");
	for (int i = 0; i < SCHEMA_LIMIT_COUNT; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		node->has_limit |= 1U << i;
		node->limits[i] = value;
	}
	return 0;
}

static int kw_pattern(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		      const char *name)
{
	if (!yyjson_is_str(value))
		return refuse(schema, name, "must be text");
	return compile_pattern(schema, json_string(value), &node->pattern, name);
}

static int kw_value(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		    const char *name)
{
	if (strcmp(name, "const") == 0) {
		node->constant = value;
		return 0;
	}
	if (!yyjson_is_arr(value))
		return refuse(schema, name, "must be a list");
	if (strcmp(name, "enum") == 0)
		node->enums = value;
	else
		node->required = value;
	return 0;
}

static int kw_unique(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		     const char *name)
{
	if (!yyjson_is_bool(value))
		return refuse(schema, name, "must be true or false");
	node->unique = yyjson_get_bool(value);
	return 0;
}

static int kw_node(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		   const char *name)
{
	const struct { const char *name; struct schema_node **node; } places[] = {
		{ "additionalItems", &node->additional_items },
		{ "contains", &node->contains },
		{ "additionalProperties", &node->additional },
		{ "propertyNames", &node->names },
		{ "not", &node->not_node },
		{ "if", &node->if_node },
		{ "then", &node->then_node },
		{ "else", &node->else_node },
		{ "items", &node->item },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (strcmp(places[i].name, name) == 0)
			return compile(schema, value, places[i].node);
	}
	return 0;
}

static int compile_list(struct json_schema *schema, yyjson_val *value, struct schema_nodes *nodes,
			const char *name)
{
	yyjson_arr_iter iter;
	yyjson_val *item;
	int rc = 0;

	if (!yyjson_is_arr(value))
		return refuse(schema, name, "must be a list of schemas");
	nodes->items = arena_alloc(&schema->arena,
				   (yyjson_arr_size(value) + 1) * sizeof(*nodes->items));
	if (!nodes->items)
		return no_memory(schema);
	yyjson_arr_iter_init(value, &iter);
	while (rc == 0 && (item = yyjson_arr_iter_next(&iter)))
		rc = compile(schema, item, &nodes->items[nodes->count++]);
	return rc;
}

static int kw_list(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		   const char *name)
{
	struct schema_nodes *nodes = strcmp(name, "allOf") == 0 ? &node->all
				   : strcmp(name, "anyOf") == 0 ? &node->any : &node->one;

	return compile_list(schema, value, nodes, name);
}

static int kw_items(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		    const char *name)
{
	return yyjson_is_arr(value) ? compile_list(schema, value, &node->items, name)
				    : kw_node(schema, node, value, name);
}

static int compare_members(const void *a, const void *b)
{
	const struct slice *x = &((const struct schema_member *)a)->name;
	const struct slice *y = &((const struct schema_member *)b)->name;
	int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int compile_member(struct json_schema *schema, struct schema_member *member,
			  yyjson_val *value, const char *name)
{
	if (strcmp(name, "dependencies") == 0 && yyjson_is_arr(value)) {
		member->names = value;
		return 0;
	}
	if (strcmp(name, "patternProperties") == 0) {
		int rc = compile_pattern(schema, member->name, &member->pattern, name);

		if (rc < 0)
			return rc;
	}
	return compile(schema, value, &member->node);
}

static int kw_members(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		      const char *name)
{
	struct schema_members *members = strcmp(name, "properties") == 0 ? &node->properties
				       : strcmp(name, "dependencies") == 0 ? &node->dependencies
									   : &node->patterns;
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = 0;

	if (!yyjson_is_obj(value))
		return refuse(schema, name, "must be an object");
	members->items = arena_alloc(&schema->arena,
				     (yyjson_obj_size(value) + 1) * sizeof(*members->items));
	if (!members->items)
		return no_memory(schema);
	yyjson_obj_iter_init(value, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter))) {
		struct schema_member *member = &members->items[members->count++];

		*member = (struct schema_member){ .name = { yyjson_get_str(key),
							    yyjson_get_len(key) } };
		rc = compile_member(schema, member, yyjson_obj_iter_get_val(key), name);
	}
	if (rc == 0)
		qsort(members->items, members->count, sizeof(*members->items), compare_members);
	return rc;
}

static int kw_definitions(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
			  const char *name)
{
	struct schema_node *unused;
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = 0;

	(void)node;
	if (!yyjson_is_obj(value))
		return refuse(schema, name, "must be an object");
	yyjson_obj_iter_init(value, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter)))
		rc = compile(schema, yyjson_obj_iter_get_val(key), &unused);
	return rc;
}

/* References */

static int hex_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
	     : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One part of "#/a~1b/c%25d", unescaped; the rest stays in *text. */
static struct slice next_part(struct slice *text, char *out, size_t size)
{
	size_t n = 0;

	while (text->len && text->ptr[0] != '/' && n < size) {
		char c = text->ptr[0];
		size_t used = 1;

		if (c == '%' && text->len > 2 && hex_of(text->ptr[1]) >= 0 &&
		    hex_of(text->ptr[2]) >= 0) {
			c = (char)(hex_of(text->ptr[1]) * 16 + hex_of(text->ptr[2]));
			used = 3;
		}
		if (c == '~' && text->len > used &&
		    (text->ptr[used] == '0' || text->ptr[used] == '1'))
			c = text->ptr[used++] == '0' ? '~' : '/';
		out[n++] = c;
		*text = slice_skip(*text, used);
	}
	return (struct slice){ out, n };
}

static yyjson_val *resolve(yyjson_val *at, struct slice pointer)
{
	char part[512];

	while (at && pointer.len) {
		struct slice name;
		size_t index = 0;

		if (pointer.ptr[0] != '/')
			return NULL;
		pointer = slice_skip(pointer, 1);
		name = next_part(&pointer, part, sizeof(part));
		if (yyjson_is_obj(at)) {
			at = yyjson_obj_getn(at, name.ptr, name.len);
			continue;
		}
		for (size_t i = 0; i < name.len && i < 9; i++)
			index = index * 10 + (size_t)(name.ptr[i] - '0');
		at = yyjson_arr_get(at, index);
	}
	return at;
}

static int compile_ref(struct json_schema *schema, struct schema_node *node, yyjson_val *value)
{
	struct slice text = json_string(value);
	yyjson_val *target;

	if (!text.len || text.ptr[0] != '#')
		return refuse(schema, "$ref", "only references within the document are supported "
			      "(#/definitions/NAME)");
	target = resolve(schema->root, slice_skip(text, 1));
	if (!target)
		return refuse(schema, "$ref", "points to nothing");
	return compile(schema, target, &node->ref);
}

static int kw_id(struct json_schema *schema, struct schema_node *node, yyjson_val *value,
		 const char *name)
{
	(void)value;
	if (node->source == schema->root)
		return 0;
	return refuse(schema, name, "is supported at the root only");
}

static const struct { const char *name; keyword_fn *read; } keywords[] = {
	{ "type", kw_type }, { "enum", kw_value }, { "const", kw_value },
	{ "required", kw_value }, { "multipleOf", kw_limit }, { "maximum", kw_limit },
	{ "exclusiveMaximum", kw_limit }, { "minimum", kw_limit },
	{ "exclusiveMinimum", kw_limit }, { "maxLength", kw_bound }, { "minLength", kw_bound },
	{ "maxItems", kw_bound }, { "minItems", kw_bound }, { "maxProperties", kw_bound },
	{ "minProperties", kw_bound }, { "pattern", kw_pattern }, { "items", kw_items },
	{ "uniqueItems", kw_unique }, { "additionalItems", kw_node }, { "contains", kw_node },
	{ "additionalProperties", kw_node }, { "propertyNames", kw_node }, { "not", kw_node },
	{ "if", kw_node }, { "then", kw_node }, { "else", kw_node }, { "allOf", kw_list },
	{ "anyOf", kw_list }, { "oneOf", kw_list }, { "properties", kw_members },
	{ "patternProperties", kw_members }, { "dependencies", kw_members },
	{ "definitions", kw_definitions }, { "$id", kw_id }, { "$schema", kw_ignore },
	{ "$comment", kw_ignore }, { "title", kw_ignore }, { "description", kw_ignore },
	{ "default", kw_ignore }, { "examples", kw_ignore }, { "readOnly", kw_ignore },
	{ "writeOnly", kw_ignore }, { "format", kw_ignore }, { "contentEncoding", kw_ignore },
	{ "contentMediaType", kw_ignore }, { "id", kw_ignore }, { "labels", kw_ignore },
};

static int compile_keyword(struct json_schema *schema, struct schema_node *node, yyjson_val *key)
{
	const char *name = yyjson_get_str(key);

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strcmp(keywords[i].name, name) == 0)
			return keywords[i].read(schema, node, yyjson_obj_iter_get_val(key),
						keywords[i].name);
	}
	if (strncmp(name, "x-", 2) == 0)
		return 0;
	return refuse(schema, name, "this keyword is not supported (docs/man/enrich.8 has those "
		      "that are)");
}

static int compile_members(struct json_schema *schema, struct schema_node *node,
			   yyjson_val *source)
{
	yyjson_val *ref = yyjson_obj_get(source, "$ref"), *key;
	yyjson_obj_iter iter;
	int rc = 0;

	if (ref && yyjson_is_str(ref))
		return compile_ref(schema, node, ref);  /* what stands beside it is not looked at */
	yyjson_obj_iter_init(source, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter)))
		rc = compile_keyword(schema, node, key);
	return rc;
}

/* A value is compiled once, so that references may go in circles. */
static int compile(struct json_schema *schema, yyjson_val *source, struct schema_node **nodep)
{
	struct schema_node **bucket = &schema->buckets[((size_t)source >> 4) % BUCKETS];
	struct schema_node *node;
	int rc;

	for (node = *bucket; node; node = node->chain) {
		if (node->source == source) {
			*nodep = node;
			return 0;
		}
	}
	if (!yyjson_is_obj(source) && !yyjson_is_bool(source))
		return refuse(schema, "a schema", "must be an object, true or false");
	if (schema->depth == DEPTH_MAX)
		return refuse(schema, "a schema", "nested too deep");
	node = arena_alloc(&schema->arena, sizeof(*node));
	if (!node)
		return no_memory(schema);
	*node = (struct schema_node){ .source = source, .chain = *bucket };
	*bucket = node;
	*nodep = node;
	node->never = yyjson_is_bool(source) && !yyjson_get_bool(source);
	if (yyjson_is_bool(source))
		return 0;
	schema->depth++;
	rc = compile_members(schema, node, source);
	schema->depth--;
	return rc;
}

int json_schema_compile(struct json_schema *schema, yyjson_val *source,
			struct schema_node **nodep, struct err *err)
{
	schema->err = err;
	return compile(schema, source, nodep);
}

int json_schema_open(struct json_schema **schemap, struct slice text, struct err *err)
{
	struct json_schema *schema = calloc(1, sizeof(*schema));
	int rc = schema ? json_open(&schema->reader, err) : -ENOMEM;

	if (rc == 0)
		rc = json_parse(schema->reader, text, &schema->root, err);
	if (rc == 0) {
		schema->regex = pcre2_compile_context_create(NULL);
		if (!schema->regex)
			rc = -ENOMEM;
	}
	if (rc < 0) {
		json_schema_close(schema);
		return err_set(err, rc, "no memory");
	}
	*schemap = schema;
	return 0;
}

void json_schema_close(struct json_schema *schema)
{
	if (!schema)
		return;
	for (size_t i = 0; i < schema->codes.count; i++)
		pcre2_code_free(schema->codes.items[i]);
	free(schema->codes.items);
	pcre2_compile_context_free(schema->regex);
	json_close(schema->reader);
	arena_close(&schema->arena);
	free(schema);
}

yyjson_val *json_schema_root(const struct json_schema *schema)
{
	return schema->root;
}

void json_schema_declare(struct schema_node *node)
{
	while (node && node->ref)
		node = node->ref->ref == node ? NULL : node->ref;
	if (!node || node->declared)
		return;
	if (node->properties.count) {
		node->declared = true;
		for (size_t i = 0; i < node->properties.count; i++)
			json_schema_declare(node->properties.items[i].node);
	}
	if (node->item && node->item != node)
		json_schema_declare(node->item);
}
