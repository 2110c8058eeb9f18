/* json_schema - JSON Schema draft-07, the part that describes an event
 *
 *      JSON text --> json_schema_compile --> nodes --> json_schema_check(value) --> what is wrong
 *
 * Supported: type, enum, const, multipleOf, maximum, exclusiveMaximum, minimum, exclusiveMinimum,
 * maxLength, minLength, pattern, items, additionalItems, maxItems, minItems, uniqueItems,
 * contains, maxProperties, minProperties, required, properties, patternProperties,
 * additionalProperties, dependencies, propertyNames, if, then, else, allOf, anyOf, oneOf, not,
 * $ref within the document (#, #/definitions/x), true and false. Passed over, as they assert
 * nothing: $schema, $comment, title, description, default, examples, readOnly, writeOnly, format,
 * contentEncoding, contentMediaType, definitions, id, labels, x-...; $id at the root. Any other
 * keyword is refused when compiled: one that was misspelt would check nothing.
 *
 * Patterns are PCRE2 with ECMAScript's $ and \u, and a match limit. Values come from outside: a
 * check takes at most JSON_SCHEMA_STEPS steps and JSON_SCHEMA_DEPTH levels, then the value fails by
 * the rule "complex".
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_JSON_SCHEMA_H
#define ENRICH_JSON_SCHEMA_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/json.h"

#define JSON_SCHEMA_STEPS 200000
#define JSON_SCHEMA_DEPTH 100

enum schema_type {
	SCHEMA_TYPE_NULL = 1,
	SCHEMA_TYPE_BOOLEAN = 2,
	SCHEMA_TYPE_INTEGER = 4,
	SCHEMA_TYPE_NUMBER = 8,
	SCHEMA_TYPE_STRING = 16,
	SCHEMA_TYPE_ARRAY = 32,
	SCHEMA_TYPE_OBJECT = 64,
};

enum schema_bound {
	SCHEMA_BOUND_MAX_LENGTH, SCHEMA_BOUND_MIN_LENGTH, SCHEMA_BOUND_MAX_ITEMS,
	SCHEMA_BOUND_MIN_ITEMS, SCHEMA_BOUND_MAX_PROPERTIES, SCHEMA_BOUND_MIN_PROPERTIES,
	SCHEMA_BOUND_COUNT,
};

enum schema_limit {
	SCHEMA_LIMIT_MAXIMUM, SCHEMA_LIMIT_EXCLUSIVE_MAXIMUM, SCHEMA_LIMIT_MINIMUM,
	SCHEMA_LIMIT_EXCLUSIVE_MINIMUM, SCHEMA_LIMIT_MULTIPLE_OF, SCHEMA_LIMIT_COUNT,
};

struct schema_node;

struct schema_member {                  /* of properties, patternProperties, dependencies */
	struct slice name;
	pcre2_code *pattern;
	struct schema_node *node;
	yyjson_val *names;              /* a dependency on other names: an array */
};

struct schema_members {
	struct schema_member *items;    /* properties: sorted by name */
	size_t count;
};

struct schema_nodes {
	struct schema_node **items;
	size_t count;
};

struct schema_node {
	yyjson_val *source;
	struct schema_node *chain;      /* of one bucket of the compiler */
	bool never;                     /* `false` */
	bool declared;                  /* its properties are all that the sender declared */
	unsigned types;                 /* 0: any */
	unsigned has_bound, has_limit;  /* bits */
	size_t bounds[SCHEMA_BOUND_COUNT];
	yyjson_val *limits[SCHEMA_LIMIT_COUNT];
	bool unique;
	pcre2_code *pattern;
	yyjson_val *enums, *constant, *required;
	struct schema_members properties, patterns, dependencies;
	struct schema_nodes items;      /* of a tuple */
	struct schema_nodes all, any, one;
	struct schema_node *item, *additional_items, *contains, *additional, *names, *not_node,
			   *if_node, *then_node, *else_node, *ref;
};

struct json_schema;

/* A document of one or more schemas (text is copied); nodes are compiled out of it one by one. */
MUST_CHECK int json_schema_open(struct json_schema **schemap, struct slice text, struct err *err);
void json_schema_close(struct json_schema *schema);
yyjson_val *json_schema_root(const struct json_schema *schema);
/* -EINVAL: words name keyword and place. Nodes live as long as the schema. */
MUST_CHECK int json_schema_compile(struct json_schema *schema, yyjson_val *source,
				   struct schema_node **nodep, struct err *err);
/* This node lists all that the sender declares: members beyond are told as undeclared. */
void json_schema_declare(struct schema_node *node);

/* Where in a value. */
struct schema_place {
	const struct schema_place *up;
	yyjson_val *key;                /* of a member; NULL: an item */
	size_t index;
};

/* rule: the keyword that does not hold; "undeclared". */
typedef void schema_found_fn(void *ctx, const struct schema_place *place, const char *rule);
struct schema_report {
	schema_found_fn *found;         /* NULL: stop at the first */
	void *ctx;
	const struct schema_place *place;       /* of the value; may be NULL */
};
/* Does the value hold? Undeclared members are told, and do not count. */
bool json_schema_check(const struct json_schema *schema, const struct schema_node *node,
		       yyjson_val *value, const struct schema_report *report);

#endif
