// SPDX-License-Identifier: Apache-2.0
#include "lib/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/block.h"
#include "lib/segment.h"
#include "tests/log_record.h"
#include "tests/tap.h"

struct rig {
	struct tap *tap;
	struct schema *schema;
	char dir[64];
	char url[128];
	struct buf datum;
};

static void shell(const char *format, ...) PRINTF_LIKE(1, 2);
static void shell(const char *format, ...)
{
	char command[600];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0) {
		fprintf(stderr, "failed: %s\n", command);
		abort();
	}
}

static void rig_open(struct rig *rig, struct tap *tap)
{
	const char *temp = getenv("TMPDIR");

	/* Thousands of syncs: in memory where there is such a place. */
	if (!temp && access("/dev/shm", W_OK) == 0)
		temp = "/dev/shm";
	*rig = (struct rig){ .tap = tap, .schema = log_record_schema() };
	snprintf(rig->dir, sizeof(rig->dir), "%s/millrace-XXXXXX", temp ? temp : "/tmp");
	if (!mkdtemp(rig->dir))
		abort();
	snprintf(rig->url, sizeof(rig->url), "log:%s/d/t", rig->dir);
}

static void rig_close(struct rig *rig)
{
	shell("chmod -R u+w '%s'; rm -rf '%s'", rig->dir, rig->dir);
	buf_close(&rig->datum);
	schema_close(rig->schema);
}

static struct bus *open_bus(struct rig *rig, enum bus_mode mode, const struct bus_conf *conf)
{
	struct err err = { "" };
	struct bus *bus = NULL;
	int rc = bus_open(&bus, rig->url, mode, conf, &err);

	if (!OK(rig->tap, rc == 0, "opens: %s", err.text))
		exit(1);
	return bus;
}

/* Records first .. first + count - 1 into one partition, durable in groups of `group`. */
static int put(struct rig *rig, struct bus *bus, int32_t partition, int64_t first, int count,
	       int group)
{
	int rc = 0;

	for (int64_t i = 0; i < count && rc == 0; i++) {
		while ((rc = bus_write(bus, partition, SLICE(""),
				       log_record(rig->schema, first + i, &rig->datum), NULL)) ==
		       -EAGAIN) {
			rc = bus_release(bus);
			if (rc == 0)
				rc = bus_wait(bus, 100);
		}
		if (rc == 0 && (i + 1) % group == 0)
			rc = bus_flush(bus, 10000);
	}
	return rc ? rc : bus_flush(bus, 10000);
}

struct seen {
	int64_t good, lost, wrong, jumps;
	int64_t next;           /* behind the last record of partition 0 */
	int rc;
	char text[240];
};

/* Reads to the end; a record of partition 0 proves its offset. */
static struct seen read_all(struct rig *rig, const struct bus_conf *base)
{
	struct bus_conf conf = base ? *base : (struct bus_conf){ .schema = rig->schema };
	struct seen seen = { 0 };
	struct err err = { "" };
	struct bus_record record;
	struct bus *bus;

	conf.until_end = true;
	seen.rc = bus_open(&bus, rig->url, BUS_READ, &conf, &err);
	if (seen.rc < 0)
		return seen;
	seen.next = -1;
	while ((seen.rc = bus_next(bus, &record, 100)) >= 0) {
		if (seen.rc == 0)
			continue;
		if (seen.next >= 0 && record.offset != seen.next)
			seen.jumps++;
		seen.next = record.offset + record.count;
		if (!record.fields)
			seen.lost += record.count;
		else if (log_record_is(&record, record.offset))
			seen.good++;
		else
			seen.wrong++;
	}
	snprintf(seen.text, sizeof(seen.text), "%s", bus_error_text(bus));
	bus_close(bus);
	return seen;
}

