// SPDX-License-Identifier: Apache-2.0
#include "lib/bus_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME    ".lock"
#define PARTITION_IS "?partition="

/* Kafka's rule for names, so that a topic can move there. */
static bool topic_is_valid(const char *topic)
{
	size_t len = strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789._-");

	return len > 0 && len < LOG_TOPIC_MAX && topic[len] == '\0' && topic[0] != '.';
}

int log_url_parse(struct log_url *url, const char *rest, struct err *err)
{
	const char *query = strchr(rest, '?');
	size_t len = query ? (size_t)(query - rest) : strlen(rest);
	const char *topic;
	char *end;
	long n;

	*url = (struct log_url){ .partition = -1 };
	if (len >= sizeof(url->path))
		return err_set(err, -EINVAL, "log: the path is over %d bytes", LOG_PATH_MAX - 1);
	memcpy(url->path, rest, len);
	topic = strrchr(url->path, '/');
	if (!topic || topic == url->path || !topic_is_valid(topic + 1))
		return err_set(err, -EINVAL,
			       "'log:%.100s' has no topic: write log:DIR/TOPIC, the topic "
			       "of letters, digits, '.', '_', '-'",
			       rest);
	snprintf(url->topic, sizeof(url->topic), "%s", topic + 1);
	if (!query)
		return 0;
	if (strncmp(query, PARTITION_IS, strlen(PARTITION_IS)) != 0)
		return err_set(err, -EINVAL, "'%.60s' after the topic: only ?partition=N is known",
			       query);
	query += strlen(PARTITION_IS);
	n = strtol(query, &end, 10);
	if (*query < '0' || *query > '9' || *end || n >= BUS_PARTITIONS_MAX)
		return err_set(err, -EINVAL, "'?partition=%.20s' is not 0..%d", query,
			       BUS_PARTITIONS_MAX - 1);
	url->partition = (int)n;
	return 0;
}

int log_partition_count(int topic_fd)
{
	char name[16];
	struct stat st;
	int n;

	for (n = 0; n < BUS_PARTITIONS_MAX; n++) {
		snprintf(name, sizeof(name), "%d", n);
		if (fstatat(topic_fd, name, &st, 0) < 0)
			return errno == ENOENT ? n : -errno;
		if (!S_ISDIR(st.st_mode))
			return n;
	}
	return n;
}

int log_partition_open(int topic_fd, int32_t partition)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "%d", (int)partition);
	fd = openat(topic_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static struct flock whole_file(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET };
}

int log_lock(int partition_fd, int *pid)
{
	struct flock lock = whole_file(F_WRLCK);
	char text[24] = "";
	int fd = openat(partition_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ssize_t n;

	*pid = 0;
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		int rc = errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;

		n = pread(fd, text, sizeof(text) - 1, 0);
		if (n > 0)
			*pid = (int)strtol(text, NULL, 10);
		close(fd);
		return rc;
	}
	/* Only words for people: a full disk may refuse them. */
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == 0)
		n = pwrite(fd, text, (size_t)n, 0);
	return fd;
}

int log_is_locked(int partition_fd)
{
	struct flock lock = whole_file(F_WRLCK);
	int fd = openat(partition_fd, LOCK_NAME, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	rc = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : lock.l_type != F_UNLCK;
	close(fd);
	return rc;
}

int bus_log_check(const char *rest, struct err *err)
{
	struct log_url url;

	return log_url_parse(&url, rest, err);
}

int bus_log_open(struct bus **busp, const char *rest, enum bus_mode mode,
		 const struct bus_conf *conf, struct err *err)
{
	struct log_url url;
	int rc = log_url_parse(&url, rest, err);

	if (rc < 0)
		return rc;
	if (mode == BUS_WRITE)
		return log_writer_open(busp, &url, conf, err);
	return log_reader_open(busp, &url, conf, err);
}
