/* dest_posthog - PostHog's /batch
 *
 *      page $pageview, screen $screen, identify $identify with $set and $anon_distinct_id,
 *      group $groupidentify, alias $create_alias; uuid from the message id drops repeats
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/record.h"
#include "sink/kinds.h"
#include "sink/plain.h"
#include "sink/sheet.h"

struct conf {
	const char *api_key, *url, *group_type;
};

static const struct conf *conf_of(const struct dest *dest)
{
	return dest->conf;
}

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "api_key", DEST_FIELD_SECRET, AT(api_key), NULL, true, 0, 0, NULL, "project API key" },
	{ "url", DEST_FIELD_URL, AT(url), "https://us.i.posthog.com", false, 0, 0, NULL,
	  "https://eu.i.posthog.com for the EU, or one's own" },
	{ "group_type", DEST_FIELD_TEXT, AT(group_type), "company", false, 0, 0, NULL,
	  "type of groups" },
	{ .name = NULL },
};

static const struct sheet_rule rules[] = {
	{ "$ip", "context.ip" },
	{ "$current_url", "context.page.url" },
	{ "$pathname", "context.page.path" },
	{ "$referrer", "context.page.referrer" },
	{ "$raw_user_agent", "context.userAgent" },
	{ "$app_version", "context.app.version" },
	{ "$app_name", "context.app.name" },
	{ "$screen_width", "context.screen.width" },
	{ "$screen_height", "context.screen.height" },
	{ "$lib", "context.library.name" },
	{ "$lib_version", "context.library.version" },
	{ "utm_source", "context.campaign.source" },
	{ "utm_medium", "context.campaign.medium" },
	{ "utm_campaign", "context.campaign.name" },
	{ "utm_term", "context.campaign.term" },
	{ "utm_content", "context.campaign.content" },
	{ NULL, NULL },
};

static struct slice name_of(const struct event *event)
{
	switch (event->type) {
	case EVENT_PAGE:
		return SLICE("$pageview");
	case EVENT_SCREEN:
		return SLICE("$screen");
	case EVENT_IDENTIFY:
		return SLICE("$identify");
	case EVENT_GROUP:
		return SLICE("$groupidentify");
	case EVENT_ALIAS:
		return SLICE("$create_alias");
	case EVENT_TRACK:
	case EVENT_OTHER:
		break;
	}
	return event_text(event, ENRICHED_EVENT);
}

/* Who it was is not for properties to say. */
static const char *const reserved[] = { "distinct_id", NULL };

static void put_properties(struct dest *dest, const struct event *event, struct sheet *sheet)
{
	sheet_rules(sheet, event, rules);
	sheet_text(sheet, "$browser", event_text(event, ENRICHED_AGENT_BROWSER));
	sheet_text(sheet, "$os", event_text(event, ENRICHED_AGENT_OS));
	if (event->type == EVENT_SCREEN)
		sheet_text(sheet, "$screen_name", event_text(event, ENRICHED_NAME));
	if (event->type == EVENT_IDENTIFY) {
		if (event_text(event, ENRICHED_USER_ID).len)
			sheet_text(sheet, "$anon_distinct_id",
				   event_text(event, ENRICHED_ANONYMOUS_ID));
		sheet_json(sheet, "$set", event->traits);
	}
	if (event->type == EVENT_GROUP) {
		sheet_text(sheet, "$group_type", slice_from(conf_of(dest)->group_type));
		sheet_text(sheet, "$group_key", event_text(event, ENRICHED_GROUP_ID));
		sheet_json(sheet, "$group_set", event->traits);
	}
	if (event->type == EVENT_ALIAS)
		sheet_text(sheet, "alias", event_text(event, ENRICHED_PREVIOUS_ID));
	sheet_spread(sheet, event->properties, reserved);
}

static int posthog_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct sheet sheet, inner;
	char uuid[37];

	event_uuid(event_text(event, ENRICHED_MESSAGE_ID), uuid);
	sheet_begin(&sheet, out->buf, NULL);
	sheet_text(&sheet, "event", name_of(event));
	sheet_text(&sheet, "distinct_id", event_person(event));
	sheet_text(&sheet, "uuid", slice_from(uuid));
	sheet_time(&sheet, "timestamp", event->fields[ENRICHED_TIMESTAMP].num);
	sheet_name(&sheet, "properties");
	sheet_begin(&inner, out->buf, event->properties);
	put_properties(dest, event, &inner);
	sheet_end(&inner);
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int posthog_build(struct dest *dest, const struct dest_batch *batch,
			 struct post_request *request)
{
	snprintf(request->url, sizeof(request->url), "%s/batch/", conf_of(dest)->url);
	buf_append_text(&request->body, "{\"api_key\":");
	json_write_text(slice_from(conf_of(dest)->api_key), &request->body);
	buf_append_text(&request->body, ",\"historical_migration\":false,\"batch\":[");
	sheet_join(batch, &request->body);
	buf_append_text(&request->body, "]}");
	request->gzip = true;
	return post_header(request, "Content-Type", SLICE("application/json"));
}

/* Over its quota a project answers 200, and drops what it got. */
static void posthog_judge(struct dest *dest, const struct dest_batch *batch,
			  const struct post_answer *answer, struct dest_result *results)
{
	yyjson_val *root, *limited;

	dest_judge_status(batch, answer, results);
	if (answer->status != 200 || json_parse(dest->json, answer->body, &root, NULL) < 0)
		return;
	limited = json_get(root, "quota_limited");
	if (yyjson_is_arr(limited) && yyjson_arr_size(limited))
		dest_result_all(batch, results, DEST_SETUP,
				SLICE("the project is over its quota: events would be dropped"));
}

const struct dest_kind dest_posthog = {
	.name = "posthog",
	.summary = "PostHog: events, persons, groups",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ATOMIC | DEST_WHOLE | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 500, .items_max = 2000, .bytes = 8 << 20, .item_bytes = 1 << 20,
		    .wait_ms = 1000, .concurrency = 4 },
	.open = plain_open,
	.map = posthog_map,
	.build = posthog_build,
	.judge = posthog_judge,
	.close = plain_close,
};
