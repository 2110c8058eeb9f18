// SPDX-License-Identifier: Apache-2.0
#include "millrace/shop.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "millrace/shop_message.h"

#define SECOND_US INT64_C(1000000)
#define HOUR_US   (3600 * SECOND_US)
#define DAY_US    (24 * HOUR_US)

/* What a visitor and a visit come to on average; the second is measured (tests print it). */
#define VISITS_PER_VISITOR 2.2
#define EVENTS_PER_VISIT   4.7

enum stage {
	STAGE_LAND, STAGE_LOGIN, STAGE_BROWSE, STAGE_SEARCH, STAGE_PRODUCT, STAGE_VIEW, STAGE_ADD,
	STAGE_CHECKOUT_PAGE, STAGE_CHECKOUT, STAGE_SIGN_UP, STAGE_IDENTIFY, STAGE_ALIAS,
	STAGE_GROUP, STAGE_PAY, STAGE_LEAVE
};

struct visitor {
	uint16_t seen[2];       /* bit per shop_kind: in the browser, in the app */
	bool has_account;
	bool is_web_known;      /* the browser's cookie remembers the login */
	bool is_app_known;
};

struct visit {
	int64_t next_us;
	uint64_t number;        /* order of arrival: ties in time have one order */
	enum stage stage;
	int views;
	struct shop_scene scene;
};

struct shop {
	struct shop_conf conf;
	struct shop_truth truth;
	uint64_t random;
	uint64_t salt;          /* of message ids */
	uint64_t message_count;
	int64_t arrival_us;
	double live_rate;       /* events/s; 0: the history */
	struct visitor *visitors;       /* visitor_count of visitor_cap; owned */
	size_t visitor_count, visitor_cap;
	struct visit *heap;             /* by (next_us, number), the least first; owned */
	size_t heap_count, heap_cap;
};

static uint64_t draw(struct shop *shop)
{
	shop->random += 0x9e3779b97f4a7c15U;
	return shop_mix(shop->random);
}

static bool chance(struct shop *shop, int percent)
{
	return (int)(draw(shop) % 100) < percent;
}

static double draw_unit(struct shop *shop)
{
	return ((double)(draw(shop) >> 11) + 0.5) / 9007199254740992.0;
}

const char *shop_name(enum shop_kind kind)
{
	static const char *const names[] = {
		"Page", "Screen", "Application Opened", "Products Searched", "Product Viewed",
		"Product Added", "Checkout Started", "Signed Up", "Identify", "Alias", "Group",
		"Order Completed",
	};

	static_assert(sizeof(names) / sizeof(names[0]) == SHOP_KIND_COUNT, "a name per kind");
	return names[kind];
}

/* How busy the shop is at a time, 0..1: the hour, the weekday, and growth over the whole time. */
static double busy(const struct shop *shop, int64_t time_us)
{
	static const int hours[24] = { 30, 22, 16, 12, 12, 16, 26, 40, 54, 62, 66, 68,
				       74, 76, 74, 72, 74, 80, 88, 96, 100, 94, 74, 48 };
	static const int days[7] = { 86, 82, 80, 82, 90, 98, 100 };      /* from Thursday, 1970 */
	double part = (double)(time_us - shop->conf.from_us) /
		      (double)(shop->conf.to_us - shop->conf.from_us);

	return hours[time_us / HOUR_US % 24] / 100.0 * days[time_us / DAY_US % 7] / 100.0 *
	       (0.7 + 0.3 * part);
}

/* The mean of busy() over a day and a week, for the middle of the time. */
#define BUSY_MEAN 0.432

static void draw_arrival(struct shop *shop)
{
	double per_us, gap;

	if (shop->live_rate > 0) {
		per_us = shop->live_rate / EVENTS_PER_VISIT / (double)SECOND_US;
		shop->arrival_us += (int64_t)(-log(draw_unit(shop)) / per_us);
		return;
	}
	/* Thinning: draw at the busiest rate, keep in proportion. */
	per_us = shop->conf.users * VISITS_PER_VISITOR / BUSY_MEAN /
		 (double)(shop->conf.to_us - shop->conf.from_us);
	do {
		gap = -log(draw_unit(shop)) / per_us;
		shop->arrival_us += (int64_t)gap;
	} while (shop->arrival_us <= shop->conf.to_us &&
		 draw_unit(shop) > busy(shop, shop->arrival_us));
}

