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

int main(void)
{
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
	return tap_end(&tap);
}
