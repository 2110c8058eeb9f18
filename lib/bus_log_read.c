// SPDX-License-Identifier: Apache-2.0
#include "lib/bus_log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/block.h"
#include "lib/bus_log_head.h"
#include "lib/resolve.h"
#include "lib/segment.h"
#include "lib/when.h"

#define CHECK_MS       100      /* between two looks at lock and files of an idle partition */
#define BARE_WAIT_MS   20       /* between two looks where there is no .head to wait on */
#define BEYOND_MS      5000     /* how long a start behind the end may be a writer's recovery */
#define RAW_MAX        (BUS_RECORD_MAX / 2)     /* bytes handed out of something damaged */

/* How far a partition may be read: all before `offset` is durable, and lies in segment `base` up to
 * byte `size`, or in an older one. */
struct cursor {
	int32_t partition;
	int fd;                         /* its directory */
	bool is_started;
	bool from_first;                /* what retention takes away may be missed */
	int64_t offset;                 /* next to hand out */
	int64_t skip_to;                /* records before it are not handed out */
	int64_t end;                    /* until_end: stop there; else INT64_MAX */
	struct log_head_entry tip;
	int64_t checked_ms;             /* when lock and files were looked at */
	int64_t beyond_ms;              /* since when offset lies behind the tip; 0: it does not */

	struct segment segment;
	int64_t pos;                    /* of the next block */
	int64_t limit_pos;              /* the segment may be read up to here .. */
	int64_t limit;                  /* .. which is this offset */
	struct segment_map map;         /* runs, where something is damaged */
	size_t run;
};

struct log_reader {
	struct bus bus;
	const struct bus_conf *conf;
	struct log_url url;
	int topic_fd;                   /* -1: does not exist yet */
	struct log_head head;
	bool assigned[BUS_PARTITIONS_MAX];
	struct cursor *cursors[BUS_PARTITIONS_MAX];     /* NULL: not there yet, or not assigned */
	int part_count;
	int64_t listed_ms;
	int turn;                       /* whose block comes next */
	bool is_frozen;

	struct resolve resolve;
	struct block_coder *coders[4];  /* by enum block_codec */
	struct segment_window window;
	struct segment_checker checker;
	struct buf raw;
	struct value *fields;

	/* the block that is being handed out */
	struct cursor *cursor;          /* NULL: none */
	const struct datum_reader *datum;
	struct slice datums;
	int64_t block_end;              /* the offset behind it, by its frame */

	int error;
	struct err err;
	char why[200];
};

static struct log_reader *reader_of(struct bus *bus)
{
	return (struct log_reader *)bus;
}

static int fail(struct log_reader *r, int rc, const char *format, ...) PRINTF_LIKE(3, 4);
static int fail(struct log_reader *r, int rc, const char *format, ...)
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

static int fail_part(struct log_reader *r, const struct cursor *c, int rc, const char *what)
{
	return fail(r, rc, "%.100s/%d: %s: %s", r->url.path, (int)c->partition, what,
		    strerror(-rc));
}

static int coder_get(struct log_reader *r, enum block_codec codec, struct block_coder **coder)
{
	int rc = 0;

	if (!r->coders[codec])
		rc = block_coder_open(&r->coders[codec], codec, 0, NULL);
	*coder = r->coders[codec];
	return rc;
}

/* No writer holds the partition, or .head cannot be used: what the last file holds, block by
 * block, is the truth, once it is synced here (whoever wrote it may have died before that). */
