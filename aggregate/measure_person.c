// SPDX-License-Identifier: Apache-2.0
/* One person: profile, ids, and what he did, newest first, in pages. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "aggregate/measure.h"
#include "aggregate/person_answer.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000

/* An event's place in the feed. */
struct place {
	int64_t time_us;
	struct message_key message;
	uint32_t file, row;
};

struct feed {
	const struct snapshot *snapshot;
	bool has_before;
	struct place before;
	struct place *best;             /* owned; a heap, the oldest on top */
	size_t count, limit;
	uint64_t events;
	bool has_more;
};

static int compare(const struct place *a, const struct place *b)
{
	if (a->time_us != b->time_us)
		return a->time_us < b->time_us ? -1 : 1;
	return memcmp(&a->message, &b->message, sizeof(a->message));
}

static int compare_newest(const void *a, const void *b)
{
	return -compare(a, b);
}

static void keep(struct feed *feed, const struct place *place)
{
	size_t i = 0;

	if (feed->count < feed->limit) {
		for (i = feed->count++; i && compare(place, &feed->best[(i - 1) / 2]) < 0;
		     i = (i - 1) / 2)
			feed->best[i] = feed->best[(i - 1) / 2];
		feed->best[i] = *place;
		return;
	}
	feed->has_more = true;
	if (compare(place, &feed->best[0]) < 0)
		return;
	for (size_t child; (child = 2 * i + 1) < feed->count; i = child) {
		if (child + 1 < feed->count &&
		    compare(&feed->best[child + 1], &feed->best[child]) < 0)
			child++;
		if (compare(place, &feed->best[child]) <= 0)
			break;
		feed->best[i] = feed->best[child];
	}
	feed->best[i] = *place;
}

static void walk(struct feed *feed, uint32_t leader)
{
	const uint32_t *ring = persons_ring(feed->snapshot->persons);
	uint32_t actor = leader;

	do {
		for (size_t f = 0; f < feed->snapshot->file_count; f++) {
			const struct column_file *file = feed->snapshot->files[f];
			uint32_t from = 0, row, count;

			if (!column_run(file, actor, &from, &row, &count))
				continue;
			feed->events += count;
			for (uint32_t r = row; r < row + count; r++) {
				struct place place = { file->time[r], file->message[r],
						       (uint32_t)f, r };

				if (!feed->has_before || compare(&place, &feed->before) < 0)
					keep(feed, &place);
			}
		}
		actor = ring[actor];
	} while (actor != leader);
}

/* {"event":..,"time":..,"properties":{..}}: $event and $type stand by themselves. */
static void write_event(const struct feed *feed, const struct place *place, struct buf *out)
{
	const struct column_file *file = feed->snapshot->files[place->file];
	uint32_t at = 0;
	struct prop value = column_value(file->event, column_code(file->event, place->row, &at));
	bool any = false;

	buf_append_text(out, "{\"event\":");
	prop_write_json(&value, out);
	buf_append_text(out, ",\"time\":");
	person_write_time(true, place->time_us, out);
	buf_append_text(out, ",\"properties\":{");
	for (uint32_t c = 0; c < file->column_count; c++) {
		const struct column *column = &file->columns[c];
		uint32_t hint = 0, code;

		if (column == file->event || slice_is(column->name, "$event"))
			continue;
		code = column_code(column, place->row, &hint);
		if (!code)
			continue;
		if (any)
			buf_append_char(out, ',');
		any = true;
		value = column_value(column, code);
		json_write_text(column->name, out);
		buf_append_char(out, ':');
		prop_write_json(&value, out);
	}
	buf_append_text(out, "}}");
}

