// SPDX-License-Identifier: Apache-2.0
#include "sink/sums.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

#define HASH "00112233445566778899aabbccddeeff"

struct world {
	char dir[64];
	int dir_fd;
};

static void append(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		abort();
}

static bool find(const struct world *world, const char *name, struct sum *sum)
{
	struct sums *sums;
	struct err err = { "" };
	int rc = sums_open(&sums, world->dir_fd, "t", 0, &err);

	if (rc == 0) {
		rc = sums_find(sums, name, sum);
		sums_close(sums);
	}
	return rc == 0;
}

static void test_lines(struct tap *tap, struct world *world)
{
	struct err err = { "" };
	struct sum sum = { 0 }, out = { .hash = { 0xab }, .bytes = UINT64_MAX, .records = 2,
					.markers = 3, .duplicates = 4 };
	char line[SUMS_LINE_MAX];
	int fd;

	OK(tap, !find(world, "a", &sum), "no file: no line");
	fd = sums_lock(world->dir_fd, "t", 0, &err);
	OK(tap, fd >= 0, "the lock is free");
	OK(tap, sums_lock(world->dir_fd, "t", 0, &err) == -EBUSY, "and then not: %s", err.text);
	append(fd, HASH " 1 2 3 4 b\n");
	append(fd, HASH " 10 20 30 40 a\n");
	append(fd, HASH " 5 6 7 8 b\n");
	append(fd, HASH " 9 9 9 c\n" "x" HASH " 9 9 9 9 d\n" HASH " 9 9 9 9 \n\n"
	       HASH " 9 9 9 99999999999999999999999 e\n");
	OK(tap, find(world, "a", &sum) && sum.bytes == 10 && sum.duplicates == 40 &&
		       sum.hash[15] == 0xff, "a line is found");
	OK(tap, find(world, "b", &sum) && sum.bytes == 5 && sum.records == 6 && sum.markers == 7,
	   "the last of a name counts");
	OK(tap, !find(world, "c", &sum) && !find(world, "d", &sum) && !find(world, "", &sum) &&
		       !find(world, "e", &sum), "broken lines are passed over");
	append(fd, HASH " 9 9 9 9 cut");
	close(fd);
	OK(tap, !find(world, "cut", &sum), "a line without an end does not count");
	fd = sums_lock(world->dir_fd, "t", 0, &err);
	OK(tap, fd >= 0, "the lock is free again");
	sums_print(&out, "new", line);
	append(fd, line);
	OK(tap, find(world, "new", &sum) && memcmp(&sum, &out, sizeof(sum)) == 0,
	   "what follows a cut line is whole");
	close(fd);
}

int main(void)
{
	struct tap tap = { 0 };
	struct world world = { .dir = "/tmp/millrace-sums-XXXXXX" };

	if (!OK(&tap, mkdtemp(world.dir) != NULL, "a directory"))
		return tap_end(&tap);
	world.dir_fd = open(world.dir, O_RDONLY | O_DIRECTORY);
	test_lines(&tap, &world);
	unlinkat(world.dir_fd, ".t-0.sums", 0);
	close(world.dir_fd);
	rmdir(world.dir);
	return tap_end(&tap);
}
