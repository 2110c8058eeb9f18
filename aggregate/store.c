// SPDX-License-Identifier: Apache-2.0
#include "aggregate/store.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aggregate/bucket_set.h"
#include "aggregate/column_format.h"
#include "aggregate/store_own.h"
#include "lib/dir.h"
#include "lib/thread.h"
#include "lib/when.h"

#include <xxhash.h>

#define FLUSH_BYTES (INT64_C(128) << 20)
#define NAMES_MAX   4096u
#define PATIENCE_MS 60000               /* with a disk that cannot be written */
#define FORK_MS     20

/* Turns: taking a snapshot waits for the batch that is open; a batch waits for those that waited
 * through the last one (grants). A snapshot that is held for long is no obstacle: files do not
 * change, and it keeps the persons as they were while the batch goes on with a copy of them. As a
 * copy costs (5 ms per 100,000 persons), a short question is waited for. */

void store_enter(struct store *store)
{
	store->readers_waiting++;
	while (store->is_changing || (store->is_writer_waiting && store->grants == 0))
		pthread_cond_wait(&store->turn, &store->lock);
	store->readers_waiting--;
	if (store->grants && --store->grants == 0)
		pthread_cond_broadcast(&store->turn);
}

static void view_close(struct view *view)
{
	if (!view)
		return;
	persons_close(view->persons);
	free(view);
}

/* With lock held, which it lets go of: whoever holds the view keeps its persons, we go on with a
 * copy. Where there is no memory for one, we wait for them instead. */
static void fork_persons(struct store *store)
{
	struct view *old = store->view, *new = calloc(1, sizeof(*new));
	int64_t begun_ms = when_monotonic_ms();
	int rc;

	pthread_mutex_unlock(&store->lock);
	rc = new ? persons_fork(old->persons, &new->persons) : -ENOMEM;
	pthread_mutex_lock(&store->lock);
	if (rc < 0) {
		free(new);
		while (old->refs)
			pthread_cond_wait(&store->turn, &store->lock);
		return;
	}
	store->fork_ms = when_monotonic_ms() - begun_ms;
	store->added.forks++;
	store->view = new;
	if (old->refs == 0)
		view_close(old);
}

static void wait_readers(struct store *store)
{
	int64_t end_ms = when_monotonic_ms() + FORK_MS + 2 * store->fork_ms;
	struct timespec end = { end_ms / 1000, end_ms % 1000 * 1000000 };

	while (store->view->refs &&
	       pthread_cond_timedwait(&store->turn, &store->lock, &end) != ETIMEDOUT)
		;
}

void store_change_begin(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	assert(!store->is_changing);
	store->is_writer_waiting = true;
	while (store->grants)
		pthread_cond_wait(&store->turn, &store->lock);
	store->is_writer_waiting = false;
	store->is_changing = true;
	wait_readers(store);
	if (store->view->refs)
		fork_persons(store);
	pthread_mutex_unlock(&store->lock);
}

static int forget_deleted(struct store *store, struct err *err)
{
	struct persons *persons = store->view->persons;
	struct column_gone *gone;
	size_t count;
	const uint32_t *actors = persons_forgotten(persons, &count);
	int rc;

	if (count == 0)
		return 0;
	gone = malloc(count * sizeof(*gone));
	if (!gone)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		gone[i] = (struct column_gone){ actors[i],
						persons_deleted_until(persons, actors[i]) };
	rc = store_forget(store, gone, count, err);
	free(gone);
	return rc;
}

int store_change_end(struct store *store, struct err *err)
{
	int rc = persons_settle(store->view->persons);

	if (rc == 0)
		rc = forget_deleted(store, err);
	pthread_mutex_lock(&store->lock);
	store->added.merges = store->counts.merges;
	store->counts = store->added;
	store->head_bytes = column_write_bytes(store->write);
	store->is_changing = false;
	store->grants = store->readers_waiting;
	pthread_cond_broadcast(&store->turn);
	pthread_mutex_unlock(&store->lock);
	return rc < 0 ? err_set(err, rc, "persons: %s", strerror(-rc)) : 0;
}

