/* tool_bus - writes, reads and copies numbered records on any bus, for tests and benches
 *
 *      tool_bus write --url URL --count N     `collected` records m0, m1, ..; prints "durable N"
 *      tool_bus read --url URL                a line each: partition offset key message_id [src]
 *      tool_bus copy --url IN --out OUT       a small filter: `collected` to stamped `enriched`,
 *                                             resumes by stamps, also in a group
 *      tool_bus resume --url URL              "partition next" by stamps, a line each
 *
 * Numbers go to stderr at the end: events, seconds, CPU-seconds and the largest memory. Status as
 * of the programs.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/bus.h"
#include "lib/record.h"
#include "lib/stamp.h"

struct conf {
	const char *url, *out, *schema, *schema_file, *assign, *group;
	int64_t count, first, size, keys, partitions, partition, open_ms, buffer_bytes, start;
	int64_t rate, limit_ms;
	bool until_end, distinct, quiet, spread, each, trickle;
	struct opt_list kafka;
};

#define OPT(n, t, field, def, what) { n, t, offsetof(struct conf, field), def, 0, 0, "X", what }

static const struct opt opts[] = {
	OPT("url", OPT_TEXT, url, NULL, "the bus"),
	OPT("out", OPT_TEXT, out, NULL, "copy: where to"),
	OPT("schema", OPT_TEXT, schema, "collected", "collected or enriched"),
	OPT("schema-file", OPT_TEXT, schema_file, NULL, "read: the reader's .avsc"),
	OPT("count", OPT_COUNT, count, "0", "write so many; read: stop after so many"),
	OPT("first", OPT_COUNT, first, "0", "number of the first record"),
	OPT("size", OPT_COUNT, size, "100", "bytes of a body"),
	OPT("keys", OPT_COUNT, keys, "0", "so many different keys user-0.. ; 0: none"),
	OPT("partitions", OPT_COUNT, partitions, "0", "of a new topic"),
	OPT("spread", OPT_FLAG, spread, NULL, "write: record n to partition n modulo partitions"),
	OPT("each", OPT_FLAG, each, NULL, "write: flush after every record"),
	OPT("rate", OPT_COUNT, rate, "0", "write: so many a second"),
	OPT("limit", OPT_MS, limit_ms, "60s", "write: give up after"),
	OPT("open", OPT_MS, open_ms, "30s", "wait so long for a broker"),
	OPT("trickle", OPT_FLAG, trickle, NULL, "write: do not wait for a broker at open"),
	OPT("buffer", OPT_BYTES, buffer_bytes, "0", "buffer_bytes of the bus"),
	OPT("assign", OPT_TEXT, assign, NULL, "partitions"),
	OPT("group", OPT_TEXT, group, NULL, "consumer group"),
	OPT("start", OPT_COUNT, start, NULL, "read: offset to begin at"),
	OPT("until-end", OPT_FLAG, until_end, NULL, "stop at the end"),
	OPT("distinct", OPT_FLAG, distinct, NULL, "read: drop repeats by stamp"),
	OPT("quiet", OPT_FLAG, quiet, NULL, "read: only count"),
	OPT("kafka", OPT_LIST, kafka, NULL, "librdkafka property"),
	{ 0 },
};

static const struct opt_program program = {
	.name = "tool_bus", .summary = "numbered records on any bus",
	.usage = "write|read|copy|resume --url URL", .opts = opts,
};

static const struct stamp_leaves stamp = { ENRICHED_SRC_PARTITION, ENRICHED_SRC_OFFSET,
					   ENRICHED_SRC_INDEX };

struct tool {
	const struct conf *conf;
	struct bus_conf bus, out;
	struct log log;
	struct schema *schema, *enriched;
	struct bus *in;
	struct bus *to;
	struct err err;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_numbers(int64_t events, double began)
{
	struct rusage use;
	double cpu;

	getrusage(RUSAGE_SELF, &use);
	cpu = (double)use.ru_utime.tv_sec + (double)use.ru_utime.tv_usec / 1e6 +
	      (double)use.ru_stime.tv_sec + (double)use.ru_stime.tv_usec / 1e6;
	fprintf(stderr, "events=%" PRId64 " seconds=%.3f cpu=%.3f rss_kb=%ld\n", events,
		now_s() - began, cpu, use.ru_maxrss);
}

static int say(struct tool *tool, int rc, struct bus *bus)
{
	if (rc < 0 && !tool->err.text[0])
		err_set(&tool->err, rc, "%s", bus && bus_error_text(bus)[0] ? bus_error_text(bus) :
						strerror(-rc));
	return rc;
}

/* --- write --- */

