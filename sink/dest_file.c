// SPDX-License-Identifier: Apache-2.0
#include "sink/dest_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/dir.h"
#include "lib/when.h"
#include "sink/scan.h"
#include "sink/sums.h"

/* Bytes gathered for one write(2): fewer cost calls, more only memory. */
#define WRITE_BYTES  ((size_t)256 << 10)
#define BACKOFF_MS   100
#define BACKOFF_MAX_MS 5000

/* One partition. */
struct file {
	bool is_locked;
	int sums_fd;
	int64_t next;                   /* offset after the last one put or skipped; -1: none yet */
	/* FIRST of the open file, or of the next one; -1: not known */
	int64_t first;
	struct encoder *encoder;
	struct buf out;                 /* encoded, not written */
	XXH3_state_t *hash;
	struct sum sum;
	int fd;                         /* of the .part; -1: none */
	int64_t opened_ms;
	int64_t time_slot;
	int64_t bound;                  /* rotate_records: the offset that begins another file */
};

struct dest_file {
	struct outlet base;
	const struct dest_file_conf *conf;
	int dir_fd;
	int time_leaf;                  /* for rotate_time; < 0: none */
	bool dir_dirty;
	bool ending;
	uint64_t safe;                  /* records since the last commit() told */
	struct metric *files_written, *bytes_written, *full;
	struct file files[BUS_PARTITIONS_MAX];
};

static struct file_name name_of(const struct dest_file *dest, const struct file *file,
				int64_t last)
{
	struct file_name name = { .partition = (int32_t)(file - dest->files), .last = last,
				  .first = file->first, .format = dest->conf->encoder.format };

	snprintf(name.topic, sizeof(name.topic), "%s", dest->conf->topic);
	return name;
}

/* Waiting for room */

static bool is_full(int error)
{
	return error == ENOSPC || error == EDQUOT;
}

/* filter_run keeps the signals blocked and reads them between batches: while we wait here they are
 * pending. */
static bool is_stop_pending(void)
{
	sigset_t set;

	return sigpending(&set) == 0 &&
	       (sigismember(&set, SIGTERM) == 1 || sigismember(&set, SIGINT) == 1);
}

/* After a call that failed with error. 0: try again; else -error with words. */
static int wait_for_room(struct dest_file *dest, const char *what, int error, int64_t *backoff_ms,
			 struct err *err)
{
	const struct timespec step = { 0, BACKOFF_MS * 1000000L };

	if (!is_full(error) || dest->ending || is_stop_pending())
		return err_set(err, -error, "%s/%s: %s%s", dest->conf->dir, what, strerror(error),
			       is_full(error) ? ": what is not in a file stays in the topic" : "");
	*backoff_ms = *backoff_ms ? *backoff_ms * 2 : BACKOFF_MS;
	if (*backoff_ms > BACKOFF_MAX_MS)
		*backoff_ms = BACKOFF_MAX_MS;
	log_words(dest->conf->log, LOG_LEVEL_WARN, "full", "%s/%s: %s: next try in %" PRId64 " ms",
		  dest->conf->dir, what, strerror(error), *backoff_ms);
	if (dest->full)
		metric_bump(dest->full, 1);
	for (int64_t ms = 0; ms < *backoff_ms && !is_stop_pending(); ms += BACKOFF_MS)
		nanosleep(&step, NULL);
	return 0;
}

