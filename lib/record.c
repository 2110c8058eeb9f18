// SPDX-License-Identifier: Apache-2.0
#include "lib/record.h"

#include <assert.h>

#define RECORD_NAME(suffix, name) name,

static void check_leaves(const struct schema *schema, const char *const *names, int count)
{
	assert(schema_field_count(schema) == count);
	for (int i = 0; i < count; i++)
		assert(schema_find(schema, names[i]) == i);
}

struct schema *record_schema(const char *name)
{
	static const char *const collected[] = { COLLECTED_LEAVES(RECORD_NAME) };
	static const char *const enriched[] = { ENRICHED_LEAVES(RECORD_NAME) };
	static const char *const bad[] = { BAD_LEAVES(RECORD_NAME) };
	static const char *const counted[] = { COUNTED_LEAVES(RECORD_NAME) };
	static const char *const members[] = { MEMBERS_LEAVES(RECORD_NAME) };
	static const char *const funnels[] = { FUNNELS_LEAVES(RECORD_NAME) };
	static const char *const deleted[] = { DELETED_LEAVES(RECORD_NAME) };
	struct schema *schema = schema_own(name);

	if (slice_is(SLICE("collected"), name))
		check_leaves(schema, collected, COLLECTED_COUNT);
	else if (slice_is(SLICE("enriched"), name))
		check_leaves(schema, enriched, ENRICHED_COUNT);
	else if (slice_is(SLICE("bad"), name))
		check_leaves(schema, bad, BAD_COUNT);
	else if (slice_is(SLICE("counted"), name))
		check_leaves(schema, counted, COUNTED_COUNT);
	else if (slice_is(SLICE("members"), name))
		check_leaves(schema, members, MEMBERS_COUNT);
	else if (slice_is(SLICE("funnels"), name))
		check_leaves(schema, funnels, FUNNELS_COUNT);
	else if (slice_is(SLICE("deleted"), name))
		check_leaves(schema, deleted, DELETED_COUNT);
	return schema;
}
