/* sink - brings the records of a topic to a destination
 *
 *      topic --> repeat? marker? --> put --> dest_file: DIR/TOPIC-PARTITION-FIRST-LAST.jsonl
 *          |                          `----> courier: map, batch, send, retry    dest_KIND.c
 *          `---> bad (undecodable bytes, dead letters)
 *
 * Each record arrives once: where it goes on after a crash is told by the files' names, or by the
 * position of what was delivered. `sink verify DIR` proves it for files.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/record.h"
#include "sink/campaign.h"
#include "sink/deliver.h"
#include "sink/dest_file.h"
#include "sink/options.h"
#include "sink/remote.h"
#include "sink/setup.h"
#include "sink/target.h"
#include "sink/trigger.h"
#include "sink/verify.h"

struct program {
	struct sink_conf conf;
	struct target target;
	struct log log;
	/* of the records; of the topic (bad may wrap them) */
	struct schema *schema, *in_schema;
	char format[64];                /* of bad records */
	char dir[PATH_MAX];             /* of millrace.yaml */
	struct bus_conf in_conf, bad_conf;
	struct dest_file_conf file_conf;
	const char *config;             /* millrace.yaml */
	struct remote *remote;
	struct campaign *campaign;
	struct outlet *outlet;
	struct deliver *deliver;
	struct bus *in;
};

static int open_file(struct program *p, struct err *err)
{
	const struct sink_conf *conf = &p->conf;

	p->file_conf = (struct dest_file_conf){
		.encoder = { .schema = p->schema, .format = p->target.format,
			     .codec = target_codec(conf->codec), .level = (int)conf->level,
			     .nulls = conf->nulls },
		.dir = p->target.dir, .topic = p->target.topic, .log = &p->log,
		.rotate_records = conf->rotate_records, .rotate_bytes = conf->rotate_bytes,
		.rotate_time_ms = conf->rotate_time_ms, .flush_after_ms = conf->flush_after_ms,
		.is_pipe = p->target.is_pipe,
	};
	return dest_file_open(&p->outlet, &p->file_conf, err);
}

static int open_outlet(struct program *p, struct err *err)
{
	int rc;

	p->in_schema = record_schema(p->target.schema);
	p->schema = record_schema(p->conf.from ? "enriched" : p->target.schema);
	if (p->conf.trigger)
		rc = campaign_open(&p->campaign, &p->conf, p->dir, p->config, p->schema, &p->log,
				   &p->outlet, err);
	else if (p->target.name)
		rc = remote_open(&p->remote, &p->conf, &p->target, p->dir, p->schema, &p->log,
				 &p->outlet, err);
	else
		rc = open_file(p, err);
	if (rc < 0)
		return rc;
	return deliver_open(&p->deliver, p->in_schema, p->outlet, p->target.is_pipe, err);
}

static int open_all(struct program *p, struct err *err)
{
	const struct sink_conf *conf = &p->conf;
	int rc = target_init(&p->target, conf, err);

	if (rc == 0)
		rc = open_outlet(p, err);
	if (rc < 0)
		return rc;
	p->bad_conf = (struct bus_conf){ .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms };
	p->in_conf = (struct bus_conf){
		.schema = p->in_schema, .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms,
		.start = deliver_start, .start_ctx = p->deliver, .assign = conf->assign,
		.until_end = conf->until_end || remote_ends(&p->conf),
		.time_field = schema_find(p->in_schema, "received_at"),
	};
	rc = bus_open(&p->in, p->target.in, BUS_READ, &p->in_conf, err);
	if (rc == 0)
		deliver_set_input(p->deliver, p->in);
	return rc;
}

static int run(struct program *p, struct err *err)
{
	struct filter_conf conf = {
		.program = "sink", .log = &p->log, .in = p->in, .bad_url = p->target.bad,
		.bad_conf = &p->bad_conf, .metrics = p->conf.metrics, .input_format = p->format,
		.in_schema = p->schema,
	};
	struct log_line line;

	snprintf(p->format, sizeof(p->format), "avro:%s",
		 p->conf.from ? "enriched" : p->target.schema);
	log_begin(&line, &p->log, LOG_LEVEL_INFO, "open");
	log_str(&line, "in", p->target.in);
	log_str(&line, "to", p->target.name ? p->target.name : p->target.dir);
	if (!p->target.name)
		log_str(&line, "format", file_format_ext(p->target.format));
	log_str(&line, "topic", p->target.topic);
	log_str(&line, "schema", p->target.schema);
	log_end(&line);
	return filter_run(&conf, &deliver_ops, p->deliver, err);
}

