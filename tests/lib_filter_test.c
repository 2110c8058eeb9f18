// SPDX-License-Identifier: Apache-2.0
/* The loop on a real log: what becomes of records, bad ones once, signals, errors, a small
 * buffer. */
#include "lib/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/record.h"
#include "lib/when.h"
#include "tests/tap.h"

#define TIME_US INT64_C(1700000000000000)

/* A step that does what the record's type says. */
struct bench {
	struct tap tap;
	char dir[64], in_url[128], out_url[128], bad_url[128];
	struct schema *collected, *enriched, *bad;
	struct bus_conf in_conf, out_conf, bad_conf;
	struct buf datum;
	/* of the run */
	volatile sig_atomic_t stop;
	int commits, idles, reloads, begun, endings;
	int stop_after;                 /* records; 0: never */
	int raise_after, raise;
	int raise_again;                /* in the last commit */
	int steps;
	int pad;                        /* bytes added to each output record */
	size_t agent_bytes;             /* of the user agent in the inputs */
	bool later_is_bad;              /* the settings of a later run */
	bool pending_settled;
	bool metrics_ok;
	struct ledger ledger;
};

static int bench_step(void *ctx, struct filter *filter, const struct bus_record *record,
		      struct err *err)
{
	struct bench *b = ctx;
	struct slice type = value_slice(&record->fields[COLLECTED_TYPE]);
	struct value out[ENRICHED_COUNT] = { { .is_set = false } };
	int rc;

	b->steps++;
	if (b->steps == b->stop_after)
		b->stop = 1;
	if (b->steps == b->raise_after)
		kill(getpid(), b->raise);
	if (slice_is(type, "fatal"))
		return err_set(err, -EPROTO, "a step that fails");
	if (slice_is(type, "bad") || (slice_is(type, "later") && b->later_is_bad))
		return filter_bad(filter, record, "no_good", "words \xff of it", "/x");
	if (slice_is(type, "duplicate"))
		return FILTER_DUPLICATE;
	if (slice_is(type, "filtered"))
		return FILTER_FILTERED;
	if (slice_is(type, "pending"))
		return FILTER_PENDING;
	out[ENRICHED_SRC_PARTITION] = value_num(record->partition);
	out[ENRICHED_SRC_OFFSET] = value_num(record->offset);
	if (b->pad) {
		char *pad = malloc((size_t)b->pad);

		memset(pad, 'x', (size_t)b->pad);
		out[ENRICHED_PROPERTIES] = value_text((struct slice){ pad, (size_t)b->pad });
		buf_reset(&b->datum);
		rc = datum_encode(b->enriched, out, &b->datum);
		free(pad);
	} else {
		buf_reset(&b->datum);
		rc = datum_encode(b->enriched, out, &b->datum);
	}
	if (rc == 0)
		rc = filter_emit(filter, record->partition, (struct slice){ "", 0 },
				 buf_slice(&b->datum));
	return rc < 0 ? rc : FILTER_OUT;
}

static int bench_commit(void *ctx, struct filter *filter, bool idle, struct err *err)
{
	struct bench *b = ctx;
	struct buf text = { 0 };

	(void)err;
	b->commits++;
	b->idles += idle;
	b->endings += filter_is_ending(filter);
	if (filter_is_ending(filter) && b->raise_again)
		kill(getpid(), b->raise_again);
	b->ledger = *filter_ledger(filter);
	if (filter_is_ending(filter) && b->ledger.pending) {
		filter_settle(filter, FILTER_OUT, b->ledger.pending);
		b->pending_settled = true;
		b->ledger = *filter_ledger(filter);
	}
	metric_print(filter_metrics(filter), &text);
	buf_append_char(&text, 0);
	b->metrics_ok = strstr(text.ptr, "millrace_bench_records_in_total") &&
			strstr(text.ptr, "millrace_bench_records_bad_total") &&
			strstr(text.ptr, "millrace_bench_lag_records{partition=\"0\"}") &&
			strstr(text.ptr, "bench_own");
	buf_close(&text);
	return 0;
}

static int bench_reload(void *ctx, struct err *err)
{
	struct bench *b = ctx;

	b->reloads++;
	return b->reloads > 1 ? err_set(err, -EINVAL, "not the second time") : 0;
}

static int bench_begin(void *ctx, struct filter *filter, struct err *err)
{
	struct bench *b = ctx;

	(void)err;
	b->begun++;
	metric_add(filter_metrics(filter), METRIC_GAUGE, "bench_own", "", "Own.");
	return 0;
}

