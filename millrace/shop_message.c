// SPDX-License-Identifier: Apache-2.0
#include "millrace/shop_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/when.h"

#define SHOP_HOST "https://shop.example"

/* Members are written as `"key":value,`; end() turns the last comma into the brace. */
static void member(struct buf *json, const char *key, const char *value)
{
	buf_printf(json, "\"%s\":", key);
	json_write_text(slice_from(value), json);
	buf_append_char(json, ',');
}

static void member_money(struct buf *json, const char *key, uint64_t cents)
{
	buf_printf(json, "\"%s\":%llu.%02llu,", key, (unsigned long long)(cents / 100),
		   (unsigned long long)(cents % 100));
}

static void begin(struct buf *json, const char *key)
{
	buf_printf(json, "\"%s\":{", key);
}

static void end(struct buf *json)
{
	if (json->len && json->ptr[json->len - 1] == ',')
		json->len--;
	buf_append_text(json, "},");
}

static void member_uuid(struct buf *json, const char *key, const char *prefix, uint64_t hash)
{
	uint64_t a = shop_mix(hash), b = shop_mix(hash ^ 0x5bd1e995);

	buf_printf(json, "\"%s\":\"%s%08x-%04x-4%03x-%04x-%012llx\",", key, prefix,
		   (unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
		   ((unsigned)(b >> 48) & 0x3fff) | 0x8000,
		   (unsigned long long)(b & 0xffffffffffffU));
}

static uint64_t anonymous_hash(const struct shop_scene *scene)
{
	return shop_mix(scene->look + (scene->is_app ? 4 : 3));
}

static void write_ids(const struct shop_scene *scene, enum shop_kind kind, struct buf *json)
{
	if (kind == SHOP_KIND_ALIAS) {
		member_uuid(json, "previousId", "", anonymous_hash(scene));
		buf_printf(json, "\"userId\":\"u_%06u\",", (unsigned)scene->number);
		return;
	}
	member_uuid(json, "anonymousId", "", anonymous_hash(scene));
	if (scene->is_known)
		buf_printf(json, "\"userId\":\"u_%06u\",", (unsigned)scene->number);
}

static void write_address(const struct shop_scene *scene, const struct shop_country *country,
			  struct buf *json)
{
	uint64_t hash = shop_mix(scene->look + (scene->is_app ? 6 : 5));

	if (country->a == 0) {
		buf_printf(json, "\"ip\":\"2003:c%x:%x:%x::%x\",", (unsigned)(hash & 0xf),
			   (unsigned)(hash >> 8) & 0xffff, (unsigned)(hash >> 24) & 0xffff,
			   (unsigned)(hash >> 40) % 0xffff + 1);
		return;
	}
	buf_printf(json, "\"ip\":\"%u.%u.%u.%u\",", country->a,
		   country->b_first + (unsigned)(hash % country->b_count),
		   (unsigned)(hash >> 16) & 0xff, (unsigned)(hash >> 24) % 254 + 1);
}

/* Path and title of where the visitor is; the path is at most 120 bytes. */
static void write_place(const struct shop_scene *scene, char path[128], char title[128])
{
	switch (scene->place) {
	case SHOP_PLACE_HOME:
		snprintf(path, 128, "/");
		snprintf(title, 128, "Shop");
		break;
	case SHOP_PLACE_CATEGORY:
		snprintf(path, 128, "/c/%s", scene->product->category);
		snprintf(title, 128, "%s - Shop", scene->product->category);
		break;
	case SHOP_PLACE_PRODUCT:
		snprintf(path, 128, "/p/%s", scene->product->id);
		snprintf(title, 128, "%s - Shop", scene->product->name);
		break;
	case SHOP_PLACE_CHECKOUT:
		snprintf(path, 128, "/checkout");
		snprintf(title, 128, "Checkout - Shop");
		break;
	}
}

/* The page's members: of context.page, and of the properties of a page call. */
static void write_page(const struct shop_scene *scene, struct buf *json)
{
	const struct shop_channel *channel = scene->channel;
	char path[128], title[128], search[256] = "", url[400];
	bool is_landing = scene->is_landing;
	int len;

	write_place(scene, path, title);
	if (is_landing && channel->source) {
		len = snprintf(search, sizeof(search), "?utm_source=%s&utm_medium=%s&"
			       "utm_campaign=%s", channel->source, channel->medium,
			       channel->campaign);
		if (channel->click)
			snprintf(search + len, sizeof(search) - (size_t)len, "&%s=%016llx",
				 channel->click, (unsigned long long)shop_mix(scene->look + 7));
	}
	snprintf(url, sizeof(url), SHOP_HOST "%s%s", path, search);
	member(json, "path", path);
	member(json, "referrer", is_landing ? channel->referrer : SHOP_HOST "/");
	member(json, "search", search);
	member(json, "title", title);
	member(json, "url", url);
}

/* What Chromium's browsers tell beside the user agent, which is frozen: half of the Windows there
 * is 11. */
static void write_hints(const struct shop_scene *scene, const char *agent, struct buf *json)
{
	const char *at = strstr(agent, "Chrome/");
	bool is_edge = strstr(agent, "Edg/") != NULL, is_phone = strstr(agent, "Android") != NULL;
	bool is_windows = strstr(agent, "Windows") != NULL;
	int version = at ? (int)strtol(at + 7, NULL, 10) : 0;

	if (!at || strstr(agent, "SamsungBrowser"))
		return;
	begin(json, "userAgentData");
	buf_printf(json, "\"brands\":[{\"brand\":\"Chromium\",\"version\":\"%d\"},"
		   "{\"brand\":\"%s\",\"version\":\"%d\"},"
		   "{\"brand\":\"Not_A Brand\",\"version\":\"99\"}],", version,
		   is_edge ? "Microsoft Edge" : "Google Chrome", version);
	buf_printf(json, "\"mobile\":%s,", is_phone ? "true" : "false");
	member(json, "platform", is_phone ? "Android" : is_windows ? "Windows" : "macOS");
	if (is_phone) {
		member(json, "platformVersion",
		       shop_mix(scene->look + 12) % 3 ? "15.0.0" : "14.0.0");
		member(json, "model", shop_mix(scene->look + 13) % 2 ? "Pixel 8" : "SM-S911B");
	} else {
		member(json, "platformVersion", !is_windows ? "15.6.1"
			: shop_mix(scene->look + 12) % 2 ? "15.0.0" : "10.0.0");
	}
	end(json);
}

static void write_context(const struct shop_scene *scene, struct buf *json)
{
	const struct shop_country *country = shop_country(shop_mix(scene->look + 8));
	const struct shop_agent *agent = shop_scene_agent(scene);
	const struct shop_app *app = shop_app(shop_mix(scene->look + 9));
	const struct shop_channel *channel = scene->channel;

	begin(json, "context");
	write_address(scene, country, json);
	member(json, "userAgent", scene->is_app ? app->user_agent : agent->user_agent);
	member(json, "locale", country->locale);
	member(json, "timezone", country->zone);
	if (scene->is_app) {
		buf_append_text(json, "\"app\":{\"name\":\"Shop\",\"version\":\"4.2\"},");
		buf_append_text(json, "\"library\":{\"name\":\"shop-demo-app\","
				"\"version\":\"1.0\"},");
		begin(json, "os");
		member(json, "name", app->os);
		member(json, "version", app->os_version);
		end(json);
		begin(json, "device");
		member(json, "manufacturer", app->maker);
		member(json, "model", app->model);
		member(json, "type", app->type);
		end(json);
	} else {
		buf_append_text(json, "\"library\":{\"name\":\"shop-demo\",\"version\":\"1.0\"},");
		write_hints(scene, agent->user_agent, json);
		buf_printf(json, "\"screen\":{\"width\":%d,\"height\":%d},", agent->width,
			   agent->height);
		begin(json, "page");
		write_page(scene, json);
		end(json);
	}
	if (scene->is_landing && !scene->is_app && channel->source) {
		begin(json, "campaign");
		member(json, "source", channel->source);
		member(json, "medium", channel->medium);
		member(json, "name", channel->campaign);
		end(json);
	}
	end(json);
}

static void write_traits(const struct shop_scene *scene, struct buf *json)
{
	uint64_t hash = shop_mix(scene->look + 10);
	const char *first, *last, *plan;
	char text[128];
	bool is_woman;

	first = shop_first_name(hash, &is_woman);
	last = shop_last_name(hash >> 16);
	plan = shop_scene_is_business(scene) ? "business" : hash % 10 < 3 ? "plus" : "free";
	begin(json, "traits");
	snprintf(text, sizeof(text), "%s %s", first, last);
	member(json, "name", text);
	snprintf(text, sizeof(text), "user%06u@mail.example", (unsigned)scene->number);
	member(json, "email", text);
	buf_printf(json, "\"age\":%u,", 18 + (unsigned)((hash >> 32) % 30 + (hash >> 40) % 30));
	member(json, "gender", is_woman ? "female" : "male");
	member(json, "plan", plan);
	end(json);
}

static void write_company(const struct shop_scene *scene, struct buf *json)
{
	uint64_t hash = shop_mix(scene->look + 11) % 10;

	buf_printf(json, "\"groupId\":\"company_%u\",", (unsigned)hash);
	begin(json, "traits");
	member(json, "name", shop_company(hash));
	buf_printf(json, "\"employees\":%u,", (unsigned)(shop_mix(hash) % 200) + 3);
	member(json, "plan", "business");
	end(json);
}

static void write_product(const struct shop_product *product, struct buf *json)
{
	member(json, "product_id", product->id);
	member(json, "name", product->name);
	member(json, "category", product->category);
	member_money(json, "price", product->cents);
}

static void write_order(const struct shop_scene *scene, enum shop_kind kind, struct buf *json)
{
	uint64_t shipping = scene->cart_cents > 5000 ? 0 : 490;

	buf_printf(json, "\"order_id\":\"o_%010llx\",",
		   (unsigned long long)(scene->order & 0xffffffffffU));
	buf_printf(json, "\"items\":%u,", (unsigned)scene->cart_items);
	if (kind == SHOP_KIND_CHECKOUT) {
		member_money(json, "value", scene->cart_cents);
	} else {
		member_money(json, "revenue", scene->cart_cents);
		member_money(json, "shipping", shipping);
		member_money(json, "total", scene->cart_cents + shipping);
		if (scene->order % 7 == 0)
			member(json, "coupon", "AUTUMN10");
		buf_append_text(json, "\"products\":[{");
		write_product(scene->product, json);
		buf_printf(json, "\"quantity\":%u}],", (unsigned)scene->quantity);
	}
	member(json, "currency", "EUR");
}

static void write_properties(const struct shop_scene *scene, enum shop_kind kind,
			     struct buf *json)
{
	begin(json, "properties");
	switch (kind) {
	case SHOP_KIND_PAGE:
		write_page(scene, json);
		break;
	case SHOP_KIND_SCREEN:
	case SHOP_KIND_OPENED:
		member(json, "version", "4.2");
		break;
	case SHOP_KIND_SEARCHED:
		member(json, "query", shop_query(scene->words));
		break;
	case SHOP_KIND_VIEWED:
		write_product(scene->product, json);
		break;
	case SHOP_KIND_ADDED:
		write_product(scene->product, json);
		buf_printf(json, "\"quantity\":%u,", (unsigned)scene->quantity);
		break;
	case SHOP_KIND_SIGNED_UP:
		member(json, "method", scene->words % 3 ? "email" : "google");
		break;
	default:
		write_order(scene, kind, json);
		break;
	}
	end(json);
}

static void write_call(const struct shop_scene *scene, enum shop_kind kind, struct buf *json)
{
	static const char *const pages[] = { "Home", "Category", "Product", "Checkout" };

	switch (kind) {
	case SHOP_KIND_PAGE:
	case SHOP_KIND_SCREEN:
		member(json, "type", kind == SHOP_KIND_PAGE ? "page" : "screen");
		member(json, "name", pages[scene->place]);
		write_properties(scene, kind, json);
		break;
	case SHOP_KIND_IDENTIFY:
		member(json, "type", "identify");
		write_traits(scene, json);
		break;
	case SHOP_KIND_ALIAS:
		member(json, "type", "alias");
		break;
	case SHOP_KIND_GROUP:
		member(json, "type", "group");
		write_company(scene, json);
		break;
	default:
		member(json, "type", "track");
		member(json, "event", shop_name(kind));
		write_properties(scene, kind, json);
		break;
	}
}

void shop_message(const struct shop_scene *scene, enum shop_kind kind, uint64_t id,
		  int64_t time_us, struct buf *json)
{
	char time[WHEN_TEXT_MAX];

	buf_append_char(json, '{');
	write_call(scene, kind, json);
	member_uuid(json, "messageId", "shop-", id);
	when_print(time_us, 3, time);
	member(json, "timestamp", time);
	write_ids(scene, kind, json);
	write_context(scene, json);
	end(json);
	if (json->len && json->ptr[json->len - 1] == ',')
		json->len--;
}
