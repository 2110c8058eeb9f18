/* dest_amplitude - Amplitude's HTTP V2 API
 *
 *      track        its name; Order Completed with its revenue, and a Product Purchased for each of
 *                   its products
 *      page, screen "Viewed NAME"
 *      identify     $identify with user_properties
 *      group        $identify with groups (the person joins), and $groupidentify with its traits
 *
 * Where the person came from (referrer, campaign) goes into user properties, $set and, the first,
 * $setOnce. insert_id = message id: repeats within 7 days are dropped. A request with one bad
 * event is refused whole, and says which: those are dead, the others go again.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <strings.h>

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
	{ "device_brand", "context.device.brand" },
	{ "carrier", "context.network.carrier" },
	{ "country", "context.location.country" },
	{ "region", "context.location.region" },
	{ "city", "context.location.city" },
	{ "language", "context.locale" },
	{ NULL, NULL },
};

/* $identify has no place for these. */
static const struct sheet_rule event_rules[] = {
	{ "location_lat", "context.location.latitude" },
	{ "location_lng", "context.location.longitude" },
	{ "ip", "context.ip" },
	{ "idfv", "context.device.id" },
	{ NULL, NULL },
};

static const struct sheet_rule came_from[] = {
	{ "referrer", "context.page.referrer" },
	{ "utm_source", "context.campaign.source" },
	{ "utm_medium", "context.campaign.medium" },
	{ "utm_campaign", "context.campaign.name" },
	{ "utm_term", "context.campaign.term" },
	{ "utm_content", "context.campaign.content" },
	{ NULL, NULL },
};

static const struct sheet_rule came_first[] = {
	{ "initial_referrer", "context.page.referrer" },
	{ "initial_utm_source", "context.campaign.source" },
	{ "initial_utm_medium", "context.campaign.medium" },
	{ "initial_utm_campaign", "context.campaign.name" },
	{ "initial_utm_term", "context.campaign.term" },
	{ "initial_utm_content", "context.campaign.content" },
	{ NULL, NULL },
};

static const struct sheet_rule product_rules[] = {
	{ "price", "price" }, { "revenue", "revenue" }, { "quantity", "quantity" },
	{ "productId", "productId" }, { "revenueType", "revenueType" }, { NULL, NULL },
};

static void put_platform(const struct event *event, struct sheet *sheet)
{
	struct slice type = json_string(event_path(event, "context.device.type"));

	if (type.len == 3 && strncasecmp(type.ptr, "ios", 3) == 0)
		type = SLICE("iOS");
	else if (type.len == 7 && strncasecmp(type.ptr, "android", 7) == 0)
		type = SLICE("Android");
	else if (!type.len &&
		 slice_is(json_string(event_path(event, "context.library.name")), "analytics.js"))
		type = SLICE("Web");
	sheet_text(sheet, "platform", type);
}

