/* dest_ga4 - Google Analytics 4's Measurement Protocol: one request per event
 *
 *      client_id  anonymous id, else user id       events  [{ name, params }]
 *
 * Events of Segment's e-commerce specification become GA4's recommended ones, with items
 * (`ecommerce: no`: every event keeps its name).
 *
 * Names: letters, digits and _, 40 at most, no reserved ones or prefixes; at most 25 params, texts
 * of 100 bytes. The answer is 204 whatever was sent: `sink test` asks /debug, which validates.
 */
// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "lib/record.h"
#include "sink/kinds.h"
#include "sink/plain.h"
#include "sink/sheet.h"

#define NAME_LEN   40
#define TEXT_LEN   100
#define PARAMS_MAX 25
#define ITEMS_MAX  200

struct conf {
	const char *measurement_id, *api_secret, *region, *url;
	bool lowercase, ecommerce;
};

static const struct conf *conf_of(const struct dest *dest)
{
	return dest->conf;
}

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "measurement_id", DEST_FIELD_TEXT, AT(measurement_id), NULL, true, 0, 0, NULL,
	  "of the web stream: G-..." },
	{ "api_secret", DEST_FIELD_SECRET, AT(api_secret), NULL, true, 0, 0, NULL,
	  "Measurement Protocol API secret" },
	{ "region", DEST_FIELD_CHOICE, AT(region), "us", false, 0, 0, "us|eu",
	  "eu: collected in the EU" },
	{ "lowercase", DEST_FIELD_FLAG, AT(lowercase), "no", false, 0, 0, NULL,
	  "event names in lower case" },
	{ "ecommerce", DEST_FIELD_FLAG, AT(ecommerce), "yes", false, 0, 0, NULL,
	  "Order Completed becomes purchase, Product Added add_to_cart, and so on" },
	{ "url", DEST_FIELD_URL, AT(url), NULL, false, 0, 0, NULL,
	  "another host than Google's, such as a server container" },
	{ .name = NULL },
};

/* Blanks and all else that GA4 refuses become _; what is too long is cut. */
static size_t clean_name(struct slice name, bool lower, char out[NAME_LEN + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < name.len && len < NAME_LEN; i++) {
		unsigned char c = (unsigned char)name.ptr[i];

		if ((c & 0xc0) == 0x80)
			continue;       /* the rest of a character that is one _ already */
		out[len++] = isalnum(c) && c < 0x80 ? (char)(lower ? tolower(c) : c) : '_';
	}
	out[len] = '\0';
	return len;
}

static bool is_reserved(const char *name)
{
	static const char *const names[] = {
		"ad_activeview", "ad_click", "ad_exposure", "ad_impression", "ad_query",
		"adunit_exposure", "app_clear_data", "app_install", "app_remove", "app_update",
		"error", "first_open", "first_visit", "in_app_purchase", "notification_dismiss",
		"notification_foreground", "notification_open", "notification_receive",
		"os_update", "screen_view", "session_start", "user_engagement",
	};
	static const char *const prefixes[] = { "_", "firebase_", "ga_", "google_", "gtag." };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return !isalpha((unsigned char)name[0]);
}

enum items { ITEMS_NONE, ITEMS_PRODUCTS, ITEMS_ONE };

struct commerce {
	const char *event, *name;
	enum items items;
	struct sheet_rule rules[3];     /* params that have another name there */
};

static const struct commerce commerces[] = {
	{ "Order Completed", "purchase", ITEMS_PRODUCTS,
	  { { "transaction_id", "properties.order_id" }, { "value", "properties.total" } } },
	{ "Order Refunded", "refund", ITEMS_PRODUCTS,
	  { { "transaction_id", "properties.order_id" }, { "value", "properties.total" } } },
	{ "Checkout Started", "begin_checkout", ITEMS_PRODUCTS, { { NULL, NULL } } },
	{ "Payment Info Entered", "add_payment_info", ITEMS_PRODUCTS,
	  { { "payment_type", "properties.payment_method" } } },
	{ "Cart Viewed", "view_cart", ITEMS_PRODUCTS, { { NULL, NULL } } },
	{ "Product List Viewed", "view_item_list", ITEMS_PRODUCTS,
	  { { "item_list_id", "properties.list_id" },
	    { "item_list_name", "properties.category" } } },
	{ "Product Added", "add_to_cart", ITEMS_ONE, { { NULL, NULL } } },
	{ "Product Removed", "remove_from_cart", ITEMS_ONE, { { NULL, NULL } } },
	{ "Product Viewed", "view_item", ITEMS_ONE, { { NULL, NULL } } },
	{ "Product Clicked", "select_item", ITEMS_ONE, { { NULL, NULL } } },
	{ "Product Added to Wishlist", "add_to_wishlist", ITEMS_ONE, { { NULL, NULL } } },
	{ "Products Searched", "search", ITEMS_NONE,
	  { { "search_term", "properties.query" } } },
	{ "Signed Up", "sign_up", ITEMS_NONE, { { NULL, NULL } } },
	{ "Signed In", "login", ITEMS_NONE, { { NULL, NULL } } },
};

