// SPDX-License-Identifier: Apache-2.0
#include "aggregate/person_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/when.h"

#define IDS_SHOWN 1000

int person_span_open(struct person_span *span, const struct snapshot *snapshot)
{
	span->files = snapshot->file_count;
	span->from = calloc(span->files + 1, sizeof(*span->from));
	return span->from ? 0 : -ENOMEM;
}

void person_span_close(struct person_span *span)
{
	free(span->from);
	span->from = NULL;
}

void person_span_of(struct person_span *span, const struct snapshot *snapshot, uint32_t leader,
		    int64_t *first_us, int64_t *last_us)
{
	const uint32_t *ring = persons_ring(snapshot->persons);
	uint32_t actor = leader, row, count;

	*first_us = INT64_MAX;
	*last_us = INT64_MIN;
	do {
		for (size_t f = 0; f < span->files; f++) {
			const struct column_file *file = snapshot->files[f];
			uint32_t far = 0;

			/* Only the leader rises; his other actors are looked for anew. */
			if (!column_run(file, actor, actor == leader ? &span->from[f] : &far, &row,
					&count))
				continue;
			if (file->time[row] < *first_us)
				*first_us = file->time[row];
			if (file->time[row + count - 1] > *last_us)
				*last_us = file->time[row + count - 1];
		}
		actor = ring[actor];
	} while (actor != leader);
}

bool person_is_latest(struct slice name)
{
	static const char *const names[] = { "$country", "$region", "$city", "$browser", "$os",
					     "$device" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_is(name, names[i]))
			return true;
	return false;
}

/* The latest row that has a value, by (time, message): no matter which file it is in. */
struct latest {
	const struct column_file *file;
	uint32_t row;
	struct prop value;
};

static bool is_later(const struct column_file *file, uint32_t row, const struct latest *than)
{
	int64_t time_us = than->file ? than->file->time[than->row] : INT64_MIN;

	if (!than->file || file->time[row] != time_us)
		return !than->file || file->time[row] > time_us;
	return memcmp(&file->message[row], &than->file->message[than->row],
		      sizeof(*file->message)) > 0;
}

static void look_back(const struct column_file *file, const struct column *column, uint32_t actor,
		      uint32_t *from, struct latest *latest)
{
	uint32_t row, count;

	if (!column_run(file, actor, from, &row, &count))
		return;
	for (uint32_t r = row + count; r-- > row && is_later(file, r, latest);) {
		uint32_t at = 0, code = column_code(column, r, &at);

		if (!code)
			continue;
		*latest = (struct latest){ file, r, column_value(column, code) };
		return;
	}
}

struct prop person_last_value(const struct snapshot *snapshot, uint32_t leader, struct slice name)
{
	const uint32_t *ring = persons_ring(snapshot->persons);
	struct latest latest = { .file = NULL };

	for (size_t f = 0; f < snapshot->file_count; f++) {
		const struct column *column = column_find(snapshot->files[f], name);
		uint32_t actor = leader;

		do {
			uint32_t from = 0;

			if (column)
				look_back(snapshot->files[f], column, actor, &from, &latest);
			actor = ring[actor];
		} while (actor != leader);
	}
	return latest.value;
}

int person_latest_open(struct person_latest *latest, const struct snapshot *snapshot,
		       struct slice name)
{
	*latest = (struct person_latest){ .snapshot = snapshot, .name = name };
	latest->columns = calloc(snapshot->file_count + 1, sizeof(*latest->columns));
	latest->from = calloc(snapshot->file_count + 1, sizeof(*latest->from));
	if (!latest->columns || !latest->from) {
		person_latest_close(latest);
		return -ENOMEM;
	}
	for (size_t f = 0; f < snapshot->file_count; f++)
		latest->columns[f] = column_find(snapshot->files[f], name);
	return 0;
}

void person_latest_close(struct person_latest *latest)
{
	free(latest->columns);
	free(latest->from);
	*latest = (struct person_latest){ .from = NULL };
}

struct prop person_latest_value(struct person_latest *latest, uint32_t leader,
				struct buf *scratch)
{
	const struct snapshot *snapshot = latest->snapshot;
	const uint32_t *ring = persons_ring(snapshot->persons);
	struct latest found = { .file = NULL };
	uint32_t actor = leader;

	buf_reset(scratch);
	found.value = persons_trait(snapshot->persons, leader, latest->name, scratch);
	if (found.value.kind != PROP_NONE)
		return found.value;
	if (leader < latest->last)
		memset(latest->from, 0, snapshot->file_count * sizeof(*latest->from));
	latest->last = leader;
	do {
		for (size_t f = 0; f < snapshot->file_count; f++) {
			uint32_t far = 0;

			/* Only the leader rises; his other actors are looked for anew. */
			if (latest->columns[f])
				look_back(snapshot->files[f], latest->columns[f], actor,
					  actor == leader ? &latest->from[f] : &far, &found);
		}
		actor = ring[actor];
	} while (actor != leader);
	return found.value;
}

struct slice person_name(const struct persons *persons, uint32_t leader)
{
	return persons_id(persons, persons_canonical(persons, leader), NULL);
}

static int compare_ids(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order = memcmp(x->ptr, y->ptr, len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

void person_write_ids(const struct persons *persons, uint32_t leader, struct buf *out)
{
	const uint32_t *ring = persons_ring(persons);
	struct slice ids[IDS_SHOWN];
	uint32_t actor = leader;
	size_t count = 0;

	do {
		ids[count++] = persons_id(persons, actor, NULL);
		actor = ring[actor];
	} while (actor != leader && count < IDS_SHOWN);
	qsort(ids, count, sizeof(ids[0]), compare_ids);
	buf_append_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i && slice_eq(ids[i], ids[i - 1]))
			continue;
		if (i)
			buf_append_char(out, ',');
		json_write_text(ids[i], out);
	}
	buf_append_char(out, ']');
}

static int write_trait(void *ctx, struct slice name, const struct prop *value)
{
	struct buf *out = ctx;

	if (out->len && out->ptr[out->len - 1] != '{')
		buf_append_char(out, ',');
	json_write_text(name, out);
	buf_append_char(out, ':');
	prop_write_json(value, out);
	return out->failed ? -ENOMEM : 0;
}

int person_write_traits(const struct persons *persons, uint32_t leader, struct buf *out)
{
	struct buf scratch = { 0 };
	int rc;

	buf_append_char(out, '{');
	rc = persons_traits(persons, leader, &scratch, write_trait, out);
	buf_append_char(out, '}');
	buf_close(&scratch);
	return out->failed ? -ENOMEM : rc;
}

void person_write_time(bool is_set, int64_t us, struct buf *out)
{
	char text[WHEN_TEXT_MAX];

	if (!is_set) {
		buf_append_text(out, "null");
		return;
	}
	when_print(us, 3, text);
	buf_printf(out, "\"%s\"", text);
}
