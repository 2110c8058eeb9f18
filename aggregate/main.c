/* aggregate - keep every person's events, and answer questions about them
 *
 *      enriched --> ingest --> row --> store: head, images, column files
 *                                 `--> persons: who is whom, profiles
 *      emit: counted <-- ingest          ^
 *      saved: members, funnels <-- ingest, when a person changes    erase: deleted
 *      serve: HTTP --> answer --> measure_*, over a snapshot
 *
 * The topic is the write-ahead log: the store's manifest says from where to read again.
 * `aggregate check DIR` verifies a state directory; --rebuild makes it anew.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "aggregate/ingest.h"
#include "aggregate/options.h"
#include "aggregate/question.h"
#include "aggregate/serve.h"
#include "aggregate/state_dir.h"
#include "lib/record.h"

struct program {
	struct aggregate_conf conf;
	struct aggregate_urls urls;
	struct log log;
	struct schema *schema;
	struct bus_conf in_conf, out_conf, bad_conf;
	int lock_fd, aside_fd;
	char aside[DIR_PATH_MAX];       /* of a rebuild */
	int64_t end[BUS_PARTITIONS_MAX];        /* of a rebuild: as far as it must go */
	struct store *store;
	struct count *count;
	struct progress progress;
	struct emit *emit;
	struct saved *saved;
	struct erase *erase;
	struct serve *serve;
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

static int open_dir(struct program *p, struct err *err)
{
	int rc = options_urls(&p->conf, &p->urls, err);

	pthread_mutex_init(&p->progress.lock, NULL);
	if (rc == 0)
		rc = p->lock_fd = state_dir_lock(p->conf.state, err);
	if (rc >= 0 && p->conf.rebuild)
		rc = p->aside_fd = state_dir_aside(p->conf.state, p->aside, err);
	if (rc < 0)
		return rc;
	p->ingest = calloc(1, sizeof(*p->ingest));
	return p->ingest ? 0 : err_set(err, -ENOMEM, "no memory");
}

static int open_in(struct program *p, struct err *err)
{
	const struct aggregate_conf *conf = &p->conf;
	int64_t first;
	int rc;

	p->schema = record_schema("enriched");
	p->bad_conf = p->out_conf = (struct bus_conf){ .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms };
	p->in_conf = (struct bus_conf){
		.schema = p->schema, .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms,
		.assign = conf->assign, .until_end = conf->until_end || conf->rebuild,
		.time_field = ENRICHED_RECEIVED_AT,
		.start = ingest_start, .start_ctx = p->ingest,
	};
	rc = bus_open(&p->ingest->in, p->urls.in, BUS_READ, &p->in_conf, err);
	for (int i = 0; rc == 0 && conf->rebuild && i < bus_partition_count(p->ingest->in); i++)
		if (bus_range(p->ingest->in, i, &first, &p->end[i]) < 0 || p->end[i] == first)
			p->end[i] = 0;
	return rc;
}

static int open_store(struct program *p, struct err *err)
{
	const struct aggregate_conf *conf = &p->conf;
	struct ingest *ingest = p->ingest;
	struct store_conf store_conf = {
		.dir = conf->rebuild ? p->aside : conf->state, .log = &p->log,
		.flush_bytes = conf->flush_bytes, .retain_us = conf->retain_ms * 1000,
		.names_max = (uint32_t)conf->names_max,
		.partitions = bus_partition_count(ingest->in),
	};
	struct count_conf count_conf = {
		.by = conf->count_by.items, .by_count = conf->count_by.count,
		.cells_max = (size_t)conf->count_cells, .retain_us = conf->retain_ms * 1000,
		.threads = (int)conf->query_threads, .log = &p->log,
	};
	int64_t next[BUS_PARTITIONS_MAX];
	int rc = 0;

	if (p->urls.out[0] && !conf->rebuild) {
		rc = count_open(&p->count, &count_conf, err);
		store_conf.dirt = count_dirt(p->count);
	}
	if (rc == 0)
		rc = store_open(&p->store, &store_conf, next, err);
	if (rc == 0 && p->count) {
		rc = emit_open(&p->emit, p->urls.out, &p->out_conf, p->count, err);
	}
	ingest->store = p->store;
	ingest->count = p->count;
	ingest->emit = p->emit;
	ingest->progress = &p->progress;
	ingest->emit_every_ms = conf->emit_ms;
	return rc < 0 ? rc : ingest_open(ingest, next, err);
}

