// SPDX-License-Identifier: Apache-2.0
#include "lib/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/block.h"
#include "tests/log_record.h"
#include "tests/tap.h"

/* The bus takes fd 0 and 1: they are put in place for its open, and tap's own output is kept
 * on another one meanwhile. */
struct rig {
	struct tap *tap;
	struct schema *schema;
	struct buf datum;
	struct bus_conf conf;
	int stdout_fd;
	int null_fd;
};

static int open_at(struct rig *rig, struct bus **bus, int fd, struct err *err)
{
	fflush(stdout);
	if (dup2(fd, 1) < 0)
		abort();
	return bus_open(bus, "-", BUS_WRITE, &rig->conf, err);
}

static void stdout_back(struct rig *rig)
{
	if (dup2(rig->stdout_fd, 1) < 0)
		abort();
}

/* What a writer makes of n records, released in groups. */
static struct buf written(struct rig *rig, int n, int group)
{
	struct bus_conf conf = { .schema = rig->schema, .commit_ms = 1 };
	struct buf bytes = { 0 };
	struct bus *bus = NULL;
	int fd = memfd_create("pipe", MFD_CLOEXEC);
	int rc = 0;

	fflush(stdout);
	if (fd < 0 || dup2(fd, 1) < 0 || bus_open(&bus, "-", BUS_WRITE, &conf, NULL) < 0)
		abort();
	for (int i = 0; i < n && rc == 0; i++) {
		rc = bus_write(bus, 5, SLICE("k"), log_record(rig->schema, i, &rig->datum), NULL);
		if (rc == 0 && i % group == group - 1)
			rc = bus_flush(bus, 5000);
	}
	if (rc < 0 || bus_flush(bus, 5000) < 0 || bus_durable(bus) != (uint64_t)n)
		abort();
	bus_close(bus);
	stdout_back(rig);
	if (lseek(fd, 0, SEEK_SET) != 0)
		abort();
	for (;;) {
		char *at = buf_reserve(&bytes, 1 << 16);
		ssize_t got = at ? read(fd, at, 1 << 16) : -1;

		if (got <= 0)
			break;
		bytes.len += (size_t)got;
	}
	close(fd);
	return bytes;
}

/* Feeds bytes in chunks of `chunk` from a thread. */
struct feed {
	struct slice bytes;
	size_t chunk;
	int fd;
};

static void *feed_run(void *arg)
{
	struct feed *feed = arg;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	while (feed->bytes.len > 0) {
		size_t n = feed->chunk < feed->bytes.len ? feed->chunk : feed->bytes.len;

		if (write(feed->fd, feed->bytes.ptr, n) != (ssize_t)n)
			break;
		feed->bytes = slice_skip(feed->bytes, n);
	}
	close(feed->fd);
	return NULL;
}

struct seen {
	int good, wrong, lost, rc;
	char text[240];
};

static struct seen read_bytes(struct rig *rig, struct slice bytes, size_t chunk)
{
	struct bus_conf conf = { .schema = rig->schema };
	struct seen seen = { 0 };
	struct bus_record record;
	struct feed feed = { bytes, chunk, -1 };
	struct err err = { "" };
	struct bus *bus;
	pthread_t thread;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0 || dup2(fds[0], 0) < 0)
		abort();
	close(fds[0]);
	feed.fd = fds[1];
	if (bus_open(&bus, "-", BUS_READ, &conf, &err) < 0)
		abort();
	pthread_create(&thread, NULL, feed_run, &feed);
	while ((seen.rc = bus_next(bus, &record, 10000)) == 1) {
		if (!record.fields)
			seen.lost += (int)record.count;
		else if (log_record_is(&record, record.offset) &&
			 record.offset == seen.good + seen.lost)
			seen.good++;
		else
			seen.wrong++;
	}
	snprintf(seen.text, sizeof(seen.text), "%s", bus_error_text(bus));
	bus_close(bus);
	if (dup2(rig->null_fd, 0) < 0)
		abort();
	pthread_join(thread, NULL);
	return seen;
}

static void test_chunks(struct rig *rig)
{
	static const size_t chunks[] = { 1, 2, 7, 100, 4096, 1 << 20 };
	struct buf bytes = written(rig, 500, 50);

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct seen seen = read_bytes(rig, buf_slice(&bytes), chunks[i]);

		OK(rig->tap, seen.good == 500 && !seen.wrong && seen.rc == -ENODATA,
		   "chunks of %zu: %d records, %d", chunks[i], seen.good, seen.rc);
	}
	buf_close(&bytes);
}

/* Cut anywhere: all whole blocks come out, then words; only at a block's end it is an end. */
static void test_cuts(struct rig *rig)
{
	struct buf bytes = written(rig, 9, 3);
	int wrong = 0, ends = 0;

	for (size_t len = 0; len < bytes.len; len++) {
		struct seen seen = read_bytes(rig, (struct slice){ bytes.ptr, len }, 1 << 16);

		wrong += seen.wrong || seen.lost || seen.good % 3 ||
			 (seen.rc != -ENODATA && (seen.rc != -EBADMSG || !seen.text[0]));
		ends += seen.rc == -ENODATA;
	}
	OK(rig->tap, wrong == 0, "cut anywhere: %d wrong", wrong);
	/* Nothing at all, the bare header, and two blocks' ends. */
	OK(rig->tap, ends == 4, "%d cuts are an end", ends);
	buf_close(&bytes);
}

