// SPDX-License-Identifier: Apache-2.0
#include "aggregate/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "aggregate/store_own.h"
#include "lib/dir.h"
#include "lib/when.h"

/* Some held files that become one. */
struct job {
	struct held **inputs;           /* owned, each with a reference */
	struct merge_input *merge;      /* owned, with copies of the gone lists */
	size_t count;
	struct held *made;              /* NULL: no row was left */
};

static void job_close(struct store *store, struct job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		free((void *)(uintptr_t)job->merge[i].gone);
		job->inputs[i]->is_busy = false;
		held_release(store, job->inputs[i]);
	}
	free(job->inputs);
	free(job->merge);
	held_release(store, job->made);
}

/* With lock held. */
static int job_open(struct store *store, struct job *job, struct held *const *inputs, size_t count)
{
	(void)store;
	*job = (struct job){ .inputs = calloc(count + 1, sizeof(struct held *)),
			     .merge = calloc(count + 1, sizeof(*job->merge)) };
	if (!job->inputs || !job->merge)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct column_file *file = inputs[i]->file;
		struct column_gone *gone = malloc((file->gone_count + (size_t)1) * sizeof(*gone));

		if (!gone)
			return -ENOMEM;
		if (file->gone_count)
			memcpy(gone, file->gone, file->gone_count * sizeof(*gone));
		job->inputs[i] = inputs[i];
		job->merge[i] = (struct merge_input){ file, gone, file->gone_count };
		job->count++;
		inputs[i]->refs++;
		inputs[i]->is_busy = true;
	}
	return 0;
}

static int64_t keep_from(const struct store *store)
{
	return store->conf.retain_us > 0 ? when_now_us() - store->conf.retain_us : INT64_MIN;
}

static int merge_to_image(struct store *store, struct job *job, struct err *err)
{
	struct merge_conf conf = { job->merge, job->count, keep_from(store), &store->stop };
	struct buf image = { .limit = (size_t)16 << 30 };
	struct column_file *file;
	uint32_t rows;
	size_t bytes = 0;
	int rc;

	for (size_t i = 0; i < job->count; i++)
		bytes += job->merge[i].file->bytes;
	/* It shrinks as a rule; what is not touched costs nothing. */
	rc = buf_reserve(&image, bytes) ? merge_files(&conf, &image, -1, &rows) : -ENOMEM;
	if (rc == 0 && rows) {
		rc = column_open_image(&file, &image, err);
		if (rc == 0)
			job->made = held_open(file, 0);
		if (rc == 0 && !job->made)
			rc = -ENOMEM;
	}
	buf_close(&image);
	return rc < 0 ? err_set(err, rc, "merging newest events: %s", strerror(-rc)) : 0;
}

