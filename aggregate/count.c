// SPDX-License-Identifier: Apache-2.0
#include "aggregate/count.h"

#include <errno.h>
#include <stdlib.h>

#include "aggregate/count_scan.h"
#include "aggregate/name_table.h"
#include "aggregate/scan.h"
#include "lib/when.h"

#define WINDOW      2976                /* buckets of one scan: 31 days */
#define GAP         96                  /* buckets that are not dirty in between: a day */
#define SCAN_CELLS  (UINT32_C(1) << 20)
#define ROUND_MS    50
#define REST        10                  /* times as long as a round took */
#define MOVED_MAX   4000000

struct cell {
	uint32_t label;
	uint32_t unique;
	uint64_t total;
};

/* What was said of a bucket: by label. */
struct said {
	uint32_t bucket, count;
	struct cell *cells;             /* owned */
};

struct count {
	struct count_conf conf;
	struct store *store;
	struct bucket_set dirt;
	struct name_table labels;       /* "event\0property\0value" */
	struct said *said;              /* owned; rising buckets */
	size_t said_count, said_room;
	uint32_t floor;                 /* buckets below it are not counted any more */
	uint32_t window;
	int64_t due_ms;
	uint32_t told_left_out;         /* bits of by */
	struct buf text;
	struct count_counts counts;
};

int count_open(struct count **countp, const struct count_conf *conf, struct err *err)
{
	struct count *count = calloc(1, sizeof(*count));

	*countp = NULL;
	if (count) {
		count->conf = *conf;
		count->window = WINDOW;
		count->dirt.bits = calloc(BUCKET_COUNT / 64, sizeof(uint64_t));
	}
	if (!count || !count->dirt.bits) {
		count_close(count);
		return err_set(err, -ENOMEM, "no memory");
	}
	*countp = count;
	return 0;
}

void count_close(struct count *count)
{
	if (!count)
		return;
	for (size_t i = 0; i < count->said_count; i++)
		free(count->said[i].cells);
	free(count->said);
	free(count->dirt.bits);
	name_table_close(&count->labels);
	buf_close(&count->text);
	free(count);
}

struct bucket_set *count_dirt(struct count *count)
{
	return count ? &count->dirt : NULL;
}

struct count_counts count_counts(const struct count *count)
{
	return count ? count->counts : (struct count_counts){ 0 };
}

/* What was said */

