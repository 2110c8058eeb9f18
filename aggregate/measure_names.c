// SPDX-License-Identifier: Apache-2.0
/* names: what there is to choose from in menus, the commonest first. Counts are of events, of all
 * time; of persons where it is about profiles. The answer is the bare list. */
#include "aggregate/measure.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define LIMIT_MAX   10000
#define STOP_ACTORS 1024

enum { KIND_EVENTS, KIND_PROPERTIES, KIND_VALUES };

struct ask {
	struct measure_world *world;
	int kind, of;                   /* of: 0 events, 1 profiles */
	struct slice event, prop, prefix;
	int64_t limit;
	struct scan_prop *values;       /* owned */
};

struct name {
	struct slice text;
	uint64_t count;
	const char *type;
};

struct names {
	struct name *list;              /* owned */
	size_t count, room;
};

static bool starts(struct slice text, struct slice prefix)
{
	return text.len >= prefix.len &&
	       (prefix.len == 0 || strncasecmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

static int add(struct names *names, struct slice text, uint64_t count, const char *type)
{
	if (names->count == names->room) {
		size_t room = names->room ? 2 * names->room : 256;
		struct name *list = realloc(names->list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		names->list = list;
		names->room = room;
	}
	names->list[names->count++] = (struct name){ text, count, type };
	return 0;
}

/* Rows by code; event_code 0: whatever the event. Rows of forgotten actors do not count. */
static int count_codes(struct measure_world *world, const struct column_file *file,
		       const struct column *column, uint32_t event_code, uint64_t *counts)
{
	uint32_t at = 0;

	for (uint32_t a = 0; a < file->actors; a++) {
		uint32_t row = column_first(file, a), end = file->start[a + 1];
		int rc = a % STOP_ACTORS == 0 ? measure_must_stop(world) : 0;

		if (rc < 0)
			return rc;
		world->scanned += end - row;
		for (; row < end; row++) {
			if (event_code && column_load(file->event->codes, file->event->width,
						      row) != event_code)
				continue;
			counts[column_code(column, row, &at)]++;
		}
	}
	return 0;
}

/* The code of the event that is asked for; false: the file has none of it. */
static bool event_code_of(const struct ask *ask, const struct column_file *file, uint32_t *code)
{
	struct prop name = { .kind = PROP_TEXT, .text = ask->event };

	*code = 0;
	if (!file->event)
		return false;
	if (!ask->event.ptr)
		return true;
	*code = column_code_of(file->event, &name);
	return *code != 0;
}

/* Counts per number of a scan_prop. */
static int count_numbers(struct ask *ask, const struct scan_prop_conf *conf, uint64_t **countsp)
{
	const struct snapshot *snapshot = ask->world->snapshot;
	int rc = scan_prop_open(&ask->values, snapshot, conf);
	struct scan_look *look = NULL;
	uint64_t *counts = NULL, *codes = NULL;

	if (rc == 0)
		rc = scan_look_open(&look, ask->values);
	if (rc == 0 && !(counts = calloc(scan_prop_count(ask->values), sizeof(*counts))))
		rc = -ENOMEM;
	for (size_t f = 0; rc == 0 && f < snapshot->file_count; f++) {
		const struct column_file *file = snapshot->files[f];
		const struct column *column = column_find(file, conf->name);
		uint32_t event_code;

		if (!column || !event_code_of(ask, file, &event_code))
			continue;
		codes = calloc((size_t)column->values + 1, sizeof(*codes));
		if (!codes) {
			rc = -ENOMEM;
			break;
		}
		rc = count_codes(ask->world, file, column, event_code, codes);
		for (uint32_t code = 1; rc == 0 && code <= column->values; code++)
			counts[scan_look_code(look, f, code)] += codes[code];
		free(codes);
	}
	scan_look_close(look);
	*countsp = counts;
	return rc;
}

static const char *type_of(const struct prop *value)
{
	int64_t us;
	bool is_date;

	switch (value->kind) {
	case PROP_FALSE:
	case PROP_TRUE:
		return "boolean";
	case PROP_NUMBER:
		return "number";
	case PROP_LIST:
		return "list";
	default:
		return value->kind == PROP_TEXT &&
		       question_instant(value->text, NULL, &us, &is_date) == 0 ? "date" : "string";
	}
}

static int list_events(struct ask *ask, struct names *names)
{
	struct scan_prop_conf conf = { .name = SLICE("$event") };
	uint64_t *counts = NULL;
	int rc = count_numbers(ask, &conf, &counts);

	for (uint32_t i = 1; rc == 0 && i < scan_prop_count(ask->values); i++) {
		struct prop value = scan_prop_of(ask->values, i);

		if (counts[i] && value.kind == PROP_TEXT && starts(value.text, ask->prefix))
			rc = add(names, value.text, counts[i], "event");
	}
	free(counts);
	return rc;
}

static int count_profiles(struct ask *ask, uint64_t **countsp)
{
	struct scan_prop_conf conf = { .name = ask->prop, .of_profile = true };
	const struct persons *persons = ask->world->snapshot->persons;
	const uint32_t *leaders = persons_leaders(persons);
	struct scan_look *look = NULL;
	uint64_t *counts = NULL;
	int rc = scan_prop_open(&ask->values, ask->world->snapshot, &conf);

	if (rc == 0)
		rc = scan_look_open(&look, ask->values);
	if (rc == 0 && !(counts = calloc(scan_prop_count(ask->values), sizeof(*counts))))
		rc = -ENOMEM;
	for (uint32_t i = 1; rc == 0 && i < persons_actor_count(persons); i++) {
		if (leaders[i] == i)
			counts[scan_look(look, i, NULL)]++;
		if (i % STOP_ACTORS == 0)
			rc = measure_must_stop(ask->world);
	}
	scan_look_close(look);
	*countsp = counts;
	return rc;
}

/* A list counts as its elements. */
static int list_values(struct ask *ask, struct names *names, struct buf *texts)
{
	struct scan_prop_conf conf = { .name = ask->prop };
	uint64_t *counts = NULL;
	uint32_t count;
	int rc = ask->of ? count_profiles(ask, &counts) : count_numbers(ask, &conf, &counts);

	count = rc == 0 ? scan_prop_count(ask->values) : 0;
	for (uint32_t i = 1; i < count; i++) {
		const uint32_t *elements;
		size_t n;

		if (scan_prop_of(ask->values, i).kind != PROP_LIST)
			continue;
		elements = scan_prop_elements(ask->values, i, &n);
		for (size_t j = 0; j < n; j++)
			counts[elements[j]] += counts[i];
		counts[i] = 0;
	}
	for (uint32_t i = 1; rc == 0 && i < count; i++) {
		struct prop value = scan_prop_of(ask->values, i);
		struct slice text = value.text;

		if (!counts[i])
			continue;
		if (value.kind != PROP_TEXT) {
			/* Room was made for all at once: texts must not move. */
			size_t from = texts->len;

			prop_print(&value, texts);
			text = (struct slice){ texts->ptr + from, texts->len - from };
		}
		if (starts(text, ask->prefix))
			rc = add(names, text, counts[i], type_of(&value));
	}
	free(counts);
	return rc;
}

/* A property of the events, in all files. */
static int add_column(struct ask *ask, struct names *names, const struct column_file *file,
		      const struct column *column)
{
	uint64_t count = column->set, *codes;
	uint32_t event_code;
	struct prop value = column_value(column, column->values);
	int rc;

	if (ask->event.ptr || file->gone_count) {
		if (!event_code_of(ask, file, &event_code))
			return 0;
		codes = calloc((size_t)column->values + 1, sizeof(*codes));
		if (!codes)
			return -ENOMEM;
		rc = count_codes(ask->world, file, column, event_code, codes);
		count = 0;
		for (uint32_t code = 1; code <= column->values; code++)
			count += codes[code];
		free(codes);
		if (rc < 0)
			return rc;
	}
	if (!count || !starts(column->name, ask->prefix))
		return 0;
	for (size_t i = 0; i < names->count; i++) {
		if (!slice_eq(names->list[i].text, column->name))
			continue;
		names->list[i].count += count;
		return 0;
	}
	return add(names, column->name, count, type_of(&value));
}

static int take_trait(void *ctx, struct slice name, uint32_t count)
{
	struct names *names = ctx;

	return add(names, name, count, "string");
}

static int list_properties(struct ask *ask, struct names *names)
{
	const struct snapshot *snapshot = ask->world->snapshot;
	size_t kept = 0;
	int rc = 0;

	if (ask->of) {
		rc = persons_trait_names(snapshot->persons, take_trait, names);
		for (size_t i = 0; i < names->count; i++)
			if (starts(names->list[i].text, ask->prefix))
				names->list[kept++] = names->list[i];
		names->count = kept;
		return rc;
	}
	for (size_t f = 0; rc == 0 && f < snapshot->file_count; f++)
		for (uint32_t c = 0; rc == 0 && c < snapshot->files[f]->column_count; c++)
			rc = add_column(ask, names, snapshot->files[f],
					&snapshot->files[f]->columns[c]);
	return rc;
}

static int by_count(const void *left, const void *right)
{
	const struct name *a = left, *b = right;
	size_t len = a->text.len < b->text.len ? a->text.len : b->text.len;
	int order;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	order = len ? memcmp(a->text.ptr, b->text.ptr, len) : 0;
	return order ? order : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

static int parse(struct ask *ask, yyjson_val *question, struct question_error *error)
{
	static const char *const known[] = { "kind", "event", "prop", "of", "prefix", "limit",
					     NULL };
	static const char *const kinds[] = { "events", "properties", "values", NULL };
	static const char *const ofs[] = { "event", "profile", NULL };
	int rc = question_known(question, "", known, error);

	ask->limit = 50;
	if (rc == 0)
		rc = question_word(question, "kind", "", kinds, &ask->kind, error);
	if (rc == 0)
		rc = question_word(question, "of", "", ofs, &ask->of, error);
	if (rc == 0)
		rc = question_text(question, "event", "", 1000, &ask->event, error);
	if (rc == 0)
		rc = question_text(question, "prop", "", 1000, &ask->prop, error);
	if (rc == 0)
		rc = question_count(question, "limit", "", 1, LIMIT_MAX, &ask->limit, error);
	if (rc == 0 && json_get(question, "prefix") && json_text(question, "prefix").len)
		rc = question_text(question, "prefix", "", 1000, &ask->prefix, error);
	if (rc == 0 && (ask->kind == KIND_VALUES) != (ask->prop.ptr != NULL))
		rc = question_fail(error, "/prop", "bad_value", "kind \"values\" needs 'prop', the "
				   "others take none");
	return rc;
}

static void write_names(const struct names *names, int64_t limit, struct buf *out)
{
	buf_append_char(out, '[');
	for (size_t i = 0; i < names->count && i < (size_t)limit; i++) {
		buf_append_text(out, i ? ",{\"name\":" : "{\"name\":");
		json_write_text(names->list[i].text, out);
		buf_printf(out, ",\"count\":%llu,\"type\":\"%s\"}",
			   (unsigned long long)names->list[i].count, names->list[i].type);
	}
	buf_append_char(out, ']');
}

int measure_names(struct measure_world *world, yyjson_val *question, struct buf *out,
		  struct question_error *error)
{
	struct ask ask = { .world = world };
	struct names names = { 0 };
	struct buf texts = { 0 };
	int rc = parse(&ask, question, error);

	/* 4 million numbers of at most 25 bytes; what is not used is never touched. */
	if (rc == 0 && ask.kind == KIND_VALUES && !buf_reserve(&texts, 100 << 20))
		rc = -ENOMEM;
	if (rc == 0)
		rc = ask.kind == KIND_EVENTS	 ? list_events(&ask, &names)
		     : ask.kind == KIND_PROPERTIES ? list_properties(&ask, &names)
						   : list_values(&ask, &names, &texts);
	if (rc == 0) {
		if (names.count)
			qsort(names.list, names.count, sizeof(*names.list), by_count);
		write_names(&names, ask.limit, out);
	}
	free(names.list);
	buf_close(&texts);
	scan_prop_close(ask.values);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}
