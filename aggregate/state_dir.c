// SPDX-License-Identifier: Apache-2.0
#include "aggregate/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>


int state_dir_lock(const char *dir, struct err *err)
{
	char path[DIR_PATH_MAX + 16];
	int fd, rc = dir_make(dir);

	if (rc < 0)
		return err_set(err, rc, "--state %s: cannot be made: %s", dir, strerror(-rc));
	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return err_set(err, rc, "--state %s: %s", dir,
		       rc == -EBUSY ? "another aggregate has it" : strerror(-rc));
}

/* All files of a directory that has no others below it. */
static int empty(const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", path, strerror(errno));
	while (rc == 0 && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			rc = err_set(err, -errno, "%s/%s: %s", path, entry->d_name,
				     strerror(errno));
	}
	closedir(dir);
	return rc;
}

int state_dir_aside(const char *dir, char aside[DIR_PATH_MAX], struct err *err)
{
	size_t len = strlen(dir);
	int rc;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (snprintf(aside, DIR_PATH_MAX, "%.*s.rebuild", (int)len, dir) >= DIR_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "--state: the path is too long");
	rc = empty(aside, err);
	return rc < 0 ? rc : state_dir_lock(aside, err);
}

int state_dir_swap(const char *dir, const char *aside, struct err *err)
{
	int rc = 0;

	if (renameat2(AT_FDCWD, aside, AT_FDCWD, dir, RENAME_EXCHANGE) < 0)
		rc = -errno;
	if (rc == 0)
		rc = dir_sync_parent(aside);
	if (rc < 0)
		return err_set(err, rc, "%s in the place of %s: %s", aside, dir, strerror(-rc));
	rc = empty(aside, err);
	if (rc == 0 && rmdir(aside) < 0)
		rc = err_set(err, -errno, "%s: %s", aside, strerror(errno));
	return rc;
}
