/* shop_data - what the shop sells, and who its visitors are
 *
 * Const tables, and pure functions from a visitor's hash to a look. Addresses are from ranges
 * that large providers of these countries have had for years, so that a geo database finds them;
 * they are only ever text in a message.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_SHOP_DATA_H
#define MILLRACE_SHOP_DATA_H

#include <stdbool.h>
#include <stdint.h>

struct shop_product {
	const char *id, *name, *category;
	uint32_t cents;
};

struct shop_agent {
	const char *user_agent;
	int width, height;      /* of the screen */
	bool is_phone;
};

struct shop_app {
	const char *user_agent, *os, *os_version, *maker, *model, *type;
};

struct shop_country {
	const char *locale, *zone;
	uint8_t a, b_first, b_count;    /* a.b.*.*; a == 0: an IPv6 range in Germany */
	int weight;
};

struct shop_channel {
	const char *referrer;           /* "" = direct */
	const char *source, *medium, *campaign, *click;         /* NULL: no campaign */
	int weight;
	int buying_percent;             /* how much likelier its visitors buy, 100 = as usual */
};

const struct shop_product *shop_product(uint64_t hash);
const struct shop_agent *shop_agent(uint64_t hash);
const struct shop_app *shop_app(uint64_t hash);
const struct shop_country *shop_country(uint64_t hash);
const struct shop_channel *shop_channel(uint64_t hash);
const char *shop_first_name(uint64_t hash, bool *is_woman);
const char *shop_last_name(uint64_t hash);
const char *shop_company(uint64_t hash);
const char *shop_query(uint64_t hash);

#endif
