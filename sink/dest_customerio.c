/* dest_customerio - Customer.io's Track API v2: /api/v2/batch
 *
 *      track event, page and screen page/screen, identify person with attributes, group object
 *
 * 207 says which were refused.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/record.h"
#include "sink/kinds.h"
#include "sink/plain.h"
#include "sink/sheet.h"

struct conf {
	const char *site_id, *api_key, *region, *url;
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "site_id", DEST_FIELD_TEXT, AT(site_id), NULL, true, 0, 0, NULL, "of the workspace" },
	{ "api_key", DEST_FIELD_SECRET, AT(api_key), NULL, true, 0, 0, NULL, "Track API key" },
	{ "region", DEST_FIELD_CHOICE, AT(region), "us", false, 0, 0, "us|eu",
	  "where the account lives" },
	{ "url", DEST_FIELD_URL, AT(url), NULL, false, 0, 0, NULL,
	  "another host than the region's" },
	{ .name = NULL },
};

static void put_person(const struct event *event, struct sheet *sheet)
{
	struct slice user = event_text(event, ENRICHED_USER_ID);
	struct sheet inner;

	sheet_name(sheet, "identifiers");
	sheet_begin(&inner, sheet->out, NULL);
	sheet_text(&inner, user.len ? "id" : "anonymous_id", event_person(event));
	sheet_end(&inner);
}

static int customerio_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	static const char *const actions[] = { "event", "identify", "page", "screen", "identify" };
	struct sheet sheet, inner;

	(void)dest;
	/* Traits have no owner until somebody is known. */
	if (event->type == EVENT_IDENTIFY && !event_text(event, ENRICHED_USER_ID).len)
		return 0;
	sheet_begin(&sheet, out->buf, NULL);
	sheet_text(&sheet, "type", event->type == EVENT_GROUP ? SLICE("object") : SLICE("person"));
	if (event->type == EVENT_GROUP) {
		sheet_name(&sheet, "identifiers");
		sheet_begin(&inner, out->buf, NULL);
		sheet_text(&inner, "object_type_id", SLICE("1"));
		sheet_text(&inner, "object_id", event_text(event, ENRICHED_GROUP_ID));
		sheet_end(&inner);
	} else {
		put_person(event, &sheet);
	}
	sheet_text(&sheet, "action", slice_from(actions[event->type]));
	if (event->type == EVENT_TRACK)
		sheet_text(&sheet, "name", event_text(event, ENRICHED_EVENT));
	if (event->type == EVENT_PAGE || event->type == EVENT_SCREEN)
		sheet_text(&sheet, "name", event_text(event, ENRICHED_NAME));
	sheet_num(&sheet, "timestamp", event->fields[ENRICHED_TIMESTAMP].num / 1000000);
	sheet_json(&sheet, "attributes", event->type == EVENT_IDENTIFY || event->type == EVENT_GROUP
					 ? event->traits : event->properties);
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int customerio_build(struct dest *dest, const struct dest_batch *batch,
			    struct post_request *request)
{
	const struct conf *conf = dest->conf;
	const char *host = conf->url ? conf->url : strcmp(conf->region, "eu") == 0
			   ? "https://track-eu.customer.io" : "https://track.customer.io";
	int rc;

	snprintf(request->url, sizeof(request->url), "%s/api/v2/batch", host);
	buf_append_text(&request->body, "{\"batch\":[");
	sheet_join(batch, &request->body);
	buf_append_text(&request->body, "]}");
	rc = post_header(request, "Content-Type", SLICE("application/json"));
	return rc < 0 ? rc : sheet_basic(request, conf->site_id, conf->api_key);
}

static void customerio_judge(struct dest *dest, const struct dest_batch *batch,
			     const struct post_answer *answer, struct dest_result *results)
{
	yyjson_val *root, *errors, *error;
	int64_t index;
	size_t i, count;

	dest_judge_status(batch, answer, results);
	if (answer->status != 207 || json_parse(dest->json, answer->body, &root, NULL) < 0)
		return;
	errors = json_get(root, "errors");
	if (!yyjson_is_arr(errors))
		return;
	yyjson_arr_foreach(errors, i, count, error) {
		if (json_num(json_get(error, "batch_index"), &index) < 0 || index < 0 ||
		    (size_t)index >= batch->count)
			continue;
		dest_result_set(&results[index], DEST_INVALID, json_text(error, "message").ptr
				? json_text(error, "message") : SLICE("refused"));
	}
}

const struct dest_kind dest_customerio = {
	.name = "customerio",
	.summary = "Customer.io: people, events, objects",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_WHOLE | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL & ~(unsigned)DEST_ALIAS,
	.limits = { .items = 200, .items_max = 1000, .bytes = 480 << 10, .item_bytes = 32 << 10,
		    .wait_ms = 500, .concurrency = 4 },
	.open = plain_open,
	.map = customerio_map,
	.build = customerio_build,
	.judge = customerio_judge,
	.close = plain_close,
};
