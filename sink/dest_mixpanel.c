/* dest_mixpanel - events to /import, people to /engage, groups to /groups, merges to /track
 *
 *      track, page, screen   /import, JSON array, $insert_id = message id; Order Completed also one
 *                            Product Purchased per product
 *      identify              $identify (anonymous -> user) to /track, traits to /engage
 *      group                 /groups      alias: $create_alias to /track
 *
 * /import with strict=1 says which records it refused. Names and reserved properties are those of
 * Mixpanel's documentation and of Segment's destination.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/record.h"
#include "sink/kinds.h"
#include "sink/plain.h"
#include "sink/sheet.h"

enum route { ROUTE_IMPORT, ROUTE_TRACK, ROUTE_ENGAGE, ROUTE_GROUPS };

struct conf {
	const char *token, *secret, *region, *group_key, *source_name, *url;
};

static const struct conf *conf_of(const struct dest *dest)
{
	return dest->conf;
}

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "token", DEST_FIELD_SECRET, AT(token), NULL, true, 0, 0, NULL, "project token" },
	{ "secret", DEST_FIELD_SECRET, AT(secret), NULL, true, 0, 0, NULL, "project API secret" },
	{ "region", DEST_FIELD_CHOICE, AT(region), "us", false, 0, 0, "us|eu|in",
	  "where the project's data lives" },
	{ "group_key", DEST_FIELD_TEXT, AT(group_key), "$group_id", false, 0, 0, NULL,
	  "key of group profiles" },
	{ "source_name", DEST_FIELD_TEXT, AT(source_name), NULL, false, 0, 0, NULL,
	  "sent as segment_source_name" },
	{ "url", DEST_FIELD_URL, AT(url), NULL, false, 0, 0, NULL,
	  "another host than the region's, such as a proxy" },
	{ .name = NULL },
};

static const struct sheet_rule rules[] = {
	{ "ip", "context.ip" },
	{ "$app_build_number", "context.app.build" },
	{ "$app_version_string", "context.app.version" },
	{ "$app_namespace", "context.app.namespace" },
	{ "$app_name", "context.app.name" },
	{ "$bluetooth_enabled", "context.network.bluetooth" },
	{ "$cellular_enabled", "context.network.cellular" },
	{ "$carrier", "context.network.carrier" },
	{ "$current_url", "context.page.url" },
	{ "$device", "context.device.name" },
	{ "$device_type", "context.device.type" },
	{ "$device_name", "context.device.name" },
	{ "$lib_version", "context.library.version" },
	{ "$locale", "context.locale" },
	{ "$manufacturer", "context.device.manufacturer" },
	{ "$model", "context.device.model" },
	{ "$os", "context.os.name" },
	{ "$os_version", "context.os.version" },
	{ "$referrer", "context.page.referrer" },
	{ "$screen_height", "context.screen.height" },
	{ "$screen_width", "context.screen.width" },
	{ "$screen_density", "context.screen.density" },
	{ "$wifi_enabled", "context.network.wifi" },
	{ "mp_country_code", "context.location.country" },
	{ "utm_campaign", "context.campaign.name" },
	{ "utm_content", "context.campaign.content" },
	{ "utm_medium", "context.campaign.medium" },
	{ "utm_source", "context.campaign.source" },
	{ "utm_term", "context.campaign.term" },
	{ "advertising_id", "context.device.advertisingId" },
	{ "ad_tracking_enabled", "context.device.adTrackingEnabled" },
	{ "timezone", "context.timezone" },
	{ "app_platform", "context.app.platform" },
	{ "$mobile", "context.userAgentData.mobile" },
	{ "$platform", "context.userAgentData.platform" },
	{ "$bitness", "context.userAgentData.bitness" },
	{ "$platformVersion", "context.userAgentData.platformVersion" },
	{ "$uaFullVersion", "context.userAgentData.uaFullVersion" },
	{ "$wow64", "context.userAgentData.wow64" },
	{ NULL, NULL },
};

/* Who it was: an event's properties cannot say. */
static void put_person(const struct event *event, struct sheet *sheet)
{
	struct slice user = event_text(event, ENRICHED_USER_ID);
	struct slice anonymous = event_text(event, ENRICHED_ANONYMOUS_ID);

	sheet_text(sheet, "id", event_person(event));
	sheet_text(sheet, "$anon_id", anonymous);
	sheet_name(sheet, "distinct_id");
	json_write_text(event_person(event), sheet->out);
	sheet_text(sheet, "$user_id", user);
	sheet_json(sheet, "$group_id", event_path(event, "context.groupId"));
}

