// SPDX-License-Identifier: Apache-2.0
/*
 * Any tracking plan, and any value against any JSON Schema: the first line is the plan or schema,
 * the rest the value. Nothing may crash, hang or read beyond.
 */
#include <stdint.h>
#include <stdlib.h>

#include "enrich/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void found(void *ctx, const struct schema_place *place, const char *rule)
{
	(void)place;
	(void)rule;
	++*(size_t *)ctx;
}

static void check(struct slice text, struct slice value_text)
{
	struct json_schema *schema = NULL;
	struct json_reader *reader = NULL;
	struct schema_node *node;
	size_t told = 0;
	const struct schema_report report = { .found = found, .ctx = &told };
	yyjson_val *value;

	if (json_open(&reader, NULL) < 0)
		abort();
	if (json_schema_open(&schema, text, NULL) == 0 &&
	    json_schema_compile(schema, json_schema_root(schema), &node, NULL) == 0 &&
	    json_parse(reader, value_text, &value, NULL) == 0) {
		json_schema_declare(node);
		if (!json_schema_check(schema, node, value, &report) && told == 0)
			abort();
	}
	json_schema_close(schema);
	json_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = { (const char *)data, size };
	const char *end = memchr(all.ptr ? all.ptr : "", '\n', size);
	struct slice first = { all.ptr, end ? (size_t)(end - all.ptr) : size };
	struct plan *plan = NULL;

	if (size == 0)
		return 0;
	if (plan_open(&plan, first, "fuzz", NULL) == 0)
		plan_close(plan);
	check(first, slice_skip(all, first.len + 1));
	return 0;
}