static const struct filter_ops bench_ops = {
	.step = bench_step, .commit = bench_commit, .reload = bench_reload, .begin = bench_begin,
};

static void bench_topic(struct bench *b, const char *name)
{
	snprintf(b->in_url, sizeof(b->in_url), "log:%s/%s-in", b->dir, name);
	snprintf(b->out_url, sizeof(b->out_url), "log:%s/%s-out", b->dir, name);
	snprintf(b->bad_url, sizeof(b->bad_url), "log:%s/%s-bad?partition=1", b->dir, name);
}

static void write_inputs(struct bench *b, const char *const *types, int count, int times)
{
	struct bus_conf conf = { .schema = b->collected };
	struct bus *bus = NULL;
	struct err err = { "" };
	char *agent = calloc(1, b->agent_bytes + 1);
	int rc = bus_open(&bus, b->in_url, BUS_WRITE, &conf, &err);

	memset(agent, 'A', b->agent_bytes);

	for (int i = 0; rc == 0 && i < count * times; i++) {
		struct value fields[COLLECTED_COUNT] = {
			[COLLECTED_MESSAGE_ID] = value_text(SLICE("m")),
			[COLLECTED_TYPE] = value_text(slice_from(types[i % count])),
			[COLLECTED_SOURCE] = value_text(SLICE("web")),
			[COLLECTED_RECEIVED_AT] = value_num(TIME_US),
			[COLLECTED_IP] = value_text(SLICE("192.0.2.1")),
			[COLLECTED_USER_AGENT] = { .text = { agent, b->agent_bytes },
						   .is_set = b->agent_bytes > 0 },
		};

		buf_reset(&b->datum);
		rc = datum_encode(b->collected, fields, &b->datum);
		while (rc == 0 && (rc = bus_write(bus, 0, (struct slice){ "", 0 },
						  buf_slice(&b->datum), NULL)) == -EAGAIN) {
			rc = bus_release(bus);
			if (rc == 0)
				rc = bus_wait(bus, 100);
		}
	}
	if (rc == 0)
		rc = bus_flush(bus, 10000);
	bus_close(bus);
	free(agent);
	OK(&b->tap, rc == 0, "input written%s%s", rc ? ": " : "", err.text);
}

static int run(struct bench *b, const char *bad_url, int64_t buffer_bytes, struct err *err)
{
	const struct log log = { "bench", LOG_LEVEL_WARN, 2 };
	struct filter_conf conf = { .program = "bench", .log = &log, .bad_url = bad_url,
				    .bad_conf = &b->bad_conf, .input_format = "avro:collected",
				    .in_schema = b->collected, .stop = &b->stop };
	int rc;

	*err = (struct err){ "" };
	b->stop = 0;
	b->steps = b->commits = b->idles = b->endings = 0;
	b->out_conf.buffer_bytes = buffer_bytes;
	rc = bus_open(&conf.out, b->out_url, BUS_WRITE, &b->out_conf, err);
	if (rc == 0)
		rc = bus_open(&conf.in, b->in_url, BUS_READ, &b->in_conf, err);
	if (rc == 0)
		rc = filter_run(&conf, &bench_ops, b, err);
	bus_close(conf.in);
	bus_close(conf.out);
	return rc;
}

/* Records of a topic; `each` may be NULL. */
static int count_records(struct bench *b, const char *url, const struct schema *schema,
			 void (*each)(struct bench *b, const struct bus_record *record))
{
	struct bus_conf conf = { .schema = schema, .until_end = true };
	char topic[128];
	struct bus *bus = NULL;
	struct bus_record record;
	int rc, count = 0;

	snprintf(topic, sizeof(topic), "%.*s", (int)strcspn(url, "?"), url);
	rc = bus_open(&bus, topic, BUS_READ, &conf, NULL);
	while (rc >= 0 && (rc = bus_next(bus, &record, 1000)) >= 0) {
		count += rc;
		if (rc == 1 && each)
			each(b, &record);
	}
	bus_close(bus);
	return count;
}

