// SPDX-License-Identifier: Apache-2.0
#include "report/api.h"

#include <stdio.h>

#include "lib/json.h"

const char api_headers[] =
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
	"connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
	"frame-ancestors 'none'\r\n"
	"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
	"Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n";

static void answer(struct http_request *request, int status, const char *more, struct slice body)
{
	char headers[2048];

	snprintf(headers, sizeof(headers), "%s%sContent-Type: application/json\r\n"
		 "Cache-Control: no-store\r\n", api_headers, more);
	http_answer(request, status, headers, body);
}

static void refuse(struct http_request *request, int status, const char *code, const char *words)
{
	struct buf out = { .limit = 4096 };

	buf_printf(&out, "{\"error\":{\"code\":\"%s\",\"at\":\"\",\"message\":", code);
	json_write_text(slice_from(words), &out);
	buf_append_text(&out, "}}");
	answer(request, status, "", buf_slice(&out));
	buf_close(&out);
}

/* --- who --- */

static void answer_me(struct api *api, struct http_request *request,
		      const struct access_answer *who)
{
	struct buf out = { .limit = 16 << 10 };
	char url[OPS_URL_MAX];

	buf_printf(&out, "{\"role\":\"%s\",\"login\":%s,\"csrf\":\"%s\",\"name\":",
		   who->role == ACCESS_EDITOR ? "editor" :
		   who->role == ACCESS_VIEWER ? "viewer" : "none",
		   api->conf->password_file ? "true" : "false", who->csrf);
	json_write_text(slice_from(who->name), &out);
	buf_append_text(&out, ",\"collect\":");
	json_write_text(slice_from(who->role == ACCESS_NONE ? "" : ops_collect(api->ops, url)),
			&out);
	buf_printf(&out, ",\"live\":%s,\"dbip\":%s}", api->live ? "true" : "false",
		   ops_has_dbip(api->ops) ? "true" : "false");
	answer(request, 200, "", buf_slice(&out));
	buf_close(&out);
}

static void login(struct api *api, struct http_request *request)
{
	yyjson_val *root = NULL;
	struct err err = { "" };
	char headers[512];
	int status;

	if (json_parse(api->json, request->body, &root, &err) < 0) {
		refuse(request, 400, "json", err.text);
		return;
	}
	status = access_login(api->access, request, json_text(root, "name"),
			      json_text(root, "password"), headers);
	if (status == 200)
		answer(request, 200, headers, SLICE("{}"));
	else
		refuse(request, status, "login", status == 429 ?
		       "too many tries: wait a minute" : "name or password is wrong");
}

/* --- files --- */

static void answer_files(struct api *api, struct http_request *request, struct slice path)
{
	struct buf out = { .limit = 16 << 20 };
	int status = files_answer(api->files, request->method, path, request->body, &out);

	answer(request, status, "", buf_slice(&out));
	buf_close(&out);
}

/* --- routes --- */

static bool is_get(const struct http_request *request)
{
	return slice_is(request->method, "GET") || slice_is(request->method, "HEAD");
}

/* What changes something: all but GET, and questions, which are POST for their size only. */
static bool changes(const struct http_request *request, struct slice path)
{
	return !is_get(request) && !slice_starts(path, SLICE("v1/query/"));
}

static void route(struct api *api, struct http_request *request, struct slice path,
		  const struct access_answer *who)
{
	if (slice_is(path, "live") && is_get(request)) {
		if (api->live)
			live_answer(api->live, request);
		else
			refuse(request, 404, "no_live", "report was not told of a topic: --bus");
	} else if (slice_starts(path, SLICE("v1/"))) {
		gateway_ask(api->gateway, request,
			    (struct slice){ path.ptr - 1, path.len + 1 });
	} else if (ops_answer(api->ops, request, path, who->role)) {
		;                       /* now or later */
	} else if (slice_starts(path, SLICE("files/"))) {
		answer_files(api, request, slice_skip(path, 6));
	} else {
		refuse(request, 404, "unknown", "there is no such path");
	}
}

void api_request(void *ctx, struct http_request *request)
{
	struct api *api = ctx;
	struct slice path = request->path;
	struct access_answer who;

	request->ctx = NULL;
	if (!slice_starts(path, SLICE("/api/"))) {
		if (!is_get(request) || !assets_answer(api->assets, request, api_headers))
			refuse(request, 404, "unknown", "there is no such page");
		return;
	}
	path = slice_skip(path, 5);
	who = access_check(api->access, request, changes(request, path) &&
			   !slice_is(path, "login"));
	if (slice_is(path, "me") && is_get(request) && (who.status == 0 || who.status == 401)) {
		answer_me(api, request, &who);
	} else if (slice_is(path, "login") && slice_is(request->method, "POST") &&
		   who.status != 403) {
		login(api, request);
	} else if (who.status) {
		refuse(request, who.status, "access", who.words);
	} else if (slice_is(path, "logout")) {
		access_logout(api->access, request);
		answer(request, 200, "", SLICE("{}"));
	} else {
		route(api, request, path, &who);
	}
}

/* Whose request it is, its path says: each part keeps what it needs in request->ctx. */
void api_gone(void *ctx, struct http_request *request)
{
	struct api *api = ctx;

	if (!request->ctx)
		return;
	if (slice_is(request->path, "/api/live"))
		live_gone(api->live, request);
	else
		gateway_gone(api->gateway, request);
}
