/* bench_json - one SDK message through json.c, and yyjson's own writer beside ours
 *
 *      bench_json [MESSAGES]     default 500,000
 *
 * CPU time of one thread, the best of five rounds.
 */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/json.h"

#define ROUNDS 5

static const char message[] =
	"{\"timestamp\":\"2026-11-24T10:00:00.123Z\",\"integrations\":{},\"type\":\"track\","
	"\"event\":\"Order Completed\",\"userId\":\"user-184467\",\"anonymousId\":"
	"\"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed\",\"messageId\":"
	"\"ajs-next-1700000000000-1b9d6bcd\","
	"\"properties\":{\"order_id\":\"o-500123\",\"total\":129.95,\"currency\":\"EUR\",\"note\":"
	"\"caf\\u00e9 \\\"au lait\\\"\\n\",\"products\":[{\"sku\":\"A-77\",\"price\":64.98,"
	"\"quantity\":2,\"category\":\"Kitchen\"},{\"sku\":\"B-12\",\"price\":1,\"quantity\":1,"
	"\"category\":\"Kitchen\"}],\"coupon\":null,\"first\":false},"
	"\"context\":{\"page\":{\"path\":"
	"\"/checkout/done\",\"referrer\":\"https://www.search.example/\",\"search\":"
	"\"?utm_source=news\",\"title\":\"Thank you\","
	"\"url\":\"https://shop.example/checkout/done\"},"
	"\"userAgent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
	"Chrome/130.0.0.0 Safari/537.36\",\"locale\":\"en-GB\",\"library\":{\"name\":"
	"\"analytics.js\",\"version\":\"npm:next-1.81.0\"},\"timezone\":\"Europe/Berlin\"},"
	"\"sentAt\":\"2026-11-24T10:00:00.456Z\"}";

struct bench {
	struct json_reader *json;
	yyjson_val *root;
	struct buf out;
	char pool[64 << 10];
};

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void parse(struct bench *bench)
{
	int rc = json_parse(bench->json, slice_from(message), &bench->root, NULL);

	assert(rc == 0);
}

static void parse_bare(struct bench *bench)
{
	yyjson_alc alc;
	yyjson_doc *doc;

	yyjson_alc_pool_init(&alc, bench->pool, sizeof(bench->pool));
	doc = yyjson_read_opts((char *)(uintptr_t)message, sizeof(message) - 1,
			       YYJSON_READ_NUMBER_AS_RAW, &alc, NULL);
	assert(doc);
	yyjson_doc_free(doc);
}

static void write_ours(struct bench *bench)
{
	buf_reset(&bench->out);
	json_write(bench->root, &bench->out);
}

static void write_yyjson(struct bench *bench)
{
	yyjson_alc alc;
	size_t len;
	char *text;

	yyjson_alc_pool_init(&alc, bench->pool, sizeof(bench->pool));
	text = yyjson_val_write_opts(bench->root, YYJSON_WRITE_NOFLAG, &alc, &len, NULL);
	assert(text);
	buf_reset(&bench->out);
	buf_append(&bench->out, text, len);
}

static void lookup(struct bench *bench)
{
	static const char keys[][12] = { "type", "event", "userId", "messageId", "timestamp",
					 "properties", "context", "sentAt", "traits", "groupId" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		bench->out.len += json_get(bench->root, keys[i]) != NULL;
}

static void report(struct bench *bench, const char *name, long count,
		   void (*run)(struct bench *bench))
{
	double best = 1e9;
	struct rusage usage;

	for (int round = 0; round < ROUNDS; round++) {
		double start = cpu_now();

		for (long i = 0; i < count; i++)
			run(bench);
		start = cpu_now() - start;
		if (start < best)
			best = start;
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("%-14s %10.0f messages/s %6.0f MB/s %7.3f CPU s/M %6ld KB peak\n", name,
	       (double)count / best, (double)count * (sizeof(message) - 1) / best / 1e6,
	       best / (double)count * 1e6, usage.ru_maxrss);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : 500000;
	struct bench *bench = calloc(1, sizeof(*bench));

	if (!bench || json_open(&bench->json, NULL))
		return 1;
	parse(bench);
	printf("message of %zu bytes\n", sizeof(message) - 1);
	report(bench, "parse", count, parse);
	report(bench, "parse yyjson", count, parse_bare);
	report(bench, "ten lookups", count, lookup);
	report(bench, "write", count, write_ours);
	report(bench, "write yyjson", count, write_yyjson);
	json_close(bench->json);
	buf_close(&bench->out);
	free(bench);
	return 0;
}