static void put_standard(struct dest *dest, const struct event *event, struct sheet *sheet)
{
	yyjson_val *idfa = event_path(event, "context.device.advertisingId");
	struct slice name = event_text(event, ENRICHED_EVENT);

	if (event->type != EVENT_TRACK)
		name = event_text(event, ENRICHED_NAME);
	sheet_text(sheet, "$device_id", event_text(event, ENRICHED_ANONYMOUS_ID));
	sheet_text(sheet, "$identified_id", event_text(event, ENRICHED_USER_ID));
	sheet_rules(sheet, event, rules);
	sheet_text(sheet, "$browser", event_text(event, ENRICHED_AGENT_BROWSER));
	sheet_text(sheet, "$browser_version", event_text(event, ENRICHED_AGENT_VERSION));
	sheet_json(sheet, "$ios_ifa", idfa ? idfa : event_path(event, "context.device.idfa"));
	sheet_text(sheet, "event_original_name", name);
	sheet_text(sheet, "$source", SLICE("millrace"));
	sheet_text(sheet, "mp_lib", event_text(event, ENRICHED_LIBRARY_NAME));
	if (conf_of(dest)->source_name)
		sheet_text(sheet, "segment_source_name", slice_from(conf_of(dest)->source_name));
}

/* Mixpanel's own names, which an event's properties cannot set. */
static const char *const reserved[] = { "time", "id", "$anon_id", "distinct_id", "$group_id",
					"$insert_id", "$user_id", NULL };
static const char *const order_keys[] = {
	"time", "id", "$anon_id", "distinct_id", "$group_id", "$insert_id", "$user_id",
	"affiliation", "subtotal", "total", "revenue", "shipping", "tax", "discount", "coupon",
	"currency", "order_number", "products", NULL,
};

/* Members of properties win over the standard ones, but for the reserved. */
static void put_event(struct dest *dest, const struct event *event, struct dest_out *out,
		      struct slice name, yyjson_val *product, int index)
{
	int64_t time_ms = event->fields[ENRICHED_TIMESTAMP].num / 1000 -
			  (index >= 0 ? index + 1 : 0);
	struct sheet sheet = { .out = out->buf };
	struct slice id = event_text(event, ENRICHED_MESSAGE_ID);
	char made[600];

	if (index >= 0)         /* each product's is its own, and always the same */
		snprintf(made, sizeof(made), "%d%.*s", index, (int)id.len, id.ptr);
	buf_append_text(out->buf, "{\"event\":");
	json_write_text(name, out->buf);
	buf_append_text(out->buf, ",\"properties\":{");
	sheet_num(&sheet, "time", time_ms);
	sheet_text(&sheet, "$insert_id", index >= 0 ? slice_from(made) : id);
	put_person(event, &sheet);
	sheet.over = event->properties;
	sheet.over_all = product;
	put_standard(dest, event, &sheet);
	sheet_spread(&sheet, event->properties, product ? order_keys : reserved);
	sheet_spread(&sheet, product, reserved);
	buf_append_text(out->buf, "}}");
}

static int map_event(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct slice name = event_text(event, ENRICHED_EVENT);
	yyjson_val *products, *product;
	char viewed[300];
	size_t i, count;
	int rc;

	if (event->type != EVENT_TRACK) {
		struct slice page = event_text(event, ENRICHED_NAME);

		snprintf(viewed, sizeof(viewed), "Viewed %.*s", (int)page.len, page.ptr);
		name = slice_from(viewed);
	}
	put_event(dest, event, out, name, NULL, -1);
	rc = dest_out_end(out, ROUTE_IMPORT);
	products = slice_is(name, "Order Completed") ? json_get(event->properties, "products")
						       : NULL;
	if (rc < 0 || !yyjson_is_arr(products))
		return rc;
	yyjson_arr_foreach(products, i, count, product) {
		put_event(dest, event, out, SLICE("Product Purchased"), product, (int)i);
		if ((rc = dest_out_end(out, ROUTE_IMPORT)) < 0)
			return rc;
	}
	return 0;
}

