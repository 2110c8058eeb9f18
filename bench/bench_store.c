// SPDX-License-Identifier: Apache-2.0
/* bench_store - how fast events go into aggregate's store, what they take there, and how fast it
 * opens again
 *
 *      bench_store [EVENTS [DIR]]      1,000,000 events; DIR is kept, else a temporary one is not
 *
 * 1 M users, of whom the first ones do most (cubes of uniform numbers: the busiest has 1 %), 30
 * days from 2026-11-01 in order with some lateness, 20 event names, 12 to 16 properties each,
 * random message ids. Same count, same events.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "aggregate/store.h"
#include "lib/dir.h"
#include "lib/when.h"

#define BASE_US INT64_C(1793491200000000)       /* 2026-11-01 */
#define SPAN_US (INT64_C(30) * 86400 * 1000000)
#define USERS   1000000
#define BATCH   4096

struct bench {
	struct store *store;
	uint64_t random;
	uint64_t events;
	struct store_prop props[20];
	size_t count;
	char text[20][48];
};

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "bench_store: %s: %s\n", what, err->text);
	exit(1);
}

static double cpu_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Memory that is no page of a file. */
static double anonymous_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	long kb = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "RssAnon:", 8) == 0)
			kb = strtol(line + 8, NULL, 10);
	if (file)
		fclose(file);
	return (double)kb * 1024;
}

static uint64_t next_random(struct bench *bench)
{
	bench->random ^= bench->random << 13;
	bench->random ^= bench->random >> 7;
	bench->random ^= bench->random << 17;
	return bench->random;
}

/* 0 .. below - 1, the first ones most often. */
static uint64_t skewed(struct bench *bench, uint64_t below)
{
	double x = (double)(next_random(bench) >> 11) / 9007199254740992.0;

	return (uint64_t)(x * x * x * (double)below);
}

static size_t put_number(char *out, uint64_t number)
{
	char digits[24];
	size_t n = 0, len;

	do
		digits[n++] = (char)('0' + number % 10);
	while (number /= 10);
	for (len = n; n; n--)
		*out++ = digits[n - 1];
	return len;
}

static void text(struct bench *bench, struct slice name, struct slice prefix, uint64_t number)
{
	char *out = bench->text[bench->count];
	size_t len = prefix.len;

	memcpy(out, prefix.ptr, len);
	len += put_number(out + len, number);
	bench->props[bench->count++] = (struct store_prop){
		name, { .kind = PROP_TEXT, .text = { out, len } } };
}

static void number(struct bench *bench, struct slice name, double value)
{
	bench->props[bench->count++] =
		(struct store_prop){ name, { .kind = PROP_NUMBER, .number = value } };
}

static void make_event(struct bench *bench, uint64_t i, struct store_row *row)
{
	uint64_t user = skewed(bench, USERS), r = next_random(bench);
	struct slice id;
	char text_id[32] = "user-";
	uint64_t bits[2] = { next_random(bench), next_random(bench) };

	id = (struct slice){ text_id, 5 + put_number(text_id + 5, user) };
	bench->count = 0;
	*row = (struct store_row){ .props = bench->props };
	row->received_us = BASE_US + (int64_t)((double)SPAN_US * (double)i / (double)bench->events);
	row->time_us = row->received_us - (int64_t)(r % (r & 1024 ? 5000000 : 3600000000));
	memcpy(row->message.bytes, bits, sizeof(bits));
	if (persons_actor(store_persons(bench->store), 'u', id, row->received_us, &row->actor) < 0)
		abort();
	text(bench, SLICE("$event"), SLICE("Event "), skewed(bench, 20));
	text(bench, SLICE("$type"), SLICE("track"), 0);
	text(bench, SLICE("$source"), SLICE("web"), r >> 3 & 1);
	text(bench, SLICE("$browser"), SLICE("Browser "), user % 8);
	text(bench, SLICE("$os"), SLICE("System "), user % 6);
	text(bench, SLICE("$country"), SLICE("C"), user % 60);
	text(bench, SLICE("$path"), SLICE("/products/"), skewed(bench, 2000));
	text(bench, SLICE("$locale"), SLICE("l"), user % 20);
	text(bench, SLICE("plan"), SLICE("plan "), user % 4);
	text(bench, SLICE("$referring_domain"), SLICE("site-"), skewed(bench, 300));
	number(bench, SLICE("quantity"), (double)(r >> 20 & 7));
	bench->props[bench->count++] = (struct store_prop){
		SLICE("logged_in"), { .kind = r & 16 ? PROP_TRUE : PROP_FALSE } };
	if (r >> 24 & 1)
		number(bench, SLICE("price"), (double)(next_random(bench) % 50000) / 100);
	if (r >> 24 & 1)
		text(bench, SLICE("sku"), SLICE("SKU-"), skewed(bench, 5000));
	if ((r >> 26 & 7) == 0)
		text(bench, SLICE("$utm_source"), SLICE("campaign-"), user % 30);
	if ((r >> 30 & 31) == 0)
		text(bench, SLICE("coupon"), SLICE("COUPON"), r >> 40 & 1023);
	row->count = bench->count;
}

