// SPDX-License-Identifier: Apache-2.0
#include "report/files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/dir.h"
#include "lib/yaml_json.h"

#define FILES_MAX 1000
#define NAME_MAX_BYTES 64
#define FILE_PATH_MAX  4096
#define HIDDEN "$secret"

struct files {
	char *dir;                      /* owned */
	struct json_reader *json, *old_json;
};

static const char *const KINDS[] = { "reports", "destinations", "triggers", NULL };

int files_open(struct files **filesp, const char *dir, struct err *err)
{
	struct files *files = calloc(1, sizeof(*files));
	int rc;

	*filesp = files;
	if (!files || !(files->dir = strdup(dir)))
		return err_set(err, -ENOMEM, "no memory");
	rc = json_open(&files->json, err);
	return rc == 0 ? json_open(&files->old_json, err) : rc;
}

void files_close(struct files *files)
{
	if (!files)
		return;
	json_close(files->json);
	json_close(files->old_json);
	free(files->dir);
	free(files);
}

static int fail(struct buf *out, int status, const char *code, const char *words)
{
	buf_reset(out);
	buf_printf(out, "{\"error\":{\"code\":\"%s\",\"at\":\"\",\"message\":", code);
	json_write_text(slice_from(words), out);
	buf_append_text(out, "}}");
	return status;
}

static bool is_name(struct slice name)
{
	if (name.len == 0 || name.len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '-' &&
		    name.ptr[i] != '_')
			return false;
	return true;
}

static bool is_secret(const char *key)
{
	static const char *const WORDS[] = { "password", "secret", "token", "api_key", "write_key",
					     NULL };

	for (int i = 0; WORDS[i]; i++)
		if (strcasestr(key, WORDS[i]))
			return true;
	return false;
}

/* The tree as JSON with the values of secrets hidden, but for references (file:.., env:..). */
static void write_hidden(const struct yaml *node, const char *key, struct buf *out)
{
	bool is_map = node->kind == YAML_KIND_MAP;

	if (node->kind == YAML_KIND_SCALAR) {
		if (key && is_secret(key) && node->text[0] && strncmp(node->text, "file:", 5) &&
		    strncmp(node->text, "env:", 4))
			json_write_text(SLICE(HIDDEN), out);
		else
			yaml_write_json(node, out);
		return;
	}
	buf_append_char(out, is_map ? '{' : '[');
	for (const struct yaml *child = node->first; child; child = child->next) {
		if (child != node->first)
			buf_append_char(out, ',');
		if (is_map) {
			json_write_text(slice_from(child->key), out);
			buf_append_char(out, ':');
		}
		write_hidden(child, is_map ? child->key : key, out);
	}
	buf_append_char(out, is_map ? '}' : ']');
}

static int path_of(const struct files *files, const char *kind, struct slice name,
		   char path[FILE_PATH_MAX])
{
	int n = snprintf(path, FILE_PATH_MAX, "%s/%s/%.*s.yaml", files->dir, kind, (int)name.len,
			 name.ptr);

	return n < FILE_PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Appends {"name":..,"value":..} or with "error". -ENOENT. */
static int write_file(const struct files *files, const char *kind, struct slice name,
		      struct buf *out)
{
	char path[FILE_PATH_MAX];
	struct yaml_file *file = NULL;
	const struct yaml *root = NULL;
	struct err err = { "" };
	int rc = path_of(files, kind, name, path);

	if (rc == 0)
		rc = yaml_open(&file, path, &root, &err);
	if (rc == -ENOENT)
		return rc;
	buf_append_text(out, "{\"name\":");
	json_write_text(name, out);
	if (rc < 0) {
		buf_append_text(out, ",\"error\":");
		json_write_text(slice_from(err.text), out);
	} else {
		buf_append_text(out, ",\"value\":");
		if (root)
			write_hidden(root, NULL, out);
		else
			buf_append_text(out, "{}");
	}
	buf_append_char(out, '}');
	yaml_close(file);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const struct files *files, const char *kind, struct buf *out)
{
	char path[FILE_PATH_MAX];
	char **names = calloc(FILES_MAX, sizeof(*names));
	const struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", files->dir, kind);
	dir = names ? opendir(path) : NULL;
	while (dir && count < FILES_MAX && (entry = readdir(dir))) {
		struct slice name = slice_from(entry->d_name);

		if (name.len <= 5 || !slice_is(slice_skip(name, name.len - 5), ".yaml"))
			continue;
		name.len -= 5;
		if (is_name(name) && (names[count] = strndup(name.ptr, name.len)))
			count++;
	}
	if (dir)
		closedir(dir);
	if (count > 0)
		qsort(names, count, sizeof(*names), compare_names);
	buf_append_text(out, "{\"files\":[");
	for (size_t i = 0, written = 0; i < count; i++) {
		size_t at = out->len;

		if (written)
			buf_append_char(out, ',');
		if (write_file(files, kind, slice_from(names[i]), out) < 0)
			out->len = at;  /* it went away meanwhile */
		else
			written++;
		free(names[i]);
	}
	buf_append_text(out, "]}");
	free(names);
	return 200;
}

/* Appends value as JSON; "$secret" becomes what stands at the same place in old (may be NULL). */
static void write_merged(yyjson_val *value, yyjson_val *old, struct buf *out)
{
	yyjson_val *key, *child;
	size_t i, n;

	if (yyjson_is_obj(value)) {
		buf_append_char(out, '{');
		yyjson_obj_foreach(value, i, n, key, child) {
			buf_append_text(out, i ? "," : "");
			json_write_text(json_string(key), out);
			buf_append_char(out, ':');
			write_merged(child, yyjson_is_obj(old) ?
				     yyjson_obj_getn(old, yyjson_get_str(key),
						     yyjson_get_len(key)) : NULL, out);
		}
		buf_append_char(out, '}');
	} else if (yyjson_is_arr(value)) {
		buf_append_char(out, '[');
		yyjson_arr_foreach(value, i, n, child) {
			buf_append_text(out, i ? "," : "");
			write_merged(child, yyjson_is_arr(old) ? yyjson_arr_get(old, i) : NULL,
				     out);
		}
		buf_append_char(out, ']');
	} else if (slice_is(json_string(value), HIDDEN)) {
		if (old)
			json_write(old, out);
		else
			buf_append_text(out, "null");
	} else {
		json_write(value, out);
	}
}

static int commit(const struct files *files, const char *kind, const char *path,
		  struct slice text)
{
	char temp[FILE_PATH_MAX + 8], dir[FILE_PATH_MAX];
	int fd, rc;

	snprintf(dir, sizeof(dir), "%s/%s", files->dir, kind);
	snprintf(temp, sizeof(temp), "%s.new", path);
	rc = dir_make(dir);
	if (rc < 0)
		return rc;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) < 0)
		rc = errno ? -errno : -EIO;
	close(fd);
	if (rc == 0 && rename(temp, path) < 0)
		rc = -errno;
	return rc == 0 ? dir_sync(dir) : rc;
}

