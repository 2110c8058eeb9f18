// SPDX-License-Identifier: Apache-2.0
#include "report/asset_own.h"

#define LIST "build/web/assets.inc"      /* made by report/pack */

#define ASSET(name, symbol, type) \
	__asm__(".section .rodata\n" \
		".global web_" #symbol "\n.global web_" #symbol "_end\n" \
		"web_" #symbol ":\n.incbin \"build/web/" name ".gz\"\n" \
		"web_" #symbol "_end:\n.previous\n"); \
	extern const char web_##symbol[], web_##symbol##_end[];
#include LIST
#undef ASSET

#define ASSET(name, symbol, type) { name, type, web_##symbol, web_##symbol##_end },
const struct asset_own asset_own[] = {
#include LIST
};
#undef ASSET

const size_t asset_own_count = sizeof(asset_own) / sizeof(asset_own[0]);
