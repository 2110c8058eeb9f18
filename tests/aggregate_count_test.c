// SPDX-License-Identifier: Apache-2.0
/* Rolling counts: after random streams with late events, ties, merges, deletes and restarts, what
 * was said last of each cell is what a slow count over all rows says; nothing is said twice. */
#include "aggregate/count.h"

#include <stdlib.h>
#include <unistd.h>

#include "aggregate/emit.h"
#include "lib/dir.h"
#include "tests/tap.h"

enum { PEOPLE = 14, NAMES = 3, PLANS = 3, BUCKETS = 40, ROUNDS = 60, SEEDS = 12 };

#define BASE_US INT64_C(1793577600000000)       /* 2026-11-02 */

struct cells {
	int64_t total[NAMES][PLANS + 2][BUCKETS], unique[NAMES][PLANS + 2][BUCKETS];
};

struct world {
	char dir[200];
	struct store *store;
	struct count *count;
	uint64_t seed, message, repeats, told;
	int64_t next[BUS_PARTITIONS_MAX];
	struct cells said;              /* [0]: all together, [1]: not set, [2..]: plans */
};

static const char *const names[NAMES] = { "A", "B", "Identify" };
static const char *const plans[PLANS] = { "free", "pro", "" };
static const char *const by[] = { "plan" };

static uint32_t below(struct world *w, uint32_t n)
{
	w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(w->seed >> 33) % n;
}

static void must(int rc, const struct err *err)
{
	if (rc >= 0)
		return;
	printf("Bail out! %d %s\n", rc, err ? err->text : "");
	exit(1);
}

static int place_of(const struct count_cell *cell)
{
	if (!cell->by.ptr)
		return 0;
	if (slice_is(cell->value, "(not set)"))
		return 1;
	return slice_is(cell->value, "(empty string)") ? 4 : slice_is(cell->value, "free") ? 2 : 3;
}

static int hear(void *ctx, const struct count_cell *cell)
{
	struct world *w = ctx;
	int name = slice_is(cell->event, "A") ? 0 : slice_is(cell->event, "B") ? 1 : 2;
	int64_t bucket = (cell->bucket_us - BASE_US) / BUCKET_US, *total, *unique;

	if (bucket < 0 || bucket >= BUCKETS)
		abort();
	total = &w->said.total[name][place_of(cell)][bucket];
	unique = &w->said.unique[name][place_of(cell)][bucket];
	w->repeats += *total == cell->total && *unique == cell->unique;
	w->told++;
	*total = cell->total;
	*unique = cell->unique;
	return 0;
}

static void open_world(struct world *w)
{
	struct count_conf count = { .by = by, .by_count = 1, .cells_max = 100000, .threads = 1 };
	struct store_conf conf = { .dir = w->dir, .flush_bytes = 4096, .partitions = 1 };
	struct err err = { "" };

	must(count_open(&w->count, &count, &err), &err);
	conf.dirt = count_dirt(w->count);
	must(store_open(&w->store, &conf, w->next, &err), &err);
}

/* As after a restart: what was said is told again. */
static void begin_count(struct world *w)
{
	struct err err = { "" };

	for (int n = 0; n < NAMES; n++)
		for (int p = 0; p < PLANS + 2; p++)
			for (int b = 0; b < BUCKETS; b++) {
				struct count_cell cell = {
					.event = slice_from(names[n]),
					.bucket_us = BASE_US + b * BUCKET_US,
					.total = w->said.total[n][p][b],
					.unique = w->said.unique[n][p][b],
				};

				if (!cell.total)
					continue;
				if (p)
					cell.by = SLICE("plan");
				if (p)
					cell.value = p == 1 ? SLICE("(not set)")
						     : p == 4 ? SLICE("(empty string)")
							      : slice_from(plans[p - 2]);
				must(count_said(w->count, &cell), NULL);
			}
	must(count_begin(w->count, w->store, &err), &err);
}