static void test_partitions(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema, .partitions = 3, .segment_bytes = 100000 };
	struct bus *bus = open_bus(rig, BUS_WRITE, &conf);
	struct bus_record record;
	int64_t seen[3] = { 0 }, first, end;
	int rc = 0, count = 0, wrong = 0;

	OK(rig->tap, bus_partition_count(bus) == 3, "three partitions");
	for (int64_t i = 0; i < 30000 && rc == 0; i++) {
		rc = bus_write(bus, (int32_t)(i % 3), SLICE(""),
			       log_record(rig->schema, i / 3, &rig->datum), NULL);
		if (rc == 0 && i % 1000 == 999)
			rc = bus_release(bus);
	}
	OK(rig->tap, rc == 0 && bus_flush(bus, 10000) == 0, "30000 written: %d", rc);
	OK(rig->tap, bus_durable(bus) == 30000, "all durable");
	OK(rig->tap, bus_range(bus, 2, &first, &end) == 0 && first == 0 && end == 10000,
	   "the writer's range");
	bus_close(bus);
	conf.until_end = true;
	conf.partitions = 9;
	bus = open_bus(rig, BUS_READ, &conf);
	OK(rig->tap, bus_range(bus, 1, &first, &end) == 0 && first == 0 && end == 10000,
	   "the reader's range");
	OK(rig->tap, bus_range(bus, 3, &first, &end) == -ENOENT, "no fourth partition");
	while ((rc = bus_next(bus, &record, 1000)) == 1) {
		count++;
		wrong += !log_record_is(&record, seen[record.partition]) ||
			 record.offset != seen[record.partition];
		seen[record.partition]++;
	}
	OK(rig->tap, rc == -ENODATA, "ends: %d %s", rc, bus_error_text(bus));
	OK(rig->tap, count == 30000 && wrong == 0, "%d read, %d wrong", count, wrong);
	bus_close(bus);
	bus = open_bus(rig, BUS_WRITE, &conf);
	OK(rig->tap, bus_partition_count(bus) == 3, "an old topic keeps its partitions");
	bus_close(bus);
}

static int64_t start_at(void *ctx, int32_t partition, struct err *err)
{
	(void)partition;
	(void)err;
	return *(int64_t *)ctx;
}

static void test_start(struct rig *rig)
{
	int64_t start;
	struct bus_conf conf = { .schema = rig->schema, .segment_bytes = 20000,
				 .start = start_at, .start_ctx = &start,
				 .time_field = LOG_RECORD_TIME };
	struct bus *bus = open_bus(rig, BUS_WRITE, &conf);
	struct seen seen;
	int wrong = 0;

	OK(rig->tap, put(rig, bus, 0, 0, 3000, 100) == 0, "3000 written");
	bus_close(bus);
	for (start = 0; start <= 3000; start += 37) {
		seen = read_all(rig, &conf);
		wrong += seen.good != 3000 - start || seen.wrong || seen.jumps || seen.lost;
	}
	OK(rig->tap, wrong == 0, "reads from any offset");
	start = BUS_OFFSET_END;
	OK(rig->tap, read_all(rig, &conf).good == 0, "from the end");
	start = 3001;
	seen = read_all(rig, &conf);
	OK(rig->tap, seen.rc == -ERANGE, "behind the end: %s", seen.text);
	start = -EACCES;
	OK(rig->tap, read_all(rig, &conf).rc == -EACCES, "a start that fails");

	conf.start = NULL;
	bus = open_bus(rig, BUS_READ, &conf);
	wrong = 0;
	for (int64_t i = -1; i < 3100; i += 13) {
		int64_t offset = -9;
		int rc = bus_find_time(bus, 0, i * 1000, &offset);

		/* Groups of 100 were committed alone, so no block is larger. */
		wrong += rc != 0 || offset < 0 || offset > (i < 0 ? 0 : i) ||
			 (i < 3000 && i - offset > 101);
	}
	OK(rig->tap, wrong == 0, "finds times: %d wrong", wrong);
	bus_close(bus);
}