static int make_datum(struct tool *tool, int64_t n, int32_t partition, struct slice body,
		      struct buf *out)
{
	struct value fields[ENRICHED_COUNT];
	char id[32];
	struct value text = value_text((struct slice){ id, (size_t)snprintf(id, sizeof(id),
									     "m%" PRId64, n) });

	memset(fields, 0, sizeof(fields));
	buf_reset(out);
	if (strcmp(tool->conf->schema, "collected") == 0) {
		fields[COLLECTED_MESSAGE_ID] = text;
		fields[COLLECTED_TYPE] = value_text(SLICE("track"));
		fields[COLLECTED_SOURCE] = value_text(SLICE("tool"));
		fields[COLLECTED_RECEIVED_AT] = value_num(n * 1000);
		fields[COLLECTED_DOOR] = value_text(SLICE("tool"));
		fields[COLLECTED_BODY] = value_text(body);
	} else {
		fields[ENRICHED_MESSAGE_ID] = text;
		fields[ENRICHED_TYPE] = value_text(SLICE("track"));
		fields[ENRICHED_EVENT] = value_text(SLICE("Numbered"));
		fields[ENRICHED_PROPERTIES] = value_text(body);
		fields[ENRICHED_SRC_PARTITION] = value_num(partition);
		fields[ENRICHED_SRC_OFFSET] = value_num(n);
	}
	return datum_encode(tool->schema, fields, out);
}

static int put(struct bus *bus, int32_t partition, struct slice key, struct slice value)
{
	int rc;

	while ((rc = bus_write(bus, partition, key, value, NULL)) == -EAGAIN && !stop) {
		rc = bus_release(bus);
		if (rc == 0)
			rc = bus_wait(bus, 1000);
		if (rc)
			return rc;
	}
	return rc;
}

static void print_durable(struct bus *bus, uint64_t *said)
{
	uint64_t durable = bus_durable(bus);

	if (durable == *said)
		return;
	*said = durable;
	printf("durable %" PRIu64 "\n", durable);
	fflush(stdout);
}

/* A fifth of each body is new, which packs about as real events do. */
static void fill(char *body, size_t len, int64_t n)
{
	uint64_t x = (uint64_t)n * 0x9e3779b97f4a7c15u + 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		body[i] = (char)('a' + (x >> 40) % 26);
	}
}

/* Keeps to --rate by waiting on the bus. */
static int pace(struct tool *tool, int64_t done, double began, uint64_t *said)
{
	const struct conf *conf = tool->conf;
	double due;
	int rc = 0;

	if (conf->each)
		rc = bus_flush(tool->to, (int)conf->limit_ms);
	else if (done % 256 == 0 || conf->rate)
		rc = bus_release(tool->to);
	due = conf->rate ? began + (double)done / (double)conf->rate : 0;
	while (rc == 0 && !stop && now_s() < due) {
		struct timespec nap = { 0, 1000000 };

		nanosleep(&nap, NULL);
		rc = bus_error(tool->to);
	}
	if (conf->rate || conf->each)
		print_durable(tool->to, said);
	return rc;
}

static int run_write(struct tool *tool)
{
	const struct conf *conf = tool->conf;
	char *body = malloc((size_t)conf->size + 1);
	struct buf datum = { 0 };
	double began = now_s();
	uint64_t said = 0;
	int64_t i;
	int rc;

	fill(body, (size_t)conf->size, -1);
	rc = bus_open(&tool->to, conf->url, BUS_WRITE, &tool->bus, &tool->err);
	for (i = 0; rc == 0 && i < conf->count && !stop; i++) {
		int64_t n = conf->first + i;
		int partitions = bus_partition_count(tool->to);
		int32_t p = conf->spread ? (int32_t)(n % partitions) : conf->keys ? -1 : 0;
		char key[40];
		int len = 0;

		if (conf->keys)
			len = snprintf(key, sizeof(key), "user-%" PRId64, n % conf->keys);
		fill(body, (size_t)conf->size / 5, n);
		rc = make_datum(tool, n, p, (struct slice){ body, (size_t)conf->size }, &datum);
		if (rc == 0)
			rc = put(tool->to, p, (struct slice){ key, (size_t)len },
				 buf_slice(&datum));
		if (rc == -EMSGSIZE) {
			printf("refused %" PRId64 "\n", n);
			rc = 0;
		}
		if (rc == 0)
			rc = pace(tool, i + 1, began, &said);
	}
	if (rc == 0)
		rc = bus_flush(tool->to, (int)conf->limit_ms);
	if (tool->to)
		print_durable(tool->to, &said);
	say(tool, rc, tool->to);
	print_numbers(i, began);
	buf_close(&datum);
	free(body);
	return rc;
}