/* One event of somebody: a device, or its user, who is its twin's, too. */
static void say(struct world *w)
{
	struct persons *persons = store_persons(w->store);
	uint32_t who = below(w, PEOPLE), name = below(w, NAMES), plan = below(w, PLANS + 1);
	uint32_t kind = below(w, 100), device, user = 0;
	struct person_when when = {
		.time_us = BASE_US + below(w, BUCKETS) * BUCKET_US + below(w, 900) * 1000000,
		.received_us = BASE_US + BUCKETS * BUCKET_US + (int64_t)w->message };
	struct store_prop props[2] = {
		{ SLICE("$event"), { .kind = PROP_TEXT, .text = slice_from(names[name]) } },
		{ SLICE("plan"), { .kind = PROP_TEXT, .text = slice_from(plans[plan % PLANS]) } },
	};
	struct store_row row = { .time_us = when.time_us, .received_us = when.received_us,
				 .props = props, .count = plan < PLANS ? 2 : 1 };
	struct err err = { "" };
	char id[32];

	w->message++;
	memcpy(when.message.bytes, &w->message, sizeof(w->message));
	row.message = when.message;
	snprintf(id, sizeof(id), "device-%u", who);
	must(persons_actor(persons, 'a', slice_from(id), when.time_us, &device), &err);
	if (below(w, 8) == 0) {
		snprintf(id, sizeof(id), "user-%u", who / 2);
		must(persons_actor(persons, 'u', slice_from(id), when.time_us, &user), &err);
	}
	row.actor = kind < 3 ? PERSON_NOBODY : user ? user : device;
	must(store_add(w->store, &row, &err), &err);
	if (row.actor)
		must(persons_link(persons, device, user, &when), &err);
	if (kind == 98 && user) {
		snprintf(id, sizeof(id), "user-%u", below(w, PEOPLE / 2));
		must(persons_alias(persons, slice_from(id), user, true, &when), &err);
	}
	if (kind == 99)
		must(persons_delete(persons, row.actor, when.time_us, INT64_MAX), &err);
}

/* All rows, one by one. */
static void count_slowly(struct world *w, struct cells *cells)
{
	static bool seen[2 * PEOPLE + 8][NAMES][PLANS + 2][BUCKETS];
	struct snapshot snapshot;
	struct err err = { "" };

	memset(cells, 0, sizeof(*cells));
	memset(seen, 0, sizeof(seen));
	must(store_snapshot(w->store, &snapshot, &err), &err);
	for (size_t f = 0; f < snapshot.file_count; f++) {
		const struct column_file *file = snapshot.files[f];
		const struct column *plan = column_find(file, SLICE("plan"));
		uint32_t at = 0, event_at = 0;

		for (uint32_t a = 0; a < file->actors; a++)
			for (uint32_t r = column_first(file, a); r < file->start[a + 1]; r++) {
				struct prop event = column_value(
					file->event, column_code(file->event, r, &event_at));
				struct prop value = { .kind = PROP_NONE };
				int64_t b = (file->time[r] - BASE_US) / BUCKET_US;
				uint32_t who = persons_leaders(snapshot.persons)[file->actor[a]];
				int n = slice_is(event.text, "A")   ? 0
					: slice_is(event.text, "B") ? 1
								    : 2, place;

				if (plan)
					value = column_value(plan, column_code(plan, r, &at));
				place = value.kind == PROP_NONE		  ? 1
					: value.text.len == 0		  ? 4
					: slice_is(value.text, "free") ? 2
									  : 3;
				for (int p = 0; p <= place; p += place) {
					cells->total[n][p][b]++;
					cells->unique[n][p][b] += who && !seen[who][n][p][b];
					seen[who][n][p][b] = true;
				}
			}
	}
	snapshot_release(&snapshot);
}

static void run(struct world *w, int *wrong)
{
	static struct cells want;
	struct err err = { "" };

	open_world(w);
	begin_count(w);
	for (int round = 0; round < ROUNDS; round++) {
		store_change_begin(w->store);
		for (uint32_t i = below(w, 40); i > 0; i--)
			say(w);
		must(store_change_end(w->store, &err), &err);
		w->next[0]++;
		must(store_commit(w->store, w->next, 1, below(w, 15) == 0, &err), &err);
		if (below(w, 3) == 0)
			continue;
		must(count_round(w->count, true, hear, w, &err), &err);
		count_slowly(w, &want);
		if (memcmp(&want, &w->said, sizeof(want)) != 0 && (*wrong)++ < 3)
			printf("# seed %d, round %d\n", (int)w->seed, round);
		if (below(w, 10))
			continue;
		must(store_commit(w->store, w->next, 1, true, &err), &err);
		store_close(w->store);
		count_close(w->count);
		open_world(w);
		begin_count(w);
	}
	store_close(w->store);
	count_close(w->count);
}