/* "1795480220524000-0102..": time and message key. */
static int parse_before(struct feed *feed, struct slice token, struct question_error *error)
{
	char text[80];
	char *end;
	bool good = token.len > 33 && token.len < sizeof(text);

	if (good) {
		memcpy(text, token.ptr, token.len);
		text[token.len] = '\0';
		errno = 0;
		feed->before.time_us = strtoll(text, &end, 10);
		good = errno == 0 && *end == '.' && strlen(end + 1) == 32;
	}
	for (int i = 0; i < 16 && good; i++) {
		unsigned byte;

		good = sscanf(end + 1 + 2 * i, "%2x", &byte) == 1;
		feed->before.message.bytes[i] = (uint8_t)byte;
	}
	feed->has_before = good;
	return good ? 0 : question_fail(error, "/before", "bad_value",
					"this is no token of an answer's \"next\"");
}

static int write(struct feed *feed, uint32_t leader, struct buf *out)
{
	const struct persons *persons = feed->snapshot->persons;
	struct person_span span;
	int64_t first_us, last_us;
	int rc = person_span_open(&span, feed->snapshot);

	if (rc < 0)
		return rc;
	person_span_of(&span, feed->snapshot, leader, &first_us, &last_us);
	person_span_close(&span);
	qsort(feed->best, feed->count, sizeof(*feed->best), compare_newest);
	buf_append_text(out, "\"id\":");
	json_write_text(person_name(persons, leader), out);
	buf_append_text(out, ",\"ids\":");
	person_write_ids(persons, leader, out);
	buf_append_text(out, ",\"traits\":");
	rc = person_write_traits(persons, leader, out);
	buf_append_text(out, ",\"first_seen\":");
	person_write_time(first_us <= last_us, first_us, out);
	buf_append_text(out, ",\"last_seen\":");
	person_write_time(first_us <= last_us, last_us, out);
	buf_printf(out, ",\"event_count\":%llu,\"events\":[", (unsigned long long)feed->events);
	for (size_t i = 0; i < feed->count; i++) {
		if (i)
			buf_append_char(out, ',');
		write_event(feed, &feed->best[i], out);
	}
	buf_append_text(out, "],\"next\":");
	if (feed->has_more && feed->count) {
		const struct place *last = &feed->best[feed->count - 1];

		buf_printf(out, "\"%" PRId64 ".", last->time_us);
		for (int i = 0; i < 16; i++)
			buf_printf(out, "%02x", last->message.bytes[i]);
		buf_append_char(out, '"');
	} else {
		buf_append_text(out, "null");
	}
	return out->failed ? -ENOMEM : rc;
}

int measure_person(struct measure_world *world, yyjson_val *question, struct buf *out,
		   struct question_error *error)
{
	static const char *const known[] = { "id", "limit", "before", NULL };
	struct feed feed = { .snapshot = world->snapshot };
	const struct persons *persons = world->snapshot->persons;
	struct slice id = { NULL, 0 };
	int64_t limit = LIMIT_DEFAULT;
	uint32_t actor;
	int rc = question_known(question, "", known, error);

	if (rc == 0)
		rc = question_text(question, "id", "", PERSON_ID_MAX, &id, error);
	if (rc == 0 && id.len == 0)
		rc = question_fail(error, "/id", "missing", "the id of a person is needed");
	if (rc == 0)
		rc = question_count(question, "limit", "", 1, LIMIT_MAX, &limit, error);
	if (rc == 0 && json_get(question, "before"))
		rc = parse_before(&feed, json_text(question, "before"), error);
	if (rc < 0)
		return rc;
	actor = persons_find_any(persons, id);
	if (!actor || !persons_is_known(persons, persons_leaders(persons)[actor])) {
		rc = question_fail(error, "/id", "not_found", "nobody is known by this id");
		error->status = 404;
		return rc;
	}
	feed.limit = (size_t)limit;
	feed.best = calloc(feed.limit, sizeof(*feed.best));
	if (!feed.best)
		return question_fail_scan(error, -ENOMEM);
	walk(&feed, persons_leaders(persons)[actor]);
	world->scanned += feed.events;
	rc = write(&feed, persons_leaders(persons)[actor], out);
	free(feed.best);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}
