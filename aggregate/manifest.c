// SPDX-License-Identifier: Apache-2.0
#include "aggregate/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/dir.h"

#define HEAD "millrace-aggregate 1\n"
#define SIZE_MAX_BYTES ((size_t)256 << 20)
#define PATH_MAX_BYTES 4096

void manifest_clear_files(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->count; i++)
		free(manifest->files[i].gone);
	free(manifest->files);
	manifest->files = NULL;
	manifest->count = 0;
}

void manifest_reset(struct manifest *manifest)
{
	manifest_clear_files(manifest);
	*manifest = (struct manifest){ .number = 1 };
}

int manifest_add(struct manifest *manifest, const struct manifest_file *file)
{
	struct manifest_file *files = realloc(manifest->files,
					      (manifest->count + 1) * sizeof(*files));
	struct column_gone *gone = NULL;

	if (!files)
		return -ENOMEM;
	manifest->files = files;
	if (file->gone_count) {
		gone = malloc(file->gone_count * sizeof(*gone));
		if (!gone)
			return -ENOMEM;
		memcpy(gone, file->gone, file->gone_count * sizeof(*gone));
	}
	files[manifest->count] = *file;
	files[manifest->count++].gone = gone;
	return 0;
}

/* Writing */

static void print(const struct manifest *manifest, struct buf *out)
{
	buf_append_text(out, HEAD);
	buf_printf(out, "logic %s\npartitions %d\n", manifest->logic, manifest->partitions);
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		if (manifest->next[p])
			buf_printf(out, "next %d %" PRId64 "\n", p, manifest->next[p]);
	if (manifest->persons.name[0])
		buf_printf(out, "persons %s %" PRIu64 "\n", manifest->persons.name,
			   manifest->persons.bytes);
	buf_printf(out, "number %" PRIu64 "\n", manifest->number);
	for (size_t i = 0; i < manifest->count; i++) {
		const struct manifest_file *file = &manifest->files[i];

		buf_printf(out, "file %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", file->number,
			   file->rows, file->bytes);
		if (file->gone_count)
			buf_printf(out, "cut %" PRIu64, file->number);
		for (uint32_t g = 0; g < file->gone_count; g++)
			buf_printf(out, " %" PRIu32 " %" PRIu64, file->gone[g].actor,
				   (uint64_t)file->gone[g].until_us);
		if (file->gone_count)
			buf_append_char(out, '\n');
	}
	buf_printf(out, "sum %016" PRIx64 "\n", (uint64_t)XXH3_64bits(out->ptr, out->len));
}

static int write_file(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), rc = 0;
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < text->len && rc == 0) {
		ssize_t n = write(fd, text->ptr + done, text->len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			rc = n == 0 ? -EIO : -errno;
	}
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

int manifest_write(const struct manifest *manifest, const char *dir, struct err *err)
{
	char path[PATH_MAX_BYTES], temp[PATH_MAX_BYTES];
	struct buf text = { 0 };
	int rc;

	if (snprintf(path, sizeof(path), "%s/manifest", dir) >= (int)sizeof(path) ||
	    snprintf(temp, sizeof(temp), "%s/manifest.new", dir) >= (int)sizeof(temp))
		return err_set(err, -ENAMETOOLONG, "--state: the path is too long");
	print(manifest, &text);
	rc = text.failed ? -ENOMEM : write_file(temp, &text);
	if (rc == 0 && rename(temp, path) < 0)
		rc = -errno;
	if (rc == 0)
		rc = dir_sync(dir);
	buf_close(&text);
	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

/* Reading */

/* A number and the blank or line's end behind it. */
static bool take_number(struct slice *line, uint64_t *number)
{
	size_t n = 0;

	*number = 0;
	while (n < line->len && line->ptr[n] >= '0' && line->ptr[n] <= '9') {
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(line->ptr[n] - '0'), number))
			return false;
		n++;
	}
	if (n == 0 || (n < line->len && line->ptr[n] != ' '))
		return false;
	*line = slice_skip(*line, n + 1);
	return true;
}

static bool take_word(struct slice *line, const char *word)
{
	size_t len = strlen(word);

	if (!slice_starts(*line, slice_from(word)) || line->len <= len || line->ptr[len] != ' ')
		return false;
	*line = slice_skip(*line, len + 1);
	return true;
}

