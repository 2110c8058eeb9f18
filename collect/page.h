/* page - what a browser fetches before it sends: settings and the SDK's bundle
 *
 *      GET /v1/projects/KEY/settings                     which integrations, and where to send
 *      GET /analytics.js/v1/KEY/analytics.min.js         the file of --analytics-js
 *
 * Without "Segment.io" among the integrations analytics.js would send everything to Segment's own
 * host: so it is always there, with the key of the path and this collector's address.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_PAGE_H
#define COLLECT_PAGE_H

#include "lib/buf.h"
#include "lib/slice.h"

enum page_kind { PAGE_NONE, PAGE_SETTINGS, PAGE_BUNDLE };

#define PAGE_BUNDLE_MAX ((size_t)8 << 20)

/* Which of the two a path asks for, and its KEY (as sent). */
enum page_kind page_of(struct slice path, struct slice *key);
/* Appends the settings. host: "HOST[:PORT]" with a path, perhaps, of this collector. -EBADMSG: the
 * key is not what a key can be. */
MUST_CHECK int page_settings(struct slice key, struct slice protocol, struct slice host,
			     struct buf *out);
/* Whether bytes from a Host header may be told to a browser. */
bool page_host_is_valid(struct slice host);
/* Reads the bundle. -errno with words. */
MUST_CHECK int page_bundle(const char *path, struct buf *out, struct err *err);

#endif