static void test_random(struct tap *tap)
{
	static struct world w;
	const char *temp = getenv("TMPDIR");
	uint64_t repeats = 0, told = 0;
	int wrong = 0;
	char command[300];

	for (int s = 0; s < SEEDS; s++) {
		w = (struct world){ .seed = 20261124 + (uint64_t)s };
		snprintf(w.dir, sizeof(w.dir), "%s/millrace-count-%d", temp ? temp : "/tmp",
			 (int)getpid());
		if (dir_make(w.dir) < 0)
			abort();
		run(&w, &wrong);
		repeats += w.repeats;
		told += w.told;
		snprintf(command, sizeof(command), "rm -rf '%s'", w.dir);
		if (system(command))
			abort();
	}
	OK(tap, wrong == 0, "%d streams (seeds from 20261124): as counted slowly", SEEDS);
	OK(tap, repeats == 0 && told > 1000, "%d cells told, none twice the same", (int)told);
}

static int count_one(void *ctx, const struct count_cell *cell)
{
	*(int64_t *)ctx += cell->total;
	return 0;
}

/* What is kept is bounded: the oldest buckets go, and stay as they were said. */
static void test_bound(struct tap *tap)
{
	static struct world w;
	struct count_conf conf = { .cells_max = 100, .threads = 1 };
	struct store_conf store = { .dir = w.dir, .partitions = 1 };
	struct prop name = { .kind = PROP_TEXT, .text = SLICE("A") };
	struct store_prop props[1] = { { SLICE("$event"), name } };
	struct store_row row = { .actor = 0, .props = props, .count = 1 };
	const char *temp = getenv("TMPDIR");
	struct err err = { "" };
	int64_t total = 0;
	char command[300];

	snprintf(w.dir, sizeof(w.dir), "%s/millrace-countb-%d", temp ? temp : "/tmp",
		 (int)getpid());
	if (dir_make(w.dir) < 0)
		abort();
	must(count_open(&w.count, &conf, &err), &err);
	store.dirt = count_dirt(w.count);
	must(store_open(&w.store, &store, w.next, &err), &err);
	must(count_begin(w.count, w.store, &err), &err);
	store_change_begin(w.store);
	for (int i = 0; i < 1000; i++) {
		row.time_us = BASE_US + i * BUCKET_US;
		memcpy(row.message.bytes, &i, sizeof(i));
		must(store_add(w.store, &row, &err), &err);
	}
	must(store_change_end(w.store, &err), &err);
	must(count_round(w.count, true, count_one, &total, &err), &err);
	OK(tap, total == 1000 && count_counts(w.count).cells <= 100, "%d cells are kept of 1000",
	   (int)count_counts(w.count).cells);
	store_change_begin(w.store);
	row.time_us = BASE_US;
	row.message.bytes[15] = 1;
	must(store_add(w.store, &row, &err), &err);
	row.time_us = BASE_US + 999 * BUCKET_US;
	row.message.bytes[15] = 2;
	must(store_add(w.store, &row, &err), &err);
	must(store_change_end(w.store, &err), &err);
	total = 0;
	must(count_round(w.count, true, count_one, &total, &err), &err);
	OK(tap, total == 2, "a late event of long ago is not told, one of now is");
	store_close(w.store);
	count_close(w.count);
	snprintf(command, sizeof(command), "rm -rf '%s'", w.dir);
	if (system(command))
		abort();
}

static void test_as_of(struct tap *tap)
{
	int64_t next[BUS_PARTITIONS_MAX] = { 0 };
	struct slice good = SLICE("0:12,3:7"), bad = SLICE("0:12,x");

	OK(tap, emit_parse_as_of(good, next) == 0 && next[0] == 12 && next[3] == 7 &&
	   emit_parse_as_of(bad, next) < 0, "as_of");
}

int main(void)
{
	struct tap tap = { 0 };

	test_random(&tap);
	test_bound(&tap);
	test_as_of(&tap);
	return tap_end(&tap);
}
