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
	unsigned serial;                /* of staged files */
	char *learnt[FILES_SECRETS_MAX];        /* owned: KIND/TYPE/FIELD */
	int learnt_count;
	struct json_reader *json, *old_json;
};

/* Where text secrets of a staged file go; NULL dir: they stay in it. */
struct secrets {
	const struct files *files;
	const char *dir;                /* KIND/.secrets under files->dir */
	const char *kind, *type;
	struct slice name;
	int rc;
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
	for (int i = 0; i < files->learnt_count; i++)
		free(files->learnt[i]);
	free(files->dir);
	free(files);
}

static void print_learnt(char text[300], const char *kind, struct slice type,
			 struct slice field)
{
	snprintf(text, 300, "%.20s/%.*s/%.*s", kind, (int)(type.len < 100 ? type.len : 100),
		 type.ptr ? type.ptr : "", (int)(field.len < 100 ? field.len : 100),
		 field.ptr ? field.ptr : "");
}

void files_learn(struct files *files, const char *kind, struct slice type, struct slice field)
{
	char text[300];

	print_learnt(text, kind, type, field);
	if (files->learnt_count < FILES_SECRETS_MAX &&
	    (files->learnt[files->learnt_count] = strdup(text)))
		files->learnt_count++;
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

static bool is_secret(const struct secrets *secrets, const char *key)
{
	char text[300];

	static const char *const WORDS[] = { "password", "secret", "token", "api_key", "write_key",
					     "authorization", NULL };

	for (int i = 0; WORDS[i]; i++)
		if (strcasestr(key, WORDS[i]))
			return true;
	print_learnt(text, secrets->kind, slice_from(secrets->type ? secrets->type : ""),
		     slice_from(key));
	for (int i = 0; i < secrets->files->learnt_count; i++)
		if (strcmp(secrets->files->learnt[i], text) == 0)
			return true;
	return false;
}

/* `type:`, or `channel:` of a trigger. */
static const char *type_member(const char *kind)
{
	return strcmp(kind, "triggers") == 0 ? "channel" : "type";
}

/* The tree as JSON with the values of secrets hidden, but for references (file:.., env:..). */
static void write_hidden(const struct yaml *node, const char *key,
			 const struct secrets *secrets, struct buf *out)
{
	bool is_map = node->kind == YAML_KIND_MAP;

	if (node->kind == YAML_KIND_SCALAR) {
		if (key && is_secret(secrets, key) && node->text[0] &&
		    strncmp(node->text, "file:", 5) &&
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
		write_hidden(child, is_map ? child->key : key, secrets, out);
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
		struct secrets secrets = { .files = files, .kind = kind,
					   .type = yaml_get_text(root, type_member(kind)) };

		buf_append_text(out, ",\"value\":");
		if (root)
			write_hidden(root, NULL, &secrets, out);
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

/* A secret that was typed: into a file of its own, and the reference to it instead. */
static void put_secret(struct secrets *secrets, const char *key, struct slice text,
		       struct buf *out)
{
	char path[FILE_PATH_MAX + 200], temp[FILE_PATH_MAX + 210], words[300];
	int fd;

	if (mkdir(secrets->dir, 0700) < 0 && errno != EEXIST) {
		secrets->rc = -errno;
		return;
	}
	snprintf(words, sizeof(words), "file:%s/.secrets/%.*s.%.100s", secrets->kind,
		 (int)secrets->name.len, secrets->name.ptr, key);
	snprintf(path, sizeof(path), "%s/%.*s.%.100s", secrets->dir, (int)secrets->name.len,
		 secrets->name.ptr, key);
	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) < 0 ||
	    rename(temp, path) < 0)
		secrets->rc = errno ? -errno : -EIO;
	if (fd >= 0)
		close(fd);
	json_write_text(slice_from(words), out);
}

static bool is_secret_text(const struct secrets *secrets, const char *key, struct slice text)
{
	return key && is_secret(secrets, key) && text.len && !slice_is(text, HIDDEN) &&
	       !slice_starts(text, SLICE("file:")) && !slice_starts(text, SLICE("env:")) &&
	       strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(key);
}

/* An editor of the dashboard need not be one of the machine: only secrets that were typed here may
 * be named anew, not any file or variable of the server's, which a destination would then be sent.
 */
static bool is_foreign(const struct secrets *secrets, const char *key, struct slice text,
		       yyjson_val *old)
{
	char own[200];

	if (!secrets->dir || !key || !is_secret(secrets, key) || slice_eq(text, json_string(old)) ||
	    (!slice_starts(text, SLICE("file:")) && !slice_starts(text, SLICE("env:"))))
		return false;
	snprintf(own, sizeof(own), "file:%s/.secrets/%.*s.", secrets->kind,
		 (int)secrets->name.len, secrets->name.ptr);
	return !slice_starts(text, slice_from(own)) ||
	       memchr(text.ptr + strlen(own), '/', text.len - strlen(own));
}

/* Appends value as JSON; "$secret" becomes what stands at the same place in old (may be NULL). */
static void write_merged(yyjson_val *value, yyjson_val *old, const char *name,
			 struct secrets *secrets, struct buf *out)
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
						     yyjson_get_len(key)) : NULL,
				     yyjson_get_str(key), secrets, out);
		}
		buf_append_char(out, '}');
	} else if (yyjson_is_arr(value)) {
		buf_append_char(out, '[');
		yyjson_arr_foreach(value, i, n, child) {
			buf_append_text(out, i ? "," : "");
			write_merged(child, yyjson_is_arr(old) ? yyjson_arr_get(old, i) : NULL,
				     NULL, secrets, out);
		}
		buf_append_char(out, ']');
	} else if (slice_is(json_string(value), HIDDEN)) {
		if (old)
			json_write(old, out);
		else
			buf_append_text(out, "null");
	} else if (is_foreign(secrets, name, json_string(value), old)) {
		secrets->rc = -EACCES;
		buf_append_text(out, "null");
	} else if (secrets->dir && is_secret_text(secrets, name, json_string(value))) {
		put_secret(secrets, name, json_string(value), out);
	} else {
		json_write(value, out);
	}
}

