// SPDX-License-Identifier: Apache-2.0
#include "sink/jq.h"

#include <errno.h>
#include <fcntl.h>
#include <jq.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/when.h"

#define OPEN_MS   10000
#define BYTES_MAX ((uint32_t)16 << 20)

enum verdict { VERDICT_RESULT, VERDICT_NOTHING, VERDICT_ERROR };

/* Before each text, in both directions. */
struct head {
	uint32_t verdict;
	uint32_t len;
};

struct jq {
	char *where, *map;
	pid_t pid;
	int fd;
	struct buf in;
};

/* The child */

struct child {
	jq_state *where, *map;
	char words[160];
};

static void take_words(void *ctx, jv message)
{
	struct child *child = ctx;
	jv text = jq_format_error(message);

	if (!child->words[0] && jv_get_kind(text) == JV_KIND_STRING)
		snprintf(child->words, sizeof(child->words), "%s", jv_string_value(text));
	jv_free(text);
}

static bool read_whole(int fd, void *bytes, size_t len)
{
	for (char *at = bytes; len;) {
		ssize_t n = read(fd, at, len);

		if (n <= 0 && !(n < 0 && errno == EINTR))
			return false;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static bool write_whole(int fd, const void *bytes, size_t len)
{
	for (const char *at = bytes; len;) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static bool answer(int fd, enum verdict verdict, const char *text, size_t len)
{
	struct head head = { verdict, (uint32_t)len };

	if (len > BYTES_MAX) {
		text = "the result is over 16 MB";
		head = (struct head){ VERDICT_ERROR, (uint32_t)strlen(text) };
	}
	return write_whole(fd, &head, sizeof(head)) && write_whole(fd, text, head.len);
}

static bool compile(struct child *child, jq_state **state, const char *program)
{
	if (!program)
		return true;
	*state = jq_init();
	if (!*state)
		return false;
	jq_set_error_cb(*state, take_words, child);
	return jq_compile(*state, program);
}

/* Consumes value. The first output, or invalid. */
static jv first_of(jq_state *state, jv value)
{
	jq_start(state, value, 0);
	return jq_next(state);
}

static bool say_error(int fd, jv invalid)
{
	jv message = jv_invalid_get_msg(invalid);
	jv text = jv_get_kind(message) == JV_KIND_STRING ? message : jv_dump_string(message, 0);
	size_t len = (size_t)jv_string_length_bytes(jv_copy(text));
	bool fine = answer(fd, VERDICT_ERROR, jv_string_value(text), len < 200 ? len : 200);

	jv_free(text);
	return fine;
}

static bool run_event(struct child *child, int fd, const char *bytes, size_t len)
{
	jv value = jv_parse_sized(bytes, (int)len);
	jv text;
	bool fine;

	if (jv_is_valid(value) && child->where) {
		jv yes = first_of(child->where, jv_copy(value));
		jv_kind kind = jv_get_kind(yes);

		if (kind == JV_KIND_INVALID && jv_invalid_has_msg(jv_copy(yes))) {
			jv_free(value);
			return say_error(fd, yes);
		}
		jv_free(yes);
		if (kind == JV_KIND_INVALID || kind == JV_KIND_FALSE || kind == JV_KIND_NULL) {
			jv_free(value);
			return answer(fd, VERDICT_NOTHING, "", 0);
		}
	}
	if (jv_is_valid(value) && child->map)
		value = first_of(child->map, value);
	if (!jv_is_valid(value)) {
		if (jv_invalid_has_msg(jv_copy(value)))
			return say_error(fd, value);
		jv_free(value);
		return answer(fd, VERDICT_NOTHING, "", 0);
	}
	text = jv_dump_string(value, 0);
	fine = answer(fd, VERDICT_RESULT, jv_string_value(text),
		      (size_t)jv_string_length_bytes(jv_copy(text)));
	jv_free(text);
	return fine;
}

/* Sanitizers take more memory than the bound: gcc tells of them by macros, clang by features. */
#ifdef __has_feature
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

static void bound_memory(void)
{
#if !IS_SANITIZED
	struct rlimit memory = { JQ_MEMORY, JQ_MEMORY };

	setrlimit(RLIMIT_DATA, &memory);
#endif
}

static void child_main(const struct jq *jq, int fd, pid_t parent)
{
	struct rlimit none = { 0, 0 };
	struct child child = { 0 };
	char *bytes = NULL, *nothing[] = { NULL };
	struct head head;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_Exit(0);
	/* Not clearenv: jq 1.6 walks through environ, which that leaves NULL. */
	environ = nothing;
	setrlimit(RLIMIT_NOFILE, &none);
	setrlimit(RLIMIT_CORE, &none);
	bound_memory();
	if (!compile(&child, &child.where, jq->where) || !compile(&child, &child.map, jq->map)) {
		answer(fd, VERDICT_ERROR, child.words, strlen(child.words));
		_Exit(0);
	}
	if (!answer(fd, VERDICT_RESULT, "", 0))
		_Exit(0);
	while (read_whole(fd, &head, sizeof(head)) && head.len <= BYTES_MAX &&
	       (bytes = realloc(bytes, head.len + 1)) && read_whole(fd, bytes, head.len) &&
	       run_event(&child, fd, bytes, head.len))
		;
	_Exit(0);
}

/* The parent */

static void stop(struct jq *jq)
{
	if (jq->pid > 0) {
		kill(jq->pid, SIGKILL);
		while (waitpid(jq->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (jq->fd >= 0)
		close(jq->fd);
	jq->pid = 0;
	jq->fd = -1;
}

/* -ETIME: not within the time; -EPIPE: the child is gone. */
static int read_some(struct jq *jq, void *bytes, size_t len, int64_t end_ms)
{
	for (char *at = bytes; len;) {
		struct pollfd pollfd = { .fd = jq->fd, .events = POLLIN };
		int64_t left = end_ms - when_monotonic_ms();
		ssize_t n;

		if (left <= 0)
			return -ETIME;
		if (poll(&pollfd, 1, (int)left) <= 0)
			continue;
		n = recv(jq->fd, at, len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -EPIPE;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int read_answer(struct jq *jq, struct head *head, int64_t end_ms)
{
	int rc = read_some(jq, head, sizeof(*head), end_ms);

	buf_reset(&jq->in);
	if (rc < 0)
		return rc;
	if (head->len > BYTES_MAX)
		return -EPIPE;
	if (!buf_reserve(&jq->in, head->len + 1))
		return -ENOMEM;
	rc = read_some(jq, jq->in.ptr, head->len, end_ms);
	jq->in.len = head->len;
	jq->in.ptr[head->len] = '\0';
	return rc;
}

/* Only the socket is left. `debug`, `stderr` and libjq's own complaints go nowhere. */
static void close_others(int fd)
{
	int null;

	if (fd != 3)
		dup2(fd, 3);
	close_range(4, ~0u, 0);
	null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	close(null);
}

/* fork alone: the child needs nothing but libjq, and its memory is a copy. */
static int start(struct jq *jq, struct err *err)
{
	pid_t parent = getpid();
	struct head head;
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_set(err, -errno, "socketpair: %s", strerror(errno));
	jq->pid = fork();
	if (jq->pid == 0) {
		sigset_t all;

		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		close_others(fds[1]);
		child_main(jq, 3, parent);
	}
	close(fds[1]);
	jq->fd = fds[0];
	if (jq->pid < 0)
		return err_set(err, -errno, "fork: %s", strerror(errno));
	rc = read_answer(jq, &head, when_monotonic_ms() + OPEN_MS);
	if (rc == 0 && head.verdict == VERDICT_RESULT)
		return 0;
	if (rc == -EPIPE)
		return err_set(err, -EBADMSG, "the expression: jq's compiler gave up on it; "
			       "import, include and files are not allowed");
	return err_set(err, rc < 0 ? rc : -EBADMSG, "the expression: %s",
		       rc < 0 ? strerror(-rc) : jq->in.ptr);
}

int jq_open(struct jq **jqp, const char *where, const char *map, struct err *err)
{
	struct jq *jq = calloc(1, sizeof(*jq));
	int rc = 0;

	*jqp = NULL;
	if (!jq)
		return err_set(err, -ENOMEM, "no memory");
	jq->fd = -1;
	jq->where = where ? strdup(where) : NULL;
	jq->map = map ? strdup(map) : NULL;
	if ((where && !jq->where) || (map && !jq->map))
		rc = err_set(err, -ENOMEM, "no memory");
	if (rc == 0)
		rc = start(jq, err);
	if (rc < 0) {
		jq_close(jq);
		return rc;
	}
	*jqp = jq;
	return 0;
}

void jq_close(struct jq *jq)
{
	if (!jq)
		return;
	stop(jq);
	buf_close(&jq->in);
	free(jq->where);
	free(jq->map);
	free(jq);
}

int jq_run(struct jq *jq, struct slice event, struct slice *result, struct err *err)
{
	struct head head = { 0, (uint32_t)event.len };
	int64_t end_ms = when_monotonic_ms() + JQ_TIME_MS;
	int rc = 0;

	*result = event;
	if (jq->fd < 0)
		rc = start(jq, err);
	if (rc < 0)
		return rc == -EBADMSG ? -EIO : rc;
	if (!write_whole(jq->fd, &head, sizeof(head)) ||
	    !write_whole(jq->fd, event.ptr, event.len))
		rc = -EPIPE;
	if (rc == 0)
		rc = read_answer(jq, &head, end_ms);
	if (rc < 0) {
		stop(jq);
		return rc == -ENOMEM ? rc
		       : err_set(err, -EBADMSG, rc == -ETIME ? "the expression took over a second"
				 : "the expression needed too much memory, or failed badly");
	}
	if (head.verdict == VERDICT_ERROR)
		return err_set(err, -EBADMSG, "the expression: %.160s", jq->in.ptr);
	if (head.verdict == VERDICT_RESULT && jq->map)
		*result = buf_slice(&jq->in);
	return head.verdict == VERDICT_RESULT;
}
