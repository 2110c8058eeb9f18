/* report - the dashboard, for people with a browser
 *
 *      browser <--> httpd --> api --> asset: pages, compiled in
 *                              |----> access: who may look, who may change
 *                              |----> gateway: questions to aggregate
 *                              |----> live: the feed of enriched
 *                              |----> files: saved reports, destinations, triggers
 *                              `----> ops: what other programs know and do, asked by their commands
 *
 * Keeps nothing of its own but log-ins, in memory. Binds 127.0.0.1 unless there are passwords.
 */
// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/filter.h"
#include "lib/port_file.h"
#include "report/api.h"

#define BODY_MAX ((size_t)1 << 20)

struct program {
	struct report_conf conf;
	struct log log;
	char in[OPTIONS_URL_MAX];
	struct loop *loop;
	struct httpd *httpd;
	struct api api;
};

static void on_signal(void *ctx, int signo)
{
	struct program *p = ctx;

	if (signo != SIGHUP)
		loop_stop(p->loop);
}

static bool is_loopback(const char *listen)
{
	return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "localhost:", 10) == 0 ||
	       strncmp(listen, "[::1]:", 6) == 0;
}

static int open_parts(struct program *p, struct err *err)
{
	struct gateway_conf gateway = { .loop = p->loop, .log = &p->log,
					.address = p->conf.aggregate,
					.port_file = p->conf.aggregate_port_file,
					.headers = api_headers };
	struct live_conf live = { .loop = p->loop, .log = &p->log, .in = p->in,
				  .rows = (size_t)p->conf.live_rows,
				  .open_ms = (int)p->conf.open_ms, .kafka = &p->conf.kafka,
				  .headers = api_headers };
	struct ops_conf ops = { .loop = p->loop, .options = &p->conf, .headers = api_headers };
	int rc;

	p->api.conf = &p->conf;
	if ((rc = access_open(&p->api.access, p->conf.password_file, p->conf.session_ms, err)) ||
	    (rc = assets_open(&p->api.assets, err)) ||
	    (rc = files_open(&p->api.files, p->conf.dir, err)) ||
	    (rc = json_open(&p->api.json, err)))
		return rc;
	ops.files = p->api.files;
	if ((rc = ops_open(&p->api.ops, &ops, err)) ||
	    (rc = gateway_open(&p->api.gateway, &gateway, err)))
		return rc;
	return p->in[0] ? live_open(&p->api.live, &live, err) : 0;
}

static int run(struct program *p, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	struct httpd_conf conf = { .listen = p->conf.listen, .log = &p->log, .body_max = BODY_MAX,
				   .handler = api_request, .gone = api_gone, .ctx = &p->api };
	struct log_line line;
	int rc;

	if (!p->conf.password_file && !is_loopback(p->conf.listen))
		return err_set(err, -EINVAL, "--listen %s: others can reach it; make a password "
			       "file first: report passwd FILE NAME editor", p->conf.listen);
	if ((rc = options_in(&p->conf, p->in, err)) || (rc = loop_open(&p->loop, err)) ||
	    (rc = loop_signals(p->loop, signals, on_signal, p)) || (rc = open_parts(p, err)) ||
	    (rc = httpd_open(&p->httpd, p->loop, &conf, err)) ||
	    (rc = port_file_write(p->conf.port_file, httpd_address(p->httpd), err)))
		return rc;
	log_begin(&line, &p->log, LOG_LEVEL_INFO, "listening");
	log_str(&line, "addr", httpd_address(p->httpd));
	log_str(&line, "aggregate", p->conf.aggregate);
	log_str(&line, "live", p->in[0] ? p->in : "none");
	log_end(&line);
	return loop_run(p->loop);
}

static int set_password(int argc, char **argv, struct err *err)
{
	char password[512] = "";
	size_t len;

	if (argc != 5)
		return err_set(err, -EINVAL, "usage: report passwd FILE NAME viewer|editor, and "
			       "the password on stdin");
	len = fread(password, 1, sizeof(password) - 1, stdin);
	while (len && (password[len - 1] == '\n' || password[len - 1] == '\r'))
		len--;
	return access_set_password(argv[2], argv[3], argv[4], (struct slice){ password, len }, err);
}

int main(int argc, char **argv)
{
	struct program p = { .log = { "report", LOG_LEVEL_INFO, STDERR_FILENO } };
	struct err err = { "" };
	struct opt_set *set = NULL;
	int rc;

	if (argc > 1 && strcmp(argv[1], "passwd") == 0) {
		rc = set_password(argc, argv, &err);
		return rc < 0 ? filter_exit(&p.log, rc, &err) : 0;
	}
	set = opt_main(&report_program, &p.conf, argc, argv, NULL);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = run(&p, &err);
	live_close(p.api.live);
	gateway_close(p.api.gateway);
	ops_close(p.api.ops);
	httpd_close(p.httpd);
	loop_close(p.loop);
	files_close(p.api.files);
	assets_close(p.api.assets);
	access_close(p.api.access);
	json_close(p.api.json);
	curl_global_cleanup();
	opt_close(set);
	return filter_exit(&p.log, rc, &err);
}
