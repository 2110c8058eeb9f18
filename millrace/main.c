/* millrace - front end and supervisor: one command for the whole stream on one machine
 *
 *      millrace up                  collect | enrich | aggregate, sinks, from one millrace.yaml  up
 *      millrace down                their orderly end
 *      millrace query ..            questions to aggregate, answers as tables                 query
 *      millrace audit               whether in = out + bad + .. at each stage         audit
 *      millrace trace ID            where one event is                                trace
 *      millrace demo                up, and a simulated shop that sends to it            demo, shop
 *      millrace fetch-geo           a database of places, from npm                       fetch_geo
 *      millrace collect .. and the other programs: that program with these arguments
 *
 * It has no part in the stream itself: everything that it starts can be run alone.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/opt_print.h"
#include "millrace/audit.h"
#include "millrace/demo.h"
#include "millrace/destination.h"
#include "millrace/fetch_geo.h"
#include "millrace/options.h"
#include "millrace/query.h"
#include "millrace/settings.h"
#include "millrace/trace.h"
#include "millrace/trigger.h"
#include "millrace/up.h"

#define ARGS_MAX 256

struct arguments {
	int argc;
	char *argv[ARGS_MAX];
	const char *config;     /* the file in force; NULL: none was named and none is here */
	char added[40];         /* the argument that we add */
};

static const struct log own_log = { .program = "millrace", .level = LOG_LEVEL_INFO, .fd = 2 };

/* The arguments of a command, with --config millrace.yaml where that is here and none is named. */
static void take_arguments(struct arguments *args, int argc, char **argv)
{
	for (; args->argc < argc && args->argc < ARGS_MAX - 2; args->argc++) {
		char *arg = argv[args->argc];

		args->argv[args->argc] = arg;
		if (strncmp(arg, "--config=", 9) == 0)
			args->config = arg + 9;
		else if (strcmp(arg, "--config") == 0 && args->argc + 1 < argc)
			args->config = argv[args->argc + 1];
	}
	if (args->config || access(SETTINGS_FILE, F_OK) < 0)
		return;
	for (int i = args->argc - 1; i > 0; i--)
		args->argv[i + 1] = args->argv[i];
	snprintf(args->added, sizeof(args->added), "--config=" SETTINGS_FILE);
	args->argv[1] = args->added;
	args->argc++;
	args->config = SETTINGS_FILE;
}

static int finish(int rc, const struct err *err)
{
	if (rc < 0)
		log_words(&own_log, LOG_LEVEL_ERROR, "exit", "%s",
			  err->text[0] ? err->text : strerror(-rc));
	else
		log_words(&own_log, LOG_LEVEL_INFO, "exit", "ended in order");
	return rc == -EINTR ? EX_TEMPFAIL : err_exit_status(rc);
}

/* The first `up` in a directory without settings: writes some, and says how to send an event. */
static int begin(struct err *err)
{
	char listen[32], http[32], report[32];
	struct settings *settings = NULL;
	int rc;

	if ((rc = settings_free_port(8080, listen, err)) < 0 ||
	    (rc = settings_free_port(8081, http, err)) < 0 ||
	    (rc = settings_free_port(8082, report, err)) < 0 ||
	    (rc = settings_create(".", listen, http, report, err)) < 0 ||
	    (rc = settings_open(&settings, SETTINGS_FILE, NULL, NULL, err)) < 0)
		return rc;
	printf("There was no " SETTINGS_FILE " here: now there is one, and "
	       "destinations/files.yaml.\n"
	       "Write key: %s\n\n"
	       "  curl -u %s: http://%s/v1/track -d '{\"userId\":\"u1\",\"event\":\"Hello\"}'\n"
	       "  millrace query trend --event Hello\n\n"
	       "The dashboard: http://%s\n\n",
	       settings->write_key, settings->write_key, listen, report);
	fflush(stdout);
	settings_close(settings);
	return 0;
}

