// SPDX-License-Identifier: Apache-2.0
#include "lib/bus_log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/block.h"
#include "lib/bus_log_head.h"
#include "lib/bus_stage.h"
#include "lib/dir.h"
#include "lib/segment.h"

#define COMMIT_MS      5
#define SEGMENT_BYTES  ((int64_t)128 << 20)
#define BUFFER_BYTES   ((int64_t)32 << 20)
#define EAGER_SHARE    4                        /* a round starts when 1/4 of the buffer waits */
#define WRITE_BYTES    ((size_t)1 << 20)        /* packed blocks that go out by one write */
#define TICK_MS        1000
#define WORDS_PATH     90                       /* of a path in words for people */

struct part {
	int32_t partition;
	int fd;                         /* its directory */
	int lock_fd;                    /* -1: not ours */
	struct segment segment;         /* fd -1: the next round begins a new file */
	bool is_new;                    /* its directory entry is not synced yet */
	struct log_head_entry durable;  /* offset, base, size */
	int64_t offset;                 /* written: next offset */
	int64_t size;                   /* written: bytes of the segment */
};

struct log_writer {
	struct bus_stage base;          /* first */
	const struct bus_conf *conf;
	struct log_url url;
	struct log_head head;
	struct block_coder *coder;      /* the stage's thread's, as all below */
	struct buf packed;
	struct part *parts;
	int part_count;
	int32_t next;                   /* where the next record without a key goes */
	int64_t next_bytes;
};

static struct log_writer *writer_of(struct bus *bus)
{
	return (struct log_writer *)bus;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
	return value > 0 ? value : fallback;
}

/* Words with the place. */
static int part_err(struct log_writer *w, const struct part *part, int rc, const char *what,
		    struct err *err)
{
	return err_set(err, rc, "%.*s/%d: %s: %s", WORDS_PATH, w->url.path, (int)part->partition,
		       what, strerror(-rc));
}

/* Back to what is durable: blocks that did not get there leave the file, so that no reader takes
 * them for records, and are written again. After a failed fdatasync the kernel may have thrown
 * the bytes away and call the next fdatasync a success, so they go into another file. */
static void part_rewind(struct log_writer *w, struct part *part, bool leave)
{
	if (part->segment.fd < 0)
		return;
	if (ftruncate(part->segment.fd, part->durable.size) < 0) {
		log_words(w->conf->log, LOG_LEVEL_WARN, "log_rewind", "%s/%d: cannot cut segment "
			  "%lld back: %s", w->url.path, (int)part->partition,
			  (long long)part->segment.base, strerror(errno));
		leave = true;
	}
	part->offset = part->durable.offset;
	part->size = part->durable.size;
	/* Without anything durable not even the header is left. */
	if (leave || part->size == 0)
		segment_close(&part->segment);
}

/* A new file at the next offset. One of that name can only be there without any durable
 * record in it: from an attempt that failed. */
