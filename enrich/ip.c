// SPDX-License-Identifier: Apache-2.0
#include "enrich/ip.h"

#define IP_TEXT_MAX 45          /* INET6_ADDRSTRLEN without the NUL */

/* inet_pton takes 200 ns for these, which is a fifth of the whole lookup. */
static bool parse_v4(struct slice text, uint32_t *v4)
{
	const char *at = text.ptr, *end = text.ptr + text.len;

	*v4 = 0;
	for (int i = 0; i < 4; i++) {
		unsigned part = 0;
		const char *from = at;

		while (at < end && *at >= '0' && *at <= '9' && at - from < 3)
			part = part * 10 + (unsigned)(*at++ - '0');
		if (at == from || part > 255 || (*from == '0' && at - from > 1))
			return false;
		*v4 = *v4 << 8 | part;
		if (i < 3 && (at == end || *at++ != '.'))
			return false;
	}
	return at == end;
}

/* The value of a hexadecimal digit + 1; 0: the byte is none. */
static const uint8_t digits[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15,
	['f'] = 16, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* Up to four hexadecimal digits; -1: none stand there. */
static inline int parse_group(const char **atp, const char *end)
{
	const char *at = *atp, *last = end - at > 4 ? at + 4 : end;
	int group = 0, digit;

	while (at < last && (digit = digits[(unsigned char)*at])) {
		group = group << 4 | (digit - 1);
		at++;
	}
	if (at == *atp)
		return -1;
	*atp = at;
	return group;
}

/* The groups of the text, and how many of them stand before "::" (-1: there is none). RFC 4291,
 * 2.2, and inet_pton, where it is open: "::" is one group or more. -1: bad; else their number. */
static int parse_groups(const char *at, const char *end, uint16_t groups[8], int *gap)
{
	int count = 0;

	*gap = -1;
	if (end - at >= 2 && at[0] == ':' && at[1] == ':') {
		*gap = 0;
		at += 2;
	}
	while (at < end) {
		const char *from = at;
		int group = count < 8 ? parse_group(&at, end) : -1;
		uint32_t v4;

		if (group < 0)
			return -1;
		if (at < end && *at == '.') {
			const struct slice tail = { from, (size_t)(end - from) };

			if (count > 6 || !parse_v4(tail, &v4))
				return -1;
			groups[count++] = (uint16_t)(v4 >> 16);
			groups[count++] = (uint16_t)v4;
			return count;
		}
		groups[count++] = (uint16_t)group;
		if (at == end)
			return count;
		if (*at++ != ':' || at == end || (*at == ':' && *gap >= 0))
			return -1;
		if (*at == ':') {
			*gap = count;
			at++;
		}
	}
	return count;
}

/* inet_pton takes 500 instructions for one, and a table of addresses has 500,000. */
static bool parse_v6(struct slice text, struct ip *ip)
{
	uint16_t groups[8], all[8] = { 0 };
	int gap, count = parse_groups(text.ptr, text.ptr + text.len, groups, &gap);

	if (count < 0 || (gap < 0) != (count == 8))
		return false;
	for (int i = 0; i < count; i++)
		all[gap < 0 || i < gap ? i : 8 - count + i] = groups[i];
	for (int i = 0; i < 4; i++) {
		ip->high = ip->high << 16 | all[i];
		ip->low = ip->low << 16 | all[i + 4];
	}
	return true;
}

bool ip_parse(struct slice text, struct ip *ip)
{
	*ip = (struct ip){ .is_v6 = false };
	if (text.len == 0 || text.len > IP_TEXT_MAX)
		return false;
	if (!memchr(text.ptr, ':', text.len))
		return parse_v4(text, &ip->v4);
	if (!parse_v6(text, ip))
		return false;
	ip->is_v6 = ip->high != 0 || ip->low >> 32 != 0xffff;
	if (!ip->is_v6)
		ip->v4 = (uint32_t)ip->low;
	return true;
}

static const char *scope_v4(uint32_t v4)
{
	static const struct {
		uint32_t first;
		int bits;
		const char *scope;
	} nets[] = {
		{ 0x00000000, 8, "unspecified" },       /* 0.0.0.0/8 */
		{ 0x0a000000, 8, "private" },           /* 10.0.0.0/8 */
		{ 0x64400000, 10, "shared" },           /* 100.64.0.0/10 */
		{ 0x7f000000, 8, "loopback" },          /* 127.0.0.0/8 */
		{ 0xa9fe0000, 16, "link_local" },       /* 169.254.0.0/16 */
		{ 0xac100000, 12, "private" },          /* 172.16.0.0/12 */
		{ 0xc0000000, 24, "reserved" },         /* 192.0.0.0/24 */
		{ 0xc0000200, 24, "documentation" },    /* 192.0.2.0/24 */
		{ 0xc0a80000, 16, "private" },          /* 192.168.0.0/16 */
		{ 0xc6120000, 15, "benchmark" },        /* 198.18.0.0/15 */
		{ 0xc6336400, 24, "documentation" },    /* 198.51.100.0/24 */
		{ 0xcb007100, 24, "documentation" },    /* 203.0.113.0/24 */
		{ 0xe0000000, 4, "multicast" },         /* 224.0.0.0/4 */
		{ 0xf0000000, 4, "reserved" },          /* 240.0.0.0/4 */
	};

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		if ((v4 ^ nets[i].first) >> (32 - nets[i].bits) == 0)
			return nets[i].scope;
	}
	return NULL;
}

static const char *scope_v6(const struct ip *ip)
{
	static const struct {
		uint64_t first;
		int bits;
		const char *scope;
	} nets[] = {
		{ 0x0100000000000000, 64, "reserved" },         /* 100::/64 */
		{ 0x2001000200000000, 48, "benchmark" },        /* 2001:2::/48 */
		{ 0x20010db800000000, 32, "documentation" },    /* 2001:db8::/32 */
		{ 0x3fff000000000000, 20, "documentation" },    /* 3fff::/20 */
		{ 0xfc00000000000000, 7, "private" },           /* fc00::/7 */
		{ 0xfe80000000000000, 10, "link_local" },       /* fe80::/10 */
		{ 0xff00000000000000, 8, "multicast" },         /* ff00::/8 */
	};

	if (ip->high == 0 && ip->low <= 1)
		return ip->low ? "loopback" : "unspecified";
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		if ((ip->high ^ nets[i].first) >> (64 - nets[i].bits) == 0)
			return nets[i].scope;
	}
	return NULL;
}

const char *ip_scope(const struct ip *ip)
{
	return ip->is_v6 ? scope_v6(ip) : scope_v4(ip->v4);
}
