// SPDX-License-Identifier: Apache-2.0
#include "millrace/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/when.h"
#include "millrace/up.h"

#define TEXT_MAX ((size_t)1 << 20)
#define ARGS_MAX 24

/* In the child. */
static void become(const char *const *args, const char *bin, int fd)
{
	char *argv[ARGS_MAX + 1] = { NULL };
	char path[PATH_MAX + 40];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (int i = 0; args[i] && i < ARGS_MAX; i++)
		argv[i] = (char *)(uintptr_t)args[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	snprintf(path, sizeof(path), "%s/%s", bin, argv[0]);
	execv(path, argv);
	execvp(argv[0], argv);
	_Exit(127);
}

static int read_until_end(int fd, int64_t end_ms, struct buf *text)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = end_ms - when_monotonic_ms();
		char bytes[4096];
		ssize_t n;

		if (left <= 0 || poll(&poll_fd, 1, left > 1000 ? 1000 : (int)left) < 0)
			return left <= 0 ? -ETIMEDOUT : -errno;
		if (!poll_fd.revents)
			continue;
		n = read(fd, bytes, sizeof(bytes));
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (text->len + (size_t)n < TEXT_MAX)
			buf_append(text, bytes, (size_t)n);
	}
}

int run_child(const char *const *args, int64_t timeout_ms, struct run_result *result,
		struct err *err)
{
	int64_t end_ms = when_monotonic_ms() + timeout_ms;
	int fds[2], status = 0, rc;
	char bin[PATH_MAX];
	pid_t pid;

	*result = (struct run_result){ .status = -1 };
	rc = up_bin(bin, sizeof(bin), err);
	if (rc < 0)
		return rc;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(err, -errno, "a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		become(args, bin, fds[1]);
	close(fds[1]);
	rc = pid < 0 ? -errno : read_until_end(fds[0], end_ms, &result->text);
	close(fds[0]);
	if (pid > 0 && rc < 0)
		kill(pid, SIGKILL);
	if (pid > 0)
		waitpid(pid, &status, 0);
	result->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	if (rc < 0)
		run_result_close(result);
	return rc < 0 ? err_set(err, rc, "%s: %s", args[0], strerror(-rc)) : 0;
}

void run_result_close(struct run_result *result)
{
	buf_close(&result->text);
}

void run_last_words(const struct run_result *result, char *words, size_t size)
{
	struct slice text = buf_slice(&result->text);
	const char *begin = text.ptr, *why;
	size_t len;

	while (text.len && text.ptr[text.len - 1] == '\n')
		text.len--;
	begin = memrchr(text.ptr, '\n', text.len);
	begin = begin ? begin + 1 : text.ptr;
	len = (size_t)(text.ptr + text.len - begin);
	why = memmem(begin, len, "why=", 4);
	if (why) {
		len -= (size_t)(why + 4 - begin);
		begin = why + 4;
		if (len >= 2 && *begin == '"') {
			begin++;
			len -= 2;
		}
	}
	snprintf(words, size, "%.*s", (int)(len < size ? len : size - 1), begin);
}
