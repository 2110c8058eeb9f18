// SPDX-License-Identifier: Apache-2.0
/* The store: whatever the order, the repeats, the flushes, the restarts: the rows of a batch. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregate/column_write.h"
#include "aggregate/merge.h"
#include "lib/dir.h"
#include "tests/store_world.h"
#include "tests/tap.h"

struct place {
	char dir[200];
	int64_t next[BUS_PARTITIONS_MAX];
};

static struct store *open_store(struct place *place, int64_t flush_bytes)
{
	struct store_conf conf = { .dir = place->dir, .flush_bytes = flush_bytes, .partitions = 1 };
	struct err err = { "" };
	struct store *store;
	char id[16];
	uint32_t actor;

	if (store_open(&store, &conf, place->next, &err) < 0) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
	store_change_begin(store);
	for (uint32_t i = 1; i <= WORLD_ACTORS; i++) {
		snprintf(id, sizeof(id), "u%u", i);
		if (persons_actor(store_persons(store), 'u', slice_from(id), 1, &actor) < 0 ||
		    actor != i)
			abort();
	}
	if (store_change_end(store, &err) < 0)
		abort();
	return store;
}

static struct place new_place(const char *name)
{
	const char *temp = getenv("TMPDIR");
	struct place place = { .next = { 0 } };

	snprintf(place.dir, sizeof(place.dir), "%s/millrace-store-%s-%d", temp ? temp : "/tmp",
		 name, (int)getpid());
	if (dir_make(place.dir) < 0)
		abort();
	return place;
}

static void remove_place(struct place *place)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf '%s'", place->dir);
	if (system(command) != 0)
		abort();
}

/* All that a snapshot has, as one image's bytes. */
static struct buf bytes_of(struct store *store, uint32_t *rows)
{
	struct merge_input inputs[200];
	struct merge_conf conf = { inputs, 0, INT64_MIN, NULL };
	struct snapshot snapshot;
	struct err err = { "" };
	struct buf image = { 0 };

	if (store_snapshot(store, &snapshot, &err) < 0)
		abort();
	for (size_t i = 0; i < snapshot.file_count; i++)
		inputs[conf.count++] = (struct merge_input){ snapshot.files[i],
							     snapshot.files[i]->gone,
							     snapshot.files[i]->gone_count };
	if (merge_files(&conf, &image, -1, rows) < 0)
		abort();
	snapshot_release(&snapshot);
	return image;
}

static struct buf batch_of(struct world *world, uint64_t events)
{
	struct column_write *write;
	struct buf image = { 0 };
	uint64_t left_out = 0;

	if (column_write_open(&write, 100) < 0)
		abort();
	for (uint64_t i = 0; i < events; i++)
		if (column_write_add(write, world_row(world, i), &left_out) < 0)
			abort();
	if (column_write_image(write, &image) < 0)
		abort();
	column_write_close(write);
	return image;
}

static bool is_same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

/* The log: events in any order, some twice, some late. */
static uint64_t *make_log(struct world *world, uint64_t events, size_t *len)
{
	uint64_t *log = malloc(events * 2 * sizeof(*log));

	*len = 0;
	for (uint64_t i = 0; i < events; i++) {
		log[(*len)++] = i;
		if (world_random(world, i, 40) % 7 == 0)
			log[(*len)++] = i;
	}
	for (size_t i = *len; i > 1; i--) {
		size_t k = world_random(world, i, 41) % i;
		uint64_t swap = log[i - 1];

		log[i - 1] = log[k];
		log[k] = swap;
	}
	return log;
}

static void add(struct store *store, const struct store_row *row)
{
	struct err err = { "" };

	if (store_add(store, row, &err) < 0) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
}

/* Batches of random sizes, flushes now and then, ends without a word now and then. */
static struct store *replay(struct world *world, struct place *place, const uint64_t *log,
			    size_t len, int64_t flush_bytes)
{
	struct store *store = open_store(place, flush_bytes);
	struct err err = { "" };
	size_t at = 0;
	uint64_t k = 0;

	while (at < len) {
		uint64_t r = world_random(world, k++, 42);
		size_t n = 1 + r % 400;
		struct snapshot snapshot;

		store_change_begin(store);
		for (; n && at < len; n--)
			add(store, world_row(world, log[at++]));
		if (store_change_end(store, &err) < 0)
			abort();
		place->next[0] = (int64_t)at;
		if (store_commit(store, place->next, 1, r >> 16 & 1, &err) < 0) {
			printf("Bail out! %s\n", err.text);
			exit(1);
		}
		if ((r >> 20 & 7) == 0 && store_snapshot(store, &snapshot, &err) == 0)
			snapshot_release(&snapshot);
		if ((r >> 24 & 7) == 0) {
			store_close(store);
			store = open_store(place, flush_bytes);
			at = (size_t)place->next[0];
		}
	}
	return store;
}