static int tip_verify(struct log_reader *r, struct cursor *c, bool head_is_valid,
		      const struct log_head_entry *head)
{
	struct segment segment = { .fd = -1 };
	struct segment_near near;
	struct segment_tail tail;
	bool is_torn = false;
	int64_t size, pos, offset;
	int rc = segment_find(c->fd, INT64_MAX, &near);

	if (rc < 0)
		return fail_part(r, c, rc, "cannot list");
	if (near.last < 0 || (head_is_valid && near.last < head->base))
		return 0;
	rc = segment_open(&segment, c->fd, near.last, O_RDONLY, &is_torn, NULL);
	if (rc == -ENOENT)
		return 0;
	if (rc == -EBADMSG) {
		if (near.last > c->tip.offset)
			c->tip = (struct log_head_entry){ near.last, near.last, 0 };
		return 0;
	}
	if (rc < 0)
		return fail_part(r, c, rc, "cannot open the last segment");
	size = segment_size(&segment);
	if (size < 0 || fdatasync(segment.fd) < 0) {
		rc = size < 0 ? (int)size : -errno;
		segment_close(&segment);
		return fail_part(r, c, rc, "cannot sync the last segment");
	}
	pos = segment.header_size;
	offset = segment.base;
	if (c->tip.base == segment.base && c->tip.size >= pos) {
		pos = c->tip.size;
		offset = c->tip.offset;
	} else if (c->tip.offset > offset) {
		/* .head promised more than the file could hold: the next writer goes on there. */
		segment_close(&segment);
		return 0;
	}
	if (size > pos)
		rc = segment_checker_set(&r->checker, &segment, &r->err);
	if (rc == 0 && size > pos)
		rc = segment_verify(&segment, &r->checker, pos, offset, size, &tail);
	else
		tail = (struct segment_tail){ pos, offset, NULL };
	segment_close(&segment);
	if (rc < 0)
		return fail_part(r, c, rc, "cannot check the last segment");
	/* A writer that came meanwhile may cut what was just read; .head tells from now on. */
	if (head_is_valid && log_is_locked(c->fd) == 1)
		return 0;
	c->tip = (struct log_head_entry){ tail.offset, near.last, tail.pos };
	return 0;
}

/* Looks how far the partition goes by now. */
static int tip_update(struct log_reader *r, struct cursor *c, bool force)
{
	struct log_head_entry head;
	bool is_valid = log_head_get(&r->head, c->partition, &head) == 0;
	int64_t now;
	int locked;

	if (is_valid && head.offset > c->tip.offset) {
		c->tip = head;
		if (!force)
			return 0;
	}
	now = when_monotonic_ms();
	if (!force && now - c->checked_ms < CHECK_MS)
		return 0;
	c->checked_ms = now;
	locked = log_is_locked(c->fd);
	if (locked < 0)
		return fail_part(r, c, locked, "cannot look at .lock");
	if (locked && is_valid)
		return 0;
	return tip_verify(r, c, is_valid, &head);
}

static void segment_leave(struct log_reader *r, struct cursor *c)
{
	segment_close(&c->segment);
	segment_window_reset(&r->window);
	segment_map_reset(&c->map);
}

/* What is known of the end of the open segment: a later one seals it, else the tip does. */
static int limit_update(struct log_reader *r, struct cursor *c)
{
	struct segment_near near;
	int64_t size = segment_size(&c->segment);
	int rc = segment_find(c->fd, c->segment.base, &near);

	if (rc < 0 || size < 0)
		return fail_part(r, c, rc < 0 ? rc : (int)size, "cannot list");
	if (c->tip.base == c->segment.base) {
		c->limit = c->tip.offset;
		c->limit_pos = c->tip.size;
		return 0;
	}
	c->limit_pos = size;
	c->limit = near.next >= 0 && near.next < c->tip.base ? near.next : c->tip.base;
	return 0;
}

/* Retention took what comes next. */
static int gap(struct log_reader *r, struct cursor *c, int64_t first)
{
	if (!c->from_first)
		return fail(r, -ERANGE,
			    "%.100s/%d: state gap: offset %" PRId64 " is wanted, but the "
			    "oldest one kept is %" PRId64
			    "; start from the first, or keep more (retain-bytes, "
			    "retain-ms)",
			    r->url.path, (int)c->partition, c->offset, first);
	log_words(r->conf->log, LOG_LEVEL_WARN, "log_gap",
		  "%s/%d: retention removed offsets %" PRId64 " to %" PRId64
		  " before they were read",
		  r->url.path, (int)c->partition, c->offset, first - 1);
	c->offset = first;
	c->skip_to = first;
	return 0;
}

