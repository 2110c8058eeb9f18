/* preload_fault - makes system calls of any program fail, or the program die, at a chosen call
 *
 *      LD_PRELOAD=build/test/preload_fault.so FAULT=CALL:ACTION:PATH:FROM[:TO][,...] PROGRAM ..
 *
 *      CALL    write (also pwrite, writev, pwritev), sync (fsync, fdatasync), fdatasync, fsync,
 *              rename (renameat, renameat2), link, unlink, open, truncate (ftruncate), mkdir,
 *              read (pread)
 *      ACTION  an errno's name (ENOSPC, EIO, EACCES, ..): the call fails and does nothing
 *              short      a write of half the bytes
 *              kill       the process dies (SIGKILL) before the call; kill_after: behind it
 *              torn       half of a write's bytes, then SIGKILL
 *      PATH    substring of the file's path (a rename's old or new one); empty: any
 *      FROM    the first call that it holds for, counted from 1 among those that match CALL, PATH
 *      TO      the last one; left out: FROM; -: no end
 *
 * FAULT_IF=FILE: rules hold (and calls are counted) only while FILE exists, so that a disk can get
 * full, and be emptied, under a running program.
 */
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define RULES_MAX 8

enum action { FAULT_ERRNO, FAULT_SHORT, FAULT_KILL, FAULT_KILL_AFTER, FAULT_TORN };

struct rule {
	char call[16];
	char path[160];
	enum action action;
	int error;
	long from, to;
	_Atomic long count;
};

static struct rule rules[RULES_MAX];
static int rule_count;
static const char *while_exists;

static const struct {
	const char *name;
	int error;
} errors[] = {
	{ "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EACCES", EACCES }, { "EROFS", EROFS },
	{ "EDQUOT", EDQUOT }, { "EINTR", EINTR }, { "EAGAIN", EAGAIN }, { "ENOENT", ENOENT },
	{ "EMFILE", EMFILE }, { "ENOMEM", ENOMEM }, { "EEXIST", EEXIST }, { "EINVAL", EINVAL },
	{ "EPERM", EPERM }, { "EPIPE", EPIPE }, { "EFBIG", EFBIG },
};

static void usage(const char *rule)
{
	fprintf(stderr, "preload_fault: cannot read FAULT rule '%s'\n", rule);
	_exit(64);
}

static void parse_rule(struct rule *rule, char *text)
{
	char *fields[5] = { NULL }, *at = text;
	size_t i;

	for (i = 0; i < 5 && at; i++)
		fields[i] = strsep(&at, ":");
	if (i < 4 || at)
		usage(text);
	snprintf(rule->call, sizeof(rule->call), "%s", fields[0]);
	snprintf(rule->path, sizeof(rule->path), "%s", fields[2]);
	rule->from = strtol(fields[3], NULL, 10);
	rule->to = !fields[4] ? rule->from : *fields[4] == '-' ? 0x7fffffffL :
		   strtol(fields[4], NULL, 10);
	if (strcmp(fields[1], "short") == 0)
		rule->action = FAULT_SHORT;
	else if (strcmp(fields[1], "kill") == 0)
		rule->action = FAULT_KILL;
	else if (strcmp(fields[1], "kill_after") == 0)
		rule->action = FAULT_KILL_AFTER;
	else if (strcmp(fields[1], "torn") == 0)
		rule->action = FAULT_TORN;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(fields[1], errors[i].name) == 0)
			rule->error = errors[i].error;
	if (rule->from < 1 || (rule->action == FAULT_ERRNO && !rule->error))
		usage(fields[1]);
}

__attribute__((constructor)) static void parse(void)
{
	const char *env = getenv("FAULT");
	char *copy = env ? strdup(env) : NULL, *text = copy, *rule;

	while_exists = getenv("FAULT_IF");
	while (text && (rule = strsep(&text, ",")) && rule_count < RULES_MAX)
		if (*rule)
			parse_rule(&rules[rule_count++], rule);
	free(copy);
}

static void *real(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (!symbol)
		abort();
	return symbol;
}

/* ISO C has no cast from an object's pointer to a function's. */
#define REAL(type, name) \
	((union { void *object; __typeof__(type) function; }){ .object = real(name) }.function)

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* The rule that holds for this call, or NULL. Kills where it says so. */
static struct rule *match(const char *call, const char *path, const char *path2)
{
	int saved = errno;
	struct rule *found = NULL;