static void test_writers(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema, .partitions = 2 };
	struct err err = { "" };
	struct rig one = *rig, two = *rig;
	struct bus *bus = open_bus(rig, BUS_WRITE, &conf), *other;
	char pid[16];

	OK(rig->tap, bus_open(&other, rig->url, BUS_WRITE, &conf, &err) == -EBUSY,
	   "a second writer: "
	   "%s",
	   err.text);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	OK(rig->tap, strstr(err.text, pid), "says who holds it");
	bus_close(bus);
	snprintf(one.url, sizeof(one.url), "%.100s?partition=0", rig->url);
	snprintf(two.url, sizeof(two.url), "%.100s?partition=3", rig->url);
	bus = open_bus(&one, BUS_WRITE, &conf);
	other = open_bus(&two, BUS_WRITE, &conf);
	OK(rig->tap, bus_partition_count(other) == 4, "partitions appear");
	OK(rig->tap, bus_write(bus, 1, SLICE(""), SLICE("x"), NULL) == -EINVAL, "not its own");
	OK(rig->tap, put(rig, bus, 0, 0, 10, 5) == 0 && put(rig, other, -1, 0, 10, 5) == 0,
	   "each writes its own");
	bus_close(other);
	bus_close(bus);
	OK(rig->tap, read_all(rig, NULL).good == 20, "both are read");
	OK(rig->tap, read_all(&two, NULL).good == 10, "and one alone");
	OK(rig->tap, bus_open(&bus, "log:x", BUS_READ, &conf, &err) == -EINVAL, "no topic");
	OK(rig->tap, bus_open(&bus, "log:a/b?x=1", BUS_READ, &conf, &err) == -EINVAL,
	   "unknown query");
}

static void test_release(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema, .buffer_bytes = 4000 };
	struct bus *bus = open_bus(rig, BUS_WRITE, &conf);
	struct bus *reader = open_bus(rig, BUS_READ, &conf);
	struct bus_record record;
	char *big = calloc(1, BUS_RECORD_MAX + 1);
	int rc = 0, n;

	OK(rig->tap,
	   bus_write(bus, 0, SLICE(""), (struct slice){big, BUS_RECORD_MAX + 1}, NULL) == -EMSGSIZE,
	   "a value over the limit");
	free(big);
	for (n = 0; rc == 0; n++)
		rc = bus_write(bus, 0, SLICE(""), log_record(rig->schema, n, &rig->datum), NULL);
	OK(rig->tap, rc == -EAGAIN && n > 3, "the buffer is bounded: %d", n);
	OK(rig->tap, bus_next(reader, &record, 30) == 0 && bus_durable(bus) == 0,
	   "what was not released is not seen");
	OK(rig->tap, bus_release(bus) == 0 && bus_wait(bus, 5000) == 0 && bus_durable(bus) > 0,
	   "released, it becomes durable");
	OK(rig->tap, bus_next(reader, &record, 5000) == 1 && log_record_is(&record, 0), "and seen");
	bus_close(reader);
	bus_close(bus);
}

/* A follower in a thread sees everything, in order, while segments roll. */
static void *follow(void *arg)
{
	struct rig *rig = arg;
	struct bus_conf conf = { .schema = rig->schema };
	struct bus_record record;
	struct bus *bus;
	int64_t n = 0;

	if (bus_open(&bus, rig->url, BUS_READ, &conf, NULL) < 0)
		return (void *)-1;
	while (n < 5000 && bus_next(bus, &record, 20000) == 1 && record.offset == n &&
	       log_record_is(&record, n))
		n++;
	bus_close(bus);
	return (void *)(intptr_t)n;
}

static void test_follow(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema, .segment_bytes = 30000, .commit_ms = 1 };
	struct bus *bus;
	pthread_t thread;
	void *count;
	int rc = 0;

	pthread_create(&thread, NULL, follow, rig);
	bus = open_bus(rig, BUS_WRITE, &conf);
	for (int64_t i = 0; i < 5000 && rc == 0; i++) {
		rc = bus_write(bus, 0, SLICE(""), log_record(rig->schema, i, &rig->datum), NULL);
		if (rc == 0 && i % 5 == 4)
			rc = bus_release(bus);
		if (rc == 0 && i % 50 == 49)
			rc = bus_wait(bus, 20);
	}
	OK(rig->tap, rc == 0 && bus_flush(bus, 10000) == 0, "written: %d", rc);
	pthread_join(thread, &count);
	OK(rig->tap, (intptr_t)count == 5000, "a follower saw %d", (int)(intptr_t)count);
	bus_close(bus);
}