/* A record that stands for `count` offsets that nobody can read. */
static int hand_out_lost(struct log_reader *r, struct cursor *c, struct bus_record *record,
			 int64_t count, int64_t pos, int64_t bytes, const char *why)
{
	int64_t most = (int64_t)RAW_MAX < bytes ? (int64_t)RAW_MAX : bytes;
	char *at;

	snprintf(r->why, sizeof(r->why), "%s: segment %" PRId64 ", byte %" PRId64 ", %" PRId64
		 " bytes", why, c->segment.base, pos, bytes);
	buf_reset(&r->raw);
	at = most > 0 && c->segment.fd >= 0 ? buf_reserve(&r->raw, (size_t)most) : NULL;
	if (at) {
		ssize_t n = pread(c->segment.fd, at, (size_t)most, pos);

		r->raw.len = n > 0 ? (size_t)n : 0;
	}
	*record = (struct bus_record){
		.partition = c->partition,
		.offset = c->offset,
		.count = count,
		.key = { "", 0 },
		.raw = buf_slice(&r->raw),
		.why = r->why,
	};
	log_words(r->conf->log, LOG_LEVEL_ERROR, "log_damaged",
		  "%s/%d: offsets %" PRId64 " to %" PRId64 " are lost: %s", r->url.path,
		  (int)c->partition, c->offset, c->offset + count - 1, r->why);
	c->offset += count;
	return 1;
}

/* Cuts the rest of the segment into runs. */
static int map_make(struct log_reader *r, struct cursor *c, int64_t from)
{
	int64_t offset = c->offset;
	int rc = segment_checker_set(&r->checker, &c->segment, &r->err);

	c->run = 0;
	segment_window_reset(&r->window);
	if (rc == 0)
		rc = segment_scan(&c->segment, &r->checker, from, c->limit_pos, &c->map);
	if (rc == 0) {
		if (from == c->segment.header_size)
			offset = c->segment.base;
		rc = segment_settle(&c->map, offset, c->limit);
	}
	if (rc == -EBADMSG)
		return fail(r, rc,
			    "%.100s/%d: segment %" PRId64 " holds more records than the next "
			    "one's name allows",
			    r->url.path, (int)c->partition, c->segment.base);
	if (rc < 0)
		return fail_part(r, c, rc, "cannot read a damaged segment");
	return 0;
}

/* Sets the position to the block with c->skip_to, or to the run. */
static int seek_segment(struct log_reader *r, struct cursor *c)
{
	int64_t offset = c->skip_to, pos;
	int rc;

	if (offset == c->segment.base) {
		c->pos = c->segment.header_size;
		c->offset = offset;
		return 0;
	}
	rc = segment_hop(&c->segment, &r->window, c->limit_pos, c->limit, &offset, &pos);
	if (rc == 0) {
		c->pos = pos;
		c->offset = offset;
		return 0;
	}
	if (rc != -EBADMSG)
		return fail_part(r, c, rc, "cannot read a segment");
	rc = map_make(r, c, c->segment.header_size);
	if (rc < 0)
		return rc;
	while (c->run + 1 < c->map.count && c->map.runs[c->run + 1].offset <= offset)
		c->run++;
	c->pos = c->map.runs[c->run].pos;
	c->offset = c->map.runs[c->run].offset;
	return 0;
}

/* Opens the segment with c->offset. 1: done; 0: something changed, look again; 2: a record. */
static int segment_enter(struct log_reader *r, struct cursor *c, struct bus_record *record)
{
	struct segment_near near;
	struct err err = { "" };
	int64_t end;
	int rc = segment_find(c->fd, c->offset, &near);

	if (rc < 0)
		return fail_part(r, c, rc, "cannot list");
	if (near.at < 0 && near.first >= 0 && near.first <= c->tip.offset)
		return gap(r, c, near.first);
	if (near.at < 0)
		return fail(r, -ESTALE, "%.100s/%d: segments vanished from the disk", r->url.path,
			    (int)c->partition);
	rc = segment_open(&c->segment, c->fd, near.at, O_RDONLY, NULL, &err);
	if (rc == -ENOENT)
		return 0;
	c->segment.base = near.at;
	if (rc == -EBADMSG) {
		end = near.next >= 0 && near.next < c->tip.offset ? near.next : c->tip.offset;
		hand_out_lost(r, c, record, end - c->offset, 0, 0, err.text);
		c->skip_to = c->offset;
		return 2;
	}
	if (rc < 0)
		return fail(r, rc, "%.100s/%d/%s", r->url.path, (int)c->partition, err.text);
	rc = limit_update(r, c);
	if (rc < 0)
		return rc;
	/* The file's own end comes before the offset: the files between are missing. */
	if (c->offset >= c->limit) {
		segment_leave(r, c);
		end = near.next >= 0 && near.next < c->tip.offset ? near.next : c->tip.offset;
		c->segment.base = near.at;
		hand_out_lost(r, c, record, end - c->offset, 0, 0, "a segment is missing");
		c->skip_to = c->offset;
		return 2;
	}
	c->skip_to = c->offset;
	rc = seek_segment(r, c);
	return rc < 0 ? rc : 1;
}