static int write_all(struct dest_file *dest, int fd, struct slice bytes, const char *what,
		     struct err *err)
{
	int64_t backoff_ms = 0;

	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n >= 0) {
			bytes = slice_skip(bytes, (size_t)n);
			if (n > 0)
				backoff_ms = 0;
		} else if (errno != EINTR) {
			int rc = wait_for_room(dest, what, errno, &backoff_ms, err);

			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* The open file */

static int write_out(struct dest_file *dest, struct file *file, struct err *err)
{
	char text[FILE_NAME_TEXT_MAX];
	struct file_name name = name_of(dest, file, -1);
	struct slice bytes = buf_slice(&file->out);
	int rc;

	file_name_print(&name, text);
	rc = write_all(dest, file->fd, bytes, text, err);
	if (rc < 0)
		return rc;
	XXH3_128bits_update(file->hash, bytes.ptr, bytes.len);
	file->sum.bytes += bytes.len;
	if (dest->bytes_written)
		metric_bump(dest->bytes_written, (int64_t)bytes.len);
	buf_reset(&file->out);
	return 0;
}

static int64_t time_slot(const struct dest_file *dest, const struct value *fields)
{
	int64_t us, slot_us = dest->conf->rotate_time_ms * 1000;

	if (slot_us == 0 || dest->time_leaf < 0 || !fields[dest->time_leaf].is_set)
		return 0;
	us = fields[dest->time_leaf].num;
	return us / slot_us - (us % slot_us < 0);
}

static int file_begin(struct dest_file *dest, struct file *file, int64_t offset,
		      const struct value *fields, struct err *err)
{
	int64_t records = dest->conf->rotate_records, backoff_ms = 0;
	char text[FILE_NAME_TEXT_MAX];
	struct file_name name;
	int rc;

	if (file->first < 0)
		file->first = offset;
	name = name_of(dest, file, -1);
	file_name_print(&name, text);
	while ((file->fd = openat(dest->dir_fd, text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				  0644)) < 0) {
		rc = wait_for_room(dest, text, errno, &backoff_ms, err);
		if (rc < 0)
			return rc;
	}
	XXH3_128bits_reset(file->hash);
	file->opened_ms = when_monotonic_ms();
	file->time_slot = time_slot(dest, fields);
	file->bound = records ? (offset / records + 1) * records : INT64_MAX;
	rc = encoder_begin(file->encoder, &name, &file->out);
	return rc < 0 ? err_set(err, rc, "%s: out of memory", text) : 0;
}

/* A name that must not exist yet. */
static int rename_new(int dir_fd, const char *from, const char *to)
{
	if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return -errno;
	/* A file system without it. A crash between the two leaves a .part that a start deletes. */
	if (linkat(dir_fd, from, dir_fd, to, 0) < 0)
		return -errno;
	return unlinkat(dir_fd, from, 0) < 0 ? -errno : 0;
}

static int add_sum(struct dest_file *dest, struct file *file, const char *final, struct err *err)
{
	XXH128_canonical_t hash;
	char line[SUMS_LINE_MAX], text[FILE_NAME_TEXT_MAX];
	size_t len;
	int rc;

	XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(file->hash));
	memcpy(file->sum.hash, &hash, sizeof(hash));
	len = sums_print(&file->sum, final, line);
	file_name_print_sums(dest->conf->topic, (int32_t)(file - dest->files), text);
	rc = write_all(dest, file->sums_fd, (struct slice){ line, len }, text, err);
	if (rc == 0 && fdatasync(file->sums_fd) < 0)
		rc = err_set(err, -errno, "%s/%s: fdatasync: %s", dest->conf->dir, text,
			     strerror(errno));
	return rc;
}

/* Ends the open file before offset `next`, and commits it. */
static int file_end(struct dest_file *dest, struct file *file, int64_t next, struct err *err)
{
	char part[FILE_NAME_TEXT_MAX], final[FILE_NAME_TEXT_MAX];
	struct file_name name = name_of(dest, file, -1);
	int64_t backoff_ms = 0;
	int rc;

	assert(file->fd >= 0 && next > file->first);
	file_name_print(&name, part);
	name.last = next - 1;
	file_name_print(&name, final);
	rc = encoder_end(file->encoder, &file->out);
	if (rc < 0)
		return err_set(err, rc, "%s: out of memory", part);
	rc = write_out(dest, file, err);
	if (rc < 0)
		return rc;
	/* The kernel may have dropped what it could not write: a second try would lie. */
	if (fdatasync(file->fd) < 0)
		return err_set(err, -errno, "%s/%s: fdatasync: %s", dest->conf->dir, part,
			       strerror(errno));
	close(file->fd);
	file->fd = -1;
	rc = add_sum(dest, file, final, err);
	while (rc == 0 && (rc = rename_new(dest->dir_fd, part, final)) < 0)
		rc = wait_for_room(dest, final, -rc, &backoff_ms, err);
	if (rc < 0)
		return rc;
	dest->dir_dirty = true;
	dest->safe += file->sum.records;
	if (dest->files_written)
		metric_bump(dest->files_written, 1);
	file->first = next;
	file->sum = (struct sum){ 0 };
	return 0;
}

/* Names are on the disk only after this; the ledger waits for it. */
static int sync_dir(struct dest_file *dest, struct err *err)
{
	if (!dest->dir_dirty)
		return 0;
	if (fsync(dest->dir_fd) < 0)
		return err_set(err, -errno, "%s: fsync: %s", dest->conf->dir, strerror(errno));
	dest->dir_dirty = false;
	return 0;
}

/* Ops */

static int dest_file_lost(struct outlet *base, int32_t partition, int64_t first, struct err *err)
{
	struct dest_file *dest = (struct dest_file *)base;
	struct file *file = &dest->files[partition];

	(void)err;
	assert(file->fd < 0);
	log_words(dest->conf->log, LOG_LEVEL_ERROR, "lost",
		  "partition %" PRId32 ": offsets %" PRId64 "..%" PRId64
		  " were no longer kept by the topic: the files have a gap",
		  partition, file->next, first - 1);
	file->first = file->next = first;
	return 0;
}

