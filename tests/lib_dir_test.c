// SPDX-License-Identifier: Apache-2.0
#include "lib/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void test_make(struct tap *tap)
{
	static const struct {
		const char *path;
		int wanted;
		const char *said;
	} cases[] = {
		{ "", -ENOENT, "an empty path" },
		{ "a", 0, "one name" },
		{ "a", 0, "one that is there" },
		{ "b/c/d", 0, "with its parents" },
		{ "b/c/e/", 0, "a slash at the end" },
		{ "b//f", 0, "two slashes" },
		{ "./b/../g", 0, "dots" },
		{ "file/x", -ENOTDIR, "below a file" },
		{ "/", 0, "the root" },
	};
	char path[DIR_PATH_MAX + 8];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = dir_make(cases[i].path);

		OK(tap, rc == cases[i].wanted && (rc < 0 || is_dir(cases[i].path)), "%s",
		   cases[i].said);
	}
	memset(path, 'x', sizeof(path));
	path[DIR_PATH_MAX] = '\0';
	OK(tap, dir_make(path) == -ENAMETOOLONG, "a path too long");
	path[DIR_PATH_MAX - 1] = '\0';
	OK(tap, dir_make(path) == -ENAMETOOLONG, "a name too long");
	if (getcwd(path, sizeof(path) - 8)) {
		memcpy(path + strlen(path), "/h/i", 5);
		OK(tap, dir_make(path) == 0 && is_dir("h/i"), "an absolute path");
	}
}

static void test_sync(struct tap *tap)
{
	OK(tap, dir_sync("b/c") == 0, "a directory");
	OK(tap, dir_sync("none") == -ENOENT, "one that is not there");
	OK(tap, dir_sync("file") == -ENOTDIR, "a file is no directory");
	OK(tap, dir_sync_parent("file") == 0, "the parent of a bare name");
	OK(tap, dir_sync_parent("b/c/") == 0, "the parent of a name with a slash");
	OK(tap, dir_sync_parent("/") == 0, "the root's parent is the root");
	OK(tap, dir_sync_parent("none/x") == -ENOENT, "a parent that is not there");
}

int main(void)
{
	const char *base = getenv("T") ? getenv("T") : getenv("TMPDIR");
	struct tap tap = { 0 };
	char dir[256], line[300];
	int fd;

	snprintf(dir, sizeof(dir), "%s/dir-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(dir) || chdir(dir) < 0 || (fd = open("file", O_CREAT | O_WRONLY, 0644)) < 0) {
		perror(dir);
		return 1;
	}
	close(fd);
	test_make(&tap);
	test_sync(&tap);
	snprintf(line, sizeof(line), "rm -rf '%s'", dir);
	OK(&tap, system(line) == 0, "cleaned");
	return tap_end(&tap);
}