/* The blocks end before the limit. */
static int segment_short(struct log_reader *r, struct cursor *c, struct bus_record *record)
{
	struct segment_near near;
	struct stat st;
	int rc = segment_find(c->fd, c->segment.base, &near);

	if (rc < 0)
		return fail_part(r, c, rc, "cannot list");
	/* A file that retention unlinked: the one after it may be gone, too. */
	if (fstat(c->segment.fd, &st) == 0 && st.st_nlink == 0 && near.next > c->offset) {
		segment_leave(r, c);
		return gap(r, c, near.next);
	}
	hand_out_lost(r, c, record, c->limit - c->offset, c->pos, 0, "the end of the segment is "
		      "missing");
	c->skip_to = c->offset;
	return 2;
}

/* The run that the map has for c->pos. 0: good, read on; 1: look again; 2: a record. */
static int run_step(struct log_reader *r, struct cursor *c, struct bus_record *record)
{
	const struct segment_run *run = &c->map.runs[c->run];
	int64_t count, before;

	while (c->pos >= run->end && c->run + 1 < c->map.count)
		run = &c->map.runs[++c->run];
	if (!run->why && c->pos < run->end)
		return 0;
	if (!run->why || c->pos > run->pos || (run->pos == run->end && c->offset != run->offset)) {
		segment_map_reset(&c->map);
		return 1;
	}
	c->pos = run->end;
	/* A start in the middle of what is lost stands for what comes after it. */
	before = c->skip_to > run->offset ? c->skip_to - run->offset : 0;
	count = run->count - before;
	if (before >= run->count) {
		c->offset = run->offset + run->count;
		count = 0;
	} else {
		c->offset = run->offset + before;
	}
	if (count > 0)
		hand_out_lost(r, c, record, count, run->pos, run->end - run->pos, run->why);
	else
		log_words(r->conf->log, LOG_LEVEL_WARN, "log_damaged", "%s/%d: segment %" PRId64
			  ", byte %" PRId64 ": %s; no record is lost", r->url.path,
			  (int)c->partition, c->segment.base, run->pos, run->why);
	if (++c->run == c->map.count)
		segment_map_reset(&c->map);
	return count > 0 ? 2 : 1;
}

/* Makes the block at c->pos the one that is handed out. 1: done; 0: look again. */
static int block_load(struct log_reader *r, struct cursor *c)
{
	struct block_frame frame;
	struct block_coder *coder;
	int rc = segment_frame(&c->segment, &r->window, c->pos, c->limit_pos, &frame);

	if (rc == 0)
		rc = coder_get(r, c->segment.codec, &coder);
	if (rc == 0)
		rc = block_unpack(coder, frame.packed, &r->datums);
	if (rc == -EBADMSG && !c->map.count) {
		rc = map_make(r, c, c->pos);
		return rc < 0 ? rc : 0;
	}
	if (rc < 0)
		return fail_part(r, c, rc, "cannot read a block");
	rc = resolve_get(&r->resolve, c->segment.schema_text, &r->datum, &r->err);
	if (rc < 0)
		return fail(r, rc, "the schema of a segment does not resolve");
	r->cursor = c;
	r->block_end = c->offset + frame.count;
	c->pos += (int64_t)frame.size;
	return 1;
}

