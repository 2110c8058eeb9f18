/* tool_datum - datums to JSON lines and back, for tests/lib_datum.t
 *
 *      tool_datum fingerprint SCHEMA        full name and fingerprint as 16 digits
 *      tool_datum decode WRITER READER      stdin: datums, one after the other
 *      tool_datum encode SCHEMA             stdin: JSON lines
 *
 * A line is an object of leaves by dotted name: numbers as such, real numbers as the 16 hexadecimal
 * digits of their bits, text as JSON text, bytes as hexadecimal digits, null.
 */
// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/datum.h"
#include "lib/json.h"

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "tool_datum: %s: %s\n", what, err->text);
	exit(65);
}

static void read_all(FILE *from, struct buf *out)
{
	size_t n;

	do {
		char *at = buf_reserve(out, 65536);

		n = at ? fread(at, 1, 65536, from) : 0;
		out->len += n;
	} while (n);
}

static struct schema *open_schema(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct schema *schema = NULL;
	struct err err = { "cannot be read" };
	struct buf text = { 0 };

	if (!file)
		die(path, &err);
	read_all(file, &text);
	fclose(file);
	err.text[0] = '\0';
	if (schema_parse(&schema, buf_slice(&text), &err))
		die(path, &err);
	buf_close(&text);
	return schema;
}

static void print_leaf(const struct schema_field *field, const struct value *value, struct buf *out)
{
	uint64_t bits;

	json_write_text(slice_from(field->name), out);
	buf_append_char(out, ':');
	if (!value->is_set) {
		buf_append_text(out, "null");
		return;
	}
	switch (field->kind) {
	case SCHEMA_STRING:
		json_write_text(value->text, out);
		break;
	case SCHEMA_BYTES:
		buf_append_char(out, '"');
		for (size_t i = 0; i < value->text.len; i++)
			buf_printf(out, "%02x", (unsigned char)value->text.ptr[i]);
		buf_append_char(out, '"');
		break;
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		memcpy(&bits, &value->real, sizeof(bits));
		buf_printf(out, "\"%016" PRIx64 "\"", bits);
		break;
	default:
		buf_printf(out, "%" PRId64, value->num);
	}
}

static void decode(struct schema *writer, struct schema *reader)
{
	struct value fields[SCHEMA_FIELDS_MAX];
	struct datum_reader *datums = NULL;
	struct buf in = { 0 }, out = { 0 };
	struct err err = { "" };
	struct slice rest;

	if (datum_reader_open(&datums, writer, reader, &err))
		die("resolution", &err);
	read_all(stdin, &in);
	for (rest = buf_slice(&in); rest.len; ) {
		ssize_t n = datum_decode(datums, rest, fields);

		if (n < 0)
			die("a datum is broken", &err);
		rest = slice_skip(rest, (size_t)n);
		for (int i = 0; i < schema_field_count(reader); i++) {
			buf_append_char(&out, i ? ',' : '{');
			print_leaf(schema_field_at(reader, i), &fields[i], &out);
		}
		buf_append_text(&out, "}\n");
	}
	fwrite(out.ptr, 1, out.len, stdout);
	datum_reader_close(datums);
	buf_close(&in);
	buf_close(&out);
}

static struct value parse_leaf(const struct schema_field *field, yyjson_val *val, struct buf *bytes)
{
	struct value value = { .is_set = true };
	struct slice text = json_string(val);
	uint64_t bits;

	if (!val)
		return (struct value){ 0 };
	switch (field->kind) {
	case SCHEMA_STRING:
		return value_text(text);
	case SCHEMA_BYTES:
		value.text = (struct slice){ bytes->ptr + bytes->len, text.len / 2 };
		for (size_t i = 0; i + 2 <= text.len; i += 2) {
			char pair[3] = { text.ptr[i], text.ptr[i + 1], '\0' };

			bytes->ptr[bytes->len++] = (char)strtol(pair, NULL, 16);
		}
		return value;
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		bits = strtoull(text.ptr, NULL, 16);
		memcpy(&value.real, &bits, sizeof(bits));
		return value;
	default:
		if (json_num(val, &value.num))
			exit(65);
		return value;
	}
}

static void encode(struct schema *schema)
{
	struct value fields[SCHEMA_FIELDS_MAX];
	struct json_reader *json = NULL;
	struct buf in = { 0 }, out = { 0 }, bytes = { 0 };
	struct err err = { "" };
	struct slice rest;

	if (json_open(&json, &err))
		die("json", &err);
	read_all(stdin, &in);
	for (rest = buf_slice(&in); rest.len; ) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
		yyjson_val *root;

		if (json_parse(json, (struct slice){ rest.ptr, len }, &root, &err))
			die("a line", &err);
		buf_reset(&bytes);
		if (!buf_reserve(&bytes, len))
			exit(70);
		for (int i = 0; i < schema_field_count(schema); i++) {
			const struct schema_field *field = schema_field_at(schema, i);

			fields[i] = parse_leaf(field, json_get(root, field->name), &bytes);
		}
		if (datum_encode(schema, fields, &out))
			exit(70);
		rest = slice_skip(rest, len + 1);
	}
	fwrite(out.ptr, 1, out.len, stdout);
	json_close(json);
	buf_close(&in);
	buf_close(&out);
	buf_close(&bytes);
}

int main(int argc, char **argv)
{
	struct schema *a = argc > 2 ? open_schema(argv[2]) : NULL;
	struct schema *b = argc > 3 ? open_schema(argv[3]) : NULL;

	if (b && strcmp(argv[1], "decode") == 0)
		decode(a, b);
	else if (a && strcmp(argv[1], "encode") == 0)
		encode(a);
	else if (a && strcmp(argv[1], "fingerprint") == 0)
		printf("%s %016" PRIx64 "\n", schema_name(a), schema_fingerprint(a));
	else
		return 64;
	schema_close(a);
	schema_close(b);
	return 0;
}
