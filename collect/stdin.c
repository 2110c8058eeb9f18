// SPDX-License-Identifier: Apache-2.0
#include "collect/stdin.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "collect/door.h"
#include "lib/when.h"

#define READ_BYTES ((size_t)256 << 10)
#define WAIT_MS    500

struct lines {
	const struct stdin_conf *conf;
	struct door_job job;
	struct parcel parcel;
	struct source source;
	struct buf in;
	size_t line_max;
	bool skipping;                  /* the rest of a line that was too long */
	int signal_fd;
	int64_t now_us;
};

/* A signal came. With wait_ms also: stdin has something. */
static bool is_stopped(struct lines *lines, int wait_ms)
{
	struct pollfd fds[2] = { { .fd = lines->signal_fd, .events = POLLIN },
				 { .fd = lines->conf->fd, .events = POLLIN } };

	while (poll(fds, wait_ms ? 2 : 1, wait_ms) < 0 && errno == EINTR)
		;
	return fds[0].revents != 0;
}

/* Until commit takes it: a file can wait. */
static int write_parcel(struct lines *lines, struct err *err)
{
	static const struct commit_answer nobody = { 0 };
	struct commit *commit = lines->conf->commit;
	bool told = false;
	int rc;

	while ((rc = commit_parcel(commit, &lines->parcel, &nobody)) != 0) {
		if (commit_is_dead(commit) || (rc != -EAGAIN && !commit_error(commit)))
			return err_set(err, rc, "%s", commit_error(commit)
				       ? commit_error_text(commit) : strerror(-rc));
		if (rc != -EAGAIN && !told) {
			log_words(lines->conf->log, LOG_LEVEL_ERROR, "waiting", "%s",
				  commit_error_text(commit));
			told = true;
		}
		if (is_stopped(lines, 0))
			return err_set(err, -EINTR, "stopped by a signal");
		rc = commit_wait(commit, WAIT_MS);
		if (rc && commit_is_dead(commit))
			return err_set(err, rc, "%s", commit_error_text(commit));
	}
	return 0;
}

static void begin(struct lines *lines)
{
	parcel_begin(&lines->parcel, &(struct parcel_from){
		.door = SLICE("stdin"), .ip = { "", 0 }, .user_agent = { "", 0 },
		.received_us = lines->now_us,
	});
}

static int bad_line(struct lines *lines, struct slice line, const char *reason,
		    const char *why, struct err *err)
{
	char words[320];

	snprintf(words, sizeof(words), "line %" PRId64 ": %s", lines->job.line, why);
	begin(lines);
	if (parcel_bad(&lines->parcel, &(struct parcel_bad){
		.source = &lines->source, .reason = reason, .words = words, .at = "",
		.original = line, .format = "json" }))
		return err_set(err, -ENOMEM, "no memory");
	return write_parcel(lines, err);
}

static int take_line(struct lines *lines, struct slice line, struct err *err)
{
	struct err why = { "" };
	int rc;

	while (line.len && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == ' '))
		line.len--;
	lines->job.line++;
	if (!line.len)
		return 0;
	begin(lines);
	lines->job.body = line;
	lines->job.source = &lines->source;
	rc = door_segment.read(&lines->job, &why);
	if (rc == 0)
		return write_parcel(lines, err);
	if (rc == -EIO)
		return err_set(err, rc, "no random numbers");
	return bad_line(lines, line, lines->job.reason ? lines->job.reason : "too_large",
			why.text[0] ? why.text : "more events than fit into --buffer-bytes", err);
}

/* All whole lines of what was read; at the end of input the last one need not be whole. */
static int take_lines(struct lines *lines, bool is_end, struct err *err)
{
	struct slice text = buf_slice(&lines->in);
	int rc = 0;

	lines->now_us = when_now_us();
	while (text.len && !rc) {
		const char *newline = memchr(text.ptr, '\n', text.len);
		size_t len = newline ? (size_t)(newline - text.ptr) : text.len;

		if (!newline && !is_end && len <= lines->line_max && !lines->skipping)
			break;
		if (len > lines->line_max && !lines->skipping) {
			lines->job.line++;
			rc = bad_line(lines, (struct slice){ text.ptr, len }, "too_large",
				      "the line is longer than --inflated-max", err);
			lines->skipping = !newline;
		} else if (lines->skipping) {
			lines->skipping = !newline;
		} else {
			rc = take_line(lines, (struct slice){ text.ptr, len }, err);
		}
		text = slice_skip(text, len + (newline != NULL));
	}
	buf_drop(&lines->in, lines->in.len - text.len);
	commit_turn(lines->conf->commit);
	return rc;
}

static int read_all(struct lines *lines, struct err *err)
{
	for (;;) {
		char *at;
		ssize_t n;
		int rc;

		if (is_stopped(lines, -1))
			return 0;
		at = buf_reserve(&lines->in, READ_BYTES);
		if (!at)
			return err_set(err, -ENOMEM, "no memory for a line");
		n = read(lines->conf->fd, at, READ_BYTES);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_set(err, -errno, "stdin: %s", strerror(errno));
		lines->in.len += (size_t)n;
		rc = take_lines(lines, n == 0, err);
		if (rc || n == 0)
			return rc;
	}
}

static int flush(struct lines *lines, struct err *err)
{
	for (;;) {
		struct err why = { "" };
		int rc = commit_flush(lines->conf->commit, WAIT_MS, &why);

		if (rc != -ETIMEDOUT)
			return rc ? err_set(err, rc, "%s", why.text) : 0;
		if (is_stopped(lines, 0))
			return err_set(err, -EINTR, "stopped by a signal before all was safe");
	}
}

static int watch_signals(struct lines *lines, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	lines->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (lines->signal_fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, -errno, "signalfd: %s", strerror(errno));
	return 0;
}

int stdin_run(const struct stdin_conf *conf, struct err *err)
{
	struct lines lines = {
		.conf = conf, .line_max = (size_t)conf->options->inflated_max,
		.parcel = { .schemas = { conf->schemas[PARCEL_OUT], conf->schemas[PARCEL_BAD] },
			    .bad_max = (size_t)conf->options->bad_max,
			    .bytes_max = (size_t)conf->options->buffer_bytes },
		.source = { .name = slice_from(conf->options->source), .enabled = true },
		.job = { .json = conf->json, .call = DOOR_SEGMENT_LINE,
			 .message_max = (size_t)conf->options->message_max,
			 .batch_max = (size_t)conf->options->batch_max },
	};
	struct signalfd_siginfo info;
	int rc;

	lines.job.parcel = &lines.parcel;
	rc = watch_signals(&lines, err);
	if (!rc)
		rc = read_all(&lines, err);
	/* The signal that ended the reading is taken; a second one ends the waiting, too. */
	if (lines.signal_fd >= 0 && read(lines.signal_fd, &info, sizeof(info)) < 0)
		info.ssi_signo = 0;
	if (!rc)
		rc = flush(&lines, err);
	if (lines.signal_fd >= 0)
		close(lines.signal_fd);
	buf_close(&lines.in);
	door_job_close(&lines.job);
	parcel_close(&lines.parcel);
	return rc;
}