/* Moves a cursor to its next block. 1: r->cursor is set; 2: *record is; 0: nothing more yet. */
static int cursor_step(struct log_reader *r, struct cursor *c, struct bus_record *record)
{
	for (;;) {
		int rc = 0;

		if (c->offset >= c->end)
			return 0;
		if (c->offset >= c->tip.offset) {
			rc = tip_update(r, c, false);
			if (rc < 0 || c->offset >= c->tip.offset)
				return rc;
		}
		if (c->segment.fd < 0) {
			rc = segment_enter(r, c, record);
			if (rc < 0 || rc == 2)
				return rc;
			continue;
		}
		if (c->map.count) {
			rc = run_step(r, c, record);
			if (rc < 0 || rc == 2)
				return rc;
			if (rc == 1)
				continue;
		}
		if (c->offset >= c->limit) {
			int64_t limit = c->limit;

			rc = limit_update(r, c);
			if (rc < 0)
				return rc;
			if (c->limit <= limit && c->tip.base != c->segment.base)
				segment_leave(r, c);
			continue;
		}
		if (c->pos >= c->limit_pos) {
			rc = segment_short(r, c, record);
			if (rc < 0 || rc == 2)
				return rc;
			continue;
		}
		rc = block_load(r, c);
		if (rc != 0)
			return rc;
	}
}

/* Where a partition begins. */
static int cursor_start(struct log_reader *r, struct cursor *c)
{
	struct segment_near near;
	int64_t start = BUS_OFFSET_FIRST, first;
	int rc = tip_update(r, c, true);

	if (rc == 0)
		rc = segment_find(c->fd, 0, &near);
	if (rc < 0)
		return fail_part(r, c, rc, "cannot list");
	first = near.first >= 0 && near.first < c->tip.offset ? near.first : c->tip.offset;
	if (r->conf->start)
		start = r->conf->start(r->conf->start_ctx, c->partition, &r->err);
	if (start < BUS_OFFSET_FIRST)
		return fail(r, (int)start, "partition %d has no start", (int)c->partition);
	c->from_first = start == BUS_OFFSET_FIRST;
	if (start == BUS_OFFSET_FIRST)
		start = first;
	else if (start == BUS_OFFSET_END)
		start = c->tip.offset;
	c->offset = start;
	c->skip_to = start;
	c->end = INT64_MAX;
	c->is_started = true;
	return start < first ? gap(r, c, first) : 0;
}

/* A start that lies behind the end: a writer that still repairs may say more in a moment; else
 * the topic is not the one that the start came from. */
static int check_beyond(struct log_reader *r, struct cursor *c)
{
	int64_t now;

	if (c->offset <= c->tip.offset) {
		c->beyond_ms = 0;
		return 0;
	}
	now = when_monotonic_ms();
	if (!c->beyond_ms)
		c->beyond_ms = now;
	if (now - c->beyond_ms < BEYOND_MS && log_is_locked(c->fd) == 1)
		return 0;
	return fail(r, -ERANGE,
		    "%.100s/%d: offset %" PRId64 " is wanted, but the topic ends at %" PRId64
		    ": it is not the one that was read before",
		    r->url.path, (int)c->partition, c->offset, c->tip.offset);
}

