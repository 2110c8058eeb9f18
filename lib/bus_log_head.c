// SPDX-License-Identifier: Apache-2.0
#include "lib/bus_log_head.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "lib/bus.h"

#define HEAD_NAME  ".head"
#define ENTRY_SIZE 64
#define BELL_AT    8
#define HEAD_SIZE  (ENTRY_SIZE + (off_t)ENTRY_SIZE * BUS_PARTITIONS_MAX)

static const char magic[8] = { 'M', 'R', 'H', 'E', 'A', 'D', '1', '\n' };

struct disk_entry {
	int64_t offset;
	int64_t base;
	int64_t size;
	uint64_t check;
};

static_assert(sizeof(struct disk_entry) == 32, "byte table in bus_log_head.h");

static off_t entry_at(int32_t partition)
{
	return ENTRY_SIZE + (off_t)ENTRY_SIZE * partition;
}

static uint64_t entry_check(int32_t partition, const struct disk_entry *disk)
{
	return XXH3_64bits_withSeed(disk, offsetof(struct disk_entry, check),
				    (uint64_t)partition + 1);
}

static int bell_map(struct log_head *head)
{
	void *page = mmap(NULL, (size_t)HEAD_SIZE, PROT_READ, MAP_SHARED, head->fd, 0);

	if (page == MAP_FAILED)
		return -errno;
	head->bell = (const uint32_t *)(const void *)((const char *)page + BELL_AT);
	return 0;
}

/* Gives the file its blocks and its magic. Writers of other partitions may do the same at the
 * same time: nothing here changes what is right already. */
static int head_init(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < HEAD_SIZE && fallocate(fd, 0, 0, HEAD_SIZE) < 0 &&
	    (errno != EOPNOTSUPP || ftruncate(fd, HEAD_SIZE) < 0))
		return -errno;
	return pwrite(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) ? 0 : -EIO;
}

int log_head_open_write(struct log_head *head, int dirfd)
{
	int rc;

	*head = (struct log_head){ .fd = openat(dirfd, HEAD_NAME, O_RDWR | O_CREAT | O_CLOEXEC,
						0644) };
	if (head->fd < 0)
		return -errno;
	rc = head_init(head->fd);
	if (rc == 0)
		rc = bell_map(head);
	if (rc < 0)
		log_head_close(head);
	return rc;
}

int log_head_open_read(struct log_head *head, int dirfd)
{
	char found[sizeof(magic)];
	struct stat st;
	int rc = 0;

	*head = (struct log_head){ .fd = openat(dirfd, HEAD_NAME, O_RDONLY | O_CLOEXEC) };
	if (head->fd < 0)
		return -errno;
	if (fstat(head->fd, &st) < 0)
		rc = -errno;
	else if (st.st_size < HEAD_SIZE ||
		 pread(head->fd, found, sizeof(found), 0) != (ssize_t)sizeof(found) ||
		 memcmp(found, magic, sizeof(magic)) != 0)
		rc = -EBADMSG;
	if (rc == 0)
		rc = bell_map(head);
	if (rc < 0)
		log_head_close(head);
	return rc;
}

void log_head_close(struct log_head *head)
{
	if (head->bell)
		munmap((void *)(uintptr_t)((const char *)head->bell - BELL_AT), (size_t)HEAD_SIZE);
	if (head->fd >= 0)
		close(head->fd);
	*head = (struct log_head){ .fd = -1 };
}

bool log_head_is_gone(const struct log_head *head)
{
	struct stat st;

	return head->fd < 0 || fstat(head->fd, &st) < 0 || st.st_nlink == 0 ||
	       st.st_size < HEAD_SIZE;
}

int log_head_put(struct log_head *head, int32_t partition, const struct log_head_entry *entry)
{
	struct disk_entry disk = { entry->offset, entry->base, entry->size, 0 };

	disk.check = entry_check(partition, &disk);
	if (pwrite(head->fd, &disk, sizeof(disk), entry_at(partition)) != (ssize_t)sizeof(disk))
		return -EIO;
	return 0;
}

int log_head_get(const struct log_head *head, int32_t partition, struct log_head_entry *entry)
{
	struct disk_entry disk;

	if (head->fd < 0)
		return -ENOENT;
	/* A read may meet a write half way: the check tells, and the next read sees it whole. */
	for (int i = 0; i < 3; i++) {
		if (pread(head->fd, &disk, sizeof(disk), entry_at(partition)) !=
		    (ssize_t)sizeof(disk))
			return -ENOENT;
		if (disk.check != entry_check(partition, &disk) || disk.offset < 0 ||
		    disk.base < 0 || disk.base > disk.offset || disk.size < 0)
			continue;
		*entry = (struct log_head_entry){ disk.offset, disk.base, disk.size };
		return 0;
	}
	return -ENOENT;
}

void log_head_ring(struct log_head *head)
{
	struct timespec now;
	uint32_t bell;

	/* Any other number will do; the clock's differs between writers too, without a lock. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	bell = (uint32_t)((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	if (pwrite(head->fd, &bell, sizeof(bell), BELL_AT) != (ssize_t)sizeof(bell))
		return;
	syscall(SYS_futex, head->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

uint32_t log_head_bell(const struct log_head *head)
{
	uint32_t bell = 0;

	if (head->fd < 0 || pread(head->fd, &bell, sizeof(bell), BELL_AT) != (ssize_t)sizeof(bell))
		return 0;
	return bell;
}

void log_head_wait(const struct log_head *head, uint32_t bell, int timeout_ms)
{
	struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };

	if (timeout_ms <= 0)
		return;
	if (!head->bell ||
	    (syscall(SYS_futex, head->bell, FUTEX_WAIT, bell, &timeout, NULL, 0) < 0 &&
	     errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT))
		(void)poll(NULL, 0, timeout_ms);
}
