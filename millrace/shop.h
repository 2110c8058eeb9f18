/* shop - a simulated shop whose visitors go through a real funnel
 *
 *      arrivals (by the hour, the weekday, a little growth) --> visit --> steps --> messages
 *
 *      land -> browse | search -> product page -> Product Viewed -> Product Added
 *           -> Checkout Started -> [sign up] -> Order Completed          (leaving at every arrow)
 *
 * Visitors have an anonymous id per device, a browser or the app, an address, a campaign that
 * brought them; some make an account, come back, log in from a second device, belong to a
 * company. A second device counts as another person until it logs in: nothing links it before.
 * All of it follows from the seed: the same conf gives the same bytes. A visitor's looks are never
 * stored, they are derived from (seed, number) again at each message, so that a
 * visitor costs 8 bytes.
 *
 * Messages are Segment's: JSON objects as an SDK puts them in a batch. Nothing here knows HTTP.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_SHOP_H
#define MILLRACE_SHOP_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define SHOP_USERS_MAX 10000000
#define SHOP_RATE_MAX  20000.0

/* In the order of the funnel; shop_name() has the event's name as enrich writes it. */
enum shop_kind {
	SHOP_KIND_PAGE,
	SHOP_KIND_SCREEN,
	SHOP_KIND_OPENED,
	SHOP_KIND_SEARCHED,
	SHOP_KIND_VIEWED,
	SHOP_KIND_ADDED,
	SHOP_KIND_CHECKOUT,
	SHOP_KIND_SIGNED_UP,
	SHOP_KIND_IDENTIFY,
	SHOP_KIND_ALIAS,
	SHOP_KIND_GROUP,
	SHOP_KIND_ORDERED,
	SHOP_KIND_COUNT
};

struct shop_conf {
	uint64_t seed;
	int users;              /* about so many visitors come between from and to */
	int64_t from_us, to_us;
};

struct shop_event {
	int64_t time_us;
	enum shop_kind kind;
};

struct shop_truth {
	uint64_t total[SHOP_KIND_COUNT];        /* events */
	/* With at least one of them, as they can be known: a visitor's browser and app are two
	 * until both have logged in. */
	uint64_t people[SHOP_KIND_COUNT];
	uint64_t visitors;
	uint64_t visits;
	int64_t first_us, last_us;              /* of all events; 0 where there is none */
};

struct shop;

MUST_CHECK int shop_open(struct shop **shopp, const struct shop_conf *conf, struct err *err);
void shop_close(struct shop *shop);

/* The next event at or before until_us, in the order of time: 1, and its message is appended to
 * json. 0: nothing happens until then. -ENOMEM. */
MUST_CHECK int shop_next(struct shop *shop, int64_t until_us, struct shop_event *event,
			 struct buf *json);

/* Before shop_go_live, after the history: goes on with the counts of earlier live runs (all but
 * people), and with as many visitors, of whom only those of the history are remembered. */
MUST_CHECK int shop_resume(struct shop *shop, const struct shop_truth *earlier);

/* From now on visitors come so that about `rate` events happen in a second, and think four times
 * as fast, so that the rate is reached after half a minute. salt makes the ids of this run
 * its own. */
void shop_go_live(struct shop *shop, double rate, int64_t now_us, uint64_t salt);

const struct shop_truth *shop_truth(const struct shop *shop);
const char *shop_name(enum shop_kind kind);

#endif