/* Finds topic, .head and partitions as they appear. */
static int topic_look(struct log_reader *r)
{
	int64_t now = when_monotonic_ms();
	int n;

	if (r->topic_fd < 0) {
		r->topic_fd = open(r->url.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (r->topic_fd < 0 && errno != ENOENT)
			return fail(r, -errno, "cannot open %.150s: %s", r->url.path,
				    strerror(errno));
	}
	if (r->topic_fd < 0 || (r->listed_ms && now - r->listed_ms < CHECK_MS))
		return 0;
	r->listed_ms = now;
	if (log_head_is_gone(&r->head)) {
		log_head_close(&r->head);
		(void)!log_head_open_read(&r->head, r->topic_fd);
	}
	n = log_partition_count(r->topic_fd);
	if (n < 0)
		return fail(r, n, "cannot list %.150s: %s", r->url.path, strerror(-n));
	for (int i = r->part_count; i < n; i++) {
		struct cursor *c;

		if (!r->assigned[i])
			continue;
		c = calloc(1, sizeof(*c));
		if (!c)
			return fail(r, -ENOMEM, "out of memory");
		c->partition = i;
		c->segment.fd = -1;
		r->cursors[i] = c;
		c->fd = log_partition_open(r->topic_fd, i);
		if (c->fd < 0)
			return fail_part(r, c, c->fd, "cannot open");
	}
	r->part_count = n > r->part_count ? n : r->part_count;
	return 0;
}

/* Topic, partitions and their starts. */
static int reader_look(struct log_reader *r)
{
	int rc = topic_look(r);

	for (int i = 0; i < r->part_count && rc == 0; i++) {
		struct cursor *c = r->cursors[i];

		if (!c || c->is_started)
			continue;
		rc = cursor_start(r, c);
		if (rc == 0 && r->conf->until_end)
			c->end = r->is_frozen ? c->offset : c->tip.offset;
		if (rc == 0 && r->conf->until_end && r->conf->stop) {
			int64_t stop = r->conf->stop(r->conf->start_ctx, c->partition, &r->err);

			if (stop >= 0 && stop < c->end)
				c->end = stop;
		}
	}
	if (rc == 0 && r->conf->until_end)
		r->is_frozen = true;
	return rc;
}

/* One record of the block in hand. 1; 0: the block is done; 2: as 1, undecodable. */
static int block_next(struct log_reader *r, struct bus_record *record)
{
	struct cursor *c = r->cursor;

	while (r->datums.len > 0 && c->offset < c->end) {
		ssize_t n = datum_decode(r->datum, r->datums, r->fields);

		if (n <= 0) {
			int64_t left = r->block_end - c->offset;

			r->cursor = NULL;
			hand_out_lost(r, c, record, left > 0 ? left : 1, c->pos, 0,
				      "the block before holds bytes that are no record");
			record->raw = r->datums;
			if (record->raw.len > RAW_MAX)
				record->raw.len = RAW_MAX;
			return 1;
		}
		*record = (struct bus_record){
			.partition = c->partition,
			.offset = c->offset++,
			.count = 1,
			.key = { "", 0 },
			.raw = { r->datums.ptr, (size_t)n },
			.fields = r->fields,
		};
		r->datums = slice_skip(r->datums, (size_t)n);
		if (record->offset >= c->skip_to)
			return 1;
	}
	if (r->datums.len == 0 && c->offset != r->block_end)
		log_words(r->conf->log, LOG_LEVEL_WARN, "log_damaged",
			  "%s/%d: a block of segment %" PRId64 " before byte %" PRId64
			  " says that it ends at offset %" PRId64 ", but ends at %" PRId64,
			  r->url.path, (int)c->partition, c->segment.base, c->pos, r->block_end,
			  c->offset);
	r->cursor = NULL;
	return 0;
}

/* One round over the partitions. 1: *record is set; 0: nothing there now; -ENODATA. */
static int reader_sweep(struct log_reader *r, struct bus_record *record)
{
	int open = 0, rc;

	for (int i = 0; i < r->part_count; i++) {
		struct cursor *c = r->cursors[r->turn % r->part_count];

		r->turn = (r->turn + 1) % r->part_count;
		if (!c || !c->is_started)
			continue;
		rc = cursor_step(r, c, record);
		if (rc < 0)
			return rc;
		if (rc == 2)
			return 1;
		if (rc == 1 && block_next(r, record) == 1)
			return 1;
		if (rc == 1) {
			i = -1;         /* an empty block, or one that was skipped: go on */
			continue;
		}
		if ((rc = check_beyond(r, c)) < 0)
			return rc;
		open += c->offset < c->end;
	}
	return r->conf->until_end && !open ? -ENODATA : 0;
}

static int reader_next(struct bus *bus, struct bus_record *record, int timeout_ms)
{
	struct log_reader *r = reader_of(bus);
	int64_t until = 0;

	if (r->error)
		return r->error;
	if (r->cursor && block_next(r, record) == 1)
		return 1;
	for (;;) {
		uint32_t bell = log_head_bell(&r->head);
		int64_t left;
		int rc = reader_look(r);

		if (rc == 0)
			rc = reader_sweep(r, record);
		if (rc != 0)
			return rc;
		left = when_monotonic_ms();
		if (!until)
			until = left + timeout_ms;
		left = until - left;
		if (left <= 0)
			return 0;
		if (r->head.fd < 0)
			log_head_wait(&r->head, bell,
				      left < BARE_WAIT_MS ? (int)left : BARE_WAIT_MS);
		else
			log_head_wait(&r->head, bell, left < CHECK_MS ? (int)left : CHECK_MS);
	}
}

static int reader_partition_count(struct bus *bus)
{
	struct log_reader *r = reader_of(bus);

	if (!r->error)
		(void)!topic_look(r);
	return r->part_count;
}

/* A partition's state, apart from what is being read. */
static int cursor_fresh(struct log_reader *r, int32_t partition, struct cursor *c)
{
	int rc = r->error ? r->error : topic_look(r);

	if (rc < 0)
		return rc;
	if (partition < 0 || partition >= r->part_count)
		return -ENOENT;
	*c = (struct cursor){ .partition = partition, .segment.fd = -1 };
	c->fd = log_partition_open(r->topic_fd, partition);
	if (c->fd < 0)
		return c->fd;
	if (r->cursors[partition])
		c->tip = r->cursors[partition]->tip;
	rc = tip_update(r, c, true);
	if (rc < 0)
		close(c->fd);
	return rc;
}

static int reader_range(struct bus *bus, int32_t partition, int64_t *first, int64_t *end)
{
	struct log_reader *r = reader_of(bus);
	struct segment_near near;
	struct cursor c;
	int rc = cursor_fresh(r, partition, &c);

	if (rc < 0)
		return rc;
	rc = segment_find(c.fd, 0, &near);
	*end = c.tip.offset;
	*first = near.first >= 0 && near.first < *end ? near.first : *end;
	close(c.fd);
	return rc;
}

/* The time of the first record at pos; INT64_MAX where it cannot be told (then the search goes to
 * what is older, which is never wrong). */
static int64_t first_time(struct log_reader *r, struct cursor *c, int64_t pos)
{
	const struct datum_reader *datum;
	struct block_frame frame;
	struct block_coder *coder;
	struct slice datums;

	if (segment_frame(&c->segment, &r->window, pos, c->limit_pos, &frame) < 0 ||
	    coder_get(r, c->segment.codec, &coder) < 0 ||
	    block_unpack(coder, frame.packed, &datums) < 0 ||
	    resolve_get(&r->resolve, c->segment.schema_text, &datum, NULL) < 0 ||
	    datum_decode(datum, datums, r->fields) <= 0)
		return INT64_MAX;
	return r->fields[r->conf->time_field].num;
}

/* Opens the segment at or before offset for looking at times. */
static int find_enter(struct log_reader *r, struct cursor *c, int64_t offset,
		      struct segment_near *near)
{
	int rc = segment_find(c->fd, offset, near);

	segment_leave(r, c);
	if (rc < 0 || near->at < 0 || near->at >= c->tip.offset)
		return rc < 0 ? rc : -ENOENT;
	rc = segment_open(&c->segment, c->fd, near->at, O_RDONLY, NULL, NULL);
	return rc < 0 ? rc : limit_update(r, c);
}

/* The last block of the open segment whose first record is older than time_us. */
static int find_block_time(struct log_reader *r, struct cursor *c, int64_t time_us, int64_t *offset)
{
	int64_t low = c->segment.base, high = c->limit, at, pos;

	*offset = low;
	/* By offsets: each step finds the block around the middle, so it ends at block bounds. */
	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		at = middle;
		if (segment_hop(&c->segment, &r->window, c->limit_pos, c->limit, &at, &pos) < 0)
			return 0;
		segment_window_reset(&r->window);
		if (at >= low && first_time(r, c, pos) < time_us) {
			*offset = at;
			low = middle + 1;
		} else if (at < low) {
			low = middle + 1;
		} else {
			high = at;
		}
		segment_window_reset(&r->window);
	}
	return 0;
}