static void fill(struct bench *bench)
{
	int64_t next[BUS_PARTITIONS_MAX] = { 0 };
	struct err err = { "" };
	struct store_row row;

	for (uint64_t i = 0; i < bench->events;) {
		store_change_begin(bench->store);
		for (int n = 0; n < BATCH && i < bench->events; n++, i++) {
			make_event(bench, i, &row);
			if (store_add(bench->store, &row, &err) < 0)
				die("add", &err);
		}
		if (store_change_end(bench->store, &err) < 0)
			die("batch", &err);
		next[0] = (int64_t)i;
		if (store_commit(bench->store, next, 1, false, &err) < 0)
			die("commit", &err);
	}
	if (store_commit(bench->store, next, 1, true, &err) < 0)
		die("commit", &err);
}

/* What making the events takes by itself. */
static double cost_of_making(struct bench *bench)
{
	uint64_t n = bench->events < 1000000 ? bench->events : 1000000;
	double begun = cpu_now();
	struct store_row row;
	uint64_t random = bench->random;

	store_change_begin(bench->store);
	for (uint64_t i = 0; i < n; i++)
		make_event(bench, i, &row);
	bench->random = random;
	begun = cpu_now() - begun;
	if (store_change_end(bench->store, NULL) < 0)
		abort();
	return begun / (double)n * (double)bench->events;
}

static void run(struct bench *bench, const char *dir)
{
	struct store_conf conf = { .dir = dir, .partitions = 1 };
	int64_t next[BUS_PARTITIONS_MAX], begun_ms;
	struct err err = { "" };
	struct store_counts counts;
	double cpu, making, events = (double)bench->events;
	struct rusage usage;

	if (store_open(&bench->store, &conf, next, &err) < 0)
		die("open", &err);
	if (next[0] == 0) {
		making = cost_of_making(bench);
		cpu = cpu_now();
		begun_ms = when_monotonic_ms();
		fill(bench);
		printf("add and flush  %10.0f events/s of CPU %8.2f CPU s/M, %.1f s by the clock\n",
		       events / (cpu_now() - cpu - making),
		       (cpu_now() - cpu - making) / events * 1e6,
		       (double)(when_monotonic_ms() - begun_ms) / 1e3);
		if (store_settle(bench->store, &err) < 0)
			die("settle", &err);
		getrusage(RUSAGE_SELF, &usage);
		printf("with all merges%10.0f events/s of CPU %8.2f CPU s/M, %ld MB peak\n",
		       events / (cpu_now() - cpu - making),
		       (cpu_now() - cpu - making) / events * 1e6,
		       usage.ru_maxrss / 1024);
	}
	counts = store_counts(bench->store);
	printf("on disk        %10.1f bytes/event in %d files, %d images, %d merges\n",
	       (double)counts.file_bytes / events, (int)counts.files, (int)counts.images,
	       (int)counts.merges);
	store_close(bench->store);
	begun_ms = when_monotonic_ms();
	cpu = cpu_now();
	if (store_open(&bench->store, &conf, next, &err) < 0)
		die("open", &err);
	printf("open again     %10d ms %8.2f CPU s, at offset %lld\n",
	       (int)(when_monotonic_ms() - begun_ms), cpu_now() - cpu, (long long)next[0]);
	printf("in memory      %10.1f bytes/event next to the mapped files, %.0f a person\n",
	       anonymous_bytes() / events,
	       anonymous_bytes() / (double)persons_actor_count(store_persons(bench->store)));
	store_close(bench->store);
}

int main(int argc, char **argv)
{
	struct bench bench = { .random = 88172645463325252u, .events = 1000000 };
	char temp[] = "/tmp/millrace-bench-XXXXXX", command[64];
	const char *dir = argc > 2 ? argv[2] : mkdtemp(temp);

	if (argc > 1)
		bench.events = strtoull(argv[1], NULL, 10);
	if (!dir || bench.events == 0)
		return 1;
	if (dir_make(dir) < 0)
		return 1;
	run(&bench, dir);
	if (argc > 2)
		return 0;
	snprintf(command, sizeof(command), "rm -rf '%s'", temp);
	return system(command) == 0 ? 0 : 1;
}
