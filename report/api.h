/* api - the routes of the dashboard
 *
 *      GET  /, /funnels, /app.js ..    asset.h
 *      GET  /api/me                    {"role","name","csrf","login","collect","live","dbip"}
 *      POST /api/login, /api/logout    access.h
 *      POST /api/v1/query/KIND         gateway.h: aggregate's questions, also GET /api/v1/status
 *      POST /api/v1/delete             the same, for editors
 *      GET  /api/live                  live.h
 *      GET, PUT, DELETE /api/files/..  files.h; writing is for editors
 *      /api/kinds, destinations, sources, audit, trace ..      ops.h
 *
 * Every answer carries the security headers: a strict policy (own scripts and styles only), no
 * framing, no sniffing, no referrer.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_API_H
#define REPORT_API_H

#include "lib/json.h"
#include "report/access.h"
#include "report/asset.h"
#include "report/files.h"
#include "report/gateway.h"
#include "report/live.h"
#include "report/ops.h"
#include "report/options.h"

extern const char api_headers[];

/* All borrowed. */
struct api {
	const struct report_conf *conf;
	struct access *access;
	struct assets *assets;
	struct files *files;
	struct gateway *gateway;
	struct ops *ops;
	struct live *live;              /* NULL: no topic is known */
	struct json_reader *json;
};

void api_request(void *ctx, struct http_request *request);      /* ctx: struct api */
void api_gone(void *ctx, struct http_request *request);

#endif
