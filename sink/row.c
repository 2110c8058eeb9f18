// SPDX-License-Identifier: Apache-2.0
#include "sink/row.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static enum row_kind kind_of(const struct schema_field *field)
{
	static const char *const json_names[] = { "properties", "traits", "context",
						  "integrations", "violations", "body", "profile" };

	switch (field->kind) {
	case SCHEMA_BOOLEAN:
		return ROW_FLAG;
	case SCHEMA_INT:
	case SCHEMA_LONG:
		return field->is_time_us ? ROW_TIME : ROW_INT;
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		return ROW_REAL;
	case SCHEMA_BYTES:
		return ROW_BYTES;
	case SCHEMA_ENUM:
		return ROW_ENUM;
	case SCHEMA_STRING:
		break;
	}
	for (size_t i = 0; i < sizeof(json_names) / sizeof(json_names[0]); i++)
		if (strcmp(field->name, json_names[i]) == 0)
			return ROW_JSON;
	return ROW_TEXT;
}

static bool is_wanted(const struct dest_list *only, const char *name)
{
	for (size_t i = 0; i < only->count; i++)
		if (strcmp(only->items[i], name) == 0)
			return true;
	return only->count == 0;
}

static bool has_column(const struct row *row, const char *name)
{
	for (size_t i = 0; i < row->count; i++)
		if (strcmp(row->columns[i].name, name) == 0)
			return true;
	return strcmp(name, "message_id") == 0;
}

int row_init(struct row *row, const struct schema *schema, const struct dest_list *only,
	     struct err *err)
{
	int count = schema_field_count(schema);

	*row = (struct row){ .columns = calloc((size_t)count, sizeof(*row->columns)) };
	if (!row->columns)
		return err_set(err, -ENOMEM, "no memory");
	for (int i = 0; i < count; i++) {
		const struct schema_field *field = schema_field_at(schema, i);
		struct row_column *column = &row->columns[row->count];
		size_t len = strlen(field->name);

		if (len > ROW_NAME_MAX)
			len = ROW_NAME_MAX;
		memcpy(column->name, field->name, len);
		column->name[len] = '\0';
		for (char *dot = column->name; (dot = strchr(dot, '.'));)
			*dot = '_';
		column->leaf = i;
		column->kind = kind_of(field);
		column->field = field;
		if (is_wanted(only, column->name) && !has_column(row, column->name))
			row->count++;
	}
	for (size_t i = 0; i < only->count; i++)
		if (!has_column(row, only->items[i])) {
			row_reset(row);
			return err_set(err, -EBADMSG, "columns: '%.60s' is none of %s's: they are "
				       "named as the schema's leaves, with _ for a dot",
				       only->items[i], schema_name(schema));
		}
	return 0;
}

void row_reset(struct row *row)
{
	free(row->columns);
	*row = (struct row){ 0 };
}

bool row_is_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > ROW_NAME_MAX || isdigit((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	return true;
}

int row_check_name(const char *what, const char *name, struct err *err)
{
	if (row_is_name(name))
		return 0;
	return err_set(err, -EBADMSG, "%s: '%.70s': letters, digits and _, at most %d, no digit "
		       "in front", what, name, ROW_NAME_MAX);
}
