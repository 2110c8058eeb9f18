// SPDX-License-Identifier: Apache-2.0
/*
 * Any Unix filter as a step: `--step exec:COMMAND`, or in millrace.yaml
 *
 *      - exec: jq -c '.properties.vat = .properties.price * 0.25'
 *      - exec: { command: ./score.py, files: [score.py], timeout: 30s, batch: 500 }
 *
 * The events of a batch go in as lines of record_line.h; the command is run for the batch, reads to
 * the end, writes lines and ends with status 0: so a filter that buffers (all do) works, and one
 * that dies leaves nothing behind. A line that comes back is known by its src. An event whose line
 * does not come back was dropped by the command and is counted as filtered.
 *
 * When a run fails (status, signal, time-out, a line that is no record or that nobody sent, lines
 * out of order), its output is forgotten and the batch is run again in halves, down to the event
 * that does it: that one goes to bad (exec_failed, exec_answer). Before an event is blamed the
 * command is run without any: if that fails, too, it is the command that is broken, and the filter
 * waits, with back-off, until it works. So results do not depend on what is batched with what, as
 * long as the command looks at one line at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "enrich/child.h"
#include "enrich/record_line.h"
#include "lib/bus.h"
#include "lib/when.h"

#define BACKOFF_MIN_MS 10
#define BACKOFF_MAX_MS 10000
#define OUT_MAX        ((size_t)256 << 20)
#define WORDS_MAX      200

struct conf {
	const char *command;
	int64_t timeout_ms, batch;
	struct opt_list files;
};

struct exec {
	const struct conf *conf;
	const struct log *log;
	struct schema *schema;
	struct json_reader *json;
	struct buf in, out;
	int64_t backoff_ms;             /* 0: the latest run was good */
};

#define AT(field) offsetof(struct conf, field)

static const struct opt opts[] = {
	{ "command", OPT_TEXT, AT(command), NULL, 0, 0, "COMMAND", "for /bin/sh -c" },
	{ "timeout", OPT_MS, AT(timeout_ms), "10s", 10, 3600 * 1000, "TIME", "of a run" },
	{ "batch", OPT_COUNT, AT(batch), "1000", 1, 100000, "N", "events of a run" },
	{ "files", OPT_LIST, AT(files), NULL, 0, 0, "FILE", "what it reads, for logic" },
	{ .name = NULL },
};

static void close_state(void *state)
{
	struct exec *exec = state;

	schema_close(exec->schema);
	json_close(exec->json);
	buf_close(&exec->in);
	buf_close(&exec->out);
	free(exec);
}

static int open_state(void **statep, const struct step_args *args, struct err *err)
{
	const struct conf *conf = args->conf;
	struct exec *exec;
	int rc = 0;

	if (!conf->command || !conf->command[0])
		return err_set(err, -EINVAL, "%s: needs a command", args->where);
	for (size_t i = 0; i < conf->files.count && rc == 0; i++)
		rc = step_file_watch(args, conf->files.items[i], err);
	if (rc < 0)
		return rc;
	exec = calloc(1, sizeof(*exec));
	if (!exec)
		return err_set(err, -ENOMEM, "%s: no memory", args->where);
	exec->conf = conf;
	exec->schema = record_schema("enriched");
	exec->out.limit = OUT_MAX;
	rc = json_open(&exec->json, err);
	if (rc < 0) {
		close_state(exec);
		return rc;
	}
	*statep = exec;
	return 0;
}

static int set_bad(struct step_event *event, const char *reason, const char *words)
{
	event->bad.reason = reason;
	event->bad.words = words;
	event->bad.at = "";
	return -EBADMSG;
}

static int apply(void *state, struct step_event *event)
{
	struct exec *exec = state;
	const struct step_answer *answer;
	struct err words = { "" };
	yyjson_val *root;
	int rc;

	if (event->asked >= event->answer_count)
		return STEP_RESULT_ASK;
	answer = &event->answers[event->asked];
	if (answer->kind == STEP_ANSWER_NONE)
		return STEP_RESULT_DROP;
	if (answer->kind == STEP_ANSWER_BAD)
		return set_bad(event, "exec_failed", answer->text.ptr);
	rc = json_parse(exec->json, answer->text, &root, &words);
	if (rc == 0)
		rc = record_line_read(exec->schema, root, event, &words);
	if (rc != -EBADMSG)
		return rc;
	event->bad.words = arena_copy(event->arena, slice_from(words.text)).ptr;
	return event->bad.words ? set_bad(event, "exec_answer", event->bad.words) : -ENOMEM;
}

static void question(void *state, const struct step_event *event, struct buf *line)
{
	struct exec *exec = state;

	record_line_write(exec->schema, event->out, line);
}

/* Matches lines with questions; both are in order. -EBADMSG: words. */
static int read_answers(struct exec *exec, struct step_question *questions, size_t count,
			struct arena *arena, struct err *words)
{
	struct slice rest = buf_slice(&exec->out);
	size_t next = 0;

	while (rest.len) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		struct slice line = { rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len };
		int64_t partition = 0, offset = 0;
		struct err json_words = { "" };
		yyjson_val *root;