/* What context says of the device; else what enrich found in the user agent. */
static void put_device(const struct event *event, struct sheet *sheet)
{
	static const struct {
		const char *name, *path;
		int leaf;
	} list[] = {
		{ "os_name", "context.os.name", ENRICHED_AGENT_OS },
		{ "os_version", "context.os.version", ENRICHED_AGENT_OS_VERSION },
		{ "device_manufacturer", "context.device.manufacturer", ENRICHED_AGENT_BRAND },
		{ "device_model", "context.device.model", ENRICHED_AGENT_MODEL },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (!sheet_json(sheet, list[i].name, event_path(event, list[i].path)))
			sheet_text(sheet, list[i].name, event_text(event, list[i].leaf));
}

static void put_who(const struct event *event, struct sheet *sheet)
{
	sheet_text(sheet, "user_id", event_text(event, ENRICHED_USER_ID));
	if (!sheet_json(sheet, "device_id", event_path(event, "context.device.id")))
		sheet_text(sheet, "device_id", event_text(event, ENRICHED_ANONYMOUS_ID));
	sheet_num(sheet, "time", event->fields[ENRICHED_TIMESTAMP].num / 1000);
}

/* insert_id is the message id, with the number of what else its event makes. */
static void put_id(const struct event *event, struct sheet *sheet, int number)
{
	struct slice id = event_text(event, ENRICHED_MESSAGE_ID);
	char made[600];

	if (number)
		snprintf(made, sizeof(made), "%.*s-%d", (int)id.len, id.ptr, number);
	sheet_text(sheet, "insert_id", number ? slice_from(made) : id);
}

static bool any_of(const struct event *event, const struct sheet_rule *list)
{
	for (; list->name; list++)
		if (event_path(event, list->path))
			return true;
	return false;
}

/* One's own $set and $setOnce of traits are kept beside. */
static void put_nested(const struct event *event, struct sheet *outer, const char *name,
		       const struct sheet_rule *list)
{
	yyjson_val *own = json_get(event->traits, name);
	struct sheet sheet;

	sheet_name(outer, name);
	sheet_begin(&sheet, outer->out, NULL);
	sheet_rules(&sheet, event, list);
	if (yyjson_is_obj(own) && event->type == EVENT_IDENTIFY)
		sheet_spread(&sheet, own, NULL);
	sheet_end(&sheet);
}

static void put_user(const struct event *event, struct sheet *sheet)
{
	static const char *const nested[] = { "$set", "$setOnce", "utm_properties", "referrer",
					      NULL };
	bool came = any_of(event, came_from);
	struct sheet user;

	if (!came && !event->traits)
		return;
	sheet_name(sheet, "user_properties");
	sheet_begin(&user, sheet->out, NULL);
	sheet_spread(&user, event->traits, came ? nested : NULL);
	if (came) {
		put_nested(event, &user, "$set", came_from);
		put_nested(event, &user, "$setOnce", came_first);
	}
	sheet_end(&user);
}

static void put_groups(struct dest *dest, const char *name, const struct event *event,
		       struct sheet *sheet)
{
	struct slice group = event_text(event, ENRICHED_GROUP_ID);
	struct sheet inner;

	if (!group.len)
		return;
	sheet_name(sheet, name);
	sheet_begin(&inner, sheet->out, NULL);
	sheet_text(&inner, conf_of(dest)->group_type, group);
	sheet_end(&inner);
}

static void put_library(const struct event *event, struct sheet *sheet)
{
	if (!sheet_json(sheet, "library", event_path(event, "context.library.name")))
		sheet_text(sheet, "library", SLICE("millrace"));
}

/* Amplitude counts as revenue whatever has these: so only a purchase does. */
static void put_revenue(const struct event *event, struct sheet *sheet)
{
	yyjson_val *quantity = json_get(event->properties, "quantity");
	yyjson_val *price = json_get(event->properties, "price");
	yyjson_val *revenue = json_get(event->properties, "revenue");
	double n = 0, each = 0, sum = 0;
	bool is_made = json_is_num(quantity) && json_is_num(price) &&
		       json_real(quantity, &n) == 0 && json_real(price, &each) == 0;

	if (is_made)
		sum = n * each;
	else if (!event_real(revenue, &sum))
		return;
	if (sum == 0)
		return;
	sheet_name(sheet, "revenue");
	if (is_made)
		buf_printf(sheet->out, "%.15g", sum);
	else
		buf_printf(sheet->out, "%.17g", sum);
	if (!sheet_json(sheet, "revenueType", json_get(event->properties, "revenueType")))
		sheet_text(sheet, "revenueType", SLICE("Purchase"));
	sheet_json(sheet, "quantity", json_is_num(quantity) ? quantity : NULL);
	sheet_json(sheet, "price", price);
	sheet_json(sheet, "productId", json_get(event->properties, "productId"));
}

/* product: of an Order Completed, number its place; NULL: the event itself. */
static int map_event(struct dest *dest, const struct event *event, yyjson_val *product,
		     int number, struct dest_out *out)
{
	struct slice name = event_text(event, ENRICHED_EVENT);
	yyjson_val *ad = event_path(event, "context.device.advertisingId");
	bool is_order = event->type == EVENT_TRACK && slice_is(name, "Order Completed");
	struct sheet sheet, inner;
	char viewed[300];

	if (event->type != EVENT_TRACK) {
		name = event_text(event, ENRICHED_NAME);
		snprintf(viewed, sizeof(viewed), "Viewed %.*s", (int)name.len, name.ptr);
		name = slice_from(viewed);
	}
	sheet_begin(&sheet, out->buf, NULL);
	put_who(event, &sheet);
	sheet_text(&sheet, "event_type", product ? SLICE("Product Purchased") : name);
	put_id(event, &sheet, number);
	if (product) {
		sheet_name(&sheet, "event_properties");
		sheet_begin(&inner, out->buf, NULL);
		for (const struct sheet_rule *rule = product_rules; rule->name; rule++)
			sheet_json(&inner, rule->name, json_get(product, rule->path));
		sheet_end(&inner);
	} else {
		sheet_json(&sheet, "event_properties", event->properties);
	}
	put_user(event, &sheet);
	put_groups(dest, "groups", event, &sheet);
	sheet_rules(&sheet, event, rules);
	sheet_rules(&sheet, event, event_rules);
	ad = ad ? ad : event_path(event, "context.device.idfa");
	sheet_json(&sheet, "idfa", ad);
	sheet_json(&sheet, "adid", ad);
	put_platform(event, &sheet);
	put_device(event, &sheet);
	if (is_order && !product)
		put_revenue(event, &sheet);
	put_library(event, &sheet);
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int map_track(struct dest *dest, const struct event *event, struct dest_out *out)
{
	yyjson_val *products = json_get(event->properties, "products"), *product;
	int rc = map_event(dest, event, NULL, 0, out);
	size_t i, count;

	if (rc < 0 || event->type != EVENT_TRACK || !yyjson_is_arr(products) ||
	    !slice_is(event_text(event, ENRICHED_EVENT), "Order Completed"))
		return rc;
	yyjson_arr_foreach(products, i, count, product)
		if ((rc = map_event(dest, event, product, (int)i + 2, out)) < 0)
			return rc;
	return 0;
}

static int map_identify(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct sheet sheet;

	sheet_begin(&sheet, out->buf, NULL);
	put_who(event, &sheet);
	sheet_text(&sheet, "event_type", SLICE("$identify"));
	put_id(event, &sheet, 0);
	put_user(event, &sheet);
	put_groups(dest, "groups", event, &sheet);
	sheet_rules(&sheet, event, rules);
	put_platform(event, &sheet);
	put_device(event, &sheet);
	put_library(event, &sheet);
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int map_group(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct sheet sheet;
	int rc;

	sheet_begin(&sheet, out->buf, NULL);
	put_who(event, &sheet);
	sheet_text(&sheet, "event_type", SLICE("$identify"));
	put_id(event, &sheet, 0);
	put_groups(dest, "groups", event, &sheet);
	put_groups(dest, "user_properties", event, &sheet);
	put_library(event, &sheet);
	sheet_end(&sheet);
	if ((rc = dest_out_end(out, 0)) < 0)
		return rc;
	sheet_begin(&sheet, out->buf, NULL);
	put_who(event, &sheet);
	sheet_text(&sheet, "event_type", SLICE("$groupidentify"));
	put_id(event, &sheet, 2);
	put_groups(dest, "groups", event, &sheet);
	sheet_json(&sheet, "group_properties", event->traits);
	put_library(event, &sheet);
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int amplitude_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	if (event->type == EVENT_IDENTIFY)
		return map_identify(dest, event, out);
	return event->type == EVENT_GROUP ? map_group(dest, event, out)
					  : map_track(dest, event, out);
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

/* [index, ..] */
static bool mark_list(const struct dest_batch *batch, yyjson_val *list, struct slice words,
		      struct dest_result *results)
{
	yyjson_val *item;
	bool any = false;
	int64_t index;
	size_t i, count;

	if (!yyjson_is_arr(list))
		return false;
	yyjson_arr_foreach(list, i, count, item) {
		if (json_num(item, &index) < 0 || index < 0 || (size_t)index >= batch->count)
			continue;
		dest_result_set(&results[index], DEST_INVALID, words);
		any = true;
	}
	return any;
}

/* {"field":[index, ..], ..} */
static bool mark(const struct dest_batch *batch, yyjson_val *map, struct dest_result *results)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	bool any = false;

	if (!yyjson_obj_iter_init(map, &iter))
		return false;
	while ((key = yyjson_obj_iter_next(&iter)))
		any |= mark_list(batch, yyjson_obj_iter_get_val(key), json_string(key), results);
	return any;
}

static bool says_key(yyjson_val *root)
{
	struct slice error = json_text(root, "error");

	return slice_is(json_text(root, "missing_field"), "api_key") ||
	       (error.len && (memmem(error.ptr, error.len, "api_key", 7) ||
			      memmem(error.ptr, error.len, "API key", 7)));
}

static void amplitude_judge(struct dest *dest, const struct dest_batch *batch,
			    const struct post_answer *answer, struct dest_result *results)
{
	static const char *const maps[] = { "events_with_invalid_fields",
		"events_with_missing_fields", "events_with_invalid_id_lengths" };
	yyjson_val *root;
	bool any = false;

	if (answer->status == 400 && json_parse(dest->json, answer->body, &root, NULL) == 0) {
		struct slice error = json_text(root, "error");

		if (says_key(root)) {
			dest_result_all(batch, results, DEST_SETUP, error);
			return;
		}
		/* None was taken: those that are not named go again. */
		dest_result_all(batch, results, DEST_TRANSIENT, error);
		for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
			any |= mark(batch, json_get(root, maps[i]), results);
		any |= mark_list(batch, json_get(root, "silenced_events"), SLICE("silenced"),
				 results);
		if (any)
			return;
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
