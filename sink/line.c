// SPDX-License-Identifier: Apache-2.0
#include "sink/line.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "lib/when.h"

#define DEPTH_MAX 8

enum leaf_kind {
	LEAF_TEXT, LEAF_JSON, LEAF_BYTES, LEAF_TIME, LEAF_NUM, LEAF_BOOLEAN, LEAF_REAL, LEAF_ENUM,
};

struct leaf {
	enum leaf_kind kind;
	const struct schema_field *field;
	struct slice path;              /* "geo." of "geo.country"; into the field's name */
	struct slice name;              /* "country" */
	int depth;                      /* dots in path */
	struct slice null;              /* `,"country":null`; owned */
};

struct line {
	struct json_reader *json;
	bool nulls;
	int count;
	struct leaf leaves[];
};

static enum leaf_kind kind_of(const struct schema_field *field)
{
	static const char *const json_names[] = { "properties", "traits", "context",
						  "integrations", "violations", "body" };

	switch (field->kind) {
	case SCHEMA_BOOLEAN:
		return LEAF_BOOLEAN;
	case SCHEMA_INT:
	case SCHEMA_LONG:
		return field->is_time_us ? LEAF_TIME : LEAF_NUM;
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		return LEAF_REAL;
	case SCHEMA_BYTES:
		return LEAF_BYTES;
	case SCHEMA_ENUM:
		return LEAF_ENUM;
	case SCHEMA_STRING:
		break;
	}
	for (size_t i = 0; i < sizeof(json_names) / sizeof(json_names[0]); i++)
		if (strcmp(field->name, json_names[i]) == 0)
			return LEAF_JSON;
	return LEAF_TEXT;
}

static int leaf_init(struct leaf *leaf, const struct schema_field *field)
{
	char *null = NULL;

	const char *dot = strrchr(field->name, '.');
	size_t path = dot ? (size_t)(dot + 1 - field->name) : 0;

	*leaf = (struct leaf){ .kind = kind_of(field), .field = field,
			       .path = { field->name, path },
			       .name = slice_from(field->name + path) };
	for (size_t i = 0; i < path; i++)
		leaf->depth += field->name[i] == '.';
	assert(leaf->depth <= DEPTH_MAX);
	if (asprintf(&null, ",\"%s\":null", leaf->name.ptr) < 0)
		return -ENOMEM;
	leaf->null = slice_from(null);
	return 0;
}

int line_open(struct line **linep, const struct schema *schema, bool nulls, struct err *err)
{
	int count = schema_field_count(schema);
	struct line *line = calloc(1, sizeof(*line) + (size_t)count * sizeof(line->leaves[0]));
	int rc = 0;

	*linep = NULL;
	if (!line)
		return err_set(err, -ENOMEM, "no memory");
	line->nulls = nulls;
	line->count = count;
	for (int i = 0; i < count && rc == 0; i++)
		rc = leaf_init(&line->leaves[i], schema_field_at(schema, i));
	if (rc == 0)
		rc = json_open(&line->json, err);
	if (rc < 0) {
		line_close(line);
		return err_set(err, rc, "no memory");
	}
	*linep = line;
	return 0;
}

void line_close(struct line *line)
{
	if (!line)
		return;
	for (int i = 0; i < line->count; i++)
		free((void *)(uintptr_t)line->leaves[i].null.ptr);
	json_close(line->json);
	free(line);
}

/* A comma unless this is an object's first member, and the member's name. Names are of an Avro
 * schema: letters, digits and underscores, nothing to escape. */
static void put_name(struct buf *out, struct slice name, const char *suffix)
{
	if (out->len && out->ptr[out->len - 1] != '{')
		buf_append_char(out, ',');
	buf_append_char(out, '"');
	buf_append_slice(out, name);
	buf_append_text(out, suffix);
	buf_append(out, "\":", 2);
}

/* The same from the leaf's prepared text, in one append: half of a line with nulls is names. */
static void put_leaf_name(struct buf *out, const struct leaf *leaf, bool is_null)
{
	bool is_first = out->len && out->ptr[out->len - 1] == '{';
	size_t len = leaf->null.len - (is_null ? 0 : 4);

	buf_append(out, leaf->null.ptr + is_first, len - is_first);
}

static void put_real(struct buf *out, double real)
{
	char text[32];

	if (!isfinite(real)) {
		buf_append_text(out, "null");
		return;
	}
	/* 15 digits are enough for most and read as they were written; else 17 always are. */
	snprintf(text, sizeof(text), "%.15g", real);
	if (strtod(text, NULL) != real)
		snprintf(text, sizeof(text), "%.17g", real);
	buf_append_text(out, text);
}

static void put_num(struct buf *out, int64_t num)
{
	char text[24], *at = text + sizeof(text);
	uint64_t rest = num < 0 ? 0 - (uint64_t)num : (uint64_t)num;

	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (num < 0)
		*--at = '-';
	buf_append(out, at, (size_t)(text + sizeof(text) - at));
}

static void put_time(struct buf *out, int64_t us)
{
	char text[WHEN_TEXT_MAX];
	size_t len = when_print(us, 3, text);

	buf_append_char(out, '"');
	buf_append(out, text, len);
	buf_append_char(out, '"');
}

/* JSON text was validated by the stage that wrote it; but a line must be valid whatever came, so
 * it is parsed again (yyjson: about 1 GB/s) and copied as it is. A line break between tokens is
 * valid JSON and would end the line: then it is written anew. */