static void check_bad_record(struct bench *b, const struct bus_record *record)
{
	const struct value *f = record->fields;

	if (record->offset != 0)
		return;
	OK(&b->tap,
	   slice_is(f[BAD_STAGE].text, "bench") && slice_is(f[BAD_REASON].text, "no_good") &&
		   slice_is(f[BAD_WORDS].text, "words \xef\xbf\xbd of it") &&
		   slice_is(f[BAD_AT].text, "/x") && slice_is(f[BAD_FORMAT].text, "avro:collected"),
	   "bad says stage, reason, words, place and format");
	OK(&b->tap, f[BAD_SRC_PARTITION].num == 0 && f[BAD_SRC_OFFSET].num == 1 &&
	   f[BAD_SRC_COUNT].num == 1 && f[BAD_RECEIVED_AT].num == TIME_US &&
	   slice_is(value_slice(&f[BAD_SOURCE]), "web") &&
	   slice_is(value_slice(&f[BAD_IP]), "192.0.2.1") && !f[BAD_USER_AGENT].is_set,
	   "and where it came from");
	OK(&b->tap, f[BAD_ORIGINAL].text.len > 10 && record->partition == 1,
	   "with the bytes, in its own partition");
}

static void check_fates(struct bench *b)
{
	static const char *const types[] = { "out", "bad", "duplicate", "filtered", "pending" };
	struct err err;
	int rc;

	bench_topic(b, "fates");
	write_inputs(b, types, 5, 1000);
	b->in_conf.until_end = true;
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == 0, "the end of input is no error: %d %s", rc, err.text);
	OK(&b->tap, b->steps == 5000 && b->ledger.in == 5000 && b->ledger.out == 2000 &&
	   b->ledger.bad == 1000 && b->ledger.duplicate == 1000 && b->ledger.filtered == 1000 &&
	   b->ledger.pending == 0 && ledger_holds(&b->ledger), "the ledger adds up");
	OK(&b->tap, b->pending_settled && b->endings == 1 && b->begun == 1 && b->metrics_ok,
	   "began once, ended once, settled, metrics named");
	OK(&b->tap, count_records(b, b->out_url, b->enriched, NULL) == 1000,
	   "1,000 records in out");
	OK(&b->tap, count_records(b, b->bad_url, b->bad, check_bad_record) == 1000,
	   "1,000 records in bad");
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == 0 && b->ledger.bad == 1000, "the input again: counted again");
	OK(&b->tap, count_records(b, b->bad_url, b->bad, NULL) == 1000,
	   "but what bad held already was not written again");
}

static void check_no_bad(struct bench *b)
{
	static const char *const types[] = { "out", "bad" };
	struct err err;
	int rc;

	bench_topic(b, "nobad");
	write_inputs(b, types, 2, 1);
	rc = run(b, NULL, 0, &err);
	OK(&b->tap, rc == -EBADMSG && strstr(err.text, "--bad"), "no bad topic: %s", err.text);
	bench_topic(b, "onlygood");
	write_inputs(b, types, 1, 3);
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == 0 && access(b->bad_url + 4, F_OK) < 0, "no bad record, no bad topic");
}

static void check_fatal(struct bench *b)
{
	static const char *const types[] = { "out", "fatal" };
	struct err err;
	int rc;

	bench_topic(b, "fatal");
	write_inputs(b, types, 2, 1);
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == -EPROTO && strcmp(err.text, "a step that fails") == 0,
	   "a step's failure ends it with its words: %s", err.text);
}

static void check_stop(struct bench *b)
{
	static const char *const types[] = { "out" };
	struct err err;
	int rc;

	bench_topic(b, "stop");
	write_inputs(b, types, 1, 10000);
	b->in_conf.until_end = false;
	b->stop_after = 10;
	rc = run(b, b->bad_url, 0, &err);
	b->stop_after = 0;
	OK(&b->tap, rc == 0 && b->steps >= 10 && b->steps <= 2 * FILTER_BATCH_MAX &&
	   b->endings == 1, "stops after a batch: %d steps", b->steps);
	OK(&b->tap, count_records(b, b->out_url, b->enriched, NULL) == b->steps,
	   "and all that was stepped is durable");
	b->raise = SIGTERM;
	b->raise_after = 100;
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == 0 && b->steps >= 100 && b->steps <= 2 * FILTER_BATCH_MAX,
	   "SIGTERM likewise: %d steps", b->steps);
	b->raise_again = SIGTERM;
	rc = run(b, b->bad_url, 0, &err);
	b->raise_again = 0;
	OK(&b->tap, rc == 0 && b->endings == 1, "a second one at once is the same again");
	b->raise = SIGHUP;
	b->in_conf.until_end = true;
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == 0 && b->reloads == 1 && b->steps == 10000, "SIGHUP reloads, goes on");
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == 0 && b->reloads == 2 && b->steps == 10000,
	   "a reload that fails changes nothing");
	b->raise_after = 0;
}

