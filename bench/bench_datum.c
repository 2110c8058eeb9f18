/* bench_datum - enriched records through datum.c, next to avro-c's generic codec
 *
 *      bench_datum [RECORDS]     default 1,000,000 for ours, a tenth for avro-c
 *
 * Both sides handle the same records in the same run; the reported rate is CPU time of one thread,
 * the best of five rounds.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/record.h"
#include "tests/oracle.h"

#define KINDS 256       /* different records, so that branches are not learnt by heart */
#define ROUNDS 5

struct bench {
	struct schema *schema;
	struct datum_reader *reader;
	struct oracle oracle;
	struct value fields[KINDS][ENRICHED_COUNT];
	char ids[KINDS][40];
	struct buf datums;
	struct slice datum[KINDS];
	size_t bytes;           /* of all kinds */
};

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void fill(struct bench *bench, int k)
{
	static const struct {
		int leaf;
		const char *text;
	} texts[] = {
		{ ENRICHED_TYPE, "track" }, { ENRICHED_EVENT, "Order Completed" },
		{ ENRICHED_SOURCE, "shop-web" }, { ENRICHED_USER_ID, "user-184467" },
		{ ENRICHED_IP, "203.0.113.77" }, { ENRICHED_DOOR, "segment" },
		{ ENRICHED_USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
		  "like Gecko) Chrome/130.0.0.0 Safari/537.36" },
		{ ENRICHED_AGENT_BROWSER, "Chrome" }, { ENRICHED_AGENT_VERSION, "130.0.0" },
		{ ENRICHED_AGENT_OS, "Linux" }, { ENRICHED_GEO_COUNTRY, "DE" },
		{ ENRICHED_GEO_REGION, "Berlin" }, { ENRICHED_GEO_CITY, "Berlin" },
		{ ENRICHED_PAGE_URL, "https://shop.example/checkout/done?utm_source=news&"
		  "utm_medium=email&utm_campaign=autumn" }, { ENRICHED_PAGE_HOST, "shop.example" },
		{ ENRICHED_PAGE_PATH, "/checkout/done" }, { ENRICHED_PAGE_TITLE, "Thank you" },
		{ ENRICHED_CAMPAIGN_SOURCE, "news" }, { ENRICHED_CAMPAIGN_MEDIUM, "email" },
		{ ENRICHED_CAMPAIGN_NAME, "autumn" }, { ENRICHED_LIBRARY_NAME, "analytics.js" },
		{ ENRICHED_LIBRARY_VERSION, "next-1.81.0" }, { ENRICHED_LOCALE, "en-GB" },
		{ ENRICHED_SCREEN, "1920x1080" }, { ENRICHED_LOGIC, "9f86d081884c7d65" },
		{ ENRICHED_PROPERTIES, "{\"order_id\":\"o-500123\",\"total\":129.95,\"currency\":"
		  "\"EUR\",\"products\":[{\"sku\":\"A-77\",\"price\":64.98,\"quantity\":2}]}" },
		{ ENRICHED_CONTEXT, "{\"locale\":\"en-GB\",\"library\":{\"name\":\"analytics.js\","
		  "\"version\":\"next-1.81.0\"},\"page\":{\"path\":\"/checkout/done\"}}" },
	};
	struct value *f = bench->fields[k];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (i < 4 || i > 23 || (k * 7 + (int)i) % 9 != 0)
			f[texts[i].leaf] = value_text(slice_from(texts[i].text));
	snprintf(bench->ids[k], sizeof(bench->ids[k]), "ajs-next-%027d", k * 7919);
	f[ENRICHED_MESSAGE_ID] = value_text(slice_from(bench->ids[k]));
	f[ENRICHED_ANONYMOUS_ID] = value_text(slice_from(bench->ids[k] + 4));
	f[ENRICHED_TIMESTAMP] = value_num(INT64_C(1795514400123000) + k);
	f[ENRICHED_RECEIVED_AT] = value_num(INT64_C(1795514400523000) + k);
	f[ENRICHED_SENT_AT] = value_num(INT64_C(1795514400423000) + k);
	f[ENRICHED_GEO_LAT] = value_real(52.52);
	f[ENRICHED_GEO_LON] = value_real(13.405);
	f[ENRICHED_GEO_ASN] = value_num(64500 + k);
	f[ENRICHED_SRC_PARTITION] = value_num(0);
	f[ENRICHED_SRC_OFFSET] = value_num(123456 + k);
	f[ENRICHED_SRC_INDEX] = value_num(0);
}