static int put(struct files *files, const char *kind, struct slice name, struct slice body,
	       struct buf *out)
{
	struct buf old_text = { .limit = 4 << 20 }, merged = { .limit = 4 << 20 },
		   yaml = { .limit = YAML_BYTES_MAX };
	struct yaml_file *file = NULL;
	const struct yaml *old_tree = NULL;
	yyjson_val *value, *old = NULL, *whole;
	char path[FILE_PATH_MAX];
	struct err err = { "" };
	int rc;

	if (json_parse(files->json, body, &value, &err) < 0 || !yyjson_is_obj(value))
		return fail(out, 400, "json", err.text[0] ? err.text : "a JSON object is needed");
	rc = path_of(files, kind, name, path);
	if (rc == 0 && yaml_open(&file, path, &old_tree, &err) == 0 && old_tree) {
		yaml_write_json(old_tree, &old_text);
		if (json_parse(files->old_json, buf_slice(&old_text), &old, &err) < 0)
			old = NULL;
	}
	write_merged(value, old, &merged);
	yaml_close(file);
	if (json_parse(files->json, buf_slice(&merged), &whole, &err) < 0)
		rc = -EBADMSG;
	else
		json_write_yaml(whole, &yaml);
	if (rc == 0)
		rc = yaml.failed ? -ENOSPC : commit(files, kind, path, buf_slice(&yaml));
	buf_close(&old_text);
	buf_close(&merged);
	buf_close(&yaml);
	if (rc < 0)
		return fail(out, 500, "write", strerror(-rc));
	return write_file(files, kind, name, out) < 0 ? fail(out, 404, "gone", "it is gone") : 200;
}

static int remove_file(const struct files *files, const char *kind, struct slice name,
		       struct buf *out)
{
	char path[FILE_PATH_MAX];

	if (path_of(files, kind, name, path) < 0 || unlink(path) < 0)
		return errno == ENOENT ? fail(out, 404, "unknown", "there is no such file") :
					 fail(out, 500, "write", strerror(errno));
	buf_append_text(out, "{}");
	return 200;
}

int files_answer(struct files *files, struct slice method, struct slice path, struct slice body,
		 struct buf *out)
{
	const char *slash = memchr(path.ptr, '/', path.len), *kind = NULL;
	struct slice first = { path.ptr, slash ? (size_t)(slash - path.ptr) : path.len };
	struct slice name = slash ? slice_skip(path, first.len + 1) : (struct slice){ "", 0 };

	for (int i = 0; KINDS[i]; i++)
		if (slice_is(first, KINDS[i]))
			kind = KINDS[i];
	if (!kind)
		return fail(out, 404, "unknown", "reports, destinations or triggers");
	if (name.len == 0 && slice_is(method, "GET"))
		return list(files, kind, out);
	if (!is_name(name))
		return fail(out, 400, "name", "a name is 1 to 64 letters, digits, '-' and '_'");
	if (slice_is(method, "GET"))
		return write_file(files, kind, name, out) == 0 ? 200 :
		       fail(out, 404, "unknown", "there is no such file");
	if (slice_is(method, "PUT"))
		return put(files, kind, name, body, out);
	if (slice_is(method, "DELETE"))
		return remove_file(files, kind, name, out);
	return fail(out, 405, "method", "GET, PUT or DELETE");
}