static void test_flips(struct rig *rig)
{
	struct buf bytes = written(rig, 9, 3);
	struct block_header header;
	int wrong = 0;

	if (block_parse_header(buf_slice(&bytes), &header, NULL) < 0)
		abort();
	for (size_t i = header.size; i < bytes.len; i++) {
		struct seen seen;

		bytes.ptr[i] ^= (char)(1 << i % 8);
		seen = read_bytes(rig, buf_slice(&bytes), 1 << 16);
		wrong += seen.wrong || (seen.rc == -ENODATA && seen.good + seen.lost < 9);
		bytes.ptr[i] ^= (char)(1 << i % 8);
	}
	OK(rig->tap, wrong == 0, "a flipped bit is told: %d wrong", wrong);
	buf_close(&bytes);
}

static void test_strange(struct rig *rig)
{
	static const struct {
		const char *bytes;
		const char *said;
	} cases[] = {
		{ "{\"type\":\"track\"}\n", "collect --stdin" },
		{ "\n  [1]", "collect --stdin" },
		{ "hello", "Obj" },
		{ "Obj\1\2\3\4\5\6\7\10\11", "damaged" },
		{ "Ob", "header" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen seen = read_bytes(rig, slice_from(cases[i].bytes), 1);

		OK(rig->tap, seen.rc == -EBADMSG && strstr(seen.text, cases[i].said), "%s",
		   seen.text);
	}
}

static void test_codecs(struct rig *rig)
{
	static const enum block_codec codecs[] = { BLOCK_NULL, BLOCK_DEFLATE, BLOCK_SNAPPY };

	for (size_t c = 0; c < sizeof(codecs) / sizeof(codecs[0]); c++) {
		struct buf out = { 0 }, raw = { 0 };
		struct block_coder *coder;
		struct seen seen;

		if (block_coder_open(&coder, codecs[c], 0, NULL) < 0)
			abort();
		block_print_header(&out, codecs[c], schema_text(rig->schema), NULL, 0,
				   "0123456789abcdef");
		for (int i = 0; i < 40; i++) {
			buf_append_slice(&raw, log_record(rig->schema, i, &rig->datum));
			if (i % 10 == 9) {
				if (block_pack(coder, buf_slice(&raw), 10, "0123456789abcdef",
					       &out) < 0)
					abort();
				buf_reset(&raw);
			}
		}
		seen = read_bytes(rig, buf_slice(&out), 333);
		OK(rig->tap, seen.good == 40 && seen.rc == -ENODATA, "reads %s",
		   block_codec_name(codecs[c]));
		block_coder_close(coder);
		buf_close(&out);
		buf_close(&raw);
	}
}

/* A reader that goes away is an error, no signal; one that stands still does not hold close. */
static void test_ends(struct rig *rig)
{
	struct err err = { "" };
	struct bus *bus;
	int fds[2], rc = 0;

	if (pipe2(fds, O_CLOEXEC) < 0 || open_at(rig, &bus, fds[1], &err) < 0)
		abort();
	stdout_back(rig);
	close(fds[1]);
	bus_close(bus);
	close(fds[0]);

	if (pipe2(fds, O_CLOEXEC) < 0 || open_at(rig, &bus, fds[1], &err) < 0)
		abort();
	close(fds[1]);
	close(fds[0]);
	rc = bus_write(bus, 0, SLICE(""), log_record(rig->schema, 1, &rig->datum), NULL);
	if (rc == 0)
		rc = bus_flush(bus, 5000);
	stdout_back(rig);
	OK(rig->tap, rc == -EPIPE && bus_error(bus) == -EPIPE, "the reader went: %s",
	   bus_error_text(bus));
	OK(rig->tap, bus_write(bus, 0, SLICE(""), SLICE("x"), NULL) == -EPIPE, "for good");
	bus_close(bus);

	if (pipe2(fds, O_CLOEXEC) < 0 || open_at(rig, &bus, fds[1], &err) < 0)
		abort();
	close(fds[1]);
	for (int64_t i = 0; i < 2000000 && rc != -EAGAIN; i++) {
		rc = bus_write(bus, 0, SLICE(""), log_record(rig->schema, i, &rig->datum), NULL);
		if (rc == 0 && i % 1000 == 0)
			rc = bus_release(bus);
	}
	bus_close(bus);
	stdout_back(rig);
	OK(rig->tap, rc == -EAGAIN, "a reader that stands still: the buffer is bounded");
	OK(rig->tap, true, "and close returns");
	close(fds[0]);
}

int main(void)
{
	struct tap tap = { 0 };
	struct rig rig = { .tap = &tap, .schema = log_record_schema() };

	rig.conf = (struct bus_conf){ .schema = rig.schema, .commit_ms = 1 };
	rig.stdout_fd = fcntl(1, F_DUPFD_CLOEXEC, 10);
	rig.null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(rig.null_fd, 0) < 0)
		abort();
	test_chunks(&rig);
	test_cuts(&rig);
	test_flips(&rig);
	test_strange(&rig);
	test_codecs(&rig);
	test_ends(&rig);
	buf_close(&rig.datum);
	schema_close(rig.schema);
	close(rig.stdout_fd);
	close(rig.null_fd);
	return tap_end(&tap);
}
