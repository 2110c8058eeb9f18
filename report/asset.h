/* asset - the dashboard's files, compiled in
 *
 *      report/web/ and three libraries of npm --(report/pack)--> build/web/NAME.gz, assets.inc
 *
 * Stored gzipped, as browsers take them; inflated for a client that does not. An asset has a strong
 * ETag, so that a page is whole after an update and costs nothing while there is none.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_ASSET_H
#define REPORT_ASSET_H

#include "lib/httpd.h"

struct assets;

MUST_CHECK int assets_open(struct assets **assetsp, struct err *err);
void assets_close(struct assets *assets);

/* Answers a GET for a path that is an asset ("/" and the pages' own paths give index.html) and
 * returns true; false: there is none, nothing was answered. headers: lines for all answers. */
bool assets_answer(const struct assets *assets, struct http_request *request,
		   const char *headers);

#endif
