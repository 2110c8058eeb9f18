// SPDX-License-Identifier: Apache-2.0
#include "millrace/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/dir.h"

static int open_file(const char *data, int flags)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/millrace.pid", data) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0644);

	return fd < 0 ? -errno : fd;
}

static pid_t read_pid(int fd)
{
	char text[24] = "";
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	long pid;

	if (len <= 0)
		return 0;
	pid = strtol(text, NULL, 10);
	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* A pidfile_find looks by locking, too, for an instant: so not at the first try. */
static int lock_patiently(int fd)
{
	int rc = flock(fd, LOCK_EX | LOCK_NB);

	for (int i = 0; i < 10 && rc < 0; i++) {
		poll(NULL, 0, 10);
		rc = flock(fd, LOCK_EX | LOCK_NB);
	}
	return rc;
}

int pidfile_lock(const char *data, struct err *err)
{
	char text[24];
	int fd, len, rc;

	if ((rc = dir_make(data)) < 0)
		return err_set(err, rc, "%.200s: cannot be made: %s", data, strerror(-rc));
	fd = open_file(data, O_RDWR | O_CREAT);
	if (fd < 0)
		return err_set(err, fd, "%s/millrace.pid: %s", data, strerror(-fd));
	if (lock_patiently(fd) < 0) {
		rc = err_set(err, -EBUSY, "millrace runs already on %s (pid %d); `millrace down` "
			     "stops it", data, (int)read_pid(fd));
		close(fd);
		return rc;
	}
	len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len) {
		rc = err_set(err, -EIO, "%s/millrace.pid: cannot be written", data);
		close(fd);
		return rc;
	}
	return fd;
}

void pidfile_unlock(int fd)
{
	/* An old pid that stays is harmless: nobody believes it without the lock. */
	if (ftruncate(fd, 0) < 0)
		errno = 0;
	close(fd);
}

pid_t pidfile_find(const char *data, struct err *err)
{
	pid_t pid = 0;
	int fd = open_file(data, O_RDWR);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_set(err, fd, "%s/millrace.pid: %s", data, strerror(-fd));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		pid = read_pid(fd);
	close(fd);
	return pid;
}