/* Times of events are never before 1970: the rows' own bound. */
static bool take_gone(struct manifest *manifest, struct slice line, bool has_until)
{
	struct manifest_file *file = manifest->count ? &manifest->files[manifest->count - 1] : NULL;
	uint64_t number;
	size_t count = 0;

	if (!file || !take_number(&line, &number) || number != file->number || file->gone)
		return false;
	file->gone = malloc((line.len / 2 + 1) * sizeof(*file->gone));
	while (file->gone && line.len) {
		uint64_t until = INT64_MAX;

		if (!take_number(&line, &number) || number > UINT32_MAX ||
		    (has_until && (!take_number(&line, &until) || until > INT64_MAX)))
			return false;
		file->gone[count++] = (struct column_gone){ (uint32_t)number, (int64_t)until };
	}
	file->gone_count = (uint32_t)count;
	return file->gone != NULL;
}

static bool take_line(struct manifest *manifest, struct slice line)
{
	uint64_t a, b;

	if (take_word(&line, "logic")) {
		if (line.len >= sizeof(manifest->logic))
			return false;
		memcpy(manifest->logic, line.ptr, line.len);
		manifest->logic[line.len] = '\0';
		return true;
	}
	if (take_word(&line, "partitions")) {
		manifest->partitions = (int)strtol(line.ptr, NULL, 10);
		return take_number(&line, &a) && a <= BUS_PARTITIONS_MAX;
	}
	if (take_word(&line, "next")) {
		if (!take_number(&line, &a) || a >= BUS_PARTITIONS_MAX || !take_number(&line, &b) ||
		    b > INT64_MAX)
			return false;
		manifest->next[a] = (int64_t)b;
		return true;
	}
	if (take_word(&line, "persons")) {
		const char *end = memchr(line.ptr, ' ', line.len);
		size_t len = end ? (size_t)(end - line.ptr) : 0;

		if (len == 0 || len >= sizeof(manifest->persons.name))
			return false;
		memcpy(manifest->persons.name, line.ptr, len);
		line = slice_skip(line, len + 1);
		return take_number(&line, &manifest->persons.bytes);
	}
	if (take_word(&line, "number"))
		return take_number(&line, &manifest->number);
	if (take_word(&line, "file")) {
		struct manifest_file file = { 0 };

		return take_number(&line, &file.number) && take_number(&line, &file.rows) &&
		       take_number(&line, &file.bytes) && manifest_add(manifest, &file) == 0;
	}
	if (take_word(&line, "gone"))
		return take_gone(manifest, line, false);
	return take_word(&line, "cut") && take_gone(manifest, line, true);
}

static int parse(struct manifest *manifest, struct slice text, const char *path, struct err *err)
{
	char sum[32];
	struct slice rest;

	if (text.len < sizeof(HEAD) + 21 || !slice_starts(text, SLICE(HEAD)))
		return err_set(err, -EBADMSG, "%s: damaged (no manifest); start aggregate with "
			       "--rebuild", path);
	snprintf(sum, sizeof(sum), "sum %016" PRIx64 "\n",
		 (uint64_t)XXH3_64bits(text.ptr, text.len - 21));
	if (memcmp(text.ptr + text.len - 21, sum, 21) != 0)
		return err_set(err, -EBADMSG, "%s: damaged (checksum); start aggregate with "
			       "--rebuild", path);
	text.len -= 21;
	for (rest = slice_skip(text, sizeof(HEAD) - 1); rest.len;) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;

		if (!take_line(manifest, (struct slice){ rest.ptr, len }))
			return err_set(err, -EBADMSG, "%s: damaged ('%.*s'); start aggregate with "
				       "--rebuild", path, len > 60 ? 60 : (int)len, rest.ptr);
		rest = slice_skip(rest, len + 1);
	}
	return 0;
}

static int read_file(const char *path, struct buf *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	text->limit = SIZE_MAX_BYTES;
	while (n > 0 && rc == 0) {
		char *at = buf_reserve(text, 65536);

		n = at ? read(fd, at, 65536) : -1;
		if (n > 0)
			text->len += (size_t)n;
		else if (n < 0)
			rc = at ? -errno : -ENOMEM;
	}
	close(fd);
	return rc;
}

int manifest_read(struct manifest *manifest, const char *dir, struct err *err)
{
	char path[PATH_MAX_BYTES];
	struct buf text = { 0 };
	int rc;

	*manifest = (struct manifest){ .number = 1 };
	if (snprintf(path, sizeof(path), "%s/manifest", dir) >= (int)sizeof(path))
		return err_set(err, -ENAMETOOLONG, "--state: the path is too long");
	rc = read_file(path, &text);
	if (rc == 0)
		rc = parse(manifest, buf_slice(&text), path, err);
	else if (rc != -ENOENT)
		err_set(err, rc, "%s: %s", path, strerror(-rc));
	buf_close(&text);
	if (rc < 0)
		manifest_reset(manifest);
	return rc;
}
