/* dest_customerio - Customer.io's Track API v2: /api/v2/batch
 *
 *      track        event            page, screen  page (by its URL), screen
 *      identify     a person with attributes, where an id or an e-mail address is known
 *      group        an object with its traits, and who belongs to it
 *      alias        two people become one
 *
 * Times as ISO 8601 in attributes become seconds, which is what Customer.io takes for a date. An
 * event's `id` is its message id: repeats are dropped there. 207 says which were refused.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/record.h"
#include "lib/when.h"
#include "sink/kinds.h"
#include "sink/plain.h"
#include "sink/sheet.h"

struct conf {
	const char *site_id, *api_key, *region, *url;
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "site_id", DEST_FIELD_TEXT, AT(site_id), NULL, true, 0, 0, NULL, "of the workspace" },
	{ "api_key", DEST_FIELD_SECRET, AT(api_key), NULL, true, 0, 0, NULL, "Track API key" },
	{ "region", DEST_FIELD_CHOICE, AT(region), "us", false, 0, 0, "us|eu",
	  "where the account lives" },
	{ "url", DEST_FIELD_URL, AT(url), NULL, false, 0, 0, NULL,
	  "another host than the region's" },
	{ .name = NULL },
};

/* 2026-11-01, 2026-11-01T10:00, with seconds, fraction and zone; without a zone it is UTC. */
static bool parse_date(struct slice text, int64_t *seconds)
{
	char whole[WHEN_TEXT_MAX + 16];
	size_t len = text.len, zone;
	int64_t us;

	if (len < 10 || len > WHEN_TEXT_MAX || !text.ptr || text.ptr[4] != '-' ||
	    (len > 10 && text.ptr[10] != 'T'))
		return false;
	memcpy(whole, text.ptr, len);
	whole[len] = '\0';
	zone = len > 10 ? 11 + strcspn(whole + 11, "Z+-") : 10;
	if (len == 10)
		snprintf(whole + 10, sizeof(whole) - 10, "T00:00:00Z");
	else if (zone == 16)            /* no seconds */
		snprintf(whole + 16, sizeof(whole) - 16, ":00%.*s", (int)(len - 16),
			 zone < len ? text.ptr + 16 : "");
	if (len > 10 && zone == len)
		snprintf(whole + strlen(whole), 2, "Z");
	if (when_parse(slice_from(whole), &us) < 0)
		return false;
	*seconds = us / 1000000 - (us % 1000000 < 0);
	return true;
}

static void put_value(yyjson_val *value, int depth, struct sheet *sheet);

/* Members but those in without, with times as seconds. */
static void put_members(yyjson_val *object, const char *const *without, int depth,
			struct sheet *sheet)
{
	yyjson_obj_iter iter;
	yyjson_val *key;

	if (!yyjson_obj_iter_init(object, &iter))
		return;
	while ((key = yyjson_obj_iter_next(&iter))) {
		if (sheet_is_one_of(json_string(key), without))
			continue;
		sheet_name_text(sheet, json_string(key));
		put_value(yyjson_obj_iter_get_val(key), depth, sheet);
	}
}

static void put_value(yyjson_val *value, int depth, struct sheet *sheet)
{
	struct sheet inner;
	int64_t seconds;

	if (parse_date(json_string(value), &seconds)) {
		buf_printf(sheet->out, "%lld", (long long)seconds);
	} else if (yyjson_is_obj(value) && depth < JSON_DEPTH_MAX) {
		sheet_begin(&inner, sheet->out, NULL);
		put_members(value, NULL, depth + 1, &inner);
		sheet_end(&inner);
	} else {
		json_write(value, sheet->out);
	}
}

static bool is_email(struct slice text)
{
	const char *at = text.len ? memchr(text.ptr, '@', text.len) : NULL;
	size_t before = at ? (size_t)(at - text.ptr) : 0;

	return before && memchr(at, '.', text.len - before) && at[1] != '.' &&
	       text.ptr[text.len - 1] != '.' && !memchr(text.ptr, ' ', text.len) &&
	       !memchr(at + 1, '@', text.len - before - 1);
}

/* An id of Customer.io's own begins with cio_. */
static void put_id(struct sheet *sheet, const char *name, struct slice id)
{
	struct sheet inner;

	sheet_name(sheet, name);
	sheet_begin(&inner, sheet->out, NULL);
	if (slice_starts(id, SLICE("cio_")))
		sheet_text(&inner, "cio_id", slice_skip(id, 4));
	else
		sheet_text(&inner, is_email(id) ? "email" : "id", id);
	sheet_end(&inner);
}