static int write_out(struct slice text)
{
	while (text.len) {
		ssize_t n = write(STDOUT_FILENO, text.ptr, text.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		text = slice_skip(text, n < 0 ? 0 : (size_t)n);
	}
	return 0;
}

/* Its whole say is on stdout: 0 everything holds, -EBADMSG something does not. */
static int verify(const char *dir, struct err *err)
{
	struct verify verify = { 0 };
	struct buf report = { 0 };
	int rc = verify_dir(dir, &verify, &report, err);

	if (rc == 0) {
		buf_printf(&report, "%llu files, %llu records, %llu problems\n",
			   (unsigned long long)verify.files, (unsigned long long)verify.records,
			   (unsigned long long)verify.problems);
		rc = write_out(buf_slice(&report));
	}
	buf_close(&report);
	return rc == 0 && verify.problems ? -EBADMSG : rc;
}

static int verify_main(const struct log *log, const char *dir)
{
	struct err err = { "" };
	int rc = verify(dir, &err);

	return rc == 0 || (rc == -EBADMSG && !err.text[0]) ? err_exit_status(rc)
							    : filter_exit(log, rc, &err);
}

static int kinds_main(bool of_triggers)
{
	struct buf out = { 0 };
	int rc;

	if (of_triggers)
		trigger_print_fields(&out);
	else
		setup_print_kinds(&out);
	rc = write_out(buf_slice(&out));
	buf_close(&out);
	return err_exit_status(rc);
}

static int check_main(const struct program *p, const char *name, const char *path)
{
	struct err err = { "" };
	int rc = setup_check(p->dir, name, path, &err);

	if (rc < 0)
		fprintf(stderr, "sink: %s\n", err.text[0] ? err.text : strerror(-rc));
	return err_exit_status(rc);
}

static int test_main(struct program *p, const char *name)
{
	struct err err = { "" };
	int rc;

	p->conf.to = name;
	rc = target_init(&p->target, &p->conf, &err);
	p->schema = record_schema("enriched");
	if (rc == 0)
		rc = remote_test(&p->conf, &p->target, p->dir, p->schema, &p->log, &err);
	schema_close(p->schema);
	if (rc < 0)
		fprintf(stderr, "sink: %s\n", err.text[0] ? err.text : strerror(-rc));
	return err_exit_status(rc);
}

/* check NAME [FILE] | preview NAME | test NAME */
static int trigger_main(struct program *p, const struct opt_list *operands)
{
	const char *verb = operands->items[1], *name = operands->items[2];
	struct buf out = { 0 };
	struct err err = { "" };
	int rc = -EINVAL;

	if (strcmp(verb, "check") == 0)
		rc = campaign_check(p->dir, p->config, name,
				    operands->count > 3 ? operands->items[3] : NULL, &err);
	else if (strcmp(verb, "preview") == 0 || strcmp(verb, "test") == 0)
		rc = campaign_try(&p->conf, p->dir, p->config, name, verb[0] == 't', &p->log, &out,
				  &err);
	else
		err_set(&err, rc, "trigger check, preview or test NAME");
	if (write_out(buf_slice(&out)) < 0)
		rc = -EIO;
	buf_close(&out);
	if (rc < 0)
		fprintf(stderr, "sink: %s\n", err.text[0] ? err.text : strerror(-rc));
	return err_exit_status(rc);
}

static int run_main(struct program *p)
{
	struct err err = { "" };
	int rc;

	if (p->conf.trigger)
		p->conf.to = p->conf.trigger;
	rc = open_all(p, &err);

	if (rc == 0)
		rc = run(p, &err);
	if (p->outlet)
		p->outlet->ops->close(p->outlet);
	remote_close(p->remote);
	campaign_close(p->campaign);
	deliver_close(p->deliver);
	bus_close(p->in);
	schema_close(p->schema);
	schema_close(p->in_schema);
	/* Switched off: nothing to do is no failure. */
	if (rc == -ECANCELED)
		rc = 0;
	return filter_exit(&p->log, rc, &err);
}

/* The directory of --config: destinations/ is there. */
static void set_dir(struct program *p, int argc, char **argv)
{
	const char *config = "millrace.yaml", *slash;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--config=", 9) == 0)
			config = argv[i] + 9;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			config = argv[i + 1];
	}
	p->config = config;
	slash = strrchr(config, '/');
	snprintf(p->dir, sizeof(p->dir), "%.*s", slash ? (int)(slash - config) : 1,
		 slash ? config : ".");
}

int main(int argc, char **argv)
{
	struct program p = { .log = { "sink", LOG_LEVEL_INFO, STDERR_FILENO } };
	struct opt_list operands = { 0 };
	struct opt_set *set = opt_main(&sink_program, &p.conf, argc, argv, &operands);
	const char *verb = operands.count ? operands.items[0] : "";
	int status;

	set_dir(&p, argc, argv);
	if (operands.count == 2 && strcmp(verb, "verify") == 0) {
		status = verify_main(&p.log, operands.items[1]);
	} else if (operands.count == 1 && strcmp(verb, "kinds") == 0) {
		status = kinds_main(false);
	} else if (operands.count == 1 && strcmp(verb, "triggers") == 0) {
		status = kinds_main(true);
	} else if (operands.count >= 3 && strcmp(verb, "trigger") == 0) {
		status = trigger_main(&p, &operands);
	} else if (operands.count == 2 && strcmp(verb, "test") == 0) {
		status = test_main(&p, operands.items[1]);
	} else if (operands.count >= 2 && operands.count <= 3 && strcmp(verb, "check") == 0) {
		status = check_main(&p, operands.items[1],
				    operands.count == 3 ? operands.items[2] : NULL);
	} else if (operands.count || (!p.conf.to && !p.conf.trigger)) {
		fprintf(stderr, "sink: say --to file:DIR, --to NAME, or `verify DIR` "
			"(see sink --help)\n");
		status = EX_USAGE;
	} else {
		filter_await();
		status = run_main(&p);
	}
	opt_close(set);
	return status;
}
