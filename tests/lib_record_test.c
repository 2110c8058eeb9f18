// SPDX-License-Identifier: Apache-2.0
#include "lib/record.h"

#include "tests/tap.h"

struct row {
	int index;
	const char *name;
};

static void check(struct tap *tap, const char *topic, const struct row *rows, int count)
{
	struct schema *schema = record_schema(topic);
	bool agree = true, documented = true;

	OK(tap, schema_field_count(schema) == count, "%s: list and .avsc are equally long", topic);
	for (int i = 0; i < count; i++) {
		const struct schema_field *field = schema_field_at(schema, i);

		agree = agree && rows[i].index == i && strcmp(field->name, rows[i].name) == 0;
		documented = documented && field->doc[0];
	}
	OK(tap, agree, "%s: same names in the same order", topic);
	OK(tap, documented, "%s: every field has a doc", topic);
	schema_close(schema);
}

#define ROW_COLLECTED(suffix, name) { COLLECTED_##suffix, name },
#define ROW_ENRICHED(suffix, name) { ENRICHED_##suffix, name },
#define ROW_BAD(suffix, name) { BAD_##suffix, name },
#define ROW_COUNTED(suffix, name) { COUNTED_##suffix, name },
#define ROW_MEMBERS(suffix, name) { MEMBERS_##suffix, name },
#define ROW_FUNNELS(suffix, name) { FUNNELS_##suffix, name },
#define ROW_DELETED(suffix, name) { DELETED_##suffix, name },

int main(void)
{
	static const struct row collected[] = { COLLECTED_LEAVES(ROW_COLLECTED) };
	static const struct row enriched[] = { ENRICHED_LEAVES(ROW_ENRICHED) };
	static const struct row bad[] = { BAD_LEAVES(ROW_BAD) };
	static const struct row counted[] = { COUNTED_LEAVES(ROW_COUNTED) };
	static const struct row members[] = { MEMBERS_LEAVES(ROW_MEMBERS) };
	static const struct row funnels[] = { FUNNELS_LEAVES(ROW_FUNNELS) };
	static const struct row deleted[] = { DELETED_LEAVES(ROW_DELETED) };
	struct tap tap = { 0 };

	check(&tap, "collected", collected, COLLECTED_COUNT);
	check(&tap, "enriched", enriched, ENRICHED_COUNT);
	check(&tap, "bad", bad, BAD_COUNT);
	check(&tap, "counted", counted, COUNTED_COUNT);
	check(&tap, "members", members, MEMBERS_COUNT);
	check(&tap, "funnels", funnels, FUNNELS_COUNT);
	check(&tap, "deleted", deleted, DELETED_COUNT);
	return tap_end(&tap);
}
