// SPDX-License-Identifier: Apache-2.0
/*
 * What brought the person here: context.campaign where it names anything, else the utm_
 * parameters of the page's URL (the first of each that has a value). Never a mixture, which would
 * be a campaign that nobody ran. The click id is the first advertiser's parameter in the URL, as
 * name=value.
 */
#include "enrich/step.h"

#include <errno.h>

#define CLICK_ID_MAX 512

enum { UTM_SOURCE, UTM_MEDIUM, UTM_NAME, UTM_TERM, UTM_CONTENT, UTM_COUNT };

static const int leaves[UTM_COUNT] = {
	ENRICHED_CAMPAIGN_SOURCE, ENRICHED_CAMPAIGN_MEDIUM, ENRICHED_CAMPAIGN_NAME,
	ENRICHED_CAMPAIGN_TERM, ENRICHED_CAMPAIGN_CONTENT,
};

static bool from_context(struct step_event *event)
{
	static const struct slice keys[UTM_COUNT] = {
		SLICE_INIT("source"), SLICE_INIT("medium"),  SLICE_INIT("name"),
		SLICE_INIT("term"),   SLICE_INIT("content"),
	};
	yyjson_val *picked[UTM_COUNT];
	bool any = false;

	if (!event->context[STEP_CONTEXT_CAMPAIGN])
		return false;
	step_pick(event->context[STEP_CONTEXT_CAMPAIGN], keys, UTM_COUNT, picked);
	for (int i = 0; i < UTM_COUNT; i++) {
		event->out[leaves[i]] = step_text(picked[i], TEXT_ID_MAX);
		any |= event->out[leaves[i]].is_set;
	}
	return any;
}

static bool is_click_id(struct slice name)
{
	static const struct slice names[] = {
		SLICE_INIT("gclid"),   SLICE_INIT("gbraid"), SLICE_INIT("wbraid"),
		SLICE_INIT("dclid"),   SLICE_INIT("fbclid"), SLICE_INIT("msclkid"),
		SLICE_INIT("ttclid"),  SLICE_INIT("twclid"), SLICE_INIT("li_fat_id"),
		SLICE_INIT("igshid"),  SLICE_INIT("epik"),   SLICE_INIT("ScCid"),
		SLICE_INIT("rdt_cid"), SLICE_INIT("yclid"),
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_eq(name, names[i]))
			return true;
	}
	return false;
}

static int utm_of(struct slice name)
{
	static const struct slice names[UTM_COUNT] = {
		SLICE_INIT("source"), SLICE_INIT("medium"),  SLICE_INIT("campaign"),
		SLICE_INIT("term"),   SLICE_INIT("content"),
	};

	if (!slice_starts(name, SLICE("utm_")))
		return -1;
	for (int i = 0; i < UTM_COUNT; i++) {
		if (slice_eq(slice_skip(name, 4), names[i]))
			return i;
	}
	return -1;
}

static int set_click_id(struct step_event *event, struct slice name, struct slice value)
{
	struct slice text = url_unescape(event->arena, text_cut(value, CLICK_ID_MAX));
	char *copy = text.ptr ? arena_alloc(event->arena, name.len + 1 + text.len) : NULL;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, name.ptr, name.len);
	copy[name.len] = '=';
	memcpy(copy + name.len + 1, text.ptr, text.len);
	event->out[ENRICHED_CAMPAIGN_CLICK_ID] =
		value_text((struct slice){ copy, name.len + 1 + text.len });
	return 0;
}

static int apply(void *state, struct step_event *event)
{
	bool done = from_context(event);
	struct slice name, value;
	size_t at = 0;

	(void)state;
	while (url_param(event->url.query, &at, &name, &value)) {
		int utm = done ? -1 : utm_of(name);

		if (value.len == 0)
			continue;
		if (utm >= 0 && !event->out[leaves[utm]].is_set) {
			struct slice text = url_unescape(event->arena, value);

			if (!text.ptr)
				return -ENOMEM;
			event->out[leaves[utm]] = value_text(text_cut(text, TEXT_ID_MAX));
		} else if (!event->out[ENRICHED_CAMPAIGN_CLICK_ID].is_set && is_click_id(name)) {
			int rc = set_click_id(event, name, value);

			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

const struct step_kind step_campaign = {
	.name = "campaign",
	.version = 1,
	.after = "page",
	.apply = apply,
};
