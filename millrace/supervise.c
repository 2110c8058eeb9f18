// SPDX-License-Identifier: Apache-2.0
#include "millrace/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/loop.h"

#define EXIT_NO_PROGRAM 127

enum child_state {
	CHILD_RUNS,
	CHILD_RESTS,            /* waits for its next start */
	CHILD_STOPS,            /* had TERM */
	CHILD_DRAINS,           /* runs with --until-end */
	CHILD_DONE,
};

struct child {
	struct supervise *supervise;
	struct supervise_program program;
	enum child_state state;
	pid_t pid;              /* 0: not running */
	int64_t started_ms;
	int64_t backoff_ms;
	bool was_steady;        /* has once run for SUPERVISE_STEADY_MS */
	bool is_leaving;        /* no longer in the plan: not started again */
	bool is_replaced;       /* ... but in its new form */
	bool had_term;          /* while draining */
	struct loop_timer *timer;       /* next start, or the end of patience */
};

struct supervise {
	const struct supervise_conf *conf;
	struct loop *loop;
	struct child children[SUPERVISE_PROGRAMS_MAX];
	int count;
	bool is_stopping, is_failed;
	int stage;              /* that is being stopped */
	int64_t stopped_ms;     /* when the signal for it came */
	int rc;
	struct err *err;
};

static void start_child(struct child *child);
static void check_stage(struct supervise *supervise);

int supervise_add(struct supervise_plan *plan, const char *name, int stage,
		  const char *const *args)
{
	struct supervise_program *program = &plan->programs[plan->count];
	int count = 0;

	if (plan->count == SUPERVISE_PROGRAMS_MAX)
		return -ENOSPC;
	*program = (struct supervise_program){ .stage = stage };
	plan->count++;
	program->name = strdup(name);
	if (!program->name)
		return -ENOMEM;
	/* One place stays free for --until-end. */
	for (; args[count]; count++) {
		if (count + 2 >= SUPERVISE_ARGS_MAX)
			return -ENOSPC;
		program->argv[count] = strdup(args[count]);
		if (!program->argv[count])
			return -ENOMEM;
	}
	return 0;
}

static void program_close(struct supervise_program *program)
{
	free(program->name);
	for (int i = 0; program->argv[i]; i++)
		free(program->argv[i]);
	*program = (struct supervise_program){ 0 };
}

void supervise_plan_close(struct supervise_plan *plan)
{
	for (int i = 0; i < plan->count; i++)
		program_close(&plan->programs[i]);
	plan->count = 0;
}

static void clear_timer(struct child *child)
{
	if (child->timer)
		loop_timer_stop(child->timer);
	child->timer = NULL;
}

static void set_timer(struct child *child, int64_t ms, loop_timer_fn *fn)
{
	clear_timer(child);
	if (loop_timer(child->supervise->loop, ms, false, fn, child, &child->timer) == 0)
		return;
	child->timer = NULL;
	log_words(child->supervise->conf->log, LOG_LEVEL_ERROR, "timer", "no memory for a timer");
}

/* In the child after fork: becomes the program, or ends. */
static void become(const struct supervise_conf *conf, const struct supervise_program *program,
		   bool is_drain, pid_t parent)
{
	char *argv[SUPERVISE_ARGS_MAX + 1] = { NULL };
	char until_end[] = "--until-end";
	char path[PATH_MAX];
	sigset_t none;
	int count = 0, null;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_Exit(EX_TEMPFAIL);     /* it died before the prctl */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	for (; program->argv[count]; count++)
		argv[count] = program->argv[count];
	if (is_drain)
		argv[count] = until_end;
	if (chdir(conf->dir) < 0)
		_Exit(EXIT_NO_PROGRAM);
	if (snprintf(path, sizeof(path), "%s/%s", conf->bin, argv[0]) < (int)sizeof(path))
		execv(path, argv);
	if (errno == ENOENT)
		execvp(argv[0], argv);
	_Exit(EXIT_NO_PROGRAM);
}

static void log_child(const struct child *child, enum log_level level, const char *event)
{
	struct log_line line;

	log_begin(&line, child->supervise->conf->log, level, event);
	log_str(&line, "name", child->program.name);
	log_num(&line, "pid", child->pid);
	log_end(&line);
}

