// SPDX-License-Identifier: Apache-2.0
#include "sink/guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* IANA's special-purpose registry, what of it is not global; and multicast and reserved. */
static const struct {
	uint32_t net;
	int bits;
	const char *why;
} v4[] = {
	{ 0x00000000, 8, "this network (0.0.0.0/8)" },
	{ 0x0a000000, 8, "private (10.0.0.0/8)" },
	{ 0x64400000, 10, "carrier-grade NAT (100.64.0.0/10)" },
	{ 0x7f000000, 8, "loopback (127.0.0.0/8)" },
	{ 0xa9fe0000, 16, "link-local or metadata (169.254.0.0/16)" },
	{ 0xac100000, 12, "private (172.16.0.0/12)" },
	{ 0xc0000000, 24, "protocol assignments (192.0.0.0/24)" },
	{ 0xc0000200, 24, "documentation (192.0.2.0/24)" },
	{ 0xc0586300, 24, "6to4 relay (192.88.99.0/24)" },
	{ 0xc0a80000, 16, "private (192.168.0.0/16)" },
	{ 0xc6120000, 15, "benchmarks (198.18.0.0/15)" },
	{ 0xc6336400, 24, "documentation (198.51.100.0/24)" },
	{ 0xcb007100, 24, "documentation (203.0.113.0/24)" },
	{ 0xe0000000, 3, "multicast or reserved (224.0.0.0/3)" },
	/* Wireserver of a large cloud; the only public address that means the host itself. */
	{ 0xa83f8110, 32, "metadata (168.63.129.16)" },
};

static const struct {
	unsigned char net[16];
	int bits;
	const char *why;
} v6[] = {
	{ { 0 }, 127, "unspecified or loopback (::, ::1)" },
	{ { 0x01, 0x00 }, 64, "discard (100::/64)" },
	{ { 0x20, 0x01, 0x00, 0x00 }, 23, "protocol assignments and Teredo (2001::/23)" },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, "documentation (2001:db8::/32)" },
	{ { 0x3f, 0xff }, 20, "documentation (3fff::/20)" },
	{ { 0x5f, 0x00 }, 16, "segment routing (5f00::/16)" },
	{ { 0xfc, 0x00 }, 7, "unique local (fc00::/7)" },
	{ { 0xfe, 0x80 }, 10, "link-local (fe80::/10)" },
	{ { 0xfe, 0xc0 }, 10, "site-local (fec0::/10)" },
	{ { 0xff, 0x00 }, 8, "multicast (ff00::/8)" },
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, "local NAT64 (64:ff9b:1::/48)" },
};

static const char *check_v4(uint32_t address)
{
	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		uint32_t mask = ~(uint32_t)0 << (32 - v4[i].bits);

		if ((address & mask) == v4[i].net)
			return v4[i].why;
	}
	return NULL;
}

static uint32_t v4_at(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static bool is_in(const unsigned char *address, const unsigned char *net, int bits)
{
	int whole = bits / 8, rest = bits % 8;

	if (memcmp(address, net, (size_t)whole) != 0)
		return false;
	return rest == 0 || (address[whole] ^ net[whole]) >> (8 - rest) == 0;
}

/* An IPv4 address that an IPv6 one stands for is what is reached in the end. */
static const char *check_v6(const unsigned char *a)
{
	static const unsigned char zero[16], mapped[12] = { [10] = 0xff, [11] = 0xff },
		translated[12] = { [8] = 0xff, [9] = 0xff }, nat64[12] = { 0, 0x64, 0xff, 0x9b };

	if (memcmp(a, mapped, 12) == 0 || memcmp(a, translated, 12) == 0 ||
	    memcmp(a, nat64, 12) == 0)
		return check_v4(v4_at(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02)
		return check_v4(v4_at(a + 2));
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++)
		if (is_in(a, v6[i].net, v6[i].bits))
			return v6[i].why;
	return memcmp(a, zero, 12) == 0 ? "IPv4-compatible (::/96)" : NULL;
}

const char *guard_check(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		return check_v4(ntohl(in.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in;

		memcpy(&in, address, sizeof(in));
		return check_v6(in.sin6_addr.s6_addr);
	}
	return "no internet address";
}

/* [::1] and ::1 are one host. */
static struct slice bare(const char *host)
{
	struct slice s = slice_from(host);

	if (s.len >= 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
		s = (struct slice){ s.ptr + 1, s.len - 2 };
	if (s.len > 1 && s.ptr[s.len - 1] == '.')
		s.len--;
	return s;
}

bool guard_allows(const struct guard *guard, const char *host)
{
	struct slice name = bare(host);

	for (size_t i = 0; guard->allowed && i < guard->allowed->count; i++) {
		struct slice item = bare(guard->allowed->items[i]);

		if (item.len == name.len && strncasecmp(item.ptr, name.ptr, name.len) == 0)
			return true;
	}
	return false;
}

/* The mend is what matters: a long host's name is cut first. */
const char *guard_words(char words[GUARD_WORDS_MAX], const char *host, const char *why)
{
	struct slice name = bare(host);

	if (name.len < 56)
		snprintf(words, GUARD_WORDS_MAX, "%.*s is refused, %.48s: to allow it, "
			 "millrace.yaml wants `sink: {allow_host: [%s%.*s%s]}`", (int)name.len,
			 name.ptr, why, memchr(name.ptr, ':', name.len) ? "\"" : "", (int)name.len,
			 name.ptr, memchr(name.ptr, ':', name.len) ? "\"" : "");
	else
		snprintf(words, GUARD_WORDS_MAX, "%.40s.. is refused, %.48s: to allow it, "
			 "millrace.yaml wants its name in `sink: {allow_host: [..]}`", host, why);
	return words;
}

int guard_connect(const struct guard *guard, const char *host, const struct sockaddr *address,
		  struct err *err)
{
	const char *why = guard_allows(guard, host) ? NULL : guard_check(address);
	char words[GUARD_WORDS_MAX];

	return why ? err_set(err, -EACCES, "%s", guard_words(words, host, why)) : 0;
}
