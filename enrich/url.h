/* url - a URL taken apart, without copying
 *
 *      https://user@shop.example:8443/cart/1?utm_source=x&q=1#top
 *      scheme  user host         port path   query           fragment
 *
 * For URLs that browsers and apps report, not for fetching: what cannot be understood stays
 * empty, and nothing is refused for taste. All parts point into the text given. A backslash ends
 * the authority as a slash does, as browsers have it, so that `http://a\@b` is host a. One pass, no
 * allocation; text over URL_MAX is not a URL.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_URL_H
#define ENRICH_URL_H

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/slice.h"

#define URL_MAX      8192
#define URL_HOST_MAX 253        /* RFC 1035, without the last dot */

struct url {
	struct slice scheme;
	/* as written, without port, user and one last dot; [v6] in brackets */
	struct slice host;
	struct slice port;
	struct slice path;
	struct slice query;     /* with its question mark; "" where there is none */
	struct slice fragment;  /* without the #; "" */
};

/* scheme://.., //host/.., /path or path?query. -EBADMSG: longer than URL_MAX, or bytes up to a
 * space inside the authority; then all parts are empty. */
MUST_CHECK int url_split(struct slice text, struct url *url);

/* The next name=value of a query (with or without its question mark), still escaped; both point
 * into the query. false: no more. A name without = has an empty value. Start with *at = 0. */
bool url_param(struct slice query, size_t *at, struct slice *name, struct slice *value);

/* %XX and + decoded, then made UTF-8 (text.h); a bad escape stays as it is. {NULL, 0} where
 * memory ends. Points into the arena, or to text itself where nothing had to change. */
struct slice url_unescape(struct arena *arena, struct slice text);

#endif