/* The list */

void store_path(const struct store *store, uint64_t number, char path[4096])
{
	snprintf(path, 4096, "%s/column-%" PRIu64, store->conf.dir, number);
}

struct held *held_open(struct column_file *file, uint64_t number)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held) {
		column_close(file);
		return NULL;
	}
	held->file = file;
	held->number = number;
	held->refs = 1;
	return held;
}

void held_release(struct store *store, struct held *held)
{
	char path[4096];

	if (!held || --held->refs > 0)
		return;
	if (held->is_dropped && held->number) {
		store_path(store, held->number, path);
		/* What stays is removed at the next start. */
		(void)unlink(path);
	}
	column_close(held->file);
	free(held->gone);
	free(held);
}

int store_list_add(struct store *store, struct held *held, size_t at)
{
	if (store->count == store->cap) {
		size_t cap = store->cap ? store->cap * 2 : 64;
		struct held **list = realloc(store->list, cap * sizeof(struct held *));

		if (!list)
			return -ENOMEM;
		store->list = list;
		store->cap = cap;
	}
	memmove(&store->list[at + 1], &store->list[at],
		(store->count - at) * sizeof(struct held *));
	store->list[at] = held;
	store->count++;
	if (held->number == 0)
		store->image_bytes += held->file->bytes;
	return 0;
}

/* Opening */

static int know_names(struct store *store, const struct column_file *file);

static int open_file(struct store *store, const struct manifest_file *entry, struct err *err)
{
	struct column_file *file;
	struct held *held;
	char path[4096];
	int rc;

	store_path(store, entry->number, path);
	rc = column_open(&file, path, err);
	if (rc == -ENOENT)
		rc = -EBADMSG;
	if (rc < 0)
		return rc;
	if (file->rows != entry->rows || file->bytes != entry->bytes) {
		column_close(file);
		return err_set(err, -EBADMSG, "%s: is not the file that the manifest names; start "
			       "aggregate with --rebuild", path);
	}
	held = held_open(file, entry->number);
	if (!held)
		return err_set(err, -ENOMEM, "no memory");
	if (entry->gone_count) {
		held->gone = malloc(entry->gone_count * sizeof(*held->gone));
		if (held->gone)
			memcpy(held->gone, entry->gone, entry->gone_count * sizeof(*held->gone));
		file->gone = held->gone;
		file->gone_count = held->gone ? entry->gone_count : 0;
	}
	rc = store_list_add(store, held, store->count);
	return rc < 0 ? rc : know_names(store, file);
}

/* Files that no manifest names: a crash left them. */
static int remove_strays(const struct store *store, struct err *err)
{
	DIR *dir = opendir(store->conf.dir);
	const struct dirent *entry;

	if (!dir)
		return err_set(err, -errno, "--state %s: %s", store->conf.dir, strerror(errno));
	while ((entry = readdir(dir))) {
		bool is_ours = strcmp(entry->d_name, "manifest.new") == 0;
		char *end;

		if (strncmp(entry->d_name, "column-", 7) == 0) {
			uint64_t number = strtoull(entry->d_name + 7, &end, 10);

			is_ours = *end == '\0';
			for (size_t i = 0; i < store->manifest.count; i++)
				is_ours &= store->manifest.files[i].number != number;
		}
		if (is_ours)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return 0;
}

static int check_manifest(struct store *store, struct err *err)
{
	struct manifest *manifest = &store->manifest;
	const struct store_conf *conf = &store->conf;

	if (strcmp(manifest->logic, conf->logic) != 0)
		return err_set(err, -EINVAL, "--state %s: was made by logic '%s', this is '%s'; "
			       "start with --rebuild", conf->dir, manifest->logic, conf->logic);
	if (manifest->partitions && conf->partitions && manifest->partitions != conf->partitions)
		return err_set(err, -EINVAL, "--state %s: was made from %d partitions, the topic "
			       "has %d; start with --rebuild", conf->dir, manifest->partitions,
			       conf->partitions);
	return 0;
}

static int open_state(struct store *store, struct err *err)
{
	struct manifest *manifest = &store->manifest;
	int rc = manifest_read(manifest, store->conf.dir, err);

	if (rc == 0)
		rc = check_manifest(store, err);
	else if (rc == -ENOENT)
		rc = 0;
	if (rc < 0)
		return rc;
	snprintf(manifest->logic, sizeof(manifest->logic), "%s", store->conf.logic);
	rc = remove_strays(store, err);
	if (rc == 0)
		rc = persons_open(&store->view->persons, store->conf.dir, &manifest->persons, err);
	for (size_t i = 0; i < manifest->count && rc == 0; i++) {
		rc = open_file(store, &manifest->files[i], err);
		if (rc == 0)
			store->added.events += manifest->files[i].rows;
	}
	return rc;
}

static int start_threads(struct store *store, struct err *err)
{
	void *(*const run[])(void *) = { store_flusher, store_compactor };
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = thread_start(&store->threads[i], run[i], store);
		store->thread_count += rc == 0;
	}
	return rc < 0 ? err_set(err, rc, "a thread: %s", strerror(-rc)) : 0;
}

