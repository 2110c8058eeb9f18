/* enrich - add what can be known to each collected event
 *
 *      collected --> seen before? --> step, step, step (chain.h) --> enriched
 *                       |                 `-----> bad (bytes, reason)
 *                       `-> dropped, counted
 *
 * A pure function of (record, settings, data files): a replay gives the same bytes. Run again
 * after a crash, it goes on behind the last record of its own output.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sysexits.h>
#include <time.h>

#include "enrich/diff.h"
#include "enrich/enrich.h"
#include "enrich/verify.h"

struct program {
	struct enrich_conf conf;
	struct enrich_urls urls;
	struct log log;
	struct schema *collected, *enriched;
	struct bus_conf in_conf, out_conf, bad_conf;
	struct bus *in, *out;
	struct enrich *enrich;
};

/* The output needs as many partitions as the input has: wait for collect to make the topic.
 * A signal ends the program here (filter_await), as nothing was begun. */
static int open_out(struct program *p, struct err *err)
{
	const struct timespec pause = { 0, 50000000 };
	int count, own, rc;

	if (bus_partition_count(p->in) == 0)
		log_words(&p->log, LOG_LEVEL_INFO, "waiting", "%s is not there yet", p->urls.in);
	while ((count = bus_partition_count(p->in)) == 0) {
		if (p->conf.until_end)
			return err_set(err, -ENOENT, "%s: there is no such topic", p->urls.in);
		nanosleep(&pause, NULL);
	}
	if (count < 0)
		return err_set(err, count, "%s: %s", p->urls.in, bus_error_text(p->in));
	p->out_conf.partitions = count;
	rc = bus_open(&p->out, p->urls.out, BUS_WRITE, &p->out_conf, err);
	if (rc < 0)
		return rc;
	own = bus_partition_count(p->out);
	if (own != count && strcmp(p->urls.out, "-") != 0)
		return err_set(err, -EINVAL, "%s has %d partitions and %s %d: they must be equal; "
			       "write to a new topic", p->urls.out, own, p->urls.in, count);
	return 0;
}

static int open_all(struct program *p, struct err *err)
{
	const struct enrich_conf *conf = &p->conf;
	int rc = enrich_urls(conf, &p->urls, err);

	p->collected = record_schema("collected");
	p->enriched = record_schema("enriched");
	p->out_conf = (struct bus_conf){
		.schema = p->enriched, .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms,
		.segment_bytes = conf->segment_bytes, .retain_bytes = conf->retain_bytes,
		.retain_ms = conf->retain_ms, .time_field = ENRICHED_RECEIVED_AT,
	};
	p->bad_conf = (struct bus_conf){ .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms };
	if (rc == 0)
		rc = enrich_open(&p->enrich, conf, p->urls.out, &p->out_conf, err);
	p->in_conf = (struct bus_conf){
		.schema = p->collected, .log = &p->log, .kafka = &conf->kafka,
		.open_ms = (int)conf->open_ms,
		.start = enrich_start, .start_ctx = p->enrich, .assign = conf->assign,
		.group = conf->group, .until_end = conf->until_end || conf->to_time,
		.stop = enrich_stop,
		.time_field = COLLECTED_RECEIVED_AT,
	};
	if (rc == 0)
		rc = enrich_replay_open(p->enrich, p->urls.in, &p->in_conf, err);
	if (rc < 0 || conf->verify)
		return rc;
	rc = bus_open(&p->in, p->urls.in, BUS_READ, &p->in_conf, err);
	return rc == 0 ? open_out(p, err) : rc;
}

static void log_open(const struct program *p)
{
	struct log_line line;

	log_begin(&line, &p->log, LOG_LEVEL_INFO, "open");
	log_str(&line, "in", p->urls.in);
	log_str(&line, "out", p->urls.out);
	log_str(&line, "bad", p->urls.bad);
	log_num(&line, "partitions", p->out_conf.partitions);
	log_num(&line, "dedup_window_ms", p->conf.dedup_window_ms);
	log_str(&line, "logic", enrich_logic(p->enrich));
	log_end(&line);
}

static int run(struct program *p, struct err *err)
{
	struct filter_conf conf = {
		.program = "enrich", .log = &p->log, .in = p->in, .out = p->out,
		.bad_url = p->urls.bad, .bad_conf = &p->bad_conf, .metrics = p->conf.metrics,
		.input_format = "avro:collected", .in_schema = p->collected,
	};

	log_open(p);
	return filter_run(&conf, &enrich_ops, p->enrich, err);
}

/* --verify: the output's topic is named without ?partition= as it is read. */
static int verify(struct program *p, struct err *err)
{
	struct verify_counts c;
	struct log_line line;
	int rc;

	p->urls.out[strcspn(p->urls.out, "?")] = '\0';
	rc = verify_run(p->enrich, &p->conf, p->urls.in, &p->in_conf, p->urls.out, &p->out_conf, &c,
			err);
	log_begin(&line, &p->log, rc < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "verify");
	log_num(&line, "equal", c.equal);
	log_num(&line, "changed", c.changed);
	log_num(&line, "missing", c.missing);
	log_num(&line, "extra", c.extra);
	log_num(&line, "other_logic", c.other_logic);
	log_num(&line, "unsure", c.unsure);
	log_num(&line, "gone", c.gone);
	log_end(&line);
	return rc;
}

/* enrich diff A B: 0 same, 1 different, else as usual. */
static int diff(struct program *p, const struct opt_list *operands)
{
	struct err err = { "" };
	struct diff_counts c;
	int rc;

	if (operands->count != 3 || strcmp(operands->items[0], "diff") != 0) {
		log_words(&p->log, LOG_LEVEL_ERROR, "exit", "unexpected '%.40s': only `diff A B` "
			  "has operands (see enrich --help)", operands->items[0]);
		return EX_USAGE;
	}
	p->enriched = record_schema("enriched");
	p->out_conf = (struct bus_conf){ .schema = p->enriched, .log = &p->log,
					 .kafka = &p->conf.kafka,
					 .open_ms = (int)p->conf.open_ms };
	rc = diff_run(operands->items[1], operands->items[2], &p->out_conf, p->conf.show, 1, &c,
		      &err);
	schema_close(p->enriched);
	if (rc < 0)
		return filter_exit(&p->log, rc, &err);
	return c.changed || c.missing || c.added;
}

int main(int argc, char **argv)
{
	struct program p = { .log = { "enrich", LOG_LEVEL_INFO, 2 } };
	struct opt_list operands;
	struct opt_set *set = opt_main(&enrich_program, &p.conf, argc, argv, &operands);
	struct err err = { "" };
	int rc;

	if (operands.count) {
		rc = diff(&p, &operands);
		opt_close(set);
		return rc;
	}
	filter_await();
	rc = open_all(&p, &err);
	if (rc == 0)
		rc = p.conf.verify ? verify(&p, &err) : run(&p, &err);
	bus_close(p.in);
	bus_close(p.out);
	enrich_close(p.enrich);
	schema_close(p.collected);
	schema_close(p.enriched);
	opt_close(set);
	return filter_exit(&p.log, rc, &err);
}