static void check_small_buffer(struct bench *b)
{
	static const char *const types[] = { "out", "out", "bad" };
	struct err err;
	int rc;

	bench_topic(b, "small");
	write_inputs(b, types, 3, 500);
	b->in_conf.until_end = true;
	b->pad = 20000;
	rc = run(b, b->bad_url, 1 << 20, &err);
	b->pad = 0;
	OK(&b->tap, rc == 0 && b->ledger.out == 1000 && b->ledger.bad == 500,
	   "batches of 20 MB through a buffer of 1 MiB: %s", err.text);
	OK(&b->tap, count_records(b, b->out_url, b->enriched, NULL) == 1000, "all there");
}

/* Other settings make other records bad: what is below the last one written may not be written. */
static void check_bad_exact(struct bench *b)
{
	static const char *const types[] = { "out", "later", "bad" };
	struct err err;
	int rc;

	bench_topic(b, "exact");
	write_inputs(b, types, 3, 10);
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == 0 && count_records(b, b->bad_url, b->bad, NULL) == 10, "ten are bad");
	b->later_is_bad = true;
	rc = run(b, b->bad_url, 0, &err);
	b->later_is_bad = false;
	OK(&b->tap, rc == 0 && count_records(b, b->bad_url, b->bad, NULL) == 20,
	   "ten more by other settings, each once");
}

/* Two programs by hand under one --bus: the second takes the next partition that is free. */
static void check_bad_free(struct bench *b)
{
	static const char *const types[] = { "bad" };
	struct bus_conf conf = { .schema = b->bad };
	struct bus *other = NULL;
	struct err err = { "" };
	char url[200], taken[160];
	int rc;

	bench_topic(b, "free");
	snprintf(taken, sizeof(taken), "log:%s/free-bad?partition=2", b->dir);
	snprintf(url, sizeof(url), "%s+", taken);
	write_inputs(b, types, 1, 3);
	rc = bus_open(&other, taken, BUS_WRITE, &conf, &err);
	OK(&b->tap, rc == 0 && run(b, taken, 0, &err) == -EBUSY, "a partition has one writer");
	rc = run(b, url, 0, &err);
	snprintf(taken, sizeof(taken), "%s/free-bad/3", b->dir);
	OK(&b->tap, rc == 0 && access(taken, F_OK) == 0, "2+ is 3 where 2 is taken: %s", err.text);
	OK(&b->tap, count_records(b, b->bad_url, b->bad, NULL) == 3,
	   "and it is read as the others");
	rc = run(b, url, 0, &err);
	OK(&b->tap, rc == 0 && count_records(b, b->bad_url, b->bad, NULL) == 3, "not twice");
	bus_close(other);
}

/* A bad record has to fit, whatever its headers are: else the filter would wait for ever. */
static void check_bad_huge(struct bench *b)
{
	static const char *const types[] = { "bad" };
	struct err err;
	int rc;

	bench_topic(b, "huge");
	b->agent_bytes = 700000;
	write_inputs(b, types, 1, 1);
	b->agent_bytes = 0;
	rc = run(b, b->bad_url, 0, &err);
	OK(&b->tap, rc == 0 && count_records(b, b->bad_url, b->bad, NULL) == 1,
	   "a bad record with a user agent of 700,000 bytes fits: %s", err.text);
}

int main(void)
{
	struct bench b = { .dir = "/tmp/millrace-filter-XXXXXX" };
	char command[128];

	if (!mkdtemp(b.dir))
		return 1;
	b.collected = record_schema("collected");
	b.enriched = record_schema("enriched");
	b.bad = record_schema("bad");
	b.in_conf.schema = b.collected;
	b.out_conf.schema = b.enriched;
	check_fates(&b);
	check_no_bad(&b);
	check_fatal(&b);
	check_stop(&b);
	check_bad_exact(&b);
	check_bad_huge(&b);
	check_bad_free(&b);
	check_small_buffer(&b);
	OK(&b.tap, filter_exit(NULL, 0, &(struct err){ "" }) == 0 &&
	   filter_exit(NULL, -EINVAL, &(struct err){ "x" }) == 78, "exit statuses");
	schema_close(b.collected);
	schema_close(b.enriched);
	schema_close(b.bad);
	buf_close(&b.datum);
	snprintf(command, sizeof(command), "rm -rf '%s'", b.dir);
	return system(command) ? 1 : tap_end(&b.tap);
}