static const struct commerce *find_commerce(const struct dest *dest, const struct event *event)
{
	struct slice name = event_text(event, ENRICHED_EVENT);

	for (size_t i = 0; i < sizeof(commerces) / sizeof(commerces[0]); i++)
		if (event->type == EVENT_TRACK && conf_of(dest)->ecommerce &&
		    slice_is(name, commerces[i].event))
			return &commerces[i];
	return NULL;
}

static void put_item(yyjson_val *product, struct buf *out)
{
	static const struct sheet_rule list[] = {
		{ "item_id", "product_id" }, { "item_name", "name" },
		{ "affiliation", "affiliation" }, { "coupon", "coupon" }, { "index", "position" },
		{ "item_brand", "brand" }, { "item_category", "category" },
		{ "item_variant", "variant" }, { "price", "price" }, { "quantity", "quantity" },
	};
	struct sheet sheet;

	sheet_begin(&sheet, out, NULL);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		yyjson_val *value = json_get(product, list[i].path);

		if (!yyjson_is_ctn(value))
			sheet_json(&sheet, list[i].name, value);
	}
	sheet_end(&sheet);
}

/* What the event's own properties do not say by GA4's names. */
static void put_commerce(const struct commerce *commerce, const struct event *event,
			 struct sheet *sheet)
{
	yyjson_val *products = commerce->items == ITEMS_PRODUCTS
			       ? json_get(event->properties, "products") : NULL, *product;
	size_t i, count;

	sheet_rules(sheet, event, commerce->rules);
	if (json_get(event->properties, "items") || !event->properties ||
	    (commerce->items == ITEMS_PRODUCTS ? !yyjson_is_arr(products)
					       : commerce->items == ITEMS_NONE))
		return;
	sheet_name(sheet, "items");
	buf_append_char(sheet->out, '[');
	if (commerce->items == ITEMS_ONE)
		put_item(event->properties, sheet->out);
	else
		yyjson_arr_foreach(products, i, count, product) {
			if (i == ITEMS_MAX)
				break;
			if (i)
				buf_append_char(sheet->out, ',');
			put_item(product, sheet->out);
		}
	buf_append_char(sheet->out, ']');
}

/* Numbers and texts go as they are; nested ones have no place but in items. */
static void put_params(const struct event *event, struct sheet *sheet)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	int count = 4;                  /* what was put before, at most */

	if (!yyjson_obj_iter_init(event->properties, &iter))
		return;
	while ((key = yyjson_obj_iter_next(&iter)) && count < PARAMS_MAX) {
		yyjson_val *value = yyjson_obj_iter_get_val(key);
		struct slice text = json_string(value), word = json_string(key);
		char name[NAME_LEN + 1];

		if (yyjson_is_obj(value) || yyjson_is_null(value) ||
		    (yyjson_is_arr(value) && !slice_is(word, "items")))
			continue;
		if (!clean_name(word, false, name) || !isalpha((unsigned char)name[0]) ||
		    (yyjson_obj_get(event->properties, name) && !slice_is(word, name)))
			continue;
		count++;
		if (text.ptr && text.len > TEXT_LEN) {
			text.len = TEXT_LEN;
			while (text.len && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
				text.len--;
		}
		if (!text.ptr)
			sheet_json(sheet, name, value);
		else
			sheet_text(sheet, name, text);
	}
}

/* Google's terms forbid what tells who somebody is. */
static const char *const personal[] = { "email", "phone", "name", "firstName", "first_name",
	"lastName", "last_name", "username", "address", "birthday", NULL };

