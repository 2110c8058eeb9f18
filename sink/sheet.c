// SPDX-License-Identifier: Apache-2.0
#include "sink/sheet.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <xxhash.h>

#include "lib/record.h"
#include "lib/when.h"

void sheet_begin(struct sheet *sheet, struct buf *out, yyjson_val *over)
{
	*sheet = (struct sheet){ .out = out, .over = over };
	buf_append_char(out, '{');
}

void sheet_end(struct sheet *sheet)
{
	buf_append_char(sheet->out, '}');
}

void sheet_name_text(struct sheet *sheet, struct slice name)
{
	if (sheet->has_members)
		buf_append_char(sheet->out, ',');
	sheet->has_members = true;
	json_write_text(name, sheet->out);
	buf_append_char(sheet->out, ':');
}

void sheet_name(struct sheet *sheet, const char *name)
{
	sheet_name_text(sheet, slice_from(name));
}

static bool is_over(const struct sheet *sheet, const char *name)
{
	return (sheet->over && yyjson_obj_get(sheet->over, name)) ||
	       (sheet->over_all && yyjson_obj_get(sheet->over_all, name));
}

bool sheet_text(struct sheet *sheet, const char *name, struct slice text)
{
	if (!text.len || is_over(sheet, name))
		return false;
	sheet_name(sheet, name);
	json_write_text(text, sheet->out);
	return true;
}

bool sheet_json(struct sheet *sheet, const char *name, yyjson_val *value)
{
	if (!value || is_over(sheet, name))
		return false;
	sheet_name(sheet, name);
	json_write(value, sheet->out);
	return true;
}

bool sheet_num(struct sheet *sheet, const char *name, int64_t num)
{
	if (is_over(sheet, name))
		return false;
	sheet_name(sheet, name);
	buf_printf(sheet->out, "%lld", (long long)num);
	return true;
}

void sheet_time(struct sheet *sheet, const char *name, int64_t us)
{
	char text[WHEN_TEXT_MAX];
	size_t len = when_print(us, 3, text);

	sheet_text(sheet, name, (struct slice){ text, len });
}

yyjson_val *event_path(const struct event *event, const char *path)
{
	size_t len = strcspn(path, ".");
	yyjson_val *at = path[0] == 'c' ? event->context
			 : path[0] == 'p' ? event->properties : event->traits;
	char name[64];

	while (at && path[len]) {
		path += len + 1;
		len = strcspn(path, ".");
		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		at = json_get(at, name);
	}
	return at;
}

void sheet_rules(struct sheet *sheet, const struct event *event, const struct sheet_rule *rules)
{
	for (; rules->name; rules++)
		sheet_json(sheet, rules->name, event_path(event, rules->path));
}

bool sheet_is_one_of(struct slice name, const char *const *list)
{
	for (; list && *list; list++)
		if (slice_is(name, *list))
			return true;
	return false;
}

void sheet_spread(struct sheet *sheet, yyjson_val *object, const char *const *without)
{
	yyjson_obj_iter iter;
	yyjson_val *key;

	if (!yyjson_obj_iter_init(object, &iter))
		return;
	while ((key = yyjson_obj_iter_next(&iter))) {
		struct slice name = json_string(key);

		if (sheet_is_one_of(name, without) ||
		    (sheet->over_all && object != sheet->over_all &&
		     yyjson_obj_getn(sheet->over_all, name.ptr, name.len)))
			continue;
		sheet_name_text(sheet, name);
		json_write(yyjson_obj_iter_get_val(key), sheet->out);
	}
}

void event_segment(const struct event *event, struct buf *out)
{
	struct sheet sheet;

	sheet_begin(&sheet, out, NULL);
	sheet_text(&sheet, "type", event_text(event, ENRICHED_TYPE));
	sheet_text(&sheet, "messageId", event_text(event, ENRICHED_MESSAGE_ID));
	sheet_text(&sheet, "userId", event_text(event, ENRICHED_USER_ID));
	sheet_text(&sheet, "anonymousId", event_text(event, ENRICHED_ANONYMOUS_ID));
	if (event->type == EVENT_TRACK)
		sheet_text(&sheet, "event", event_text(event, ENRICHED_EVENT));
	if (event->type == EVENT_GROUP)
		sheet_text(&sheet, "groupId", event_text(event, ENRICHED_GROUP_ID));
	sheet_text(&sheet, "previousId", event_text(event, ENRICHED_PREVIOUS_ID));
	sheet_text(&sheet, "name", event_text(event, ENRICHED_NAME));
	sheet_text(&sheet, "category", event_text(event, ENRICHED_CATEGORY));
	sheet_time(&sheet, "timestamp", event->fields[ENRICHED_TIMESTAMP].num);
	sheet_json(&sheet, "properties", event->properties);
	sheet_json(&sheet, "traits", event->traits);
	sheet_json(&sheet, "context", event->context);
	sheet_json(&sheet, "integrations", event->integrations);
	sheet_end(&sheet);
}

void sheet_join(const struct dest_batch *batch, struct buf *body)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (i)
			buf_append_char(body, ',');
		buf_append_slice(body, batch->items[i]->payload);
	}
}

static bool is_uuid(struct slice id)
{
	if (id.len != 36)
		return false;
	for (size_t i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23
		    ? id.ptr[i] != '-' : !strchr("0123456789abcdefABCDEF", id.ptr[i]))
			return false;
	return true;
}

void event_uuid(struct slice id, char uuid[37])
{
	XXH128_hash_t h = XXH3_128bits(id.ptr, id.len);

	if (is_uuid(id)) {
		memcpy(uuid, id.ptr, 36);
		uuid[36] = '\0';
		return;
	}
	/* Version 8: bits of one's own. */
	snprintf(uuid, 37, "%08x-%04x-8%03x-%04x-%012llx", (unsigned)(h.high64 >> 32),
		 (unsigned)(h.high64 >> 16 & 0xffff), (unsigned)(h.high64 & 0xfff),
		 (unsigned)(0x8000 | (h.low64 >> 48 & 0x3fff)),
		 (unsigned long long)(h.low64 & 0xffffffffffff));
}

int sheet_basic(struct post_request *request, const char *user, const char *password)
{
	char text[700], value[1000] = "Basic ";
	int len = snprintf(text, sizeof(text), "%s:%s", user, password);

	if (len < 0 || len >= (int)sizeof(text))
		return -ENOSPC;
	EVP_EncodeBlock((unsigned char *)value + 6, (const unsigned char *)text, len);
	return post_header(request, "Authorization", slice_from(value));
}
