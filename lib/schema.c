// SPDX-License-Identifier: Apache-2.0
#include "lib/schema.h"

#include <assert.h>
#include <avro.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/json.h"

#define TEXT_MAX    ((size_t)1 << 20)
#define DEPTH_MAX   8           /* records within records */
#define NAME_LIMIT  128         /* one name; with dots 255 */
#define SYMBOLS_MAX 1024

struct schema {
	struct arena arena;             /* owns all below */
	struct slice text;
	const char *name;
	struct schema_field *fields;
	struct schema_code codes[SCHEMA_FIELDS_MAX];
	int count;
	uint64_t fingerprint;
};

/* A name that was defined, because a second definition is wrong. */
struct known {
	struct slice name;
	const struct known *next;
};

struct walk {
	struct schema *schema;
	struct err *err;
	struct buf canon;               /* Parsing Canonical Form, grows with the walk */
	const struct known *known;
	struct slice path;              /* dotted name of the field at hand */
	int depth;
};

/* Like json_get, but a null is a value: `"default": null` says something. */
static yyjson_val *member(yyjson_val *object, const char *key)
{
	size_t i, max;
	yyjson_val *name, *val, *found = NULL;

	yyjson_obj_foreach(object, i, max, name, val)
		if (slice_is(json_string(name), key))
			found = val;
	return found;
}

static int refuse(struct walk *walk, const char *words)
{
	if (!walk->path.len)
		return err_set(walk->err, -EBADMSG, "schema: %s", words);
	return err_set(walk->err, -EBADMSG, "schema: field '%.*s': %s", (int)walk->path.len,
		       walk->path.ptr, words);
}

static bool is_name(struct slice name, bool dots)
{
	bool first = true;

	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (c == '.' && dots && !first) {
			first = true;
			continue;
		}
		if (!letter && (first || c < '0' || c > '9'))
			return false;
		first = false;
	}
	return !first && name.len <= NAME_LIMIT;
}

static int no_memory(struct walk *walk)
{
	return err_set(walk->err, -ENOMEM, "schema: no memory");
}

/* "a" and "b" to "a.b" in the arena; "b" where a is empty. */
static int join(struct walk *walk, struct slice a, struct slice b, struct slice *joined)
{
	char *at = arena_alloc(&walk->schema->arena, a.len + b.len + 2);
	size_t len = 0;

	if (!at)
		return no_memory(walk);
	if (a.len) {
		memcpy(at, a.ptr, a.len);
		at[a.len] = '.';
		len = a.len + 1;
	}
	memcpy(at + len, b.ptr, b.len);
	len += b.len;
	at[len] = '\0';
	*joined = (struct slice){ at, len };
	return 0;
}

/* The full name of a named type, and the namespace within it. The names stay in yyjson's memory
 * or the arena. */
static int full_name(struct walk *walk, yyjson_val *type, struct slice *space, struct slice *full)
{
	struct slice name = json_text(type, "name"), given = json_text(type, "namespace");
	struct known *known;
	int rc;

	if (!is_name(name, true))
		return refuse(walk, "a type's name is missing or malformed");
	if (given.len && !is_name(given, true))
		return refuse(walk, "malformed namespace");
	if (memchr(name.ptr, '.', name.len))
		*space = (struct slice){ NULL, 0 };
	else if (given.ptr)
		*space = given;
	if ((rc = join(walk, *space, name, full)))
		return rc;
	for (space->ptr = full->ptr, space->len = full->len; space->len; space->len--)
		if (space->ptr[space->len - 1] == '.') {
			space->len--;
			break;
		}
	for (const struct known *k = walk->known; k; k = k->next)
		if (slice_eq(k->name, *full))
			return refuse(walk, "a type's name is defined twice");
	known = arena_alloc(&walk->schema->arena, sizeof(*known));
	if (!known)
		return no_memory(walk);
	*known = (struct known){ *full, walk->known };
	walk->known = known;
	return 0;
}

static int primitive_kind(struct slice name)
{
	static const struct {
		char name[8];
		enum schema_kind kind;
	} kinds[] = {
		{ "boolean", SCHEMA_BOOLEAN }, { "int", SCHEMA_INT }, { "long", SCHEMA_LONG },
		{ "float", SCHEMA_FLOAT }, { "double", SCHEMA_DOUBLE },
		{ "string", SCHEMA_STRING }, { "bytes", SCHEMA_BYTES },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_is(name, kinds[i].name))
			return (int)kinds[i].kind;
	return -ENOENT;
}

