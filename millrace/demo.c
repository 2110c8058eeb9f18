// SPDX-License-Identifier: Apache-2.0
#include "millrace/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/when.h"
#include "millrace/client.h"
#include "millrace/demo_file.h"
#include "millrace/demo_post.h"
#include "millrace/pidfile.h"
#include "millrace/settings.h"
#include "millrace/shop.h"
#include "millrace/up.h"

#define DEMO_START_MS 30000
#define DEMO_TICK_MS  100
#define DEMO_LINE_MS  5000
#define DAY_US        (INT64_C(86400) * 1000000)

struct demo {
	const struct demo_conf *conf;
	const char *program;
	demo_say_fn *say;
	void *ctx;
	struct settings *settings;
	struct shop_conf shop_conf;
	struct shop *shop;
	struct demo_post *post;
	pid_t up;               /* `millrace up`; 0: not running */
	int signals;            /* signalfd; -1 */
	bool is_stopped;        /* somebody wants us to end */
	char listen[80], http[80];
};

static PRINTF_LIKE(2, 3) void say(const struct demo *demo, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	demo->say(demo->ctx, text);
}

/* Looks whether a signal came; waits for one so long. */
static bool wants_stop(struct demo *demo, int wait_ms)
{
	struct pollfd poll_fd = { .fd = demo->signals, .events = POLLIN };
	struct signalfd_siginfo info;

	while (poll(&poll_fd, 1, wait_ms) > 0) {
		if (read(demo->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			demo->is_stopped = true;
		wait_ms = 0;
	}
	return demo->is_stopped;
}

static bool stop_posting(void *ctx)
{
	return wants_stop(ctx, 0);
}

static int open_signals(struct demo *demo, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, -errno, "signals: %s", strerror(errno));
	demo->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return demo->signals < 0 ? err_set(err, -errno, "signals: %s", strerror(errno)) : 0;
}

static int open_dir(struct demo *demo, struct err *err)
{
	char path[PATH_MAX], listen[32], http[32], report[32];
	int rc;

	if (mkdir(demo->conf->dir, 0777) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", demo->conf->dir, strerror(errno));
	if (demo->conf->url)
		return 0;
	if (snprintf(path, sizeof(path), "%s/" SETTINGS_FILE, demo->conf->dir) >= (int)sizeof(path))
		return err_set(err, -ENAMETOOLONG, "--dir: too long");
	if (access(path, F_OK) < 0 &&
	    ((rc = settings_free_port(8080, listen, err)) < 0 ||
	     (rc = settings_free_port(8081, http, err)) < 0 ||
	     (rc = settings_free_port(8082, report, err)) < 0 ||
	     (rc = demo_file_write_message(demo->conf->dir, err)) < 0 ||
	     (rc = settings_create(demo->conf->dir, listen, http, report, err)) < 0))
		return rc;
	if ((rc = settings_open(&demo->settings, path, NULL, NULL, err)) < 0)
		return rc;
	if (!demo->settings->write_key)
		return err_set(err, -EINVAL, "%s has no source with a write key", path);
	return 0;
}

/* What the history is made from: as the directory says, else as we are told. */
static int open_shop(struct demo *demo, struct err *err)
{
	const struct demo_conf *conf = demo->conf;
	struct shop_conf *shop = &demo->shop_conf;
	int rc = demo_file_read(conf->dir, shop, err);

	if (rc == -ENOENT) {
		shop->seed = (uint64_t)conf->seed;
		shop->users = (int)conf->users;
		shop->to_us = when_now_us();
		shop->from_us = shop->to_us - conf->days * DAY_US;
		rc = demo_file_write(conf->dir, shop, err);
	} else if (rc == 0 && (shop->seed != (uint64_t)conf->seed || shop->users != conf->users)) {
		say(demo, "%s has a history of seed %llu and %d visitors: going on with that",
		    conf->dir, (unsigned long long)shop->seed, shop->users);
	}
	return rc ? rc : shop_open(&demo->shop, shop, err);
}

static void become_up(const struct demo *demo, const char *log_path, pid_t parent)
{
	char bin[PATH_MAX], path[PATH_MAX + 16];
	sigset_t none;
	int fd;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_Exit(75);
	fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	fd = open("/dev/null", O_RDONLY);
	if (fd >= 0)
		dup2(fd, STDIN_FILENO);
	if (up_bin(bin, sizeof(bin), NULL) == 0) {
		snprintf(path, sizeof(path), "%s/millrace", bin);
		execl(path, "millrace", "up", "--config", demo->settings->config, (char *)NULL);
	}
	_Exit(127);
}

/* The last line that `up` wrote, which says why it ended. */
static void last_line(const struct demo *demo, char line[400])
{
	char path[PATH_MAX], text[4096] = "", *at;
	ssize_t len = 0;
	off_t end;
	int fd;

	line[0] = '\0';
	snprintf(path, sizeof(path), "%.4000s/millrace.log", demo->settings->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	end = lseek(fd, 0, SEEK_END);
	len = pread(fd, text, sizeof(text) - 1, end > 4095 ? end - 4095 : 0);
	close(fd);
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\0'))
		text[--len] = '\0';
	at = strrchr(text, '\n');
	snprintf(line, 400, "%s", at ? at + 1 : text);
}

/* Has `up` ended? Its status is in its log. */
static int check_up(struct demo *demo, struct err *err)
{
	char line[400];
	int status;

	if (demo->up && waitpid(demo->up, &status, WNOHANG) == demo->up) {
		demo->up = 0;
		last_line(demo, line);
		say(demo, "%s", line);
		return err_set(err, -EIO, "`millrace up` ended with status %d: see %s/millrace.log",
			       WIFEXITED(status) ? WEXITSTATUS(status) : 128, demo->settings->dir);
	}
	return 0;
}

static bool answers(const char *address, struct buf *answer)
{
	struct client *client = NULL;
	char url[100];
	int status = -1;

	snprintf(url, sizeof(url), "http://%s", address);
	if (client_open(&client, url, NULL, 2000, NULL) == 0)
		status = client_send(client, "/", (struct slice){ NULL, 0 }, answer, NULL, NULL);
	client_close(client);
	return status > 0;
}

static int start_up(struct demo *demo, struct err *err)
{
	int64_t end_ms = when_monotonic_ms() + DEMO_START_MS;
	struct buf answer = { 0 };
	char log_path[PATH_MAX];
	pid_t parent = getpid(), running;
	int rc = 0;

	if (snprintf(log_path, sizeof(log_path), "%s/millrace.log", demo->settings->dir) >=
	    (int)sizeof(log_path))
		return err_set(err, -ENAMETOOLONG, "--dir: too long");
	running = pidfile_find(demo->settings->data, err);
	if (running)
		return running < 0 ? (int)running
		       : err_set(err, -EBUSY, "millrace runs already on %s (pid %d): `%s down "
				 "--config %s` stops it; another --dir is another demo",
				 demo->settings->data, (int)running, demo->program,
				 demo->settings->config);
	demo->up = fork();
	if (demo->up == 0)
		become_up(demo, log_path, parent);
	if (demo->up < 0) {
		demo->up = 0;
		return err_set(err, -errno, "fork: %s", strerror(errno));
	}
	while (!demo->is_stopped) {
		up_address(demo->settings, "collect", "", demo->listen);
		up_address(demo->settings, "aggregate", "", demo->http);
		if (demo->listen[0] && demo->http[0] && answers(demo->listen, &answer) &&
		    answers(demo->http, &answer))
			break;
		if ((rc = check_up(demo, err)) < 0)
			break;
		if (when_monotonic_ms() > end_ms) {
			rc = err_set(err, -ETIMEDOUT, "collect or aggregate did not start: see %s",
				     log_path);
			break;
		}
		wants_stop(demo, 50);
	}
	buf_close(&answer);
	return rc;
}

/* TERM, and wait until everything is through; more signals are passed on and make it quicker. */
static int stop_up(struct demo *demo, struct err *err)
{
	int status = 0;

	if (!demo->up)
		return 0;
	say(demo, "stopping in order; what was sent is written to the end");
	kill(demo->up, SIGTERM);
	while (waitpid(demo->up, &status, WNOHANG) == 0) {
		demo->is_stopped = false;
		if (wants_stop(demo, 50))
			kill(demo->up, SIGTERM);
	}
	demo->up = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, -EIO, "`millrace up` did not end in order: see %s/millrace.log",
		       demo->settings->dir);
}

/* Makes the history. sends: and posts it; else only the visitors are made. */
static int make_history(struct demo *demo, bool sends, struct err *err)
{
	int64_t line_ms = when_monotonic_ms() + DEMO_LINE_MS, start_ms = when_monotonic_ms();
	struct buf waste = { 0 };
	struct shop_event event;
	char day[WHEN_TEXT_MAX];
	int rc = 0;

	for (;;) {
		buf_reset(&waste);
		rc = shop_next(demo->shop, demo->shop_conf.to_us, &event,
			       sends ? demo_post_buf(demo->post) : &waste);
		if (rc <= 0)
			break;
		if (sends && (rc = demo_post_add(demo->post, err)) < 0)
			break;
		if (sends && wants_stop(demo, 0)) {
			rc = err_set(err, -EINTR, "stopped before the history was whole; the same "
				     "command goes on");
			break;
		}
		if (sends && when_monotonic_ms() > line_ms) {
			when_print(event.time_us, 3, day);
			say(demo, "history: %.10s, %llu events", day,
			    (unsigned long long)demo_post_sent(demo->post));
			line_ms += DEMO_LINE_MS;
		}
	}
	buf_close(&waste);
	if (rc == 0 && sends && (rc = demo_post_flush(demo->post, err)) == 0)
		say(demo, "history: %llu events of %llu visitors in %.1f s",
		    (unsigned long long)demo_post_sent(demo->post),
		    (unsigned long long)shop_truth(demo->shop)->visitors,
		    (double)(when_monotonic_ms() - start_ms) / 1000);
	return rc;
}

static int history(struct demo *demo, struct err *err)
{
	int rc;

	if (demo_file_has_truth(demo->conf->dir)) {
		say(demo, "history: it is there already");
		return make_history(demo, false, err);
	}
	if ((rc = make_history(demo, true, err)) < 0)
		return rc;
	return demo_file_write_truth(demo->conf->dir, &demo->shop_conf, shop_truth(demo->shop),
				     err);
}

static void show_places(const struct demo *demo)
{
	const char *config = demo->settings->config, *program = demo->program;
	char report[80];

	demo->say(demo->ctx, "");
	if (demo->settings->report) {
		up_address(demo->settings, "report", demo->settings->report, report);
		say(demo, "  the dashboard    http://%s", report);
	}
	say(demo, "  send events to   http://%s   write key %s", demo->listen,
	    demo->settings->write_key);
	say(demo, "  ask at           http://%s", demo->http);
	say(demo, "  data             %s", demo->settings->data);
	say(demo, "  files            %s/out/files", demo->settings->dir);
	say(demo, "  mails            %s/outbox", demo->settings->dir);
	say(demo, "  settings         %s", config);
	say(demo, "  log              %s/millrace.log", demo->settings->dir);
	demo->say(demo->ctx, "");
	say(demo, "  %s query events --config %s", program, config);
	say(demo, "  %s query trend --config %s --event 'Order Completed' --last 30d", program,
	    config);
	say(demo, "  %s query trend --config %s --event 'Product Viewed' \\\n      --event "
	    "'Product Added' --event 'Checkout Started' --event 'Order Completed' --last 7d",
	    program, config);
	demo->say(demo->ctx, "");
}

/* What earlier live runs came to. */
static int resume(struct demo *demo, struct err *err)
{
	struct shop_truth earlier;
	int rc = demo_file_read_live(demo->conf->dir, &earlier, err);

	if (rc == 0)
		rc = shop_resume(demo->shop, &earlier);
	return rc == -ENOENT ? 0 : rc;
}

static int show_live(const struct demo *demo, uint64_t before, struct err *err)
{
	const struct shop_truth *truth = shop_truth(demo->shop);

	say(demo, "live: %llu events; %llu visitors and %llu orders since the history began",
	    (unsigned long long)(demo_post_sent(demo->post) - before),
	    (unsigned long long)truth->visitors,
	    (unsigned long long)truth->total[SHOP_KIND_ORDERED]);
	return demo_file_write_live(demo->conf->dir, truth, err);
}

static int live(struct demo *demo, struct err *err)
{
	int64_t now_us = when_now_us(), line_ms = when_monotonic_ms() + DEMO_LINE_MS;
	uint64_t before = demo_post_sent(demo->post);
	struct shop_event event;
	int rc = resume(demo, err);

	if (rc < 0)
		return rc;
	shop_go_live(demo->shop, (double)demo->conf->rate, now_us, (uint64_t)now_us);
	say(demo, "live: about %lld events a second, ^C ends it", (long long)demo->conf->rate);
	while (!wants_stop(demo, DEMO_TICK_MS)) {
		now_us = when_now_us();
		while ((rc = shop_next(demo->shop, now_us, &event, demo_post_buf(demo->post))) > 0)
			if ((rc = demo_post_add(demo->post, err)) < 0)
				return rc;
		if (rc < 0 || (rc = demo_post_flush(demo->post, err)) < 0 ||
		    (rc = check_up(demo, err)) < 0)
			return rc;
		if (when_monotonic_ms() < line_ms)
			continue;
		line_ms += DEMO_LINE_MS;
		if ((rc = show_live(demo, before, err)) < 0)
			return rc;
	}
	return show_live(demo, before, err);
}

int demo_run(const struct demo_conf *conf, const char *program, demo_say_fn *say_fn, void *ctx,
	     struct err *err)
{
	struct demo demo = { .conf = conf, .program = program, .say = say_fn, .ctx = ctx,
			     .signals = -1 };
	char url[100];
	int rc, stop_rc;

	if ((rc = open_signals(&demo, err)) < 0 || (rc = open_dir(&demo, err)) < 0 ||
	    (rc = open_shop(&demo, err)) < 0 || (!conf->url && (rc = start_up(&demo, err)) < 0))
		goto out;
	snprintf(url, sizeof(url), "http://%s", demo.listen);
	if (demo.is_stopped ||
	    (rc = demo_post_open(&demo.post, conf->url ? conf->url : url,
				 conf->url ? conf->key : demo.settings->write_key, stop_posting,
				 &demo, err)) < 0 ||
	    (rc = history(&demo, err)) < 0)
		goto out;
	if (conf->is_live) {
		if (!conf->url)
			show_places(&demo);
		rc = live(&demo, err);
		rc = rc == -EINTR ? 0 : rc;
	}
out:
	stop_rc = stop_up(&demo, rc ? NULL : err);
	if (!rc && !stop_rc && !conf->is_live && !conf->url)
		say(&demo, "done; `%s up --config %s/" SETTINGS_FILE "` goes on with it", program,
		    conf->dir);
	demo_post_close(demo.post);
	shop_close(demo.shop);
	settings_close(demo.settings);
	if (demo.signals >= 0)
		close(demo.signals);
	return rc ? rc : stop_rc;
}