/* The first one at or after the bucket. */
static size_t find_said(const struct count *count, uint32_t bucket)
{
	size_t low = 0, high = count->said_count;

	if (high && count->said[high - 1].bucket < bucket)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (count->said[middle].bucket < bucket)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct said *get_said(struct count *count, uint32_t bucket)
{
	size_t at = find_said(count, bucket);

	if (at < count->said_count && count->said[at].bucket == bucket)
		return &count->said[at];
	if (count->said_count == count->said_room) {
		size_t room = count->said_room ? 2 * count->said_room : 256;
		struct said *said = reallocarray(count->said, room, sizeof(*said));

		if (!said)
			return NULL;
		count->said = said;
		count->said_room = room;
	}
	memmove(&count->said[at + 1], &count->said[at],
		(count->said_count - at) * sizeof(*count->said));
	count->said_count++;
	count->said[at] = (struct said){ .bucket = bucket };
	return &count->said[at];
}

/* The oldest buckets go, whole. */
static void let_go(struct count *count)
{
	size_t n = 0;

	while (count->counts.cells > count->conf.cells_max && n + 1 < count->said_count) {
		count->counts.cells -= count->said[n].count;
		count->floor = count->said[n].bucket + 1;
		free(count->said[n++].cells);
	}
	if (n == 0)
		return;
	memmove(count->said, count->said + n, (count->said_count - n) * sizeof(*count->said));
	count->said_count -= n;
	count->counts.since_us = (int64_t)count->floor * BUCKET_US;
}

static int find_label(struct count *count, struct slice event, struct slice by, struct slice value,
		      uint32_t *label)
{
	buf_reset(&count->text);
	buf_append_slice(&count->text, event);
	buf_append_char(&count->text, '\0');
	buf_append_slice(&count->text, by);
	buf_append_char(&count->text, '\0');
	buf_append_slice(&count->text, value);
	return count->text.failed ? -ENOMEM
				  : name_table_add(&count->labels, buf_slice(&count->text),
						   COUNT_LABELS_MAX, label);
}

static struct count_cell cell_of(const struct count *count, uint32_t bucket,
				 const struct cell *cell)
{
	struct slice text = name_table_text(&count->labels, cell->label), rest;
	struct count_cell out = { .bucket_us = (int64_t)bucket * BUCKET_US,
				  .total = (int64_t)cell->total, .unique = cell->unique };

	/* An event's name may hold any byte but the NUL, which JSON's texts lose before. */
	out.event = (struct slice){ text.ptr, strnlen(text.ptr, text.len) };
	rest = slice_skip(text, out.event.len + 1);
	out.by = (struct slice){ rest.ptr, strnlen(rest.ptr, rest.len) };
	out.value = slice_skip(rest, out.by.len + 1);
	if (out.by.len == 0)
		out.by = out.value = (struct slice){ NULL, 0 };
	return out;
}

static bool is_counted_by(const struct count *count, struct slice by)
{
	for (size_t i = 0; i < count->conf.by_count; i++)
		if (slice_is(by, count->conf.by[i]))
			return true;
	return by.len == 0;
}

int count_said(struct count *count, const struct count_cell *cell)
{
	uint32_t bucket = bucket_of(cell->bucket_us), label, at = 0;
	struct said *said;
	struct cell *cells;
	int rc;

	if (bucket < count->floor || !is_counted_by(count, cell->by))
		return 0;
	rc = find_label(count, cell->event, cell->by, cell->value, &label);
	if (rc < 0)
		return rc == -ENOSPC ? 0 : rc;
	said = get_said(count, bucket);
	if (!said)
		return -ENOMEM;
	while (at < said->count && said->cells[at].label < label)
		at++;
	if (at == said->count || said->cells[at].label != label) {
		/* doubled where the count is a power of two */
		if ((said->count & (said->count - 1)) == 0) {
			cells = reallocarray(said->cells, said->count ? 2 * said->count : 1,
					     sizeof(*cells));
			if (!cells)
				return -ENOMEM;
			said->cells = cells;
		}
		memmove(&said->cells[at + 1], &said->cells[at],
			(said->count - at) * sizeof(*said->cells));
		said->count++;
		count->counts.cells++;
	}
	said->cells[at] = (struct cell){ label, (uint32_t)cell->unique, (uint64_t)cell->total };
	let_go(count);
	return 0;
}

/* Which buckets */

static void mark_rows(struct count *count, const struct column_file *file, uint32_t row,
		      uint32_t end)
{
	for (uint32_t last = UINT32_MAX; row < end; row++) {
		uint32_t bucket = bucket_of(file->time[row]);

		if (bucket != last)
			bucket_set_add(&count->dirt, bucket);
		last = bucket;
	}
}

int count_begin(struct count *count, struct store *store, struct err *err)
{
	uint32_t oldest = BUCKET_COUNT;
	struct snapshot snapshot;
	int rc = store_snapshot(store, &snapshot, err);

	if (rc < 0)
		return rc;
	count->store = store;
	persons_want_moved(store_persons(store));
	for (size_t f = 0; f < snapshot.file_count; f++) {
		mark_rows(count, snapshot.files[f], 0, snapshot.files[f]->rows);
		if (snapshot.files[f]->rows && bucket_of(snapshot.files[f]->time_min) < oldest)
			oldest = bucket_of(snapshot.files[f]->time_min);
	}
	/* What was said of and the store does not have is taken back, but for what is older than
	 * all that it has: that went with the topic's or the store's retention. */
	for (size_t i = find_said(count, oldest); i < count->said_count; i++)
		bucket_set_add(&count->dirt, count->said[i].bucket);
	snapshot_release(&snapshot);
	return 0;
}

/* The rows of actors that lead or are led otherwise now. */
static void mark_moved(struct count *count, const struct snapshot *snapshot)
{
	struct persons *persons = store_persons(count->store);
	size_t moved_count;
	const uint32_t *moved = persons_moved(persons, &moved_count);
	uint32_t row, rows;

	for (size_t f = 0; f < snapshot->file_count && moved_count; f++) {
		const struct column_file *file = snapshot->files[f];

		if (moved_count > MOVED_MAX) {
			mark_rows(count, file, 0, file->rows);
			continue;
		}
		for (size_t i = 0; i < moved_count; i++) {
			uint32_t from = 0;

			if (column_run(file, moved[i], &from, &row, &rows))
				mark_rows(count, file, row, row + rows);
		}
	}
	persons_moved_taken(persons);
}

/* The oldest dirty buckets that lie together: low <= bucket < high. false: none. */
static bool next_window(struct count *count, uint32_t *low, uint32_t *high)
{
	struct bucket_set *dirt = &count->dirt;
	uint32_t keep = count->floor, last;

	if (count->conf.retain_us > 0 &&
	    bucket_of(when_now_us() - count->conf.retain_us) + 1 > keep)
		keep = bucket_of(when_now_us() - count->conf.retain_us) + 1;
	for (; dirt->count && dirt->low < dirt->high; dirt->low++) {
		if (!bucket_set_has(dirt, dirt->low))
			continue;
		if (dirt->low >= keep)
			break;
		bucket_set_remove(dirt, dirt->low);
	}
	if (dirt->count == 0)
		return false;
	*low = last = dirt->low;
	for (uint32_t b = last + 1; b < dirt->high && b - *low < count->window && b - last <= GAP;
	     b++)
		if (bucket_set_has(dirt, b))
			last = b;
	*high = last + 1;
	return true;
}

/* Cells of a scan */

struct found {
	uint32_t bucket;
	struct cell cell;
};

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	return x->cell.label < y->cell.label ? -1 : x->cell.label > y->cell.label;
}

