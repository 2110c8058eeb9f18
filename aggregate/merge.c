// SPDX-License-Identifier: Apache-2.0
#include "aggregate/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "aggregate/column_out.h"

#define CHUNK 4096u

struct run {
	uint32_t row, count, input;
};

/* A place in a file, while runs are made. */
struct cursor {
	const struct column_file *file;
	const struct column *source;
	uint32_t source_at;             /* hint */
	uint32_t actor;                 /* index into actor[] */
	uint32_t gone;                  /* index into gone */
	uint32_t row, end;              /* rows of the actor in work */
};

/* One column of one input, while it is written. */
struct part {
	const struct column *column;    /* NULL: the file has none */
	uint32_t *remap;                /* owned: code -> new code; before that 1 = is used */
	uint32_t at;                    /* of a sparse one */
	uint32_t code;                  /* of the dictionary in work */
};

struct value_ref {
	uint32_t input, code;
};

struct merge {
	const struct merge_conf *conf;
	struct column_out out;
	struct cursor *cursors;         /* owned, all: */
	uint32_t *heap, *same;
	struct part *parts;
	uint32_t *columns;              /* how many columns of each input are done */
	struct run *runs;
	size_t run_count, run_cap;
	uint32_t *actor, *start;
	size_t actor_cap;
	struct value_ref *values;
	size_t value_cap;
	uint32_t *entry_rows;           /* of a sparse column */
	uint32_t actors, rows, heap_count;
	bool is_less;                   /* some rows were left out */
	int64_t time_min, time_max;
};

/* The order of rows */

static struct prop source_of(struct cursor *cursor, uint32_t row)
{
	struct prop none = { PROP_NONE, 0, { NULL, 0 } };

	if (!cursor->source)
		return none;
	return column_value(cursor->source,
			    column_code(cursor->source, row, &cursor->source_at));
}

static int compare_rows(struct cursor *a, uint32_t row_a, struct cursor *b, uint32_t row_b)
{
	int64_t x = a->file->time[row_a], y = b->file->time[row_b];
	struct prop left, right;
	int order;

	if (x != y)
		return x < y ? -1 : 1;
	order = memcmp(&a->file->message[row_a], &b->file->message[row_b],
		       sizeof(struct message_key));
	if (order)
		return order;
	left = source_of(a, row_a);
	right = source_of(b, row_b);
	return prop_compare(&left, &right);
}

