// SPDX-License-Identifier: Apache-2.0
#include "lib/bus.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/block.h"
#include "lib/bus_stage.h"
#include "lib/resolve.h"
#include "lib/when.h"

/*
 * The stream is an Avro container, header and all: `collect --stdin > x.avro` makes a file that
 * any Avro tool reads. A record is durable when its block was written to the pipe: what the next
 * program does with it is that program's promise.
 */

#define COMMIT_MS     20
#define BUFFER_BYTES  ((int64_t)32 << 20)
#define PIPE_BYTES    (1 << 20)
#define READ_BYTES    ((size_t)256 << 10)
#define POLL_MS       100

struct pipe_writer {
	struct bus_stage base;          /* first */
	int fd;
	bool is_file;
	_Atomic bool stop;
	struct block_coder *coder;
	struct buf packed;
	char sync[BLOCK_SYNC];
};

struct pipe_reader {
	struct bus bus;
	const struct bus_conf *conf;
	int fd;
	struct buf bytes;
	size_t used;                    /* of bytes: taken already */
	bool has_ended;
	bool has_header;
	struct block_header header;
	struct slice schema_text;       /* owned */
	struct resolve resolve;
	const struct datum_reader *datum;
	struct block_coder *coder;
	struct value *fields;
	struct slice datums;            /* of the block in hand */
	int64_t offset;
	int64_t block_end;
	int error;
	struct err err;
};

static struct pipe_writer *writer_of(struct bus *bus)
{
	return (struct pipe_writer *)bus;
}

static struct pipe_reader *reader_of(struct bus *bus)
{
	return (struct pipe_reader *)bus;
}

/* write(2) without SIGPIPE, which is the program's to handle for other files. */
static ssize_t write_quietly(int fd, const char *bytes, size_t len)
{
	const struct timespec now = { 0, 0 };
	sigset_t pipe, old;
	ssize_t n;
	int saved;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	n = write(fd, bytes, len);
	saved = errno;
	if (n < 0 && saved == EPIPE && !sigismember(&old, SIGPIPE))
		sigtimedwait(&pipe, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return n;
}

/* All of it, unless bus_close comes first: a pipe takes PIPE_BUF bytes without blocking once
 * poll(2) says so, so a reader that stands still cannot hold us. */
static int write_all(struct pipe_writer *w, struct slice bytes)
{
	while (bytes.len > 0) {
		struct pollfd poller = { .fd = w->fd, .events = POLLOUT };
		size_t most = w->is_file || bytes.len < PIPE_BUF ? bytes.len : PIPE_BUF;
		ssize_t n;

		if (!w->is_file && poll(&poller, 1, POLL_MS) <= 0) {
			if (atomic_load(&w->stop))
				return -ECANCELED;
			continue;
		}
		n = write_quietly(w->fd, bytes.ptr, most);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0)
			bytes = slice_skip(bytes, (size_t)n);
	}
	return 0;
}

static int writer_commit(void *ctx, struct stage_list *lists, struct err *err)
{
	struct pipe_writer *w = ctx;
	int rc = 0;

	for (const struct stage_chunk *chunk = lists[0].first; chunk && rc == 0;
	     chunk = chunk->next) {
		buf_reset(&w->packed);
		rc = block_pack(w->coder, buf_slice(&chunk->bytes), chunk->count, w->sync,
				&w->packed);
		if (rc == 0)
			rc = write_all(w, buf_slice(&w->packed));
	}
	if (rc < 0)
		return err_set(err, rc, rc == -EPIPE ? "stdout: the program that was reading "
			       "ended (%s)" : "stdout: %s", strerror(-rc));
	stage_done(w->base.stage, &lists[0]);
	return 0;
}

static int one_partition(struct bus *bus)
{
	(void)bus;
	return 1;
}

static int writer_write(struct bus *bus, int32_t partition, struct slice key, struct slice value,
			uint64_t *seq)
{
	(void)partition;
	(void)key;
	return stage_write(writer_of(bus)->base.stage, 0, value, seq);
}

static void writer_close(struct bus *bus)
{
	struct pipe_writer *w = writer_of(bus);

	atomic_store(&w->stop, true);
	stage_close(w->base.stage);
	block_coder_close(w->coder);
	buf_close(&w->packed);
	free(w);
}

static const struct bus_ops writer_ops = {
	.partition_count = one_partition,
	.write = writer_write,
	BUS_STAGE_OPS,
	.close = writer_close,
};

