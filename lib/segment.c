// SPDX-License-Identifier: Apache-2.0
#include "lib/segment.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#define NAME_DIGITS   20
#define NAME_SUFFIX   ".avro"
#define CHECK_SIZE    16
#define WINDOW_READ   ((size_t)256 << 10)
#define HOP_LEAD      ((size_t)20)      /* two varints */
#define HOP_READ      ((size_t)4 << 10)
#define RUNS_MAX      ((size_t)1 << 20)

void segment_print_name(int64_t base, char name[SEGMENT_NAME_MAX])
{
	snprintf(name, SEGMENT_NAME_MAX, "%020" PRId64 NAME_SUFFIX, base);
}

bool segment_parse_name(const char *name, int64_t *base)
{
	int64_t n = 0;

	if (strlen(name) != NAME_DIGITS + sizeof(NAME_SUFFIX) - 1 ||
	    memcmp(name + NAME_DIGITS, NAME_SUFFIX, sizeof(NAME_SUFFIX)) != 0)
		return false;
	for (int i = 0; i < NAME_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, name[i] - '0', &n))
			return false;
	}
	*base = n;
	return true;
}

static DIR *open_listing(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int saved = errno;

	if (!dir && fd >= 0)
		close(fd);
	errno = saved;
	return dir;
}

int segment_find(int dirfd, int64_t offset, struct segment_near *near)
{
	DIR *dir = open_listing(dirfd);
	struct dirent *entry;
	int64_t base;
	int rc;

	*near = (struct segment_near){ -1, -1, -1, -1, 0 };
	if (!dir)
		return -errno;
	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (!segment_parse_name(entry->d_name, &base))
			continue;
		near->count++;
		if (near->first < 0 || base < near->first)
			near->first = base;
		if (base > near->last)
			near->last = base;
		if (base <= offset && base > near->at)
			near->at = base;
		if (base > offset && (near->next < 0 || base < near->next))
			near->next = base;
	}
	rc = -errno;
	closedir(dir);
	return rc;
}

int64_t segment_bytes(int dirfd)
{
	DIR *dir = open_listing(dirfd);
	struct dirent *entry;
	int64_t base, total = 0;
	struct stat st;

	while (dir && (entry = readdir(dir)))
		if (segment_parse_name(entry->d_name, &base) &&
		    fstatat(dirfd, entry->d_name, &st, 0) == 0)
			total += st.st_size;
	if (dir)
		closedir(dir);
	return total;
}

void segment_window_reset(struct segment_window *window)
{
	buf_reset(&window->bytes);
}

void segment_window_close(struct segment_window *window)
{
	buf_close(&window->bytes);
}

/* Reads [pos, pos + len) of a file, or less at its end, behind buf's content. */
static int read_at(int fd, int64_t pos, size_t len, struct buf *buf)
{
	char *at = buf_reserve(buf, len);

	if (!at)
		return -ENOMEM;
	while (len > 0) {
		ssize_t n = pread(fd, at, len, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += n;
		pos += n;
		len -= (size_t)n;
		buf->len += (size_t)n;
	}
	return 0;
}

/* At least `need` bytes at pos, unless limit or the file's end comes first; `read` at a time. */
static int window_get(const struct segment *segment, struct segment_window *window, int64_t pos,
		      size_t need, size_t read, int64_t limit, struct slice *bytes)
{
	int64_t held = window->pos + (int64_t)window->bytes.len - pos;
	size_t most = (size_t)(limit - pos);
	int rc;

	if (need > most)
		need = most;
	if (window->bytes.len == 0 || window->fd != segment->fd || pos < window->pos ||
	    held < (int64_t)need) {
		size_t len = need > read ? need : read;

		buf_reset(&window->bytes);
		window->pos = pos;
		window->fd = segment->fd;
		rc = read_at(segment->fd, pos, len < most ? len : most, &window->bytes);
		if (rc < 0) {
			buf_reset(&window->bytes);
			return rc;
		}
		held = (int64_t)window->bytes.len;
	}
	*bytes = (struct slice){ window->bytes.ptr + (pos - window->pos), (size_t)held };
	if (bytes->len > most)
		bytes->len = most;
	return 0;
}

static void header_check(struct slice schema_text, struct slice codec, struct slice base,
			 const char sync[BLOCK_SYNC], char text[CHECK_SIZE + 1])
{
	XXH3_state_t *state = XXH3_createState();
	struct slice parts[] = { schema_text, codec, base, { sync, BLOCK_SYNC } };
	uint64_t len;

	assert(state);
	XXH3_64bits_reset(state);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		len = parts[i].len;
		XXH3_64bits_update(state, &len, sizeof(len));
		XXH3_64bits_update(state, parts[i].ptr, parts[i].len);
	}
	snprintf(text, CHECK_SIZE + 1, "%016" PRIx64, (uint64_t)XXH3_64bits_digest(state));
	XXH3_freeState(state);
}