static void test_retention(struct rig *rig)
{
	int64_t start = 0, first, end;
	struct bus_conf conf = {.schema = rig->schema, .segment_bytes = 2000, .retain_bytes = 6000};
	struct bus_conf slow = { .schema = rig->schema, .start = start_at, .start_ctx = &start };
	struct bus *bus = open_bus(rig, BUS_WRITE, &conf);
	struct bus *lagging, *strict;
	struct bus_record record;
	int rc = put(rig, bus, 0, 0, 30, 30);

	lagging = open_bus(rig, BUS_READ, &(struct bus_conf){ .schema = rig->schema });
	strict = open_bus(rig, BUS_READ, &slow);
	OK(rig->tap, rc == 0 && bus_next(lagging, &record, 1000) == 1 &&
	   bus_next(strict, &record, 1000) == 1, "two readers begin");
	OK(rig->tap, put(rig, bus, 0, 30, 600, 30) == 0, "many segments");
	for (int i = 0; i < 200; i++) {
		if (bus_range(bus, 0, &first, &end) == 0 && first > 200)
			break;
		usleep(50000);
	}
	OK(rig->tap, first > 200 && end == 630, "old segments go: %d..%d", (int)first, (int)end);
	while ((rc = bus_next(strict, &record, 0)) == 1)
		;
	OK(rig->tap, rc == -ERANGE, "a reader that needs all stops: %s", bus_error_text(strict));
	end = 1;
	while (bus_next(lagging, &record, 0) == 1 && log_record_is(&record, record.offset))
		end = record.offset + 1;
	OK(rig->tap, end == 630, "one from the first goes on, to %d", (int)end);
	bus_close(strict);
	bus_close(lagging);
	bus_close(bus);
	start = 5;
	OK(rig->tap, read_all(rig, &slow).rc == -ERANGE, "a start that is gone");
}

/* A later schema reads what an older one wrote, and a writer with another schema begins a file. */
static void test_schemas(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema };
	struct bus *bus = open_bus(rig, BUS_WRITE, &conf);
	struct bus_record record;
	struct schema *later;
	struct segment_near near;
	char path[128];
	int n = 0, wrong = 0, fd;

	OK(rig->tap, put(rig, bus, 0, 0, 10, 10) == 0, "written");
	bus_close(bus);
	if (schema_parse(&later, SLICE("{\"type\":\"record\",\"name\":\"T\",\"fields\":["
			 "{\"name\":\"more\",\"type\":[\"null\",\"string\"],\"default\":null},"
			 "{\"name\":\"text\",\"type\":\"string\"},"
			 "{\"name\":\"seq\",\"type\":\"long\"}]}"), NULL) < 0)
		abort();
	conf.schema = later;
	bus = open_bus(rig, BUS_WRITE, &conf);
	buf_reset(&rig->datum);
	OK(rig->tap, datum_encode(later, (struct value[]){ value_text(SLICE("m")),
		value_text(SLICE("t")), value_num(10) }, &rig->datum) == 0 &&
	   bus_write(bus, 0, SLICE(""), buf_slice(&rig->datum), NULL) == 0 &&
	   bus_flush(bus, 5000) == 0, "a record of the later schema");
	bus_close(bus);
	conf.until_end = true;
	bus = open_bus(rig, BUS_READ, &conf);
	for (; bus_next(bus, &record, 100) == 1; n++)
		wrong += !record.fields || record.fields[2].num != n ||
			 record.fields[0].is_set != (n == 10);
	OK(rig->tap, n == 11 && wrong == 0, "both are read by the later one: %d", n);
	bus_close(bus);
	schema_close(later);
	snprintf(path, sizeof(path), "%s/d/t/0", rig->dir);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	OK(rig->tap, segment_find(fd, 0, &near) == 0 && near.count == 2 && near.last == 10,
	   "each in its own file");
	close(fd);
}

/* The bytes of a file. */
static struct buf slurp(const char *path)
{
	struct buf buf = { 0 };
	int fd = open(path, O_RDONLY);
	ssize_t n = 1;

	while (fd >= 0 && n > 0) {
		char *at = buf_reserve(&buf, 65536);

		n = at ? read(fd, at, 65536) : 0;
		buf.len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return buf;
}

static void spill(const char *path, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, bytes.ptr, bytes.len) != (ssize_t)bytes.len)
		abort();
	close(fd);
}