/* --- read --- */

static void print_record(const struct tool *tool, const struct bus_record *r)
{
	const struct value *f = r->fields;
	bool is_enriched = tool->schema == tool->enriched;

	printf("%d %" PRId64 " %.*s ", r->partition, r->offset, r->key.len ? (int)r->key.len : 1,
	       r->key.len ? r->key.ptr : "-");
	if (!f) {
		printf("undecodable %" PRId64 " %zu %s\n", r->count, r->raw.len, r->why);
		return;
	}
	printf("%.*s", (int)f[0].text.len, f[0].text.ptr);
	if (is_enriched)
		printf(" %" PRId64 " %" PRId64, f[ENRICHED_SRC_PARTITION].num,
		       f[ENRICHED_SRC_OFFSET].num);
	printf("\n");
}

static int64_t start_at(void *ctx, int32_t partition, struct err *err)
{
	const struct conf *conf = ctx;

	(void)partition;
	(void)err;
	return conf->start;
}

static bool is_repeat(const struct tool *tool, struct stamp_seen *seen,
		      const struct bus_record *record)
{
	const struct value *f = record->fields;

	return tool->conf->distinct && f && tool->schema == tool->enriched &&
	       !stamp_is_new(seen, (int32_t)f[ENRICHED_SRC_PARTITION].num,
			     f[ENRICHED_SRC_OFFSET].num, f[ENRICHED_SRC_INDEX].num);
}

static int run_read(struct tool *tool)
{
	const struct conf *conf = tool->conf;
	struct stamp_seen seen;
	struct bus_record record;
	double began = now_s(), first = 0;
	int64_t count = 0;
	int rc;

	stamp_seen_init(&seen);
	if (conf->start >= 0) {
		tool->bus.start = start_at;
		tool->bus.start_ctx = (void *)(uintptr_t)conf;
	}
	rc = bus_open(&tool->in, conf->url, BUS_READ, &tool->bus, &tool->err);
	while (rc == 0 && !stop && (conf->count == 0 || count < conf->count)) {
		rc = bus_next(tool->in, &record, 100);
		if (rc == 0)
			fflush(stdout);
		if (rc < 1)
			continue;
		rc = 0;
		if (is_repeat(tool, &seen, &record))
			continue;
		if (count++ == 0)
			first = now_s();
		if (!conf->quiet)
			print_record(tool, &record);
	}
	if (rc == -ENODATA)
		rc = 0;
	say(tool, rc, tool->in);
	print_numbers(count, count ? first : began);
	return rc;
}

/* --- copy --- */

/* At each assignment: what this process wrote itself must be in the tail that is looked at. */
static int64_t start_by_stamp(void *ctx, int32_t partition, struct err *err)
{
	struct tool *tool = ctx;
	int64_t next[BUS_PARTITIONS_MAX];
	char only[16];
	struct bus_conf conf = tool->out;
	int rc = bus_flush(tool->to, 30000);

	snprintf(only, sizeof(only), "%d", partition);
	conf.assign = only;
	if (rc == 0)
		rc = stamp_resume(tool->conf->out, &conf, stamp, next, partition + 1, err);
	return rc ? rc : next[partition];
}

static int copy_one(struct tool *tool, const struct bus_record *record, struct buf *datum)
{
	struct value fields[ENRICHED_COUNT];

	if (!record->fields)
		return -EBADMSG;
	memset(fields, 0, sizeof(fields));
	fields[ENRICHED_MESSAGE_ID] = record->fields[COLLECTED_MESSAGE_ID];
	fields[ENRICHED_PROPERTIES] = record->fields[COLLECTED_BODY];
	fields[ENRICHED_SRC_PARTITION] = value_num(record->partition);
	fields[ENRICHED_SRC_OFFSET] = value_num(record->offset);
	buf_reset(datum);
	if (datum_encode(tool->enriched, fields, datum))
		return -ENOSPC;
	return put(tool->to, record->partition, record->key, buf_slice(datum));
}

