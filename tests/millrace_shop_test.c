// SPDX-License-Identifier: Apache-2.0
#include "millrace/shop.h"

#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/when.h"
#include "tests/tap.h"

#define FROM_US (INT64_C(1790000000) * 1000000)
#define DAY_US  (INT64_C(86400) * 1000000)

struct made {
	struct shop_truth truth;
	uint64_t hash;          /* of all messages */
	uint64_t count, bytes, out_of_order, wrong;
	int64_t first_us, last_us;
};

static void check_message(struct json_reader *reader, const struct shop_event *event,
			  struct slice text, struct made *made)
{
	bool is_alias = event->kind == SHOP_KIND_ALIAS, is_track;
	struct slice type, ip;
	yyjson_val *root;
	int64_t time_us;

	if (json_parse(reader, text, &root, NULL) < 0) {
		made->wrong++;
		return;
	}
	type = json_text(root, "type");
	is_track = slice_is(type, "track");
	ip = json_text(json_get(root, "context"), "ip");
	if (when_parse(json_text(root, "timestamp"), &time_us) ||
	    time_us / 1000 != event->time_us / 1000 ||
	    !json_text(root, "messageId").len || !ip.len ||
	    !json_text(json_get(root, "context"), "userAgent").len ||
	    is_track != (json_text(root, "event").len > 0) ||
	    (is_track && !slice_is(json_text(root, "event"), shop_name(event->kind))) ||
	    is_alias != (json_text(root, "previousId").len > 0) ||
	    (!is_alias && !json_text(root, "anonymousId").len) ||
	    (event->kind == SHOP_KIND_IDENTIFY && !json_text(root, "userId").len))
		made->wrong++;
}

static void make(uint64_t seed, int users, int64_t live_us, struct made *made)
{
	struct shop_conf conf = { seed, users, FROM_US, FROM_US + 30 * DAY_US };
	struct json_reader *reader = NULL;
	struct shop *shop = NULL;
	struct buf json = { 0 };
	struct shop_event event;
	int64_t until_us = conf.to_us;
	int rc = 0;

	*made = (struct made){ .hash = 14695981039346656037U };
	if (json_open(&reader, NULL) < 0 || shop_open(&shop, &conf, NULL) < 0)
		abort();
	for (int part = 0; part < (live_us ? 2 : 1) && rc >= 0; part++) {
		while ((rc = shop_next(shop, until_us, &event, &json)) > 0) {
			made->out_of_order += event.time_us < made->last_us ||
					      event.time_us > until_us;
			made->last_us = event.time_us;
			made->first_us = made->first_us ? made->first_us : event.time_us;
			check_message(reader, &event, buf_slice(&json), made);
			for (size_t i = 0; i < json.len; i++)
				made->hash = (made->hash ^ (unsigned char)json.ptr[i]) *
					     1099511628211U;
			made->count++;
			made->bytes += json.len;
			buf_reset(&json);
		}
		if (part == 0 && live_us) {
			shop_go_live(shop, 50, conf.to_us, 99);
			until_us += live_us;
		}
	}
	made->truth = *shop_truth(shop);
	shop_close(shop);
	json_close(reader);
	buf_close(&json);
}

static void test_funnel(struct tap *tap, const struct made *made)
{
	static const enum shop_kind funnel[] = {
		SHOP_KIND_VIEWED, SHOP_KIND_ADDED, SHOP_KIND_CHECKOUT, SHOP_KIND_ORDERED,
	};
	const uint64_t *people = made->truth.people;
	uint64_t total = 0;

	for (int kind = 0; kind < SHOP_KIND_COUNT; kind++) {
		total += made->truth.total[kind];
		OK(tap, made->truth.total[kind] > 0 && people[kind] <= made->truth.total[kind] &&
		   people[kind] <= made->truth.visitors * 2, "%s: %llu events, %llu people",
		   shop_name((enum shop_kind)kind), (unsigned long long)made->truth.total[kind],
		   (unsigned long long)people[kind]);
	}
	OK(tap, total == made->count, "the truth counts every message");
	for (int i = 1; i < 4; i++) {
		double share = (double)people[funnel[i]] / (double)people[funnel[i - 1]];

		OK(tap, share > 0.2 && share < 0.9, "%s: %.2f of those before",
		   shop_name(funnel[i]), share);
	}
	OK(tap, made->truth.visitors > 4500 && made->truth.visitors < 5500, "%llu visitors",
	   (unsigned long long)made->truth.visitors);
	OK(tap, made->truth.visits > made->truth.visitors * 3 / 2, "%llu visits: people come back",
	   (unsigned long long)made->truth.visits);
}

int main(void)
{
	struct tap tap = { 0 };
	struct made a, b;
	struct shop_conf none = { 1, 0, 0, 1 };
	struct shop *shop = NULL;

	make(1, 5000, 0, &a);
	OK(&tap, a.wrong == 0, "seed 1: each of %llu messages is a whole one (%llu bytes each)",
	   (unsigned long long)a.count, (unsigned long long)(a.bytes / a.count));
	OK(&tap, a.out_of_order == 0, "they come in the order of time");
	OK(&tap, a.first_us >= FROM_US && a.first_us < FROM_US + DAY_US &&
	   a.last_us > FROM_US + 29 * DAY_US, "from the first day to the last");
	OK(&tap, a.truth.first_us == a.first_us && a.truth.last_us == a.last_us,
	   "the truth knows both ends");
	test_funnel(&tap, &a);
	make(1, 5000, 0, &b);
	OK(&tap, a.hash == b.hash && memcmp(&a.truth, &b.truth, sizeof(a.truth)) == 0,
	   "the same seed makes the same bytes");
	make(2, 5000, 0, &b);
	OK(&tap, a.hash != b.hash, "another seed makes others");
	OK(&tap, b.count > a.count * 9 / 10 && b.count < a.count * 11 / 10,
	   "... but about as many: %llu", (unsigned long long)b.count);
	make(1, 5000, INT64_C(600) * 1000000, &b);
	OK(&tap, b.out_of_order == 0 && b.wrong == 0, "live: in order and whole");
	OK(&tap, b.count - a.count > 50 * 600 * 7 / 10 && b.count - a.count < 50 * 600 * 13 / 10,
	   "live: 50 a second for 600 s are %llu", (unsigned long long)(b.count - a.count));
	make(1, 3, 0, &b);
	OK(&tap, b.wrong == 0 && b.out_of_order == 0, "three users are a shop, too: %llu events",
	   (unsigned long long)b.count);
	OK(&tap, shop_open(&shop, &none, NULL) < 0, "none are not");
	return tap_end(&tap);
}
