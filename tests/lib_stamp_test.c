// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/record.h"
#include "lib/stamp.h"
#include "tests/tap.h"

#define PARTITIONS 4

static const struct stamp_leaves leaves = { ENRICHED_SRC_PARTITION, ENRICHED_SRC_OFFSET,
					    ENRICHED_SRC_INDEX };

struct stamp_test {
	struct tap tap;
	struct schema *schema;
	struct bus_conf conf;
	char url[200];
};

/* One record in partition p that claims to come from src_partition, offset. */
static void put(struct stamp_test *t, struct bus *bus, int32_t p, int32_t src_partition,
		int64_t offset)
{
	struct value fields[ENRICHED_COUNT] = { 0 };
	struct buf datum = { 0 };
	int rc;

	fields[ENRICHED_SRC_PARTITION] = value_num(src_partition);
	fields[ENRICHED_SRC_OFFSET] = value_num(offset);
	rc = datum_encode(t->schema, fields, &datum);
	while (rc == 0 && (rc = bus_write(bus, p, SLICE(""), buf_slice(&datum), NULL)) == -EAGAIN) {
		rc = bus_release(bus);
		if (rc == 0)
			rc = bus_wait(bus, 1000);
	}
	buf_close(&datum);
	if (rc)
		OK(&t->tap, false, "writes: %s", bus_error_text(bus));
}

static struct bus *open_writer(struct stamp_test *t)
{
	struct err err = { "" };
	struct bus *bus = NULL;
	int rc = bus_open(&bus, t->url, BUS_WRITE, &t->conf, &err);

	if (rc)
		OK(&t->tap, false, "opens: %s", err.text);
	return bus;
}

static void close_writer(struct stamp_test *t, struct bus *bus)
{
	OK(&t->tap, bus_flush(bus, 30000) == 0, "what was written is durable");
	bus_close(bus);
}

static void expect(struct stamp_test *t, const char *assign, const int64_t *wanted,
		   const char *words)
{
	int64_t next[PARTITIONS + 1];
	struct err err = { "" };
	struct bus_conf conf = t->conf;
	int rc;

	conf.assign = assign;
	rc = stamp_resume(t->url, &conf, leaves, next, PARTITIONS + 1, &err);
	OK(&t->tap, rc == 0, "%s: resumes %s", words, err.text);
	for (int p = 0; p < PARTITIONS && rc == 0; p++)
		OK(&t->tap, next[p] == wanted[p], "%s: partition %d at %" PRId64, words, p,
		   next[p]);
	OK(&t->tap, next[PARTITIONS] == BUS_OFFSET_FIRST, "%s: one that is not there at the first",
	   words);
}

static void test_resume(struct stamp_test *t)
{
	static const int64_t none[] = { BUS_OFFSET_FIRST, BUS_OFFSET_FIRST, BUS_OFFSET_FIRST,
					BUS_OFFSET_FIRST };
	static const int64_t some[] = { BUS_OFFSET_FIRST, 15, 31, BUS_OFFSET_FIRST };
	static const int64_t one[] = { BUS_OFFSET_FIRST, BUS_OFFSET_FIRST, 31, BUS_OFFSET_FIRST };
	struct bus *bus;

	expect(t, NULL, none, "no topic");
	bus = open_writer(t);
	if (!bus)
		return;
	expect(t, NULL, none, "an empty topic");
	for (int64_t i = 10; i < 15; i++)
		put(t, bus, 1, 1, i);
	/* A zombie's late writes, and a record of another partition's source. */
	put(t, bus, 2, 2, 30);
	put(t, bus, 2, 2, 25);
	put(t, bus, 2, 7, 99);
	put(t, bus, 3, -1, -1);
	close_writer(t, bus);
	expect(t, NULL, some, "tails");
	expect(t, "2", one, "one assigned");
}

/* The highest stamp lies before the tail that is looked at: newer ones win, since a tail with any
 * stamp is trusted; a tail without any is not. */
static void test_long(struct stamp_test *t)
{
	static const int64_t wanted[] = { 1001 + STAMP_TAIL, 15, 31, 501 };
	struct bus *bus = open_writer(t);

	if (!bus)
		return;
	put(t, bus, 3, 3, 500);
	for (int64_t i = 0; i <= STAMP_TAIL; i++) {
		put(t, bus, 0, 0, 1000 + i);
		put(t, bus, 3, -1, -1);
	}
	close_writer(t, bus);
	expect(t, NULL, wanted, "long topic");
}

static void test_open_reader(struct stamp_test *t)
{
	struct bus_conf conf = t->conf;
	struct err err = { "" };
	struct bus *bus = NULL;
	int64_t next = 0;
	int rc;

	conf.until_end = true;
	conf.assign = "2";
	rc = bus_open(&bus, t->url, BUS_READ, &conf, &err);
	if (rc == 0)
		rc = stamp_resume_partition(bus, 2, leaves, &next, &err);
	OK(&t->tap, rc == 0 && next == 31, "an open reader: %" PRId64 " %s", next, err.text);
	bus_close(bus);
}

static void test_pipe(struct stamp_test *t)
{
	int64_t next[2] = { 5, 5 };
	struct err err = { "" };

	OK(&t->tap, stamp_resume("-", &t->conf, leaves, next, 2, &err) == 0 &&
	   next[0] == BUS_OFFSET_FIRST && next[1] == BUS_OFFSET_FIRST, "a pipe has no past");
	OK(&t->tap, stamp_resume("nonsense", &t->conf, leaves, next, 2, &err) == -EINVAL,
	   "a wrong URL is said: %s", err.text);
}

static void test_seen(struct stamp_test *t)
{
	static const struct {
		int32_t partition;
		int64_t offset, index;
		bool is_new;
	} table[] = {
		{ 0, 0, 0, true }, { 0, 0, 0, false }, { 0, 0, 1, true }, { 0, 0, 0, false },
		{ 0, 5, 0, true }, { 0, 4, 9, false }, { 0, 5, 0, false }, { 1, 3, 0, true },
		{ 0, 6, 0, true }, { 1, 3, 0, false }, { 255, 1, 0, true }, { 255, 1, 0, false },
		/* Outside of what can be remembered nothing is dropped. */
		{ -1, -1, 0, true }, { -1, -1, 0, true }, { 256, 1, 0, true }, { 256, 1, 0, true },
	};
	struct stamp_seen *seen = malloc(sizeof(*seen));

	stamp_seen_init(seen);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool is_new = stamp_is_new(seen, table[i].partition, table[i].offset,
					   table[i].index);

		OK(&t->tap, is_new == table[i].is_new, "seen %zu: %d %" PRId64 " %" PRId64 " is %s",
		   i, table[i].partition, table[i].offset, table[i].index,
		   table[i].is_new ? "new" : "a repeat");
	}
	free(seen);
}

int main(void)
{
	struct stamp_test t = { .tap = { 0 } };
	char dir[] = "/tmp/millrace-stamp-XXXXXX";
	char remove[64];

	if (!mkdtemp(dir))
		return 1;
	snprintf(t.url, sizeof(t.url), "log:%s/enriched", dir);
	t.schema = record_schema("enriched");
	t.conf = (struct bus_conf){ .schema = t.schema, .partitions = PARTITIONS };
	test_resume(&t);
	test_long(&t);
	test_open_reader(&t);
	test_pipe(&t);
	test_seen(&t);
	schema_close(t.schema);
	snprintf(remove, sizeof(remove), "rm -rf %s", dir);
	OK(&t.tap, system(remove) == 0, "cleans up");
	return tap_end(&t.tap);
}
