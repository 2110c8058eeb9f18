/* bench_bus - the log's append and scan, next to the disk's own speed
 *
 *      bench_bus DIR [EVENTS] [PARTITIONS]     codec table first: CPU and size per codec and level
 *
 * Records are `enriched` ones of about 900 bytes whose texts vary as real ones do: few browsers,
 * hosts and events, many ids, times and amounts.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/block.h"
#include "lib/bus.h"

#define SAMPLES 20000

struct samples {
	struct schema *schema;
	struct buf bytes;
	struct slice at[SAMPLES];
};

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void set_text(struct samples *s, struct value *fields, const char *name, const char *text)
{
	int i = schema_find(s->schema, name);

	if (i >= 0)
		fields[i] = value_text(slice_from(text));
}

static void set_num(struct samples *s, struct value *fields, const char *name, int64_t num)
{
	int i = schema_find(s->schema, name);

	if (i >= 0)
		fields[i] = value_num(num);
}

static void make_one(struct samples *s, uint64_t *state, int64_t i)
{
	static const char *const events[] = {
	    "Product Viewed",      "Product Added",    "Page",
	    "Order Completed",     "Checkout Started", "Products Searched",
	    "Product List Viewed", "Signed Up"};
	static const char *const browsers[] = { "Chrome", "Mobile Safari", "Firefox", "Edge" };
	static const char *const systems[] = { "Windows", "iOS", "Mac OS X", "Android", "Linux" };
	static const char *const cities[] = {"London", "Berlin", "Madrid",
					     "Austin", "Osaka",  "Leeds"};
	static const char *const agents[] = {
	    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 "
	    "Safari/537.36",
	    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
	    "Version/17.5",
	    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"};
	struct value fields[SCHEMA_FIELDS_MAX] = { 0 };
	uint64_t r = next_random(state), q = next_random(state);
	char id[64], anonymous[64], url[128], properties[400], context[300], user[32], ip[32];

	snprintf(id, sizeof(id), "ajs-next-%016" PRIx64 "%08" PRIx64, r, q & 0xffffffff);
	snprintf(anonymous, sizeof(anonymous),
		 "%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-a%03" PRIx64 "-%012" PRIx64,
		 q % 50000 * 2654435761u & 0xffffffff, q % 50000 & 0xffff, q % 4096, r % 7,
		 q % 50000 * 11400714819323u & 0xffffffffffff);
	snprintf(user, sizeof(user), "u%" PRIu64, q % 50000);
	snprintf(ip, sizeof(ip), "%d.%d.%d.%d", (int)(r % 200) + 1, (int)(r >> 9 & 255),
		 (int)(r >> 17 & 255), (int)(r >> 25 & 255));
	snprintf(url, sizeof(url), "https://shop.example.com/products/%" PRIu64 "?ref=%" PRIu64,
		 q % 977, r % 31);
	snprintf(
	    properties, sizeof(properties),
	    "{\"product_id\":\"%06" PRIu64 "\",\"sku\":\"G-%" PRIu64
	    "\",\"category\":\"%s\",\"name\":\"Monopoly %" PRIu64 "rd edition\",\"price\":%.2f,"
	    "\"quantity\":%d,\"currency\":\"EUR\",\"position\":%d,\"cart_id\":\"%016" PRIx64 "\"}",
	    q % 1000000, q % 977, r % 3 ? "Games" : "Home & Garden", q % 977,
	    (double)(r % 20000) / 100, (int)(q % 5) + 1, (int)(r % 40), q * 31);
	snprintf(context, sizeof(context),
		 "{\"library\":{\"name\":\"analytics.js\",\"version\":\"next-1.70.0\"},"
		 "\"userAgent\":\"%s\",\"locale\":\"en-GB\",\"timezone\":\"Europe/London\"}",
		 agents[r % 3]);
	set_text(s, fields, "message_id", id);
	set_text(s, fields, "type", "track");
	set_text(s, fields, "event", events[r % 8]);
	set_text(s, fields, "source", "shop-web");
	set_text(s, fields, "anonymous_id", anonymous);
	if (q % 3 == 0)
		set_text(s, fields, "user_id", user);
	set_num(s, fields, "timestamp", 1795500000000000 + i * 3100 + (int64_t)(r % 900000));
	set_num(s, fields, "original_timestamp",
		1795500000000000 + i * 3100 + (int64_t)(q % 900000));
	set_num(s, fields, "sent_at", 1795500000000000 + i * 3100);
	set_num(s, fields, "received_at", 1795500000000000 + i * 3100 + 40000);
	set_text(s, fields, "ip", ip);
	set_text(s, fields, "user_agent", agents[r % 3]);
	set_text(s, fields, "door", "segment");
	set_text(s, fields, "geo.city", cities[r % 6]);
	set_text(s, fields, "agent.browser", browsers[r % 4]);
	set_text(s, fields, "agent.version", "126.0");
	set_text(s, fields, "agent.os", systems[r % 5]);
	set_text(s, fields, "page.url", url);
	set_text(s, fields, "page.host", "shop.example.com");
	set_text(s, fields, "page.path", "/products");
	set_text(s, fields, "library.name", "analytics.js");
	set_text(s, fields, "properties", properties);
	set_text(s, fields, "context", context);
	set_num(s, fields, "src.partition", 0);
	set_num(s, fields, "src.offset", i);
	set_text(s, fields, "logic", "5f2a9c31d07b44e8");
	if (datum_encode(s->schema, fields, &s->bytes) < 0)
		abort();
}

static void make_samples(struct samples *s)
{
	uint64_t state = 0x9e3779b97f4a7c15;
	size_t *ends = calloc(SAMPLES, sizeof(*ends));

	*s = (struct samples){ .schema = schema_own("enriched") };
	for (int i = 0; ends && i < SAMPLES; i++) {
		make_one(s, &state, i);
		ends[i] = s->bytes.len;
	}
	for (int i = 0; ends && i < SAMPLES; i++) {
		size_t from = i ? ends[i - 1] : 0;

		s->at[i] = (struct slice){ s->bytes.ptr + from, ends[i] - from };
	}
	free(ends);
	printf("records of %zu bytes on average\n", s->bytes.len / SAMPLES);
}

static void bench_codec(struct samples *s, enum block_codec codec, int level)
{
	struct block_coder *coder;
	struct buf out = { 0 };
	struct slice datums, rest;
	char sync[BLOCK_SYNC] = "0123456789abcde";
	size_t per = BLOCK_CUT / (s->bytes.len / SAMPLES), packed = 0;
	double start, pack, unpack;

	if (block_coder_open(&coder, codec, level, NULL) < 0)
		abort();
	start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < SAMPLES; i += per) {
		size_t end = i + per < SAMPLES ? i + per : SAMPLES;

		datums = (struct slice){
		    s->at[i].ptr, (size_t)(s->at[end - 1].ptr + s->at[end - 1].len - s->at[i].ptr)};
		if (block_pack(coder, datums, (int64_t)(end - i), sync, &out) < 0)
			abort();
	}
	pack = seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
	packed = out.len;
	start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (rest = buf_slice(&out); rest.len;) {
		struct block_frame frame;

		if (block_parse_frame(rest, sync, &frame, NULL) < 0 ||
		    block_unpack(coder, frame.packed, &datums) < 0)
			abort();
		rest = slice_skip(rest, frame.size);
	}
	unpack = seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
	printf("codec %-10s %3d  pack %.3f unpack %.3f CPU-s per million, %.1f%% of the size\n",
	       block_codec_name(codec), level, pack * 1e6 / SAMPLES, unpack * 1e6 / SAMPLES,
	       100.0 * (double)packed / (double)s->bytes.len);
	buf_close(&out);
	block_coder_close(coder);
}

static long peak_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void print_line(const char *what, int64_t events, int64_t bytes, double wall, double cpu)
{
	printf("%-28s %9.0f events/s %7.1f MB/s raw, %.3f CPU-s per million, peak %ld MB\n", what,
	       (double)events / wall, (double)bytes / wall / 1e6, cpu * 1e6 / (double)events,
	       peak_kb() / 1024);
	fflush(stdout);
}

static int64_t bench_append(struct samples *s, const char *url, int64_t events, int partitions)
{
	struct bus_conf conf = { .schema = s->schema, .partitions = partitions };
	struct err err = { "" };
	double wall, cpu;
	int64_t bytes = 0;
	struct bus *bus;
	int rc;

	if (bus_open(&bus, url, BUS_WRITE, &conf, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (int64_t i = 0; i < events; i++) {
		struct slice value = s->at[i % SAMPLES];

		while ((rc = bus_write(bus, (int32_t)(i % partitions), SLICE(""), value, NULL)) ==
		       -EAGAIN)
			if ((rc = bus_release(bus)) < 0 || (rc = bus_wait(bus, 1000)) < 0)
				break;
		if (rc == 0 && i % 4096 == 4095)
			rc = bus_release(bus);
		if (rc < 0)
			abort();
		bytes += (int64_t)value.len;
	}
	if (bus_flush(bus, 60000) < 0)
		abort();
	print_line("append, durable", events, bytes, seconds(CLOCK_MONOTONIC) - wall,
		   seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	bus_close(bus);
	return bytes;
}

static void bench_scan(struct samples *s, const char *url, int64_t bytes)
{
	struct bus_conf conf = { .schema = s->schema, .until_end = true };
	struct bus_record record;
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	struct bus *bus;
	int64_t events = 0;

	if (bus_open(&bus, url, BUS_READ, &conf, NULL) < 0)
		abort();
	while (bus_next(bus, &record, 1000) == 1)
		events += record.fields != NULL;
	print_line("scan, decoded", events, bytes, seconds(CLOCK_MONOTONIC) - wall,
		   seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	bus_close(bus);
}

/* The same raw bytes by plain write(2) of 1 MiB, fdatasync each 8 MiB. */
static void bench_disk(struct samples *s, const char *dir, int64_t events, int64_t bytes)
{
	char path[300];
	double wall, cpu;
	int64_t done = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/plain", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	while (fd >= 0 && done < bytes) {
		ssize_t n = write(fd, s->bytes.ptr, (size_t)1 << 20);

		if (n < 0 || ((done += n) >> 20) % 8 == 0)
			if (n < 0 || fdatasync(fd) < 0)
				abort();
	}
	if (fd < 0 || fdatasync(fd) < 0)
		abort();
	print_line("plain write and fdatasync", events, bytes, seconds(CLOCK_MONOTONIC) - wall,
		   seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	close(fd);
	unlink(path);
}

