// SPDX-License-Identifier: Apache-2.0
#include "enrich/record_line.h"

#include <errno.h>
#include <stdio.h>

#include "enrich/leaf.h"
#include "lib/bus.h"
#include "lib/when.h"

static bool is_json(int leaf)
{
	return leaf == ENRICHED_PROPERTIES || leaf == ENRICHED_TRAITS || leaf == ENRICHED_CONTEXT ||
	       leaf == ENRICHED_INTEGRATIONS || leaf == ENRICHED_VIOLATIONS;
}

static bool is_fixed(int leaf)
{
	static const int fixed[] = {
		ENRICHED_MESSAGE_ID, ENRICHED_TYPE, ENRICHED_SOURCE, ENRICHED_SENT_AT,
		ENRICHED_RECEIVED_AT, ENRICHED_DOOR, ENRICHED_SRC_PARTITION, ENRICHED_SRC_OFFSET,
		ENRICHED_SRC_INDEX, ENRICHED_LOGIC,
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (fixed[i] == leaf)
			return true;
	}
	return false;
}

static void write_scalar(const struct schema_field *field, int leaf, const struct value *value,
			 struct buf *line)
{
	char text[40];

	if (field->kind == SCHEMA_STRING && is_json(leaf)) {
		buf_append_slice(line, value->text);
	} else if (field->kind == SCHEMA_STRING || field->kind == SCHEMA_BYTES) {
		json_write_text(value->text, line);
	} else if (field->is_time_us) {
		when_print(value->num, 6, text);
		json_write_text(slice_from(text), line);
	} else if (field->kind == SCHEMA_DOUBLE || field->kind == SCHEMA_FLOAT) {
		snprintf(text, sizeof(text), "%.17g", value->real);
		buf_append_text(line, text);
	} else if (field->kind == SCHEMA_BOOLEAN) {
		buf_append_text(line, value->num ? "true" : "false");
	} else {
		buf_printf(line, "%lld", (long long)value->num);
	}
}

void record_line_write(const struct schema *schema, const struct value *out, struct buf *line)
{
	const struct schema_field *fields = schema_field_at(schema, 0);
	struct slice open = { "", 0 };          /* the record that is open: "geo" */
	bool first = true;

	buf_append_char(line, '{');
	for (int i = 0; i < ENRICHED_COUNT; i++) {
		const char *dot = strchr(fields[i].name, '.');
		struct slice group = { fields[i].name,
				       dot ? (size_t)(dot - fields[i].name) : 0 };

		if (!out[i].is_set)
			continue;
		if (open.len && !slice_eq(group, open))
			buf_append_char(line, '}');
		if (!first)
			buf_append_char(line, ',');
		if (group.len && !slice_eq(group, open)) {
			json_write_text(group, line);
			buf_append_text(line, ":{");
		}
		open = group;
		first = false;
		json_write_text(slice_from(dot ? dot + 1 : fields[i].name), line);
		buf_append_char(line, ':');
		write_scalar(&fields[i], i, &out[i], line);
	}
	buf_append_text(line, open.len ? "}}" : "}");
}

int record_line_src(yyjson_val *root, int64_t *partition, int64_t *offset)
{
	yyjson_val *src = json_get(root, "src");
	yyjson_val *a = json_get(src, "partition"), *b = json_get(src, "offset");

	if (!a || !b || json_num(a, partition) < 0 || json_num(b, offset) < 0)
		return -EBADMSG;
	return 0;
}

static int set_json(int leaf, yyjson_val *value, struct step_event *event)
{
	struct buf *scratch = &event->scratch;
	struct slice text;

	if (leaf == ENRICHED_VIOLATIONS ? !yyjson_is_arr(value) : !yyjson_is_obj(value))
		return -EBADMSG;
	scratch->limit = BUS_RECORD_MAX;
	buf_reset(scratch);
	json_write(value, scratch);
	if (scratch->failed)
		return -EBADMSG;
	text = arena_copy(event->arena, buf_slice(scratch));
	if (!text.ptr)
		return -ENOMEM;
	event->out[leaf] = value_text(text);
	return 0;
}