static int run_up(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct up_conf conf = { 0 };
	struct err err = { "" };
	struct opt_set *set;
	int rc = 0;

	take_arguments(&args, argc, argv);
	set = opt_main(&up_program, &conf, args.argc, args.argv, NULL);
	if (!args.config) {
		rc = begin(&err);
		args.config = SETTINGS_FILE;
	}
	if (!rc)
		rc = up_run(&conf, args.config, &own_log, &err);
	opt_close(set);
	return finish(rc, &err);
}

static int run_down(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct up_conf conf = { 0 };
	struct settings *settings = NULL;
	struct err err = { "" };
	struct opt_set *set;
	pid_t pid = 0;
	int rc;

	take_arguments(&args, argc, argv);
	set = opt_main(&down_program, &conf, args.argc, args.argv, NULL);
	rc = settings_open(&settings, args.config ? args.config : SETTINGS_FILE, conf.data, NULL,
			   &err);
	/* Three stages, each stopped and read to the end: so six times, and a bit. */
	if (!rc)
		rc = up_stop(settings, conf.stop_ms * 6 + 5000, &pid, &err);
	if (!rc && pid == 0)
		printf("millrace does not run on %s\n", settings->data);
	settings_close(settings);
	opt_close(set);
	return rc ? finish(rc, &err) : EX_OK;
}

/* Where to ask: as told, else where the settings' aggregate listens, else its default. */
static int find_url(const struct query_conf *conf, const char *config, char url[160],
		    struct err *err)
{
	struct settings *settings = NULL;
	char address[80];
	int rc;

	if (conf->url || !config) {
		snprintf(url, 160, "%s", conf->url ? conf->url : "http://127.0.0.1:8081");
		return 0;
	}
	if ((rc = settings_open(&settings, config, conf->data, NULL, err)) < 0)
		return rc;
	up_address(settings, "aggregate", settings->http, address);
	snprintf(url, 160, "http://%s", address);
	settings_close(settings);
	return 0;
}

static int run_query(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct query_conf conf = { 0 };
	struct opt_list operands;
	struct buf out = { 0 }, notes = { 0 };
	struct err err = { "" };
	struct opt_set *set;
	char url[160];
	int rc;

	take_arguments(&args, argc, argv);
	set = opt_main(&query_program, &conf, args.argc, args.argv, &operands);
	if (operands.count < 1 || operands.count > 2 || !query_is_kind(operands.items[0])) {
		log_words(&own_log, LOG_LEVEL_ERROR, "usage", "query wants one of: trend, events, "
			  "funnel, retention, lifecycle, stickiness, sessions, paths, people, "
			  "person, names");
		opt_close(set);
		return EX_USAGE;
	}
	if ((rc = find_url(&conf, args.config, url, &err)) == 0)
		rc = query_run(&conf, url, operands.items[0],
			       operands.count == 2 ? operands.items[1] : NULL, &out, &notes,
			       &err);
	if (!rc && out.len && fwrite(out.ptr, 1, out.len, stdout) != out.len)
		rc = err_set(&err, -EIO, "stdout cannot be written");
	if (notes.len)
		fwrite(notes.ptr, 1, notes.len, stderr);
	buf_close(&notes);
	buf_close(&out);
	opt_close(set);
	if (rc == -ECONNREFUSED) {
		log_words(&own_log, LOG_LEVEL_ERROR, "query", "%s: does `millrace up` run? "
			  "(--url or --config say where else to ask)", err.text);
		return EX_UNAVAILABLE;
	}
	if (!rc)
		return EX_OK;
	finish(rc, &err);
	return rc == -EINVAL ? EX_USAGE : err_exit_status(rc);
}

static void print_line(void *ctx, const char *text)
{
	(void)ctx;
	printf("%s\n", text);
	fflush(stdout);
}

static int run_demo(int argc, char **argv)
{
	struct demo_conf conf = { 0 };
	struct err err = { "" };
	struct opt_set *set = opt_main(&demo_program, &conf, argc, argv, NULL);
	int rc;

	/* main() passed on what follows our own name: the name is before it. */
	rc = demo_run(&conf, argv[-1], print_line, NULL, &err);
	opt_close(set);
	return rc ? finish(rc, &err) : EX_OK;
}

