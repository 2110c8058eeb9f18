/* oracle - a record in avro-c's hands, leaf by leaf
 *
 * avro-c's generic values on one side, our flat array of values on the other, for tests and the
 * benchmark that compare both. Text is copied by avro-c on the way in and borrowed on the way out.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <assert.h>
#include <avro.h>
#include <string.h>

#include "lib/datum.h"

struct oracle {
	avro_schema_t schema;
	avro_value_iface_t *iface;
	avro_value_t value;
};

static inline void oracle_open(struct oracle *oracle, const struct schema *schema)
{
	struct slice text = schema_text(schema);

	if (avro_schema_from_json_length(text.ptr, text.len, &oracle->schema))
		assert(!"avro-c takes the schema");
	oracle->iface = avro_generic_class_from_schema(oracle->schema);
	avro_generic_value_new(oracle->iface, &oracle->value);
}

static inline void oracle_close(struct oracle *oracle)
{
	avro_value_decref(&oracle->value);
	avro_value_iface_decref(oracle->iface);
	avro_schema_decref(oracle->schema);
}

static inline avro_value_t oracle_leaf(const struct oracle *oracle, const char *name)
{
	avro_value_t at = oracle->value, next;
	char part[256];

	while (*name) {
		size_t len = strcspn(name, ".");

		assert(len < sizeof(part));
		memcpy(part, name, len);
		part[len] = '\0';
		if (avro_value_get_by_name(&at, part, &next, NULL))
			assert(!"avro-c has the field");
		at = next;
		name += len + (name[len] == '.');
	}
	return at;
}

static inline void oracle_set(const struct oracle *oracle, const struct schema_field *field,
			      const struct value *value)
{
	avro_value_t at = oracle_leaf(oracle, field->name), branch = at;
	int rc = 0;

	if (field->nullable) {
		avro_value_set_branch(&at, field->null_branch ^ value->is_set, &branch);
		at = branch;
		if (!value->is_set) {
			avro_value_set_null(&at);
			return;
		}
	}
	switch (field->kind) {
	case SCHEMA_BOOLEAN: rc = avro_value_set_boolean(&at, (int)value->num); break;
	case SCHEMA_INT: rc = avro_value_set_int(&at, (int32_t)value->num); break;
	case SCHEMA_LONG: rc = avro_value_set_long(&at, value->num); break;
	case SCHEMA_FLOAT: rc = avro_value_set_float(&at, (float)value->real); break;
	case SCHEMA_DOUBLE: rc = avro_value_set_double(&at, value->real); break;
	case SCHEMA_ENUM: rc = avro_value_set_enum(&at, (int)value->num); break;
	case SCHEMA_BYTES:
		rc = avro_value_set_bytes(&at, (void *)(uintptr_t)value->text.ptr, value->text.len);
		break;
	case SCHEMA_STRING: {
		/* avro-c wants the NUL counted. */
		char *copy = malloc(value->text.len + 1);

		assert(copy);
		memcpy(copy, value->text.ptr, value->text.len);
		copy[value->text.len] = '\0';
		rc = avro_value_set_string_len(&at, copy, value->text.len + 1);
		free(copy);
	}
	}
	assert(rc == 0);
}

static inline struct value oracle_get(const struct oracle *oracle, const struct schema_field *field)
{
	avro_value_t at = oracle_leaf(oracle, field->name), branch = at;
	struct value value = { .is_set = true };
	int rc = 0, num = 0, which = 0;
	float single = 0;
	const void *bytes = NULL;
	const char *text = NULL;
	size_t size = 0;

	if (field->nullable) {
		avro_value_get_discriminant(&at, &which);
		if (which == field->null_branch)
			return (struct value){ 0 };
		avro_value_get_current_branch(&at, &branch);
		at = branch;
	}
	switch (field->kind) {
	case SCHEMA_BOOLEAN: rc = avro_value_get_boolean(&at, &num); value.num = num; break;
	case SCHEMA_INT: rc = avro_value_get_int(&at, &num); value.num = num; break;
	case SCHEMA_LONG: rc = avro_value_get_long(&at, &value.num); break;
	case SCHEMA_FLOAT:
		rc = avro_value_get_float(&at, &single);
		value.real = (double)single;
		break;
	case SCHEMA_DOUBLE: rc = avro_value_get_double(&at, &value.real); break;
	case SCHEMA_ENUM: rc = avro_value_get_enum(&at, &num); value.num = num; break;
	case SCHEMA_BYTES:
		rc = avro_value_get_bytes(&at, &bytes, &size);
		value.text = (struct slice){ bytes, size };
		break;
	case SCHEMA_STRING:
		rc = avro_value_get_string(&at, &text, &size);
		value.text = (struct slice){ text, size - 1 };
		break;
	}
	assert(rc == 0);
	return value;
}

#endif
