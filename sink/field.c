// SPDX-License-Identifier: Apache-2.0
#include "sink/field.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/opt.h"

#define SECRET_MAX 8192

struct target {
	const struct dest_field *field;
	const struct field_place *place;
	int line;
};

static int wrong(const struct target *t, struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "%s:%d: %s: %s", t->place->path, t->line, t->field->name,
		       what);
}

static const char *copy(const struct target *t, struct slice text)
{
	return arena_copy(t->place->arena, text).ptr;
}

static int read_secret_file(const struct target *t, const char *path, const char **text,
			    struct err *err)
{
	char full[4096], bytes[SECRET_MAX];
	ssize_t len;
	int fd;

	if (snprintf(full, sizeof(full), "%s%s%s", path[0] == '/' ? "" : t->place->dir,
		     path[0] == '/' ? "" : "/", path) >= (int)sizeof(full))
		return wrong(t, err, "the path of its file is too long");
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -EBADMSG, "%s:%d: %s: %s: %s", t->place->path, t->line,
			       t->field->name, full, strerror(errno));
	len = read(fd, bytes, sizeof(bytes));
	close(fd);
	while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
		len--;
	if (len <= 0 || (size_t)len == sizeof(bytes))
		return wrong(t, err, "its file is empty, or over 8,000 bytes");
	*text = copy(t, (struct slice){ bytes, (size_t)len });
	explicit_bzero(bytes, sizeof(bytes));
	return *text ? 0 : -ENOMEM;
}

static int read_secret(const struct target *t, const char *value, const char **text,
		       struct err *err)
{
	const char *found;

	if (strncmp(value, "file:", 5) == 0)
		return read_secret_file(t, value + 5, text, err);
	if (strncmp(value, "env:", 4) != 0) {
		*text = copy(t, slice_from(value));
		return *text ? 0 : -ENOMEM;
	}
	found = getenv(value + 4);
	if (!found || !found[0])
		return err_set(err, -EBADMSG, "%s:%d: %s: the environment has no %.60s",
			       t->place->path, t->line, t->field->name, value + 4);
	*text = copy(t, slice_from(found));
	return *text ? 0 : -ENOMEM;
}

static int read_choice(const struct target *t, const char *value, const char **text,
		       struct err *err)
{
	size_t len = strlen(value);

	for (const char *at = t->field->choices; len && *at; at += strcspn(at, "|"), at += !!*at) {
		if (strcspn(at, "|") == len && memcmp(at, value, len) == 0) {
			*text = copy(t, slice_from(value));
			return *text ? 0 : -ENOMEM;
		}
	}
	return err_set(err, -EBADMSG, "%s:%d: %s: '%.40s' is not one of %s", t->place->path,
		       t->line, t->field->name, value, t->field->choices);
}

static int read_url(const struct target *t, const char *value, const char **text, struct err *err)
{
	const char *host = strstr(value, "://");

	if (strncmp(value, "https://", 8) != 0 && strncmp(value, "http://", 7) != 0)
		return wrong(t, err, "a URL begins with https:// (or http:// to an allowed host)");
	host += 3;
	if (strcspn(host, "/?#:") == 0 || strlen(value) >= POST_URL_MAX)
		return wrong(t, err, "no host in the URL, or it is over 2,000 bytes long");
	if (memchr(host, '@', strcspn(host, "/?#")))
		return wrong(t, err, "no user and password in the URL: they would be shown");
	for (const char *at = value; *at; at++)
		if ((unsigned char)*at <= 0x20 || *at == 0x7f)
			return wrong(t, err, "blanks in the URL");
	*text = copy(t, slice_from(value));
	return *text ? 0 : -ENOMEM;
}

static int read_number(const struct target *t, const char *value, int64_t *num, struct err *err)
{
	const struct dest_field *field = t->field;
	char *end = NULL;
	int rc = 0;

	if (field->type == DEST_FIELD_BYTES) {
		rc = opt_parse_bytes(value, num);
	} else if (field->type == DEST_FIELD_MS) {
		rc = opt_parse_ms(value, num);
	} else {
		errno = 0;
		*num = strtoll(value, &end, 10);
		rc = errno || end == value || *end ? -EINVAL : 0;
	}
	if (rc < 0 || *num < 0)
		return err_set(err, -EBADMSG, "%s:%d: %s: '%.40s' is not %s", t->place->path,
			       t->line, field->name, value,
			       field->type == DEST_FIELD_MS ? "a time such as 500ms, 10s, 5m"
			       : field->type == DEST_FIELD_BYTES ? "a size such as 512k, 1m"
								 : "a count");
	if ((field->min || field->max) && (*num < field->min || *num > field->max))
		return err_set(err, -EBADMSG, "%s:%d: %s: must be from %lld to %lld%s",
			       t->place->path, t->line, field->name, (long long)field->min,
			       (long long)field->max,
			       field->type == DEST_FIELD_MS ? " ms" : "");
	return 0;
}