static int write_all(int fd, struct slice bytes, int64_t pos)
{
	while (bytes.len > 0) {
		ssize_t n = pwrite(fd, bytes.ptr, bytes.len, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		pos += n;
		bytes = slice_skip(bytes, (size_t)n);
	}
	return 0;
}

int segment_create(struct segment *segment, int dirfd, int64_t base,
		   const struct segment_conf *conf)
{
	char name[SEGMENT_NAME_MAX], base_text[24], partition[16], check[CHECK_SIZE + 1];
	struct block_meta meta[4];
	int rc;

	*segment = (struct segment){ .fd = -1, .base = base, .codec = conf->codec };
	if (getrandom(segment->sync, BLOCK_SYNC, 0) != BLOCK_SYNC)
		return -EIO;
	snprintf(base_text, sizeof(base_text), "%" PRId64, base);
	snprintf(partition, sizeof(partition), "%" PRId32, conf->partition);
	header_check(conf->schema_text, slice_from(block_codec_name(conf->codec)),
		     slice_from(base_text), segment->sync, check);
	meta[0] = (struct block_meta){ "millrace.topic", slice_from(conf->topic) };
	meta[1] = (struct block_meta){ "millrace.partition", slice_from(partition) };
	meta[2] = (struct block_meta){ "millrace.base_offset", slice_from(base_text) };
	meta[3] = (struct block_meta){ "millrace.check", slice_from(check) };
	block_print_header(&segment->header, conf->codec, conf->schema_text, meta, 4,
			   segment->sync);
	if (segment->header.failed) {
		segment_close(segment);
		return -ENOMEM;
	}
	segment->header_size = (int64_t)segment->header.len;
	segment->schema_text = block_header_meta(buf_slice(&segment->header), "avro.schema");
	segment_print_name(base, name);
	segment->fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	rc = segment->fd < 0 ? -errno : write_all(segment->fd, buf_slice(&segment->header), 0);
	if (rc < 0) {
		if (segment->fd >= 0)
			unlinkat(dirfd, name, 0);
		segment_close(segment);
	}
	return rc;
}

static int header_read(struct segment *segment, bool *is_torn, struct err *err)
{
	struct block_header header;
	struct slice base, codec;
	char want[CHECK_SIZE + 1], base_text[24];
	size_t len = WINDOW_READ / 8;
	int rc;

	do {
		size_t before = segment->header.len;

		rc = read_at(segment->fd, (int64_t)before, len, &segment->header);
		if (rc < 0)
			return err_set(err, rc, "cannot read the segment: %s", strerror(-rc));
		rc = block_parse_header(buf_slice(&segment->header), &header, err);
		if (rc == -EAGAIN && segment->header.len == before) {
			*is_torn = true;
			return err_set(err, -EBADMSG, "the segment ends within its header");
		}
		len *= 2;
	} while (rc == -EAGAIN);
	if (rc < 0) {
		/* A file whose first page never reached the disk. */
		*is_torn = segment->header.len >= BLOCK_SYNC && segment->header.ptr[0] == 0;
		return rc;
	}
	base = block_header_meta(buf_slice(&segment->header), "millrace.base_offset");
	codec = block_header_meta(buf_slice(&segment->header), "avro.codec");
	snprintf(base_text, sizeof(base_text), "%" PRId64, segment->base);
	header_check(header.schema_text, codec, base, header.sync, want);
	if (!slice_is(block_header_meta(buf_slice(&segment->header), "millrace.check"), want))
		return err_set(err, -EBADMSG, "the segment's header does not match its check");
	if (!slice_is(base, base_text))
		return err_set(err, -EBADMSG, "the segment was renamed: its first offset is %.*s",
			       base.len > 20 ? 20 : (int)base.len, base.ptr);
	segment->codec = header.codec;
	segment->schema_text = header.schema_text;
	segment->header_size = (int64_t)header.size;
	memcpy(segment->sync, header.sync, BLOCK_SYNC);
	return 0;
}

int segment_open(struct segment *segment, int dirfd, int64_t base, int flags, bool *is_torn,
		 struct err *err)
{
	char name[SEGMENT_NAME_MAX];
	bool torn = false;
	int rc;

	segment_print_name(base, name);
	*segment = (struct segment){ .base = base };
	segment->header.limit = 2 * BLOCK_HEADER_MAX;
	segment->fd = openat(dirfd, name, flags | O_CLOEXEC);
	if (segment->fd < 0) {
		rc = -errno;
		return err_set(err, rc, "%s: %s", name, strerror(-rc));
	}
	rc = header_read(segment, &torn, err);
	if (is_torn)
		*is_torn = torn;
	if (rc < 0)
		segment_close(segment);
	return rc;
}

void segment_close(struct segment *segment)
{
	if (segment->fd >= 0)
		close(segment->fd);
	segment->fd = -1;
	buf_close(&segment->header);
}

int64_t segment_size(const struct segment *segment)
{
	struct stat st;

	return fstat(segment->fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

int segment_frame(const struct segment *segment, struct segment_window *window, int64_t pos,
		  int64_t limit, struct block_frame *frame)
{
	size_t need = HOP_LEAD;
	struct slice bytes;
	int rc;

	for (;;) {
		size_t want = need;

		rc = window_get(segment, window, pos, want, WINDOW_READ, limit, &bytes);
		if (rc < 0)
			return rc;
		rc = block_parse_frame(bytes, segment->sync, frame, &need);
		if (rc != -EAGAIN)
			return rc;
		/* All there is was given, or the frame says that it goes past the limit. */
		if (bytes.len < want || (int64_t)need > limit - pos)
			return -EBADMSG;
	}
}

int segment_checker_set(struct segment_checker *checker, const struct segment *segment,
			struct err *err)
{
	char *text;
	int rc;

	segment_window_reset(&checker->window);
	if (!checker->coder || checker->codec != segment->codec) {
		block_coder_close(checker->coder);
		checker->coder = NULL;
		if ((rc = block_coder_open(&checker->coder, segment->codec, 0, err)) < 0)
			return rc;
		checker->codec = segment->codec;
	}
	if (checker->datum && slice_eq(checker->schema_text, segment->schema_text))
		return 0;
	datum_reader_close(checker->datum);
	schema_close(checker->schema);
	free((void *)(uintptr_t)checker->schema_text.ptr);
	checker->datum = NULL;
	checker->schema = NULL;
	text = malloc(segment->schema_text.len);
	checker->schema_text = (struct slice){ text, text ? segment->schema_text.len : 0 };
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	memcpy(text, segment->schema_text.ptr, segment->schema_text.len);
	if ((rc = schema_parse(&checker->schema, checker->schema_text, err)) < 0)
		return rc;
	return datum_reader_open(&checker->datum, checker->schema, checker->schema, err);
}

void segment_checker_close(struct segment_checker *checker)
{
	block_coder_close(checker->coder);
	datum_reader_close(checker->datum);
	schema_close(checker->schema);
	free((void *)(uintptr_t)checker->schema_text.ptr);
	segment_window_close(&checker->window);
	*checker = (struct segment_checker){ 0 };
}

/* Unpacks and walks a block. The number of records in it, or -EBADMSG (*why has words). */
static int64_t block_count(struct segment_checker *checker, const struct block_frame *frame,
			   const char **why)
{
	struct slice datums;
	int64_t count = 0;

	if (block_unpack(checker->coder, frame->packed, &datums) < 0) {
		*why = "the block does not unpack, or its checksum is wrong";
		return -EBADMSG;
	}
	while (datums.len > 0) {
		ssize_t n = datum_decode(checker->datum, datums, checker->fields);

		if (n <= 0) {
			*why = "the block holds bytes that are no record";
			return -EBADMSG;
		}
		datums = slice_skip(datums, (size_t)n);
		count++;
	}
	return count;
}

int segment_verify(const struct segment *segment, struct segment_checker *checker, int64_t pos,
		   int64_t offset, int64_t limit, struct segment_tail *tail)
{
	*tail = (struct segment_tail){ pos, offset, NULL };
	segment_window_reset(&checker->window);
	while (tail->pos < limit) {
		struct block_frame frame;
		int64_t count;
		int rc = segment_frame(segment, &checker->window, tail->pos, limit, &frame);

		if (rc < 0 && rc != -EBADMSG)
			return rc;
		if (rc < 0) {
			tail->why = "the block is cut short or its frame is damaged";
			break;
		}
		count = block_count(checker, &frame, &tail->why);
		if (count < 0)
			break;
		if (count != frame.count) {
			tail->why = "the block holds another number of records than it says";
			break;
		}
		tail->pos += (int64_t)frame.size;
		tail->offset += count;
	}
	/* What was read behind pos may be written anew before the next call. */
	segment_window_reset(&checker->window);
	return 0;
}

void segment_map_reset(struct segment_map *map)
{
	free(map->runs);
	*map = (struct segment_map){ 0 };
}

static int map_add(struct segment_map *map, struct segment_run run)
{
	struct segment_run *last = map->count ? &map->runs[map->count - 1] : NULL;

	if (last && !last->why && !run.why) {
		last->end = run.end;
		last->count += run.count;
		return 0;
	}
	if (map->count == map->cap) {
		size_t cap = map->cap ? map->cap * 2 : 16;
		struct segment_run *runs;

		if (cap > RUNS_MAX)
			return -ENOSPC;
		runs = realloc(map->runs, cap * sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		map->runs = runs;
		map->cap = cap;
	}
	map->runs[map->count++] = run;
	return 0;
}

/* Where a valid frame begins at or after pos, found by the sync bytes before it; else limit. */
static int find_block(const struct segment *segment, struct segment_window *window, int64_t pos,
		      int64_t limit, int64_t *found)
{
	struct block_frame frame;
	struct slice bytes;
	int rc;

	while (limit - pos > BLOCK_SYNC) {
		const char *sync;

		rc = window_get(segment, window, pos, WINDOW_READ, WINDOW_READ, limit, &bytes);
		if (rc < 0)
			return rc;
		if (bytes.len <= BLOCK_SYNC)
			break;
		sync = memmem(bytes.ptr, bytes.len, segment->sync, BLOCK_SYNC);
		if (!sync) {
			pos += (int64_t)bytes.len - BLOCK_SYNC + 1;
			continue;
		}
		pos += sync - bytes.ptr + BLOCK_SYNC;
		if (pos == limit)
			break;
		rc = segment_frame(segment, window, pos, limit, &frame);
		if (rc == 0) {
			*found = pos;
			return 0;
		}
		if (rc != -EBADMSG)
			return rc;
		pos -= BLOCK_SYNC - 1;
	}
	*found = limit;
	return 0;
}

/* A place without a valid frame: to the next block. */
static int scan_gap(const struct segment *segment, struct segment_window *window, int64_t pos,
		    int64_t limit, struct segment_map *map)
{
	int64_t end = limit;
	int rc = find_block(segment, window, pos, limit, &end);

	if (rc < 0)
		return rc;
	return map_add(map, (struct segment_run){ pos, end, 0, -1,
			"the block's frame is damaged" });
}

int segment_scan(const struct segment *segment, struct segment_checker *checker, int64_t pos,
		 int64_t limit, struct segment_map *map)
{
	int rc = 0;

	segment_map_reset(map);
	segment_window_reset(&checker->window);
	while (pos < limit && rc == 0) {
		const char *why = NULL;
		struct block_frame frame;
		int64_t count;

		rc = segment_frame(segment, &checker->window, pos, limit, &frame);
		if (rc == -EBADMSG) {
			rc = scan_gap(segment, &checker->window, pos, limit, map);
			if (rc == 0)
				pos = map->runs[map->count - 1].end;
			continue;
		}
		if (rc < 0)
			break;
		/* A block whose bytes are right by their checksum has as many records as it has,
		 * whatever the frame says. */
		count = block_count(checker, &frame, &why);
		rc = map_add(map, (struct segment_run){ pos, pos + (int64_t)frame.size, 0,
				count < 0 ? frame.count : count, why });
		pos += (int64_t)frame.size;
	}
	segment_window_reset(&checker->window);
	return rc;
}

static int settle_assign(struct segment_map *map, int64_t offset)
{
	for (size_t i = 0; i < map->count; i++) {
		map->runs[i].offset = offset;
		offset += map->runs[i].count;
	}
	return 0;
}

/* Blocks that could neither be synced nor cut off: the next segment holds their records, and
 * whatever stands behind these blocks, damaged or not, is of no more use. */
static void settle_trim(struct segment_map *map, int64_t room)
{
	struct segment_run *first = map->runs;

	if (room < 0 || map->count == 0 || first->why || first->count <= room)
		return;
	first->count = room;
	map->count = 1;
}

int segment_settle(struct segment_map *map, int64_t offset, int64_t end)
{
	int64_t lost = end - offset, claimed = 0;
	size_t first, last = 0, bad = 0, unknown = 0;
	struct segment_run all;
	int rc;

	settle_trim(map, lost);
	first = map->count;
	for (size_t i = 0; i < map->count; i++) {
		struct segment_run *run = &map->runs[i];

		if (!run->why) {
			lost -= run->count;
			continue;
		}
		first = first < i ? first : i;
		last = i;
		bad++;
		if (run->count < 0)
			unknown++;
		else
			claimed += run->count;
	}
	if (lost < 0)
		return -EBADMSG;
	if (bad == 0) {
		if (lost == 0)
			return settle_assign(map, offset);
		/* All that is there is right, but the file's end is missing. */
		all = map->count ? map->runs[map->count - 1] : (struct segment_run){ 0 };
		rc = map_add(map, (struct segment_run){ all.end, all.end, 0, lost,
				"the end of the segment is missing" });
		return rc < 0 ? rc : settle_assign(map, offset);
	}
	if (unknown == 0 && claimed == lost)
		return settle_assign(map, offset);
	if (bad == 1 || (unknown == 1 && claimed < lost)) {
		for (size_t i = first; i <= last; i++)
			if (map->runs[i].why && (bad == 1 || map->runs[i].count < 0))
				map->runs[i].count = bad == 1 ? lost : lost - claimed;
		return settle_assign(map, offset);
	}
	/* Which of them lost how much cannot be known, so neither can the offsets between. */
	all = map->runs[first];
	all.end = map->runs[last].end;
	all.count = lost;
	for (size_t i = first; i <= last; i++)
		all.count += map->runs[i].why ? 0 : map->runs[i].count;
	map->runs[first] = all;
	memmove(&map->runs[first + 1], &map->runs[last + 1],
		(map->count - last - 1) * sizeof(map->runs[0]));
	map->count -= last - first;
	return settle_assign(map, offset);
}

/* The two varints of a frame, without its content. */
static int hop_frame(const struct segment *segment, struct segment_window *window, int64_t pos,
		     int64_t limit, int64_t *count, int64_t *size)
{
	struct slice bytes;
	int rc = window_get(segment, window, pos, HOP_LEAD, HOP_READ, limit, &bytes);

	if (rc < 0)
		return rc;
	return block_parse_lead(bytes, count, size);
}

int segment_hop(const struct segment *segment, struct segment_window *window, int64_t limit,
		int64_t end, int64_t *offset, int64_t *pos)
{
	int64_t at = segment->header_size, next = segment->base, count, size;
	int64_t found_at = at, found = next;
	int rc;

	segment_window_reset(window);
	while (at < limit) {
		rc = hop_frame(segment, window, at, limit, &count, &size);
		if (rc == -EAGAIN)
			rc = -EBADMSG;
		if (rc < 0)
			return rc;
		if (next <= *offset) {
			found_at = at;
			found = next;
		}
		next += count;
		at += size;
	}
	if (at != limit || next != end)
		return -EBADMSG;
	if (next <= *offset) {
		found_at = at;
		found = next;
	}
	*offset = found;
	*pos = found_at;
	return 0;
}
