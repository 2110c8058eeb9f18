/* aggregate - count events and users, and answer questions about them
 *
 *      enriched --> repeat? marker? --> count --> emit: counted
 *                                         |
 *                      serve: HTTP <-- answer <-- query: JSON
 *
 * A small one: exact counts per event name and hour, in memory, rebuilt from the topic at each
 * start. The behavioural store replaces it.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "aggregate/ingest.h"
#include "aggregate/options.h"
#include "aggregate/count_serve.h"
#include "aggregate/state_dir.h"
#include "lib/record.h"

struct program {
	struct aggregate_conf conf;
	struct aggregate_urls urls;
	struct log log;
	struct schema *schema;
	struct bus_conf in_conf, out_conf, bad_conf;
	int lock_fd;
	struct count *count;
	struct progress progress;
	struct emit *emit;
	struct count_serve *serve;
	struct ingest *ingest;
};

/* The signals are filter_run's: no other thread may get them, nor may they end us before it. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int open_state(struct program *p, struct err *err)
{
	int rc = options_urls(&p->conf, &p->urls, err);

	p->lock_fd = -1;
	pthread_mutex_init(&p->progress.lock, NULL);
	if (rc == 0)
		rc = p->lock_fd = state_dir_lock(p->conf.state, err);
	if (rc >= 0)
		rc = count_open(&p->count, err);
	if (rc == 0) {
		p->ingest = calloc(1, sizeof(*p->ingest));
		rc = p->ingest ? 0 : err_set(err, -ENOMEM, "no memory");
	}
	return rc;
}

static int open_buses(struct program *p, struct err *err)
{
	const struct aggregate_conf *conf = &p->conf;
	struct ingest *ingest = p->ingest;
	int rc = 0;

	p->schema = record_schema("enriched");
	p->bad_conf = p->out_conf = (struct bus_conf){ .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms };
	p->in_conf = (struct bus_conf){
		.schema = p->schema, .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms,
		.assign = conf->assign, .until_end = conf->until_end,
		.time_field = ENRICHED_RECEIVED_AT,
	};
	if (p->urls.out[0])
		rc = emit_open(&p->emit, p->urls.out, &p->out_conf, p->count, err);
	if (rc == 0)
		rc = bus_open(&ingest->in, p->urls.in, BUS_READ, &p->in_conf, err);
	ingest->count = p->count;
	ingest->emit = p->emit;
	ingest->progress = &p->progress;
	ingest->emit_every_ms = conf->emit_ms;
	ingest_init(ingest);
	return rc;
}

static int run(struct program *p, struct err *err)
{
	struct filter_conf conf = {
		.program = "aggregate", .log = &p->log, .in = p->ingest->in,
		.out = emit_bus(p->emit), .bad_url = p->urls.bad, .bad_conf = &p->bad_conf,
		.metrics = p->conf.metrics, .input_format = "avro:enriched",
		.in_schema = p->schema,
	};
	struct log_line line;

	log_begin(&line, &p->log, LOG_LEVEL_INFO, "open");
	log_str(&line, "in", p->urls.in);
	log_str(&line, "out", p->urls.out);
	log_str(&line, "http", count_serve_address(p->serve));
	log_str(&line, "state", p->conf.state);
	log_end(&line);
	return filter_run(&conf, &ingest_ops, p->ingest, err);
}

int main(int argc, char **argv)
{
	struct program p = { .log = { "aggregate", LOG_LEVEL_INFO, STDERR_FILENO } };
	struct opt_set *set = opt_main(&aggregate_program, &p.conf, argc, argv, NULL);
	struct err err = { "" };
	int rc;

	filter_await();
	rc = open_state(&p, &err);
	if (rc == 0)
		rc = open_buses(&p, &err);
	if (rc == 0) {
		block_signals();
		rc = count_serve_open(&p.serve, p.conf.http, p.conf.port_file, p.count, &p.progress,
				&p.log, &err);
	}
	if (rc == 0)
		rc = run(&p, &err);
	count_serve_close(p.serve);
	if (p.ingest)
		bus_close(p.ingest->in);
	free(p.ingest);
	emit_close(p.emit);
	count_close(p.count);
	schema_close(p.schema);
	if (p.lock_fd >= 0)
		close(p.lock_fd);
	opt_close(set);
	return filter_exit(&p.log, rc, &err);
}
