/* dest_segment - another hub that takes Segment's HTTP API: /v1/batch
 *
 * The event as an SDK would have sent it, with its messageId, so that the other side drops repeats.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "sink/kinds.h"
#include "sink/plain.h"
#include "sink/sheet.h"

struct conf {
	const char *write_key, *url;
};

static const struct conf *conf_of(const struct dest *dest)
{
	return dest->conf;
}

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "write_key", DEST_FIELD_SECRET, AT(write_key), NULL, true, 0, 0, NULL,
	  "of the source there" },
	{ "url", DEST_FIELD_URL, AT(url), "https://api.segment.io", false, 0, 0, NULL,
	  "the hub; https://events.eu1.segmentapis.com for the EU" },
	{ .name = NULL },
};

static int segment_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	(void)dest;
	event_segment(event, out->buf);
	return dest_out_end(out, 0);
}

static int segment_build(struct dest *dest, const struct dest_batch *batch,
			 struct post_request *request)
{
	int rc;

	snprintf(request->url, sizeof(request->url), "%s/v1/batch", conf_of(dest)->url);
	buf_append_text(&request->body, "{\"batch\":[");
	sheet_join(batch, &request->body);
	buf_append_text(&request->body, "]}");
	request->gzip = true;
	rc = post_header(request, "Content-Type", SLICE("application/json"));
	return rc < 0 ? rc : sheet_basic(request, conf_of(dest)->write_key, "");
}

const struct dest_kind dest_segment = {
	.name = "segment",
	.summary = "another hub that speaks Segment's HTTP API",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ATOMIC | DEST_WHOLE | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 100, .items_max = 2000, .bytes = 480 << 10, .item_bytes = 32 << 10,
		    .wait_ms = 500, .concurrency = 8 },
	.open = plain_open,
	.map = segment_map,
	.build = segment_build,
	.close = plain_close,
};
