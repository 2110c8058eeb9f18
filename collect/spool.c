// SPDX-License-Identifier: Apache-2.0
#include "collect/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/dir.h"

#define PATH_SIZE     1024
#define SEGMENT_BYTES ((int64_t)16 << 20)       /* small, so that delivered ones go soon */
#define SEGMENTS_MIN  4         /* the last one stays: in a small spool it must not be all */
#define SEGMENTS_MAX  65536
#define REFUSE_MS     5000

struct spool {
	struct spool_conf conf;
	struct bus_conf bus_conf;
	struct bus *writer, *reader;
	struct bus *refused;            /* NULL: none yet */
	char url[PATH_SIZE], partition_path[PATH_SIZE], position_path[PATH_SIZE];
	int64_t base;                   /* offset of the writer's seq 1 */
	uint64_t written;
	int64_t delivered, saved;
	int64_t bytes;                  /* on disk when last measured.. */
	int64_t bytes_since;            /* ..and written since */
};

static int64_t start_at(void *ctx, int32_t partition, struct err *err)
{
	struct spool *spool = ctx;
	int64_t first, end;
	int rc = bus_range(spool->writer, partition, &first, &end);

	if (rc)
		return err_set(err, rc, "%s: %s", spool->url, strerror(-rc));
	/* Segments may be gone already, or the tail (power loss) that was never acknowledged. */
	if (spool->delivered > end)
		return end;
	return spool->delivered < first ? first : spool->delivered;
}

static int read_position(struct spool *spool, struct err *err)
{
	char text[32] = "", *end;
	int fd = open(spool->position_path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return err_set(err, -EIO, "%s: cannot be read", spool->position_path);
	spool->delivered = strtoll(text, &end, 10);
	if (end == text || *end != '\n' || spool->delivered < 0)
		return err_set(err, -EBADMSG, "%s is damaged: remove it to deliver the whole spool "
			       "again", spool->position_path);
	spool->saved = spool->delivered;
	return 0;
}

static int save_position(struct spool *spool)
{
	char tmp[PATH_SIZE + 8], text[32];
	int n = snprintf(text, sizeof(text), "%" PRId64 "\n", spool->delivered), fd, rc = 0;

	snprintf(tmp, sizeof(tmp), "%s.tmp", spool->position_path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)n) != n || fdatasync(fd) < 0)
		rc = -EIO;
	close(fd);
	if (rc || rename(tmp, spool->position_path) < 0)
		return -EIO;
	return dir_sync(spool->conf.dir) < 0 ? -EIO : 0;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The first offsets of the segments, sorted; and their bytes. Count, or -errno. */
static ssize_t list_segments(struct spool *spool, DIR *dir, int64_t *bases)
{
	struct dirent *entry;
	struct stat st;
	size_t count = 0;

	spool->bytes = 0;
	while ((entry = readdir(dir))) {
		char *end;
		int64_t base = strtoll(entry->d_name, &end, 10);

		if (end == entry->d_name || strcmp(end, ".avro") != 0 || count == SEGMENTS_MAX)
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
			spool->bytes += st.st_size;
		bases[count++] = base;
	}
	qsort(bases, count, sizeof(*bases), compare);
	return (ssize_t)count;
}

/* A segment is delivered when the next one begins at or below the saved position. */
static void remove_delivered(struct spool *spool, DIR *dir, const int64_t *bases, size_t count)
{
	struct dirent *entry;

	rewinddir(dir);
	while ((entry = readdir(dir))) {
		char *end;
		int64_t base = strtoll(entry->d_name, &end, 10);
		struct stat st;

		if (end == entry->d_name || strcmp(end, ".avro") != 0)
			continue;
		for (size_t i = 0; i + 1 < count; i++) {
			if (bases[i] != base || bases[i + 1] > spool->saved)
				continue;
			if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
			    unlinkat(dirfd(dir), entry->d_name, 0) == 0)
				spool->bytes -= st.st_size;
		}
	}
}

void spool_tidy(struct spool *spool)
{
	int64_t *bases = malloc(SEGMENTS_MAX * sizeof(*bases));
	DIR *dir = opendir(spool->partition_path);
	ssize_t count;

	if (spool->delivered > spool->saved && save_position(spool) == 0)
		spool->saved = spool->delivered;
	if (bases && dir) {
		count = list_segments(spool, dir, bases);
		spool->bytes_since = 0;
		if (count > 1 && bases[1] <= spool->saved)
			remove_delivered(spool, dir, bases, (size_t)count);
	}
	if (dir)
		closedir(dir);
	free(bases);
}

/* A position behind the end (the tail was lost, or the log removed) would pass over what comes
 * next: it must be gone from the disk before the first record is. */
static int clamp_position(struct spool *spool, int64_t first, struct err *err)
{
	int rc;

	if (spool->delivered < first)
		spool->delivered = first;
	if (spool->delivered > spool->base)
		spool->delivered = spool->base;
	if (spool->saved <= spool->delivered)
		return 0;
	rc = save_position(spool);
	if (rc)
		return err_set(err, rc, "%s: cannot be written", spool->position_path);
	spool->saved = spool->delivered;
	return 0;
}

static int64_t segment_bytes(int64_t bytes_max)
{
	return bytes_max / SEGMENTS_MIN < SEGMENT_BYTES ? bytes_max / SEGMENTS_MIN : SEGMENT_BYTES;
}