static int write_staged(const char *path, struct slice text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) < 0)
		rc = errno ? -errno : -EIO;
	close(fd);
	return rc;
}

static const char *find_kind(struct slice name)
{
	for (int i = 0; KINDS[i]; i++)
		if (slice_is(name, KINDS[i]))
			return KINDS[i];
	return NULL;
}

/* The new text, with what is hidden from the old file. */
static int merge(struct files *files, const char *old_path, struct secrets *secrets,
		 yyjson_val *value, struct buf *yaml)
{
	struct buf old_text = { .limit = 4 << 20 }, merged = { .limit = 4 << 20 };
	struct yaml_file *file = NULL;
	const struct yaml *old_tree = NULL;
	yyjson_val *old = NULL, *whole;
	int rc = 0;

	if (yaml_open(&file, old_path, &old_tree, NULL) == 0 && old_tree) {
		yaml_write_json(old_tree, &old_text);
		if (json_parse(files->old_json, buf_slice(&old_text), &old, NULL) < 0)
			old = NULL;
	}
	write_merged(value, old, NULL, secrets, &merged);
	yaml_close(file);
	if (json_parse(files->json, buf_slice(&merged), &whole, NULL) < 0)
		rc = -EBADMSG;
	else
		json_write_yaml(whole, yaml);
	buf_close(&old_text);
	buf_close(&merged);
	return rc ? rc : yaml->failed ? -ENOSPC : secrets->rc;
}

