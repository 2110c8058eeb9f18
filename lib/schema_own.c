// SPDX-License-Identifier: Apache-2.0
#include "lib/schema.h"

#include <assert.h>
#include <errno.h>

/* The texts are put into the program by the assembler; the Makefile compiles from the root. */
#define EMBED(name, path) \
	__asm__(".pushsection .rodata\n" \
		".hidden schema_own_" #name ", schema_own_" #name "_end\n" \
		".globl schema_own_" #name ", schema_own_" #name "_end\n" \
		"schema_own_" #name ":\n" \
		".incbin \"schemas/" path ".avsc\"\n" \
		"schema_own_" #name "_end:\n" \
		".byte 0\n" \
		".popsection\n"); \
	extern const char schema_own_##name[] __attribute__((visibility("hidden"))); \
	extern const char schema_own_##name##_end[] __attribute__((visibility("hidden")))

EMBED(collected, "collected");
EMBED(enriched, "enriched");
EMBED(bad, "bad");
EMBED(counted, "counted");
EMBED(members, "members");
EMBED(funnels, "funnels");
EMBED(deleted, "deleted");
/* Every version that was ever on main, the newest too: tests/lib_schema_test.c compares with the
 * directory. */
EMBED(collected_1, "history/collected-1");
EMBED(collected_2, "history/collected-2");
EMBED(enriched_1, "history/enriched-1");
EMBED(enriched_2, "history/enriched-2");
EMBED(bad_1, "history/bad-1");
EMBED(bad_2, "history/bad-2");
EMBED(counted_1, "history/counted-1");
EMBED(members_1, "history/members-1");
EMBED(funnels_1, "history/funnels-1");
EMBED(deleted_1, "history/deleted-1");

struct schema *schema_own(const char *name)
{
	const struct {
		const char *name;
		const char *text;
		const char *end;
	} own[] = {
		{ "collected", schema_own_collected, schema_own_collected_end },
		{ "enriched", schema_own_enriched, schema_own_enriched_end },
		{ "bad", schema_own_bad, schema_own_bad_end },
		{ "counted", schema_own_counted, schema_own_counted_end },
		{ "members", schema_own_members, schema_own_members_end },
		{ "funnels", schema_own_funnels, schema_own_funnels_end },
		{ "deleted", schema_own_deleted, schema_own_deleted_end },
	};
	struct schema *schema = NULL;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		struct slice text = { own[i].text, (size_t)(own[i].end - own[i].text) };

		if (strcmp(own[i].name, name) != 0)
			continue;
		if (schema_parse(&schema, text, NULL) != 0)
			schema = NULL;
	}
	assert(schema);
	return schema;
}

#define OLD(topic, version) \
	{ topic, { schema_own_##version, (size_t)(schema_own_##version##_end - \
						  schema_own_##version) } }

/* By the record's name; the text is parsed only where the topic may be meant. */
int schema_old(const char *name, int index, struct schema **schemap)
{
	const struct {
		const char *name;
		struct slice text;
	} old[] = {
		OLD("millrace.Collected", collected_1), OLD("millrace.Collected", collected_2),
		OLD("millrace.Enriched", enriched_1), OLD("millrace.Enriched", enriched_2),
		OLD("millrace.Bad", bad_1), OLD("millrace.Bad", bad_2),
		OLD("millrace.Counted", counted_1),
		OLD("millrace.Member", members_1), OLD("millrace.Funnel", funnels_1),
		OLD("millrace.Deleted", deleted_1),
	};

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		if (strcmp(old[i].name, name) == 0 && index-- == 0)
			return schema_parse(schemap, old[i].text, NULL);
	return -ENOENT;
}