static int read_flag(const struct target *t, const char *value, bool *flag, struct err *err)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
			*flag = strcasecmp(value, yes[i]) == 0;
			return 0;
		}
	}
	return wrong(t, err, "yes or no");
}

static int read_text(const struct target *t, const char *value, void *at, struct err *err)
{
	switch (t->field->type) {
	case DEST_FIELD_TEXT:
		*(const char **)at = copy(t, slice_from(value));
		return *(const char **)at ? 0 : -ENOMEM;
	case DEST_FIELD_SECRET:
		return read_secret(t, value, at, err);
	case DEST_FIELD_URL:
		return read_url(t, value, at, err);
	case DEST_FIELD_CHOICE:
		return read_choice(t, value, at, err);
	case DEST_FIELD_COUNT:
	case DEST_FIELD_BYTES:
	case DEST_FIELD_MS:
		return read_number(t, value, at, err);
	case DEST_FIELD_FLAG:
		return read_flag(t, value, at, err);
	case DEST_FIELD_LIST:
	case DEST_FIELD_MAP:
		break;
	}
	return wrong(t, err, t->field->type == DEST_FIELD_MAP ? "a map (`name: value` lines)"
							      : "a list is wanted: [a, b]");
}

/* A list, or one text that stands for a list of one. */
static int read_list(const struct target *t, const struct yaml *node, struct dest_list *list,
		     struct err *err)
{
	const struct yaml *first = node->kind == YAML_KIND_LIST ? node->first : node;
	size_t count = 0;

	for (const struct yaml *at = first; at; at = at == node ? NULL : at->next, count++)
		if (at->kind != YAML_KIND_SCALAR)
			return wrong(t, err, "a list of texts is wanted: [a, b]");
	if (count == 0 || (node->kind == YAML_KIND_SCALAR && !node->text[0]))
		return 0;
	list->items = arena_alloc(t->place->arena, count * sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	for (const struct yaml *at = first; at; at = at == node ? NULL : at->next) {
		list->items[list->count] = copy(t, slice_from(at->text));
		if (!list->items[list->count++])
			return -ENOMEM;
	}
	return 0;
}

static int read_field(const struct target *t, const struct yaml *node, void *conf, struct err *err)
{
	const struct dest_field *field = t->field;
	void *at = (char *)conf + field->offset;

	if (!node || (node->kind == YAML_KIND_SCALAR && !node->text[0])) {
		if (field->is_required)
			return err_set(err, -EBADMSG, "%s: %s is missing: %s", t->place->path,
				       field->name, field->help);
		return field->fallback ? read_text(t, field->fallback, at, err) : 0;
	}
	if (field->type == DEST_FIELD_LIST && node->kind != YAML_KIND_MAP)
		return read_list(t, node, at, err);
	if (field->type == DEST_FIELD_MAP && node->kind == YAML_KIND_MAP) {
		*(const struct yaml **)at = node;
		return 0;
	}
	if (node->kind != YAML_KIND_SCALAR)
		return wrong(t, err, "one value is wanted, no list or map");
	return read_text(t, node->text, at, err);
}

int field_read(const struct dest_field *fields, void *conf, const struct yaml *root,
	       const struct field_place *place, struct err *err)
{
	int rc = 0;

	for (const struct dest_field *field = fields; field->name && rc == 0; field++) {
		const struct yaml *node = yaml_get(root, field->name);
		struct target t = { field, place, node ? node->line : 1 };

		rc = read_field(&t, node, conf, err);
	}
	return rc == -ENOMEM ? err_set(err, rc, "%s: no memory", place->path) : rc;
}

const struct dest_field *field_find(const struct dest_field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

static void put_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\"%s\":", name);
	json_write_text(slice_from(text), out);
}

void field_print(const struct dest_field *fields, struct buf *out)
{
	static const char *const types[] = { "text", "secret", "url", "choice", "count", "bytes",
					     "time", "flag", "list", "map" };

	buf_append_char(out, '[');
	for (const struct dest_field *field = fields; field->name; field++) {
		buf_append_text(out, field == fields ? "{\"name\":" : ",{\"name\":");
		json_write_text(slice_from(field->name), out);
		put_text(out, "type", types[field->type]);
		buf_printf(out, ",\"required\":%s", field->is_required ? "true" : "false");
		if (field->fallback)
			put_text(out, "default", field->fallback);
		if (field->choices)
			put_text(out, "choices", field->choices);
		put_text(out, "help", field->help);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
}