static void put_person(const struct event *event, struct slice person, struct sheet *sheet)
{
	struct sheet inner;

	if (person.len) {
		put_id(sheet, "identifiers", person);
		return;
	}
	sheet_name(sheet, "identifiers");
	sheet_begin(&inner, sheet->out, NULL);
	sheet_text(&inner, "anonymous_id", event_text(event, ENRICHED_ANONYMOUS_ID));
	sheet_end(&inner);
}

static void put_attributes(const struct event *event, yyjson_val *object, bool is_known,
			   const char *const *without, struct sheet *sheet)
{
	struct slice anonymous = event_text(event, ENRICHED_ANONYMOUS_ID);
	yyjson_val *created = json_get(object, "created_at");
	struct sheet inner;

	if (!object && !(is_known && anonymous.len))
		return;
	sheet_name(sheet, "attributes");
	sheet_begin(&inner, sheet->out, NULL);
	put_members(object, without, 0, &inner);
	created = created ? created : json_get(object, "createdAt");
	if (without && created) {
		sheet_name(&inner, "created_at");
		put_value(created, 0, &inner);
	}
	/* Ties what was done before to this person. */
	if (is_known && !json_get(object, "anonymous_id"))
		sheet_text(&inner, "anonymous_id", anonymous);
	sheet_end(&inner);
}

static void put_head(struct sheet *sheet, const char *type, const char *action)
{
	sheet_text(sheet, "type", slice_from(type));
	sheet_text(sheet, "action", slice_from(action));
}