static void prepare(struct bench *bench)
{
	size_t at = 0, ends[KINDS];
	int rc;

	bench->schema = record_schema("enriched");
	rc = datum_reader_open(&bench->reader, bench->schema, bench->schema, NULL);
	assert(rc == 0);
	oracle_open(&bench->oracle, bench->schema);
	for (int k = 0; k < KINDS; k++) {
		fill(bench, k);
		rc = datum_encode(bench->schema, bench->fields[k], &bench->datums);
		assert(rc == 0);
		ends[k] = bench->datums.len;
	}
	for (int k = 0; k < KINDS; at = ends[k++])
		bench->datum[k] = (struct slice){ bench->datums.ptr + at, ends[k] - at };
	bench->bytes = bench->datums.len;
}

static double decode_ours(struct bench *bench, long count)
{
	struct value fields[ENRICHED_COUNT];
	double start = cpu_now();
	int64_t sum = 0;

	for (long i = 0; i < count; i++) {
		ssize_t n = datum_decode(bench->reader, bench->datum[i % KINDS], fields);

		assert(n == (ssize_t)bench->datum[i % KINDS].len);
		sum += fields[ENRICHED_SRC_OFFSET].num;
	}
	assert(sum > 0);
	return cpu_now() - start;
}

static double encode_ours(struct bench *bench, long count)
{
	double start = cpu_now();
	struct buf out = { 0 };

	for (long i = 0; i < count; i++) {
		int rc;

		if (i % KINDS == 0)
			buf_reset(&out);
		rc = datum_encode(bench->schema, bench->fields[i % KINDS], &out);
		assert(rc == 0);
	}
	start = cpu_now() - start;
	buf_close(&out);
	return start;
}

static double decode_avro_c(struct bench *bench, long count)
{
	avro_reader_t reader = avro_reader_memory("", 0);
	double start = cpu_now();

	for (long i = 0; i < count; i++) {
		struct slice datum = bench->datum[i % KINDS];
		int rc;

		avro_reader_memory_set_source(reader, datum.ptr, (int64_t)datum.len);
		rc = avro_value_read(reader, &bench->oracle.value);
		assert(rc == 0);
	}
	start = cpu_now() - start;
	avro_reader_free(reader);
	return start;
}

/* avro-c writes the value that it read last; filling its fields is not counted. */
static double encode_avro_c(struct bench *bench, long count)
{
	char *out = calloc(1, bench->bytes);
	avro_writer_t writer = avro_writer_memory(out, (int64_t)bench->bytes);
	double start = cpu_now();

	for (long i = 0; i < count; i++) {
		int rc;

		avro_writer_reset(writer);
		rc = avro_value_write(writer, &bench->oracle.value);
		assert(rc == 0);
	}
	start = cpu_now() - start;
	avro_writer_free(writer);
	free(out);
	return start;
}

static void report(struct bench *bench, const char *name, long count,
		   double (*run)(struct bench *bench, long count))
{
	double best = run(bench, count), size = (double)bench->bytes / KINDS;
	struct rusage usage;

	for (int i = 1; i < ROUNDS; i++) {
		double seconds = run(bench, count);

		if (seconds < best)
			best = seconds;
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("%-14s %10.0f events/s %8.0f MB/s %7.3f CPU s/M %6ld KB peak\n", name,
	       (double)count / best, (double)count * size / best / 1e6,
	       best / (double)count * 1e6, usage.ru_maxrss);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
	struct bench *bench = calloc(1, sizeof(*bench));

	if (!bench || count < 10)
		return 1;
	prepare(bench);
	printf("enriched record of %zu bytes on average\n", bench->bytes / KINDS);
	report(bench, "decode", count, decode_ours);
	report(bench, "encode", count, encode_ours);
	report(bench, "decode avro-c", count / 10, decode_avro_c);
	report(bench, "encode avro-c", count / 10, encode_avro_c);
	oracle_close(&bench->oracle);
	datum_reader_close(bench->reader);
	schema_close(bench->schema);
	buf_close(&bench->datums);
	free(bench);
	return 0;
}