static int dest_file_put(struct outlet *base, struct filter *filter,
			 const struct bus_record *record, int64_t offset, struct outlet_src src,
			 struct err *err)
{
	struct dest_file *dest = (struct dest_file *)base;
	struct file *file = &dest->files[record->partition];
	const struct value *fields = record->fields;
	int rc = 0;

	(void)filter;
	(void)src;
	assert(file->is_locked && offset >= file->next);
	if (file->fd >= 0 && offset >= file->bound)
		rc = file_end(dest, file, file->bound, err);
	else if (file->fd >= 0 && file->time_slot != time_slot(dest, fields))
		rc = file_end(dest, file, offset, err);
	if (rc == 0 && file->fd < 0)
		rc = file_begin(dest, file, offset, fields, err);
	if (rc < 0)
		return rc;
	rc = encoder_put(file->encoder, fields, &file->out);
	if (rc < 0)
		return err_set(err, rc, "offset %" PRId64 ": out of memory", offset);
	file->sum.records++;
	file->next = offset + 1;
	if (file->out.len >= WRITE_BYTES)
		rc = write_out(dest, file, err);
	if (rc == 0 && dest->conf->rotate_bytes &&
	    file->encoder->bytes >= dest->conf->rotate_bytes)
		file->bound = file->next;
	return rc < 0 ? rc : FILTER_PENDING;
}

static int dest_file_skip(struct outlet *base, int32_t partition, int64_t offset,
			  struct outlet_src src, enum outlet_skip why, struct err *err)
{
	struct dest_file *dest = (struct dest_file *)base;
	struct file *file = &dest->files[partition];
	int rc = 0;

	(void)src;
	if (file->fd >= 0 && offset >= file->bound)
		rc = file_end(dest, file, file->bound, err);
	if (rc < 0)
		return rc;
	if (file->first < 0)
		file->first = offset;
	if (why == OUTLET_SKIP_MARKER)
		file->sum.markers++;
	else
		file->sum.duplicates++;
	file->next = offset + 1;
	return 0;
}

static bool is_due(const struct dest_file *dest, const struct file *file, int64_t now_ms)
{
	return dest->ending || file->next >= file->bound ||
	       (dest->conf->flush_after_ms &&
		now_ms - file->opened_ms >= dest->conf->flush_after_ms);
}

static int dest_file_commit(struct outlet *base, struct filter *filter, struct err *err)
{
	struct dest_file *dest = (struct dest_file *)base;
	int64_t now_ms = when_monotonic_ms();
	int rc = 0;

	dest->ending = filter_is_ending(filter);
	for (int p = 0; p < BUS_PARTITIONS_MAX && rc == 0; p++) {
		struct file *file = &dest->files[p];

		if (file->is_locked && file->fd >= 0 && is_due(dest, file, now_ms))
			rc = file_end(dest, file, file->next < file->bound ? file->next :
				      file->bound, err);
	}
	if (rc == 0)
		rc = sync_dir(dest, err);
	if (rc < 0)
		return rc;
	if (dest->safe)
		filter_settle(filter, FILTER_OUT, dest->safe);
	dest->safe = 0;
	return 0;
}

/* Stamps of the newest files: of one whose records have any, and the ones after it. */
static int read_stamps(struct dest_file *dest, const struct file_list *list, size_t end,
		       struct stamp_seen *seen, struct err *err)
{
	struct scanner *scanner;
	struct scan scan = { 0 };
	char text[FILE_NAME_TEXT_MAX];
	int rc = scanner_open(&scanner, err);

	for (size_t i = end; rc == 0 && i > 0 && scan.records == 0; i--) {
		const struct file_name *name = &list->files[i - 1];

		rc = scan_file(scanner, dest->dir_fd, name, seen, &scan);
		if (rc < 0) {
			file_name_print(name, text);
			rc = err_set(err, rc, "%s/%s: %s: move it away and start again: its "
				     "records are then written anew", dest->conf->dir, text,
				     scan.why);
		}
	}
	scanner_close(scanner);
	return rc;
}

static int resume_from(struct dest_file *dest, struct file *file, struct stamp_seen *seen,
		       struct err *err)
{
	int32_t partition = (int32_t)(file - dest->files);
	char text[FILE_NAME_TEXT_MAX];
	struct file_list list;
	size_t kept = 0;
	int rc = file_list_open(&list, dest->dir_fd, err);