static int writer_begin(struct pipe_writer *w, const struct bus_conf *conf, struct err *err)
{
	struct stat st;
	int rc;

	if (isatty(w->fd))
		return err_set(err, -EINVAL,
			       "stdout is a terminal, and Avro is not for eyes: pipe it "
			       "into a program or a file, or give --out");
	if (fstat(w->fd, &st) < 0)
		return err_set(err, -errno, "stdout: %s", strerror(errno));
	w->is_file = !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode);
	(void)fcntl(w->fd, F_SETPIPE_SZ, PIPE_BYTES);
	if (getrandom(w->sync, BLOCK_SYNC, 0) != BLOCK_SYNC)
		return err_set(err, -EIO, "no random bytes from the system");
	block_print_header(&w->packed, BLOCK_ZSTANDARD, schema_text(conf->schema), NULL, 0,
			   w->sync);
	if (w->packed.failed)
		return err_set(err, -ENOMEM, "out of memory");
	rc = write_all(w, buf_slice(&w->packed));
	return rc < 0 ? err_set(err, rc, "stdout: %s", strerror(-rc)) : 0;
}

static int pipe_writer_open(struct bus **busp, const struct bus_conf *conf, struct err *err)
{
	struct pipe_writer *w = calloc(1, sizeof(*w));
	const struct stage_conf stage = {
		.partitions = 1,
		.commit_ms = conf->commit_ms > 0 ? conf->commit_ms : COMMIT_MS,
		.buffer_bytes = conf->buffer_bytes > 0 ? conf->buffer_bytes : BUFFER_BYTES,
		.eager_bytes = (int64_t)BLOCK_CUT,
		.commit = writer_commit,
		.ctx = w,
	};
	int rc;

	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	w->base.bus.ops = &writer_ops;
	w->fd = STDOUT_FILENO;
	rc = writer_begin(w, conf, err);
	if (rc == 0)
		rc = block_coder_open(&w->coder, BLOCK_ZSTANDARD, 0, err);
	if (rc == 0)
		rc = stage_open(&w->base.stage, &stage, err);
	if (rc < 0) {
		writer_close(&w->base.bus);
		return rc;
	}
	*busp = &w->base.bus;
	return 0;
}

static int fail(struct pipe_reader *r, int rc, const char *format, ...) PRINTF_LIKE(3, 4);
static int fail(struct pipe_reader *r, int rc, const char *format, ...)
{
	va_list args;

	if (!r->err.text[0]) {
		va_start(args, format);
		vsnprintf(r->err.text, sizeof(r->err.text), format, args);
		va_end(args);
	}
	r->error = rc;
	return rc;
}

