// SPDX-License-Identifier: Apache-2.0
#include "report/asset.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>
#include <zlib.h>

#include "report/asset_own.h"

#define PLAIN_MAX ((size_t)4 << 20)

struct asset {
	struct slice packed, plain;     /* plain: owned */
	char etag[24];
};

struct assets {
	struct asset *list;             /* as ASSET_OWN */
};

static int inflate_asset(struct asset *asset)
{
	char *plain = malloc(PLAIN_MAX);
	z_stream z = { .next_in = (Bytef *)asset->packed.ptr,
		       .avail_in = (uInt)asset->packed.len, .next_out = (Bytef *)plain,
		       .avail_out = PLAIN_MAX };
	int rc;

	if (!plain || inflateInit2(&z, 15 + 16) != Z_OK) {
		free(plain);
		return -ENOMEM;
	}
	rc = inflate(&z, Z_FINISH);
	asset->plain = (struct slice){ plain, PLAIN_MAX - z.avail_out };
	inflateEnd(&z);
	return rc == Z_STREAM_END ? 0 : -EBADMSG;
}

int assets_open(struct assets **assetsp, struct err *err)
{
	struct assets *assets = calloc(1, sizeof(*assets));
	int rc = 0;

	*assetsp = assets;
	if (!assets || !(assets->list = calloc(asset_own_count, sizeof(*assets->list))))
		return err_set(err, -ENOMEM, "no memory");
	for (size_t i = 0; i < asset_own_count && rc == 0; i++) {
		struct asset *asset = &assets->list[i];

		asset->packed = (struct slice){ asset_own[i].begin, (size_t)(asset_own[i].end -
									      asset_own[i].begin) };
		rc = inflate_asset(asset);
		snprintf(asset->etag, sizeof(asset->etag), "\"%016" PRIx64 "\"",
			 (uint64_t)XXH3_64bits(asset->plain.ptr, asset->plain.len));
	}
	return rc < 0 ? err_set(err, rc, "the assets that are compiled in are damaged") : 0;
}

void assets_close(struct assets *assets)
{
	if (!assets)
		return;
	for (size_t i = 0; assets->list && i < asset_own_count; i++)
		free((char *)assets->list[i].plain.ptr);
	free(assets->list);
	free(assets);
}

static bool takes_gzip(const struct http_request *request)
{
	struct slice codings = http_header(request, "Accept-Encoding");

	for (size_t i = 0; i + 4 <= codings.len; i++)
		if (memcmp(codings.ptr + i, "gzip", 4) == 0)
			return true;
	return false;
}

/* Pages have paths of their own without a dot: /funnels, /people/u1. */
static bool is_page(struct slice path)
{
	return !memchr(path.ptr, '.', path.len) || slice_starts(path, SLICE("/people/"));
}

static size_t find(struct slice path)
{
	for (size_t i = 0; i < asset_own_count; i++)
		if (path.len > 1 && slice_is(slice_skip(path, 1), asset_own[i].name))
			return i;
	for (size_t i = 0; is_page(path) && i < asset_own_count; i++)
		if (slice_is(SLICE("index.html"), asset_own[i].name))
			return i;
	return asset_own_count;
}

bool assets_answer(const struct assets *assets, struct http_request *request, const char *headers)
{
	size_t i = find(request->path);
	const struct asset *asset = &assets->list[i];
	bool gzip = takes_gzip(request);
	struct slice known = http_header(request, "If-None-Match");
	char lines[2048];

	if (i == asset_own_count)
		return false;
	snprintf(lines, sizeof(lines),
		 "%sContent-Type: %s\r\nETag: %s\r\nCache-Control: no-cache\r\n"
		 "Vary: Accept-Encoding\r\n%s", headers, asset_own[i].type, asset->etag,
		 gzip ? "Content-Encoding: gzip\r\n" : "");
	if (known.ptr && slice_is(known, asset->etag))
		http_answer(request, 304, lines, (struct slice){ "", 0 });
	else
		http_answer(request, 200, lines, gzip ? asset->packed : asset->plain);
	return true;
}