static int reader_find_time(struct bus *bus, int32_t partition, int64_t time_us, int64_t *offset)
{
	struct log_reader *r = reader_of(bus);
	struct segment_near near;
	struct cursor c;
	int64_t low, high;
	int rc = cursor_fresh(r, partition, &c);

	if (rc < 0)
		return rc;
	/* The coders' memory is about to be used: the block in hand is entered again later. */
	if (r->cursor) {
		r->cursor->skip_to = r->cursor->offset;
		segment_leave(r, r->cursor);
		r->cursor = NULL;
	}
	rc = segment_find(c.fd, 0, &near);
	*offset = near.first >= 0 && near.first < c.tip.offset ? near.first : c.tip.offset;
	low = near.first;
	high = c.tip.offset;
	while (rc == 0 && low >= 0 && low < high) {
		int64_t middle = low + (high - low) / 2;

		rc = find_enter(r, &c, middle, &near);
		if (rc < 0)
			break;
		if (first_time(r, &c, c.segment.header_size) < time_us) {
			rc = find_block_time(r, &c, time_us, offset);
			low = near.next >= 0 ? near.next : high;
		} else {
			high = near.at;
		}
	}
	segment_leave(r, &c);
	close(c.fd);
	return rc == -ENOENT ? 0 : rc;
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
	struct log_reader *r = reader_of(bus);

	for (int i = 0; i < BUS_PARTITIONS_MAX; i++) {
		struct cursor *c = r->cursors[i];

		if (!c)
			continue;
		segment_leave(r, c);
		if (c->fd >= 0)
			close(c->fd);
		free(c);
	}
	for (size_t i = 0; i < sizeof(r->coders) / sizeof(r->coders[0]); i++)
		block_coder_close(r->coders[i]);
	segment_checker_close(&r->checker);
	segment_window_close(&r->window);
	resolve_close(&r->resolve);
	log_head_close(&r->head);
	buf_close(&r->raw);
	if (r->topic_fd >= 0)
		close(r->topic_fd);
	free(r->fields);
	free(r);
}

