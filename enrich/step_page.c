// SPDX-License-Identifier: Apache-2.0
/*
 * Where: the page. Of a page call properties say, else context.page; the same for each member,
 * so that a page call with nothing but a title keeps context's URL. Host, path and search come
 * from the URL; where it has none of them (apps), path and search as the sender gave them.
 */
#include "enrich/step.h"

#include <errno.h>

static struct value member(const struct step_event *event, enum step_page key)
{
	struct value own = { .is_set = false };

	if (event->type == STEP_TYPE_PAGE)
		own = step_text(event->properties[key], TEXT_LONG_MAX);
	return step_either(own, step_text(event->page[key], TEXT_LONG_MAX));
}

static struct value part(struct slice text, struct value other)
{
	return text.len ? value_text(text) : other;
}

static int apply(void *state, struct step_event *event)
{
	struct value *out = event->out;
	struct slice host;

	(void)state;
	out[ENRICHED_PAGE_URL] = member(event, STEP_PAGE_URL);
	out[ENRICHED_PAGE_TITLE] = member(event, STEP_PAGE_TITLE);
	out[ENRICHED_PAGE_REFERRER] = member(event, STEP_PAGE_REFERRER);
	if (url_split(value_slice(&out[ENRICHED_PAGE_URL]), &event->url) < 0)
		event->url = (struct url){ .host = { "", 0 } };
	host = text_lower(event->arena, event->url.host);
	if (host.len != event->url.host.len)
		return -ENOMEM;
	if (host.len)
		out[ENRICHED_PAGE_HOST] = value_text(host);
	out[ENRICHED_PAGE_PATH] = part(event->url.path, member(event, STEP_PAGE_PATH));
	out[ENRICHED_PAGE_SEARCH] = part(event->url.query, member(event, STEP_PAGE_SEARCH));
	return 0;
}

const struct step_kind step_page = {
	.name = "page",
	.version = 1,
	.apply = apply,
};
