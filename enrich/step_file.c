// SPDX-License-Identifier: Apache-2.0
#include "enrich/step_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHUNK ((size_t)1 << 20)

int step_files_open(struct step_files *files, struct err *err)
{
	*files = (struct step_files){
		.files = calloc(STEP_FILES_MAX, sizeof(*files->files)),
		.reads = calloc(STEP_FILES_MAX, sizeof(*files->reads)),
	};
	return files->files && files->reads ? 0 : err_set(err, -ENOMEM, "no memory");
}

void step_files_settle(struct step_files *files)
{
	while (files->read_count)
		free(files->reads[--files->read_count]);
}

void step_files_close(struct step_files *files)
{
	step_files_settle(files);
	for (int i = 0; i < files->count; i++)
		free(files->files[i].path);
	free(files->files);
	free(files->reads);
	*files = (struct step_files){ .count = 0 };
}

bool step_file_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int step_files_changed(const struct step_files *files, struct stat *now)
{
	for (int i = 0; i < files->count; i++) {
		if (stat(files->files[i].path, now) < 0)
			memset(now, 0, sizeof(*now));
		if (!step_file_is_same(&files->files[i].stat, now))
			return i;
	}
	return -1;
}

static int fail(const struct step_args *args, const char *path, int rc, struct err *err)
{
	return err_set(err, rc, "%s: %s: %s", args->where, path, strerror(-rc));
}

static int file_open(const struct step_args *args, const char *path, struct stat *info,
		     struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return fail(args, path, -errno, err);
	if (fstat(fd, info) < 0 || !S_ISREG(info->st_mode)) {
		close(fd);
		return err_set(err, -EINVAL, "%s: %s is not a plain file", args->where, path);
	}
	if ((size_t)info->st_size > STEP_FILE_MAX) {
		close(fd);
		return err_set(err, -EFBIG, "%s: %s is over 1 GiB", args->where, path);
	}
	return fd;
}

static int file_add(const struct step_args *args, const char *path, const struct stat *info,
		    uint64_t hash, struct err *err)
{
	struct step_files *files = args->files;
	struct step_file *file = &files->files[files->count];

	if (files->count == STEP_FILES_MAX)
		return err_set(err, -ENOSPC, "%s: more than %d data files", args->where,
			       STEP_FILES_MAX);
	*file = (struct step_file){ .path = strdup(path), .stat = *info, .hash = hash };
	if (!file->path)
		return err_set(err, -ENOMEM, "%s: no memory", args->where);
	files->count++;
	return 0;
}

/* Up to size bytes; fewer where the file ends. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, bytes + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int step_file_read(const struct step_args *args, const char *path, struct slice *bytes,
		   struct err *err)
{
	struct step_files *files = args->files;
	struct stat info;
	int fd = file_open(args, path, &info, err);
	char *copy;
	ssize_t n;

	if (fd < 0)
		return fd;
	copy = files->read_count < STEP_FILES_MAX ? malloc((size_t)info.st_size + 1) : NULL;
	n = copy ? read_all(fd, copy, (size_t)info.st_size) : -ENOMEM;
	close(fd);
	if (n < 0) {
		free(copy);
		return fail(args, path, (int)n, err);
	}
	copy[n] = '\0';
	files->reads[files->read_count++] = copy;
	*bytes = (struct slice){ copy, (size_t)n };
	return file_add(args, path, &info, XXH3_64bits(copy, (size_t)n), err);
}

int step_file_watch(const struct step_args *args, const char *path, struct err *err)
{
	struct stat info;
	int fd = file_open(args, path, &info, err);
	XXH3_state_t *hash;
	char *chunk;
	ssize_t n = -ENOMEM;

	if (fd < 0)
		return fd;
	hash = XXH3_createState();
	chunk = malloc(CHUNK);
	if (hash && chunk) {
		XXH3_64bits_reset(hash);
		while ((n = read_all(fd, chunk, CHUNK)) > 0)
			XXH3_64bits_update(hash, chunk, (size_t)n);
	}
	close(fd);
	n = n < 0 ? fail(args, path, (int)n, err)
		  : file_add(args, path, &info, XXH3_64bits_digest(hash), err);
	free(chunk);
	XXH3_freeState(hash);
	return (int)n;
}

void step_lack(const struct step_args *args, const char *words)
{
	if (args->files->lack_count < STEP_LACKS_MAX)
		args->files->lacks[args->files->lack_count++] = words;
}