/* Deletes are of the log, too: a rebuild reads them, and nothing is saved while it runs. */
static int open_saved(struct program *p, struct err *err)
{
	struct saved_conf conf = {
		.store = p->store, .dir = p->conf.reports, .members = p->urls.members,
		.week_start = question_week_day(slice_from(p->conf.week_start)),
		.funnels = p->urls.funnels, .out = &p->out_conf, .log = &p->log,
		.threads = (int)p->conf.query_threads,
	};
	int rc = erase_open(&p->erase, p->urls.deleted, p->store, &p->out_conf, err);

	if (rc == 0 && !p->conf.rebuild)
		rc = saved_open(&p->saved, &conf, err);
	p->ingest->saved = p->saved;
	p->ingest->erase = p->erase;
	return rc;
}

static int open_serve(struct program *p, struct err *err)
{
	struct serve_conf conf = {
		.listen = p->conf.http, .port_file = p->conf.port_file, .store = p->store,
		.saved = p->saved, .erase = p->erase,
		.week_start = question_week_day(slice_from(p->conf.week_start)),
		.progress = &p->progress, .log = &p->log, .threads = (int)p->conf.query_threads,
		.deadline_ms = p->conf.query_ms, .memory_max = (size_t)p->conf.query_memory,
	};
	int rc;

	block_signals();
	if (p->conf.rebuild)
		return 0;
	rc = serve_open(&p->serve, &conf, err);
	p->ingest->serve = p->serve;
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
	struct store_counts counts = store_counts(p->store);
	struct log_line line;

	log_begin(&line, &p->log, LOG_LEVEL_INFO, "open");
	log_str(&line, "in", p->urls.in);
	log_str(&line, "out", p->urls.out);
	log_str(&line, "http", p->serve ? serve_address(p->serve) : "");
	log_str(&line, "state", p->conf.rebuild ? p->aside : p->conf.state);
	log_num(&line, "events", (int64_t)counts.events);
	log_num(&line, "files", (int64_t)counts.files);
	log_end(&line);
	return filter_run(&conf, &ingest_ops, p->ingest, err);
}

/* The new state in the old one's place, where it is whole. */
static int finish_rebuild(struct program *p, struct err *err)
{
	for (int i = 0; i < BUS_PARTITIONS_MAX; i++)
		if (p->ingest->state.next[i] < p->end[i])
			return err_set(err, -EINTR, "--rebuild: ended before all was read; %s is "
				       "as it was", p->conf.state);
	store_close(p->store);
	p->store = NULL;
	return state_dir_swap(p->conf.state, p->aside, err);
}

static void say(void *ctx, const char *text)
{
	(void)ctx;
	puts(text);
}

static int check_main(const struct log *log, const char *dir)
{
	struct err err = { "" };

	return filter_exit(log, store_check(dir, say, NULL, &err), &err);
}

int main(int argc, char **argv)
{
	struct program p = { .log = { "aggregate", LOG_LEVEL_INFO, STDERR_FILENO },
			     .lock_fd = -1, .aside_fd = -1 };
	struct opt_list operands = { 0 };
	struct opt_set *set = opt_main(&aggregate_program, &p.conf, argc, argv, &operands);
	struct err err = { "" };
	int rc;

	if (operands.count) {
		bool is_check = operands.count == 2 && strcmp(operands.items[0], "check") == 0;

		rc = is_check ? check_main(&p.log, operands.items[1]) : EX_USAGE;
		if (!is_check)
			fprintf(stderr, "aggregate: `%s` is no command (see aggregate --help)\n",
				operands.items[0]);
		opt_close(set);
		return rc;
	}
	filter_await();
	rc = open_dir(&p, &err);
	if (rc == 0)
		rc = open_in(&p, &err);
	if (rc == 0)
		rc = open_store(&p, &err);
	if (rc == 0)
		rc = open_saved(&p, &err);
	if (rc == 0)
		rc = open_serve(&p, &err);
	if (rc == 0)
		rc = run(&p, &err);
	if (rc == 0 && p.conf.rebuild)
		rc = finish_rebuild(&p, &err);
	serve_close(p.serve);
	if (p.ingest)
		bus_close(p.ingest->in);
	ingest_close(p.ingest);
	free(p.ingest);
	saved_close(p.saved);
	erase_close(p.erase);
	emit_close(p.emit);
	store_close(p.store);
	count_close(p.count);
	schema_close(p.schema);
	if (p.lock_fd >= 0)
		close(p.lock_fd);
	if (p.aside_fd >= 0)
		close(p.aside_fd);
	opt_close(set);
	return filter_exit(&p.log, rc, &err);
}
