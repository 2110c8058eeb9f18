/* address - clients' addresses: which are trusted proxies, and whom they speak for
 *
 * A peer inside one of --trusted-proxies is believed: of X-Forwarded-For the last address that is
 * not itself a trusted proxy is the client. From anybody else the header is ignored. IPv4
 * addresses are kept as ::ffff:a.b.c.d, so that there is one form.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_ADDRESS_H
#define COLLECT_ADDRESS_H

#include <stdbool.h>

#include "lib/opt.h"
#include "lib/slice.h"

struct address {
	unsigned char bytes[16];
	int bits;               /* 32: IPv4; 128: IPv6 */
};

/* "1.2.3.4", "::1", "[::1]"; a port or zone is refused. -EBADMSG. */
MUST_CHECK int address_parse(struct slice text, struct address *address);

struct address_list;            /* networks */

/* "10.0.0.0/8", "::1". -EINVAL: words name the item. */
MUST_CHECK int address_list_open(struct address_list **listp, const struct opt_list *texts,
				 struct err *err);
void address_list_close(struct address_list *list);
bool address_list_has(const struct address_list *list, const struct address *address);

/* The client behind peer by X-Forwarded-For (may be {NULL, 0}): peer itself, or a slice of
 * forwarded that is an address. *is_trusted: peer is a trusted proxy. */
struct slice address_client(const struct address_list *list, struct slice peer,
			    struct slice forwarded, bool *is_trusted);

#endif
