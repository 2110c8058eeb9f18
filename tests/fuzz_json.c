// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdlib.h>

#include "lib/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void convert(yyjson_val *val)
{
	int64_t num;
	double real;

	if (json_num(val, &num) == 0)
		assert(json_is_num(val) && json_real(val, &real) == 0);
}

/* What was parsed is written, and parses to the same again; any bytes become a string. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	struct buf first = { 0 }, second = { 0 }, clean = { 0 };
	struct json_reader *json = NULL;
	struct err err = { "" };
	yyjson_val *root;

	if (json_open(&json, &err))
		return 0;
	if (json_parse(json, text, &root, &err) == 0) {
		convert(root);
		convert(json_get(root, "a"));
		json_write(root, &first);
		assert(json_parse(json, buf_slice(&first), &root, &err) == 0);
		json_write(root, &second);
		assert(slice_eq(buf_slice(&first), buf_slice(&second)));
	} else {
		assert(err.text[0]);
	}
	buf_reset(&first);
	json_write_text(text, &first);
	json_clean_utf8(text, &clean);
	assert(json_parse(json, buf_slice(&first), &root, NULL) == 0);
	assert(slice_eq(json_string(root), buf_slice(&clean)));
	buf_close(&first);
	buf_close(&second);
	buf_close(&clean);
	json_close(json);
	return 0;
}
