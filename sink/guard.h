/* guard - which addresses a destination may connect to
 *
 * Settings of destinations may come from a dashboard: whoever may write one must not be able to
 * read what only this machine's network can reach. So an address is refused where it is not
 * public, unless the host's name in the URL is on a list that only the machine's owner can set
 * (--allow-host). Refused: loopback, private (RFC 1918), link-local with the clouds' metadata
 * addresses, CGNAT, benchmarks and documentation, multicast, reserved; IPv6: loopback, unique
 * local, link-local, site-local, multicast, documentation, discard; and IPv4 inside IPv6 (mapped,
 * compatible, NAT64, 6to4, Teredo) by its IPv4 address.
 * The check is made on the address that is connected to, when the socket is made.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_GUARD_H
#define SINK_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/opt.h"
#include "lib/slice.h"

struct guard {
	const struct opt_list *allowed; /* hosts, as they stand in URLs; borrowed */
};

/* NULL: may be connected to. Else words for why not, a literal. */
const char *guard_check(const struct sockaddr *address);
/* The host (of a URL, or of a host:port setting) is allowed by name: case-insensitive. */
bool guard_allows(const struct guard *guard, const char *host);
/* `WHY to HOST: refused unless ..`: with the line of millrace.yaml that would allow it. */
#define GUARD_WORDS_MAX 190
const char *guard_words(char words[GUARD_WORDS_MAX], const char *host, const char *why);
/* For a connect of one's own: resolves nothing; -EACCES with words unless check or name allow. */
MUST_CHECK int guard_connect(const struct guard *guard, const char *host,
			     const struct sockaddr *address, struct err *err);

#endif