/* Three segments of records, small, each of several blocks. */
static void make_segments(struct rig *rig, char paths[3][160])
{
	struct bus_conf conf = { .schema = rig->schema, .segment_bytes = 700 };
	struct bus *bus = open_bus(rig, BUS_WRITE, &conf);

	OK(rig->tap, put(rig, bus, 0, 0, 27, 3) == 0, "three segments");
	bus_close(bus);
	for (int i = 0; i < 3; i++) {
		struct segment_near near;
		int64_t offset = -1;
		char dir[128], name[SEGMENT_NAME_MAX];
		int fd;

		snprintf(dir, sizeof(dir), "%s/d/t/0", rig->dir);
		fd = open(dir, O_RDONLY | O_DIRECTORY);
		for (int j = 0; j <= i; j++) {
			if (segment_find(fd, offset, &near) < 0)
				abort();
			offset = near.next;
		}
		close(fd);
		segment_print_name(offset, name);
		snprintf(paths[i], 160, "%s/%s", dir, name);
	}
}

/* Cut the last segment at each byte: with .head, what is missing is counted; without, the log ends
 * before; in both cases a writer goes on, and nobody sees a wrong record. */
static void test_cuts(struct rig *rig, bool with_head)
{
	struct bus_conf conf = { .schema = rig->schema };
	char paths[3][160], head[128];
	struct buf whole, head_bytes;
	struct err err = { "" };
	struct bus *bus;
	int64_t next;
	int bad_read = 0, bad_write = 0;

	make_segments(rig, paths);
	snprintf(head, sizeof(head), "%s/d/t/.head", rig->dir);
	whole = slurp(paths[2]);
	head_bytes = slurp(head);
	shell("cd '%s' && cp -a d saved", rig->dir);
	for (size_t len = 0; len < whole.len; len++) {
		struct seen seen;

		spill(paths[2], (struct slice){ whole.ptr, len });
		unlink(head);
		if (with_head)
			spill(head, buf_slice(&head_bytes));
		seen = read_all(rig, NULL);
		if (seen.rc != -ENODATA || seen.wrong || seen.jumps ||
		    seen.good + seen.lost != seen.next ||
		    (with_head ? seen.next != 27 : seen.lost != 0 || seen.next >= 27))
			bad_read++;
		if (len % 11)
			continue;
		next = seen.next > 0 ? seen.next : 0;
		if (bus_open(&bus, rig->url, BUS_WRITE, &conf, &err) < 0) {
			printf("# cut at %zu: %s\n", len, err.text);
			bad_write++;
			continue;
		}
		if (put(rig, bus, 0, next, 2, 2) < 0)
			bad_write++;
		bus_close(bus);
		seen = read_all(rig, NULL);
		if (seen.next != next + 2 || seen.wrong || seen.rc != -ENODATA) {
			printf("# cut at %zu: next %d, wanted %d: %d %s\n", len, (int)seen.next,
			       (int)next + 2, seen.rc, seen.text);
			bad_write++;
		}
		shell("cd '%s' && rm -rf d && cp -a saved d", rig->dir);
	}
	OK(rig->tap, bad_read == 0, "read after each cut: %d bad", bad_read);
	OK(rig->tap, bad_write == 0, "written on after cuts: %d bad", bad_write);
	buf_close(&whole);
	buf_close(&head_bytes);
}

/* Flip a bit in each byte of one segment: all is right, or counted as lost. */
static void test_flips(struct rig *rig, int which, bool with_head)
{
	char paths[3][160], head[128];
	struct buf whole;
	int bad = 0, quiet = 0;

	make_segments(rig, paths);
	snprintf(head, sizeof(head), "%s/d/t/.head", rig->dir);
	if (!with_head)
		unlink(head);
	whole = slurp(paths[which]);
	for (size_t i = 0; i < whole.len; i++) {
		struct seen seen;

		whole.ptr[i] ^= (char)(1 << (i * 5 + 3) % 8);
		spill(paths[which], buf_slice(&whole));
		seen = read_all(rig, NULL);
		if (seen.rc != -ENODATA || seen.wrong || seen.jumps ||
		    (seen.next > 0 && seen.good + seen.lost != seen.next) ||
		    ((with_head || which < 2) && seen.next != 27)) {
			if (bad++ < 5)
				printf("# byte %zu: rc %d good %d lost %d next %d %s\n", i, seen.rc,
				       (int)seen.good, (int)seen.lost, (int)seen.next, seen.text);
		}
		quiet += seen.good == 27;
		whole.ptr[i] ^= (char)(1 << (i * 5 + 3) % 8);
	}
	spill(paths[which], buf_slice(&whole));
	OK(rig->tap, bad == 0, "segment %d%s, %zu flips: %d bad, %d without loss", which,
	   with_head ? "" : ", no .head", whole.len, bad, quiet);
	buf_close(&whole);
}