static int run_fetch_geo(int argc, char **argv)
{
	struct fetch_geo_conf conf = { 0 };
	struct err err = { "" };
	struct opt_set *set = opt_main(&fetch_geo_program, &conf, argc, argv, NULL);
	int rc = fetch_geo(&conf, print_line, NULL, &err);

	opt_close(set);
	return rc ? finish(rc, &err) : EX_OK;
}

static int run_program(int argc, char **argv)
{
	char bin[PATH_MAX], path[PATH_MAX + 32];
	struct err err = { "" };

	(void)argc;
	if (up_bin(bin, sizeof(bin), &err) == 0) {
		snprintf(path, sizeof(path), "%s/%s", bin, argv[0]);
		execv(path, argv);
	}
	if (errno == ENOENT)
		execvp(argv[0], argv);
	log_words(&own_log, LOG_LEVEL_ERROR, "exec", "%s: %s", argv[0], strerror(errno));
	return EX_UNAVAILABLE;
}

/* `test` is sink's own: it has the kinds. */
static int run_destination(int argc, char **argv)
{
	char secret[8192], test[] = "test", sink[] = "sink", config[PATH_MAX + 16];
	struct destination_conf conf = { 0 };
	struct arguments args = { 0 };
	struct settings *settings = NULL;
	struct opt_list operands;
	struct buf out = { 0 };
	struct err err = { "" };
	struct opt_set *set;
	size_t len = 0;
	int rc;

	take_arguments(&args, argc, argv);
	set = opt_main(&destination_program, &conf, args.argc, args.argv, &operands);
	rc = settings_open(&settings, args.config ? args.config : SETTINGS_FILE, conf.data, NULL,
			   &err);
	if (!rc && operands.count == 2 && strcmp(operands.items[0], test) == 0) {
		char *call[] = { sink, test, (char *)(uintptr_t)operands.items[1], config,
				       NULL };

		snprintf(config, sizeof(config), "--config=%s", settings->config);
		return run_program(4, call);
	}
	if (!rc && conf.secret) {
		len = fread(secret, 1, sizeof(secret), stdin);
		while (len && (secret[len - 1] == '\n' || secret[len - 1] == '\r'))
			len--;
	}
	if (!rc)
		rc = destination_run(&conf, settings, &operands, (struct slice){ secret, len },
				     &out, &err);
	explicit_bzero(secret, sizeof(secret));
	if (!rc && out.len && fwrite(out.ptr, 1, out.len, stdout) != out.len)
		rc = err_set(&err, -EIO, "stdout cannot be written");
	buf_close(&out);
	settings_close(settings);
	opt_close(set);
	return rc ? finish(rc, &err) : EX_OK;
}

static int print_all(struct buf *out, struct err *err)
{
	if (out->len && fwrite(out->ptr, 1, out->len, stdout) != out->len)
		return err_set(err, -EIO, "stdout cannot be written");
	return 0;
}

static int run_trigger(int argc, char **argv)
{
	struct trigger_conf conf = { 0 };
	struct trigger_call call = { { NULL } };
	struct arguments args = { 0 };
	struct settings *settings = NULL;
	struct opt_list operands;
	struct buf out = { 0 };
	struct err err = { "" };
	struct opt_set *set;
	int rc;

	take_arguments(&args, argc, argv);
	set = opt_main(&trigger_program, &conf, args.argc, args.argv, &operands);
	rc = settings_open(&settings, args.config ? args.config : SETTINGS_FILE, conf.data, NULL,
			   &err);
	if (!rc)
		rc = trigger_run(&conf, settings, &operands, &call, &out, &err);
	/* Where `up` runs it, so that outbox: DIR is the same one. */
	if (!rc && call.args[0] && chdir(settings->dir) < 0)
		rc = err_set(&err, -errno, "%s: %s", settings->dir, strerror(errno));
	if (!rc && call.args[0])
		return run_program(1, call.args);
	if (!rc)
		rc = print_all(&out, &err);
	trigger_call_close(&call);
	buf_close(&out);
	settings_close(settings);
	opt_close(set);
	return rc ? finish(rc, &err) : EX_OK;
}