static int part_begin(struct log_writer *w, struct part *part)
{
	const struct segment_conf conf = {
		.topic = w->url.topic,
		.partition = part->partition,
		.schema_text = schema_text(w->conf->schema),
		.codec = BLOCK_ZSTANDARD,
	};
	char name[SEGMENT_NAME_MAX];
	int rc;

	segment_close(&part->segment);
	segment_print_name(part->durable.offset, name);
	if (unlinkat(part->fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	rc = segment_create(&part->segment, part->fd, part->durable.offset, &conf);
	if (rc < 0)
		return rc;
	part->is_new = true;
	part->offset = part->durable.offset;
	part->size = part->segment.header_size;
	part->durable.base = part->durable.offset;
	part->durable.size = 0;
	return 0;
}

static int packed_write(struct log_writer *w, struct part *part)
{
	struct slice bytes = buf_slice(&w->packed);

	while (bytes.len > 0) {
		ssize_t n = pwrite(part->segment.fd, bytes.ptr, bytes.len, part->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		part->size += n;
		bytes = slice_skip(bytes, (size_t)n);
	}
	buf_reset(&w->packed);
	return 0;
}

static int part_write(struct log_writer *w, struct part *part, const struct stage_list *list)
{
	int rc = 0;

	if (part->segment.fd < 0 ||
	    part->size >= or_default(w->conf->segment_bytes, SEGMENT_BYTES))
		rc = part_begin(w, part);
	buf_reset(&w->packed);
	for (const struct stage_chunk *chunk = list->first; chunk && rc == 0; chunk = chunk->next) {
		rc = block_pack(w->coder, buf_slice(&chunk->bytes), chunk->count,
				part->segment.sync, &w->packed);
		part->offset += chunk->count;
		if (rc == 0 && (w->packed.len >= WRITE_BYTES || !chunk->next))
			rc = packed_write(w, part);
	}
	return rc;
}

static int part_sync(struct part *part)
{
	if (fdatasync(part->segment.fd) < 0)
		return -errno;
	if (part->is_new && fsync(part->fd) < 0)
		return -errno;
	part->is_new = false;
	part->durable = (struct log_head_entry){ part->offset, part->segment.base, part->size };
	return 0;
}

static void part_publish(struct log_writer *w, struct part *part)
{
	if (log_head_put(&w->head, part->partition, &part->durable) < 0)
		log_words(w->conf->log, LOG_LEVEL_WARN, "log_head", "%s: cannot write .head",
			  w->url.path);
}

/* One round: all partitions' blocks are written before the first is synced, so that the disk has
 * them together. */
static int writer_commit(void *ctx, struct stage_list *lists, struct err *err)
{
	struct log_writer *w = ctx;
	int first_rc = 0;

	for (int i = 0; i < w->part_count; i++) {
		struct part *part = &w->parts[i];
		int rc;

		if (!lists[i].first)
			continue;
		rc = part_write(w, part, &lists[i]);
		if (rc == 0)
			continue;
		part_err(w, part, rc, "cannot write", err);
		part_rewind(w, part, rc != -ENOSPC && rc != -EDQUOT);
		first_rc = first_rc ? first_rc : rc;
	}
	for (int i = 0; i < w->part_count; i++) {
		struct part *part = &w->parts[i];
		int rc;

		if (!lists[i].first || part->segment.fd < 0 ||
		    part->offset == part->durable.offset)
			continue;
		rc = part_sync(part);
		if (rc < 0) {
			part_err(w, part, rc, "cannot sync", err);
			part_rewind(w, part, true);
			first_rc = first_rc ? first_rc : rc;
			continue;
		}
		part_publish(w, part);
		stage_done(w->base.stage, &lists[i]);
	}
	log_head_ring(&w->head);
	if (first_rc)
		log_words(w->conf->log, LOG_LEVEL_ERROR, "log_commit", "%s; trying again",
			  err->text);
	return first_rc;
}

/* true: the oldest segment has to go. */
static bool is_expired(struct log_writer *w, struct part *part, const struct segment_near *near,
		       int64_t total)
{
	char name[SEGMENT_NAME_MAX];
	struct timespec now;
	struct stat st;

	if (near->count < 2 || near->first >= part->durable.base)
		return false;
	if (w->conf->retain_bytes > 0 && total > w->conf->retain_bytes)
		return true;
	segment_print_name(near->first, name);
	if (w->conf->retain_ms <= 0 || fstatat(part->fd, name, &st, 0) < 0)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st.st_mtim.tv_sec) * 1000 +
	       (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000 > w->conf->retain_ms;
}

/* Unlinks whole old segments. Readers that are in one keep it open. */
static void part_retain(struct log_writer *w, struct part *part)
{
	int64_t total = w->conf->retain_bytes > 0 ? segment_bytes(part->fd) : 0;
	char name[SEGMENT_NAME_MAX];
	struct segment_near near;
	struct stat st;

	while (segment_find(part->fd, 0, &near) == 0 && is_expired(w, part, &near, total)) {
		segment_print_name(near.first, name);
		if (fstatat(part->fd, name, &st, 0) < 0 || unlinkat(part->fd, name, 0) < 0)
			return;
		total -= st.st_size;
		log_words(w->conf->log, LOG_LEVEL_INFO, "log_retain", "removed %s/%d/%s",
			  w->url.path, (int)part->partition, name);
	}
}

static void writer_tick(void *ctx)
{
	struct log_writer *w = ctx;

	for (int i = 0; i < w->part_count; i++)
		if (w->parts[i].lock_fd >= 0)
			part_retain(w, &w->parts[i]);
}

/* Recovery. The last file is checked block by block. What lies before the durable mark of .head
 * (when that is right) was promised: damage there stays where it is, for readers to count, and
 * writing goes on in a new file. What lies behind it was not, and ends at the first bad block. */

struct recovery {
	struct segment segment;
	struct log_head_entry promised;         /* offset 0, size 0: nothing known */
	struct segment_checker checker;
};

/* The last segment's header is damaged. */
static int recover_headless(struct log_writer *w, struct part *part, struct recovery *re,
			    int64_t base, bool is_torn, struct err *err)
{
	char name[SEGMENT_NAME_MAX];

	segment_print_name(base, name);
	if (re->promised.offset > base) {
		log_words(w->conf->log, LOG_LEVEL_ERROR, "log_damaged", "%s/%d/%s: %s; its records "
			  "are lost, writing goes on behind them", w->url.path,
			  (int)part->partition, name, err->text);
		part->durable = re->promised;
		return 0;
	}
	if (!is_torn && re->promised.offset < base)
		return err_set(err, -EBADMSG,
			       "the header of %.*s/%d/%s is damaged and .head does not "
			       "say how many records it had",
			       WORDS_PATH, w->url.path, (int)part->partition, name);
	log_words(w->conf->log, LOG_LEVEL_WARN, "log_torn",
		  "%s/%d/%s: never written whole, removed", w->url.path, (int)part->partition,
		  name);
	if (unlinkat(part->fd, name, 0) < 0)
		return part_err(w, part, -errno, name, err);
	return -EAGAIN;
}

/* Checks the promised part. Sets where the rest begins. */
static int recover_promised(struct log_writer *w, struct part *part, struct recovery *re,
			    int64_t size, int64_t *pos, bool *damaged, struct err *err)
{
	const struct log_head_entry *promised = &re->promised;
	int64_t limit = promised->size < size ? promised->size : size;
	struct segment_tail tail;
	int rc;

	*pos = re->segment.header_size;
	part->durable.offset = re->segment.base;
	*damaged = false;
	if (promised->base != re->segment.base || promised->size < *pos) {
		part->durable.offset = promised->offset > re->segment.base ? promised->offset :
									     re->segment.base;
		*damaged = promised->offset > re->segment.base;
		return 0;
	}
	rc = segment_verify(&re->segment, &re->checker, *pos, re->segment.base, limit, &tail);
	if (rc < 0)
		return part_err(w, part, rc, "cannot read", err);
	*damaged = tail.why || tail.offset != promised->offset;
	if (*damaged)
		log_words(w->conf->log, LOG_LEVEL_ERROR, "log_damaged",
			  "%s/%d: segment %lld at byte "
			  "%lld: %s; it stays, writing goes on in a new one",
			  w->url.path, (int)part->partition, (long long)re->segment.base,
			  (long long)tail.pos, tail.why ? tail.why : "records are missing");
	*pos = limit;
	part->durable.offset = promised->offset;
	return 0;
}

static int recover_tail(struct log_writer *w, struct part *part, struct recovery *re,
			struct err *err)
{
	int64_t size = segment_size(&re->segment), pos = 0;
	struct segment_tail tail;
	bool damaged = false;
	int rc = size < 0 ? (int)size : segment_checker_set(&re->checker, &re->segment, err);

	if (rc == 0)
		rc = recover_promised(w, part, re, size, &pos, &damaged, err);
	if (rc == 0)
		rc = segment_verify(&re->segment, &re->checker, pos, part->durable.offset, size,
				    &tail);
	if (rc == 0 && tail.why) {
		log_words(w->conf->log, LOG_LEVEL_WARN, "log_torn",
			  "%s/%d: segment %lld cut at byte "
			  "%lld of %lld: %s",
			  w->url.path, (int)part->partition, (long long)re->segment.base,
			  (long long)tail.pos, (long long)size, tail.why);
		if (ftruncate(re->segment.fd, tail.pos) < 0)
			rc = -errno;
	}
	if (rc == 0 && (fdatasync(re->segment.fd) < 0 || fsync(part->fd) < 0))
		rc = -errno;
	if (rc < 0)
		return part_err(w, part, rc, "cannot repair the last segment", err);
	part->durable = (struct log_head_entry){ tail.offset, re->segment.base, tail.pos };
	part->offset = tail.offset;
	part->size = tail.pos;
	if (!damaged && re->segment.codec == BLOCK_ZSTANDARD &&
	    slice_eq(re->segment.schema_text, schema_text(w->conf->schema))) {
		part->segment = re->segment;
		re->segment = (struct segment){ .fd = -1 };
	}
	return 0;
}

/* -EAGAIN: a torn file was removed, look again. */
static int recover_last(struct log_writer *w, struct part *part, struct recovery *re,
			struct err *err)
{
	struct segment_near near;
	struct err why = { "" };
	bool is_torn = false;
	int rc = segment_find(part->fd, INT64_MAX, &near);

	if (rc < 0)
		return part_err(w, part, rc, "cannot list", err);
	if (near.last < re->promised.base || near.last < 0) {
		/* The file that .head speaks of is gone, or nothing was ever written. */
		part->durable = re->promised;
		part->durable.base = re->promised.offset;
		part->durable.size = 0;
		return 0;
	}
	rc = segment_open(&re->segment, part->fd, near.last, O_RDWR, &is_torn, &why);
	if (rc == -EBADMSG) {
		rc = recover_headless(w, part, re, near.last, is_torn, &why);
		return rc == -EAGAIN ? rc : err_set(err, rc, "%s", why.text);
	}
	if (rc < 0)
		return err_set(err, rc, "%.*s/%d/%s", WORDS_PATH, w->url.path,
			       (int)part->partition, why.text);
	return recover_tail(w, part, re, err);
}

static int part_recover(struct log_writer *w, struct part *part, struct err *err)
{
	struct recovery *re = calloc(1, sizeof(*re));
	int rc;

	if (!re)
		return err_set(err, -ENOMEM, "out of memory");
	re->segment.fd = -1;
	if (log_head_get(&w->head, part->partition, &re->promised) < 0)
		re->promised = (struct log_head_entry){ 0, 0, 0 };
	do {
		segment_close(&re->segment);
		rc = recover_last(w, part, re, err);
	} while (rc == -EAGAIN);
	part->offset = part->durable.offset;
	if (rc == 0)
		part_publish(w, part);
	segment_close(&re->segment);
	segment_checker_close(&re->checker);
	free(re);
	return rc;
}

static int part_open(struct log_writer *w, struct part *part, int topic_fd, struct err *err)
{
	int pid, rc;

	part->fd = log_partition_open(topic_fd, part->partition);
	if (part->fd < 0)
		return part_err(w, part, part->fd, "cannot open", err);
	if (w->url.partition >= 0 && w->url.partition != part->partition)
		return 0;
	part->lock_fd = log_lock(part->fd, &pid);
	if (part->lock_fd == -EBUSY)
		return err_set(err, -EBUSY,
			       "%.*s/%d has a writer already: process %d. Stop it first, or "
			       "write another partition with ?partition=N",
			       WORDS_PATH, w->url.path, (int)part->partition, pid);
	if (part->lock_fd < 0) {
		rc = part->lock_fd;
		part->lock_fd = -1;
		return part_err(w, part, rc, "cannot lock", err);
	}
	return part_recover(w, part, err);
}

static int make_partitions(int topic_fd, int from, int to)
{
	char name[16];

	for (int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (mkdirat(topic_fd, name, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return fsync(topic_fd) < 0 ? -errno : 0;
}

/* The directories that lead to the topic. */
static int make_parents(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	char parent[LOG_PATH_MAX];
	int rc;

	if (len == 0)
		return 0;
	memcpy(parent, path, len);
	parent[len] = '\0';
	rc = dir_make(parent);
	if (rc < 0)
		err_set(err, rc, "cannot make %.*s: %s", WORDS_PATH, parent, strerror(-rc));
	return rc;
}

/* A new topic appears with all its partitions at once, by a rename: one that was made by halves
 * would keep the smaller number for ever. */
static int make_topic(const struct log_url *url, int partitions, struct err *err)
{
	char temp[LOG_PATH_MAX + LOG_TOPIC_MAX], name[16];
	int rc = make_parents(url->path, err);
	bool renamed = false;
	int fd;

	if (rc < 0)
		return rc;
	snprintf(temp, sizeof(temp), "%.*s.%s.%d.new",
		 (int)(strlen(url->path) - strlen(url->topic)), url->path, url->topic,
		 (int)getpid());
	if (mkdir(temp, 0755) < 0 && errno != EEXIST)
		rc = -errno;
	fd = rc < 0 ? -1 : open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		rc = rc < 0 ? rc : -errno;
	else
		rc = make_partitions(fd, 0, partitions);
	if (rc == 0 && rename(temp, url->path) == 0)
		renamed = true;
	else if (rc == 0 && errno != EEXIST && errno != ENOTEMPTY)
		rc = -errno;
	for (int i = 0; fd >= 0 && !renamed && i < partitions; i++) {
		snprintf(name, sizeof(name), "%d", i);
		unlinkat(fd, name, AT_REMOVEDIR);
	}
	if (fd >= 0)
		close(fd);
	if (!renamed)
		(void)rmdir(temp);
	if (rc == 0)
		rc = dir_sync_parent(url->path);
	if (rc < 0)
		return err_set(err, rc, "cannot make the topic %.*s: %s", WORDS_PATH, url->path,
			       strerror(-rc));
	return 0;
}

/* Returns the topic's directory. */
static int open_topic(struct log_writer *w, struct err *err)
{
	const char *path = w->url.path;
	int want = w->conf->partitions > 0 ? w->conf->partitions : 1;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (want > BUS_PARTITIONS_MAX)
		want = BUS_PARTITIONS_MAX;
	if (w->url.partition >= want)
		want = w->url.partition + 1;
	if (fd < 0 && errno == ENOENT) {
		if ((rc = make_topic(&w->url, want, err)) < 0)
			return rc;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0) {
		rc = -errno;
		return err_set(err, rc, "cannot open %.*s: %s", WORDS_PATH, path, strerror(-rc));
	}
	w->part_count = log_partition_count(fd);
	if (w->part_count == 0 || w->part_count <= w->url.partition)
		rc = make_partitions(fd, w->part_count, want);
	if (rc == 0)
		w->part_count = log_partition_count(fd);
	if (rc < 0 || w->part_count < 0) {
		rc = rc < 0 ? rc : w->part_count;
		close(fd);
		return err_set(err, rc, "cannot make partitions of %.*s: %s", WORDS_PATH, path,
			       strerror(-rc));
	}
	return fd;
}

static int writer_partition_count(struct bus *bus)
{
	return writer_of(bus)->part_count;
}

/* Round robin by blocks: a record without a key stays until a block is full. */
static int32_t choose_partition(struct log_writer *w, struct slice key, size_t len)
{
	if (w->url.partition >= 0)
		return w->url.partition;
	if (key.len > 0)
		return bus_partition_of(key, w->part_count);
	w->next_bytes += (int64_t)len;
	if (w->next_bytes > (int64_t)BLOCK_CUT) {
		w->next_bytes = 0;
		w->next = (w->next + 1) % w->part_count;
	}
	return w->next;
}

static int writer_write(struct bus *bus, int32_t partition, struct slice key, struct slice value,
			uint64_t *seq)
{
	struct log_writer *w = writer_of(bus);

	if (partition < 0)
		partition = choose_partition(w, key, value.len);
	if (partition >= w->part_count || w->parts[partition].lock_fd < 0)
		return -EINVAL;
	return stage_write(w->base.stage, partition, value, seq);
}

static int writer_range(struct bus *bus, int32_t partition, int64_t *first, int64_t *end)
{
	struct log_writer *w = writer_of(bus);
	struct log_head_entry entry;
	struct segment_near near;
	int rc;

	if (partition < 0 || partition >= w->part_count)
		return -ENOENT;
	rc = segment_find(w->parts[partition].fd, 0, &near);
	if (rc < 0)
		return rc;
	if (log_head_get(&w->head, partition, &entry) < 0)
		entry = (struct log_head_entry){ 0, 0, 0 };
	*end = entry.offset;
	*first = near.first >= 0 && near.first < *end ? near.first : *end;
	return 0;
}

static void writer_close(struct bus *bus)
{
	struct log_writer *w = writer_of(bus);

	stage_close(w->base.stage);
	for (int i = 0; w->parts && i < w->part_count; i++) {
		struct part *part = &w->parts[i];

		/* Blocks that were written, but not synced, are not left to chance. */
		if (part->segment.fd >= 0 && part->size != part->durable.size &&
		    part->durable.size > 0)
			part_rewind(w, part, true);
		segment_close(&part->segment);
		if (part->lock_fd >= 0)
			close(part->lock_fd);
		if (part->fd >= 0)
			close(part->fd);
	}
	log_head_close(&w->head);
	block_coder_close(w->coder);
	buf_close(&w->packed);
	free(w->parts);
	free(w);
}

static const struct bus_ops writer_ops = {
	.partition_count = writer_partition_count,
	.range = writer_range,
	.write = writer_write,
	BUS_STAGE_OPS,
	.close = writer_close,
};

static int open_parts(struct log_writer *w, struct err *err)
{
	int fd = open_topic(w, err);
	int rc;

	if (fd < 0)
		return fd;
	rc = log_head_open_write(&w->head, fd);
	if (rc < 0)
		err_set(err, rc, "cannot open %.*s/.head: %s", WORDS_PATH, w->url.path,
			strerror(-rc));
	w->parts = calloc((size_t)w->part_count, sizeof(*w->parts));
	if (!w->parts)
		rc = err_set(err, -ENOMEM, "out of memory");
	for (int i = 0; w->parts && i < w->part_count; i++) {
		w->parts[i].partition = i;
		w->parts[i].segment.fd = -1;
		w->parts[i].lock_fd = -1;
		w->parts[i].fd = -1;
	}
	for (int i = 0; rc == 0 && i < w->part_count; i++)
		rc = part_open(w, &w->parts[i], fd, err);
	close(fd);
	if (rc == 0)
		log_head_ring(&w->head);
	return rc;
}

int log_writer_open(struct bus **busp, const struct log_url *url, const struct bus_conf *conf,
		    struct err *err)
{
	struct log_writer *w = calloc(1, sizeof(*w));
	struct stage_conf stage = {
		.commit_ms = conf->commit_ms > 0 ? conf->commit_ms : COMMIT_MS,
		.buffer_bytes = or_default(conf->buffer_bytes, BUFFER_BYTES),
		.retry = true,
		.commit = writer_commit,
		.ctx = w,
	};
	int rc;

	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	assert(conf->schema);
	w->base.bus.ops = &writer_ops;
	w->conf = conf;
	w->url = *url;
	w->head.fd = -1;
	stage.eager_bytes = stage.buffer_bytes / EAGER_SHARE;
	if (conf->retain_bytes > 0 || conf->retain_ms > 0) {
		stage.tick = writer_tick;
		stage.tick_ms = TICK_MS;
	}
	rc = open_parts(w, err);
	stage.partitions = w->part_count;
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