static void check_silently(void *ctx, const char *line)
{
	(void)line;
	++*(int *)ctx;
}

static void test_orders(struct tap *tap, uint64_t seed)
{
	const uint64_t events = 5000;
	struct world world = { .seed = seed };
	struct place place = new_place("order");
	struct err err = { "" };
	struct buf batch = batch_of(&world, events), got;
	struct store_counts counts;
	struct store *store;
	uint32_t rows;
	size_t len;
	uint64_t *log = make_log(&world, events, &len);
	int lines = 0;

	store = replay(&world, &place, log, len, seed & 1 ? 1 : 100000);
	got = bytes_of(store, &rows);
	OK(tap, rows == events && is_same(&got, &batch),
	   "seed %d: %u rows are those of a batch, byte for byte", (int)seed, rows);
	buf_close(&got);
	if (store_commit(store, place.next, 1, true, &err) < 0 || store_settle(store, &err) < 0)
		abort();
	got = bytes_of(store, &rows);
	counts = store_counts(store);
	OK(tap, is_same(&got, &batch), "after all merges, too");
	OK(tap, counts.images == 0 && counts.files < 24,
	   "%d files after %d merges", (int)counts.files, (int)counts.merges);
	store_close(store);
	OK(tap, store_check(place.dir, check_silently, &lines, &err) == 0 &&
	   lines == (int)counts.files + 2, "check says good %s", err.text);
	buf_close(&got);
	buf_close(&batch);
	buf_close(&world.list);
	free(log);
	remove_place(&place);
}

/* Images of full heads, merged 16 to 1, then a file. */
static void test_many(struct tap *tap)
{
	const uint64_t events = STORE_HEAD_MAX * 18 + 500;
	struct world world = { .seed = 9 };
	struct place place = new_place("many");
	struct store *store = open_store(&place, INT64_C(1) << 30);
	struct err err = { "" };
	struct store_counts counts;
	struct buf before, after;
	uint32_t rows;

	for (uint64_t i = 0; i < events;) {
		store_change_begin(store);
		for (int n = 0; n < 4000 && i < events; n++, i++)
			add(store, world_row(&world, i));
		if (store_change_end(store, &err) < 0)
			abort();
	}
	if (store_settle(store, &err) < 0)
		abort();
	counts = store_counts(store);
	OK(tap, counts.images == 3 && counts.events == events, "%d images", (int)counts.images);
	before = bytes_of(store, &rows);
	OK(tap, rows == events, "%u rows", rows);
	place.next[0] = 77;
	OK(tap, store_commit(store, place.next, 1, true, &err) == 0, "flushed %s", err.text);
	after = bytes_of(store, &rows);
	OK(tap, is_same(&before, &after), "the same in a file");
	store_close(store);
	store = open_store(&place, 0);
	buf_close(&after);
	after = bytes_of(store, &rows);
	OK(tap, is_same(&before, &after) && place.next[0] == 77, "and after a restart");
	store_change_begin(store);
	for (uint64_t i = 0; i < events; i += 1000)
		add(store, world_row(&world, i));
	if (store_change_end(store, &err) < 0)
		abort();
	OK(tap, store_counts(store).events == events, "repeats are known from the file");
	store_close(store);
	buf_close(&before);
	buf_close(&after);
	buf_close(&world.list);
	remove_place(&place);
}

