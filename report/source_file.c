// SPDX-License-Identifier: Apache-2.0
#include "report/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/yaml.h"

#define NAME_MAX_BYTES 64
#define KEY_BYTES      16

static bool is_on(const struct yaml *source)
{
	const char *text = yaml_get_text(source, "enabled");

	return !text || strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
}

static void print_list(const struct yaml *node, struct buf *out)
{
	buf_append_char(out, '[');
	if (node && node->kind == YAML_KIND_SCALAR)
		json_write_text(slice_from(node->text), out);
	else if (node)
		for (const struct yaml *item = node->first; item; item = item->next) {
			if (item != node->first)
				buf_append_char(out, ',');
			json_write_text(slice_from(item->text ? item->text : ""), out);
		}
	buf_append_char(out, ']');
}

int source_file_print(const char *path, struct buf *out, struct err *err)
{
	struct yaml_file *file = NULL;
	const struct yaml *root = NULL, *list, *keys;
	int rc = yaml_open(&file, path, &root, err);

	if (rc < 0)
		return rc;
	list = yaml_get(root, "sources");
	buf_append_char(out, '[');
	for (const struct yaml *s = list ? list->first : NULL; s; s = s->next) {
		const char *name = yaml_get_text(s, "name"), *rate = yaml_get_text(s, "rate");

		keys = yaml_get(s, "write_keys");
		buf_append_text(out, s == list->first ? "{\"name\":" : ",{\"name\":");
		json_write_text(slice_from(name ? name : ""), out);
		buf_append_text(out, ",\"keys\":");
		print_list(keys ? keys : yaml_get(s, "write_key"), out);
		buf_printf(out, ",\"enabled\":%s,\"origins\":", is_on(s) ? "true" : "false");
		print_list(yaml_get(s, "origins"), out);
		buf_append_text(out, ",\"rate\":");
		json_write_text(slice_from(rate ? rate : ""), out);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
	yaml_close(file);
	return 0;
}

/* --- by lines --- */

struct edit {
	struct buf text;
	struct yaml_file *file;
	const struct yaml *root, *sources;
};

static int edit_open(struct edit *edit, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	char *at;

	*edit = (struct edit){ .text = { .limit = YAML_BYTES_MAX } };
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	while ((at = buf_reserve(&edit->text, 65536)) && (n = read(fd, at, 65536)) > 0)
		edit->text.len += (size_t)n;
	close(fd);
	if (!at || n < 0)
		return err_set(err, -EIO, "%s: cannot be read, or is too long", path);
	if (edit->text.len && edit->text.ptr[edit->text.len - 1] != '\n')
		buf_append_char(&edit->text, '\n');
	edit->sources = NULL;
	return yaml_open(&edit->file, path, &edit->root, err);
}

static void edit_close(struct edit *edit)
{
	buf_close(&edit->text);
	yaml_close(edit->file);
}

/* Where line n (from 1) begins; the text's length behind the last. */
static size_t line_at(const struct edit *edit, int line)
{
	size_t at = 0;

	for (int i = 1; i < line && at < edit->text.len; i++) {
		const char *end = memchr(edit->text.ptr + at, '\n', edit->text.len - at);

		at = end ? (size_t)(end - edit->text.ptr) + 1 : edit->text.len;
	}
	return at;
}

static struct slice line_of(const struct edit *edit, int line)
{
	size_t at = line_at(edit, line), end = line_at(edit, line + 1);

	return (struct slice){ edit->text.ptr + at, end - at };
}

static int last_line(const struct yaml *node)
{
	int line = node->line;

	for (const struct yaml *child = node->first; child; child = child->next) {
		int last = last_line(child);

		line = last > line ? last : line;
	}
	return line;
}

/* Text before line, then what is put in, then the rest from line `from` on. */
static void put_lines(const struct edit *edit, int line, const char *middle, int from,
		   struct buf *out)
{
	size_t at = line_at(edit, line), rest = line_at(edit, from);

	buf_append(out, edit->text.ptr, at);
	buf_append_text(out, middle);
	buf_append(out, edit->text.ptr + rest, edit->text.len - rest);
}

static const struct yaml *find_source(const struct yaml *sources, struct slice name)
{
	const struct yaml *s = sources ? sources->first : NULL;

	while (s && !(yaml_get_text(s, "name") && slice_is(name, yaml_get_text(s, "name"))))
		s = s->next;
	return s;
}

static bool is_name(struct slice name)
{
	bool is_fine = name.len > 0 && name.len <= NAME_MAX_BYTES;

	for (size_t i = 0; i < name.len && is_fine; i++)
		is_fine = name.ptr[i] && strchr("abcdefghijklmnopqrstuvwxyz0123456789_-",
						name.ptr[i]);
	return is_fine;
}

static int random_key(char key[KEY_BYTES * 2 + 1], struct err *err)
{
	unsigned char bytes[KEY_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_set(err, -EIO, "no random bytes for a write key");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(key + i * 2, 3, "%02x", bytes[i]);
	return 0;
}

/* How far the dash of the first item is indented; -1: the list is written on one line. */
static int indent_of(const struct edit *edit)
{
	struct slice line = line_of(edit, edit->sources->first->line);
	size_t at = 0;

	while (at < line.len && line.ptr[at] == ' ')
		at++;
	return at < line.len && line.ptr[at] == '-' ? (int)at : -1;
}

static int add(const struct edit *edit, struct slice name, struct buf *out, struct err *err)
{
	char item[400], key[KEY_BYTES * 2 + 1];
	int indent = 2, line, rc = random_key(key, err);

	if (rc < 0)
		return rc;
	if (!edit->sources) {
		snprintf(item, sizeof(item), "\nsources:\n  - name: %.*s\n    write_key: %s\n",
			 (int)name.len, name.ptr, key);
		buf_append_slice(out, buf_slice(&edit->text));
		buf_append_text(out, item);
		return 0;
	}
	if (!edit->sources->first || (indent = indent_of(edit)) < 0)
		return err_set(err, -EINVAL, "line %d: `sources` is written on one line: give each "
			       "a line of its own (- name: ..), then this page can add to it",
			       edit->sources->line);
	line = last_line(edit->sources) + 1;
	snprintf(item, sizeof(item), "%*s- name: %.*s\n%*s  write_key: %s\n", indent, "",
		 (int)name.len, name.ptr, indent, "", key);
	put_lines(edit, line, item, line, out);
	return 0;
}

int source_file_add(const char *path, struct slice name, struct buf *out, struct err *err)
{
	struct edit edit;
	int rc;

	if (!is_name(name))
		return err_set(err, -EINVAL, "a source's name is 1 to %d of a-z 0-9 _ -",
			       NAME_MAX_BYTES);
	rc = edit_open(&edit, path, err);
	edit.sources = rc == 0 ? yaml_get(edit.root, "sources") : NULL;
	if (rc == 0 && find_source(edit.sources, name))
		rc = err_set(err, -EEXIST, "there is a source '%.*s' already", (int)name.len,
			     name.ptr);
	if (rc == 0)
		rc = add(&edit, name, out, err);
	edit_close(&edit);
	return rc;
}

/* - { name: web, enabled: true }: the word, or one more member. */
static int switch_flow(const struct edit *edit, int line, bool on, struct buf *out,
		       struct err *err)
{
	struct slice text = line_of(edit, line);
	const char *close = memrchr(text.ptr, '}', text.len);
	const char *found = memmem(text.ptr, text.len, "enabled:", 8);
	char changed[4096];
	size_t head, end;

	if (!close || text.len > 3000)
		return err_set(err, -EINVAL, "line %d: give `enabled` a line of its own", line);
	head = found ? (size_t)(found - text.ptr) : (size_t)(close - text.ptr);
	while (!found && head > 0 && text.ptr[head - 1] == ' ')
		head--;
	end = found ? head + strcspn(found, ",}") : head;
	snprintf(changed, sizeof(changed), "%.*s%senabled: %s%.*s", (int)head, text.ptr,
		 found ? "" : ", ", on ? "true" : "false", (int)(text.len - end),
		 text.ptr + end);
	put_lines(edit, line, changed, line + 1, out);
	return 0;
}

static int turn(const struct edit *edit, const struct yaml *source, bool on, struct buf *out,
		struct err *err)
{
	const struct yaml *enabled = yaml_get(source, "enabled"), *name = yaml_get(source, "name");
	int line = enabled ? enabled->line : name->line;
	struct slice text = line_of(edit, line);
	char changed[200];
	size_t indent = 0;

	if (memchr(text.ptr, '{', text.len))
		return switch_flow(edit, line, on, out, err);
	while (indent < text.len && (text.ptr[indent] == ' ' || text.ptr[indent] == '-'))
		indent++;
	if (indent > 60 || (enabled && !slice_starts(slice_skip(text, indent), SLICE("enabled:"))))
		return err_set(err, -EINVAL, "line %d: give `enabled` a line of its own", line);
	if (enabled)
		snprintf(changed, sizeof(changed), "%.*senabled: %s\n", (int)indent, text.ptr,
			 on ? "true" : "false");
	else
		snprintf(changed, sizeof(changed), "%*senabled: %s\n", (int)indent, "",
			 on ? "true" : "false");
	put_lines(edit, enabled ? line : line + 1, changed, line + 1, out);
	return 0;
}

int source_file_switch(const char *path, struct slice name, bool on, struct buf *out,
		       struct err *err)
{
	const struct yaml *source;
	struct edit edit;
	int rc = edit_open(&edit, path, err);

	source = rc == 0 ? find_source(yaml_get(edit.root, "sources"), name) : NULL;
	if (rc == 0)
		rc = source ? turn(&edit, source, on, out, err)
			    : err_set(err, -ENOENT, "there is no source '%.*s'",
				      (int)(name.len < 64 ? name.len : 64), name.ptr);
	edit_close(&edit);
	return rc;
}

/* --- places --- */

static bool is_dbip(const char *path)
{
	MMDB_s mmdb;
	bool is_one;

	if (strcasestr(path, "dbip") || strcasestr(path, "db-ip"))
		return true;
	if (MMDB_open(path, MMDB_MODE_MMAP, &mmdb) != MMDB_SUCCESS)
		return false;
	is_one = mmdb.metadata.database_type && (strcasestr(mmdb.metadata.database_type, "dbip") ||
						 strcasestr(mmdb.metadata.database_type, "db-ip"));
	MMDB_close(&mmdb);
	return is_one;
}

static bool has_dbip(const struct yaml *node)
{
	size_t len = node->kind == YAML_KIND_SCALAR ? strlen(node->text) : 0;

	if (len > 5 && strcmp(node->text + len - 5, ".mmdb") == 0 && is_dbip(node->text))
		return true;
	for (const struct yaml *child = node->first; child; child = child->next)
		if (has_dbip(child))
			return true;
	return false;
}

bool source_file_has_dbip(const char *path)
{
	struct yaml_file *file = NULL;
	const struct yaml *root = NULL;
	bool is_there = false;

	if (yaml_open(&file, path, &root, NULL) == 0 && root)
		is_there = has_dbip(root);
	yaml_close(file);
	return is_there;
}

bool source_file_has_bundle(const char *path)
{
	struct yaml_file *file = NULL;
	const struct yaml *root = NULL;
	const char *name = NULL;
	bool is_there;

	if (yaml_open(&file, path, &root, NULL) == 0)
		name = yaml_get_text(yaml_get(root, "collect"), "analytics_js");
	is_there = name && name[0];
	yaml_close(file);
	return is_there;
}
