// SPDX-License-Identifier: Apache-2.0
#include "lib/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

#define SCHEMA "{\"type\":\"record\",\"name\":\"T\",\"fields\":[" \
	"{\"name\":\"seq\",\"type\":\"long\"},{\"name\":\"time\",\"type\":\"long\"}," \
	"{\"name\":\"text\",\"type\":\"string\"}]}"

enum { SEQ, TIME, TEXT };

struct rig {
	struct tap *tap;
	struct schema *schema;
	char dir[64];
	char url[128];
	struct buf datum;
};

/* The text of a record follows from its number, so that a reader can tell wrong bytes. */
static size_t text_of(int64_t seq, char text[512])
{
	size_t len = (size_t)(20 + seq * 7919 % 300);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + (seq * 31 + (int64_t)i * (1 + seq % 7)) % 26);
	return len;
}

static struct slice record_of(struct rig *rig, int64_t seq)
{
	char text[512];
	struct value fields[3];

	fields[SEQ] = value_num(seq);
	fields[TIME] = value_num(seq * 1000);
	fields[TEXT] = value_text((struct slice){ text, text_of(seq, text) });
	buf_reset(&rig->datum);
	if (datum_encode(rig->schema, fields, &rig->datum) < 0)
		abort();
	return buf_slice(&rig->datum);
}

static bool is_right(const struct bus_record *record, int64_t seq)
{
	char text[512];
	size_t len = text_of(seq, text);

	return record->fields && record->fields[SEQ].num == seq &&
	       record->fields[TIME].num == seq * 1000 &&
	       slice_eq(record->fields[TEXT].text, (struct slice){ text, len });
}

static void rig_open(struct rig *rig, struct tap *tap)
{
	struct err err = { "" };

	*rig = (struct rig){ .tap = tap };
	snprintf(rig->dir, sizeof(rig->dir), "%s/millrace-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(rig->dir) || schema_parse(&rig->schema, SLICE(SCHEMA), &err) < 0)
		abort();
	snprintf(rig->url, sizeof(rig->url), "log:%s/d/t", rig->dir);
}

static void rig_close(struct rig *rig)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", rig->dir);
	if (system(command) != 0)
		abort();
	buf_close(&rig->datum);
	schema_close(rig->schema);
}

static void test_round_trip(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema, .partitions = 3, .segment_bytes = 100000 };
	struct err err = { "" };
	struct bus *bus;
	struct bus_record record;
	int64_t seen[3] = { 0 };
	int rc, count = 0, wrong = 0;

	rc = bus_open(&bus, rig->url, BUS_WRITE, &conf, &err);
	OK(rig->tap, rc == 0, "a topic is made: %s", err.text);
	for (int64_t i = 0; i < 30000; i++) {
		while ((rc = bus_write(bus, (int32_t)(i % 3), SLICE(""), record_of(rig, i / 3), NULL)) ==
		       -EAGAIN)
			rc = bus_wait(bus, 100);
		if (rc < 0)
			break;
		if (i % 1000 == 999 && bus_release(bus) < 0)
			break;
	}
	OK(rig->tap, rc == 0 && bus_flush(bus, 10000) == 0, "30000 written: %d", rc);
	OK(rig->tap, bus_durable(bus) == 30000, "all durable");
	bus_close(bus);
	conf.until_end = true;
	rc = bus_open(&bus, rig->url, BUS_READ, &conf, &err);
	OK(rig->tap, rc == 0, "opened for reading: %s", err.text);
	while ((rc = bus_next(bus, &record, 1000)) == 1) {
		count++;
		wrong += !is_right(&record, seen[record.partition]) ||
			 record.offset != seen[record.partition];
		seen[record.partition]++;
	}
	OK(rig->tap, rc == -ENODATA, "ends: %d %s", rc, bus_error_text(bus));
	OK(rig->tap, count == 30000 && wrong == 0, "%d read, %d wrong", count, wrong);
	bus_close(bus);
}

int main(void)
{
	struct tap tap = { 0 };
	struct rig rig;

	rig_open(&rig, &tap);
	test_round_trip(&rig);
	rig_close(&rig);
	return tap_end(&tap);
}