/* How long one record takes to become durable, alone. */
static void bench_latency(struct samples *s, const char *url)
{
	struct bus_conf conf = { .schema = s->schema };
	double took[200], sum = 0, most = 0;
	struct bus *bus;

	if (bus_open(&bus, url, BUS_WRITE, &conf, NULL) < 0)
		abort();
	for (int i = 0; i < 200; i++) {
		double start = seconds(CLOCK_MONOTONIC);

		if (bus_write(bus, 0, SLICE(""), s->at[i], NULL) < 0 || bus_flush(bus, 5000) < 0)
			abort();
		took[i] = seconds(CLOCK_MONOTONIC) - start;
		sum += took[i];
		most = took[i] > most ? took[i] : most;
	}
	printf("one record durable: %.2f ms on average, %.2f at most\n", sum / 200 * 1e3,
	       most * 1e3);
	bus_close(bus);
}

int main(int argc, char **argv)
{
	static const int levels[] = { -7, -5, -3, -1, 1, 3 };
	int64_t events = argc > 2 ? strtoll(argv[2], NULL, 10) : 1000000, bytes;
	int partitions = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 1;
	static struct samples samples;
	char url[300];

	if (argc < 2 || events < 1 || partitions < 1) {
		fprintf(stderr, "usage: bench_bus DIR [EVENTS] [PARTITIONS]\n");
		return 64;
	}
	make_samples(&samples);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		bench_codec(&samples, BLOCK_ZSTANDARD, levels[i]);
	bench_codec(&samples, BLOCK_SNAPPY, 0);
	bench_codec(&samples, BLOCK_DEFLATE, 1);
	snprintf(url, sizeof(url), "log:%s/topic", argv[1]);
	bytes = bench_append(&samples, url, events, partitions);
	bench_scan(&samples, url, bytes);
	bench_scan(&samples, url, bytes);
	bench_disk(&samples, argv[1], events, bytes);
	bench_latency(&samples, url);
	buf_close(&samples.bytes);
	schema_close(samples.schema);
	return 0;
}
