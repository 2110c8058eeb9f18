/* ip - an address as numbers, and what kind of address it is
 *
 * The kinds are those of IANA's special-purpose registries (RFC 6890 and its updates): nobody is
 * to be found at such an address, and databases that know a country for one are wrong. Version 4
 * addresses inside version 6 (::ffff:192.0.2.1) are version 4.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_IP_H
#define ENRICH_IP_H

#include <stdint.h>

#include "lib/slice.h"

struct ip {
	bool is_v6;
	uint32_t v4;            /* host order; where !is_v6 */
	uint64_t high, low;     /* of version 6, host order */
};

/* As inet_pton has it: dotted quad without leading zeros, or RFC 4291 text, no zone. */
bool ip_parse(struct slice text, struct ip *ip);

/* private, shared (carrier NAT), loopback, link_local, documentation, benchmark, multicast,
 * unspecified, reserved; NULL: a public address. */
const char *ip_scope(const struct ip *ip);

#endif