static struct slice text_of(const struct prop *value, struct buf *scratch)
{
	if (value->kind == PROP_NONE)
		return SLICE("(not set)");
	if (value->kind == PROP_TEXT)
		return value->text.len ? value->text : SLICE("(empty string)");
	buf_reset(scratch);
	prop_print(value, scratch);
	return buf_slice(scratch);
}

/* The cells of the tally, sorted. */
static int list_found(struct count *count, const struct count_scan *scan, struct found **foundp,
		      size_t *found_count)
{
	const struct keymap *map = &scan->tally.map;
	struct found *found = calloc(map->count + (size_t)1, sizeof(*found));
	struct buf scratch = { 0 };
	size_t n = 0;
	int rc = found ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < map->count && rc == 0; i++) {
		struct count_key key = count_key_of(map->keys[i]);
		const struct count_sum *sum = &scan->tally.sums[i];
		struct slice by = { "", 0 }, value = { "", 0 };
		uint32_t label;

		if (key.prop) {
			struct prop prop = scan_prop_of(scan->props[key.prop - 1], key.value);

			by = slice_from(scan->by[key.prop - 1]);
			value = text_of(&prop, &scratch);
		}
		rc = value.len > COUNT_TEXT_MAX
			     ? -ENOSPC
			     : find_label(count, scan_prop_of(scan->event, key.event).text, by,
					  value, &label);
		if (rc == 0)
			found[n++] = (struct found){ scan->low + key.bucket,
						     { label, sum->unique, sum->total } };
		count->counts.left_out += rc == -ENOSPC;
		rc = rc == -ENOSPC ? 0 : rc;
	}
	buf_close(&scratch);
	if (n)
		qsort(found, n, sizeof(*found), compare_found);
	*foundp = found;
	*found_count = n;
	return rc;
}

