// SPDX-License-Identifier: Apache-2.0
#include "millrace/part_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)64 << 10)

bool part_file_is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "_-");

	return len > 0 && len <= 64 && !name[len] && name[0] != '-';
}

int part_file_read(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	char *at = buf_reserve(out, FILE_MAX);
	ssize_t n = fd < 0 || !at ? -1 : read(fd, at, FILE_MAX);

	if (n < 0)
		rc = err_set(err, fd < 0 ? -errno : -ENOMEM, "%s: %s", path, strerror(errno));
	else if ((size_t)n == FILE_MAX)
		rc = err_set(err, -E2BIG, "%s: over 64 kB", path);
	else
		out->len += (size_t)n;
	if (fd >= 0)
		close(fd);
	return rc;
}

int part_file_write(const char *dir, const char *name, struct slice text, bool is_new,
		    struct err *err)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%.3000s/%.200s", dir, name);
	snprintf(tmp, sizeof(tmp), "%.3000s/.%.200s.new", dir, name);
	if (is_new && access(path, F_OK) == 0)
		return err_set(err, -EEXIST, "%s: there is one", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", tmp, strerror(errno));
	if (write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) < 0 ||
	    rename(tmp, path) < 0)
		rc = err_set(err, -EIO, "%s: cannot be written", path);
	close(fd);
	return rc;
}

int part_file_switch(const char *dir, const char *name, bool on, struct err *err)
{
	struct buf text = { 0 }, out = { 0 };
	char path[PATH_MAX], file[80];
	const char *word = on ? "enabled: yes\n" : "enabled: no\n";
	bool found = false;
	struct slice rest;
	int rc;

	snprintf(file, sizeof(file), "%s.yaml", name);
	snprintf(path, sizeof(path), "%.3000s/%s", dir, file);
	rc = part_file_read(path, &text, err);
	for (rest = buf_slice(&text); rc == 0 && rest.len;) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) + 1 : rest.len;

		if (slice_starts(rest, SLICE("enabled:"))) {
			buf_append_text(&out, word);
			found = true;
		} else {
			buf_append(&out, rest.ptr, len);
		}
		rest = slice_skip(rest, len);
	}
	if (!found) {
		if (out.len && out.ptr[out.len - 1] != '\n')
			buf_append_char(&out, '\n');
		buf_append_text(&out, word);
	}
	if (rc == 0)
		rc = part_file_write(dir, file, buf_slice(&out), false, err);
	buf_close(&text);
	buf_close(&out);
	return rc;
}

bool part_file_is_on(const struct yaml *root)
{
	const char *text = yaml_get_text(root, "enabled");

	return !text || (strcmp(text, "no") != 0 && strcmp(text, "false") != 0 &&
			 strcmp(text, "off") != 0 && strcmp(text, "0") != 0);
}