int shop_open(struct shop **shopp, const struct shop_conf *conf, struct err *err)
{
	struct shop *shop;

	if (conf->users < 1 || conf->users > SHOP_USERS_MAX || conf->to_us <= conf->from_us)
		return err_set(err, -EINVAL, "a shop needs 1 to %d users, and an end after its "
			       "start",
			       SHOP_USERS_MAX);
	shop = calloc(1, sizeof(*shop));
	if (!shop)
		return err_set(err, -ENOMEM, "no memory for the shop");
	shop->conf = *conf;
	shop->random = shop_mix(conf->seed);
	shop->salt = conf->seed;
	shop->arrival_us = conf->from_us;
	draw_arrival(shop);
	*shopp = shop;
	return 0;
}

void shop_close(struct shop *shop)
{
	if (!shop)
		return;
	free(shop->visitors);
	free(shop->heap);
	free(shop);
}

const struct shop_truth *shop_truth(const struct shop *shop)
{
	return &shop->truth;
}

static bool is_before(const struct visit *a, const struct visit *b)
{
	return a->next_us != b->next_us ? a->next_us < b->next_us : a->number < b->number;
}

static int heap_push(struct shop *shop, const struct visit *visit)
{
	size_t at = shop->heap_count;

	if (at == shop->heap_cap) {
		size_t cap = shop->heap_cap ? shop->heap_cap * 2 : 256;
		struct visit *heap = reallocarray(shop->heap, cap, sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		shop->heap = heap;
		shop->heap_cap = cap;
	}
	shop->heap_count++;
	for (; at > 0 && is_before(visit, &shop->heap[(at - 1) / 2]); at = (at - 1) / 2)
		shop->heap[at] = shop->heap[(at - 1) / 2];
	shop->heap[at] = *visit;
	return 0;
}

static struct visit heap_pop(struct shop *shop)
{
	struct visit top = shop->heap[0], last = shop->heap[--shop->heap_count];
	size_t at = 0, child;

	while ((child = at * 2 + 1) < shop->heap_count) {
		if (child + 1 < shop->heap_count &&
		    is_before(&shop->heap[child + 1], &shop->heap[child]))
			child++;
		if (!is_before(&shop->heap[child], &last))
			break;
		shop->heap[at] = shop->heap[child];
		at = child;
	}
	if (shop->heap_count)
		shop->heap[at] = last;
	return top;
}

static int visitor_add(struct shop *shop, uint32_t *number)
{
	if (shop->visitor_count == shop->visitor_cap) {
		size_t cap = shop->visitor_cap ? shop->visitor_cap * 2 : 1024;
		struct visitor *visitors = reallocarray(shop->visitors, cap, sizeof(*visitors));

		if (!visitors)
			return -ENOMEM;
		shop->visitors = visitors;
		shop->visitor_cap = cap;
	}
	*number = (uint32_t)shop->visitor_count++;
	shop->visitors[*number] = (struct visitor){ 0 };
	shop->truth.visitors++;
	return 0;
}

/* Somebody comes: new, or one who has been here. */
static int arrive(struct shop *shop)
{
	struct visit visit = { .next_us = shop->arrival_us, .number = shop->truth.visits };
	struct shop_scene *scene = &visit.scene;
	struct visitor *visitor;
	int rc;

	if (shop->visitor_count == 0 || draw_unit(shop) < 1 / VISITS_PER_VISITOR) {
		if ((rc = visitor_add(shop, &scene->number)) < 0)
			return rc;
	} else {
		scene->number = (uint32_t)(draw(shop) % shop->visitor_count);
	}
	visitor = &shop->visitors[scene->number];
	scene->look = shop_mix(shop_mix(shop->conf.seed) + scene->number);
	/* One in three has the app, and those with an account open it more often than not. */
	scene->is_app = shop_mix(scene->look + 20) % 100 < 35 && visitor->has_account &&
			chance(shop, 60);
	scene->is_known = scene->is_app ? visitor->is_app_known : visitor->is_web_known;
	scene->channel = shop_channel(draw(shop));
	scene->product = shop_product(draw(shop));
	scene->is_landing = true;
	scene->place = chance(shop, 65) ? SHOP_PLACE_HOME : SHOP_PLACE_CATEGORY;
	shop->truth.visits++;
	draw_arrival(shop);
	return heap_push(shop, &visit);
}

/* How likely this visitor goes on towards buying, in percent of the usual. */
static int eagerness(const struct shop_scene *scene)
{
	int percent = scene->is_app ? 120 : scene->channel->buying_percent;

	if (!scene->is_app && shop_scene_agent(scene)->is_phone)
		percent = percent * 70 / 100;
	if (scene->is_known)
		percent = percent * 140 / 100;
	return percent;
}

static bool goes_on(struct shop *shop, const struct shop_scene *scene, int percent)
{
	percent = percent * eagerness(scene) / 100;
	return chance(shop, percent > 95 ? 95 : percent);
}

static enum stage after_landing(struct shop *shop, const struct visit *visit)
{
	const struct shop_scene *scene = &visit->scene;
	const struct visitor *visitor = &shop->visitors[scene->number];

	if (visitor->has_account && !scene->is_known && chance(shop, 60))
		return STAGE_LOGIN;
	if (!goes_on(shop, scene, 78))
		return STAGE_LEAVE;
	if (chance(shop, 20))
		return STAGE_SEARCH;
	return scene->place == SHOP_PLACE_HOME && chance(shop, 50) ? STAGE_BROWSE : STAGE_PRODUCT;
}

static void add_to_cart(struct shop *shop, struct shop_scene *scene)
{
	scene->quantity = chance(shop, 80) ? 1 : 2 + (uint32_t)(draw(shop) % 3);
	scene->cart_items += scene->quantity;
	scene->cart_cents += (uint64_t)scene->quantity * scene->product->cents;
}

/* Nobody can know a browser and an app as one person's before both have logged in. */
static bool is_one_person(const struct visitor *visitor)
{
	return visitor->is_web_known && visitor->is_app_known;
}

static void log_in(struct shop *shop, struct shop_scene *scene)
{
	struct visitor *visitor = &shop->visitors[scene->number];
	bool was_one = is_one_person(visitor);

	visitor->has_account = true;
	scene->is_known = true;
	*(scene->is_app ? &visitor->is_app_known : &visitor->is_web_known) = true;
	/* Now both devices are known to be one person's, whatever they did before. */
	if (!was_one && is_one_person(visitor))
		for (int kind = 0; kind < SHOP_KIND_COUNT; kind++)
			shop->truth.people[kind] -= visitor->seen[0] >> kind &
						    visitor->seen[1] >> kind & 1;
}

/* What a stage shows. The scene is made ready for the message first. */
static enum shop_kind perform(struct shop *shop, struct visit *visit)
{
	struct shop_scene *scene = &visit->scene;
	enum shop_kind look_around = scene->is_app ? SHOP_KIND_SCREEN : SHOP_KIND_PAGE;

	switch (visit->stage) {
	case STAGE_LAND:
		return scene->is_app ? SHOP_KIND_OPENED : SHOP_KIND_PAGE;
	case STAGE_BROWSE:
		scene->place = SHOP_PLACE_CATEGORY;
		return look_around;
	case STAGE_SEARCH:
		scene->words = draw(shop);
		return SHOP_KIND_SEARCHED;
	case STAGE_PRODUCT:
		scene->product = shop_product(draw(shop));
		scene->place = SHOP_PLACE_PRODUCT;
		return look_around;
	case STAGE_VIEW:
		visit->views++;
		return SHOP_KIND_VIEWED;
	case STAGE_ADD:
		add_to_cart(shop, scene);
		return SHOP_KIND_ADDED;
	case STAGE_CHECKOUT_PAGE:
		scene->place = SHOP_PLACE_CHECKOUT;
		return look_around;
	case STAGE_CHECKOUT:
		scene->order = draw(shop);
		return SHOP_KIND_CHECKOUT;
	case STAGE_SIGN_UP:
		scene->words = draw(shop);
		return SHOP_KIND_SIGNED_UP;
	case STAGE_LOGIN:
	case STAGE_IDENTIFY:
		log_in(shop, scene);
		return SHOP_KIND_IDENTIFY;
	case STAGE_ALIAS:
		return SHOP_KIND_ALIAS;
	case STAGE_GROUP:
		return SHOP_KIND_GROUP;
	default:
		return SHOP_KIND_ORDERED;
	}
}

static enum stage after_view(struct shop *shop, const struct visit *visit)
{
	if (goes_on(shop, &visit->scene, 22))
		return STAGE_ADD;
	return visit->views < 10 && chance(shop, 62) ? STAGE_PRODUCT : STAGE_LEAVE;
}

/* Where the visitor goes next, after the message of a stage is out. */
static enum stage decide(struct shop *shop, const struct visit *visit)
{
	const struct shop_scene *scene = &visit->scene;
	const struct visitor *visitor = &shop->visitors[scene->number];

	switch (visit->stage) {
	case STAGE_LAND:
		return after_landing(shop, visit);
	case STAGE_LOGIN:
	case STAGE_BROWSE:
	case STAGE_SEARCH:
		return chance(shop, 80) ? STAGE_PRODUCT : STAGE_LEAVE;
	case STAGE_PRODUCT:
		return STAGE_VIEW;
	case STAGE_VIEW:
		return after_view(shop, visit);
	case STAGE_ADD:
		if (goes_on(shop, scene, 52))
			return STAGE_CHECKOUT_PAGE;
		return chance(shop, 40) ? STAGE_PRODUCT : STAGE_LEAVE;
	case STAGE_CHECKOUT_PAGE:
		return STAGE_CHECKOUT;
	case STAGE_CHECKOUT:
		if (!visitor->has_account && chance(shop, 45))
			return STAGE_SIGN_UP;
		return goes_on(shop, scene, 55) ? STAGE_PAY : STAGE_LEAVE;
	case STAGE_SIGN_UP:
		return STAGE_IDENTIFY;
	case STAGE_IDENTIFY:
		if (shop_scene_is_business(scene))
			return STAGE_GROUP;
		return chance(shop, 5) ? STAGE_ALIAS : STAGE_PAY;
	case STAGE_ALIAS:
	case STAGE_GROUP:
		return STAGE_PAY;
	default:
		return STAGE_LEAVE;
	}
}

/* Time between two messages: code fires at once, people think. */
static int64_t think(struct shop *shop, enum stage next)
{
	int64_t ms;

	switch (next) {
	case STAGE_VIEW:
	case STAGE_CHECKOUT:
	case STAGE_IDENTIFY:
	case STAGE_ALIAS:
	case STAGE_GROUP:
		return (40 + (int64_t)(draw(shop) % 400)) * 1000;
	case STAGE_SIGN_UP:
	case STAGE_PAY:
		ms = 20000 + (int64_t)(draw(shop) % 90000);
		break;
	default:
		ms = 3000 + (int64_t)(draw(shop) % 30000);
		break;
	}
	return (shop->live_rate > 0 ? ms / 4 : ms) * 1000;
}

static void count(struct shop *shop, const struct shop_scene *scene,
		  const struct shop_event *event)
{
	struct visitor *visitor = &shop->visitors[scene->number];
	struct shop_truth *truth = &shop->truth;
	uint16_t bit = (uint16_t)(1 << event->kind), seen = visitor->seen[scene->is_app];

	static_assert(SHOP_KIND_COUNT <= 16, "a bit per kind");
	if (is_one_person(visitor))
		seen |= visitor->seen[!scene->is_app];
	truth->total[event->kind]++;
	truth->people[event->kind] += !(seen & bit);
	visitor->seen[scene->is_app] |= bit;
	if (truth->first_us == 0)
		truth->first_us = event->time_us;
	truth->last_us = event->time_us;
}

int shop_next(struct shop *shop, int64_t until_us, struct shop_event *event, struct buf *json)
{
	struct visit visit;
	int rc;

	while (shop->heap_count == 0 || shop->arrival_us <= shop->heap[0].next_us) {
		if (shop->arrival_us > until_us)
			return 0;
		if ((rc = arrive(shop)) < 0)
			return rc;
	}
	if (shop->heap[0].next_us > until_us)
		return 0;
	visit = heap_pop(shop);
	event->time_us = visit.next_us;
	event->kind = perform(shop, &visit);
	shop_message(&visit.scene, event->kind,
		     shop_mix(shop_mix(shop->salt) + shop->message_count++), event->time_us, json);
	if (json->failed)
		return -ENOMEM;
	count(shop, &visit.scene, event);
	visit.scene.is_landing = false;
	visit.stage = decide(shop, &visit);
	if (visit.stage == STAGE_LEAVE)
		return 1;
	visit.next_us += think(shop, visit.stage);
	return (rc = heap_push(shop, &visit)) < 0 ? rc : 1;
}

int shop_resume(struct shop *shop, const struct shop_truth *earlier)
{
	struct shop_truth *truth = &shop->truth;
	uint32_t number;
	int rc = 0;

	while (rc == 0 && shop->visitor_count < earlier->visitors &&
	       shop->visitor_count < SHOP_USERS_MAX)
		rc = visitor_add(shop, &number);
	if (earlier->visitors > truth->visitors)
		truth->visitors = earlier->visitors;
	if (earlier->visits > truth->visits)
		truth->visits = earlier->visits;
	for (int kind = 0; kind < SHOP_KIND_COUNT; kind++)
		if (earlier->total[kind] > truth->total[kind])
			truth->total[kind] = earlier->total[kind];
	return rc;
}

void shop_go_live(struct shop *shop, double rate, int64_t now_us, uint64_t salt)
{
	shop->live_rate = rate;
	shop->salt = shop_mix(shop->salt ^ salt);
	shop->random ^= shop_mix(salt);
	shop->arrival_us = now_us;
}