static int set_scalar(const struct schema_field *field, int leaf, yyjson_val *value,
		      struct step_event *event)
{
	struct value *out = &event->out[leaf];
	int64_t num = 0;
	double real = 0;
	int rc = 0;

	if (field->kind == SCHEMA_STRING && is_json(leaf))
		return set_json(leaf, value, event);
	if (field->kind == SCHEMA_STRING || field->kind == SCHEMA_BYTES) {
		if (!yyjson_is_str(value))
			return -EBADMSG;
		*out = value_text((struct slice){ yyjson_get_str(value), yyjson_get_len(value) });
		return 0;
	}
	if (field->kind == SCHEMA_BOOLEAN) {
		if (!yyjson_is_bool(value))
			return -EBADMSG;
		*out = value_num(yyjson_get_bool(value));
		return 0;
	}
	if (field->is_time_us)
		rc = yyjson_is_str(value) ? when_parse(json_string(value), &num) : -EBADMSG;
	else if (!json_is_num(value))
		rc = -EBADMSG;
	else if (field->kind == SCHEMA_DOUBLE || field->kind == SCHEMA_FLOAT)
		rc = json_real(value, &real);
	else
		rc = json_num(value, &num);
	if (rc < 0 || (field->kind == SCHEMA_INT && (num < INT32_MIN || num > INT32_MAX)))
		return -EBADMSG;
	*out = field->kind == SCHEMA_DOUBLE || field->kind == SCHEMA_FLOAT ? value_real(real)
									   : value_num(num);
	return 0;
}

static yyjson_val *find(yyjson_val *root, const char *name)
{
	const char *dot = strchr(name, '.');
	char group[32];

	if (!dot)
		return json_get(root, name);
	snprintf(group, sizeof(group), "%.*s", (int)(dot - name), name);
	return json_get(json_get(root, group), dot + 1);
}

/* A member that is no leaf would be lost in silence. */
static int check_names(const struct schema *schema, yyjson_val *object, const char *group,
		       struct err *words)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	char name[160];

	yyjson_obj_iter_init(object, &iter);
	while ((key = yyjson_obj_iter_next(&iter))) {
		yyjson_val *value = yyjson_obj_iter_get_val(key);

		snprintf(name, sizeof(name), "%s%s%.100s", group ? group : "", group ? "." : "",
			 yyjson_get_str(key));
		if (schema_find(schema, name) >= 0)
			continue;
		if (group || !yyjson_is_obj(value) || yyjson_obj_size(value) == 0)
			return err_set(words, -EBADMSG, "the answer has a member %s, which an "
				       "enriched record has not", name);
		if (check_names(schema, value, yyjson_get_str(key), words) < 0)
			return -EBADMSG;
	}
	return 0;
}

int record_line_read(const struct schema *schema, yyjson_val *root, struct step_event *event,
		     struct err *words)
{
	const struct schema_field *fields = schema_field_at(schema, 0);
	int rc = yyjson_is_obj(root) ? check_names(schema, root, NULL, words) : -EBADMSG;

	if (rc < 0)
		return err_set(words, rc, "the answer is no object");
	for (int i = 0; i < ENRICHED_COUNT; i++) {
		yyjson_val *value = is_fixed(i) ? NULL : find(root, fields[i].name);

		if (is_fixed(i))
			continue;
		event->out[i].is_set = false;
		if (!value && !fields[i].nullable && !fields[i].has_default)
			return err_set(words, -EBADMSG, "the answer lacks %s", fields[i].name);
		rc = value ? set_scalar(&fields[i], i, value, event) : 0;
		if (rc < 0)
			return rc == -EBADMSG ? err_set(words, rc, "the answer's %s is of the "
							"wrong kind", fields[i].name) : rc;
	}
	for (int i = 0; i < LEAF_COUNT; i++)
		event->trees[i].root = NULL;
	return 0;
}