static int add_run(struct merge *merge, uint32_t input, uint32_t row, uint32_t count)
{
	struct run *last = merge->run_count ? &merge->runs[merge->run_count - 1] : NULL;

	merge->rows += count;
	if (last && last->input == input && last->row + last->count == row) {
		last->count += count;
		return 0;
	}
	if (merge->run_count == merge->run_cap) {
		size_t cap = merge->run_cap ? merge->run_cap * 2 : 16384;
		struct run *runs = realloc(merge->runs, cap * sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		merge->runs = runs;
		merge->run_cap = cap;
	}
	merge->runs[merge->run_count++] = (struct run){ row, count, input };
	return 0;
}

/* Is row the one that was put last? */
static bool is_last(struct merge *merge, struct cursor *cursor, uint32_t rows_before)
{
	const struct run *last;

	if (merge->rows == rows_before)
		return false;
	last = &merge->runs[merge->run_count - 1];
	return compare_rows(&merge->cursors[last->input], last->row + last->count - 1, cursor,
			    cursor->row) == 0;
}

/* Rows of one actor in several files: from the first one as long as it is before the second. */
static int merge_actor(struct merge *merge, uint32_t count)
{
	uint32_t rows_before = merge->rows, *same = merge->same;
	int rc = 0;

	while (count && rc == 0) {
		uint32_t first = 0, second = UINT32_MAX, from;
		struct cursor *cursor;

		for (uint32_t i = 1; i < count; i++) {
			struct cursor *other = &merge->cursors[same[i]];

			if (compare_rows(other, other->row, &merge->cursors[same[first]],
					 merge->cursors[same[first]].row) < 0) {
				second = first;
				first = i;
			} else if (second == UINT32_MAX ||
				   compare_rows(other, other->row,
						&merge->cursors[same[second]],
						merge->cursors[same[second]].row) < 0) {
				second = i;
			}
		}
		cursor = &merge->cursors[same[first]];
		if (is_last(merge, cursor, rows_before)) {
			cursor->row++;
			merge->is_less = true;
		} else {
			from = cursor->row++;
			while (cursor->row < cursor->end &&
			       (second == UINT32_MAX ||
				compare_rows(cursor, cursor->row, &merge->cursors[same[second]],
					     merge->cursors[same[second]].row) < 0))
				cursor->row++;
			rc = add_run(merge, same[first], from, cursor->row - from);
		}
		if (cursor->row == cursor->end) {
			count--;
			memmove(&same[first], &same[first + 1], (count - first) * sizeof(*same));
		}
	}
	return rc;
}

/* The heap of inputs by their next actor, then by their order */

static bool is_before(const struct merge *merge, uint32_t a, uint32_t b)
{
	const struct cursor *x = &merge->cursors[a], *y = &merge->cursors[b];
	uint32_t actor = x->file->actor[x->actor], other = y->file->actor[y->actor];

	return actor != other ? actor < other : a < b;
}

static void sift_down(struct merge *merge)
{
	uint32_t at = 0, *heap = merge->heap;

	for (;;) {
		uint32_t child = 2 * at + 1, swap;

		if (child + 1 < merge->heap_count && is_before(merge, heap[child + 1], heap[child]))
			child++;
		if (child >= merge->heap_count || !is_before(merge, heap[child], heap[at]))
			return;
		swap = heap[at];
		heap[at] = heap[child];
		heap[child] = swap;
		at = child;
	}
}

static void push(struct merge *merge, uint32_t input)
{
	uint32_t at = merge->heap_count++, *heap = merge->heap;

	heap[at] = input;
	while (at && is_before(merge, heap[at], heap[(at - 1) / 2])) {
		heap[at] = heap[(at - 1) / 2];
		heap[(at - 1) / 2] = input;
		at = (at - 1) / 2;
	}
}

/* The rows of the next actor that count: sets row and end. */
static void enter_actor(struct merge *merge, uint32_t input)
{
	const struct merge_input *conf = &merge->conf->inputs[input];
	struct cursor *cursor = &merge->cursors[input];
	const struct column_file *file = cursor->file;
	uint32_t actor = file->actor[cursor->actor];
	int64_t keep_from_us = merge->conf->keep_from_us;

	cursor->row = file->start[cursor->actor];
	cursor->end = file->start[cursor->actor + 1];
	while (cursor->gone < conf->gone_count && conf->gone[cursor->gone].actor < actor)
		cursor->gone++;
	if (cursor->gone < conf->gone_count && conf->gone[cursor->gone].actor == actor &&
	    conf->gone[cursor->gone].until_us >= keep_from_us)
		keep_from_us = conf->gone[cursor->gone].until_us == INT64_MAX
				       ? INT64_MAX
				       : conf->gone[cursor->gone].until_us + 1;
	while (cursor->row < cursor->end && file->time[cursor->row] < keep_from_us) {
		cursor->row++;
		merge->is_less = true;
	}
}

static int begin_actor(struct merge *merge, uint32_t actor)
{
	if (merge->actors + 2 > merge->actor_cap) {
		size_t cap = merge->actor_cap ? merge->actor_cap * 2 : 16384;
		uint32_t *actors = realloc(merge->actor, cap * sizeof(*actors)), *starts;

		if (!actors)
			return -ENOMEM;
		merge->actor = actors;
		starts = realloc(merge->start, cap * sizeof(*starts));
		if (!starts)
			return -ENOMEM;
		merge->start = starts;
		merge->actor_cap = cap;
	}
	merge->actor[merge->actors] = actor;
	merge->start[merge->actors] = merge->rows;
	return 0;
}

static int make_runs(struct merge *merge)
{
	for (uint32_t i = 0; i < merge->conf->count; i++) {
		merge->cursors[i].file = merge->conf->inputs[i].file;
		merge->cursors[i].source = column_find(merge->cursors[i].file, SLICE("$source"));
		if (merge->cursors[i].file->actors)
			push(merge, i);
	}
	while (merge->heap_count) {
		const struct cursor *top = &merge->cursors[merge->heap[0]];
		uint32_t actor = top->file->actor[top->actor], count = 0;
		int rc = begin_actor(merge, actor);

		while (merge->heap_count && rc == 0) {
			uint32_t input = merge->heap[0];
			struct cursor *cursor = &merge->cursors[input];

			if (cursor->file->actor[cursor->actor] != actor)
				break;
			enter_actor(merge, input);
			if (cursor->row < cursor->end)
				merge->same[count++] = input;
			if (++cursor->actor == cursor->file->actors)
				merge->heap[0] = merge->heap[--merge->heap_count];
			sift_down(merge);
		}
		if (rc == 0 && count == 1)
			rc = add_run(merge, merge->same[0], merge->cursors[merge->same[0]].row,
				     merge->cursors[merge->same[0]].end -
				     merge->cursors[merge->same[0]].row);
		else if (rc == 0)
			rc = merge_actor(merge, count);
		if (rc < 0)
			return rc;
		merge->actors += count != 0;
	}
	return begin_actor(merge, 0);
}

/* Writing rows */

static int put_rows(struct merge *merge)
{
	struct column_out *out = &merge->out;
	const struct run *end = merge->runs + merge->run_count;
	uint32_t blocks;
	uint64_t *bloom = column_bloom_open(merge->rows, &blocks);

	if (!bloom)
		return -ENOMEM;
	column_out_begin(out, COLUMN_ACTOR);
	column_out_put(out, merge->actor, merge->actors * sizeof(uint32_t));
	column_out_end(out, COLUMN_ACTOR);
	column_out_begin(out, COLUMN_START);
	column_out_put(out, merge->start, (merge->actors + (size_t)1) * sizeof(uint32_t));
	column_out_end(out, COLUMN_START);
	column_out_begin(out, COLUMN_TIME);
	for (const struct run *run = merge->runs; run < end; run++) {
		const int64_t *time = merge->cursors[run->input].file->time + run->row;

		column_out_put(out, time, run->count * sizeof(*time));
		for (uint32_t i = 0; i < run->count; i++) {
			merge->time_min = time[i] < merge->time_min ? time[i] : merge->time_min;
			merge->time_max = time[i] > merge->time_max ? time[i] : merge->time_max;
		}
	}
	column_out_end(out, COLUMN_TIME);
	column_out_begin(out, COLUMN_MESSAGE);
	for (const struct run *run = merge->runs; run < end; run++) {
		const struct message_key *key =
			merge->cursors[run->input].file->message + run->row;

		column_out_put(out, key, run->count * sizeof(*key));
		column_bloom_add(bloom, blocks, key, run->count);
	}
	column_out_end(out, COLUMN_MESSAGE);
	column_out_begin(out, COLUMN_BLOOM);
	column_out_put(out, bloom, (size_t)blocks * COLUMN_BLOOM_BLOCK);
	column_out_end(out, COLUMN_BLOOM);
	free(bloom);
	return out->error;
}

/* Columns */

/* Codes of a run into codes[count]; runs of an input come with rising rows. */
static void load(struct part *part, uint32_t row, uint32_t count, uint32_t *codes)
{
	const struct column *column = part->column;

	if (!column) {
		memset(codes, 0, count * sizeof(*codes));
	} else if (column->is_sparse) {
		memset(codes, 0, count * sizeof(*codes));
		while (part->at < column->count && column->rows[part->at] < row)
			part->at++;
		for (; part->at < column->count && column->rows[part->at] < row + count;
		     part->at++)
			codes[column->rows[part->at] - row] =
				column_load(column->codes, column->width, part->at);
	} else if (column->width == 1) {
		for (uint32_t i = 0; i < count; i++)
			codes[i] = ((const uint8_t *)column->codes)[row + i];
	} else if (column->width == 2) {
		for (uint32_t i = 0; i < count; i++)
			codes[i] = ((const uint16_t *)column->codes)[row + i];
	} else {
		memcpy(codes, (const uint32_t *)column->codes + row, count * sizeof(*codes));
	}
}

static void rewind_parts(struct merge *merge)
{
	for (uint32_t i = 0; i < merge->conf->count; i++)
		merge->parts[i].at = 0;
}

/* How many rows have a value, and which values are used. */
static uint32_t mark_used(struct merge *merge)
{
	uint32_t codes[CHUNK], set = 0;

	for (uint32_t i = 0; i < merge->conf->count; i++) {
		struct part *part = &merge->parts[i];

		for (uint32_t code = 0; part->column && code <= part->column->values; code++)
			part->remap[code] = !merge->is_less && code;
		set += part->column ? part->column->set : 0;
	}
	if (!merge->is_less)
		return set;
	set = 0;
	rewind_parts(merge);
	for (size_t r = 0; r < merge->run_count; r++) {
		struct run run = merge->runs[r];
		struct part *part = &merge->parts[run.input];

		if (!part->column)
			continue;
		for (uint32_t n; run.count; run.row += n, run.count -= n) {
			n = run.count < CHUNK ? run.count : CHUNK;
			load(part, run.row, n, codes);
			for (uint32_t i = 0; i < n; i++) {
				set += codes[i] != 0;
				part->remap[codes[i]] = 1;
			}
		}
	}
	return set;
}

static int compare_values(const struct merge *merge, uint32_t a, uint32_t b)
{
	struct prop x = column_value(merge->parts[a].column, merge->parts[a].code);
	struct prop y = column_value(merge->parts[b].column, merge->parts[b].code);

	return prop_compare(&x, &y);
}

/* The next used value of an input; false: there is none. */
static bool next_value(struct part *part)
{
	do
		part->code++;
	while (part->code <= part->column->values && !part->remap[part->code]);
	return part->code <= part->column->values;
}

static void sift_value(struct merge *merge)
{
	uint32_t at = 0, *heap = merge->heap;

	for (;;) {
		uint32_t child = 2 * at + 1, swap;

		if (child + 1 < merge->heap_count &&
		    compare_values(merge, heap[child + 1], heap[child]) < 0)
			child++;
		if (child >= merge->heap_count || compare_values(merge, heap[child], heap[at]) >= 0)
			return;
		swap = heap[at];
		heap[at] = heap[child];
		heap[child] = swap;
		at = child;
	}
}

static int add_value(struct merge *merge, uint32_t count, uint32_t input)
{
	if (count == merge->value_cap) {
		size_t cap = merge->value_cap ? merge->value_cap * 2 : 4096;
		struct value_ref *values = realloc(merge->values, cap * sizeof(*values));

		if (!values)
			return -ENOMEM;
		merge->values = values;
		merge->value_cap = cap;
	}
	merge->values[count] = (struct value_ref){ input, merge->parts[input].code };
	return 0;
}

/* All used values into one dictionary, each part's table from old to new codes. */
static int merge_values(struct merge *merge, uint32_t *count)
{
	uint32_t *heap = merge->heap, last = 0;

	*count = 0;
	merge->heap_count = 0;
	for (uint32_t i = 0; i < merge->conf->count; i++) {
		uint32_t at = merge->heap_count;

		merge->parts[i].code = 0;
		if (!merge->parts[i].column || !next_value(&merge->parts[i]))
			continue;
		merge->heap_count++;
		for (heap[at] = i; at && compare_values(merge, i, heap[(at - 1) / 2]) < 0;
		     at = (at - 1) / 2) {
			heap[at] = heap[(at - 1) / 2];
			heap[(at - 1) / 2] = i;
		}
	}
	while (merge->heap_count) {
		struct part *part = &merge->parts[heap[0]];
		struct prop value = column_value(part->column, part->code), before;

		if (*count) {
			last = *count - 1;
			before = column_value(merge->parts[merge->values[last].input].column,
					      merge->values[last].code);
		}
		if (*count == 0 || prop_compare(&before, &value) != 0) {
			if (add_value(merge, *count, heap[0]) < 0)
				return -ENOMEM;
			++*count;
		}
		part->remap[part->code] = *count;
		if (!next_value(part))
			heap[0] = heap[--merge->heap_count];
		sift_value(merge);
	}
	return 0;
}

static struct prop value_at(void *ctx, uint32_t i)
{
	const struct merge *merge = ctx;
	const struct value_ref *ref = &merge->values[i];

	return column_value(merge->parts[ref->input].column, ref->code);
}

/* Codes gathered for column_out: narrow ones, CHUNK at a time. */
struct pen {
	uint32_t codes[CHUNK];
	uint32_t count;
	uint8_t width;
};

static void flush_pen(struct pen *pen, struct column_out *out)
{
	uint8_t *bytes = (uint8_t *)pen->codes;

	if (pen->width == 1)
		for (uint32_t i = 0; i < pen->count; i++)
			bytes[i] = (uint8_t)pen->codes[i];
	else if (pen->width == 2)
		for (uint32_t i = 0; i < pen->count; i++) {
			uint16_t code = (uint16_t)pen->codes[i];

			memcpy(bytes + (size_t)i * 2, &code, 2);
		}
	column_out_put(out, pen->codes, (size_t)pen->count * pen->width);
	pen->count = 0;
}

static void put_dense(struct merge *merge, struct pen *pen)
{
	for (size_t r = 0; r < merge->run_count; r++) {
		struct run run = merge->runs[r];
		struct part *part = &merge->parts[run.input];

		for (uint32_t n; run.count; run.row += n, run.count -= n) {
			uint32_t *codes = pen->codes + pen->count;

			n = CHUNK - pen->count < run.count ? CHUNK - pen->count : run.count;
			load(part, run.row, n, codes);
			for (uint32_t i = 0; i < n && part->column; i++)
				codes[i] = part->remap[codes[i]];
			pen->count += n;
			if (pen->count == CHUNK)
				flush_pen(pen, &merge->out);
		}
	}
	flush_pen(pen, &merge->out);
}

static void put_sparse(struct merge *merge, struct pen *pen, uint32_t set)
{
	uint32_t codes[CHUNK], row = 0, entries = 0;

	for (size_t r = 0; r < merge->run_count; r++) {
		struct run run = merge->runs[r];
		struct part *part = &merge->parts[run.input];

		if (!part->column) {
			row += run.count;
			continue;
		}
		for (uint32_t n; run.count; run.row += n, run.count -= n, row += n) {
			n = run.count < CHUNK ? run.count : CHUNK;
			load(part, run.row, n, codes);
			for (uint32_t i = 0; i < n; i++) {
				if (!codes[i])
					continue;
				merge->entry_rows[entries++] = row + i;
				pen->codes[pen->count++] = part->remap[codes[i]];
				if (pen->count == CHUNK)
					flush_pen(pen, &merge->out);
			}
		}
	}
	assert(entries == set);
	flush_pen(pen, &merge->out);
	column_out_rows(&merge->out);
	column_out_put(&merge->out, merge->entry_rows, entries * sizeof(*merge->entry_rows));
}

static int put_column(struct merge *merge, struct slice name)
{
	struct pen pen;
	uint32_t set, values;
	int rc = 0;

	for (uint32_t i = 0; i < merge->conf->count; i++) {
		struct part *part = &merge->parts[i];

		free(part->remap);
		part->remap = NULL;
		if (!part->column)
			continue;
		part->remap = malloc((part->column->values + (size_t)1) * sizeof(*part->remap));
		if (!part->remap)
			return -ENOMEM;
	}
	set = mark_used(merge);
	if (set == 0)
		return 0;
	rc = merge_values(merge, &values);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < merge->conf->count; i++)
		if (merge->parts[i].remap)
			merge->parts[i].remap[0] = 0;
	rewind_parts(merge);
	pen.count = 0;
	pen.width = column_out_width(values);
	if (column_out_is_sparse(name, merge->rows, set, values)) {
		free(merge->entry_rows);
		merge->entry_rows = malloc(set * sizeof(*merge->entry_rows));
		if (!merge->entry_rows)
			return -ENOMEM;
		column_out_column(&merge->out, name, set, set, pen.width);
		put_sparse(merge, &pen, set);
	} else {
		column_out_column(&merge->out, name, merge->rows, set, pen.width);
		put_dense(merge, &pen);
	}
	column_out_values(&merge->out, values, value_at, merge);
	return merge->out.error;
}