static void put_name_of(struct sheet *sheet, yyjson_val *traits)
{
	struct slice first = json_text(traits, "firstName"), last = json_text(traits, "lastName");
	char name[400];

	if (sheet_json(sheet, "$name", json_get(traits, "name")) || !first.len || !last.len)
		return;
	snprintf(name, sizeof(name), "%.*s %.*s", (int)first.len, first.ptr, (int)last.len,
		 last.ptr);
	sheet_text(sheet, "$name", slice_from(name));
}

static void put_created(struct sheet *sheet, yyjson_val *traits)
{
	yyjson_val *created = json_get(traits, "created");

	created = created ? created : json_get(traits, "createdAt");
	sheet_json(sheet, "$created", created ? created : json_get(traits, "created_at"));
}

static void put_token(struct dest *dest, struct sheet *sheet)
{
	const struct conf *conf = dest->conf;

	sheet_text(sheet, "token", slice_from(conf->token));
	if (conf->source_name)
		sheet_text(sheet, "segment_source_name", slice_from(conf->source_name));
}

static int map_identify(struct dest *dest, const struct event *event, struct dest_out *out)
{
	static const char *const known[] = { "created", "createdAt", "created_at", "email",
					     "firstName", "lastName", "name", "username", "phone",
					     NULL };
	struct slice anonymous = event_text(event, ENRICHED_ANONYMOUS_ID);
	struct sheet sheet;
	int rc = 0;

	if (anonymous.len) {
		buf_append_text(out->buf, "{\"event\":\"$identify\",\"properties\":");
		sheet_begin(&sheet, out->buf, NULL);
		sheet_text(&sheet, "$identified_id", event_text(event, ENRICHED_USER_ID));
		sheet_text(&sheet, "$anon_id", anonymous);
		put_token(dest, &sheet);
		sheet_end(&sheet);
		buf_append_char(out->buf, '}');
		rc = dest_out_end(out, ROUTE_TRACK);
	}
	if (rc < 0 || !event->traits || yyjson_obj_size(event->traits) == 0)
		return rc;
	sheet_begin(&sheet, out->buf, NULL);
	sheet_text(&sheet, "$token", slice_from(conf_of(dest)->token));
	sheet_text(&sheet, "$distinct_id", event_person(event));
	sheet_json(&sheet, "$ip", event_path(event, "context.ip"));
	sheet_name(&sheet, "$set");
	sheet_begin(&sheet, out->buf, NULL);
	sheet_spread(&sheet, event->traits, known);
	put_created(&sheet, event->traits);
	sheet_json(&sheet, "$email", json_get(event->traits, "email"));
	sheet_json(&sheet, "$first_name", json_get(event->traits, "firstName"));
	sheet_json(&sheet, "$last_name", json_get(event->traits, "lastName"));
	put_name_of(&sheet, event->traits);
	sheet_json(&sheet, "$username", json_get(event->traits, "username"));
	sheet_json(&sheet, "$phone", json_get(event->traits, "phone"));
	buf_append_text(out->buf, "}}");
	return dest_out_end(out, ROUTE_ENGAGE);
}

static int map_group(struct dest *dest, const struct event *event, struct dest_out *out)
{
	static const char *const known[] = { "created", "createdAt", "created_at", "name", NULL };
	const char *key = conf_of(dest)->group_key;
	struct sheet sheet;

	if (!event->traits)
		return 0;
	sheet_begin(&sheet, out->buf, NULL);
	sheet_text(&sheet, "$token", slice_from(conf_of(dest)->token));
	sheet_text(&sheet, "$group_key", slice_from(key));
	if (!sheet_json(&sheet, "$group_id", json_get(event->traits, key)))
		sheet_text(&sheet, "$group_id", event_text(event, ENRICHED_GROUP_ID));
	sheet_name(&sheet, "$set");
	sheet_begin(&sheet, out->buf, NULL);
	sheet_spread(&sheet, event->traits, known);
	sheet_json(&sheet, "$name", json_get(event->traits, "name"));
	put_created(&sheet, event->traits);
	buf_append_text(out->buf, "}}");
	return dest_out_end(out, ROUTE_GROUPS);
}

