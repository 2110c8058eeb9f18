// SPDX-License-Identifier: Apache-2.0
#include "sink/position.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/buf.h"

#define SLOTS      4
#define HEADER_MAX 96
#define RANGES_MAX 20000

/* A partition's offsets from `next` on, a ring of what was begun and not yet passed by next. */
struct mark {
	int64_t offset;
	struct position_src before;     /* the stamp that came before it */
	bool is_settled;
};

struct range {
	int64_t first, last;
};

struct part {
	bool is_known;                  /* stands in the file */
	int64_t next;                   /* all below is settled; -1: unknown */
	struct position_src before;     /* at next */
	struct position_src src;        /* of the last begun */
	struct mark *marks;             /* ring, owned */
	size_t head, count, cap;        /* cap is a power of two */
	struct range *done;             /* settled above next before the last end, rising; owned */
	size_t done_count, done_at;
};

struct position {
	pthread_mutex_t lock;
	int fd;
	char *key;
	uint64_t seq;
	int slot, slot_synced;          /* written last: 0 or 1, 2 or 3 */
	bool is_dirty, is_unsynced;
	struct buf text;
	struct part parts[BUS_PARTITIONS_MAX];
};

/* Reading */

static int read_ranges(struct part *part, const char *at)
{
	int64_t first, last;
	int n;

	while (sscanf(at, " %" SCNd64 "-%" SCNd64 "%n", &first, &last, &n) == 2) {
		if (part->done_count % 64 == 0) {
			struct range *done = reallocarray(part->done, part->done_count + 64,
							  sizeof(*done));

			if (!done)
				return -ENOMEM;
			part->done = done;
		}
		if (first < part->next || last < first ||
		    (part->done_count && first <= part->done[part->done_count - 1].last))
			return -EBADMSG;
		part->done[part->done_count++] = (struct range){ first, last };
		at += n;
	}
	return *at == '\0' ? 0 : -EBADMSG;
}

static int read_line(struct position *position, const char *line)
{
	struct position_src src;
	struct part *part;
	int64_t next;
	int32_t p;
	int n;

	if (sscanf(line, "%" SCNd32 " %" SCNd64 " %" SCNd32 " %" SCNd64 " %" SCNd64 "%n", &p,
		   &next, &src.partition, &src.offset, &src.index, &n) != 5 ||
	    p < 0 || p >= BUS_PARTITIONS_MAX || next < 0 ||
	    src.partition < -1 || src.partition >= BUS_PARTITIONS_MAX)
		return -EBADMSG;
	part = &position->parts[p];
	part->is_known = true;
	part->next = next;
	part->before = part->src = src;
	return read_ranges(part, line + n);
}

static char *next_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*rest = end + 1;
	return line;
}

static int read_text(struct position *position, char *text, const char *path, struct err *err)
{
	char *line = next_line(&text);
	int rc = 0;

	if (!line || strcmp(line, position->key) != 0)
		return err_set(err, -EBADMSG, "%s belongs to '%.60s', not to '%.60s': remove it "
			       "to begin anew", path, line ? line : "", position->key);
	while (rc == 0 && (line = next_line(&text)))
		rc = read_line(position, line);
	return rc == -EBADMSG ? err_set(err, rc, "%s: a line is wrong: '%.60s'", path, line) : rc;
}

/* The length of a valid slot's text, or 0. */
static size_t check_slot(const char *bytes, size_t len, uint64_t *seq, size_t *begin)
{
	char header[HEADER_MAX + 1];
	unsigned long text_len;
	unsigned int crc;
	const char *end = memchr(bytes, '\n', len < HEADER_MAX ? len : HEADER_MAX);

	if (!end)
		return 0;
	*begin = (size_t)(end - bytes) + 1;
	memcpy(header, bytes, *begin);
	header[*begin] = '\0';
	if (sscanf(header, "millrace position 1 %" SCNu64 " %lu %8x\n", seq, &text_len,
		   &crc) != 3 ||
	    text_len == 0 || text_len > len - *begin ||
	    crc32(0, (const Bytef *)bytes + *begin, (uInt)text_len) != crc)
		return 0;
	return text_len;
}

static int load(struct position *position, const char *path, struct err *err)
{
	char *bytes = malloc(POSITION_SLOT + 1), *best = NULL;
	size_t best_len = 0, any = 0;
	int rc = bytes ? 0 : -ENOMEM;

	for (int i = 0; i < SLOTS && rc == 0; i++) {
		ssize_t n = pread(position->fd, bytes, POSITION_SLOT,
				  (off_t)i * (off_t)POSITION_SLOT);
		uint64_t seq = 0;
		size_t begin = 0, len = n > 0 ? check_slot(bytes, (size_t)n, &seq, &begin) : 0;

		any += n > 0;
		if (len == 0 || (best && seq <= position->seq))
			continue;
		free(best);
		best = strndup(bytes + begin, len);
		best_len = len;
		position->seq = seq;
		if (!best)
			rc = -ENOMEM;
	}
	/* A slot after the end of a file reads as nothing; a file that was never written is new. */
	if (rc == 0 && !best && any)
		rc = err_set(err, -EBADMSG, "%s: no slot is whole: what was delivered is not "
			     "known; remove it to begin anew", path);
	if (rc == 0 && best && best_len)
		rc = read_text(position, best, path, err);
	free(best);
	free(bytes);
	return rc;
}