static int symbol_index(const struct schema_field *leaf, struct slice symbol)
{
	for (int i = 0; i < leaf->symbol_count; i++)
		if (slice_eq(leaf->symbols[i], symbol))
			return i;
	return -ENOENT;
}

static int walk_enum(struct walk *walk, yyjson_val *type, struct slice space,
		     struct schema_field *leaf)
{
	yyjson_val *list = member(type, "symbols"), *val, *fallback = member(type, "default");
	struct slice full, *symbols;
	size_t i, max;
	int rc = full_name(walk, type, &space, &full);

	if (rc)
		return rc;
	max = yyjson_arr_size(list);
	if (max < 1 || max > SYMBOLS_MAX)
		return refuse(walk, "an enum has 1 to 1024 symbols");
	symbols = arena_alloc(&walk->schema->arena, max * sizeof(*symbols));
	if (!symbols)
		return no_memory(walk);
	leaf->kind = SCHEMA_ENUM;
	leaf->symbols = symbols;
	buf_printf(&walk->canon, "{\"name\":\"%s\",\"type\":\"enum\",\"symbols\":[", full.ptr);
	yyjson_arr_foreach(list, i, max, val) {
		struct slice symbol = json_string(val);

		if (!is_name(symbol, false) || symbol_index(leaf, symbol) >= 0)
			return refuse(walk, "a symbol is malformed or stands twice");
		symbols[i] = arena_copy(&walk->schema->arena, symbol);
		if (!symbols[i].ptr)
			return no_memory(walk);
		leaf->symbol_count++;
		buf_printf(&walk->canon, "%s\"%s\"", i ? "," : "", symbols[i].ptr);
	}
	buf_append_text(&walk->canon, "]}");
	if (fallback) {
		leaf->symbol_fallback = symbol_index(leaf, json_string(fallback));
		if (leaf->symbol_fallback < 0)
			return refuse(walk, "the enum's default is no symbol of it");
	}
	return 0;
}

static int walk_leaf(struct walk *walk, yyjson_val *type, struct slice space,
		     struct schema_field *leaf)
{
	struct slice name = yyjson_is_obj(type) ? json_text(type, "type") : json_string(type);
	int kind = name.len ? primitive_kind(name) : -ENOENT;

	if (kind >= 0) {
		leaf->kind = (enum schema_kind)kind;
		leaf->is_time_us = kind == SCHEMA_LONG &&
			slice_is(json_text(type, "logicalType"), "timestamp-micros");
		buf_printf(&walk->canon, "\"%.*s\"", (int)name.len, name.ptr);
		return 0;
	}
	if (yyjson_is_obj(type) && slice_is(name, "enum"))
		return walk_enum(walk, type, space, leaf);
	if (yyjson_is_arr(type))
		return refuse(walk, "only unions of null and one plain type are supported");
	if (slice_is(name, "record") || slice_is(name, "array") || slice_is(name, "map") ||
	    slice_is(name, "fixed"))
		return refuse(walk, "arrays, maps, fixed and records in unions are not supported");
	return refuse(walk, "unknown type (references to named types are not supported)");
}

/* null and one other, in either order. */
static int walk_union(struct walk *walk, yyjson_val *type, struct slice space,
		      struct schema_field *leaf)
{
	yyjson_val *a = yyjson_arr_get(type, 0), *b = yyjson_arr_get(type, 1);
	bool second = slice_is(json_string(b), "null");
	int rc;

	if (yyjson_arr_size(type) != 2 || second == slice_is(json_string(a), "null"))
		return refuse(walk, "only unions of null and one plain type are supported");
	leaf->nullable = true;
	leaf->null_branch = second;
	buf_append_text(&walk->canon, second ? "[" : "[\"null\",");
	rc = walk_leaf(walk, second ? a : b, space, leaf);
	buf_append_text(&walk->canon, second ? ",\"null\"]" : "]");
	return rc;
}

/* The default of a bytes leaf: each character U+0000..U+00FF is a byte. */
static struct slice latin1(struct walk *walk, struct slice utf8)
{
	char *at = arena_alloc(&walk->schema->arena, utf8.len + 1);
	size_t len = 0;

