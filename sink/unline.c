// SPDX-License-Identifier: Apache-2.0
#include "sink/unline.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/json.h"
#include "lib/when.h"

struct unline {
	const struct schema *schema;
	struct json_reader *json;
	struct arena arena;
	struct buf text;
};

int unline_open(struct unline **unlinep, const struct schema *schema, struct err *err)
{
	struct unline *unline = calloc(1, sizeof(*unline));
	int rc = unline ? json_open(&unline->json, err) : err_set(err, -ENOMEM, "no memory");

	*unlinep = NULL;
	if (rc < 0) {
		free(unline);
		return rc;
	}
	unline->schema = schema;
	*unlinep = unline;
	return 0;
}

void unline_close(struct unline *unline)
{
	if (!unline)
		return;
	json_close(unline->json);
	arena_close(&unline->arena);
	buf_close(&unline->text);
	free(unline);
}

static yyjson_val *find(yyjson_val *root, const char *name)
{
	char part[64];

	for (;;) {
		size_t len = strcspn(name, ".");

		if (len >= sizeof(part))
			return NULL;
		memcpy(part, name, len);
		part[len] = '\0';
		root = json_get(root, part);
		if (!root || !name[len])
			return root;
		name += len + 1;
	}
}

/* Strings as they are; anything else as its JSON text. */
static int read_text(struct unline *unline, yyjson_val *node, struct value *value)
{
	struct slice text = json_string(node);

	if (!text.ptr) {
		buf_reset(&unline->text);
		json_write(node, &unline->text);
		text = arena_copy(&unline->arena, buf_slice(&unline->text));
	}
	*value = value_text(text);
	return text.ptr ? 0 : -ENOMEM;
}

static int read_time(yyjson_val *node, struct value *value)
{
	struct slice text = json_string(node);
	int64_t num;
	int rc = text.ptr ? when_parse(text, &num) : json_num(node, &num);

	if (rc == 0 && !text.ptr && __builtin_mul_overflow(num, 1000, &num))
		rc = -EBADMSG;
	*value = value_num(rc == 0 ? num : 0);
	return rc;
}

static int read_leaf(struct unline *unline, const struct schema_field *field, yyjson_val *node,
		     struct value *value)
{
	int64_t num = 0;
	double real = 0;
	int rc = 0;

	switch (field->kind) {
	case SCHEMA_BOOLEAN:
		*value = value_num(yyjson_get_bool(node));
		return yyjson_is_bool(node) ? 0 : -EBADMSG;
	case SCHEMA_INT:
	case SCHEMA_LONG:
		if (field->is_time_us)
			return read_time(node, value);
		rc = json_num(node, &num);
		*value = value_num(num);
		return rc;
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		rc = json_real(node, &real);
		*value = value_real(real);
		return rc;
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
		return read_text(unline, node, value);
	case SCHEMA_ENUM:
		for (num = 0; num < field->symbol_count; num++)
			if (slice_eq(json_string(node), field->symbols[num]))
				break;
		*value = value_num(num);
		return num < field->symbol_count ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

int unline_read(struct unline *unline, struct slice text, struct value *fields, struct err *err)
{
	int count = schema_field_count(unline->schema), rc;
	yyjson_val *root, *node;

	arena_reset(&unline->arena);
	rc = json_parse(unline->json, text, &root, err);
	if (rc == 0 && !yyjson_is_obj(root))
		rc = err_set(err, -EBADMSG, "what map made is no object");
	for (int i = 0; i < count && rc == 0; i++) {
		const struct schema_field *field = schema_field_at(unline->schema, i);

		fields[i] = (struct value){ .is_set = false };
		node = find(root, field->name);
		if (node)
			rc = read_leaf(unline, field, node, &fields[i]);
		if (rc < 0)
			return err_set(err, rc, "what map made of %s is not of its type",
				       field->name);
	}
	return rc;
}
