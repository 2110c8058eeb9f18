// SPDX-License-Identifier: Apache-2.0
#include "enrich/ip.h"

#include <arpa/inet.h>

#include "tests/tap.h"

static const struct {
	const char *text;
	const char *scope;      /* "public"; NULL: no address */
} cases[] = {
	{ "8.8.8.8", "public" }, { "255.255.255.255", "reserved" }, { "0.0.0.0", "unspecified" },
	{ "10.0.0.1", "private" }, { "11.0.0.1", "public" }, { "172.15.255.255", "public" },
	{ "172.16.0.0", "private" }, { "172.31.255.255", "private" }, { "172.32.0.0", "public" },
	{ "192.168.1.1", "private" }, { "100.63.255.255", "public" }, { "100.64.0.1", "shared" },
	{ "127.0.0.1", "loopback" }, { "169.254.169.254", "link_local" },
	{ "192.0.2.1", "documentation" }, { "192.0.3.1", "public" },
	{ "198.51.100.7", "documentation" }, { "203.0.113.9", "documentation" },
	{ "198.18.0.1", "benchmark" }, { "224.0.0.1", "multicast" }, { "192.0.0.8", "reserved" },
	{ "::", "unspecified" }, { "::1", "loopback" }, { "::2", "public" },
	{ "2001:4860:4860::8888", "public" }, { "2001:db8::1", "documentation" },
	{ "2001:db9::1", "public" }, { "3fff:fff::1", "documentation" },
	{ "fd00::1", "private" }, { "fe80::1", "link_local" }, { "ff02::1", "multicast" },
	{ "::ffff:10.0.0.1", "private" }, { "::ffff:8.8.8.8", "public" },
	{ "100::1", "reserved" }, { "2001:2::1", "benchmark" },
	{ "", NULL }, { "1.2.3", NULL }, { "1.2.3.4.5", NULL }, { "01.2.3.4", NULL },
	{ "1.2.3.256", NULL }, { "1.2.3.4 ", NULL }, { "1..2.3", NULL }, { ".1.2.3", NULL },
	{ "1.2.3.", NULL }, { "1.2.3.1000", NULL }, { "::g", NULL }, { "fe80::1%eth0", NULL },
	{ ":", NULL }, { "localhost", NULL },
	{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa", NULL },
};

/* A text of pieces of version 6 addresses, well and badly joined. */
static size_t random_v6(uint64_t *random, char *text, size_t size)
{
	static const char *const pieces[] = {
		"0", "1", "ab", "FfFf", "2001", "db8", ":", ":", ":", ":", ":", "::", "1.2.3.4",
		"255.1.0.9", "01.2.3.4", ".", "12345", "g",
	};
	size_t len = 0, count;
	bool is_plain;

	*random = *random * 6364136223846793005u + 1442695040888963407u;
	count = 1 + (*random >> 40) % 17;
	is_plain = *random >> 63;               /* group, colon, group: most are good */
	for (size_t i = 0; i < count; i++) {
		const char *piece;

		*random = *random * 6364136223846793005u + 1442695040888963407u;
		piece = pieces[(*random >> 33) % (sizeof(pieces) / sizeof(pieces[0]))];
		if (is_plain)
			piece = i % 2 ? (*random >> 33) % 8 ? ":" : "::"
				      : pieces[(*random >> 33) % 6];
		if (len + strlen(piece) < size)
			len += (size_t)snprintf(text + len, size - len, "%s", piece);
	}
	return len;
}

/* How many of `count` texts are taken as inet_pton does not take them. *good: it took so many. */
static int differ_v6(int count, int *good)
{
	uint64_t random = 2;
	int differ = 0;

	*good = 0;
	for (int i = 0; i < count; i++) {
		char text[INET6_ADDRSTRLEN];
		struct in6_addr address;
		struct ip ip;
		size_t len = random_v6(&random, text, sizeof(text));
		bool is_ip, is_same;

		if (!memchr(text, ':', len))
			continue;
		is_ip = inet_pton(AF_INET6, text, &address) == 1;
		*good += is_ip;
		is_same = ip_parse((struct slice){ text, len }, &ip) == is_ip;
		for (int k = 0; is_ip && is_same && ip.is_v6 && k < 16; k++)
			is_same = address.s6_addr[k] ==
				  (uint8_t)((k < 8 ? ip.high : ip.low) >> (56 - k % 8 * 8));
		if (is_ip && is_same && !ip.is_v6)
			is_same = IN6_IS_ADDR_V4MAPPED(&address) &&
				  ip.v4 == ntohl(address.s6_addr32[3]);
		if (!is_same && differ++ < 3)
			printf("# differs: %s\n", text);
	}
	return differ;
}

int main(void)
{
	int good;

	struct tap tap = { 0 };
	uint64_t random = 1;
	int differ = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip ip;
		bool is_ip = ip_parse(slice_from(cases[i].text), &ip);
		const char *scope = is_ip ? ip_scope(&ip) : NULL;

		if (is_ip && !scope)
			scope = "public";
		OK(&tap, is_ip == (cases[i].scope != NULL) &&
		   (!is_ip || strcmp(scope, cases[i].scope) == 0), "'%s': %s", cases[i].text,
		   scope ? scope : "no address");
	}
	for (int i = 0; i < 100000; i++) {      /* the same as inet_pton says */
		char text[17];
		struct in_addr address;
		struct ip ip;
		size_t n = 0;
		bool is_ip;

		for (random = random * 6364136223846793005u + 1; n < 7 + (random >> 40) % 9; n++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			text[n] = "0123456789....."[(random >> 33) % 15];
		}
		text[n] = '\0';
		is_ip = ip_parse((struct slice){ text, n }, &ip);
		if (is_ip != (inet_pton(AF_INET, text, &address) == 1) ||
		    (is_ip && htonl(ip.v4) != address.s_addr))
			differ++;
	}
	OK(&tap, differ == 0, "100,000 random texts (seed 1): as inet_pton has it");
	differ = differ_v6(500000, &good);
	OK(&tap, differ == 0 && good > 10000, "500,000 texts of pieces of version 6 (seed "
	   "2), %d of them good: as inet_pton has it", good);
	return tap_end(&tap);
}
