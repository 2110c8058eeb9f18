/* tool_enriched - writes made-up enriched records to a bus
 *
 *      tool_enriched BUS COUNT [FIRST [PARTITIONS [SEED]]]
 *
 * COUNT events, whose src offsets begin at FIRST per partition; i goes to partition i % PARTITIONS.
 * In between stand a marker after each 50 events of a partition, and after each 97 a stamped repeat
 * of the last one, as a zombie would write it. Texts have quotes, line breaks, other alphabets.
 * Prints "events=N markers=N repeats=N". Same arguments, same records.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/bus.h"
#include "lib/record.h"

#define BASE_US INT64_C(1793491200000000)       /* 2026-11-01 */

struct maker {
	struct bus *bus;
	struct schema *schema;
	struct value fields[ENRICHED_COUNT];
	struct buf datum;
	uint64_t random;
	char text[16][512];
	long events, markers, repeats;
};

static void die(const char *what, const char *words)
{
	fprintf(stderr, "tool_enriched: %s: %s\n", what, words);
	exit(1);
}

/* xorshift: any will do, as long as it is the same everywhere. */
static uint64_t next_random(struct maker *maker, uint64_t below)
{
	maker->random ^= maker->random << 13;
	maker->random ^= maker->random >> 7;
	maker->random ^= maker->random << 17;
	return maker->random % below;
}

static void text(struct maker *maker, int slot, enum enriched_leaf leaf)
{
	maker->fields[leaf] = value_text(slice_from(maker->text[slot]));
}

static void make(struct maker *maker, int partition, long offset)
{
	static const char *const names[] = { "Page",
					     "Product Viewed",
					     "Order Completed",
					     "Signed \"Up\"",
					     "\xd0\x97\xd0\xb0\xd0\xba\xd0\xb0\xd0\xb7",
					     "line\nbreak" };
	int64_t at = BASE_US + (int64_t)next_random(maker, 3 * 86400) * 1000000 +
		     (int64_t)next_random(maker, 1000) * 1000 + 7;
	uint64_t user = next_random(maker, 300);

	memset(maker->fields, 0, sizeof(maker->fields));
	snprintf(maker->text[0], 512, "m-%d-%ld", partition, offset);
	snprintf(maker->text[1], 512, "%s", names[next_random(maker, 6)]);
	snprintf(maker->text[2], 512, "u%llu", (unsigned long long)user);
	snprintf(maker->text[3], 512, "https://shop.example/p/%llu?x=\"%ld\"",
		 (unsigned long long)next_random(maker, 50), offset);
	snprintf(maker->text[4], 512,
		 "{\"price\":%llu.90,\"sku\":\"A-%ld\",\"big\":12345678901234567890,"
		 "\"tags\":[\"a\",{\"b\":null}]}",
		 (unsigned long long)next_random(maker, 100), offset);
	snprintf(maker->text[5], 512, "{\"library\":{\"name\":\"x\"},\"locale\":\"de-DE\","
		 "\"padding\":\"%0*llu\"}", 40, (unsigned long long)next_random(maker, 1000000));
	text(maker, 0, ENRICHED_MESSAGE_ID);
	maker->fields[ENRICHED_TYPE] = value_text(SLICE("track"));
	text(maker, 1, ENRICHED_EVENT);
	maker->fields[ENRICHED_SOURCE] = value_text(SLICE("web"));
	text(maker, 2, user % 3 ? ENRICHED_USER_ID : ENRICHED_ANONYMOUS_ID);
	maker->fields[ENRICHED_TIMESTAMP] = value_num(at);
	maker->fields[ENRICHED_RECEIVED_AT] =
		value_num(BASE_US + 3 * 86400 * INT64_C(1000000) + offset * 1000000);
	maker->fields[ENRICHED_DOOR] = value_text(SLICE("segment"));
	maker->fields[ENRICHED_GEO_COUNTRY] = value_text(SLICE("DE"));
	maker->fields[ENRICHED_GEO_LAT] = value_real(52.52);
	text(maker, 3, ENRICHED_PAGE_URL);
	maker->fields[ENRICHED_PAGE_TITLE] = value_text(
		SLICE("T\xc3\xa4st \x01 \\ \xf0\x9f\x98\x80"));
	text(maker, 4, ENRICHED_PROPERTIES);
	text(maker, 5, ENRICHED_CONTEXT);
	maker->fields[ENRICHED_SRC_PARTITION] = value_num(partition);
	maker->fields[ENRICHED_SRC_OFFSET] = value_num(offset);
	maker->fields[ENRICHED_LOGIC] = value_text(SLICE("0123456789abcdef"));
}

static void put(struct maker *maker, int partition)
{
	int rc;

	buf_reset(&maker->datum);
	if (datum_encode(maker->schema, maker->fields, &maker->datum) < 0)
		die("encode", "no memory");
	while ((rc = bus_write(maker->bus, partition, (struct slice){ "", 0 },
			       buf_slice(&maker->datum), NULL)) == -EAGAIN)
		if (bus_release(maker->bus) < 0 || bus_wait(maker->bus, 1000) < 0)
			die("write", bus_error_text(maker->bus));
	if (rc < 0)
		die("write", bus_error_text(maker->bus));
}

static void put_all(struct maker *maker, long count, long first, int partitions)
{
	for (long i = 0; i < count; i++) {
		int partition = (int)(i % partitions);
		long n = i / partitions, markers = n / 50;
		/* A marker stands for an input record that was dropped. */
		long offset = first + n + markers;

		make(maker, partition, offset);
		put(maker, partition);
		maker->events++;
		if (n % 97 == 96) {
			put(maker, partition);
			maker->repeats++;
		}
		if (n % 50 == 49) {
			maker->fields[ENRICHED_TYPE] = value_text(slice_from(RECORD_TYPE_MARKER));
			maker->fields[ENRICHED_SRC_OFFSET] = value_num(offset + 1);
			put(maker, partition);
			maker->markers++;
		}
	}
}

int main(int argc, char **argv)
{
	struct maker maker = { .random = argc > 5 ? strtoull(argv[5], NULL, 10)
						  : 88172645463325252u };
	int partitions = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 1;
	struct bus_conf conf = { .partitions = partitions, .time_field = ENRICHED_RECEIVED_AT };
	struct err err = { "" };

	if (argc < 3 || argc > 6)
		die("usage", "tool_enriched BUS COUNT [FIRST [PARTITIONS [SEED]]]");
	maker.schema = record_schema("enriched");
	conf.schema = maker.schema;
	if (bus_open(&maker.bus, argv[1], BUS_WRITE, &conf, &err) < 0)
		die(argv[1], err.text);
	put_all(&maker, strtol(argv[2], NULL, 10), argc > 3 ? strtol(argv[3], NULL, 10) : 0,
		partitions);
	if (bus_flush(maker.bus, 30000) < 0)
		die("flush", bus_error_text(maker.bus));
	bus_close(maker.bus);
	/* stdout is the bus where BUS is `-`. */
	fprintf(strcmp(argv[1], "-") == 0 ? stderr : stdout, "events=%ld markers=%ld repeats=%ld\n",
		maker.events, maker.markers, maker.repeats);
	schema_close(maker.schema);
	buf_close(&maker.datum);
	return 0;
}
