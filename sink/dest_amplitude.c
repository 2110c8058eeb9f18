/* dest_amplitude - Amplitude's HTTP V2 API
 *
 *      track its name; page, screen "Viewed NAME"; identify $identify with user_properties;
 *      group $groupidentify. insert_id = message id: repeats within 7 days are dropped
 *
 * A request with one bad event is refused whole, and says which: those are dead, the others go
 * again.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/record.h"
#include "sink/kinds.h"
#include "sink/plain.h"
#include "sink/sheet.h"

struct conf {
	const char *api_key, *region, *url, *group_type;
};

static const struct conf *conf_of(const struct dest *dest)
{
	return dest->conf;
}

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "api_key", DEST_FIELD_SECRET, AT(api_key), NULL, true, 0, 0, NULL, "project API key" },
	{ "region", DEST_FIELD_CHOICE, AT(region), "us", false, 0, 0, "us|eu",
	  "where the project's data lives" },
	{ "group_type", DEST_FIELD_TEXT, AT(group_type), "company", false, 0, 0, NULL,
	  "type of groups" },
	{ "url", DEST_FIELD_URL, AT(url), NULL, false, 0, 0, NULL,
	  "another host than the region's" },
	{ .name = NULL },
};

static const struct sheet_rule rules[] = {
	{ "app_version", "context.app.version" },
	{ "os_name", "context.os.name" },
	{ "os_version", "context.os.version" },
	{ "device_brand", "context.device.brand" },
	{ "device_manufacturer", "context.device.manufacturer" },
	{ "device_model", "context.device.model" },
	{ "carrier", "context.network.carrier" },
	{ "country", "context.location.country" },
	{ "region", "context.location.region" },
	{ "city", "context.location.city" },
	{ "language", "context.locale" },
	{ "location_lat", "context.location.latitude" },
	{ "location_lng", "context.location.longitude" },
	{ "ip", "context.ip" },
	{ "adid", "context.device.advertisingId" },
	{ "productId", "properties.productId" },
	{ "price", "properties.price" },
	{ "quantity", "properties.quantity" },
	{ "revenue", "properties.revenue" },
	{ NULL, NULL },
};

static void put_type(const struct event *event, struct sheet *sheet)
{
	struct slice name = event_text(event, ENRICHED_NAME);
	char viewed[300];

	if (event->type == EVENT_TRACK) {
		sheet_text(sheet, "event_type", event_text(event, ENRICHED_EVENT));
	} else if (event->type == EVENT_IDENTIFY) {
		sheet_text(sheet, "event_type", SLICE("$identify"));
	} else if (event->type == EVENT_GROUP) {
		sheet_text(sheet, "event_type", SLICE("$groupidentify"));
	} else {
		snprintf(viewed, sizeof(viewed), "Viewed %.*s", (int)name.len, name.ptr);
		sheet_text(sheet, "event_type", slice_from(viewed));
	}
}

static void put_group(struct dest *dest, const struct event *event, struct sheet *sheet)
{
	struct slice group = event_text(event, ENRICHED_GROUP_ID);
	struct sheet inner;

	if (!group.len)
		return;
	sheet_name(sheet, "groups");
	sheet_begin(&inner, sheet->out, NULL);
	sheet_text(&inner, conf_of(dest)->group_type, group);
	sheet_end(&inner);
}

static int amplitude_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	yyjson_val *device = event_path(event, "context.device.id");
	struct sheet sheet;

	sheet_begin(&sheet, out->buf, NULL);
	sheet_text(&sheet, "user_id", event_text(event, ENRICHED_USER_ID));
	if (!sheet_json(&sheet, "device_id", device))
		sheet_text(&sheet, "device_id", event_text(event, ENRICHED_ANONYMOUS_ID));
	put_type(event, &sheet);
	sheet_num(&sheet, "time", event->fields[ENRICHED_TIMESTAMP].num / 1000);
	sheet_text(&sheet, "insert_id", event_text(event, ENRICHED_MESSAGE_ID));
	if (event->type == EVENT_GROUP)
		sheet_json(&sheet, "group_properties", event->traits);
	else if (event->type == EVENT_IDENTIFY)
		sheet_json(&sheet, "user_properties", event->traits);
	else
		sheet_json(&sheet, "event_properties", event->properties);
	put_group(dest, event, &sheet);
	sheet_rules(&sheet, event, rules);
	sheet_text(&sheet, "platform", json_string(event_path(event, "context.device.type")));
	sheet_text(&sheet, "library", SLICE("millrace"));
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int amplitude_build(struct dest *dest, const struct dest_batch *batch,
			   struct post_request *request)
{
	const struct conf *conf = dest->conf;
	const char *host = conf->url ? conf->url : strcmp(conf->region, "eu") == 0
			   ? "https://api.eu.amplitude.com" : "https://api2.amplitude.com";

	snprintf(request->url, sizeof(request->url), "%s/2/httpapi", host);
	buf_append_text(&request->body, "{\"api_key\":");
	json_write_text(slice_from(conf->api_key), &request->body);
	buf_append_text(&request->body, ",\"events\":[");
	sheet_join(batch, &request->body);
	buf_append_text(&request->body, "]}");
	return post_header(request, "Content-Type", SLICE("application/json"));
}

/* {"field":[index, ..], ..} */
static bool mark(const struct dest_batch *batch, yyjson_val *map, struct dest_result *results)
{
	yyjson_obj_iter iter;
	yyjson_val *key, *list, *item;
	bool any = false;
	int64_t index;
	size_t i, count;

	if (!yyjson_obj_iter_init(map, &iter))
		return false;
	while ((key = yyjson_obj_iter_next(&iter))) {
		list = yyjson_obj_iter_get_val(key);
		if (!yyjson_is_arr(list))
			continue;
		yyjson_arr_foreach(list, i, count, item) {
			if (json_num(item, &index) < 0 || index < 0 ||
			    (size_t)index >= batch->count)
				continue;
			dest_result_set(&results[index], DEST_INVALID, json_string(key));
			any = true;
		}
	}
	return any;
}

static void amplitude_judge(struct dest *dest, const struct dest_batch *batch,
			    const struct post_answer *answer, struct dest_result *results)
{
	yyjson_val *root;
	struct slice error;
	bool is_marked;

	if (answer->status == 400 && json_parse(dest->json, answer->body, &root, NULL) == 0) {
		error = json_text(root, "error");
		dest_result_all(batch, results, DEST_TRANSIENT, error);
		is_marked = mark(batch, json_get(root, "events_with_invalid_fields"), results);
		is_marked |= mark(batch, json_get(root, "events_with_missing_fields"), results);
		if (is_marked)
			return;
		if (error.len && memmem(error.ptr, error.len, "api_key", 7)) {
			dest_result_all(batch, results, DEST_SETUP, error);
			return;
		}
	}
	dest_judge_status(batch, answer, results);
	for (size_t i = 0; i < batch->count && answer->status == 429; i++)
		if (results[i].retry_after_ms < 0)
			results[i].retry_after_ms = 30000;      /* as its documentation asks */
}

const struct dest_kind dest_amplitude = {
	.name = "amplitude",
	.summary = "Amplitude: events, users, groups",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_WHOLE | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL & ~(unsigned)DEST_ALIAS,
	.limits = { .items = 500, .items_max = 2000, .bytes = 900 << 10, .wait_ms = 1000,
		    .concurrency = 4 },
	.open = plain_open,
	.map = amplitude_map,
	.build = amplitude_build,
	.judge = amplitude_judge,
	.close = plain_close,
};