static void set_defaults(struct store_conf *conf)
{
	if (conf->flush_bytes <= 0)
		conf->flush_bytes = FLUSH_BYTES;
	if (conf->names_max == 0)
		conf->names_max = NAMES_MAX;
	if (!conf->logic)
		conf->logic = STORE_LOGIC;
}

int store_open(struct store **storep, const struct store_conf *conf,
	       int64_t next[BUS_PARTITIONS_MAX], struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));
	pthread_condattr_t attr;
	int rc = -ENOMEM;

	*storep = NULL;
	if (!store)
		return err_set(err, rc, "no memory");
	store->conf = *conf;
	set_defaults(&store->conf);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&store->lock, NULL);
	pthread_mutex_init(&store->manifest_lock, NULL);
	pthread_cond_init(&store->turn, &attr);
	pthread_cond_init(&store->work, &attr);
	pthread_cond_init(&store->done, NULL);
	pthread_condattr_destroy(&attr);
	store->seq = 1;
	for (store->events_mask = 1; store->events_mask < store->conf.names_max * 2;)
		store->events_mask *= 2;
	store->events = calloc(store->events_mask--, sizeof(*store->events));
	store->view = calloc(1, sizeof(*store->view));
	if (store->events && store->view)
		rc = column_write_open(&store->write, store->conf.names_max);
	rc = rc < 0 ? err_set(err, rc, "no memory") : open_state(store, err);
	store->counts = store->added;
	if (rc == 0)
		rc = start_threads(store, err);
	if (rc < 0) {
		store_close(store);
		return rc;
	}
	memcpy(next, store->manifest.next, sizeof(store->manifest.next));
	*storep = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	atomic_store(&store->stop, true);
	pthread_mutex_lock(&store->lock);
	/* A batch that failed half-way is never ended. */
	store->is_changing = false;
	store->grants = store->readers_waiting;
	pthread_cond_broadcast(&store->turn);
	pthread_cond_broadcast(&store->work);
	pthread_mutex_unlock(&store->lock);
	for (int i = 0; i < store->thread_count; i++)
		pthread_join(store->threads[i], NULL);
	for (size_t i = 0; i < store->count; i++)
		held_release(store, store->list[i]);
	held_release(store, store->sealed);
	free(store->list);
	free(store->events);
	free(store->props);
	column_write_close(store->write);
	view_close(store->view);
	manifest_reset(&store->manifest);
	pthread_mutex_destroy(&store->lock);
	pthread_mutex_destroy(&store->manifest_lock);
	pthread_cond_destroy(&store->turn);
	pthread_cond_destroy(&store->work);
	pthread_cond_destroy(&store->done);
	free(store);
}

struct persons *store_persons(struct store *store)
{
	return store->view->persons;
}

/* Adding */

