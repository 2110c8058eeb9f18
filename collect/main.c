/* collect - take events from SDKs, and answer when they are safe
 *
 *      SDK --HTTP--> receive --> door --> parcel --> commit --> lane --> collected, bad
 *      lines ------> stdin  ----^                      |         `--> spool --> lane (Kafka away)
 *                                                      `--> answer, when the durable mark passed
 *
 *      receive   routes, keys (source, basic), limits (limit, address), gunzip (inflate)
 *      door      what a body means; door_segment.c: Segment's SDKs
 *      page      what browsers fetch: settings, the bundle
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "collect/commit.h"
#include "collect/options.h"
#include "collect/receive.h"
#include "collect/stdin.h"
#include "lib/filter.h"
#include "lib/json.h"
#include "lib/port_file.h"
#include "lib/record.h"

#define FLUSH_MS   10000
#define MEASURE_MS 250

struct program {
	struct collect_conf conf;
	struct log log;
	const char *config;             /* the settings file's path, or NULL */
	struct schema *schemas[PARCEL_LANES];
	struct json_reader *json;
	struct loop *loop;
	struct metric_set *metrics;
	struct receive *receive;
	struct commit *commit;
	struct httpd *httpd;
	bool draining;
	int64_t draining_ms;            /* since */
};

static const char *config_of(int argc, char **argv, bool *is_check)
{
	const char *path = NULL;

	*is_check = false;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "--config=", 9) == 0)
			path = argv[i] + 9;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			path = argv[++i];
		else if (strcmp(argv[i], "--check") == 0)
			*is_check = true;
	}
	return path && path[0] ? path : NULL;
}

static int read_sources(const char *path, struct source_set **setp, struct err *err)
{
	struct yaml_file *file = NULL;
	const struct yaml *root = NULL;
	int rc = path ? yaml_open(&file, path, &root, err) : 0;

	if (!rc)
		rc = source_set_open(setp, yaml_get(root, "sources"), path ? path : "", err);
	yaml_close(file);
	return rc;
}

static void log_ledger(const struct program *p, const char *event)
{
	struct log_line line;

	log_begin(&line, &p->log, LOG_LEVEL_INFO, event);
	ledger_log(commit_ledger(p->commit), &line);
	if (p->conf.spool)
		log_num(&line, "spooled", commit_spool_waiting(p->commit));
	log_end(&line);
}

static void on_drained(void *ctx)
{
	struct program *p = ctx;

	loop_stop(p->loop);
}

static void reload(struct program *p)
{
	struct source_set *sources = NULL;
	struct err err = { "" };
	int rc = read_sources(p->config, &sources, &err);

	if (!rc)
		rc = receive_load(p->receive, &err);
	if (rc) {
		source_set_close(sources);
		log_words(&p->log, LOG_LEVEL_ERROR, "reload", "the old settings stay: %s",
			  err.text);
		return;
	}
	log_words(&p->log, LOG_LEVEL_INFO, "reload", "%zu sources", source_set_count(sources));
	receive_set_sources(p->receive, sources);
}

static void on_signal(void *ctx, int signo)
{
	struct program *p = ctx;

	if (signo == SIGHUP) {
		reload(p);
		return;
	}
	if (p->draining) {
		if (loop_now_ms(p->loop) - p->draining_ms >= FILTER_AGAIN_MS)
			loop_stop(p->loop);
		return;
	}
	p->draining = true;
	p->draining_ms = loop_now_ms(p->loop);
	log_words(&p->log, LOG_LEVEL_INFO, "draining", "signal %d", signo);
	httpd_drain(p->httpd, on_drained, p);
}

static void on_measure(void *ctx)
{
	struct program *p = ctx;

	receive_measure(p->receive, p->httpd);
}

static void log_open(const struct program *p, size_t sources)
{
	struct log_line line;

	if (p->conf.from_stdin)
		return;
	log_begin(&line, &p->log, LOG_LEVEL_INFO, "open");
	log_str(&line, "out", p->conf.out_url);
	log_str(&line, "bad", p->conf.bad_url);
	log_str(&line, "spool", p->conf.spool ? p->conf.spool : "none");
	log_num(&line, "sources", (int64_t)sources);
	log_end(&line);
	if (!sources)
		log_words(&p->log, LOG_LEVEL_WARN, "open", "no sources: every write key is "
			  "unknown; name one in millrace.yaml (man millrace.yaml)");
}

