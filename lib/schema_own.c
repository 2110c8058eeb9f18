// SPDX-License-Identifier: Apache-2.0
#include "lib/schema.h"

#include <assert.h>

/* The texts are put into the program by the assembler; the Makefile compiles from the root. */
#define EMBED(name) \
	__asm__(".pushsection .rodata\n" \
		".hidden schema_own_" #name ", schema_own_" #name "_end\n" \
		".globl schema_own_" #name ", schema_own_" #name "_end\n" \
		"schema_own_" #name ":\n" \
		".incbin \"schemas/" #name ".avsc\"\n" \
		"schema_own_" #name "_end:\n" \
		".byte 0\n" \
		".popsection\n"); \
	extern const char schema_own_##name[] __attribute__((visibility("hidden"))); \
	extern const char schema_own_##name##_end[] __attribute__((visibility("hidden")))

EMBED(collected);
EMBED(enriched);
EMBED(bad);
EMBED(counted);

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