static struct position *new_position(const char *key)
{
	struct position *position = calloc(1, sizeof(*position));

	if (!position)
		return NULL;
	pthread_mutex_init(&position->lock, NULL);
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		position->parts[p] = (struct part){ .next = -1, .before = { -1, -1, -1 },
						    .src = { -1, -1, -1 } };
	position->slot_synced = 2;
	position->text.limit = POSITION_SLOT - HEADER_MAX;
	position->fd = -1;
	position->key = strdup(key);
	return position;
}

int position_look(const char *path, const char *key, int32_t partition, int64_t offset)
{
	struct position *position = new_position(key);
	struct part *part;
	int rc;

	if (!position)
		return -ENOMEM;
	part = &position->parts[partition];
	position->fd = open(path, O_RDONLY | O_CLOEXEC);
	rc = position->fd < 0 ? -errno : load(position, path, NULL);
	if (rc == 0)
		rc = offset < part->next;
	for (size_t i = 0; rc == 0 && i < part->done_count; i++)
		rc = part->done[i].first <= offset && offset <= part->done[i].last;
	position_close(position);
	return rc;
}

int position_open(struct position **positionp, const char *path, const char *key, struct err *err)
{
	struct position *position = new_position(key);
	int rc = 0;

	*positionp = NULL;
	if (!position)
		return err_set(err, -ENOMEM, "no memory");
	position->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (!position->key || position->fd < 0)
		rc = err_set(err, position->key ? -errno : -ENOMEM, "%s: %s", path,
			     strerror(errno));
	else if (flock(position->fd, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno,
			     "%s: another sink of this destination runs", path);
	if (rc == 0)
		rc = load(position, path, err);
	if (rc < 0) {
		position_close(position);
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	*positionp = position;
	return 0;
}

void position_close(struct position *position)
{
	if (!position)
		return;
	if (position->fd >= 0) {
		if (position->is_dirty || position->is_unsynced)
			(void)!position_save(position, true);
		close(position->fd);
	}
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++) {
		free(position->parts[p].marks);
		free(position->parts[p].done);
	}
	buf_close(&position->text);
	free(position->key);
	pthread_mutex_destroy(&position->lock);
	free(position);
}

/* Writing. Called with the lock. */

static void print_part(struct position *position, int32_t p)
{
	struct part *part = &position->parts[p];
	struct buf *out = &position->text;
	size_t at = part->done_at, ranges = 0;
	int64_t begun = part->count
		? part->marks[(part->head + part->count - 1) & (part->cap - 1)].offset
		: part->next - 1;
	struct range range = { -1, -1 };

	buf_printf(out, "%d %" PRId64 " %d %" PRId64 " %" PRId64, p, part->next,
		   part->before.partition, part->before.offset, part->before.index);
	/* Marks come first in offset order, then what of the old ranges was not read again. */
	for (size_t i = 0; i <= part->count && ranges < RANGES_MAX; i++) {
		struct mark *mark = i < part->count
				    ? &part->marks[(part->head + i) & (part->cap - 1)] : NULL;

		if (mark && mark->is_settled) {
			if (range.first < 0)
				range.first = mark->offset;
			range.last = mark->offset;
			continue;
		}
		if (range.first >= 0 && ++ranges)
			buf_printf(out, " %" PRId64 "-%" PRId64, range.first, range.last);
		range.first = -1;
	}
	for (; at < part->done_count && ranges < RANGES_MAX; at++) {
		struct range *done = &part->done[at];

		/* What of it was read again stands in the marks, or is below next. */
		if (done->last <= begun)
			continue;
		buf_printf(out, " %" PRId64 "-%" PRId64,
			   done->first > begun ? done->first : begun + 1, done->last);
		ranges++;
	}
	buf_append_char(out, '\n');
}

/* Too long: once more with the ranges left out, which is always right, if not exact. */
static void print_all(struct position *position)
{
	struct buf *out = &position->text;

	for (int full = 1; full >= 0; full--) {
		buf_reset(out);
		buf_append_text(out, position->key);
		buf_append_char(out, '\n');
		for (int32_t p = 0; p < BUS_PARTITIONS_MAX; p++) {
			struct part *part = &position->parts[p];

			if (part->next < 0)
				continue;
			if (full)
				print_part(position, p);
			else
				buf_printf(out, "%d %" PRId64 " %d %" PRId64 " %" PRId64 "\n", p,
					   part->next, part->before.partition,
					   part->before.offset, part->before.index);
		}
		if (!out->failed)
			return;
	}
}

static int write_slot(struct position *position, int slot)
{
	struct buf *out = &position->text;
	char header[HEADER_MAX];
	off_t at = (off_t)slot * (off_t)POSITION_SLOT;
	int n;

	print_all(position);
	assert(!out->failed);
	n = snprintf(header, sizeof(header), "millrace position 1 %" PRIu64 " %zu %08x\n",
		     ++position->seq, out->len,
		     (unsigned)crc32(0, (const Bytef *)out->ptr, (uInt)out->len));
	/* One write: room for the header is made in front of the text. */
	out->limit = POSITION_SLOT;
	if (!buf_reserve(out, (size_t)n))
		return -ENOMEM;
	out->limit = POSITION_SLOT - HEADER_MAX;
	memmove(out->ptr + n, out->ptr, out->len);
	memcpy(out->ptr, header, (size_t)n);
	out->len += (size_t)n;
	if (pwrite(position->fd, out->ptr, out->len, at) != (ssize_t)out->len)
		return errno ? -errno : -EIO;
	return 0;
}

static int save(struct position *position, bool sync)
{
	int rc = 0;

	if (position->is_dirty) {
		rc = write_slot(position, position->slot ^ 1);
		if (rc < 0)
			return rc;
		position->slot ^= 1;
		position->is_dirty = false;
		position->is_unsynced = true;
	}
	if (!sync || !position->is_unsynced)
		return 0;
	rc = write_slot(position, position->slot_synced ^ 1);
	if (rc == 0 && fdatasync(position->fd) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	position->slot_synced ^= 1;
	position->is_unsynced = false;
	return 0;
}

int position_save(struct position *position, bool sync)
{
	int rc;

	pthread_mutex_lock(&position->lock);
	errno = 0;
	rc = save(position, sync);
	pthread_mutex_unlock(&position->lock);
	return rc;
}

/* Offsets */

void position_resume(struct position *position, int32_t partition, struct stamp_seen *seen,
		     int64_t *next)
{
	struct part *part = &position->parts[partition];
	struct position_src src = part->before;

	*next = part->next >= 0 ? part->next : BUS_OFFSET_FIRST;
	if (src.partition >= 0)
		stamp_is_new(seen, src.partition, src.offset, src.index);
}

bool position_is_new(const struct position *position)
{
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		if (position->parts[p].is_known)
			return false;
	return true;
}

int position_start(struct position *position, int32_t partition, int64_t next, struct err *err)
{
	int rc;

	pthread_mutex_lock(&position->lock);
	position->parts[partition].next = next;
	position->is_dirty = true;
	errno = 0;
	rc = save(position, true);
	pthread_mutex_unlock(&position->lock);
	return rc < 0 ? err_set(err, rc, "position: %s", strerror(-rc)) : 0;
}

static int grow(struct part *part)
{
	size_t cap = part->cap ? part->cap * 2 : 256;
	struct mark *marks = malloc(cap * sizeof(*marks));

	if (!marks)
		return -ENOMEM;
	for (size_t i = 0; i < part->count; i++)
		marks[i] = part->marks[(part->head + i) & (part->cap - 1)];
	free(part->marks);
	part->marks = marks;
	part->head = 0;
	part->cap = cap;
	return 0;
}

static bool was_done(struct part *part, int64_t offset)
{
	while (part->done_at < part->done_count && part->done[part->done_at].last < offset)
		part->done_at++;
	return part->done_at < part->done_count && part->done[part->done_at].first <= offset;
}

/* Passes what is settled at the front. */
static void advance(struct part *part)
{
	while (part->count && part->marks[part->head].is_settled) {
		part->next = part->marks[part->head].offset + 1;
		part->head = (part->head + 1) & (part->cap - 1);
		part->count--;
		part->before = part->count ? part->marks[part->head].before : part->src;
	}
}

int position_begin(struct position *position, int32_t partition, int64_t offset,
		   struct position_src src)
{
	struct part *part = &position->parts[partition];
	bool done;
	int rc = 0;

	pthread_mutex_lock(&position->lock);
	if (part->count == part->cap)
		rc = grow(part);
	if (rc == 0) {
		done = was_done(part, offset);
		if (part->next < 0) {
			part->next = offset;
			position->is_dirty = true;
		}
		part->marks[(part->head + part->count) & (part->cap - 1)] =
			(struct mark){ offset, part->src, done };
		part->count++;
		if (src.partition >= 0)
			part->src = src;
		if (done)
			advance(part);
		rc = !done;
	}
	pthread_mutex_unlock(&position->lock);
	return rc;
}

void position_settle(struct position *position, int32_t partition, int64_t offset)
{
	struct part *part = &position->parts[partition];
	size_t low = 0, high;

	pthread_mutex_lock(&position->lock);
	high = part->count;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (part->marks[(part->head + middle) & (part->cap - 1)].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	assert(low < part->count);
	assert(part->marks[(part->head + low) & (part->cap - 1)].offset == offset);
	part->marks[(part->head + low) & (part->cap - 1)].is_settled = true;
	advance(part);
	position->is_dirty = true;
	pthread_mutex_unlock(&position->lock);
}