static int map_event(const struct event *event, struct dest_out *out)
{
	struct slice user = event_text(event, ENRICHED_USER_ID);
	struct slice name = event_text(event, event->type == EVENT_TRACK ? ENRICHED_EVENT
									 : ENRICHED_NAME);
	struct slice url = json_text(event->properties, "url");
	struct sheet sheet;

	if (event->type == EVENT_PAGE)
		name = url.len ? url : event_text(event, ENRICHED_PAGE_URL).len
				       ? event_text(event, ENRICHED_PAGE_URL) : name;
	sheet_begin(&sheet, out->buf, NULL);
	put_head(&sheet, "person", event->type == EVENT_TRACK ? "event"
				   : event->type == EVENT_PAGE ? "page" : "screen");
	sheet_text(&sheet, "name", name);
	sheet_text(&sheet, "id", event_text(event, ENRICHED_MESSAGE_ID));
	sheet_num(&sheet, "timestamp", event->fields[ENRICHED_TIMESTAMP].num / 1000000);
	put_person(event, user, &sheet);
	put_attributes(event, event->properties, user.len, NULL, &sheet);
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

/* object_type_id of traits, or 1; as a text. */
static void put_object(struct sheet *sheet, const char *name, yyjson_val *traits, struct slice id)
{
	yyjson_val *type = json_get(traits, "object_type_id");
	struct sheet inner;

	type = type ? type : json_get(traits, "objectTypeId");
	sheet_name(sheet, name);
	sheet_begin(&inner, sheet->out, NULL);
	if (json_string(type).ptr)
		sheet_text(&inner, "object_type_id", json_string(type));
	else
		sheet_text(&inner, "object_type_id",
			   json_is_num(type) ? json_digits(type) : SLICE("1"));
	sheet_text(&inner, "object_id", id);
	sheet_end(&inner);
}

static void put_relation_attributes(struct sheet *sheet, yyjson_val *traits)
{
	yyjson_val *attributes = json_get(traits, "relationshipAttributes");

	if (!attributes)
		return;
	sheet_name(sheet, "relationship_attributes");
	put_value(attributes, 0, sheet);
}

/* Traits have no owner until somebody is known. */
static int map_identify(const struct event *event, struct dest_out *out)
{
	static const char *const known[] = { "createdAt", "created_at", "object_type_id",
					     "objectTypeId", "relationshipAttributes", NULL };
	struct slice user = event_text(event, ENRICHED_USER_ID);
	struct slice object = json_text(event->traits, "objectId");
	struct sheet sheet, relation;

	if (!user.len)
		user = json_text(event->traits, "email");
	if (!user.len)
		return 0;
	sheet_begin(&sheet, out->buf, NULL);
	put_head(&sheet, "person", "identify");
	sheet_num(&sheet, "timestamp", event->fields[ENRICHED_TIMESTAMP].num / 1000000);
	put_person(event, user, &sheet);
	put_attributes(event, event->traits, true, known, &sheet);
	if (object.len) {
		sheet_name(&sheet, "cio_relationships");
		buf_append_char(out->buf, '[');
		sheet_begin(&relation, out->buf, NULL);
		put_object(&relation, "identifiers", event->traits, object);
		put_relation_attributes(&relation, event->traits);
		sheet_end(&relation);
		buf_append_char(out->buf, ']');
	}
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int map_group(const struct event *event, struct dest_out *out)
{
	static const char *const known[] = { "object_type_id", "objectTypeId", "createdAt",
					     "created_at", "relationshipAttributes", NULL };
	struct slice user = event_text(event, ENRICHED_USER_ID);
	struct sheet sheet, relation;

	sheet_begin(&sheet, out->buf, NULL);
	put_head(&sheet, "object", user.len ? "identify" : "identify_anonymous");
	put_object(&sheet, "identifiers", event->traits, event_text(event, ENRICHED_GROUP_ID));
	put_attributes(event, event->traits, false, known, &sheet);
	sheet_name(&sheet, "cio_relationships");
	buf_append_char(out->buf, '[');
	sheet_begin(&relation, out->buf, NULL);
	put_person(event, user, &relation);
	put_relation_attributes(&relation, event->traits);
	sheet_end(&relation);
	buf_append_char(out->buf, ']');
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int map_alias(const struct event *event, struct dest_out *out)
{
	struct slice user = event_text(event, ENRICHED_USER_ID);
	struct sheet sheet;

	if (!user.len)
		return 0;
	sheet_begin(&sheet, out->buf, NULL);
	put_head(&sheet, "person", "merge");
	put_id(&sheet, "primary", user);
	put_id(&sheet, "secondary", event_text(event, ENRICHED_PREVIOUS_ID));
	sheet_end(&sheet);
	return dest_out_end(out, 0);
}

static int customerio_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	(void)dest;
	if (event->type == EVENT_IDENTIFY)
		return map_identify(event, out);
	if (event->type == EVENT_GROUP)
		return map_group(event, out);
	return event->type == EVENT_ALIAS ? map_alias(event, out) : map_event(event, out);
}

static int customerio_build(struct dest *dest, const struct dest_batch *batch,
			    struct post_request *request)
{
	const struct conf *conf = dest->conf;
	const char *host = conf->url ? conf->url : strcmp(conf->region, "eu") == 0
			   ? "https://track-eu.customer.io" : "https://track.customer.io";
	int rc;

	snprintf(request->url, sizeof(request->url), "%s/api/v2/batch", host);
	buf_append_text(&request->body, "{\"batch\":[");
	sheet_join(batch, &request->body);
	buf_append_text(&request->body, "]}");
	rc = post_header(request, "Content-Type", SLICE("application/json"));
	return rc < 0 ? rc : sheet_basic(request, conf->site_id, conf->api_key);
}

static void customerio_judge(struct dest *dest, const struct dest_batch *batch,
			     const struct post_answer *answer, struct dest_result *results)
{
	yyjson_val *root, *errors, *error;
	int64_t index;
	size_t i, count;

	dest_judge_status(batch, answer, results);
	if (answer->status != 207 || json_parse(dest->json, answer->body, &root, NULL) < 0)
		return;
	errors = json_get(root, "errors");
	if (!yyjson_is_arr(errors))
		return;
	yyjson_arr_foreach(errors, i, count, error) {
		if (json_num(json_get(error, "batch_index"), &index) < 0 || index < 0 ||
		    (size_t)index >= batch->count)
			continue;
		dest_result_set(&results[index], DEST_INVALID, json_text(error, "message").ptr
				? json_text(error, "message") : SLICE("refused"));
	}
}

const struct dest_kind dest_customerio = {
	.name = "customerio",
	.summary = "Customer.io: people, events, objects",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_WHOLE | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 200, .items_max = 1000, .bytes = 480 << 10, .item_bytes = 32 << 10,
		    .wait_ms = 500, .concurrency = 4 },
	.open = plain_open,
	.map = customerio_map,
	.build = customerio_build,
	.judge = customerio_judge,
	.close = plain_close,
};
