// SPDX-License-Identifier: Apache-2.0
#include "aggregate/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/dir.h"

int state_dir_lock(const char *dir, struct err *err)
{
	char path[4096];
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
