// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "collect/address.h"
#include "collect/basic.h"
#include "collect/limit.h"
#include "tests/tap.h"

static void test_bucket(struct tap *tap)
{
	struct limit limit;

	limit_init(&limit, 0);
	limit_take(&limit, 1000000);
	OK(tap, limit_check(&limit, 1) == 0, "no rate: anything");
	limit_init(&limit, 10);
	OK(tap, limit_check(&limit, 1000) == 0, "a full bucket");
	limit_take(&limit, 20);
	OK(tap, limit_check(&limit, 1000) == 1, "20 events empty it");
	OK(tap, limit_check(&limit, 1100) == 0, "a tenth of a second gives one");
	limit_take(&limit, 101);
	OK(tap, limit_check(&limit, 1100) == 10, "a batch puts it in debt for 10 s");
	OK(tap, limit_check(&limit, 11000) == 1, "that is paid by and by");
	OK(tap, limit_check(&limit, 11101) == 0, "and then it goes on");
	OK(tap, limit_check(&limit, INT64_MAX) == 0 && limit.tokens == 20000,
	   "never over two seconds' worth");
	OK(tap, limit_check(&limit, 5) == 0, "a clock that went back harms nothing");
}

static struct limit *find(struct limit_table *table, const char *address)
{
	return limit_table_find(table, slice_from(address), 1000);
}

static void test_table(struct tap *tap)
{
	struct limit_table *table;
	struct err err = { "" };
	char text[32];

	if (limit_table_open(&table, 5, &err))
		abort();
	OK(tap, find(table, "10.1.2.3") == find(table, "10.1.2.200"), "a /24 is one network");
	OK(tap, find(table, "10.1.2.3") != find(table, "10.1.3.3"), "the next one another");
	OK(tap, find(table, "2001:db8:0:1200::1") == find(table, "2001:db8:0:12ff::2"),
	   "so is a /56");
	OK(tap, find(table, "2001:db8:0:1200::1") != find(table, "2001:db8:0:1300::1"),
	   "also here");
	OK(tap, find(table, "::ffff:10.1.2.9") == find(table, "10.1.2.3"), "IPv4 in IPv6");
	OK(tap, find(table, "garbage") != NULL, "no address");
	for (int i = 0; i < 200000; i++) {
		snprintf(text, sizeof(text), "%d.%d.%d.1", 20 + (i >> 16), i >> 8 & 255, i & 255);
		limit_take(find(table, text), 1);
	}
	OK(tap, find(table, "10.1.2.3") != NULL, "a flood of networks takes no more memory");
	limit_table_close(table);
}

static void test_client(struct tap *tap)
{
	static const char *items[] = { "127.0.0.0/8", "10.0.0.1", "fd00::/8" };
	static const struct { const char *peer, *forwarded, *client; } rows[] = {
		{ "9.9.9.9", "1.1.1.1", "9.9.9.9" },
		{ "127.0.0.1", "", "127.0.0.1" },
		{ "127.0.0.1", "1.1.1.1", "1.1.1.1" },
		{ "127.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1" },
		{ "127.0.0.1", "6.6.6.6,1.1.1.1 , 10.0.0.1", "1.1.1.1" },
		{ "127.0.0.1", "10.0.0.1", "10.0.0.1" },
		{ "127.0.0.1", "1.1.1.1, unknown", "127.0.0.1" },
		{ "127.0.0.1", "1.1.1.1,unknown, 10.0.0.1", "10.0.0.1" },
		{ "fd00::7", "2001:db8::1", "2001:db8::1" },
		{ "::ffff:127.0.0.1", "1.1.1.1", "1.1.1.1" },
		{ "127.0.0.1", ",,", "127.0.0.1" },
	};
	struct opt_list texts = { items, 3 };
	struct address_list *list;
	struct err err = { "" };
	bool trusted;

	if (address_list_open(&list, &texts, &err))
		abort();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice got = address_client(list, slice_from(rows[i].peer),
						  slice_from(rows[i].forwarded), &trusted);

		OK(tap, slice_is(got, rows[i].client), "%s via %s: %.*s", rows[i].forwarded,
		   rows[i].peer, (int)got.len, got.ptr);
	}
	address_list_close(list);
	for (int i = 0; i < 4; i++) {
		static const char *bad[] = { "10.0.0.0/33", "x/8", "10.0.0.0/", "::/129" };

		texts = (struct opt_list){ &bad[i], 1 };
		err.text[0] = '\0';
		OK(tap, address_list_open(&list, &texts, &err) < 0, "%s", err.text);
	}
}

static void test_basic(struct tap *tap)
{
	static const struct { const char *header, *user; } rows[] = {
		{ "Basic V0tOT0RFOg==", "WKNODE" }, { "basic  V0tOT0RFOg", "WKNODE" },
		{ "Basic V0s6cGFzcw==", "WK" }, { "Basic V0s=", "WK" }, { "Basic Og==", "" },
		{ "Basic", "" }, { "Basic ", "" }, { "Basic V0s6%%%", "WK" }, { "Basic %%%", "" },
		{ "Bearer V0s6", "" }, { "", "" },
	};
	char user[BASIC_USER_MAX], text[1024];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice got = basic_user(slice_from(rows[i].header), user);

		OK(tap, slice_is(got, rows[i].user), "'%s': '%.*s'", rows[i].header, (int)got.len,
		   got.ptr);
	}
	memcpy(text, "Basic ", 6);
	memset(text + 6, 'A', sizeof(text) - 6);
	OK(tap, basic_user((struct slice){ text, sizeof(text) }, user).len == 0, "too long a user");
}

int main(void)
{
	struct tap tap = { 0 };

	test_bucket(&tap);
	test_table(&tap);
	test_client(&tap);
	test_basic(&tap);
	return tap_end(&tap);
}
