// SPDX-License-Identifier: Apache-2.0
#include "enrich/range.h"

#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static const char text[] =
	"# a comment\r\n"
	"16777216,16777471,AU\n"
	"16777472,16778239,CN\n"
	"16778240,16779263,??\n"
	"\n"
	"1.0.16.0,1.0.31.255,13335,\"Cloudflare, Inc.\"\r\n"
	"1.0.32.0,1.0.63.255,AS1653,Vetenskapsradet\n"
	"1.0.64.0,1.0.64.255,0,nobody\n"
	"2.0.0.0,2.0.0.255,FR\n"
	"2.0.1.0,2.0.1.255,FR\n"
	"2.0.0.128,2.0.0.191,DE\n"
	"255.255.255.0,255.255.255.255,ZZ\n"
	"2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP\n"
	"2001:201::,2001:201:ffff:ffff:ffff:ffff:ffff:ffff,JP\n"
	"2a00::,2a00:0:ffff:ffff:ffff:ffff:ffff:ffff,3301,Telia";

static const struct {
	const char *ip, *country;
	uint32_t asn;
	const char *org;
} finds[] = {
	{ "1.0.0.0", "AU", 0, "" }, { "1.0.0.255", "AU", 0, "" }, { "1.0.1.0", "CN", 0, "" },
	{ "0.255.255.255", NULL, 0, "" }, { "1.0.4.1", NULL, 0, "" },
	{ "1.0.16.1", "", 13335, "Cloudflare, Inc." }, { "1.0.33.1", "", 1653, "Vetenskapsradet" },
	{ "1.0.64.1", NULL, 0, "" }, { "2.0.0.0", "FR", 0, "" }, { "2.0.0.127", "FR", 0, "" },
	{ "2.0.0.128", "DE", 0, "" }, { "2.0.0.191", "DE", 0, "" }, { "2.0.1.7", "FR", 0, "" },
	{ "2.0.2.0", NULL, 0, "" }, { "255.255.255.255", "ZZ", 0, "" },
	{ "254.1.1.1", NULL, 0, "" }, { "2001:200::1", "JP", 0, "" },
	{ "2001:201:ffff:ffff:ffff:ffff:ffff:ffff", "JP", 0, "" }, { "2001:202::", NULL, 0, "" },
	{ "2a00::5", "", 3301, "Telia" }, { "2a00:1::", NULL, 0, "" }, { "::", NULL, 0, "" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, 0, "" },
};

static const struct { const char *text, *said; } bad[] = {
	{ "", "no range in it" },
	{ "# x\n", "no range in it" },
	{ "1.0.0.0,1.0.0.255,??\n", "no range in it" },
	{ "1.0.0.0,1.0.0.255,AU\nx\n", ":2: no FIRST,LAST" },
	{ "1.0.0.9,1.0.0.1,AU\n", ":1: no FIRST,LAST" },
	{ "1.0.0.0,::1,AU\n", ":1: no FIRST,LAST" },
	{ "1.0.0.0,1.0.0.1,Australia\n", ":1: no FIRST,LAST" },
	{ "4294967296,4294967297,AU\n", ":1: no FIRST,LAST" },
};

static void check_finds(struct tap *tap)
{
	struct range_table *table = NULL;
	struct err err = { "" };

	OK(tap, range_open(&table, slice_from(text), "r", &err) == 0, "it opens %s", err.text);
	for (size_t i = 0; table && i < sizeof(finds) / sizeof(finds[0]); i++) {
		const struct range_value *value = NULL;
		struct ip ip;
		bool same = ip_parse(slice_from(finds[i].ip), &ip);

		value = range_find(table, &ip);
		same &= !value == !finds[i].country;
		if (value && finds[i].country)
			same &= strncmp(value->country, finds[i].country, 2) == 0 &&
				value->asn == finds[i].asn && slice_is(value->org, finds[i].org);
		OK(tap, same, "%s: %s %u %s", finds[i].ip,
		   finds[i].country ? finds[i].country : "nothing", finds[i].asn, finds[i].org);
	}
	range_close(table);
}

/* Random ranges in random order, against looking through all of them. */
static void check_random(struct tap *tap)
{
	enum { COUNT = 300 };
	struct { uint32_t first, last; char country[3]; } all[COUNT];
	struct range_table *table = NULL;
	struct err err = { "" };
	char *lines = malloc(COUNT * 64);
	size_t n = 0;
	int differ = 0;

	srandom(1);
	for (int i = 0; i < COUNT; i++) {       /* none overlaps: one in each /9-ish */
		int k = (int)(random() % (i + 1));

		all[i] = all[k];
		all[k].first = (uint32_t)i * 14000000u + (uint32_t)(random() % 7000000);
		all[k].last = all[k].first + (uint32_t)(random() % 7000000);
		all[k].country[0] = (char)('A' + random() % 26);
		all[k].country[1] = (char)('A' + random() % 2);
		all[k].country[2] = '\0';
	}
	for (int i = 0; i < COUNT; i++)
		n += (size_t)snprintf(lines + n, 64, "%u,%u,%s\n", all[i].first, all[i].last,
				      all[i].country);
	OK(tap, range_open(&table, (struct slice){ lines, n }, "r", &err) == 0, "unordered ranges");
	for (int i = 0; table && i < 100000; i++) {
		struct ip ip = { .v4 = i % 3 ? (uint32_t)random() * 2 + (i & 1)
					     : all[i % COUNT].last + (uint32_t)(i % 2) };
		const struct range_value *value = range_find(table, &ip);
		const char *wanted = NULL;

		for (int k = 0; k < COUNT; k++) {
			if (ip.v4 >= all[k].first && ip.v4 <= all[k].last)
				wanted = all[k].country;
		}
		differ += !value != !wanted || (value && strncmp(value->country, wanted, 2) != 0);
	}
	OK(tap, differ == 0, "100,000 addresses (seed 1): as when all ranges are looked at");
	range_close(table);
	free(lines);
}

int main(void)
{
	struct tap tap = { 0 };

	check_finds(&tap);
	check_random(&tap);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct range_table *table = NULL;
		struct err err = { "" };
		int rc = range_open(&table, slice_from(bad[i].text), "r.csv", &err);

		OK(&tap, rc < 0 && strstr(err.text, bad[i].said), "refused: %s", err.text);
	}
	return tap_end(&tap);
}