static void start_again(void *ctx)
{
	struct child *child = ctx;

	child->timer = NULL;
	start_child(child);
}

static void rest(struct child *child)
{
	child->state = CHILD_RESTS;
	set_timer(child, child->backoff_ms, start_again);
	child->backoff_ms = child->backoff_ms * 2 > SUPERVISE_BACKOFF_MAX_MS
		? SUPERVISE_BACKOFF_MAX_MS : child->backoff_ms * 2;
}

static void fork_child(struct child *child, bool is_drain)
{
	struct supervise *supervise = child->supervise;
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		become(supervise->conf, &child->program, is_drain, parent);
	if (pid < 0) {
		log_words(supervise->conf->log, LOG_LEVEL_ERROR, "start", "%s: fork: %s",
			  child->program.name, strerror(errno));
		return;
	}
	child->pid = pid;
	child->started_ms = loop_now_ms(supervise->loop);
	log_child(child, LOG_LEVEL_INFO, is_drain ? "drain" : "start");
}

static void start_child(struct child *child)
{
	fork_child(child, false);
	if (child->pid)
		child->state = CHILD_RUNS;
	else
		rest(child);
}

/* A child that stops, or drains, has had its time: TERM for one that drains, then KILL. */
static void lose_patience(void *ctx)
{
	struct child *child = ctx;
	bool is_polite = child->state == CHILD_DRAINS && !child->had_term;

	child->timer = NULL;
	if (!child->pid)
		return;
	log_child(child, LOG_LEVEL_WARN, is_polite ? "late" : "kill");
	kill(child->pid, is_polite ? SIGTERM : SIGKILL);
	if (is_polite) {
		child->had_term = true;
		set_timer(child, child->supervise->conf->stop_ms, lose_patience);
	}
}

static void drain_child(struct child *child)
{
	if (child->program.stage == 0 || child->supervise->is_failed || child->is_leaving) {
		child->state = CHILD_DONE;
		return;
	}
	child->had_term = false;
	fork_child(child, true);
	if (child->pid) {
		child->state = CHILD_DRAINS;
		set_timer(child, child->supervise->conf->stop_ms, lose_patience);
	} else {
		child->state = CHILD_DONE;
	}
}

static void stop_child(struct child *child)
{
	clear_timer(child);
	if (!child->pid) {
		drain_child(child);
		return;
	}
	if (child->state != CHILD_STOPS)
		kill(child->pid, SIGTERM);
	child->state = CHILD_STOPS;
	set_timer(child, child->supervise->conf->stop_ms, lose_patience);
}

/* Stops the stage; where all of it is done, the next one. */
static void stop_stage(struct supervise *supervise)
{
	for (int i = 0; i < supervise->count; i++)
		if (supervise->children[i].program.stage == supervise->stage)
			stop_child(&supervise->children[i]);
	check_stage(supervise);
}

static void check_stage(struct supervise *supervise)
{
	bool is_over = true;

	if (!supervise->is_stopping)
		return;
	for (int i = 0; i < supervise->count; i++) {
		const struct child *child = &supervise->children[i];

		if (child->state == CHILD_DONE)
			continue;
		is_over = false;
		if (child->program.stage <= supervise->stage)
			return;
	}
	if (is_over) {
		loop_stop(supervise->loop);
		return;
	}
	supervise->stage++;
	stop_stage(supervise);
}

static void stop_all(struct supervise *supervise, bool is_failed)
{
	if (supervise->is_stopping)
		return;
	supervise->is_stopping = true;
	supervise->is_failed = is_failed;
	log_words(supervise->conf->log, LOG_LEVEL_INFO, "stop", is_failed
		  ? "stopping, because a program cannot run"
		  : "stopping in the order of the stream; a second signal kills");
	supervise->stage = 0;
	stop_stage(supervise);
}

static void kill_all(struct supervise *supervise)
{
	for (int i = 0; i < supervise->count; i++)
		if (supervise->children[i].pid)
			kill(supervise->children[i].pid, SIGKILL);
	for (int i = 0; i < supervise->count; i++)
		if (supervise->children[i].pid)
			waitpid(supervise->children[i].pid, NULL, 0);
	loop_stop(supervise->loop);
}

