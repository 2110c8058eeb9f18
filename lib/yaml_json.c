// SPDX-License-Identifier: Apache-2.0
#include "lib/yaml_json.h"

#include <ctype.h>

static bool is_word(struct slice text, const char *const *words)
{
	for (; *words; words++)
		if (slice_is(text, *words))
			return true;
	return false;
}

static const char *const NULLS[] = { "", "~", "null", "Null", "NULL", NULL };
static const char *const TRUES[] = { "true", "True", "TRUE", NULL };
static const char *const FALSES[] = { "false", "False", "FALSE", NULL };

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)? */
static bool is_json_number(const char *s)
{
	s += *s == '-';
	if (*s == '0')
		s++;
	else if (!isdigit((unsigned char)*s))
		return false;
	else
		while (isdigit((unsigned char)*s))
			s++;
	if (*s == '.') {
		if (!isdigit((unsigned char)*++s))
			return false;
		while (isdigit((unsigned char)*s))
			s++;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!isdigit((unsigned char)*s))
			return false;
		while (isdigit((unsigned char)*s))
			s++;
	}
	return *s == '\0';
}

static void write_scalar(const struct yaml *node, struct buf *out)
{
	struct slice text = slice_from(node->text);

	if (node->is_quoted)
		json_write_text(text, out);
	else if (is_word(text, NULLS))
		buf_append_text(out, "null");
	else if (is_word(text, TRUES))
		buf_append_text(out, "true");
	else if (is_word(text, FALSES))
		buf_append_text(out, "false");
	else if (is_json_number(node->text))
		buf_append_slice(out, text);
	else
		json_write_text(text, out);
}

/* Depth is bounded by yaml.h. */
void yaml_write_json(const struct yaml *node, struct buf *out)
{
	bool is_map = node && node->kind == YAML_KIND_MAP;

	if (!node) {
		buf_append_text(out, "null");
		return;
	}
	if (node->kind == YAML_KIND_SCALAR) {
		write_scalar(node, out);
		return;
	}
	buf_append_char(out, is_map ? '{' : '[');
	for (const struct yaml *child = node->first; child; child = child->next) {
		if (child != node->first)
			buf_append_char(out, ',');
		if (is_map) {
			json_write_text(slice_from(child->key), out);
			buf_append_char(out, ':');
		}
		yaml_write_json(child, out);
	}
	buf_append_char(out, is_map ? '}' : ']');
}

/* May this text stand without quotes? Letters, digits and a few signs, beginning with a letter or
 * '$', and no word or number that would be read as another type. */
static bool is_plain(struct slice text)
{
	static const char *const WORDS[] = { "yes", "no", "on", "off", "y", "n", "Yes", "No", "On",
					     "Off", "YES", "NO", "ON", "OFF", "Y", "N", NULL };
	bool space = false;

	if (text.len == 0 || text.len > 200 || is_word(text, NULLS) || is_word(text, TRUES) ||
	    is_word(text, FALSES) || is_word(text, WORDS))
		return false;
	if (!isalpha((unsigned char)text.ptr[0]) && text.ptr[0] != '$')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == ' ' && !space && i + 1 < text.len) {
			space = true;
			continue;
		}
		space = false;
		if (!isalnum((unsigned char)c) && !strchr("_-.$/@+", c))
			return false;
	}
	return true;
}

static void write_text(struct slice text, struct buf *out)
{
	/* A JSON string is a YAML double-quoted one. */
	if (is_plain(text))
		buf_append_slice(out, text);
	else
		json_write_text(text, out);
}

static bool is_container(yyjson_val *value)
{
	return (yyjson_is_obj(value) || yyjson_is_arr(value)) && unsafe_yyjson_get_len(value) > 0;
}

static void indent(int depth, struct buf *out)
{
	for (int i = 0; i < depth; i++)
		buf_append_text(out, "  ");
}

/* first: the cursor stands behind "- " already, where the first line needs no indent. */
static void write_value(yyjson_val *value, int depth, bool first, struct buf *out)
{
	yyjson_val *key, *child;
	size_t i, n;

	if (yyjson_is_obj(value) && is_container(value)) {
		yyjson_obj_foreach(value, i, n, key, child) {
			if (!first || i > 0)
				indent(depth, out);
			write_text(json_string(key), out);
			buf_append_char(out, ':');
			buf_append_char(out, is_container(child) ? '\n' : ' ');
			write_value(child, yyjson_is_arr(child) ? depth : depth + 1, false, out);
		}
	} else if (yyjson_is_arr(value) && is_container(value)) {
		yyjson_arr_foreach(value, i, n, child) {
			if (!first || i > 0)
				indent(depth, out);
			buf_append_text(out, "- ");
			write_value(child, depth + 1, true, out);
		}
	} else {
		if (yyjson_is_str(value))
			write_text(json_string(value), out);
		else
			json_write(value, out);
		buf_append_char(out, '\n');
	}
}

void json_write_yaml(yyjson_val *value, struct buf *out)
{
	write_value(value, 0, false, out);
}