	for (int i = 0; i < rule_count && !found; i++) {
		struct rule *rule = &rules[i];
		bool is_sync = strcmp(rule->call, "sync") == 0 && strstr(call, "sync");
		long n;

		if (strcmp(rule->call, call) != 0 && !is_sync)
			continue;
		if (!strstr(path, rule->path) && !(path2 && strstr(path2, rule->path)))
			continue;
		if (while_exists && access(while_exists, F_OK) != 0)
			continue;
		n = atomic_fetch_add(&rule->count, 1) + 1;
		if (n >= rule->from && n <= rule->to)
			found = rule;
	}
	errno = saved;
	if (found && found->action == FAULT_KILL)
		die();
	return found;
}

/* The path of a name in a directory that is open. */
static struct rule *match_at(const char *call, int dirfd, const char *path, const char *path2)
{
	char link[40], whole[1024];
	int saved = errno;
	ssize_t n;

	if (rule_count == 0)
		return NULL;
	if (dirfd == AT_FDCWD || path[0] == '/')
		return match(call, path, path2);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	n = readlink(link, whole, sizeof(whole) / 2);
	n = n > 0 ? n : 0;
	snprintf(whole + n, sizeof(whole) - (size_t)n, "/%s", path);
	errno = saved;
	return match(call, whole, path2);
}

static struct rule *match_fd(const char *call, int fd)
{
	char link[40], path[512];
	int saved = errno;
	ssize_t n;