/* A new file is whole and on the disk, or it is not there. */
static int merge_to_file(struct store *store, struct job *job, uint64_t number, struct err *err)
{
	struct merge_conf conf = { job->merge, job->count, keep_from(store), &store->stop };
	struct column_file *file;
	uint32_t rows = 0;
	char path[4096];
	int fd, rc;

	store_path(store, number, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	rc = merge_files(&conf, NULL, fd, &rows);
	if (rc == 0 && rows && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rows)
		rc = dir_sync(store->conf.dir);
	if (rc < 0)
		err_set(err, rc, "%s: %s", path, strerror(-rc));
	/* Read again: what was written is what was meant. */
	if (rc == 0 && rows)
		rc = column_open(&file, path, err);
	if (rc == 0 && rows) {
		job->made = held_open(file, number);
		if (!job->made)
			rc = err_set(err, -ENOMEM, "no memory");
	}
	if (!job->made)
		(void)unlink(path);
	return rc;
}

static bool is_input(const struct job *job, const struct held *held)
{
	for (size_t i = 0; i < job->count; i++)
		if (job->inputs[i] == held)
			return true;
	return false;
}

static bool is_in(const struct merge_input *input, const struct column_gone *gone)
{
	for (uint32_t low = 0, high = input->gone_count; low < high;) {
		uint32_t middle = low + (high - low) / 2;

		if (input->gone[middle].actor == gone->actor)
			return input->gone[middle].until_us == gone->until_us;
		if (input->gone[middle].actor < gone->actor)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static int compare_gone(const void *a, const void *b)
{
	const struct column_gone *x = a, *y = b;

	if (x->actor != y->actor)
		return x->actor < y->actor ? -1 : 1;
	return x->until_us < y->until_us ? 1 : -(x->until_us > y->until_us);
}

/* Who was forgotten while the job ran is gone in what it made, too. With lock held. */
static int carry_gone(struct job *job)
{
	struct column_gone *gone;
	uint32_t n = 0, unique = 0;
	size_t count = 0;

	for (size_t i = 0; i < job->count; i++)
		count += job->inputs[i]->file->gone_count;
	if (count == 0 || !job->made)
		return 0;
	gone = malloc(count * sizeof(*gone));
	if (!gone)
		return -ENOMEM;
	for (size_t i = 0; i < job->count; i++) {
		const struct column_file *file = job->inputs[i]->file;

		for (uint32_t g = 0; g < file->gone_count; g++)
			if (!is_in(&job->merge[i], &file->gone[g]))
				gone[n++] = file->gone[g];
	}
	/* Of one actor the latest time comes first. */
	qsort(gone, n, sizeof(*gone), compare_gone);
	for (uint32_t g = 0; g < n; g++)
		if (unique == 0 || gone[unique - 1].actor != gone[g].actor)
			gone[unique++] = gone[g];
	job->made->gone = gone;
	job->made->file->gone = gone;
	job->made->file->gone_count = unique;
	return 0;
}

/* The made one takes the inputs' place in the list. Waits for its turn; with lock held. */
static int swap(struct store *store, struct job *job)
{
	size_t n = 0, at = SIZE_MAX, files = 0;
	int rc;

	store_enter(store);
	rc = carry_gone(job);
	for (size_t i = 0; i < store->count && rc == 0; i++) {
		struct held *held = store->list[i];

		if (!is_input(job, held)) {
			store->list[n++] = held;
			files += held->number != 0;
			continue;
		}
		if (at == SIZE_MAX)
			at = n;
		if (held->number == 0)
			store->image_bytes -= held->file->bytes;
		else
			held->is_dropped = true;
		held_release(store, held);
	}
	if (rc == 0)
		store->count = n;
	if (rc == 0 && job->made) {
		/* A file goes behind the other files, where its images were. */
		if (job->made->number && job->inputs[0]->number == 0)
			at = files;
		job->made->refs++;
		rc = store_list_add(store, job->made, at);
	}
	store->counts.merges++;
	return rc;
}

/* With manifest_lock and lock held: what the manifest says once the job is in force. flush NULL: of
 * offsets and persons what it said. */
static int make_manifest(struct store *store, const struct job *job, const struct flush *flush,
			 struct manifest *manifest)
{
	int rc = 0;

	*manifest = store->manifest;
	manifest->files = NULL;
	manifest->count = 0;
	if (flush) {
		manifest->persons = flush->persons;
		memcpy(manifest->next, flush->next, sizeof(manifest->next));
		if (flush->partitions)
			manifest->partitions = flush->partitions;
	}
	for (size_t i = 0; i < store->count && rc == 0; i++) {
		const struct held *held = store->list[i];
		struct manifest_file file = { held->number, held->file->rows, held->file->bytes,
					      held->gone, held->file->gone_count };

		if (held->number && !is_input(job, held))
			rc = manifest_add(manifest, &file);
	}
	if (rc == 0 && job->made) {
		struct manifest_file file = { .number = job->made->number,
					      .rows = job->made->file->rows,
					      .bytes = job->made->file->bytes,
					      .gone = job->made->gone,
					      .gone_count = job->made->file->gone_count };

		rc = manifest_add(manifest, &file);
	}
	return rc;
}

/* Writes the manifest, and swaps. */
static int commit_job(struct store *store, struct job *job, const struct flush *flush,
		      struct err *err)
{
	struct manifest manifest = { .number = 1 };
	int rc;

	pthread_mutex_lock(&store->manifest_lock);
	pthread_mutex_lock(&store->lock);
	/* Once for the manifest, and again when it is swapped. */
	rc = carry_gone(job);
	if (rc == 0)
		rc = make_manifest(store, job, flush, &manifest);
	if (rc == 0 && job->made) {
		free(job->made->gone);
		job->made->gone = NULL;
		job->made->file->gone = NULL;
		job->made->file->gone_count = 0;
	}
	if (rc == 0)
		store->is_gone_new = false;
	pthread_mutex_unlock(&store->lock);
	if (rc == 0)
		rc = manifest_write(&manifest, store->conf.dir, err);
	pthread_mutex_lock(&store->lock);
	if (rc < 0) {
		store->is_gone_new = true;
		manifest_clear_files(&manifest);
	} else {
		manifest_clear_files(&store->manifest);
		store->manifest = manifest;
		rc = swap(store, job);
	}
	pthread_mutex_unlock(&store->lock);
	pthread_mutex_unlock(&store->manifest_lock);
	return rc;
}

static uint64_t take_number(struct store *store)
{
	uint64_t number;

	pthread_mutex_lock(&store->manifest_lock);
	number = store->manifest.number++;
	pthread_mutex_unlock(&store->manifest_lock);
	return number;
}

static void say(struct store *store, const char *what, const struct job *job, int64_t begun_ms)
{
	struct log_line line;

	if (!store->conf.log)
		return;
	log_begin(&line, store->conf.log, LOG_LEVEL_DEBUG, what);
	log_num(&line, "inputs", (int64_t)job->count);
	log_num(&line, "rows", job->made ? job->made->file->rows : 0);
	log_num(&line, "bytes", job->made ? (int64_t)job->made->file->bytes : 0);
	log_num(&line, "ms", when_monotonic_ms() - begun_ms);
	log_end(&line);
}

/* With lock held, which it lets go of in between. */
static void run_job(struct store *store, struct held *const *inputs, size_t count,
		    const struct flush *flush, bool to_file, struct err *err, int *rcp)
{
	struct job job;
	int64_t begun_ms = when_monotonic_ms();
	int rc = job_open(store, &job, inputs, count);

	store->jobs++;
	pthread_mutex_unlock(&store->lock);
	if (rc == 0 && count)
		rc = to_file ? merge_to_file(store, &job, take_number(store), err)
			     : merge_to_image(store, &job, err);
	if (rc == 0 && to_file) {
		rc = commit_job(store, &job, flush, err);
		/* The manifest does not name it: it goes away. */
		if (rc < 0 && job.made)
			job.made->is_dropped = true;
		pthread_mutex_lock(&store->lock);
	} else {
		pthread_mutex_lock(&store->lock);
		if (rc == 0) {
			if (job.made)
				job.made->level = 1;
			if (job.made)
				job.made->seq = inputs[count - 1]->seq;
			rc = swap(store, &job);
		}
	}
	if (rc == 0)
		say(store, to_file ? flush ? "flush" : "compact" : "merge", &job, begun_ms);
	job_close(store, &job);
	store->jobs--;
	*rcp = rc;
}

static void fail(struct store *store, int rc, const struct err *err)
{
	if (rc == -ECANCELED)
		return;
	store->failed = rc;
	store->failed_ms = when_monotonic_ms();
	store->failed_err = *err;
	if (store->conf.log)
		log_words(store->conf.log, LOG_LEVEL_WARN, "store", "%s", err->text);
}

/* Images that are due to be one: the newest STORE_IMAGES_MERGE heads in a row. */
static size_t pick_images(const struct store *store, struct held **picked)
{
	size_t n = 0;

	for (size_t i = 0; i < store->count; i++) {
		struct held *held = store->list[i];

		if (held->number || held->level || held->is_busy)
			n = 0;
		else if (n < STORE_IMAGES_MERGE)
			picked[n++] = held;
	}
	return n == STORE_IMAGES_MERGE ? n : 0;
}

static void wait_work(struct store *store)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_cond_timedwait(&store->work, &store->lock, &until);
}

static void do_flush(struct store *store)
{
	struct flush flush = store->flush;
	struct held **inputs = calloc(store->count + 1, sizeof(struct held *));
	struct err err = { "" };
	size_t n = 0;
	int rc = inputs ? 0 : -ENOMEM;

	for (size_t i = 0; i < store->count && rc == 0; i++)
		if (store->list[i]->number == 0 && store->list[i]->seq <= flush.seq)
			inputs[n++] = store->list[i];
	if (rc == 0)
		run_job(store, inputs, n, &flush, true, &err, &rc);
	free(inputs);
	if (rc < 0) {
		fail(store, rc, &err);
	} else {
		store->flush.is_wanted = false;
		store->is_flushed = true;
		store->failed = 0;
	}
	pthread_cond_broadcast(&store->done);
	pthread_cond_broadcast(&store->work);
}

void *store_flusher(void *ctx)
{
	struct store *store = ctx;
	struct held *picked[STORE_IMAGES_MERGE];
	struct err err = { "" };
	int rc;

	pthread_mutex_lock(&store->lock);
	while (!atomic_load(&store->stop)) {
		bool may = store->failed == 0 ||
			   when_monotonic_ms() - store->failed_ms >= STORE_RETRY_MS;
		size_t n;

		if (store->flush.is_wanted && may) {
			do_flush(store);
			continue;
		}
		n = store->flush.is_wanted || !may ? 0 : pick_images(store, picked);
		if (n == 0) {
			wait_work(store);
			continue;
		}
		run_job(store, picked, n, NULL, false, &err, &rc);
		if (rc < 0)
			fail(store, rc, &err);
		pthread_cond_broadcast(&store->done);
	}
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

/* Which files are of a size: each class is STORE_FILES_MERGE times the last. */
static int class_of(const struct store *store, const struct held *held)
{
	uint64_t limit = (uint64_t)store->conf.flush_bytes * 2;
	int class = 0;

	for (; held->file->bytes > limit && class < 16; class++)
		limit *= STORE_FILES_MERGE;
	return class;
}

/* Files that are due to be rewritten or made one. */
static size_t pick_files(const struct store *store, struct held **picked)
{
	int64_t keep_us = keep_from(store);

	for (size_t i = 0; i < store->count; i++) {
		struct held *held = store->list[i];

		if (held->number && !held->is_busy &&
		    (held->file->gone_count || held->file->time_max < keep_us)) {
			picked[0] = held;
			return 1;
		}
	}
	for (int class = 0; class <= 16; class++) {
		uint64_t rows = 0;
		size_t n = 0;

		for (size_t i = 0; i < store->count && n < STORE_FILES_MERGE; i++) {
			struct held *held = store->list[i];

			if (held->number && !held->is_busy && !held->is_too_large &&
			    class_of(store, held) == class) {
				picked[n++] = held;
				rows += held->file->rows;
			}
		}
		if (n == STORE_FILES_MERGE && rows <= INT32_MAX)
			return n;
	}
	return 0;
}

void *store_compactor(void *ctx)
{
	struct store *store = ctx;
	struct held *picked[STORE_FILES_MERGE];
	int64_t failed_ms = -STORE_RETRY_MS;
	struct err err = { "" };
	int rc;

	pthread_mutex_lock(&store->lock);
	while (!atomic_load(&store->stop)) {
		bool may = when_monotonic_ms() - failed_ms >= STORE_RETRY_MS;
		size_t n = may ? pick_files(store, picked) : 0;

		if (n == 0) {
			wait_work(store);
			continue;
		}
		run_job(store, picked, n, NULL, true, &err, &rc);
		if (rc == -EFBIG) {
			/* Too much text for one file: they stay as they are. */
			for (size_t i = 0; i < store->count; i++)
				for (size_t k = 0; k < n; k++)
					store->list[i]->is_too_large |= store->list[i] == picked[k];
		} else if (rc < 0 && rc != -ECANCELED) {
			failed_ms = when_monotonic_ms();
			if (store->conf.log)
				log_words(store->conf.log, LOG_LEVEL_WARN, "store", "%s", err.text);
			err = (struct err){ "" };
		}
		pthread_cond_broadcast(&store->done);
	}
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

int store_settle(struct store *store, struct err *err)
{
	struct held *picked[STORE_IMAGES_MERGE];
	int rc = 0;

	pthread_mutex_lock(&store->lock);
	while (rc == 0 && (store->jobs || store->flush.is_wanted || pick_images(store, picked) ||
			   pick_files(store, picked))) {
		pthread_cond_broadcast(&store->work);
		pthread_cond_wait(&store->done, &store->lock);
		rc = store->failed;
	}
	if (rc < 0)
		err_set(err, rc, "%s", store->failed_err.text);
	pthread_mutex_unlock(&store->lock);
	return rc;
}