static const struct bus_ops reader_ops = {
	.partition_count = reader_partition_count,
	.range = reader_range,
	.find_time = reader_find_time,
	.next = reader_next,
	.error = reader_error,
	.error_text = reader_error_text,
	.close = reader_close,
};

/* "0,2-3" */
static int parse_assign(struct log_reader *r, const char *assign, struct err *err)
{
	const char *at = assign;

	while (*at) {
		char *end;
		long from = strtol(at, &end, 10), to = from;

		if (end != at && *end == '-') {
			at = end + 1;
			to = strtol(at, &end, 10);
		}
		if (end == at || from < 0 || to < from || to >= BUS_PARTITIONS_MAX ||
		    (*end && *end != ','))
			return err_set(err, -EINVAL,
				       "partitions '%.60s': write such as 0,2-3, up to %d", assign,
				       BUS_PARTITIONS_MAX - 1);
		for (long i = from; i <= to; i++)
			r->assigned[i] = true;
		at = *end ? end + 1 : end;
	}
	return 0;
}

int log_reader_open(struct bus **busp, const struct log_url *url, const struct bus_conf *conf,
		    struct err *err)
{
	struct log_reader *r = calloc(1, sizeof(*r));
	int rc = 0;

	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	assert(conf->schema);
	r->bus.ops = &reader_ops;
	r->conf = conf;
	r->url = *url;
	r->topic_fd = -1;
	r->head.fd = -1;
	r->resolve.reader = conf->schema;
	r->fields = calloc((size_t)schema_field_count(conf->schema) + 1, sizeof(*r->fields));
	if (!r->fields)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0 && conf->assign)
		rc = parse_assign(r, conf->assign, err);
	for (int i = 0; i < BUS_PARTITIONS_MAX && !conf->assign; i++)
		r->assigned[i] = url->partition < 0 || url->partition == i;
	if (rc == 0 && topic_look(r) < 0)
		rc = err_set(err, r->error, "%s", r->err.text);
	if (rc < 0) {
		reader_close(&r->bus);
		return rc;
	}
	*busp = &r->bus;
	return 0;
}
