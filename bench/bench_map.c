/* bench_map - from a record's bytes to the bytes of a request: events per CPU-second, by kind
 *
 *      bench_map BUS DIR NAME..        destinations DIR/destinations/NAME.yaml; `file`: JSON lines
 *
 * Decodes each record, maps it and builds requests of up to 200 events, or writes its line; nothing
 * is sent. CPU time, the best of five rounds over all records of the bus. bench_map.sh runs it next
 * to Segment's own mapping.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/bus.h"
#include "lib/record.h"
#include "sink/encoder.h"
#include "sink/guard.h"
#include "sink/mapper.h"

#define ROUNDS 5

struct bench {
	struct schema *schema;
	struct datum_reader *reader;
	struct value fields[ENRICHED_COUNT];
	struct buf datums;
	size_t *ends, count, cap, bytes;
	atomic_bool stop;
};

_Noreturn static void die(const char *what, const char *words)
{
	fprintf(stderr, "bench_map: %s: %s\n", what, words);
	exit(1);
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void load(struct bench *b, const char *url)
{
	struct bus_conf conf = { .schema = b->schema, .until_end = true };
	struct bus_record record;
	struct err err = { "" };
	struct bus *bus;
	int rc;

	if (bus_open(&bus, url, BUS_READ, &conf, &err) < 0)
		die(url, err.text);
	while ((rc = bus_next(bus, &record, 1000)) > 0) {
		if (!record.fields ||
		    slice_is(value_slice(&record.fields[ENRICHED_TYPE]), RECORD_TYPE_MARKER))
			continue;
		if (b->count == b->cap) {
			b->cap = b->cap ? b->cap * 2 : 4096;
			b->ends = reallocarray(b->ends, b->cap, sizeof(*b->ends));
			if (!b->ends)
				die(url, "no memory");
		}
		if (datum_encode(b->schema, record.fields, &b->datums) < 0)
			die(url, "no memory");
		b->ends[b->count++] = b->datums.len;
	}
	if (rc != -ENODATA)
		die(url, bus_error_text(bus));
	bus_close(bus);
}

static const struct value *decode(struct bench *b, size_t i)
{
	size_t from = i ? b->ends[i - 1] : 0;
	struct slice datum = { b->datums.ptr + from, b->ends[i] - from };

	if (datum_decode(b->reader, datum, b->fields) < 0)
		die("decode", "a record");
	return b->fields;
}

static void write_lines(struct bench *b)
{
	struct encoder_conf conf = { .schema = b->schema, .format = FILE_FORMAT_JSONL };
	struct file_name name = { .topic = "enriched", .last = -1 };
	struct encoder *encoder;
	struct buf out = { 0 };
	struct err err = { "" };

	if (encoder_open(&encoder, &conf, &err) < 0 || encoder_begin(encoder, &name, &out) < 0)
		die("file", err.text);
	b->bytes = 0;
	for (size_t i = 0; i < b->count; i++) {
		if (encoder_put(encoder, decode(b, i), &out) < 0)
			die("file", "encode");
		if (out.len > 256 << 10 || i + 1 == b->count) {
			b->bytes += out.len;
			buf_reset(&out);
		}
	}
	encoder_close(encoder);
	buf_close(&out);
}

struct pile {
	struct buf payloads;
	struct dest_item items[2000];
	const struct dest_item *list[2000];
	size_t begins[2000], count;
};

static void build(struct bench *b, const struct setup *setup, struct dest *dest,
		  struct pile *pile, struct post_request *request)
{
	struct dest_batch batch = { .items = pile->list, .count = pile->count, .attempt = 1,
				    .is_batch = setup->limits.items > 1, .key = "key" };

	for (size_t i = 0; i < pile->count; i++)
		pile->items[i].payload.ptr = pile->payloads.ptr + pile->begins[i];
	post_request_reset(request);
	if (pile->count && setup->kind->build(dest, &batch, request) < 0)
		die(setup->name, "build");
	b->bytes += request->body.len;
	pile->count = 0;
	buf_reset(&pile->payloads);
}

static void map_all(struct bench *b, const struct setup *setup, struct dest *dest,
		    struct mapper *mapper, struct pile *pile, struct post_request *request)
{
	size_t most = setup->limits.items < 1000 ? setup->limits.items : 1000;
	struct mapper_result result;
	struct err err = { "" };

	b->bytes = 0;
	for (size_t i = 0; i < b->count; i++) {
		if (mapper_run(mapper, decode(b, i), 0, (int64_t)i, &result, &err) < 0)
			die(setup->name, err.text);
		for (size_t p = 0; p < result.part_count; p++) {
			size_t n = pile->count++;

			pile->begins[n] = pile->payloads.len;
			buf_append(&pile->payloads, result.payloads->ptr + result.parts[p].begin,
				   result.parts[p].len);
			pile->items[n] = (struct dest_item){
				.payload = { NULL, result.parts[p].len },
				.message_id = result.message_id };
			pile->list[n] = &pile->items[n];
			if (pile->count >= most)
				build(b, setup, dest, pile, request);
		}
	}
	build(b, setup, dest, pile, request);
}

static void map_kind(struct bench *b, const char *dir, const char *name, double *best)
{
	struct post_request *request = calloc(1, sizeof(*request));
	struct pile *pile = calloc(1, sizeof(*pile));
	struct guard guard = { NULL };
	struct dest_env env = { .name = name, .schema = b->schema, .topic = "enriched",
				.stop = &b->stop, .guard = &guard, .timeout_ms = 1000 };
	struct mapper *mapper;
	struct setup *setup = NULL;
	struct err err = { "" };
	struct dest *dest;

	if (!request || !pile || setup_open(&setup, dir, name, &err) < 0)
		die(name, err.text);
	env.conf = setup->conf;
	if (setup->kind->open(&dest, &env, &err) < 0 ||
	    mapper_open(&mapper, setup, dest, b->schema, "enriched", &err) < 0)
		die(name, err.text);
	for (int round = 0; round < ROUNDS; round++) {
		double start = cpu_seconds(), used;

		map_all(b, setup, dest, mapper, pile, request);
		used = cpu_seconds() - start;
		*best = used < *best ? used : *best;
	}
	mapper_close(mapper);
	setup->kind->close(dest);
	setup_close(setup);
	post_request_close(request);
	buf_close(&pile->payloads);
	free(request);
	free(pile);
}

int main(int argc, char **argv)
{
	struct bench b = { .datums = { .limit = (size_t)4 << 30 } };
	struct err err = { "" };

	if (argc < 4) {
		printf("# bench_map.sh runs it\n");
		return 0;
	}
	b.schema = schema_own("enriched");
	if (!b.schema || datum_reader_open(&b.reader, b.schema, b.schema, &err) < 0)
		die("schema", err.text);
	load(&b, argv[1]);
	for (int i = 3; i < argc; i++) {
		double best = 1e9;

		for (int round = 0; strcmp(argv[i], "file") == 0 && round < ROUNDS; round++) {
			double start = cpu_seconds(), used;

			write_lines(&b);
			used = cpu_seconds() - start;
			best = used < best ? used : best;
		}
		if (strcmp(argv[i], "file") != 0)
			map_kind(&b, argv[2], argv[i], &best);
		printf("%-28s %9.0f events/CPU-s %8.1f MB/CPU-s %6zu B/event\n", argv[i],
		       (double)b.count / best, (double)b.bytes / best / 1e6,
		       b.bytes / (b.count ? b.count : 1));
	}
	datum_reader_close(b.reader);
	schema_close(b.schema);
	buf_close(&b.datums);
	free(b.ends);
	return 0;
}
