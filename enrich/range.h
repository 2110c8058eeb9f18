/* range - which country or network an address is in, from a text file of ranges
 *
 *      16777216,16777471,AU                            numbers (Debian's tor-geoipdb, geoip)
 *      2001:200::,2001:200:134:ffff:ffff:ffff:ffff:ffff,JP     addresses (its geoip6)
 *      1.0.0.0,1.0.0.255,13335,"Cloudflare, Inc."      an AS and its name (ip-location-db's asn)
 *
 * One line each, both ends inside; # begins a comment. ?? and an empty AS are nothing. Lines may
 * come in any order; where two overlap, the one that begins later counts from there on. Neighbours
 * with the same answer are joined. Lookup is a binary search, for version 4 inside 1 of 65,536
 * slots. Memory: 12 bytes a range of version 4, 40 of version 6; tor-geoipdb's 662,000 lines come
 * to 13 MB.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_RANGE_H
#define ENRICH_RANGE_H

#include "enrich/ip.h"
#include "lib/err.h"

struct range_table;

struct range_value {
	char country[2];        /* "\0\0": the file has networks */
	uint32_t asn;
	struct slice org;       /* lives as long as the table; may be empty */
};

/* path is for words. -EBADMSG: words with path and line. */
MUST_CHECK int range_open(struct range_table **tablep, struct slice text, const char *path,
			  struct err *err);
void range_close(struct range_table *table);
/* NULL: it is in no range. */
const struct range_value *range_find(const struct range_table *table, const struct ip *ip);
size_t range_count(const struct range_table *table);

#endif