	if (rule_count == 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	errno = saved;
	return match(call, path, NULL);
}

static bool fails(const struct rule *rule)
{
	if (!rule || rule->action != FAULT_ERRNO)
		return false;
	errno = rule->error;
	return true;
}

static void after(const struct rule *rule)
{
	if (rule && (rule->action == FAULT_KILL_AFTER || rule->action == FAULT_TORN))
		die();
}

static size_t cut(const struct rule *rule, size_t len)
{
	bool half = rule && (rule->action == FAULT_SHORT || rule->action == FAULT_TORN);

	return half && len > 1 ? len / 2 : len;
}

#define EXPORT __attribute__((visibility("default")))
#define DECLARE(type, name, ...) EXPORT type name(__VA_ARGS__); EXPORT type name(__VA_ARGS__)

DECLARE(ssize_t, write, int fd, const void *bytes, size_t len)
{
	struct rule *rule = match_fd("write", fd);
	ssize_t n = fails(rule) ? -1 :
		REAL(ssize_t (*)(int, const void *, size_t), "write")(fd, bytes, cut(rule, len));

	after(rule);
	return n;
}

static ssize_t pwrite_any(int fd, const void *bytes, size_t len, off_t at)
{
	struct rule *rule = match_fd("write", fd);
	ssize_t n = fails(rule) ? -1 :
		REAL(ssize_t (*)(int, const void *, size_t, off_t), "pwrite")(fd, bytes,
									      cut(rule, len), at);

	after(rule);
	return n;
}

DECLARE(ssize_t, pwrite, int fd, const void *bytes, size_t len, off_t at)
{
	return pwrite_any(fd, bytes, len, at);
}

DECLARE(ssize_t, pwrite64, int fd, const void *bytes, size_t len, off_t at)
{
	return pwrite_any(fd, bytes, len, at);
}

DECLARE(ssize_t, writev, int fd, const struct iovec *parts, int count)
{
	struct rule *rule = match_fd("write", fd);
	ssize_t n = fails(rule) ? -1 :
		REAL(ssize_t (*)(int, const struct iovec *, int), "writev")(fd, parts, count);

	after(rule);
	return n;
}

DECLARE(ssize_t, pwritev, int fd, const struct iovec *parts, int count, off_t at)
{
	struct rule *rule = match_fd("write", fd);
	ssize_t n = fails(rule) ? -1
				: REAL(ssize_t(*)(int, const struct iovec *, int, off_t),
				       "pwritev")(fd, parts, count, at);

	after(rule);
	return n;
}

DECLARE(ssize_t, pread, int fd, void *bytes, size_t len, off_t at)
{
	struct rule *rule = match_fd("read", fd);

	return fails(rule) ? -1
			   : REAL(ssize_t(*)(int, void *, size_t, off_t),
				  "pread")(fd, bytes, cut(rule, len), at);
}

DECLARE(ssize_t, read, int fd, void *bytes, size_t len)
{
	struct rule *rule = match_fd("read", fd);

	return fails(rule) ? -1 :
		REAL(ssize_t (*)(int, void *, size_t), "read")(fd, bytes, cut(rule, len));
}

static int one_fd(const char *call, const char *name, int fd)
{
	struct rule *rule = match_fd(call, fd);
	int rc = fails(rule) ? -1 : REAL(int (*)(int), name)(fd);

	after(rule);
	return rc;
}

DECLARE(int, fsync, int fd)
{
	return one_fd("fsync", "fsync", fd);
}

DECLARE(int, fdatasync, int fd)
{
	return one_fd("fdatasync", "fdatasync", fd);
}

DECLARE(int, ftruncate, int fd, off_t size)
{
	struct rule *rule = match_fd("truncate", fd);
	int rc = fails(rule) ? -1 : REAL(int (*)(int, off_t), "ftruncate")(fd, size);

	after(rule);
	return rc;
}

DECLARE(int, rename, const char *from, const char *to)
{
	struct rule *rule = match("rename", from, to);
	int rc = fails(rule) ? -1 : REAL(int (*)(const char *, const char *), "rename")(from, to);

	after(rule);
	return rc;
}

DECLARE(int, renameat, int from_fd, const char *from, int to_fd, const char *to)
{
	struct rule *rule = match_at("rename", from_fd, from, to);
	int rc = fails(rule) ? -1
			     : REAL(int (*)(int, const char *, int, const char *),
				    "renameat")(from_fd, from, to_fd, to);

	after(rule);
	return rc;
}

DECLARE(int, renameat2, int from_fd, const char *from, int to_fd, const char *to,
	unsigned int flags)
{
	struct rule *rule = match_at("rename", from_fd, from, to);
	int rc = fails(rule) ? -1 :
		REAL(int (*)(int, const char *, int, const char *, unsigned int), "renameat2")(
			from_fd, from, to_fd, to, flags);

	after(rule);
	return rc;
}

DECLARE(int, link, const char *from, const char *to)
{
	struct rule *rule = match("link", from, to);
	int rc = fails(rule) ? -1 : REAL(int (*)(const char *, const char *), "link")(from, to);

	after(rule);
	return rc;
}

DECLARE(int, unlink, const char *path)
{
	struct rule *rule = match("unlink", path, NULL);
	int rc = fails(rule) ? -1 : REAL(int (*)(const char *), "unlink")(path);

	after(rule);
	return rc;
}

DECLARE(int, unlinkat, int fd, const char *path, int flags)
{
	struct rule *rule = match_at("unlink", fd, path, NULL);
	int rc =
	    fails(rule) ? -1 : REAL(int (*)(int, const char *, int), "unlinkat")(fd, path, flags);

	after(rule);
	return rc;
}

DECLARE(int, mkdir, const char *path, mode_t mode)
{
	struct rule *rule = match("mkdir", path, NULL);
	int rc = fails(rule) ? -1 : REAL(int (*)(const char *, mode_t), "mkdir")(path, mode);

	after(rule);
	return rc;
}

static int open_any(int dirfd, const char *path, int flags, mode_t mode)
{
	struct rule *rule = match_at("open", dirfd, path, NULL);
	int fd = fails(rule) ? -1 :
		REAL(int (*)(int, const char *, int, ...), "openat")(dirfd, path, flags, mode);

	after(rule);
	return fd;
}

#define MODE(flags, mode) \
	do { \
		va_list args; \
		va_start(args, flags); \
		if ((flags) & (O_CREAT | __O_TMPFILE)) \
			mode = (mode_t)va_arg(args, int); \
		va_end(args); \
	} while (0)

DECLARE(int, open, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	return open_any(AT_FDCWD, path, flags, mode);
}

DECLARE(int, open64, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	return open_any(AT_FDCWD, path, flags, mode);
}

DECLARE(int, openat, int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	return open_any(dirfd, path, flags, mode);
}

DECLARE(int, openat64, int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	return open_any(dirfd, path, flags, mode);
}