/* More bytes behind what is held. 1: some came, or the end; 0: nothing within the time. */
static int pipe_fill(struct pipe_reader *r, size_t want, int timeout_ms)
{
	struct pollfd poller = { .fd = r->fd, .events = POLLIN };
	ssize_t n;
	char *at;

	if (poll(&poller, 1, timeout_ms) == 0)
		return 0;
	buf_drop(&r->bytes, r->used);
	r->used = 0;
	at = buf_reserve(&r->bytes, want > READ_BYTES ? want : READ_BYTES);
	if (!at)
		return fail(r, -ENOMEM, "out of memory");
	n = read(r->fd, at, r->bytes.cap - r->bytes.len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return fail(r, -errno, "stdin: %s", strerror(errno));
	r->bytes.len += (size_t)n;
	r->has_ended = n == 0;
	return 1;
}

static int take_header(struct pipe_reader *r)
{
	struct slice bytes = buf_slice(&r->bytes);
	struct slice text = bytes;
	struct err err = { "" };
	char *copy;
	int rc;

	while (text.len && strchr(" \t\r\n", text.ptr[0]))
		text = slice_skip(text, 1);
	if (text.len && (text.ptr[0] == '{' || text.ptr[0] == '['))
		return fail(r, -EBADMSG, "stdin is JSON: pipe it through `collect --stdin` first");
	if (!text.len && !r->has_ended)
		return -EAGAIN;
	rc = block_parse_header(bytes, &r->header, &err);
	if (rc == -EAGAIN && r->has_ended)
		return fail(r, -EBADMSG, "stdin: the Avro stream ends within its header");
	if (rc == -EBADMSG)
		return fail(r, rc, "stdin: %s", err.text);
	if (rc < 0)
		return rc;
	copy = malloc(r->header.schema_text.len);
	if (!copy)
		return fail(r, -ENOMEM, "out of memory");
	memcpy(copy, r->header.schema_text.ptr, r->header.schema_text.len);
	r->schema_text = (struct slice){ copy, r->header.schema_text.len };
	rc = resolve_get(&r->resolve, r->schema_text, &r->datum, &r->err);
	if (rc == 0)
		rc = block_coder_open(&r->coder, r->header.codec, 0, &r->err);
	if (rc < 0)
		return fail(r, rc, "stdin: its schema cannot be read");
	r->used = r->header.size;
	r->has_header = true;
	return 0;
}

/* 1: r->datums is a block, or *record is what is left of a damaged one (r->datums is empty); 0:
 * more bytes are needed; -ENODATA: the end. */
static int take_block(struct pipe_reader *r, size_t *need, struct bus_record *record)
{
	struct slice rest = slice_skip(buf_slice(&r->bytes), r->used);
	struct block_frame frame;
	int rc;

	if (rest.len == 0 && r->has_ended)
		return -ENODATA;
	rc = block_parse_frame(rest, r->header.sync, &frame, need);
	if (rc == -EAGAIN && r->has_ended)
		return fail(r, -EBADMSG,
			    "stdin: the Avro stream is cut short after record %lld: the "
			    "program before ended in the middle",
			    (long long)r->offset);
	if (rc == -EAGAIN)
		return 0;
	if (rc < 0)
		return fail(r, rc, "stdin: the Avro stream is damaged after record %lld",
			    (long long)r->offset);
	r->used += frame.size;
	r->block_end = r->offset + frame.count;
	rc = block_unpack(r->coder, frame.packed, &r->datums);
	if (rc < 0) {
		r->datums = (struct slice){ "", 0 };
		*record = (struct bus_record){
			.offset = r->offset,
			.count = frame.count,
			.key = { "", 0 },
			.raw = frame.packed,
			.why = "stdin: a block does not unpack, or its checksum is wrong",
		};
		if (record->raw.len > BUS_RECORD_MAX / 2)
			record->raw.len = BUS_RECORD_MAX / 2;
		r->offset = r->block_end;
		return frame.count > 0 ? 2 : 1;
	}
	return 1;
}

static void take_record(struct pipe_reader *r, struct bus_record *record)
{
	ssize_t n = datum_decode(r->datum, r->datums, r->fields);

	*record = (struct bus_record){ .offset = r->offset, .count = 1, .key = { "", 0 } };
	if (n > 0) {
		record->raw = (struct slice){ r->datums.ptr, (size_t)n };
		record->fields = r->fields;
		r->datums = slice_skip(r->datums, (size_t)n);
		r->offset++;
		return;
	}
	record->raw = r->datums;
	if (record->raw.len > BUS_RECORD_MAX / 2)
		record->raw.len = BUS_RECORD_MAX / 2;
	record->why = "stdin: a block holds bytes that are no record";
	if (r->block_end - r->offset > 1)
		record->count = r->block_end - r->offset;
	r->offset += record->count;
	r->datums = (struct slice){ "", 0 };
}

static int reader_next(struct bus *bus, struct bus_record *record, int timeout_ms)
{
	struct pipe_reader *r = reader_of(bus);
	int64_t until = 0;
	size_t need = 0;
	int rc;

	if (r->error)
		return r->error;
	for (;;) {
		int64_t left;

		if (r->datums.len > 0) {
			take_record(r, record);
			return 1;
		}
		if (!r->has_header && r->has_ended && r->bytes.len == 0)
			return -ENODATA;
		rc = r->bytes.len > 0 && !r->has_header ? take_header(r) : 0;
		if (rc < 0 && rc != -EAGAIN)
			return rc;
		rc = r->has_header ? take_block(r, &need, record) : 0;
		if (rc < 0 || rc == 2)
			return rc < 0 ? rc : 1;
		if (rc == 1)
			continue;
		left = when_monotonic_ms();
		until = until ? until : left + timeout_ms;
		left = until - left;
		rc = pipe_fill(r, need, left > 0 ? (int)left : 0);
		if (rc < 0)
			return rc;
		if (rc == 0 && until - when_monotonic_ms() <= 0)
			return 0;
	}
}

static int reader_error(struct bus *bus)
{
	return reader_of(bus)->error;
}

static const char *reader_error_text(struct bus *bus)
{
	return reader_of(bus)->err.text;
}

static void reader_close(struct bus *bus)
{
	struct pipe_reader *r = reader_of(bus);

	block_coder_close(r->coder);
	resolve_close(&r->resolve);
	buf_close(&r->bytes);
	free((void *)(uintptr_t)r->schema_text.ptr);
	free(r->fields);
	free(r);
}

static const struct bus_ops reader_ops = {
	.partition_count = one_partition,
	.next = reader_next,
	.error = reader_error,
	.error_text = reader_error_text,
	.close = reader_close,
};

static int pipe_reader_open(struct bus **busp, const struct bus_conf *conf, struct err *err)
{
	struct pipe_reader *r;

	if (isatty(STDIN_FILENO))
		return err_set(err, -EINVAL, "stdin is a terminal: pipe records into it, or give "
			       "--in");
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	r->bus.ops = &reader_ops;
	r->conf = conf;
	r->fd = STDIN_FILENO;
	r->resolve.reader = conf->schema;
	r->fields = calloc((size_t)schema_field_count(conf->schema) + 1, sizeof(*r->fields));
	if (!r->fields) {
		reader_close(&r->bus);
		return err_set(err, -ENOMEM, "out of memory");
	}
	(void)fcntl(r->fd, F_SETPIPE_SZ, PIPE_BYTES);
	*busp = &r->bus;
	return 0;
}

int bus_pipe_open(struct bus **busp, enum bus_mode mode, const struct bus_conf *conf,
		  struct err *err)
{
	assert(conf->schema);
	if (mode == BUS_WRITE)
		return pipe_writer_open(busp, conf, err);
	return pipe_reader_open(busp, conf, err);
}