/* Actors are forgotten while files are written; nothing of theirs comes back. */
static void test_forget(struct tap *tap)
{
	const uint64_t events = 4000;
	struct world world = { .seed = 5 };
	struct place place = new_place("forget");
	struct store *store = open_store(&place, 1);
	static const struct column_gone gone[] = {
		{ 2, INT64_MAX }, { 5, INT64_MAX }, { 11, INT64_MAX }
	};
	uint32_t rows, wanted = 0, hits = 0;
	struct err err = { "" };
	struct snapshot snapshot;
	struct store_counts counts;
	struct buf image;

	for (uint64_t i = 0; i < events; i++) {
		const struct store_row *row;

		store_change_begin(store);
		row = world_row(&world, i);
		add(store, row);
		wanted += i >= 3000 || (row->actor != 2 && row->actor != 5 && row->actor != 11);
		if (i == 2999 && store_forget(store, gone, 3, &err) < 0)
			abort();
		if (store_change_end(store, &err) < 0)
			abort();
		place.next[0] = (int64_t)i + 1;
		if (i % 100 == 0 && store_commit(store, place.next, 1, false, &err) < 0)
			abort();
		if (i != 2999 || store_snapshot(store, &snapshot, &err) < 0)
			continue;
		for (size_t f = 0; f < snapshot.file_count; f++)
			for (int a = 0; a < 3; a++) {
				uint32_t hint = 0, row_at, count;

				hits += column_run(snapshot.files[f], gone[a].actor, &hint,
						   &row_at, &count);
			}
		snapshot_release(&snapshot);
	}
	OK(tap, hits == 0, "forgotten ids have no rows at once");
	image = bytes_of(store, &rows);
	OK(tap, rows == wanted, "%u rows, %u wanted: what came later is there", rows, wanted);
	if (store_commit(store, place.next, 1, true, &err) < 0 || store_settle(store, &err) < 0)
		abort();
	store_close(store);
	store = open_store(&place, 1);
	counts = store_counts(store);
	OK(tap, counts.events == wanted, "files have no rows of theirs: %d", (int)counts.events);
	store_close(store);
	buf_close(&image);
	buf_close(&world.list);
	remove_place(&place);
}

static void test_refusals(struct tap *tap)
{
	struct world world = { .seed = 3 };
	struct place place = new_place("refuse");
	struct store *store = open_store(&place, 1);
	struct store_conf conf = { .dir = place.dir, .partitions = 1 };
	struct err err = { "" };
	char path[300];
	int fd, lines = 0;
	char byte;

	store_change_begin(store);
	for (uint64_t i = 0; i < 500; i++)
		add(store, world_row(&world, i));
	if (store_change_end(store, &err) < 0)
		abort();
	place.next[0] = 500;
	if (store_commit(store, place.next, 1, true, &err) < 0)
		abort();
	store_close(store);
	conf.partitions = 4;
	OK(tap, store_open(&store, &conf, place.next, &err) == -EINVAL &&
	   strstr(err.text, "--rebuild"), "another partition count: %s", err.text);
	conf.partitions = 0;
	conf.logic = "other";
	err.text[0] = '\0';
	OK(tap, store_open(&store, &conf, place.next, &err) == -EINVAL &&
	   strstr(err.text, "--rebuild"), "another logic: %s", err.text);
	conf.logic = NULL;
	snprintf(path, sizeof(path), "%s/column-1", place.dir);
	fd = open(path, O_RDWR);
	if (fd < 0 || pread(fd, &byte, 1, 5000) != 1)
		abort();
	byte ^= 16;
	if (pwrite(fd, &byte, 1, 5000) != 1)
		abort();
	err.text[0] = '\0';
	OK(tap, store_open(&store, &conf, place.next, &err) == -EBADMSG &&
	   strstr(err.text, "column-1") && strstr(err.text, "--rebuild"), "a flipped bit: %s",
	   err.text);
	err.text[0] = '\0';
	OK(tap, store_check(place.dir, check_silently, &lines, &err) == -EBADMSG &&
	   strstr(err.text, "column-1"), "check sees it, too");
	if (ftruncate(fd, 4000) < 0)
		abort();
	err.text[0] = '\0';
	OK(tap, store_open(&store, &conf, place.next, &err) == -EBADMSG, "cut: %s", err.text);
	close(fd);
	unlink(path);
	err.text[0] = '\0';
	OK(tap, store_open(&store, &conf, place.next, &err) == -EBADMSG, "missing: %s", err.text);
	snprintf(path, sizeof(path), "%s/manifest", place.dir);
	if (truncate(path, 30) < 0)
		abort();
	err.text[0] = '\0';
	OK(tap, store_open(&store, &conf, place.next, &err) == -EBADMSG, "manifest: %s", err.text);
	buf_close(&world.list);
	remove_place(&place);
}

/* Questions on one thread, batches on another: each snapshot has whole batches only. */
struct asking {
	struct store *store;
	atomic_bool stop;
	int wrong, count;
};

static void *ask(void *ctx)
{
	struct asking *asking = ctx;

	while (!atomic_load(&asking->stop)) {
		struct snapshot snapshot;
		struct err err = { "" };

		if (store_snapshot(asking->store, &snapshot, &err) < 0)
			break;
		asking->wrong += snapshot.rows % 50 != 0;
		asking->count++;
		snapshot_release(&snapshot);
	}
	return NULL;
}