	for (size_t i = 0; at && i < utf8.len; i++) {
		unsigned char c = (unsigned char)utf8.ptr[i];

		if (c >= 0x80) {
			if (c > 0xc3) /* over U+00FF; yyjson made sure that it is UTF-8 */
				return (struct slice){ NULL, 0 };
			c = (unsigned char)(((c & 3) << 6) | ((unsigned char)utf8.ptr[++i] & 0x3f));
		}
		at[len++] = (char)c;
	}
	return (struct slice){ at, len };
}

static bool take_default(struct walk *walk, yyjson_val *val, struct schema_field *leaf)
{
	leaf->has_default = true;
	if (yyjson_is_null(val))
		return leaf->nullable;
	leaf->fallback.is_set = true;
	switch (leaf->kind) {
	case SCHEMA_BOOLEAN:
		leaf->fallback.num = yyjson_get_bool(val);
		return yyjson_is_bool(val);
	case SCHEMA_INT:
		return json_num(val, &leaf->fallback.num) == 0 &&
		       leaf->fallback.num == (int32_t)leaf->fallback.num;
	case SCHEMA_LONG:
		return json_num(val, &leaf->fallback.num) == 0;
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		return json_real(val, &leaf->fallback.real) == 0;
	case SCHEMA_STRING:
		leaf->fallback.text = arena_copy(&walk->schema->arena, json_string(val));
		return yyjson_is_str(val) && leaf->fallback.text.ptr;
	case SCHEMA_BYTES:
		leaf->fallback.text = latin1(walk, json_string(val));
		return yyjson_is_str(val) && leaf->fallback.text.ptr;
	case SCHEMA_ENUM:
		leaf->fallback.num = symbol_index(leaf, json_string(val));
		return leaf->fallback.num >= 0;
	}
	return false;
}

static int walk_record(struct walk *walk, yyjson_val *type, struct slice space,
		       yyjson_val *fallback, const char **namep);

/* fallback: the field's default, of its own or from the record around it; NULL: none. */
static int walk_type(struct walk *walk, yyjson_val *field, struct slice space, yyjson_val *fallback)
{
	struct schema *schema = walk->schema;
	yyjson_val *type = member(field, "type");
	struct slice doc = json_text(field, "doc");
	struct schema_field leaf = { .symbol_fallback = -1, .doc = "" };
	int rc;

	if (yyjson_is_obj(type) && slice_is(json_text(type, "type"), "record")) {
		if (fallback && !yyjson_is_obj(fallback))
			return refuse(walk, "the default of a record is an object");
		return walk_record(walk, type, space, fallback, NULL);
	}
	if (schema->count == SCHEMA_FIELDS_MAX)
		return refuse(walk, "more than 256 leaves");
	rc = yyjson_is_arr(type) ? walk_union(walk, type, space, &leaf)
				 : walk_leaf(walk, type, space, &leaf);
	if (rc)
		return rc;
	if (fallback && !take_default(walk, fallback, &leaf))
		return refuse(walk, "the default is not of the field's type");
	if (schema_find(schema, walk->path.ptr) >= 0)
		return refuse(walk, "stands twice");
	leaf.name = walk->path.ptr;
	if (doc.len)
		leaf.doc = arena_copy(&schema->arena, doc).ptr;
	if (!leaf.doc)
		return no_memory(walk);
	schema->codes[schema->count] = (struct schema_code){
		.kind = (uint8_t)leaf.kind,
		.nullable = leaf.nullable,
		.branch = { (char)(leaf.null_branch * 2), (char)(!leaf.null_branch * 2) },
	};
	schema->fields[schema->count++] = leaf;
	return 0;
}

static int walk_field(struct walk *walk, yyjson_val *field, struct slice space,
		      yyjson_val *fallbacks)
{
	struct slice name = json_text(field, "name"), outer = walk->path;
	yyjson_val *fallback = NULL;
	int rc;

	if (!is_name(name, false))
		return refuse(walk, "a field's name is missing or malformed");
	if ((rc = join(walk, outer, name, &walk->path)))
		return rc;
	if (walk->path.len > 255)
		return refuse(walk, "names are too long");
	if (fallbacks)
		fallback = member(fallbacks, walk->path.ptr + walk->path.len - name.len);
	if (!fallback)
		fallback = member(field, "default");
	buf_printf(&walk->canon, "{\"name\":\"%.*s\",\"type\":", (int)name.len, name.ptr);
	rc = walk_type(walk, field, space, fallback);
	buf_append_char(&walk->canon, '}');
	if (rc == 0)
		walk->path = outer; /* else kept for the words */
	return rc;
}

