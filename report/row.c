// SPDX-License-Identifier: Apache-2.0
#include "report/row.h"

#include <strings.h>

#include "lib/json.h"
#include "lib/record.h"
#include "lib/when.h"

static const struct {
	enum enriched_leaf leaf;
	const char *name;
} TEXTS[] = {
	{ ENRICHED_EVENT, "event" }, { ENRICHED_TYPE, "type" }, { ENRICHED_NAME, "name" },
	{ ENRICHED_SOURCE, "source" }, { ENRICHED_USER_ID, "user_id" },
	{ ENRICHED_ANONYMOUS_ID, "anonymous_id" }, { ENRICHED_GROUP_ID, "group_id" },
	{ ENRICHED_MESSAGE_ID, "message_id" }, { ENRICHED_IP, "ip" },
	{ ENRICHED_GEO_COUNTRY, "country" }, { ENRICHED_GEO_REGION, "region" },
	{ ENRICHED_GEO_CITY, "city" }, { ENRICHED_AGENT_BROWSER, "browser" },
	{ ENRICHED_AGENT_VERSION, "browser_version" }, { ENRICHED_AGENT_OS, "os" },
	{ ENRICHED_AGENT_DEVICE, "device" }, { ENRICHED_AGENT_BOT, "bot" },
	{ ENRICHED_PAGE_URL, "url" }, { ENRICHED_PAGE_PATH, "path" },
	{ ENRICHED_PAGE_TITLE, "title" }, { ENRICHED_PAGE_REFERRING_DOMAIN, "referring_domain" },
	{ ENRICHED_CAMPAIGN_SOURCE, "utm_source" }, { ENRICHED_CAMPAIGN_MEDIUM, "utm_medium" },
	{ ENRICHED_CAMPAIGN_NAME, "utm_campaign" }, { ENRICHED_LIBRARY_NAME, "library" },
	{ ENRICHED_LOCALE, "locale" },
};

static const struct {
	enum enriched_leaf leaf;
	const char *name;
} TREES[] = {
	{ ENRICHED_PROPERTIES, "properties" }, { ENRICHED_TRAITS, "traits" },
};

void row_write(const struct bus_record *record, struct buf *out)
{
	const struct value *fields = record->fields;
	char time[WHEN_TEXT_MAX];

	buf_printf(out, "{\"id\":\"%d-%lld\"", (int)record->partition, (long long)record->offset);
	when_print(fields[ENRICHED_TIMESTAMP].num, 3, time);
	buf_printf(out, ",\"timestamp\":\"%s\"", time);
	when_print(fields[ENRICHED_RECEIVED_AT].num, 3, time);
	buf_printf(out, ",\"received_at\":\"%s\"", time);
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		const struct value *value = &fields[TEXTS[i].leaf];

		if (!value->is_set || value->text.len == 0)
			continue;
		buf_printf(out, ",\"%s\":", TEXTS[i].name);
		json_write_text(value->text, out);
	}
	/* enrich wrote these: they are whole JSON on one line. */
	for (size_t i = 0; i < sizeof(TREES) / sizeof(TREES[0]); i++) {
		const struct value *value = &fields[TREES[i].leaf];

		if (!value->is_set || value->text.len == 0)
			continue;
		buf_printf(out, ",\"%s\":", TREES[i].name);
		buf_append_slice(out, value->text);
	}
	buf_append_char(out, '}');
}

/* Our own writer puts members of the top level before the trees, in one form: "name":"value" with
 * minimal escapes; so the text can be searched as it is. No text can look like the beginning of
 * the trees, since its quotes are escaped. */
bool row_has(struct slice row, struct slice name, struct slice value)
{
	struct buf want = { .limit = 16 << 10 };
	const char *trees = memmem(row.ptr, row.len, ",\"properties\":{", 15);
	bool found;

	if (trees)
		row.len = (size_t)(trees - row.ptr);
	buf_append_char(&want, ',');
	json_write_text(name, &want);
	buf_append_char(&want, ':');
	json_write_text(value, &want);
	found = !want.failed && memmem(row.ptr, row.len, want.ptr, want.len) != NULL;
	buf_close(&want);
	return found;
}

bool row_contains(struct slice row, struct slice text)
{
	if (text.len == 0)
		return true;
	for (size_t i = 0; i + text.len <= row.len; i++)
		if (strncasecmp(row.ptr + i, text.ptr, text.len) == 0)
			return true;
	return false;
}