/* Damage in what was promised: the writer leaves it, and goes on with fresh offsets. */
static void test_promised(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema };
	char paths[3][160];
	struct buf whole;
	struct bus *bus;
	struct seen seen;

	make_segments(rig, paths);
	whole = slurp(paths[2]);
	whole.ptr[whole.len - 40] ^= 4;
	spill(paths[2], buf_slice(&whole));
	bus = open_bus(rig, BUS_WRITE, &conf);
	OK(rig->tap, put(rig, bus, 0, 27, 3, 3) == 0, "written on");
	bus_close(bus);
	seen = read_all(rig, NULL);
	OK(rig->tap, seen.next == 30 && seen.good == 27 && seen.lost == 3,
	   "3 lost, none twice: next %d "
	   "good %d lost %d",
	   (int)seen.next, (int)seen.good, (int)seen.lost);
	unlink(paths[1]);
	seen = read_all(rig, NULL);
	OK(rig->tap, seen.next == 30 && seen.lost > 3 && !seen.jumps && !seen.wrong,
	   "a file that vanished is counted: %d lost", (int)seen.lost);
	buf_close(&whole);
}

static void test_read_only(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema };
	struct bus *bus = open_bus(rig, BUS_WRITE, &conf);
	struct err err = { "" };

	OK(rig->tap, put(rig, bus, 0, 0, 10, 10) == 0, "written");
	bus_close(bus);
	shell("chmod -R a-w '%s/d'", rig->dir);
	OK(rig->tap, read_all(rig, NULL).good == 10, "read in a read-only directory");
	if (geteuid() == 0)
		OK(rig->tap, true, "root may write everywhere");
	else
		OK(rig->tap, bus_open(&bus, rig->url, BUS_WRITE, &conf, &err) == -EACCES,
		   "not written: %s", err.text);
}

static void test_no_topic(struct rig *rig)
{
	struct bus_conf conf = { .schema = rig->schema, .until_end = true };
	struct bus_record record;
	struct bus *bus = open_bus(rig, BUS_READ, &conf);

	OK(rig->tap, bus_partition_count(bus) == 0, "no partitions yet");
	OK(rig->tap, bus_next(bus, &record, 0) == -ENODATA, "until the end of nothing");
	bus_close(bus);
	conf.until_end = false;
	bus = open_bus(rig, BUS_READ, &conf);
	OK(rig->tap, bus_next(bus, &record, 20) == 0, "waits for a topic");
	bus_close(bus);
}

/* Keys go where Kafka's clients put them (values from Kafka's UtilsTest and librdkafka's tests). */
static void test_murmur2(struct tap *tap)
{
	static const struct {
		const char *key;
		uint32_t hash;
	} cases[] = {
		{ "21", (uint32_t)-973932308 },
		{ "foobar", (uint32_t)-790332482 },
		{ "a-little-bit-long-string", (uint32_t)-985981536 },
		{ "a-little-bit-longer-string", (uint32_t)-1486304829 },
		{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", (uint32_t)-58897971 },
		{ "abc", 479470107 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int32_t want = (int32_t)((cases[i].hash & 0x7fffffff) % 1000003);

		OK(tap, bus_partition_of(slice_from(cases[i].key), 1000003) == want,
		   "murmur2 of %s", cases[i].key);
	}
}

int main(void)
{
	static void (*const tests[])(struct rig *) = {
	    test_partitions, test_start,   test_writers,  test_release,   test_follow,
	    test_retention,  test_schemas, test_promised, test_read_only, test_no_topic,
	};
	struct tap tap = { 0 };
	struct rig rig;

	test_murmur2(&tap);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		rig_open(&rig, &tap);
		tests[i](&rig);
		rig_close(&rig);
	}
	for (int i = 0; i < 2; i++) {
		rig_open(&rig, &tap);
		test_cuts(&rig, i == 0);
		rig_close(&rig);
	}
	for (int i = 0; i < 6; i++) {
		rig_open(&rig, &tap);
		test_flips(&rig, i % 3, i < 3);
		rig_close(&rig);
	}
	return tap_end(&tap);
}