static void put_user(const struct event *event, struct sheet *sheet)
{
	yyjson_obj_iter iter;
	struct sheet inner;
	yyjson_val *key;
	int count = 0;

	if (event->type != EVENT_IDENTIFY || !yyjson_obj_iter_init(event->traits, &iter))
		return;
	sheet_name(sheet, "user_properties");
	sheet_begin(&inner, sheet->out, NULL);
	while ((key = yyjson_obj_iter_next(&iter)) && count < PARAMS_MAX) {
		yyjson_val *value = yyjson_obj_iter_get_val(key);
		char name[NAME_LEN + 1];

		if (yyjson_is_ctn(value) || yyjson_is_null(value) ||
		    sheet_is_one_of(json_string(key), personal) ||
		    !clean_name(json_string(key), false, name) || is_reserved(name))
			continue;
		count++;
		sheet_name(&inner, name);
		buf_append_text(inner.out, "{\"value\":");
		json_write(value, inner.out);
		buf_append_char(inner.out, '}');
	}
	sheet_end(&inner);
}

static int ga4_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct slice client = event_text(event, ENRICHED_ANONYMOUS_ID);
	struct slice name = event_text(event, ENRICHED_EVENT);
	const struct commerce *commerce = find_commerce(dest, event);
	char clean[NAME_LEN + 1];
	struct sheet sheet, params;

	clean_name(event->type == EVENT_PAGE ? SLICE("page_view")
		   : event->type == EVENT_IDENTIFY ? SLICE("identify")
		   : commerce ? slice_from(commerce->name) : name,
		   conf_of(dest)->lowercase, clean);
	if (is_reserved(clean)) {
		snprintf(out->words, sizeof(out->words), "GA4 keeps the event name '%s' for "
			 "itself: rename it with `map`", clean);
		return -EBADMSG;
	}
	sheet_begin(&sheet, out->buf, NULL);
	sheet_text(&sheet, "client_id", client.len ? client : event_person(event));
	sheet_text(&sheet, "user_id", event_text(event, ENRICHED_USER_ID));
	sheet_num(&sheet, "timestamp_micros", event->fields[ENRICHED_TIMESTAMP].num);
	put_user(event, &sheet);
	sheet_name(&sheet, "events");
	buf_append_text(out->buf, "[{\"name\":");
	json_write_text(slice_from(clean), out->buf);
	buf_append_text(out->buf, ",\"params\":");
	sheet_begin(&params, out->buf, event->properties);
	sheet_num(&params, "engagement_time_msec", 1);
	if (event->type == EVENT_PAGE) {
		sheet_json(&params, "page_location", event_path(event, "context.page.url"));
		sheet_json(&params, "page_referrer", event_path(event, "context.page.referrer"));
		sheet_json(&params, "page_title", event_path(event, "context.page.title"));
	}
	if (commerce)
		put_commerce(commerce, event, &params);
	params.over = NULL;
	put_params(event, &params);
	buf_append_text(out->buf, "}}]}");
	return dest_out_end(out, 0);
}

static int ga4_build(struct dest *dest, const struct dest_batch *batch,
		     struct post_request *request)
{
	const struct conf *conf = dest->conf;
	const char *host = conf->url ? conf->url : strcmp(conf->region, "eu") == 0
			   ? "https://region1.google-analytics.com"
			   : "https://www.google-analytics.com";

	snprintf(request->url, sizeof(request->url), "%s%s?measurement_id=%s&api_secret=%s", host,
		 dest->is_test ? "/debug/mp/collect" : "/mp/collect", conf->measurement_id,
		 conf->api_secret);
	buf_append_slice(&request->body, batch->items[0]->payload);
	return post_header(request, "Content-Type", SLICE("application/json"));
}

static void ga4_judge(struct dest *dest, const struct dest_batch *batch,
		      const struct post_answer *answer, struct dest_result *results)
{
	yyjson_val *root, *list, *first;
	struct slice words;

	dest_judge_status(batch, answer, results);
	if (!dest->is_test || answer->status != 200 ||
	    json_parse(dest->json, answer->body, &root, NULL) < 0)
		return;
	list = json_get(root, "validationMessages");
	first = yyjson_is_arr(list) ? yyjson_arr_get_first(list) : NULL;
	words = json_text(first, "description");
	if (first)
		dest_result_all(batch, results, DEST_INVALID, words);
}

const struct dest_kind dest_ga4 = {
	.name = "ga4",
	.summary = "Google Analytics 4, Measurement Protocol",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_NO_BATCH_KEY,
	.accepts = DEST_TRACK | DEST_PAGE | DEST_SCREEN | DEST_IDENTIFY | DEST_GROUP,
	.limits = { .items = 1, .bytes = 130 << 10, .concurrency = 16 },
	.open = plain_open,
	.map = ga4_map,
	.build = ga4_build,
	.judge = ga4_judge,
	.close = plain_close,
};
