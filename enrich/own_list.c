// SPDX-License-Identifier: Apache-2.0
#include "enrich/own_list.h"

/* The Makefile compiles from the root. */
#define EMBED(name) \
	__asm__(".pushsection .rodata\n" \
		".hidden own_list_" #name "_text, own_list_" #name "_end\n" \
		".globl own_list_" #name "_text, own_list_" #name "_end\n" \
		"own_list_" #name "_text:\n" \
		".incbin \"enrich/" #name ".yaml\"\n" \
		"own_list_" #name "_end:\n" \
		".byte 0\n" \
		".popsection\n"); \
	extern const char own_list_##name##_text[] __attribute__((visibility("hidden"))); \
	extern const char own_list_##name##_end[] __attribute__((visibility("hidden")))

EMBED(bots);
EMBED(referrers);

struct slice own_list_bots(void)
{
	return (struct slice){ own_list_bots_text,
			       (size_t)(own_list_bots_end - own_list_bots_text) };
}

struct slice own_list_referrers(void)
{
	return (struct slice){ own_list_referrers_text,
			       (size_t)(own_list_referrers_end - own_list_referrers_text) };
}