int files_stage(struct files *files, struct slice kind_name, struct slice name,
		struct slice body, char path[FILES_PATH_MAX], struct buf *out)
{
	const char *kind = find_kind(kind_name);
	char old_path[FILE_PATH_MAX], dir[FILE_PATH_MAX], secret_dir[FILE_PATH_MAX + 16];
	struct secrets secrets = { files, kind && strcmp(kind, "reports") ? secret_dir : NULL,
				   kind, NULL, name, 0 };
	char type[100];
	struct buf yaml = { .limit = YAML_BYTES_MAX };
	struct err err = { "" };
	yyjson_val *value;
	int rc;

	if (!kind || !is_name(name))
		return fail(out, 400, "name", "a name is 1 to 64 letters, digits, '-' and '_'");
	if (json_parse(files->json, body, &value, &err) < 0 || !yyjson_is_obj(value))
		return fail(out, 400, "json", err.text[0] ? err.text : "a JSON object is needed");
	snprintf(type, sizeof(type), "%.*s", (int)json_text(value, type_member(kind)).len,
		 json_text(value, type_member(kind)).len ?
		 json_text(value, type_member(kind)).ptr : "");
	secrets.type = type;
	snprintf(dir, sizeof(dir), "%.4000s/%s", files->dir, kind);
	snprintf(secret_dir, sizeof(secret_dir), "%s/.secrets", dir);
	rc = path_of(files, kind, name, old_path);
	if (rc == 0)
		rc = dir_make(dir);
	if (rc == 0)
		rc = merge(files, old_path, &secrets, value, &yaml);
	snprintf(path, FILES_PATH_MAX, "%s/.%.*s.%u.new", dir, (int)name.len, name.ptr,
		 files->serial++);
	if (rc == 0)
		rc = write_staged(path, buf_slice(&yaml));
	buf_close(&yaml);
	if (rc == -EACCES)
		return fail(out, 403, "secret", "file: and env: are set in the YAML file itself: "
			    "here, type the secret");
	return rc < 0 ? fail(out, 500, "write", strerror(-rc)) : 0;
}

int files_commit(struct files *files, struct slice kind_name, struct slice name,
		 const char *path, struct buf *out)
{
	const char *kind = find_kind(kind_name);
	char to[FILE_PATH_MAX];
	int rc = kind ? path_of(files, kind, name, to) : -EINVAL;

	if (rc == 0 && rename(path, to) < 0)
		rc = -errno;
	if (rc == 0)
		rc = dir_sync_parent(to);
	if (rc < 0)
		return fail(out, 500, "write", strerror(-rc));
	return write_file(files, kind, name, out) < 0 ? fail(out, 404, "gone", "it is gone") : 200;
}

static int put(struct files *files, const char *kind, struct slice name, struct slice body,
	       struct buf *out)
{
	char path[FILES_PATH_MAX];
	int status = files_stage(files, slice_from(kind), name, body, path, out);

	return status ? status : files_commit(files, slice_from(kind), name, path, out);
}

/* KIND/.secrets/NAME.KEY */
static void remove_secrets(const struct files *files, const char *kind, struct slice name)
{
	char path[FILE_PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%.4000s/%s/.secrets", files->dir, kind);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, name.ptr, name.len) == 0 &&
		    entry->d_name[name.len] == '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}

static int remove_file(const struct files *files, const char *kind, struct slice name,
		       struct buf *out)
{
	char path[FILE_PATH_MAX];

	remove_secrets(files, kind, name);
	if (path_of(files, kind, name, path) < 0 || unlink(path) < 0)
		return errno == ENOENT ? fail(out, 404, "unknown", "there is no such file") :
					 fail(out, 500, "write", strerror(errno));
	buf_append_text(out, "{}");
	return 200;
}

int files_answer(struct files *files, struct slice method, struct slice path, struct slice body,
		 struct buf *out)
{
	const char *slash = memchr(path.ptr, '/', path.len), *kind;
	struct slice first = { path.ptr, slash ? (size_t)(slash - path.ptr) : path.len };
	struct slice name = slash ? slice_skip(path, first.len + 1) : (struct slice){ "", 0 };

	if (!(kind = find_kind(first)))
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