static void test_turns(struct tap *tap)
{
	struct world world = { .seed = 4 };
	struct place place = new_place("turns");
	struct asking asking = { .store = open_store(&place, 30000) };
	struct err err = { "" };
	pthread_t thread;

	if (pthread_create(&thread, NULL, ask, &asking) != 0)
		abort();
	for (uint64_t i = 0; i < 10000;) {
		store_change_begin(asking.store);
		for (int n = 0; n < 50; n++)
			add(asking.store, world_row(&world, i++));
		if (store_change_end(asking.store, &err) < 0)
			abort();
		place.next[0] = (int64_t)i;
		if (store_commit(asking.store, place.next, 1, false, &err) < 0)
			abort();
	}
	atomic_store(&asking.stop, true);
	pthread_join(thread, NULL);
	OK(tap, asking.wrong == 0 && asking.count > 10, "%d snapshots, %d with half a batch",
	   asking.count, asking.wrong);
	store_close(asking.store);
	buf_close(&world.list);
	remove_place(&place);
}

static void test_limits(struct tap *tap)
{
	struct place place = new_place("limits");
	struct store_conf conf = { .dir = place.dir, .names_max = 4,
				   .retain_us = INT64_C(86400000000) };
	struct err err = { "" };
	struct store *store;
	struct store_counts counts;
	struct snapshot snapshot;
	int added = 0;

	if (store_open(&store, &conf, place.next, &err) < 0)
		abort();
	store_change_begin(store);
	for (int i = 0; i < 10; i++) {
		char name[16];
		struct store_prop props[] = {
			{ SLICE("$event"), { .kind = PROP_TEXT } },
			{ slice_from(name), { .kind = PROP_NUMBER, .number = i } },
		};
		struct store_row row = { .time_us = WORLD_BASE_US, .received_us = WORLD_BASE_US,
					 .message = { { (uint8_t)i } }, .count = 2,
					 .props = props };

		snprintf(name, sizeof(name), "e%d", i);
		props[0].value.text = props[1].name = slice_from(name);
		if (i == 9)
			row.time_us -= conf.retain_us + 1;
		added += store_add(store, &row, &err) == 1;
	}
	if (store_change_end(store, &err) < 0)
		abort();
	counts = store_counts(store);
	OK(tap, added == 9 && counts.events_left_out == 5 && counts.properties_left_out == 7,
	   "names over the limit, and an event that is too old: %d %d %d", added,
	   (int)counts.events_left_out, (int)counts.properties_left_out);
	if (store_snapshot(store, &snapshot, &err) < 0)
		abort();
	OK(tap, snapshot.files[0]->event->values == 5 &&
	   slice_is(column_value(snapshot.files[0]->event, 1).text, STORE_REST), "are one name");
	snapshot_release(&snapshot);
	store_close(store);
	remove_place(&place);
}

/* A message is kept once, however far its times are apart, in memory and on disk. */
static void test_far_repeat(struct tap *tap)
{
	struct world world = { .seed = 11 };
	struct place place = new_place("repeat");
	struct store *store = open_store(&place, 1);
	struct err err = { "" };
	struct store_row row;
	int rc[3];

	store_change_begin(store);
	for (uint64_t i = 0; i < 200; i++)
		add(store, world_row(&world, i));
	if (store_change_end(store, &err) < 0)
		abort();
	for (int at = 0; at < 3; at++) {
		/* in the head, in files, after a start */
		store_change_begin(store);
		row = *world_row(&world, 7);
		row.time_us += (at + 1) * INT64_C(400) * 86400 * 1000000;
		rc[at] = store_add(store, &row, &err);
		if (store_change_end(store, &err) < 0 ||
		    store_commit(store, place.next, 1, true, &err) < 0 ||
		    store_settle(store, &err) < 0)
			abort();
		if (at == 0)
			continue;
		store_close(store);
		store = open_store(&place, 1);
	}
	OK(tap, rc[0] == 0 && rc[1] == 0 && rc[2] == 0,
	   "a repeat with a time of other years is one: %d %d %d", rc[0], rc[1], rc[2]);
	buf_close(&world.list);
	store_close(store);
	remove_place(&place);
}

/* Rows and persons of a snapshot that is already there. */
static struct buf bytes_held(const struct snapshot *snapshot, uint32_t *rows)
{
	struct merge_input inputs[200];
	struct merge_conf conf = { inputs, 0, INT64_MIN, NULL };
	struct buf image = { 0 };