/* What it found goes to stdout, also where it does not hold: 65 then. */
static int run_audit(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct audit_conf conf = { 0 };
	struct settings *settings = NULL;
	struct buf out = { 0 };
	struct err err = { "" };
	struct opt_set *set;
	int rc;

	take_arguments(&args, argc, argv);
	set = opt_main(&audit_program, &conf, args.argc, args.argv, NULL);
	rc = settings_open(&settings, args.config ? args.config : SETTINGS_FILE, conf.data, NULL,
			   &err);
	if (rc == 0)
		rc = audit_run(&conf, settings, &out, &err);
	if (print_all(&out, &err) < 0)
		rc = -EIO;
	buf_close(&out);
	settings_close(settings);
	opt_close(set);
	if (rc == -EBADMSG && !err.text[0])
		return EX_DATAERR;
	return rc == 0 ? EX_OK : finish(rc, &err);
}

static int run_trace(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct trace_conf conf = { 0 };
	struct settings *settings = NULL;
	struct opt_list operands;
	struct buf out = { 0 };
	struct err err = { "" };
	struct opt_set *set;
	int rc;

	take_arguments(&args, argc, argv);
	set = opt_main(&trace_program, &conf, args.argc, args.argv, &operands);
	if (operands.count != 1) {
		log_words(&own_log, LOG_LEVEL_ERROR, "usage", "trace wants one message id");
		opt_close(set);
		return EX_USAGE;
	}
	rc = settings_open(&settings, args.config ? args.config : SETTINGS_FILE, conf.data, NULL,
			   &err);
	if (rc == 0)
		rc = trace_run(&conf, settings, operands.items[0], &out, &err);
	if (print_all(&out, &err) < 0)
		rc = -EIO;
	buf_close(&out);
	settings_close(settings);
	opt_close(set);
	if (rc == -ENOENT && !err.text[0])
		return EX_NOINPUT;
	return rc == 0 ? EX_OK : finish(rc, &err);
}

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);      /* argv[0] is the command */
	const struct opt_program *program;      /* NULL: a program of its own */
} commands[] = {
	{ "up", run_up, &up_program },
	{ "down", run_down, &down_program },
	{ "query", run_query, &query_program },
	{ "demo", run_demo, &demo_program },
	{ "destination", run_destination, &destination_program },
	{ "trigger", run_trigger, &trigger_program },
	{ "audit", run_audit, &audit_program },
	{ "trace", run_trace, &trace_program },
	{ "fetch-geo", run_fetch_geo, &fetch_geo_program },
	{ "collect", run_program, NULL },
	{ "enrich", run_program, NULL },
	{ "aggregate", run_program, NULL },
	{ "sink", run_program, NULL },
	{ "report", run_program, NULL },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	struct buf out = { 0 };

	buf_append_text(&out, "millrace - an analytics event pipeline\n\nUsage:\n"
			"  millrace up|down|query|demo|audit|trace|fetch-geo ..\n"
			"  millrace destination|trigger ..\n"
			"  millrace collect|enrich|aggregate|sink|report .. that program\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!commands[i].program)
			continue;
		buf_append_text(&out, "\nmillrace ");
		opt_print_help(commands[i].program, &out);
	}
	fwrite(out.ptr, 1, out.len, stdout);
	buf_close(&out);
	return EX_OK;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
		return help();
	if (strcmp(name, "--version") == 0) {
		printf("millrace %s\n", OPT_VERSION);
		return EX_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	log_words(&own_log, LOG_LEVEL_ERROR, "usage", "%s%.40s%swants one of: up, down, query, "
		  "demo, destination, trigger, audit, trace, collect, enrich, aggregate, sink, "
		  "report (see millrace --help)",
		  name[0] ? "'" : "", name,
		  name[0] ? "' is no command; millrace " : "millrace ");
	return EX_USAGE;
}