static int run_copy(struct tool *tool)
{
	struct buf datum = { 0 };
	struct bus_record record;
	double began = now_s();
	int64_t count = 0;
	int rc;

	tool->bus.start = start_by_stamp;
	tool->bus.start_ctx = tool;
	rc = bus_open(&tool->in, tool->conf->url, BUS_READ, &tool->bus, &tool->err);
	if (rc == 0)
		rc = bus_open(&tool->to, tool->conf->out, BUS_WRITE, &tool->out, &tool->err);
	while (rc == 0 && !stop) {
		rc = bus_next(tool->in, &record, 10);
		if (rc == 0)
			rc = bus_release(tool->to);
		if (rc == 1) {
			rc = copy_one(tool, &record, &datum);
			count++;
			if (rc == 0 && count % 64 == 0)
				rc = bus_release(tool->to);
			if (rc == 0 && count % 64 == 0)
				bus_commit_offset(tool->in, record.partition, record.offset + 1);
		}
	}
	if (rc == 0 || rc == -ENODATA)
		rc = bus_flush(tool->to, (int)tool->conf->limit_ms);
	say(tool, rc, tool->in && bus_error(tool->in) ? tool->in : tool->to);
	print_numbers(count, began);
	buf_close(&datum);
	return rc;
}

static int run_resume(struct tool *tool)
{
	int64_t next[BUS_PARTITIONS_MAX];
	int count = tool->conf->partitions ? (int)tool->conf->partitions : 1;
	int rc = stamp_resume(tool->conf->url, &tool->out, stamp, next, count, &tool->err);

	for (int p = 0; rc == 0 && p < count; p++)
		printf("%d %" PRId64 "\n", p, next[p]);
	return rc;
}

static int run(struct tool *tool, const char *mode)
{
	if (strcmp(mode, "write") == 0)
		return run_write(tool);
	if (strcmp(mode, "read") == 0)
		return run_read(tool);
	if (strcmp(mode, "copy") == 0)
		return run_copy(tool);
	if (strcmp(mode, "resume") == 0)
		return run_resume(tool);
	return err_set(&tool->err, -EINVAL, "write, read, copy or resume");
}

/* NULL: it cannot be read. */
static struct schema *schema_of_file(const char *path)
{
	struct schema *schema = NULL;
	char text[65536];
	FILE *file = fopen(path, "re");
	size_t len = file ? fread(text, 1, sizeof(text), file) : 0;

	if (file)
		fclose(file);
	return schema_parse(&schema, (struct slice){ text, len }, NULL) == 0 ? schema : NULL;
}

int main(int argc, char **argv)
{
	struct conf conf = { .start = -1 };
	struct opt_list operands = { 0 };
	struct opt_set *set = opt_main(&program, &conf, argc, argv, &operands);
	struct tool tool = {
		.conf = &conf,
		.log = { "tool_bus", LOG_LEVEL_INFO, 2 },
		.enriched = record_schema("enriched"),
		.schema = strcmp(conf.schema, "enriched") ? record_schema("collected") : NULL,
		.err = { "" },
	};
	int rc;

	if (!tool.schema)
		tool.schema = tool.enriched;
	if (conf.schema_file) {
		if (tool.schema != tool.enriched)
			schema_close(tool.schema);
		tool.schema = schema_of_file(conf.schema_file);
	}
	tool.bus = (struct bus_conf){
		.schema = tool.schema, .log = &tool.log, .assign = conf.assign, .group = conf.group,
		.until_end = conf.until_end, .partitions = (int)conf.partitions,
		.buffer_bytes = conf.buffer_bytes, .kafka = &conf.kafka,
		.open_ms = conf.trickle ? -1 : (int)conf.open_ms,
	};
	tool.out = tool.bus;
	tool.out.schema = tool.enriched;
	tool.out.assign = tool.out.group = NULL;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	rc = operands.count == 1 && conf.url ? run(&tool, operands.items[0]) :
	     err_set(&tool.err, -EINVAL, "tool_bus write|read|copy|resume --url URL");
	bus_close(tool.to);
	bus_close(tool.in);
	fflush(stdout);
	if (rc < 0)
		log_words(&tool.log, LOG_LEVEL_ERROR, "exit", "%s", tool.err.text);
	if (tool.schema != tool.enriched)
		schema_close(tool.schema);
	schema_close(tool.enriched);
	opt_close(set);
	return err_exit_status(rc);
}