static void log_exit(const struct child *child, int status, int64_t ran_ms)
{
	bool is_fine = WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
		       child->state != CHILD_RUNS;
	struct log_line line;

	log_begin(&line, child->supervise->conf->log, is_fine ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
		  "exit");
	log_str(&line, "name", child->program.name);
	log_num(&line, "pid", child->pid);
	if (WIFSIGNALED(status))
		log_num(&line, "signal", WTERMSIG(status));
	else
		log_num(&line, "status", WEXITSTATUS(status));
	log_num(&line, "ran_ms", ran_ms);
	if (child->state == CHILD_RUNS)
		log_num(&line, "again_ms", child->backoff_ms);
	log_end(&line);
}

/* It ended although nobody asked it to. */
static void ended_by_itself(struct child *child, int status)
{
	struct supervise *supervise = child->supervise;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	/* Once it has run well, a mistake in the settings must not take the others down; that of
	 * a destination or a trigger never does. */
	if (!child->was_steady && strcmp(child->program.argv[0], "sink") != 0 &&
	    (code == EX_USAGE || code == EX_CONFIG || code == EXIT_NO_PROGRAM)) {
		child->state = CHILD_DONE;
		supervise->rc = err_set(supervise->err, -EINVAL, code == EXIT_NO_PROGRAM
					? "%s cannot be run (not beside millrace, not in PATH)"
					: "%s refuses its settings: its own line above says why",
					child->program.name);
		stop_all(supervise, true);
		return;
	}
	rest(child);
}

/* A child that left the plan: its place is filled by the last one, or by its new form. */
static void leave(struct child *child)
{
	if (child->is_replaced) {
		child->is_leaving = child->is_replaced = false;
		child->backoff_ms = SUPERVISE_BACKOFF_MIN_MS;
		start_child(child);
		return;
	}
	child->state = CHILD_DONE;
}

static void child_ended(struct child *child, int status)
{
	int64_t ran_ms = loop_now_ms(child->supervise->loop) - child->started_ms;

	if (ran_ms >= SUPERVISE_STEADY_MS) {
		child->was_steady = true;
		child->backoff_ms = SUPERVISE_BACKOFF_MIN_MS;
	}
	log_exit(child, status, ran_ms);
	clear_timer(child);
	child->pid = 0;
	switch (child->state) {
	case CHILD_RUNS:
		ended_by_itself(child, status);
		break;
	case CHILD_STOPS:
		if (child->supervise->is_stopping)
			drain_child(child);
		else
			leave(child);
		break;
	default:
		if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
			log_words(child->supervise->conf->log, LOG_LEVEL_WARN, "drain",
				  "%s did not read to the end; it goes on from there at the next "
				  "start", child->program.name);
		child->state = CHILD_DONE;
		break;
	}
	check_stage(child->supervise);
}

static void reap(struct supervise *supervise)
{
	for (int i = 0; i < supervise->count; i++) {
		struct child *child = &supervise->children[i];
		int status;

		if (child->pid && waitpid(child->pid, &status, WNOHANG) == child->pid)
			child_ended(child, status);
	}
}

static bool is_same(const struct supervise_program *a, const struct supervise_program *b)
{
	int i = 0;

	if (a->stage != b->stage)
		return false;
	for (; a->argv[i] && b->argv[i]; i++)
		if (strcmp(a->argv[i], b->argv[i]) != 0)
			return false;
	return !a->argv[i] && !b->argv[i];
}

static struct child *find_child(struct supervise *supervise, const char *name)
{
	for (int i = 0; i < supervise->count; i++)
		if (strcmp(supervise->children[i].program.name, name) == 0)
			return &supervise->children[i];
	return NULL;
}