static int map_alias(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct sheet sheet;

	buf_append_text(out->buf, "{\"event\":\"$create_alias\",\"properties\":");
	sheet_begin(&sheet, out->buf, NULL);
	sheet_text(&sheet, "distinct_id", event_text(event, ENRICHED_PREVIOUS_ID));
	sheet_text(&sheet, "alias", event_person(event));
	put_token(dest, &sheet);
	sheet_end(&sheet);
	buf_append_char(out->buf, '}');
	return dest_out_end(out, ROUTE_TRACK);
}

static int mixpanel_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	switch (event->type) {
	case EVENT_TRACK:
	case EVENT_PAGE:
	case EVENT_SCREEN:
		return map_event(dest, event, out);
	case EVENT_IDENTIFY:
		return map_identify(dest, event, out);
	case EVENT_GROUP:
		return map_group(dest, event, out);
	case EVENT_ALIAS:
		return map_alias(dest, event, out);
	case EVENT_OTHER:
		break;
	}
	return 0;
}

static int mixpanel_build(struct dest *dest, const struct dest_batch *batch,
			  struct post_request *request)
{
	static const char *const paths[] = { "/import?strict=1", "/track?verbose=1",
					     "/engage?verbose=1", "/groups?verbose=1" };
	const struct conf *conf = dest->conf;
	const char *host = conf->url ? conf->url
			   : strcmp(conf->region, "eu") == 0 ? "https://api-eu.mixpanel.com"
			   : strcmp(conf->region, "in") == 0 ? "https://api-in.mixpanel.com"
							     : "https://api.mixpanel.com";
	int rc;

	snprintf(request->url, sizeof(request->url), "%s%s", host, paths[batch->route]);
	request->gzip = batch->route == ROUTE_IMPORT;
	buf_append_char(&request->body, '[');
	sheet_join(batch, &request->body);
	buf_append_char(&request->body, ']');
	rc = post_header(request, "Content-Type", SLICE("application/json"));
	if (rc == 0 && batch->route == ROUTE_IMPORT)
		rc = sheet_basic(request, conf->secret, "");
	return rc;
}

/* failed_records name what was refused; the others were taken. */
static bool judge_import(const struct dest_batch *batch, yyjson_val *root,
			 struct dest_result *results)
{
	yyjson_val *failed = json_get(root, "failed_records"), *record;
	bool any = false;
	int64_t index;
	size_t i, count;

	if (!yyjson_is_arr(failed))
		return false;
	yyjson_arr_foreach(failed, i, count, record) {
		struct slice words = json_text(record, "message");

		if (json_num(json_get(record, "index"), &index) < 0 || index < 0 ||
		    (size_t)index >= batch->count)
			continue;
		dest_result_set(&results[index], DEST_INVALID, words.ptr ? words
				: SLICE("refused"));
		any = true;
	}
	return any;
}

static void mixpanel_judge(struct dest *dest, const struct dest_batch *batch,
			   const struct post_answer *answer, struct dest_result *results)
{
	yyjson_val *root = NULL;
	int64_t status;

	if (json_parse(dest->json, answer->body, &root, NULL) < 0)
		root = NULL;
	if (batch->route == ROUTE_IMPORT && answer->status == 400 &&
	    judge_import(batch, root, results))
		return;
	if (batch->route != ROUTE_IMPORT && answer->status == 200 &&
	    json_num(json_get(root, "status"), &status) == 0 && status == 0) {
		dest_result_all(batch, results, DEST_INVALID, json_text(root, "error"));
		return;
	}
	dest_judge_status(batch, answer, results);
}

const struct dest_kind dest_mixpanel = {
	.name = "mixpanel",
	.summary = "Mixpanel: events, people, groups, identity",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_WHOLE | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 200, .items_max = 2000, .bytes = 2 << 20, .item_bytes = 1 << 20,
		    .wait_ms = 1000, .concurrency = 8 },
	.open = plain_open,
	.map = mixpanel_map,
	.build = mixpanel_build,
	.judge = mixpanel_judge,
	.close = plain_close,
};
