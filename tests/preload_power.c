/* preload_power - keeps what a power loss would leave of a program's files
 *
 *      LD_PRELOAD=build/test/preload_power.so POWER_FROM=DIR POWER_TO=SHADOW PROGRAM ..
 *
 *      SHADOW/f/INODE     a file's bytes as of its last fsync or fdatasync that succeeded
 *      SHADOW/d/INODE     a directory's entries as of its last fsync: "INODE NAME" lines
 *
 * Strict rules: bytes are there when their file was synced, a name is there when its directory was.
 * tests/power.py makes the directory that is left, with a random part of what was not synced.
 */
// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_ours(int fd, const char *from)
{
	char link[40], path[1024];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return strncmp(path, from, strlen(from)) == 0;
}

static void keep_bytes(int fd, FILE *out)
{
	char bytes[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, bytes, sizeof(bytes), at)) > 0) {
		if (fwrite(bytes, 1, (size_t)n, out) != (size_t)n)
			abort();
		at += n;
	}
}

static void keep_names(int fd, FILE *out)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir)
		abort();
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			fprintf(out, "%llu %s\n", (unsigned long long)entry->d_ino, entry->d_name);
	closedir(dir);
}

/* Whole or not at all, as the program may be killed here, too. */
static void keep(int fd)
{
	const char *from = getenv("POWER_FROM"), *to = getenv("POWER_TO");
	char path[1200], temp[1210];
	int saved = errno;
	struct stat st;
	FILE *out;

	if (!from || !to || !is_ours(fd, from) || fstat(fd, &st) < 0)
		return;
	snprintf(path, sizeof(path), "%s/%c/%llu", to, S_ISDIR(st.st_mode) ? 'd' : 'f',
		 (unsigned long long)st.st_ino);
	snprintf(temp, sizeof(temp), "%s.%d", path, (int)gettid());
	out = fopen(temp, "we");
	if (!out)
		abort();
	if (S_ISDIR(st.st_mode))
		keep_names(fd, out);
	else
		keep_bytes(fd, out);
	if (fclose(out) != 0 || rename(temp, path) < 0)
		abort();
	errno = saved;
}

static int sync_and_keep(const char *name, int fd)
{
	union {
		void *object;
		int (*function)(int);
	} real = { .object = dlsym(RTLD_NEXT, name) };
	int rc = real.function(fd);

	if (rc == 0)
		keep(fd);
	return rc;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	return sync_and_keep("fsync", fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	return sync_and_keep("fdatasync", fd);
}
