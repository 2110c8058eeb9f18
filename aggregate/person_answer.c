// SPDX-License-Identifier: Apache-2.0
#include "aggregate/person_answer.h"

#include <errno.h>
#include <stdlib.h>

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

struct prop person_last_value(const struct snapshot *snapshot, uint32_t leader, struct slice name)
{
	const uint32_t *ring = persons_ring(snapshot->persons);
	struct prop value = { 0 };
	int64_t time_us = INT64_MIN;

	for (size_t f = 0; f < snapshot->file_count; f++) {
		const struct column_file *file = snapshot->files[f];
		const struct column *column = column_find(file, name);
		uint32_t actor = leader;

		if (!column)
			continue;
		do {
			uint32_t from = 0, row = 0, count;

			if (!column_run(file, actor, &from, &row, &count))
				count = 0;
			for (uint32_t r = row + count; count && r-- > row; count--) {
				uint32_t at = 0, code = column_code(column, r, &at);

				if (file->time[r] <= time_us)
					break;
				if (!code)
					continue;
				value = column_value(column, code);
				time_us = file->time[r];
			}
			actor = ring[actor];
		} while (actor != leader);
	}
	return value;
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
