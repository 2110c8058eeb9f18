/* sink - brings the records of a topic to a destination
 *
 *      topic --> repeat? marker? --> put --> dest_file: DIR/TOPIC-PARTITION-FIRST-LAST.jsonl
 *          `---> bad (undecodable bytes)
 *
 * Each record arrives once: where it goes on after a crash is told by the destination itself.
 * `sink verify DIR` proves it for files.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/record.h"
#include "sink/deliver.h"
#include "sink/dest_file.h"
#include "sink/options.h"
#include "sink/target.h"
#include "sink/verify.h"

struct program {
	struct sink_conf conf;
	struct target target;
	struct log log;
	struct schema *schema;
	char format[64];                /* of bad records */
	struct bus_conf in_conf, bad_conf;
	struct dest_file_conf dest_conf;
	struct outlet *dest;
	struct deliver *deliver;
	struct bus *in;
};

static int open_dest(struct program *p, struct err *err)
{
	const struct sink_conf *conf = &p->conf;
	int rc;

	p->schema = record_schema(p->target.schema);
	p->dest_conf = (struct dest_file_conf){
		.encoder = { .schema = p->schema, .format = p->target.format,
			     .codec = target_codec(conf->codec), .level = (int)conf->level,
			     .nulls = conf->nulls },
		.dir = p->target.dir, .topic = p->target.topic, .log = &p->log,
		.rotate_records = conf->rotate_records, .rotate_bytes = conf->rotate_bytes,
		.rotate_time_ms = conf->rotate_time_ms, .flush_after_ms = conf->flush_after_ms,
		.is_pipe = p->target.is_pipe,
	};
	rc = dest_file_open(&p->dest, &p->dest_conf, err);
	return rc < 0 ? rc : deliver_open(&p->deliver, p->schema, p->dest, p->target.is_pipe, err);
}

static int open_all(struct program *p, struct err *err)
{
	const struct sink_conf *conf = &p->conf;
	int rc = target_init(&p->target, conf, err);

	if (rc == 0)
		rc = open_dest(p, err);
	if (rc < 0)
		return rc;
	p->bad_conf = (struct bus_conf){ .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms };
	p->in_conf = (struct bus_conf){
		.schema = p->schema, .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms,
		.start = deliver_start, .start_ctx = p->deliver, .assign = conf->assign,
		.until_end = conf->until_end, .time_field = -1,
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

	snprintf(p->format, sizeof(p->format), "avro:%s", p->target.schema);
	log_begin(&line, &p->log, LOG_LEVEL_INFO, "open");
	log_str(&line, "in", p->target.in);
	log_str(&line, "to", p->target.dir);
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

int main(int argc, char **argv)
{
	struct program p = { .log = { "sink", LOG_LEVEL_INFO, STDERR_FILENO } };
	struct opt_list operands = { 0 };
	struct opt_set *set = opt_main(&sink_program, &p.conf, argc, argv, &operands);
	struct err err = { "" };
	int rc;

	if (operands.count == 2 && strcmp(operands.items[0], "verify") == 0) {
		rc = verify_main(&p.log, operands.items[1]);
		opt_close(set);
		return rc;
	}
	if (operands.count || !p.conf.to) {
		fprintf(stderr, "sink: say --to file:DIR, or `verify DIR` (see sink --help)\n");
		opt_close(set);
		return EX_USAGE;
	}
	filter_await();
	rc = open_all(&p, &err);
	if (rc == 0)
		rc = run(&p, &err);
	if (p.dest)
		p.dest->ops->close(p.dest);
	deliver_close(p.deliver);
	bus_close(p.in);
	schema_close(p.schema);
	opt_close(set);
	return filter_exit(&p.log, rc, &err);
}