/* Takes the program over from the plan, into an old child's place or a new one. */
static void take_program(struct supervise *supervise, struct supervise_program *program)
{
	struct child *child = find_child(supervise, program->name);

	if (!child && supervise->count == SUPERVISE_PROGRAMS_MAX) {
		log_words(supervise->conf->log, LOG_LEVEL_ERROR, "reload", "%s: too many programs",
			  program->name);
		return;
	}
	if (!child) {
		child = &supervise->children[supervise->count++];
		*child = (struct child){ .supervise = supervise, .state = CHILD_DONE };
	} else if (is_same(&child->program, program) && child->state != CHILD_DONE) {
		/* One that was on its way out comes back. */
		child->is_leaving = child->is_replaced = child->state == CHILD_STOPS;
		if (child->state == CHILD_RUNS)
			kill(child->pid, SIGHUP);
		return;
	}
	program_close(&child->program);
	child->program = *program;
	*program = (struct supervise_program){ 0 };
	child->backoff_ms = SUPERVISE_BACKOFF_MIN_MS;
	child->is_leaving = child->is_replaced = child->pid != 0;
	clear_timer(child);
	if (child->pid)
		stop_child(child);
	else
		start_child(child);
}

static void reload(struct supervise *supervise)
{
	struct supervise_plan *plan = calloc(1, sizeof(*plan));
	struct err err = { "" };

	if (!plan)
		return;
	if (supervise->conf->plan(supervise->conf->ctx, plan, &err) < 0) {
		log_words(supervise->conf->log, LOG_LEVEL_ERROR, "reload",
			  "%s; going on as before", err.text);
		goto out;
	}
	for (int i = 0; i < supervise->count; i++) {
		struct child *child = &supervise->children[i];
		bool is_there = false;

		for (int j = 0; j < plan->count; j++)
			if (strcmp(plan->programs[j].name, child->program.name) == 0)
				is_there = true;
		if (is_there || child->state == CHILD_DONE)
			continue;
		child->is_leaving = true;
		child->is_replaced = false;
		stop_child(child);
	}
	for (int i = 0; i < plan->count; i++)
		take_program(supervise, &plan->programs[i]);
	log_words(supervise->conf->log, LOG_LEVEL_INFO, "reload", "the settings are read again");
out:
	supervise_plan_close(plan);
	free(plan);
}

static void take_signal(void *ctx, int signo)
{
	struct supervise *supervise = ctx;

	if (signo == SIGCHLD) {
		reap(supervise);
	} else if (signo == SIGHUP) {
		if (!supervise->is_stopping)
			reload(supervise);
	} else if (supervise->is_stopping) {
		if (loop_now_ms(supervise->loop) - supervise->stopped_ms < SUPERVISE_AGAIN_MS)
			return;
		supervise->rc = err_set(supervise->err, -EINTR, "killed by a second signal");
		kill_all(supervise);
	} else {
		supervise->stopped_ms = loop_now_ms(supervise->loop);
		stop_all(supervise, false);
	}
}

static void look(void *ctx)
{
	struct supervise *supervise = ctx;

	if (!supervise->is_stopping && supervise->conf->changed(supervise->conf->ctx))
		reload(supervise);
}

int supervise_run(const struct supervise_conf *conf, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, 0 };
	struct supervise *supervise = calloc(1, sizeof(*supervise));
	struct supervise_plan *plan = calloc(1, sizeof(*plan));
	struct loop_timer *timer;
	int rc;

	if (!supervise || !plan) {
		free(supervise);
		free(plan);
		return err_set(err, -ENOMEM, "no memory to supervise");
	}
	supervise->conf = conf;
	supervise->err = err;
	if ((rc = conf->plan(conf->ctx, plan, err)) == 0 &&
	    (rc = loop_open(&supervise->loop, err)) == 0 &&
	    (rc = loop_signals(supervise->loop, signals, take_signal, supervise)) == 0) {
		for (int i = 0; i < plan->count; i++)
			take_program(supervise, &plan->programs[i]);
		if (conf->changed)
			rc = loop_timer(supervise->loop, SUPERVISE_LOOK_MS, true, look, supervise,
					&timer);
		if (!rc)
			rc = loop_run(supervise->loop);
	}
	if (!rc)
		rc = supervise->rc;
	for (int i = 0; i < supervise->count; i++)
		program_close(&supervise->children[i].program);
	loop_close(supervise->loop);
	supervise_plan_close(plan);
	free(plan);
	free(supervise);
	return rc ? err_set(err, rc, "supervisor: %s", strerror(-rc)) : 0;
}