static int walk_record(struct walk *walk, yyjson_val *type, struct slice space,
		       yyjson_val *fallbacks, const char **namep)
{
	yyjson_val *fields = member(type, "fields"), *field;
	struct slice full;
	size_t i, max;
	int rc = full_name(walk, type, &space, &full);

	if (rc)
		return rc;
	if (namep)
		*namep = full.ptr;
	if (!yyjson_arr_size(fields))
		return refuse(walk, "a record without fields");
	if (++walk->depth > DEPTH_MAX)
		return refuse(walk, "records nested deeper than 8");
	buf_printf(&walk->canon, "{\"name\":\"%s\",\"type\":\"record\",\"fields\":[", full.ptr);
	yyjson_arr_foreach(fields, i, max, field) {
		if (i)
			buf_append_char(&walk->canon, ',');
		if ((rc = walk_field(walk, field, space, fallbacks)))
			return rc;
	}
	buf_append_text(&walk->canon, "]}");
	walk->depth--;
	return 0;
}

static uint64_t crc64_avro(struct slice bytes)
{
	const uint64_t empty = 0xc15d213aa4d7a795u;
	uint64_t crc = empty;

	for (size_t i = 0; i < bytes.len; i++) {
		crc ^= (unsigned char)bytes.ptr[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (empty & -(crc & 1));
	}
	return crc;
}

/* The second opinion. Our walk comes first, so that avro-c sees no text that is deep, long or
 * strange. */
static int check_with_avro_c(struct slice text, struct err *err)
{
	avro_schema_t parsed;

	if (avro_schema_from_json_length(text.ptr, text.len, &parsed))
		return err_set(err, -EBADMSG, "schema: %s", avro_strerror());
	avro_schema_decref(parsed);
	return 0;
}

static int parse(struct schema *schema, struct json_reader *json, struct slice text,
		 struct err *err)
{
	struct walk walk = { .schema = schema, .err = err, .canon.limit = 4 * TEXT_MAX };
	yyjson_val *root;
	int rc;

	schema->fields = arena_alloc(&schema->arena, SCHEMA_FIELDS_MAX * sizeof(*schema->fields));
	schema->text = arena_copy(&schema->arena, text);
	if (!schema->fields || !schema->text.ptr)
		return err_set(err, -ENOMEM, "schema: no memory");
	if ((rc = json_parse(json, text, &root, err)))
		return rc;
	if (!yyjson_is_obj(root) || !slice_is(json_text(root, "type"), "record"))
		return err_set(err, -EBADMSG, "schema: not a record");
	rc = walk_record(&walk, root, (struct slice){ NULL, 0 }, NULL, &schema->name);
	if (rc == 0 && walk.canon.failed)
		rc = err_set(err, -ENOMEM, "schema: no memory");
	if (rc == 0)
		rc = check_with_avro_c(text, err);
	schema->fingerprint = crc64_avro(buf_slice(&walk.canon));
	buf_close(&walk.canon);
	return rc;
}

int schema_parse(struct schema **schemap, struct slice text, struct err *err)
{
	struct json_reader *json = NULL;
	struct schema *schema;
	int rc;

	if (text.len > TEXT_MAX)
		return err_set(err, -EBADMSG, "schema: text over 1 MiB");
	schema = calloc(1, sizeof(*schema));
	if (!schema)
		return err_set(err, -ENOMEM, "schema: no memory");
	rc = json_open(&json, err);
	if (rc == 0)
		rc = parse(schema, json, text, err);
	json_close(json);
	if (rc) {
		schema_close(schema);
		return rc;
	}
	*schemap = schema;
	return 0;
}

void schema_close(struct schema *schema)
{
	if (!schema)
		return;
	arena_close(&schema->arena);
	free(schema);
}

const char *schema_name(const struct schema *schema)
{
	return schema->name;
}

struct slice schema_text(const struct schema *schema)
{
	return schema->text;
}

int schema_field_count(const struct schema *schema)
{
	return schema->count;
}

const struct schema_field *schema_field_at(const struct schema *schema, int index)
{
	assert(index >= 0 && index < schema->count);
	return &schema->fields[index];
}

const struct schema_code *schema_codes(const struct schema *schema)
{
	return schema->codes;
}

int schema_find(const struct schema *schema, const char *name)
{
	for (int i = 0; i < schema->count; i++)
		if (strcmp(schema->fields[i].name, name) == 0)
			return i;
	return -ENOENT;
}

uint64_t schema_fingerprint(const struct schema *schema)
{
	return schema->fingerprint;
}
