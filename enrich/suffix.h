/* suffix - the part of a host that one owner registered, by the public suffix list
 *
 *      www.shop.co.uk -> shop.co.uk      a.github.io -> a.github.io      co.uk -> none
 *
 * The list's rules (name, *.name, !name) in a hash table; a host's suffixes are looked up from the
 * shortest on. Rules with letters beyond ASCII stand in it in punycode (RFC 3492), too, so that
 * both spellings of a host are known. A host that no rule knows has a suffix of one label. Private
 * rules (github.io) count: different people are behind them.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_SUFFIX_H
#define ENRICH_SUFFIX_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

struct suffix_list;

/* text: a public_suffix_list.dat; path is for words. */
MUST_CHECK int suffix_open(struct suffix_list **listp, struct slice text, const char *path,
			   struct err *err);
void suffix_close(struct suffix_list *list);

/* Of a host in lower case, without its last dot: a part of it, or {NULL, 0} where it is a public
 * suffix itself, an address, or has empty labels. */
struct slice suffix_registrable(const struct suffix_list *list, struct slice host);

/* Appends a label in punycode (xn--..), or as it is where it is ASCII. false: not UTF-8. */
bool suffix_punycode(struct slice label, struct buf *out);

#endif