/* Is the event's name one of names_max? New ones are let in while there is room. */
static bool is_name_in(struct store *store, struct slice name)
{
	uint64_t hash = XXH3_64bits(name.ptr, name.len) | 1;
	uint32_t at = (uint32_t)(hash >> 20) & store->events_mask;

	for (; store->events[at]; at = (at + 1) & store->events_mask)
		if (store->events[at] == hash)
			return true;
	if (store->event_count >= store->conf.names_max)
		return false;
	store->events[at] = hash;
	store->event_count++;
	return true;
}

static int know_names(struct store *store, const struct column_file *file)
{
	for (uint32_t i = 0; i < file->column_count; i++) {
		int rc = column_write_know(store->write, file->columns[i].name);

		if (rc < 0)
			return rc;
	}
	for (uint32_t code = 1; file->event && code <= file->event->values; code++) {
		struct prop prop = column_value(file->event, code);

		if (prop.kind == PROP_TEXT)
			(void)is_name_in(store, prop.text);
	}
	return 0;
}

static const struct store_prop *find_prop(const struct store_row *row, struct slice name)
{
	for (size_t i = 0; i < row->count; i++)
		if (slice_eq(row->props[i].name, name))
			return &row->props[i];
	return NULL;
}

/* The same with STORE_REST for the event's name. */
static int replace_name(struct store *store, struct store_row *row)
{
	if (row->count > store->prop_cap) {
		struct store_prop *props = realloc(store->props, row->count * sizeof(*props));

		if (!props)
			return -ENOMEM;
		store->props = props;
		store->prop_cap = row->count;
	}
	memcpy(store->props, row->props, row->count * sizeof(*store->props));
	for (size_t i = 0; i < row->count; i++)
		if (slice_is(store->props[i].name, "$event"))
			store->props[i].value.text = SLICE(STORE_REST);
	row->props = store->props;
	return 0;
}

/* Is the row among these? */
static bool is_among(const struct column_file *file, uint32_t from, uint32_t to,
		     const struct store_row *row)
{
	struct prop none = { PROP_NONE, 0, { NULL, 0 } }, value = none;

	for (uint32_t at = 0; from < to; from++) {
		const struct store_prop *source;
		const struct column *column;

		if (memcmp(&file->message[from], &row->message, sizeof(row->message)) != 0)
			continue;
		source = find_prop(row, SLICE("$source"));
		column = column_find(file, SLICE("$source"));
		if (column)
			value = column_value(column, column_code(column, from, &at));
		if (prop_compare(&value, source ? &source->value : &none) == 0)
			return true;
	}
	return false;
}