/* Picks the first name that is not done, and the columns that have it. */
static bool next_column(struct merge *merge, struct slice *name)
{
	struct prop first = { PROP_NONE, 0, { NULL, 0 } };

	for (uint32_t i = 0; i < merge->conf->count; i++) {
		const struct column_file *file = merge->cursors[i].file;
		struct prop other = { PROP_TEXT, 0, { NULL, 0 } };

		if (merge->columns[i] == file->column_count)
			continue;
		other.text = file->columns[merge->columns[i]].name;
		if (first.kind == PROP_NONE || prop_compare(&other, &first) < 0)
			first = other;
	}
	for (uint32_t i = 0; i < merge->conf->count; i++) {
		const struct column_file *file = merge->cursors[i].file;

		merge->parts[i].column = NULL;
		if (merge->columns[i] < file->column_count &&
		    slice_eq(file->columns[merge->columns[i]].name, first.text))
			merge->parts[i].column = &file->columns[merge->columns[i]++];
	}
	*name = first.text;
	return first.kind != PROP_NONE;
}

static int merge_all(struct merge *merge)
{
	const atomic_bool *stop = merge->conf->stop;
	struct slice name;
	int rc = make_runs(merge);

	if (rc == 0 && merge->rows)
		rc = put_rows(merge);
	while (rc == 0 && merge->rows && next_column(merge, &name))
		rc = stop && atomic_load(stop) ? -ECANCELED : put_column(merge, name);
	if (rc == 0 && merge->rows)
		rc = column_out_finish(&merge->out, merge->rows, merge->actors, merge->time_min,
				       merge->time_max);
	return rc;
}

