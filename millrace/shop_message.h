/* shop_message - one thing that a visitor does, as the JSON an SDK would send
 *
 * A scene is what is known about a visitor in the middle of a visit; a message shows it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_SHOP_MESSAGE_H
#define MILLRACE_SHOP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "millrace/shop.h"
#include "millrace/shop_data.h"

enum shop_place { SHOP_PLACE_HOME, SHOP_PLACE_CATEGORY, SHOP_PLACE_PRODUCT, SHOP_PLACE_CHECKOUT };

struct shop_scene {
	uint64_t look;                  /* hash that all looks of the visitor follow from */
	uint32_t number;                /* of the visitor: the user id, once there is an account */
	bool is_app;                    /* the app on a second device, else the browser */
	bool is_known;                  /* logged in */
	bool is_landing;                /* the first page of the visit: it has the campaign */
	enum shop_place place;
	const struct shop_channel *channel;
	const struct shop_product *product;
	uint32_t quantity;
	uint32_t cart_items;
	uint64_t cart_cents;
	uint64_t order;                 /* hash that the order's id follows from */
	uint64_t words;                 /* hash for search words */
};

/* splitmix64's mixing step: a good hash of one number. */
static inline uint64_t shop_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15U;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
	return x ^ (x >> 31);
}

/* The phone or the computer of the visitor's browser. */
static inline const struct shop_agent *shop_scene_agent(const struct shop_scene *scene)
{
	return shop_agent(shop_mix(scene->look + 1));
}

/* Works for the business plan's price: these send group calls. */
static inline bool shop_scene_is_business(const struct shop_scene *scene)
{
	return shop_mix(scene->look + 2) % 100 < 15;
}

/* Appends the message; id is what its messageId follows from. */
void shop_message(const struct shop_scene *scene, enum shop_kind kind, uint64_t id,
		  int64_t time_us, struct buf *json);

#endif