/* The first of an actor's rows that is not before the time. */
static uint32_t find_time(const struct column_file *file, uint32_t low, uint32_t high,
			  int64_t time_us)
{
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (file->time[middle] < time_us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Is the row in this file? First where its time is; of an actor with very many rows only there. */
static bool is_in_file(const struct column_file *file, const struct store_row *row)
{
	uint32_t hint = 0, begin, count, from, to;

	if (!column_run(file, row->actor, &hint, &begin, &count))
		return false;
	from = find_time(file, begin, begin + count, row->time_us - STORE_REPEAT_US);
	to = find_time(file, from, begin + count, row->time_us + STORE_REPEAT_US + 1);
	if (is_among(file, from, to, row))
		return true;
	return count <= STORE_REPEAT_ROWS &&
	       (is_among(file, begin, from, row) || is_among(file, to, begin + count, row));
}

static bool is_repeat(const struct store *store, const struct store_row *row)
{
	uint64_t hash = column_key_hash(&row->message);

	if (column_write_has(store->write, row))
		return true;
	/* All their blocks are on their way before the first is looked at. */
	for (size_t i = store->count; i-- > 0;)
		__builtin_prefetch(column_bloom_block(store->list[i]->file, hash));
	for (size_t i = store->count; i-- > 0;) {
		const struct column_file *file = store->list[i]->file;

		if (column_bloom_has(column_bloom_block(file, hash), hash) && is_in_file(file, row))
			return true;
	}
	return false;
}

/* The head as an image, made where it changed. */
static int seal(struct store *store, struct err *err)
{
	struct buf image = { 0 };
	struct column_file *file;
	int rc;

	if (store->sealed || column_write_rows(store->write) == 0)
		return 0;
	rc = column_write_image(store->write, &image);
	if (rc < 0)
		return err_set(err, rc, "the newest events: %s", strerror(-rc));
	rc = column_open_image(&file, &image, err);
	if (rc < 0)
		return rc;
	store->sealed = held_open(file, 0);
	return store->sealed ? 0 : err_set(err, -ENOMEM, "no memory");
}

/* The head becomes an image of the list. */
static int push_head(struct store *store, struct err *err)
{
	int rc = seal(store, err);

	if (rc < 0 || !store->sealed)
		return rc;
	store->sealed->seq = store->seq++;
	rc = store_list_add(store, store->sealed, store->count);
	if (rc < 0)
		return err_set(err, rc, "no memory");
	store->sealed = NULL;
	column_write_reset(store->write);
	pthread_cond_broadcast(&store->work);
	return 0;
}

static bool is_too_old(const struct store *store, int64_t time_us, int64_t now_us)
{
	return store->conf.retain_us > 0 && time_us < now_us - store->conf.retain_us;
}

int store_add(struct store *store, const struct store_row *row, struct err *err)
{
	const struct store_prop *event = find_prop(row, SLICE("$event"));
	struct store_row copy = *row;
	int rc = 0;

	assert(store->is_changing && event && event->value.kind == PROP_TEXT);
	if (is_too_old(store, row->time_us, row->received_us))
		return 2;
	if (persons_is_deleted(store->view->persons, row->actor, row->time_us)) {
		store->added.deleted++;
		return 2;
	}
	if (is_repeat(store, row)) {
		store->added.duplicates++;
		return 0;
	}
	if (column_write_is_full(store->write)) {
		pthread_mutex_lock(&store->lock);
		rc = push_head(store, err);
		pthread_mutex_unlock(&store->lock);
	}
	if (store->sealed) {
		pthread_mutex_lock(&store->lock);
		held_release(store, store->sealed);
		store->sealed = NULL;
		pthread_mutex_unlock(&store->lock);
	}
	if (rc == 0 && !is_name_in(store, event->value.text)) {
		store->added.events_left_out++;
		rc = replace_name(store, &copy);
	}
	if (rc == 0)
		rc = column_write_add(store->write, &copy, &store->added.properties_left_out);
	if (rc < 0)
		return err_set(err, rc, "the newest events: %s", strerror(-rc));
	store->added.events++;
	if (store->conf.dirt)
		bucket_set_add(store->conf.dirt, bucket_of(row->time_us));
	return 1;
}

/* Forgetting */

/* A list of its own: snapshots have copies. */
static int forget_in(struct held *held, const struct column_gone *more, size_t count,
		     struct bucket_set *dirt)
{
	struct column_file *file = held->file;
	struct column_gone *gone = malloc((file->gone_count + count) * sizeof(*gone));
	uint32_t row, rows, old = 0, n = 0, hint = 0;

	if (!gone)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		while (old < file->gone_count && file->gone[old].actor < more[i].actor)
			gone[n++] = file->gone[old++];
		if (!column_run(file, more[i].actor, &hint, &row, &rows) ||
		    file->time[row] > more[i].until_us)
			continue;
		for (uint32_t r = row; dirt && r < row + rows &&
				       file->time[r] <= more[i].until_us; r++)
			bucket_set_add(dirt, bucket_of(file->time[r]));
		gone[n++] = more[i];
		old += old < file->gone_count && file->gone[old].actor == more[i].actor;
	}
	while (old < file->gone_count)
		gone[n++] = file->gone[old++];
	free(held->gone);
	held->gone = gone;
	file->gone = gone;
	file->gone_count = n;
	return 0;
}

static int compare_actors(const void *a, const void *b)
{
	const struct column_gone *x = a, *y = b;

	return x->actor < y->actor ? -1 : x->actor > y->actor;
}

int store_forget(struct store *store, const struct column_gone *gone, size_t count,
		 struct err *err)
{
	struct column_gone *sorted;
	size_t n = 0;
	int rc;

	if (count == 0)
		return 0;
	sorted = malloc(count * sizeof(*sorted));
	if (!sorted)
		return err_set(err, -ENOMEM, "no memory");
	memcpy(sorted, gone, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_actors);
	for (size_t i = 0; i < count; i++)
		if (n == 0 || sorted[n - 1].actor != sorted[i].actor)
			sorted[n++] = sorted[i];
	pthread_mutex_lock(&store->lock);
	rc = push_head(store, err);
	for (size_t i = 0; i < store->count && rc == 0; i++)
		rc = forget_in(store->list[i], sorted, n, store->conf.dirt);
	store->is_gone_new = true;
	pthread_cond_broadcast(&store->work);
	pthread_mutex_unlock(&store->lock);
	free(sorted);
	return rc < 0 ? err_set(err, rc, "no memory") : 0;
}

/* Committing */

static bool is_news(const struct store *store, const int64_t next[BUS_PARTITIONS_MAX])
{
	return store->image_bytes || store->is_gone_new || column_write_rows(store->write) ||
	       memcmp(next, store->manifest.next, sizeof(store->manifest.next)) != 0;
}

/* Asks for a flush of all that is in memory. */
static int begin_flush(struct store *store, const int64_t next[BUS_PARTITIONS_MAX],
		       int partitions, struct err *err)
{
	struct flush *flush = &store->flush;
	int rc, end;

	store_change_begin(store);
	rc = persons_flush(store->view->persons, &flush->persons, err);
	pthread_mutex_lock(&store->lock);
	if (rc == 0)
		rc = push_head(store, err);
	if (rc == 0) {
		flush->seq = store->seq - 1;
		flush->partitions = partitions;
		memcpy(flush->next, next, sizeof(flush->next));
		flush->is_wanted = true;
		store->failed = 0;
		pthread_cond_broadcast(&store->work);
	}
	pthread_mutex_unlock(&store->lock);
	end = store_change_end(store, err);
	return rc < 0 ? rc : end;
}

/* Waits until the flush is done, or fails, or fails for so long. */
static int wait_flush(struct store *store, int64_t patience_ms, struct err *err)
{
	int64_t begun_ms = when_monotonic_ms();
	int rc = 0;

	pthread_mutex_lock(&store->lock);
	while (store->flush.is_wanted) {
		rc = store->failed;
		if (rc < 0 && when_monotonic_ms() - begun_ms >= patience_ms)
			break;
		rc = 0;
		pthread_cond_wait(&store->done, &store->lock);
	}
	if (rc < 0)
		err_set(err, rc, "%s", store->failed_err.text);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

static bool is_flush_due(struct store *store, const int64_t next[BUS_PARTITIONS_MAX], bool force)
{
	bool is_due;

	pthread_mutex_lock(&store->manifest_lock);
	pthread_mutex_lock(&store->lock);
	is_due = store->image_bytes + column_write_used(store->write) >=
		 (size_t)store->conf.flush_bytes;
	if (force)
		is_due = is_news(store, next);
	pthread_mutex_unlock(&store->lock);
	pthread_mutex_unlock(&store->manifest_lock);
	return is_due;
}

int store_commit(struct store *store, const int64_t next[BUS_PARTITIONS_MAX], int partitions,
		 bool force, struct err *err)
{
	bool is_wanted, is_flushed, is_large;
	int rc = 0;

	pthread_mutex_lock(&store->lock);
	is_wanted = store->flush.is_wanted;
	is_flushed = store->is_flushed;
	is_large = store->image_bytes >= (size_t)store->conf.flush_bytes * 4;
	store->is_flushed = false;
	pthread_mutex_unlock(&store->lock);
	if (is_flushed)
		persons_committed(store->view->persons);
	if (is_wanted && !force && !is_large)
		return 0;
	/* A disk that is full: adding stops here until it is not, or the program ends. */
	if (is_wanted)
		rc = wait_flush(store, force ? 0 : PATIENCE_MS, err);
	if (rc < 0 || (is_wanted && !force) || !is_flush_due(store, next, force))
		return rc;
	rc = begin_flush(store, next, partitions, err);
	if (rc == 0 && force)
		rc = wait_flush(store, 0, err);
	return rc;
}

/* Snapshots */

static void free_snapshot(struct snapshot *snapshot)
{
	free((void *)(uintptr_t)snapshot->files);
	free(snapshot->held);
	free(snapshot->copies);
	free(snapshot->gone);
	*snapshot = (struct snapshot){ .files = NULL };
}

/* The files' heads are copied, as who is gone in them may change. */
static void fill_snapshot(struct store *store, struct snapshot *snapshot)
{
	struct column_file **files = (struct column_file **)(uintptr_t)snapshot->files;
	struct column_gone *gone = snapshot->gone;

	for (size_t i = 0; i <= store->count; i++) {
		struct held *held = i < store->count ? store->list[i] : store->sealed;
		size_t f = snapshot->file_count;

		if (!held)
			continue;
		held->refs++;
		snapshot->held[f] = held;
		snapshot->copies[f] = *held->file;
		if (held->file->gone_count)
			memcpy(gone, held->file->gone, held->file->gone_count * sizeof(*gone));
		snapshot->copies[f].gone = gone;
		gone += held->file->gone_count;
		files[f] = &snapshot->copies[f];
		snapshot->rows += held->file->rows;
		snapshot->file_count++;
	}
	snapshot->view = store->view;
	snapshot->view->refs++;
	snapshot->persons = snapshot->view->persons;
}

int store_snapshot(struct store *store, struct snapshot *snapshot, struct err *err)
{
	size_t n, gone_count = 0;
	int rc;

	*snapshot = (struct snapshot){ .store = store };
	pthread_mutex_lock(&store->lock);
	store_enter(store);
	rc = seal(store, err);
	n = store->count + 1;
	for (size_t i = 0; i < store->count; i++)
		gone_count += store->list[i]->file->gone_count;
	if (rc == 0) {
		snapshot->files = calloc(n, sizeof(void *));
		snapshot->held = calloc(n, sizeof(*snapshot->held));
		snapshot->copies = calloc(n, sizeof(*snapshot->copies));
		snapshot->gone = malloc((gone_count + 1) * sizeof(*snapshot->gone));
		if (snapshot->files && snapshot->held && snapshot->copies && snapshot->gone)
			fill_snapshot(store, snapshot);
		else
			rc = err_set(err, -ENOMEM, "no memory");
	}
	pthread_mutex_unlock(&store->lock);
	if (rc < 0)
		free_snapshot(snapshot);
	return rc;
}

void snapshot_release(struct snapshot *snapshot)
{
	struct store *store = snapshot->store;

	if (!snapshot->files)
		return;
	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < snapshot->file_count; i++)
		held_release(store, snapshot->held[i]);
	if (--snapshot->view->refs == 0 && snapshot->view != store->view)
		view_close(snapshot->view);
	pthread_cond_broadcast(&store->turn);
	pthread_mutex_unlock(&store->lock);
	free_snapshot(snapshot);
}

struct store_counts store_counts(struct store *store)
{
	struct store_counts counts;

	pthread_mutex_lock(&store->lock);
	counts = store->counts;
	counts.files = counts.images = counts.file_bytes = 0;
	counts.memory_bytes = store->image_bytes + store->head_bytes;
	for (size_t i = 0; i < store->count; i++) {
		counts.files += store->list[i]->number != 0;
		counts.images += store->list[i]->number == 0;
		if (store->list[i]->number)
			counts.file_bytes += store->list[i]->file->bytes;
	}
	pthread_mutex_unlock(&store->lock);
	return counts;
}