int merge_files(const struct merge_conf *conf, struct buf *image, int fd, uint32_t *rows)
{
	struct merge merge = { .conf = conf, .time_min = INT64_MAX, .time_max = INT64_MIN };
	uint64_t sum = 0;
	int rc = -ENOMEM;

	for (size_t i = 0; i < conf->count; i++)
		sum += conf->inputs[i].file->rows;
	if (sum > COLUMN_ROWS_MAX || conf->count > MERGE_FILES_MAX)
		return -EFBIG;
	merge.cursors = calloc(conf->count + 1, sizeof(*merge.cursors));
	merge.heap = calloc(conf->count + 1, sizeof(*merge.heap));
	merge.same = calloc(conf->count + 1, sizeof(*merge.same));
	merge.parts = calloc(conf->count + 1, sizeof(*merge.parts));
	merge.columns = calloc(conf->count + 1, sizeof(*merge.columns));
	if (merge.cursors && merge.heap && merge.same && merge.parts && merge.columns)
		rc = column_out_open(&merge.out, image, fd);
	if (rc == 0) {
		rc = merge_all(&merge);
		column_out_close(&merge.out);
	}
	*rows = merge.rows;
	for (size_t i = 0; i < conf->count && merge.parts; i++)
		free(merge.parts[i].remap);
	free(merge.cursors);
	free(merge.heap);
	free(merge.same);
	free(merge.parts);
	free(merge.columns);
	free(merge.runs);
	free(merge.actor);
	free(merge.start);
	free(merge.values);
	free(merge.entry_rows);
	return rc;
}
