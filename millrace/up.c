// SPDX-License-Identifier: Apache-2.0
#include "millrace/up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/when.h"
#include "millrace/pidfile.h"
#include "millrace/supervise.h"

/* In this order they end; doors (collect, report) have no topic to read to its end. */
enum { UP_STAGE_DOORS, UP_STAGE_ENRICH, UP_STAGE_READERS };

struct up {
	const char *config, *data;
	const char *locked;             /* the data directory that is ours */
	const char *dir;                /* of the settings */
	uint64_t destinations;          /* as they were when looked at last */
	const struct log *log;
};

int up_bin(char *path, size_t size, struct err *err)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (len < 0)
		return err_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

static int port_file(const struct settings *settings, const char *name, char path[PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%s/%s.port", settings->data, name);

	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int plan_stream(const struct settings *settings, const char *data,
		       struct supervise_plan *plan)
{
	char collect_port[PATH_MAX], aggregate_port[PATH_MAX], report_port[PATH_MAX];
	char sinks[PATH_MAX];
	char public[300];
	const char *const collect[] = {
		"collect", "--config", settings->config, "--bus", settings->bus,
		"--listen", settings->listen, "--port-file", collect_port, NULL,
	};
	const char *const enrich[] = {
		"enrich", "--config", settings->config, "--bus", settings->bus, NULL,
	};
	const char *const aggregate[] = {
		"aggregate", "--config", settings->config, "--bus", settings->bus,
		"--state", settings->state, "--http", settings->http,
		"--port-file", aggregate_port, NULL,
	};
	const char *const report[] = {
		"report", "--config", settings->config, "--bus", settings->bus, "--dir",
		settings->dir, "--aggregate", settings->http, "--aggregate-port-file",
		aggregate_port, "--collect", public, "--port-file", report_port, "--sinks", sinks,
		data ? "--data-dir" : NULL, data, NULL,
	};
	int rc;

	snprintf(public, sizeof(public), "http://%s", settings->listen);
	if (snprintf(sinks, sizeof(sinks), "%s/sinks", settings->data) >= (int)sizeof(sinks))
		return -ENAMETOOLONG;
	if ((rc = port_file(settings, "collect", collect_port)) == 0 &&
	    (rc = port_file(settings, "aggregate", aggregate_port)) == 0 &&
	    (rc = supervise_add(plan, "collect", UP_STAGE_DOORS, collect)) == 0 &&
	    (rc = supervise_add(plan, "enrich", UP_STAGE_ENRICH, enrich)) == 0)
		rc = supervise_add(plan, "aggregate", UP_STAGE_READERS, aggregate);
	if (rc == 0 && settings->report && (rc = port_file(settings, "report", report_port)) == 0)
		rc = supervise_add(plan, "report", UP_STAGE_DOORS, report);
	return rc;
}

/* On a log each partition of `bad` has one writer: collect 0, enrich 1, the sinks the rest. */
#define BAD_OF_SINKS "?partition=2+"

static int plan_sink(const struct settings *settings, int index, struct supervise_plan *plan)
{
	const struct settings_destination *to = &settings->destinations[index];
	char name[100], in[PATH_MAX], bad[PATH_MAX], state[PATH_MAX], revision[50];
	const char *const sink[] = {
		"sink", "--config", settings->config, "--in", in, "--bad", bad, "--to", to->to,
		"--revision", revision, to->revision[0] ? "--state" : NULL, state, NULL,
	};
	bool is_log = strncmp(settings->bus, "log:", 4) == 0;

	snprintf(name, sizeof(name), "sink:%s", to->name);
	snprintf(revision, sizeof(revision), "%s-%s", to->revision, settings->sinks);
	if (snprintf(in, sizeof(in), "%s/%s", settings->bus, to->from) >= (int)sizeof(in) ||
	    snprintf(bad, sizeof(bad), "%s/bad%s", settings->bus, is_log ? BAD_OF_SINKS : "") >=
		    (int)sizeof(bad) ||
	    snprintf(state, sizeof(state), "%s/sinks", settings->data) >= (int)sizeof(state))
		return -ENAMETOOLONG;
	return supervise_add(plan, name, UP_STAGE_READERS, sink);
}

/* A trigger reads what aggregate says of saved queries. Its events go in where all others do. */
static int plan_trigger(const struct settings *settings, int index, struct supervise_plan *plan)
{
	const struct settings_destination *to = &settings->triggers[index];
	char name[100], in[PATH_MAX], bad[PATH_MAX], state[PATH_MAX], revision[50];
	char url[PATH_MAX + 8] = "file:";
	const char *const sink[] = {
		"sink", "--config", settings->config, "--in", in, "--bad", bad,
		"--trigger", to->name, "--state", state, "--revision", revision,
		"--report-url", url, settings->write_key ? "--report-key" : NULL,
		settings->write_key, NULL,
	};
	bool is_log = strncmp(settings->bus, "log:", 4) == 0;

	snprintf(name, sizeof(name), "trigger:%s", to->name);
	snprintf(revision, sizeof(revision), "%s-%s", to->revision, settings->sinks);
	if (port_file(settings, "collect", url + 5) < 0 ||
	    snprintf(in, sizeof(in), "%s/members", settings->bus) >= (int)sizeof(in) ||
	    snprintf(bad, sizeof(bad), "%s/bad%s", settings->bus, is_log ? BAD_OF_SINKS : "") >=
		    (int)sizeof(bad) ||
	    snprintf(state, sizeof(state), "%s/messages", settings->data) >= (int)sizeof(state))
		return -ENAMETOOLONG;
	return supervise_add(plan, name, UP_STAGE_READERS, sink);
}

static int make_plan(void *ctx, struct supervise_plan *plan, struct err *err)
{
	const struct up *up = ctx;
	struct settings *settings = NULL;
	int rc = settings_open(&settings, up->config, up->data, up->log, err);

	if (rc)
		return rc;
	if (strcmp(settings->data, up->locked) != 0)
		rc = err_set(err, -EINVAL, "%s: another data directory needs a stop and a start",
			     settings->config);
	if (!rc)
		rc = plan_stream(settings, up->data, plan);
	for (int i = 0; i < settings->destination_count && !rc; i++)
		rc = plan_sink(settings, i, plan);
	for (int i = 0; i < settings->trigger_count && !rc; i++)
		rc = plan_trigger(settings, i, plan);
	settings_close(settings);
	return rc ? err_set(err, rc, "plan of programs: %s", strerror(-rc)) : 0;
}

static uint64_t look_at_file(const char *name, const struct stat *st)
{
	uint64_t one = 5381;

	for (const char *at = name; *at; at++)
		one = one * 33 + (unsigned char)*at;
	one = (one ^ st->st_ino) * 1000003 + (uint64_t)st->st_mtim.tv_sec;
	return (one * 1000003 + (uint64_t)st->st_mtim.tv_nsec) * 1000003 + (uint64_t)st->st_size;
}

/* What stands in destinations/: names, and when each was written; and millrace.yaml, whose sources
 * the dashboard changes. */
static uint64_t look_at_destinations(const char *dir, const char *config)
{
	static const char *const names[] = { "destinations", "triggers" };
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	uint64_t sum = 0;
	DIR *open_dir;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%.3900s/%s", dir, names[i]);
		open_dir = opendir(path);
		while (open_dir && (entry = readdir(open_dir)))
			if (entry->d_name[0] != '.' &&
			    fstatat(dirfd(open_dir), entry->d_name, &st, 0) == 0)
				sum += look_at_file(entry->d_name, &st) * (i + 1);
		if (open_dir)
			closedir(open_dir);
	}
	if (stat(config, &st) == 0)
		sum += look_at_file(config, &st);
	return sum;
}

static bool is_changed(void *ctx)
{
	struct up *up = ctx;
	uint64_t now = look_at_destinations(up->dir, up->config);
	bool changed = now != up->destinations;

	up->destinations = now;
	return changed;
}

static void remove_addresses(const struct settings *settings)
{
	static const char *const names[] = { "collect", "aggregate", "report" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (port_file(settings, names[i], path) == 0)
			unlink(path);
}

static void log_open(const struct log *log, const struct settings *settings)
{
	struct log_line line;

	log_begin(&line, log, LOG_LEVEL_INFO, "open");
	log_str(&line, "config", settings->config);
	log_str(&line, "bus", settings->bus);
	log_str(&line, "data", settings->data);
	log_str(&line, "listen", settings->listen);
	log_str(&line, "http", settings->http);
	log_num(&line, "destinations", settings->destination_count);
	log_end(&line);
}

/* Else its program would fail, and be started again, for as long as the port is taken. */
static int check_ports(const struct settings *settings, struct err *err)
{
	const struct {
		const char *program, *key, *address;
	} ports[] = {
		{ "collect", "listen", settings->listen },
		{ "aggregate", "http", settings->http },
		{ "report", "listen", settings->report },
	};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct err why = { "" };
		int rc = ports[i].address ? settings_check_port(ports[i].address, &why) : 0;

		if (rc == -EADDRINUSE)
			return err_set(err, rc, "%s cannot listen at %s: another program does; "
				       "stop that one, or set `%s: {%s: HOST:PORT}` in %s",
				       ports[i].program, ports[i].address, ports[i].program,
				       ports[i].key, settings->config);
		if (rc)
			return err_set(err, rc, "%s cannot listen at %s", ports[i].program,
				       why.text);
	}
	return 0;
}

int up_run(const struct up_conf *conf, const char *config, const struct log *log, struct err *err)
{
	struct supervise_conf supervise = {
		.log = log, .stop_ms = conf->stop_ms, .plan = make_plan,
		.changed = is_changed,
	};
	struct settings *settings = NULL;
	struct up up = { .log = log };
	char bin[PATH_MAX];
	int lock = -1, rc;

	if ((rc = up_bin(bin, sizeof(bin), err)) < 0 ||
	    (rc = settings_open(&settings, config, conf->data, NULL, err)) < 0 ||
	    (rc = lock = pidfile_lock(settings->data, err)) < 0)
		goto out;
	remove_addresses(settings);     /* a crash may have left old ones */
	if ((rc = check_ports(settings, err)) < 0) {
		pidfile_unlock(lock);
		goto out;
	}
	log_open(log, settings);
	up.config = settings->config;
	up.data = conf->data ? settings->data : NULL;
	up.locked = settings->data;
	supervise.ctx = &up;
	up.dir = settings->dir;
	up.destinations = look_at_destinations(up.dir, up.config);
	supervise.bin = bin;
	supervise.dir = settings->dir;
	rc = supervise_run(&supervise, err);
	remove_addresses(settings);
	pidfile_unlock(lock);
out:
	settings_close(settings);
	return rc;
}

int up_stop(const struct settings *settings, int64_t wait_ms, pid_t *pid, struct err *err)
{
	int64_t end_ms = when_monotonic_ms() + wait_ms;
	pid_t now;

	*pid = pidfile_find(settings->data, err);
	if (*pid <= 0)
		return *pid < 0 ? (int)*pid : 0;
	if (kill(*pid, SIGTERM) < 0 && errno != ESRCH)
		return err_set(err, -errno, "pid %d: %s", (int)*pid, strerror(errno));
	do {
		poll(NULL, 0, 20);
		now = pidfile_find(settings->data, err);
		if (now < 0)
			return now;
		if (now != *pid)
			return 0;
	} while (when_monotonic_ms() < end_ms);
	return err_set(err, -ETIMEDOUT, "pid %d still runs after %lld s", (int)*pid,
		       (long long)(wait_ms / 1000));
}

void up_address(const struct settings *settings, const char *name, const char *fallback,
		char text[80])
{
	char path[PATH_MAX], read_text[80];
	ssize_t len = 0;
	int fd;

	snprintf(text, 80, "%s", fallback);
	if (port_file(settings, name, path) < 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	len = read(fd, read_text, sizeof(read_text) - 1);
	close(fd);
	while (len > 0 && (read_text[len - 1] == '\n' || read_text[len - 1] == '\r'))
		len--;
	if (len > 0)
		snprintf(text, 80, "%.*s", (int)len, read_text);
}