static void put_json(struct line *line, struct slice text, struct buf *out)
{
	yyjson_val *root;

	if (json_parse(line->json, text, &root, NULL) < 0)
		json_write_text(text, out);
	else if (memchr(text.ptr, '\n', text.len) || memchr(text.ptr, '\r', text.len))
		json_write(root, out);
	else
		buf_append_slice(out, text);
}

static void put_base64(struct slice bytes, struct buf *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *at = buf_reserve(out, (bytes.len + 2) / 3 * 4 + 2);
	char *begin = at;

	if (!at)
		return;
	*at++ = '"';
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t n = bytes.len - i;
		uint32_t b = (uint32_t)(unsigned char)bytes.ptr[i] << 16;

		if (n > 1)
			b |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
		if (n > 2)
			b |= (unsigned char)bytes.ptr[i + 2];
		*at++ = digits[b >> 18];
		*at++ = digits[b >> 12 & 63];
		*at++ = n > 1 ? digits[b >> 6 & 63] : '=';
		*at++ = n > 2 ? digits[b & 63] : '=';
	}
	*at++ = '"';
	out->len += (size_t)(at - begin);
}

/* Whether json_write_text keeps every byte (it would put U+FFFD for what is not UTF-8). */
static bool is_utf8(struct slice bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.ptr, *end = at + bytes.len;

	while (at < end) {
		uint32_t c = *at++;
		int more = c < 0x80 ? 0 : c < 0xc2 ? -1 : c < 0xe0 ? 1 : c < 0xf0 ? 2 :
			   c < 0xf5 ? 3 : -1;

		if (more < 0 || end - at < more)
			return false;
		c &= more ? 0x3fu >> more : 0x7f;
		for (int i = 0; i < more; i++, at++) {
			if ((*at & 0xc0) != 0x80)
				return false;
			c = c << 6 | (*at & 0x3f);
		}
		if ((more == 2 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
		    (more == 3 && (c < 0x10000 || c > 0x10ffff)))
			return false;
	}
	return true;
}

static void put_bytes(struct line *line, const struct leaf *leaf, struct slice bytes,
		      struct buf *out)
{
	bool text = is_utf8(bytes);

	if (text || line->nulls) {
		put_name(out, leaf->name, "");
		if (text)
			json_write_text(bytes, out);
		else
			buf_append_text(out, "null");
	}
	if (!text || line->nulls) {
		put_name(out, leaf->name, "_base64");
		if (!text)
			put_base64(bytes, out);
		else
			buf_append_text(out, "null");
	}
}

static void put_value(struct line *line, const struct leaf *leaf, const struct value *value,
		      struct buf *out)
{
	if (leaf->kind == LEAF_BYTES && value->is_set) {
		put_bytes(line, leaf, value->text, out);
		return;
	}
	put_leaf_name(out, leaf, !value->is_set);
	if (!value->is_set) {
		if (leaf->kind == LEAF_BYTES) {
			put_name(out, leaf->name, "_base64");
			buf_append(out, "null", 4);
		}
		return;
	}
	switch (leaf->kind) {
	case LEAF_TEXT:
	case LEAF_BYTES:
		json_write_text(value->text, out);
		break;
	case LEAF_JSON:
		put_json(line, value->text, out);
		break;
	case LEAF_TIME:
		put_time(out, value->num);
		break;
	case LEAF_NUM:
		put_num(out, value->num);
		break;
	case LEAF_BOOLEAN:
		buf_append_text(out, value->num ? "true" : "false");
		break;
	case LEAF_REAL:
		put_real(out, value->real);
		break;
	case LEAF_ENUM:
		assert(value->num >= 0 && value->num < leaf->field->symbol_count);
		json_write_text(leaf->field->symbols[value->num], out);
		break;
	}
}

/* Closes and opens objects so that a leaf in `to` may follow one in `from`. */
static void change_path(struct slice from, int from_depth, struct slice to, struct buf *out)
{
	size_t same = 0;
	int depth = 0;

	for (size_t i = 0; i < from.len && i < to.len && from.ptr[i] == to.ptr[i]; i++) {
		if (from.ptr[i] == '.') {
			same = i + 1;
			depth++;
		}
	}
	for (; depth < from_depth; depth++)
		buf_append_char(out, '}');
	while (same < to.len) {
		size_t dot = same;

		while (to.ptr[dot] != '.')
			dot++;
		put_name(out, (struct slice){ to.ptr + same, dot - same }, "");
		buf_append_char(out, '{');
		same = dot + 1;
	}
}

int line_print(struct line *line, const struct value *fields, struct buf *out)
{
	struct slice path = { "", 0 };
	int depth = 0;

	buf_append_char(out, '{');
	for (int i = 0; i < line->count; i++) {
		const struct leaf *leaf = &line->leaves[i];

		if (!fields[i].is_set && !line->nulls)
			continue;
		if (leaf->path.ptr != path.ptr && !slice_eq(leaf->path, path)) {
			change_path(path, depth, leaf->path, out);
			depth = leaf->depth;
			path = leaf->path;
		}
		put_value(line, leaf, &fields[i], out);
	}
	for (; depth > 0; depth--)
		buf_append_char(out, '}');
	buf_append(out, "}\n", 2);
	return out->failed ? -ENOSPC : 0;
}