static int open_httpd(struct program *p, struct err *err)
{
	const struct httpd_conf conf = {
		.listen = p->conf.listen, .log = &p->log, .body_max = (size_t)p->conf.body_max,
		.header_ms = p->conf.header_ms, .body_ms = p->conf.body_ms,
		.idle_ms = p->conf.idle_ms, .connections_max = (int)p->conf.connections_max,
		.refuse_headers = RECEIVE_CORS, .handler = receive_request, .ctx = p->receive,
	};
	int rc = httpd_open(&p->httpd, p->loop, &conf, err);

	if (rc)
		return rc;
	receive_set_address(p->receive, httpd_address(p->httpd));
	return port_file_write(p->conf.port_file, httpd_address(p->httpd), err);
}

static int open_server(struct program *p, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	const struct receive_conf receive_conf = {
		.options = &p->conf, .schemas = { p->schemas[0], p->schemas[1] }, .log = &p->log,
		.loop = p->loop, .json = p->json, .metrics = p->metrics,
	};
	struct commit_conf commit_conf = {
		.options = &p->conf, .schemas = { p->schemas[0], p->schemas[1] }, .log = &p->log,
		.loop = p->loop, .json = p->json, .answer = receive_answer,
	};
	struct source_set *sources;
	struct loop_timer *timer;
	struct log_line line;
	int rc = receive_open(&p->receive, &receive_conf, err);

	if (rc || (rc = read_sources(p->config, &sources, err)))
		return rc;
	receive_set_sources(p->receive, sources);
	log_open(p, source_set_count(sources));
	commit_conf.ctx = p->receive;
	if ((rc = commit_open(&p->commit, &commit_conf, err)))
		return rc;
	receive_set_commit(p->receive, p->commit);
	/* Not before: while topics are waited for, TERM ends us at once, in order. */
	if ((rc = loop_signals(p->loop, signals, on_signal, p)))
		return rc;
	if ((rc = open_httpd(p, err)) || (rc = commit_begin(p->commit, err)) ||
	    (rc = loop_timer(p->loop, MEASURE_MS, true, on_measure, p, &timer)))
		return rc;
	log_begin(&line, &p->log, LOG_LEVEL_INFO, "listening");
	log_str(&line, "addr", httpd_address(p->httpd));
	log_end(&line);
	return p->conf.metrics ? metric_serve(p->metrics, p->conf.metrics, &p->log, err) : 0;
}

static int serve(struct program *p, struct err *err)
{
	int rc;

	filter_await();
	if ((rc = loop_open(&p->loop, err)) ||
	    (rc = metric_open(&p->metrics, err)) || (rc = open_server(p, err)))
		return rc;
	rc = loop_run(p->loop);
	if (!rc && commit_is_dead(p->commit))
		return err_set(err, -EIO, "%s", commit_error_text(p->commit));
	return rc ? rc : commit_flush(p->commit, FLUSH_MS, err);
}

static int take_stdin(struct program *p, struct err *err)
{
	const struct commit_conf commit_conf = {
		.options = &p->conf, .schemas = { p->schemas[0], p->schemas[1] }, .log = &p->log,
		.json = p->json,
	};
	struct stdin_conf conf = {
		.options = &p->conf, .schemas = { p->schemas[0], p->schemas[1] }, .log = &p->log,
		.json = p->json, .fd = STDIN_FILENO,
	};
	int rc = commit_open(&p->commit, &commit_conf, err);

	conf.commit = p->commit;
	return rc ? rc : stdin_run(&conf, err);
}

int main(int argc, char **argv)
{
	struct program p = { .log = { "collect", LOG_LEVEL_INFO, STDERR_FILENO } };
	struct source_set *sources;
	struct err err = { "" };
	struct opt_set *set;
	bool is_check;
	int rc;

	p.config = config_of(argc, argv, &is_check);
	/* --check ends the program in opt_main, which does not know of sources. */
	if (is_check && p.config) {
		rc = read_sources(p.config, &sources, &err);
		if (rc)
			return filter_exit(&p.log, rc, &err);
		source_set_close(sources);
	}
	set = opt_main(&collect_program, &p.conf, argc, argv, NULL);
	p.schemas[PARCEL_OUT] = record_schema("collected");
	p.schemas[PARCEL_BAD] = record_schema("bad");
	rc = json_open(&p.json, &err);
	if (!rc)
		json_limit_depth(p.json, (int)p.conf.depth_max);
	if (!rc)
		rc = p.conf.from_stdin ? take_stdin(&p, &err) : serve(&p, &err);
	if (p.commit)
		log_ledger(&p, "end");
	metric_close(p.metrics);
	commit_close(p.commit);
	httpd_close(p.httpd);
	receive_close(p.receive);
	loop_close(p.loop);
	json_close(p.json);
	schema_close(p.schemas[PARCEL_OUT]);
	schema_close(p.schemas[PARCEL_BAD]);
	opt_close(set);
	return filter_exit(&p.log, rc, &err);
}
