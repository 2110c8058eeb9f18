/* referrers - what kind of site people come from
 *
 *      host[/path] of the referrer --> medium (search, social, email ..), source (Google), and the
 *                                      parameters that hold the words searched for
 *
 * Lists are in Snowplow's format, YAML or JSON:
 *
 *      search:
 *        Google:
 *          domains: [google.com, www.google.com/search]
 *          parameters: [q]
 *
 * A later list wins over an earlier one, domain by domain. A domain holds for what is below it
 * (news.google.com for google.com) unless that is listed itself; one with a path for paths that
 * begin so, and it wins over one without. Medium "unknown" of such lists is called "referral", as
 * every site that no list knows is.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_REFERRERS_H
#define ENRICH_REFERRERS_H

#include "lib/err.h"
#include "lib/slice.h"

struct referrers;

struct referrer_hit {
	struct slice medium, source;    /* live as long as the lists */
	const struct slice *parameters;
	int parameter_count;
};

MUST_CHECK int referrers_open(struct referrers **refsp, struct err *err);
void referrers_close(struct referrers *refs);
/* path is for words. After a failure refs is only to be closed. */
MUST_CHECK int referrers_add(struct referrers *refs, struct slice text, const char *path,
			     struct err *err);
/* host in lower case; path with its slash, or empty. */
bool referrers_find(const struct referrers *refs, struct slice host, struct slice path,
		    struct referrer_hit *hit);
int referrers_count(const struct referrers *refs);

#endif
