// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdlib.h>

#include "lib/datum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char every_kind[] =
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":["
	"{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"i\",\"type\":\"int\"},"
	"{\"name\":\"l\",\"type\":[\"long\",\"null\"]},{\"name\":\"f\",\"type\":\"float\"},"
	"{\"name\":\"d\",\"type\":[\"null\",\"double\"]},{\"name\":\"s\",\"type\":\"string\"},"
	"{\"name\":\"y\",\"type\":[\"null\",\"bytes\"]},{\"name\":\"e\",\"type\":"
	"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}}]}";

/* Bytes under one schema: within bounds, and a record that comes out goes in and out again. */
static void check(const struct schema *schema, struct slice bytes)
{
	struct value fields[SCHEMA_FIELDS_MAX];
	struct datum_reader *reader = NULL;
	struct buf out = { 0 }, again = { 0 };
	uint64_t sum = 0;
	ssize_t n;

	if (datum_reader_open(&reader, schema, schema, NULL))
		return;
	n = datum_decode(reader, bytes, fields);
	assert(n <= (ssize_t)bytes.len);
	if (n >= 0) {
		for (int i = 0; i < schema_field_count(schema); i++) {
			enum schema_kind kind = schema_field_at(schema, i)->kind;

			if (fields[i].is_set && (kind == SCHEMA_STRING || kind == SCHEMA_BYTES))
				for (size_t k = 0; k < fields[i].text.len; k++)
					sum += (unsigned char)fields[i].text.ptr[k];
		}
		assert(sum < UINT64_MAX);
		assert(datum_encode(schema, fields, &out) == 0 && (ssize_t)out.len <= n);
		assert(datum_decode(reader, buf_slice(&out), fields) == (ssize_t)out.len);
		assert(datum_encode(schema, fields, &again) == 0);
		assert(slice_eq(buf_slice(&out), buf_slice(&again)));
	}
	buf_close(&out);
	buf_close(&again);
	datum_reader_close(reader);
}

/* First byte: what the rest is. 0: a datum of the writer's every_kind; 1: one of enriched;
 * 2: a schema's text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data + 1, size - 1 };
	struct schema *schema = NULL;
	struct err err = { "" };

	if (size == 0)
		return 0;
	if (data[0] % 3 == 0 && schema_parse(&schema, slice_from(every_kind), NULL))
		return 0;
	if (data[0] % 3 == 1)
		schema = schema_own("enriched");
	if (schema) {
		check(schema, rest);
	} else if (schema_parse(&schema, rest, &err) == 0) {
		assert(schema_field_count(schema) > 0);
		check(schema, rest);
	} else {
		assert(err.text[0]);
		schema = NULL;
	}
	schema_close(schema);
	return 0;
}