	for (size_t i = 0; i < snapshot->file_count; i++)
		inputs[conf.count++] = (struct merge_input){ snapshot->files[i],
							     snapshot->files[i]->gone,
							     snapshot->files[i]->gone_count };
	if (merge_files(&conf, &image, -1, rows) < 0)
		abort();
	for (uint32_t a = 1; a < persons_actor_count(snapshot->persons); a++) {
		struct slice id = persons_id(snapshot->persons, a, NULL);

		buf_printf(&image, "%.*s %u %d,", (int)id.len, id.ptr,
			   persons_leaders(snapshot->persons)[a],
			   persons_is_known(snapshot->persons, persons_leaders(
				   snapshot->persons)[a]));
	}
	buf_printf(&image, "%d", (int)persons_count(snapshot->persons));
	return image;
}

/* A batch after a long question began: new persons, ties, a delete. */
static void add_more(struct store *store, struct world *world, uint64_t from)
{
	struct person_when when = { .time_us = WORLD_BASE_US, .received_us = 1 };
	struct persons *persons;
	struct err err = { "" };
	uint32_t device;
	char id[32];

	store_change_begin(store);
	persons = store_persons(store);
	for (uint64_t i = from; i < from + 50; i++) {
		const struct store_row *row = world_row(world, i);

		add(store, row);
		snprintf(id, sizeof(id), "device-%d", (int)i);
		memcpy(when.message.bytes, &i, sizeof(i));
		if (persons_actor(persons, 'a', slice_from(id), row->time_us, &device) < 0 ||
		    persons_link(persons, device, row->actor, &when) < 0 ||
		    persons_profile(persons, device, PERSON_SET, SLICE("n"),
				    &(struct prop){ .kind = PROP_NUMBER, .number = (double)i },
				    &when) < 0)
			abort();
	}
	if (from % 500 == 0 && persons_delete(persons, 1 + (uint32_t)(from / 500),
					      INT64_MAX / 2, INT64_MAX) < 0)
		abort();
	if (store_change_end(store, &err) < 0)
		abort();
}

/* Adding goes on while questions hold snapshots, which stay as they were. */
static void test_long_question(struct tap *tap)
{
	struct world world = { .seed = 9 };
	struct place place = new_place("long");
	struct store *store = open_store(&place, 65536);
	struct snapshot old, middle, last;
	struct buf before, after, middle_before, middle_after;
	struct err err = { "" };
	uint32_t rows, same;
	uint64_t at = 0, forks;

	for (; at < 2000; at += 50)
		add_more(store, &world, at);
	if (store_snapshot(store, &old, &err) < 0)
		abort();
	before = bytes_held(&old, &rows);
	for (; at < 4000; at += 50) {
		add_more(store, &world, at);
		place.next[0] = (int64_t)at;
		if (store_commit(store, place.next, 1, false, &err) < 0)
			abort();
	}
	OK(tap, store_counts(store).events + store_counts(store).deleted == 4000 &&
	   store_counts(store).events > 2500 && store_counts(store).forks == 1,
	   "2000 events were added while a question held its snapshot, by one copy of persons");
	if (store_snapshot(store, &middle, &err) < 0)
		abort();
	middle_before = bytes_held(&middle, &rows);
	for (; at < 6000; at += 50)
		add_more(store, &world, at);
	if (store_settle(store, &err) < 0 || store_snapshot(store, &last, &err) < 0)
		abort();
	after = bytes_held(&old, &same);
	middle_after = bytes_held(&middle, &same);
	OK(tap, is_same(&before, &after) && is_same(&middle_before, &middle_after),
	   "both snapshots are as they were");
	OK(tap, persons_actor_count(last.persons) > persons_actor_count(middle.persons) &&
	   last.rows > old.rows, "a new one sees all");
	snapshot_release(&middle);
	snapshot_release(&last);
	snapshot_release(&old);
	forks = store_counts(store).forks;
	for (; at < 7000; at += 50)
		add_more(store, &world, at);
	OK(tap, forks >= 2 && store_counts(store).forks == forks,
	   "and without one nothing is copied");
	buf_close(&before);
	buf_close(&after);
	buf_close(&middle_before);
	buf_close(&middle_after);
	buf_close(&world.list);
	store_close(store);
	remove_place(&place);
}

int main(void)
{
	struct tap tap = { 0 };

	for (uint64_t seed = 1; seed <= 6; seed++)
		test_orders(&tap, seed);
	test_many(&tap);
	test_forget(&tap);
	test_long_question(&tap);
	test_far_repeat(&tap);
	test_refusals(&tap);
	test_turns(&tap);
	test_limits(&tap);
	return tap_end(&tap);
}