static int open_buses(struct spool *spool, struct err *err)
{
	int64_t first;
	int rc = bus_open(&spool->writer, spool->url, BUS_WRITE, &spool->bus_conf, err);

	if (!rc)
		rc = bus_range(spool->writer, 0, &first, &spool->base);
	if (!rc)
		rc = read_position(spool, err);
	if (!rc)
		rc = clamp_position(spool, first, err);
	return rc ? rc : bus_open(&spool->reader, spool->url, BUS_READ, &spool->bus_conf, err);
}

int spool_open(struct spool **spoolp, const struct spool_conf *conf, struct err *err)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	size_t len = strlen(conf->dir);
	int rc;

	if (!spool)
		return err_set(err, -ENOMEM, "no memory");
	spool->conf = *conf;
	spool->bus_conf = (struct bus_conf){
		.schema = conf->schema, .log = conf->log, .start = start_at, .start_ctx = spool,
		.time_field = -1, .partitions = 1, .commit_ms = conf->commit_ms,
		.segment_bytes = segment_bytes(conf->bytes_max),
		.buffer_bytes = conf->buffer_bytes,
	};
	while (len > 1 && conf->dir[len - 1] == '/')
		len--;
	if (len + strlen(conf->topic) + 32 > PATH_SIZE)
		rc = err_set(err, -EINVAL, "--spool: the path is too long");
	else if (mkdir(conf->dir, 0755) < 0 && errno != EEXIST)
		rc = err_set(err, -errno, "--spool %s: %s", conf->dir, strerror(errno));
	else
		rc = 0;
	snprintf(spool->url, PATH_SIZE, "log:%.*s/%s", (int)len, conf->dir, conf->topic);
	snprintf(spool->partition_path, PATH_SIZE, "%.*s/%s/0", (int)len, conf->dir, conf->topic);
	snprintf(spool->position_path, PATH_SIZE, "%.*s/%s.position", (int)len, conf->dir,
		 conf->topic);
	if (!rc)
		rc = open_buses(spool, err);
	if (rc) {
		spool_close(spool);
		return err_set(err, rc, "spool %s: %s", conf->dir, strerror(-rc));
	}
	spool_tidy(spool);
	*spoolp = spool;
	return 0;
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	if (spool->writer && spool->delivered > spool->saved)
		spool_tidy(spool);
	bus_close(spool->reader);
	bus_close(spool->writer);
	bus_close(spool->refused);
	free(spool);
}

/* The last segment stays until the next write, also when all in it is delivered, and in a small
 * spool it may be larger than all that is allowed. */
bool spool_is_full(const struct spool *spool)
{
	return !spool_is_empty(spool) &&
	       spool->bytes + spool->bytes_since >= spool->conf.bytes_max;
}

int spool_write(struct spool *spool, struct slice value, uint64_t *seq)
{
	int rc = bus_write(spool->writer, 0, (struct slice){ "", 0 }, value, seq);

	if (rc)
		return rc;
	spool->written = *seq;
	spool->bytes_since += (int64_t)value.len;
	return 0;
}

int spool_release(struct spool *spool)
{
	return bus_release(spool->writer);
}

int spool_flush(struct spool *spool, int timeout_ms)
{
	return bus_flush(spool->writer, timeout_ms);
}

uint64_t spool_durable(struct spool *spool)
{
	return bus_durable(spool->writer);
}

int spool_error(struct spool *spool)
{
	return bus_error(spool->writer);
}

const char *spool_error_text(struct spool *spool)
{
	return bus_error_text(spool->writer);
}

int spool_event_fd(struct spool *spool)
{
	return bus_event_fd(spool->writer);
}

uint64_t spool_written(const struct spool *spool)
{
	return spool->written;
}

int64_t spool_end(const struct spool *spool)
{
	return spool->base + (int64_t)spool->written;
}

int spool_next(struct spool *spool, struct bus_record *record, struct err *err)
{
	for (;;) {
		int rc = bus_next(spool->reader, record, 0);

		if (rc < 0)
			return err_set(err, rc, "%s: %s", spool->url,
				       bus_error_text(spool->reader));
		if (rc == 0)
			return 0;
		if (!record->fields)
			log_words(spool->conf.log, LOG_LEVEL_ERROR, "spool_damaged",
				  "%s: %" PRId64 " records from offset %" PRId64 " on: %s",
				  spool->url, record->count, record->offset, record->why);
		if (record->offset + record->count > spool->delivered)
			return 1;
	}
}

void spool_delivered(struct spool *spool, int64_t offset)
{
	if (offset > spool->delivered)
		spool->delivered = offset;
}

int spool_refuse(struct spool *spool, struct slice value, struct err *err)
{
	char url[PATH_SIZE + 16];
	uint64_t seq;
	int rc = 0;

	snprintf(url, sizeof(url), "%s-refused", spool->url);
	if (!spool->refused)
		rc = bus_open(&spool->refused, url, BUS_WRITE, &spool->bus_conf, err);
	if (!rc)
		rc = bus_write(spool->refused, 0, (struct slice){ "", 0 }, value, &seq);
	if (!rc)
		rc = bus_flush(spool->refused, REFUSE_MS);
	return rc ? err_set(err, rc, "%s: %s", url, strerror(-rc)) : 0;
}

int spool_rewind(struct spool *spool, struct err *err)
{
	bus_close(spool->reader);
	spool->reader = NULL;
	return bus_open(&spool->reader, spool->url, BUS_READ, &spool->bus_conf, err);
}

int64_t spool_waiting(const struct spool *spool)
{
	int64_t waiting = spool_end(spool) - spool->delivered;

	return waiting > 0 ? waiting : 0;
}

bool spool_is_empty(const struct spool *spool)
{
	return spool_waiting(spool) == 0;
}

int64_t spool_bytes(const struct spool *spool)
{
	return spool->bytes;
}
