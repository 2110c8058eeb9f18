// SPDX-License-Identifier: Apache-2.0
#include "enrich/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/when.h"

#define READ_SIZE ((size_t)64 << 10)

struct child {
	pid_t pid;
	int in, out, pid_fd;            /* -1: closed */
	bool reaped;
	int status;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Signals that we block or ignore are its own affair; its group is its own, to be killed whole. */
static int spawn(const char *command, int in, int out, pid_t *pid)
{
	char *argv[] = { (char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c",
			 (char *)(uintptr_t)command, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, defaults;
	int rc;

	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
				 POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -rc;
}

static int child_open(struct child *child, const char *command)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	int rc = 0;

	*child = (struct child){ .in = -1, .out = -1, .pid_fd = -1 };
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		rc = -errno;
	if (rc == 0)
		rc = spawn(command, in[0], out[1], &child->pid);
	close_fd(&in[0]);
	close_fd(&out[1]);
	if (rc < 0) {
		close_fd(&in[1]);
		close_fd(&out[0]);
		return rc;
	}
	child->in = in[1];
	child->out = out[0];
	fcntl(child->in, F_SETFL, O_NONBLOCK);
	fcntl(child->out, F_SETFL, O_NONBLOCK);
	child->pid_fd = pidfd_open(child->pid, 0);
	return 0;
}

static void reap(struct child *child, bool kill_it)
{
	if (kill_it)
		kill(-child->pid, SIGKILL);
	while (!child->reaped && waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
		;
	child->reaped = true;
}

static void child_close(struct child *child)
{
	close_fd(&child->in);
	close_fd(&child->out);
	close_fd(&child->pid_fd);
}

/* 0; 1: all is written, or it reads no more. */
static bool feed(struct child *child, struct slice *in)
{
	ssize_t n = in->len ? write(child->in, in->ptr, in->len) : 0;

	if (n > 0)
		*in = slice_skip(*in, (size_t)n);
	if (in->len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_fd(&child->in);
	return child->in < 0;
}

/* false: out's limit. */
static bool drain(struct child *child, struct buf *out)
{
	char *room = buf_reserve(out, READ_SIZE);
	ssize_t n;

	if (!room)
		return false;
	n = read(child->out, room, READ_SIZE);
	if (n > 0)
		out->len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(&child->out);
	return true;
}

static enum child_end pump(struct child *child, struct slice *in, struct buf *out, int timeout_ms)
{
	int64_t deadline = when_monotonic_ms() + timeout_ms;
	bool ended = false;

	feed(child, in);
	while (child->out >= 0 || !ended) {
		struct pollfd fds[] = {
			{ .fd = child->in, .events = POLLOUT },
			{ .fd = child->out, .events = POLLIN },
			/* Only when its output has ended: a pipe may outlive its writer. */
			{ .fd = child->out < 0 ? child->pid_fd : -1, .events = POLLIN },
		};
		int64_t left = deadline - when_monotonic_ms();

		if (child->out < 0 && child->pid_fd < 0)
			break;          /* an old kernel: waitpid waits */
		if (left <= 0)
			return CHILD_END_TIMEOUT;
		if (poll(fds, 3, (int)left) < 0 && errno != EINTR)
			return CHILD_END_STATUS;
		if (child->in >= 0 && fds[0].revents)
			feed(child, in);
		if (child->out >= 0 && fds[1].revents && !drain(child, out))
			return CHILD_END_TOO_MUCH;
		ended = fds[2].revents != 0;
	}
	return CHILD_END_GOOD;
}

static enum child_end end_of(const struct child *child, struct slice unread, struct err *words)
{
	int status = child->status;

	if (WIFSIGNALED(status)) {
		err_set(words, -EIO, "it died of signal %d", WTERMSIG(status));
		return CHILD_END_STATUS;
	}
	if (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127) {
		err_set(words, -EIO, "the shell cannot run it (status %d)", WEXITSTATUS(status));
		return CHILD_END_NOT_RUN;
	}
	if (WEXITSTATUS(status) != 0) {
		err_set(words, -EIO, "it ended with status %d", WEXITSTATUS(status));
		return CHILD_END_STATUS;
	}
	if (unread.len) {
		err_set(words, -EIO, "it ended before it had read all");
		return CHILD_END_UNREAD;
	}
	return CHILD_END_GOOD;
}

int child_run(const char *command, struct slice in, struct buf *out, int timeout_ms,
	      enum child_end *end, struct err *words)
{
	struct child child;
	int rc = child_open(&child, command);

	buf_reset(out);
	if (rc < 0)
		return rc;
	*end = pump(&child, &in, out, timeout_ms);
	reap(&child, *end != CHILD_END_GOOD);
	kill(-child.pid, SIGKILL);              /* what it may have left in the background */
	child_close(&child);
	if (*end == CHILD_END_TIMEOUT)
		err_set(words, -EIO, "it took longer than %d ms", timeout_ms);
	else if (*end == CHILD_END_TOO_MUCH)
		err_set(words, -EIO, "it wrote over %zu bytes", out->limit);
	else if (*end == CHILD_END_GOOD)
		*end = end_of(&child, in, words);
	return 0;
}
