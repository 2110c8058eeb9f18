// SPDX-License-Identifier: Apache-2.0
#include "sink/event.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/record.h"
#include "sink/line.h"

enum part { PART_PROPERTIES, PART_TRAITS, PART_CONTEXT, PART_INTEGRATIONS, PART_COUNT };

struct event_reader {
	const struct schema *schema;
	bool is_enriched;
	struct json_reader *json[PART_COUNT];
	struct line *line;
	struct buf text;
};

int event_open(struct event_reader **readerp, const struct schema *schema, struct err *err)
{
	struct event_reader *reader = calloc(1, sizeof(*reader));
	int rc = reader ? 0 : err_set(err, -ENOMEM, "no memory");

	*readerp = NULL;
	if (rc < 0)
		return rc;
	reader->schema = schema;
	reader->is_enriched = schema_find(schema, "src.index") >= 0 &&
			      schema_find(schema, "properties") == ENRICHED_PROPERTIES &&
			      schema_find(schema, "logic") == ENRICHED_LOGIC;
	for (int i = 0; i < PART_COUNT && rc == 0; i++)
		rc = json_open(&reader->json[i], err);
	if (rc == 0)
		rc = line_open(&reader->line, schema, false, err);
	if (rc < 0) {
		event_close(reader);
		return rc;
	}
	*readerp = reader;
	return 0;
}

void event_close(struct event_reader *reader)
{
	if (!reader)
		return;
	for (int i = 0; i < PART_COUNT; i++)
		json_close(reader->json[i]);
	line_close(reader->line);
	buf_close(&reader->text);
	free(reader);
}

static yyjson_val *parse(struct event_reader *reader, enum part part, const struct value *leaf)
{
	yyjson_val *root;

	/* Most events have no traits or integrations, or an empty object of them. */
	if (!leaf->is_set || leaf->text.len <= 2 ||
	    json_parse(reader->json[part], leaf->text, &root, NULL) < 0)
		return NULL;
	return yyjson_is_obj(root) ? root : NULL;
}

static enum event_type type_of(struct slice type)
{
	static const char *const names[] = { "track", "identify", "page", "screen", "group",
					     "alias" };

	for (int i = 0; i < EVENT_OTHER; i++)
		if (slice_is(type, names[i]))
			return (enum event_type)i;
	return EVENT_OTHER;
}

void event_read(struct event_reader *reader, const struct value *fields, int32_t partition,
		int64_t offset, struct event *event)
{
	*event = (struct event){ .schema = reader->schema, .fields = fields, .type = EVENT_OTHER,
				 .partition = partition, .offset = offset, .reader = reader };
	if (!reader->is_enriched)
		return;
	event->type = type_of(value_slice(&fields[ENRICHED_TYPE]));
	event->properties = parse(reader, PART_PROPERTIES, &fields[ENRICHED_PROPERTIES]);
	event->traits = parse(reader, PART_TRAITS, &fields[ENRICHED_TRAITS]);
	event->context = parse(reader, PART_CONTEXT, &fields[ENRICHED_CONTEXT]);
	event->integrations = parse(reader, PART_INTEGRATIONS, &fields[ENRICHED_INTEGRATIONS]);
}

struct slice event_text(const struct event *event, int leaf)
{
	return value_slice(&event->fields[leaf]);
}

struct slice event_person(const struct event *event)
{
	struct slice user = { "", 0 };

	if (!event->reader->is_enriched)
		return user;
	user = event_text(event, ENRICHED_USER_ID);
	return user.len ? user : event_text(event, ENRICHED_ANONYMOUS_ID);
}

struct slice event_line(const struct event *event)
{
	struct event_reader *reader = event->reader;

	buf_reset(&reader->text);
	if (line_print(reader->line, event->fields, &reader->text) < 0 || !reader->text.len)
		return (struct slice){ "{}", 2 };
	return (struct slice){ reader->text.ptr, reader->text.len - 1 };
}

bool event_real(yyjson_val *value, double *real)
{
	char text[40];
	struct slice s;
	char *end;

	if (yyjson_is_bool(value)) {
		*real = yyjson_get_bool(value);
		return true;
	}
	if (json_is_num(value))
		return json_real(value, real) == 0;
	s = json_string(value);
	if (!s.ptr || s.len == 0 || s.len >= sizeof(text))
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	*real = strtod(text, &end);
	return end == text + s.len;
}
