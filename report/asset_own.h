/* asset_own - the bytes that report/pack gathered, linked into the program
 *
 * build/web/assets.inc has one ASSET(name, symbol, type) line per file; asset_own.c includes it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_ASSET_OWN_H
#define REPORT_ASSET_OWN_H

#include <stddef.h>

struct asset_own {
	const char *name;               /* "app.js" */
	const char *type;               /* of Content-Type */
	const char *begin, *end;        /* gzip */
};

extern const struct asset_own asset_own[];
extern const size_t asset_own_count;

#endif
