// SPDX-License-Identifier: Apache-2.0
/*
 * What led here: the referrer's host, lower case and without www., unless it is the page's own
 * (the same rule applied to both; shop.example and www.shop.example are one site,
 * help.shop.example is another).
 */
#include "enrich/step.h"

#include <errno.h>

static struct slice without_www(struct slice host)
{
	return slice_starts(host, SLICE("www.")) && host.len > 4 ? slice_skip(host, 4) : host;
}

static int apply(void *state, struct step_event *event)
{
	struct value *out = event->out;
	struct slice host, page;
	struct url url;

	(void)state;
	if (!out[ENRICHED_PAGE_REFERRER].is_set ||
	    url_split(out[ENRICHED_PAGE_REFERRER].text, &url) < 0 || url.host.len == 0)
		return 0;
	host = text_lower(event->arena, url.host);
	if (host.len != url.host.len)
		return -ENOMEM;
	host = without_www(host);
	page = without_www(value_slice(&out[ENRICHED_PAGE_HOST]));
	if (!slice_eq(host, page))
		out[ENRICHED_PAGE_REFERRING_DOMAIN] = value_text(host);
	return 0;
}

const struct step_kind step_referrer = {
	.name = "referrer",
	.version = 1,
	.after = "page",
	.apply = apply,
};