		rest = slice_skip(rest, line.len + 1);
		if (line.len == 0)
			continue;
		if (line.len > 4 * BUS_RECORD_MAX)
			return err_set(words, -EBADMSG, "it wrote a line of %zu bytes", line.len);
		if (json_parse(exec->json, line, &root, &json_words) < 0)
			return err_set(words, -EBADMSG, "it wrote a line that is no JSON: %s",
				       json_words.text);
		if (record_line_src(root, &partition, &offset) < 0)
			return err_set(words, -EBADMSG, "it wrote a line without the member src "
				       "of the one that it read");
		while (next < count && (questions[next].partition != partition ||
					questions[next].offset != offset))
			next++;
		if (next == count)
			return err_set(words, -EBADMSG, "it wrote a line whose src is none that it "
				       "read, or twice, or out of order");
		questions[next].answer->kind = STEP_ANSWER_LINE;
		questions[next].answer->text = arena_copy(arena, line);
		if (!questions[next++].answer->text.ptr)
			return -ENOMEM;
	}
	return 0;
}

/* One run. 0; 1: it failed, words say how; -errno. */
static int run_once(struct exec *exec, struct step_question *questions, size_t count,
		    struct arena *arena, struct err *words)
{
	enum child_end end;
	int rc;

	buf_reset(&exec->in);
	for (size_t i = 0; i < count; i++) {
		questions[i].answer->kind = STEP_ANSWER_NONE;
		buf_append_slice(&exec->in, questions[i].line);
		buf_append_char(&exec->in, '\n');
	}
	if (exec->in.failed)
		return -ENOMEM;
	rc = child_run(exec->conf->command, buf_slice(&exec->in), &exec->out,
		       (int)exec->conf->timeout_ms, &end, words);
	if (rc < 0) {
		err_set(words, rc, "it cannot be started: %s", strerror(-rc));
		return 1;
	}
	if (end != CHILD_END_GOOD)
		return 1;
	rc = read_answers(exec, questions, count, arena, words);
	if (rc == 0)
		exec->backoff_ms = 0;
	return rc == -EBADMSG ? 1 : rc;
}

/* -EINTR: we are to stop. */
static int wait_backoff(struct exec *exec, const struct step_stop *stop)
{
	int64_t end;

	exec->backoff_ms = exec->backoff_ms ? exec->backoff_ms * 2 : BACKOFF_MIN_MS;
	if (exec->backoff_ms > BACKOFF_MAX_MS)
		exec->backoff_ms = BACKOFF_MAX_MS;
	end = when_monotonic_ms() + exec->backoff_ms;
	while (when_monotonic_ms() < end) {
		const struct timespec pause = { 0, 10000000 };

		if (stop->is_due(stop->ctx))
			return -EINTR;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int blame(struct step_question *question, const char *words, struct arena *arena)
{
	char text[WORDS_MAX + 16];
	struct slice copy;
	int n = snprintf(text, sizeof(text), "the command: %.*s", WORDS_MAX, words);

	copy = arena_copy(arena, (struct slice){ text, (size_t)n });
	question->answer->kind = STEP_ANSWER_BAD;
	question->answer->text = copy;
	return copy.ptr ? 0 : -ENOMEM;
}

/* Is it the command that is broken? Waits until it works without any event. 0; 1: it was broken
 * and works again; -EINTR. */
static int wait_for_command(struct exec *exec, const struct step_stop *stop, struct arena *arena)
{
	struct err words = { "" };
	int64_t warned_ms = 0;
	int waited = 0, rc;

	while ((rc = run_once(exec, NULL, 0, arena, &words)) == 1) {
		if (when_monotonic_ms() - warned_ms > BACKOFF_MAX_MS)
			log_words(stop->log, LOG_LEVEL_ERROR, "exec", "`%.80s` does not work, even "
				  "without input: %s; waiting", exec->conf->command, words.text);
		warned_ms = when_monotonic_ms();
		waited = 1;
		rc = wait_backoff(exec, stop);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : waited;
}

/* In halves, until each part is good or is one event. */
static int run_part(struct exec *exec, const struct step_stop *stop,
		    struct step_question *questions, size_t count, struct arena *arena)
{
	struct err words = { "" };
	int rc;

	for (;;) {
		rc = run_once(exec, questions, count, arena, &words);
		if (rc <= 0)
			return rc;
		log_words(stop->log, LOG_LEVEL_WARN, "exec", "`%.80s` failed over %zu events: %s",
			  exec->conf->command, count, words.text);
		rc = wait_backoff(exec, stop);
		if (rc == 0)
			rc = wait_for_command(exec, stop, arena);
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
	}
	if (count == 1)
		return blame(questions, words.text, arena);
	rc = run_part(exec, stop, questions, count / 2, arena);
	return rc < 0 ? rc : run_part(exec, stop, questions + count / 2, count - count / 2, arena);
}

static int answer(void *state, const struct step_stop *stop, struct step_question *questions,
		  size_t count, struct arena *arena)
{
	struct exec *exec = state;
	size_t size = (size_t)exec->conf->batch;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i += size)
		rc = run_part(exec, stop, questions + i, count - i < size ? count - i : size,
			      arena);
	return rc;
}

const struct step_kind step_exec = {
	.name = "exec",
	.version = 1,
	.after = "ids time",
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.open = open_state,
	.close = close_state,
	.apply = apply,
	.question = question,
	.answer = answer,
};
