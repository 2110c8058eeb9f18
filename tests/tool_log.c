/* tool_log - a writer and a reader of self-proving records, to be killed and to be lied to
 *
 *      tool_log write URL COUNT [SEGMENT_BYTES]
 *              appends records numbered by their offset, from the log's end on; "acked N" for each
 *              rise of what is durable, "error RC words" when the error changes; COUNT 0: for ever
 *      tool_log read URL
 *              to the end; "lost OFFSET COUNT why", "wrong OFFSET", "jump A to B", "end OFFSET"
 *      tool_log follow URL COUNT
 *              "got OFFSET" for each until COUNT
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/log_record.h"

static void say(const char *format, ...) PRINTF_LIKE(1, 2);
static void say(const char *format, ...)
{
	char line[400];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 1;
	if (write(1, line, (size_t)n) != n)
		_exit(74);
}

static void report(struct bus *bus, int64_t base, uint64_t *acked, int *error)
{
	uint64_t durable = bus_durable(bus);
	int rc = bus_error(bus);

	if (durable != *acked)
		say("acked %lld\n", (long long)(base + (int64_t)durable));
	if (rc != *error)
		say("error %d %s\n", rc, bus_error_text(bus));
	*acked = durable;
	*error = rc;
}

static int write_some(const char *url, int64_t count, int64_t segment_bytes)
{
	struct schema *schema = log_record_schema();
	struct bus_conf conf = { .schema = schema, .segment_bytes = segment_bytes, .commit_ms = 1,
				 .buffer_bytes = 20000 };
	struct err err = { "" };
	struct buf buf = { 0 };
	struct bus *bus;
	int64_t first, base, n;
	uint64_t acked = 0;
	int error = 0;
	int rc = bus_open(&bus, url, BUS_WRITE, &conf, &err);

	if (rc < 0) {
		say("open %d %s\n", rc, err.text);
		return 1;
	}
	if (bus_range(bus, 0, &first, &base) < 0)
		return 1;
	say("base %lld\n", (long long)base);
	for (n = 0; (n < count || !count) && rc == 0; n++) {
		while ((rc = bus_write(bus, 0, SLICE(""), log_record(schema, base + n, &buf),
				       NULL)) == -EAGAIN) {
			rc = bus_release(bus);
			if (rc == 0)
				rc = bus_wait(bus, 50);
			report(bus, base, &acked, &error);
		}
		if (rc == 0 && n % 7 == 6)
			rc = bus_release(bus);
		if (rc == 0 && n % 21 == 20)
			(void)!bus_flush(bus, 50);
		report(bus, base, &acked, &error);
	}
	while ((rc = bus_flush(bus, 50)) < 0 && n > 0)
		report(bus, base, &acked, &error);
	report(bus, base, &acked, &error);
	bus_close(bus);
	buf_close(&buf);
	schema_close(schema);
	return 0;
}

static int read_all(const char *url, bool until_end, int64_t count)
{
	struct schema *schema = log_record_schema();
	struct bus_conf conf = { .schema = schema, .until_end = until_end };
	struct err err = { "" };
	struct bus_record record;
	struct bus *bus;
	int64_t next = 0;
	int rc = bus_open(&bus, url, BUS_READ, &conf, &err);

	if (rc < 0) {
		say("open %d %s\n", rc, err.text);
		return 1;
	}
	while ((until_end || next < count) && (rc = bus_next(bus, &record, 100)) >= 0) {
		if (rc == 0)
			continue;
		if (record.offset != next)
			say("jump %lld to %lld\n", (long long)next, (long long)record.offset);
		next = record.offset + record.count;
		if (!record.fields)
			say("lost %lld %lld %s\n", (long long)record.offset,
			    (long long)record.count, record.why);
		else if (!log_record_is(&record, record.offset))
			say("wrong %lld\n", (long long)record.offset);
		if (!until_end)
			say("got %lld\n", (long long)record.offset);
	}
	if (rc < 0 && rc != -ENODATA)
		say("error %d %s\n", rc, bus_error_text(bus));
	say("end %lld\n", (long long)next);
	bus_close(bus);
	schema_close(schema);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && strcmp(argv[1], "write") == 0)
		return write_some(argv[2], strtoll(argv[3], NULL, 10),
				  argc > 4 ? strtoll(argv[4], NULL, 10) : 0);
	if (argc == 3 && strcmp(argv[1], "read") == 0)
		return read_all(argv[2], true, 0);
	if (argc == 4 && strcmp(argv[1], "follow") == 0)
		return read_all(argv[2], false, strtoll(argv[3], NULL, 10));
	fprintf(stderr,
		"usage: tool_log write URL COUNT [SEGMENT_BYTES] | read URL | follow URL N\n");
	return 64;
}