/* Says what differs in one bucket, and remembers. */
static int say_bucket(struct count *count, uint32_t bucket, const struct found *found, size_t n,
		      count_emit_fn *emit, void *ctx)
{
	struct said *said = get_said(count, bucket);
	struct cell *cells = malloc((n + 1) * sizeof(*cells));
	size_t old = 0;
	int rc = said && cells ? 0 : -ENOMEM;

	for (size_t i = 0; (i < n || (rc == 0 && old < said->count)) && rc == 0;) {
		bool has_old = old < said->count;
		bool is_gone = has_old && (i == n || said->cells[old].label < found[i].cell.label);
		bool is_known = has_old && !is_gone &&
				said->cells[old].label == found[i].cell.label;
		struct cell cell = is_gone ? (struct cell){ said->cells[old].label, 0, 0 }
					   : found[i].cell;
		struct count_cell out;

		if (is_known)
			is_known = said->cells[old].total == cell.total &&
				   said->cells[old].unique == cell.unique;
		else if (is_gone)
			is_known = said->cells[old].total == 0;
		old += is_gone || (has_old && i < n && said->cells[old].label == cell.label);
		if (!is_gone)
			cells[i++] = cell;
		if (is_known)
			continue;
		out = cell_of(count, bucket, &cell);
		rc = emit(ctx, &out);
	}
	if (rc < 0) {
		free(cells);
		return rc;
	}
	count->counts.cells += n;
	count->counts.cells -= said->count;
	free(said->cells);
	said->cells = cells;
	said->count = (uint32_t)n;
	return 0;
}

static int say_window(struct count *count, const struct count_scan *scan, count_emit_fn *emit,
		      void *ctx)
{
	struct found *found;
	size_t n, at = 0;
	int rc = list_found(count, scan, &found, &n);

	for (uint32_t b = scan->low; b < scan->high && rc == 0; b++) {
		size_t end;

		if (!bucket_set_has(&count->dirt, b))
			continue;
		for (end = at; end < n && found[end].bucket == b;)
			end++;
		rc = say_bucket(count, b, found + at, end - at, emit, ctx);
		at = end;
		if (rc == 0)
			bucket_set_remove(&count->dirt, b);
	}
	free(found);
	return rc;
}

static void complain(struct count *count, const struct count_scan *scan)
{
	for (size_t i = 0; i < scan->by_count; i++) {
		if (!scan->is_left_out[i] || count->told_left_out >> i & 1)
			continue;
		count->told_left_out |= UINT32_C(1) << i;
		log_words(count->conf.log, LOG_LEVEL_WARN, "count", "--count-by %s: it has over %d "
			  "different values, so nothing is counted by it", scan->by[i],
			  COUNT_VALUES_MAX);
	}
}

static int do_window(struct count *count, const struct snapshot *snapshot, uint32_t low,
		     uint32_t high, count_emit_fn *emit, void *ctx)
{
	struct count_scan scan = {
		.snapshot = snapshot, .wanted = &count->dirt, .low = low, .high = high,
		.by = count->conf.by, .by_count = count->conf.by_count,
		.cells_max = SCAN_CELLS, .threads = count->conf.threads,
	};
	int rc = count_scan_run(&scan);

	if (rc == 0) {
		complain(count, &scan);
		rc = say_window(count, &scan, emit, ctx);
	} else if (rc == -ENOSPC && count->window > 1) {
		/* Too many cells for one scan: fewer buckets at a time from now on. */
		count->window /= 2;
		rc = 0;
	} else if (rc == -ENOSPC) {
		log_words(count->conf.log, LOG_LEVEL_WARN, "count", "a quarter of an hour has over "
			  "%u cells: it is not counted", SCAN_CELLS);
		bucket_set_remove(&count->dirt, low);
		rc = 0;
	}
	count_scan_close(&scan);
	return rc;
}

bool count_is_due(const struct count *count, int64_t now_ms)
{
	size_t moved;

	persons_moved(store_persons(count->store), &moved);
	return (count->dirt.count || moved) && now_ms >= count->due_ms;
}

int count_round(struct count *count, bool all, count_emit_fn *emit, void *ctx, struct err *err)
{
	int64_t begun_ms = when_monotonic_ms();
	struct snapshot snapshot;
	uint32_t low, high;
	int rc = store_snapshot(count->store, &snapshot, err);

	if (rc < 0)
		return rc;
	mark_moved(count, &snapshot);
	while (rc == 0 && next_window(count, &low, &high)) {
		rc = do_window(count, &snapshot, low, high, emit, ctx);
		let_go(count);
		if (!all && when_monotonic_ms() - begun_ms >= ROUND_MS)
			break;
	}
	snapshot_release(&snapshot);
	count->counts.rounds++;
	count->due_ms = when_monotonic_ms() + REST * (when_monotonic_ms() - begun_ms);
	return rc < 0 && !err->text[0] ? err_set(err, rc, "counted: %s", strerror(-rc)) : rc;
}