	for (size_t i = 0; i < list.count && rc == 0; i++) {
		const struct file_name *name = &list.files[i];

		if (name->partition != partition || strcmp(name->topic, dest->conf->topic) != 0)
			continue;
		if (name->last < 0) {
			file_name_print(name, text);
			if (unlinkat(dest->dir_fd, text, 0) < 0)
				rc = err_set(err, -errno, "%s/%s: %s", dest->conf->dir, text,
					     strerror(errno));
			continue;
		}
		if (name->last >= file->next)
			file->next = name->last + 1;
		list.files[kept++] = *name;
	}
	/* A pipe's stamps begin again with each run. */
	if (rc == 0 && !dest->conf->is_pipe &&
	    schema_find(dest->conf->encoder.schema, "src.index") >= 0)
		rc = read_stamps(dest, &list, kept, seen, err);
	file_list_close(&list);
	file->first = file->next;
	return rc;
}

static int dest_file_resume(struct outlet *base, struct bus *in, int32_t partition,
			    struct stamp_seen *seen, int64_t *next, struct err *err)
{
	struct dest_file *dest = (struct dest_file *)base;
	struct file *file = &dest->files[partition];
	int rc = 0;

	(void)in;

	if (!file->is_locked) {
		*file = (struct file){ .fd = -1, .next = -1, .first = -1 };
		file->sums_fd = sums_lock(dest->dir_fd, dest->conf->topic, partition, err);
		if (file->sums_fd < 0)
			return file->sums_fd;
		file->is_locked = true;
		file->hash = XXH3_createState();
		if (!file->hash)
			return err_set(err, -ENOMEM, "no memory");
		rc = encoder_open(&file->encoder, &dest->conf->encoder, err);
		if (rc == 0)
			rc = resume_from(dest, file, seen, err);
	}
	*next = file->next >= 0 ? file->next : BUS_OFFSET_FIRST;
	return rc;
}

static int dest_file_begin(struct outlet *base, struct filter *filter, struct err *err)
{
	struct dest_file *dest = (struct dest_file *)base;
	struct metric_set *set = filter_metrics(filter);

	(void)err;
	dest->files_written = metric_add(set, METRIC_COUNTER, "millrace_sink_files_total", "",
					 "Files finished.");
	dest->bytes_written = metric_add(set, METRIC_COUNTER, "millrace_sink_file_bytes_total", "",
					 "Bytes written to files.");
	dest->full = metric_add(set, METRIC_COUNTER, "millrace_sink_disk_full_total", "",
				"Waits for room on the disk.");
	return 0;
}

/* What was not committed is deleted; after a crash the next start does it. */
static void dest_file_close(struct outlet *base)
{
	struct dest_file *dest = (struct dest_file *)base;
	char text[FILE_NAME_TEXT_MAX];

	for (int p = 0; p < BUS_PARTITIONS_MAX; p++) {
		struct file *file = &dest->files[p];
		struct file_name name = name_of(dest, file, -1);

		if (!file->is_locked)
			continue;
		if (file->fd >= 0) {
			close(file->fd);
			file_name_print(&name, text);
			unlinkat(dest->dir_fd, text, 0);
		}
		encoder_close(file->encoder);
		XXH3_freeState(file->hash);
		buf_close(&file->out);
		close(file->sums_fd);
	}
	if (dest->dir_fd >= 0)
		close(dest->dir_fd);
	free(dest);
}

static const struct outlet_ops ops = {
	dest_file_resume, dest_file_lost, dest_file_put, dest_file_skip, dest_file_commit,
	dest_file_begin, dest_file_close,
};

/* Open */

static int open_dir(struct dest_file *dest, struct err *err)
{
	const char *dir = dest->conf->dir;
	int rc = dir_make(dir);

	if (rc < 0)
		return err_set(err, rc, "%s: cannot be made: %s", dir, strerror(-rc));
	dest->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dest->dir_fd < 0 || faccessat(dest->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		rc = -errno;
		return err_set(err, rc, "%s: cannot be written: %s", dir, strerror(-rc));
	}
	return 0;
}

int dest_file_open(struct outlet **destp, const struct dest_file_conf *conf, struct err *err)
{
	static const char *const times[] = { "received_at", "failed_at", "computed_at" };
	struct dest_file *dest = calloc(1, sizeof(*dest));
	int rc;

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->base.ops = &ops;
	dest->conf = conf;
	dest->dir_fd = dest->time_leaf = -1;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]) && dest->time_leaf < 0; i++)
		dest->time_leaf = schema_find(conf->encoder.schema, times[i]);
	rc = open_dir(dest, err);
	if (rc < 0) {
		dest_file_close(&dest->base);
		return rc;
	}
	*destp = &dest->base;
	return 0;
}
