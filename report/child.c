// SPDX-License-Identifier: Apache-2.0
#include "report/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_LATE 124

struct stream {
	struct child *child;
	struct loop_watch *watch;
	int fd;
	struct buf text;
};

struct child {
	struct children *children;
	pid_t pid;                      /* 0: this place is free */
	struct stream out, err;
	struct loop_timer *timer;
	bool is_late;
	child_done_fn *done;
	void *ctx;
};

struct children {
	struct loop *loop;
	char bin[PATH_MAX], dir[PATH_MAX];
	struct child items[CHILD_MAX];
};

int children_open(struct children **childrenp, struct loop *loop, const char *dir, struct err *err)
{
	struct children *children = calloc(1, sizeof(*children));
	ssize_t len;
	char *slash;

	*childrenp = children;
	if (!children)
		return err_set(err, -ENOMEM, "no memory");
	children->loop = loop;
	snprintf(children->dir, sizeof(children->dir), "%s", dir);
	len = readlink("/proc/self/exe", children->bin, sizeof(children->bin) - 1);
	if (len < 0)
		return err_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
	slash = strrchr(children->bin, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

static void close_stream(struct stream *stream)
{
	if (stream->watch)
		loop_unwatch(stream->watch);
	if (stream->fd >= 0)
		close(stream->fd);
	stream->watch = NULL;
	stream->fd = -1;
}

/* A log line's words= or why=, else the last line itself, into the buffer's end. */
static const char *last_words(struct buf *text)
{
	static const char *const KEYS[] = { " why=\"", " words=\"", " why=", " words=", NULL };
	char *line, *at;

	while (text->len && text->ptr[text->len - 1] == '\n')
		text->len--;
	buf_append_char(text, '\0');
	if (text->failed || !text->ptr)
		return "";
	line = strrchr(text->ptr, '\n');
	line = line ? line + 1 : text->ptr;
	for (int i = 0; KEYS[i]; i++) {
		at = strstr(line, KEYS[i]);
		if (!at)
			continue;
		line = at + strlen(KEYS[i]);
		if (KEYS[i][strlen(KEYS[i]) - 1] == '"' && line[0] &&
		    line[strlen(line) - 1] == '"')
			line[strlen(line) - 1] = '\0';
		break;
	}
	at = strstr(line, ": ");
	if (at && (strncmp(line, "sink: ", 6) == 0 || strncmp(line, "millrace: ", 10) == 0))
		line = at + 2;
	return line;
}

static void finish(struct child *child)
{
	struct child_result result = { 0 };
	int status = 0;

	if (child->timer)
		loop_timer_stop(child->timer);
	close_stream(&child->out);
	close_stream(&child->err);
	waitpid(child->pid, &status, 0);
	result.status = child->is_late ? STATUS_LATE
			: WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	result.out = buf_slice(&child->out.text);
	result.words = last_words(&child->err.text);
	child->done(child->ctx, &result);
	buf_close(&child->out.text);
	buf_close(&child->err.text);
	*child = (struct child){ .pid = 0 };
}

/* Both ends closed: it has ended, or is about to. */
static void on_readable(void *ctx, uint32_t events)
{
	struct stream *stream = ctx;
	char bytes[16384];
	ssize_t n;

	(void)events;
	while ((n = read(stream->fd, bytes, sizeof(bytes))) > 0)
		if (stream->text.len + (size_t)n <= CHILD_OUT_MAX)
			buf_append(&stream->text, bytes, (size_t)n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close_stream(stream);
	if (stream->child->out.fd < 0 && stream->child->err.fd < 0)
		finish(stream->child);
}

static void on_late(void *ctx)
{
	struct child *child = ctx;

	child->timer = NULL;
	child->is_late = true;
	kill(child->pid, SIGKILL);
}

/* In the child after fork. */
static void become(const struct children *children, const char *const *args, int out, int err,
		   pid_t parent)
{
	char *argv[CHILD_ARGS_MAX + 1] = { NULL };
	char path[PATH_MAX + 64];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_Exit(75);
	for (int i = 0; args[i] && i < CHILD_ARGS_MAX; i++)
		argv[i] = (char *)(uintptr_t)args[i];
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	if (chdir(children->dir) < 0)
		_Exit(127);
	snprintf(path, sizeof(path), "%s/%s", children->bin, argv[0]);
	execv(path, argv);
	execvp(argv[0], argv);
	_Exit(127);
}

static int watch(struct children *children, struct child *child, struct stream *stream, int fd)
{
	*stream = (struct stream){ .child = child, .fd = fd };
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return loop_watch(children->loop, fd, EPOLLIN, on_readable, stream, &stream->watch);
}

int child_run(struct children *children, const char *const *args, int64_t timeout_ms,
	      child_done_fn *done, void *ctx)
{
	struct child *child = children->items;
	int out[2], err[2], rc;
	pid_t parent = getpid();

	while (child < children->items + CHILD_MAX && child->pid)
		child++;
	if (child == children->items + CHILD_MAX)
		return -EBUSY;
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(err, O_CLOEXEC) < 0) {
		rc = -errno;
		close(out[0]);
		close(out[1]);
		return rc;
	}
	*child = (struct child){ .children = children, .done = done, .ctx = ctx };
	child->pid = fork();
	if (child->pid == 0)
		become(children, args, out[1], err[1], parent);
	rc = child->pid < 0 ? -errno : 0;
	close(out[1]);
	close(err[1]);
	if (rc == 0 && (rc = watch(children, child, &child->out, out[0])) == 0 &&
	    (rc = watch(children, child, &child->err, err[0])) == 0)
		rc = loop_timer(children->loop, timeout_ms, false, on_late, child, &child->timer);
	if (rc == 0)
		return 0;
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
	}
	if (child->out.watch)
		loop_unwatch(child->out.watch);
	if (child->err.watch)
		loop_unwatch(child->err.watch);
	close(out[0]);
	close(err[0]);
	*child = (struct child){ .pid = 0 };
	return rc;
}

void children_close(struct children *children)
{
	if (!children)
		return;
	for (int i = 0; i < CHILD_MAX; i++)
		if (children->items[i].pid) {
			kill(children->items[i].pid, SIGKILL);
			finish(&children->items[i]);
		}
	free(children);
}
