// SPDX-License-Identifier: Apache-2.0
#include "aggregate/scan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/arena.h"

#define VALUES_MAX (4u << 20)

struct scan_prop {
	const struct snapshot *snapshot;
	const struct column **columns;  /* [file_count]; NULL: the file does not have it; owned */
	uint32_t **numbers;             /* [file_count][values + 1], owned */
	uint32_t *by_leader;            /* of profiles: [actors], owned; NULL: of events */
	uint32_t actors;
	struct prop *values;            /* [count], owned; 0 is PROP_NONE */
	uint32_t count, room, values_max;
	uint32_t *slots;                /* hash -> number, 0 free; [slot_count], owned */
	uint32_t slot_count;            /* a power of two */
	uint32_t **elements;            /* [count], of lists: count, numbers..; NULL: itself */
	uint32_t *itself;               /* [count]: i at i, for values that are no list */
	struct arena arena;             /* texts that were made, elements */
	bool is_known, has_lists, is_event;
	enum scan_cast cast;
};

struct scan_look {
	const struct scan_prop *prop;
	uint32_t *at;                   /* [file_count], owned */
};

static uint64_t hash_of(const struct prop *value)
{
	if (value->kind == PROP_NUMBER)
		return XXH3_64bits(&value->number, sizeof(value->number));
	return XXH3_64bits_withSeed(value->text.ptr, value->text.len, value->kind);
}

static int grow(struct scan_prop *prop)
{
	uint32_t room = prop->room ? 2 * prop->room : 256, slots = 2 * room;
	struct prop *values = realloc(prop->values, room * sizeof(*values));
	uint32_t *table;

	if (!values)
		return -ENOMEM;
	prop->values = values;
	table = calloc(slots, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(prop->slots);
	prop->slots = table;
	prop->slot_count = slots;
	prop->room = room;
	for (uint32_t i = 1; i < prop->count; i++) {
		uint64_t at = hash_of(&values[i]) & (slots - 1);

		while (table[at])
			at = (at + 1) & (slots - 1);
		table[at] = i;
	}
	return 0;
}

/* The number of a value. Its text must outlive prop, or is copied where `copies`. */
static int number_of(struct scan_prop *prop, const struct prop *value, bool copies,
		     uint32_t *number)
{
	uint64_t at;
	int rc;

	*number = 0;
	if (value->kind == PROP_NONE)
		return 0;
	if (prop->count == prop->room && (rc = grow(prop)) < 0)
		return rc;
	at = hash_of(value) & (prop->slot_count - 1);
	for (uint32_t i; (i = prop->slots[at]) != 0; at = (at + 1) & (prop->slot_count - 1)) {
		if (prop->values[i].kind == value->kind &&
		    prop_compare(&prop->values[i], value) == 0) {
			*number = i;
			return 0;
		}
	}
	if (prop->count >= prop->values_max)
		return -ENOSPC;
	prop->values[prop->count] = *value;
	if (copies && value->text.len) {
		prop->values[prop->count].text = arena_copy(&prop->arena, value->text);
		if (!prop->values[prop->count].text.ptr)
			return -ENOMEM;
	}
	prop->slots[at] = *number = prop->count++;
	return 0;
}

static bool parse_number(struct slice text, double *number)
{
	char copy[64], *end;

	if (text.len == 0 || text.len >= sizeof(copy) || text.ptr[0] == ' ')
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("0123456789+-.eE", copy[i]))
			return false;
	*number = strtod(copy, &end) + 0.0;
	return end == copy + text.len && isfinite(*number);
}

/* Under the cast; -1: copied, as the text was made here. */
static int cast_number(struct scan_prop *prop, struct prop value, bool copies, uint32_t *number)
{
	struct buf made = { 0 };
	int rc;

	if (prop->cast == SCAN_AS_NUMBER && value.kind == PROP_TEXT)
		value.kind = parse_number(value.text, &value.number) ? PROP_NUMBER : PROP_NONE;
	else if (prop->cast == SCAN_AS_NUMBER && value.kind != PROP_NUMBER)
		value.kind = PROP_NONE;
	if (value.kind == PROP_NUMBER)
		value.text = (struct slice){ NULL, 0 };
	if (prop->cast != SCAN_AS_TEXT || value.kind == PROP_TEXT || value.kind == PROP_NONE ||
	    value.kind == PROP_LIST)
		return number_of(prop, &value, copies, number);
	prop_print(&value, &made);
	value = (struct prop){ .kind = PROP_TEXT, .text = buf_slice(&made) };
	rc = made.failed ? -ENOMEM : number_of(prop, &value, true, number);
	buf_close(&made);
	return rc;
}

static int read_file(struct scan_prop *prop, size_t file, struct slice name)
{
	const struct column *column = column_find(prop->snapshot->files[file], name);
	uint32_t *numbers;
	int rc = 0;

	prop->columns[file] = column;
	if (!column)
		return 0;
	prop->is_known = true;
	numbers = prop->numbers[file] = calloc((size_t)column->values + 1, sizeof(*numbers));
	if (!numbers)
		return -ENOMEM;
	for (uint32_t code = 1; code <= column->values && rc == 0; code++)
		rc = cast_number(prop, column_value(column, code), false, &numbers[code]);
	return rc;
}

static int read_profiles(struct scan_prop *prop, struct slice name)
{
	const struct persons *persons = prop->snapshot->persons;
	const uint32_t *leaders = persons_leaders(persons);
	struct buf scratch = { 0 };
	int rc = 0;

	prop->actors = persons_actor_count(persons);
	prop->by_leader = calloc((size_t)prop->actors + 1, sizeof(*prop->by_leader));
	if (!prop->by_leader)
		return -ENOMEM;
	for (uint32_t i = 1; i < prop->actors && rc == 0; i++) {
		struct prop value;

		if (leaders[i] != i)
			continue;
		buf_reset(&scratch);
		value = persons_trait(persons, i, name, &scratch);
		prop->is_known |= value.kind != PROP_NONE;
		rc = cast_number(prop, value, true, &prop->by_leader[i]);
	}
	buf_close(&scratch);
	return rc;
}

static int add_elements(struct scan_prop *prop, uint32_t number)
{
	struct slice list = prop->values[number].text;
	struct prop element;
	size_t at = 0, n = 0;
	uint32_t *out = arena_alloc(&prop->arena, (PROP_LIST_MAX + 2) * sizeof(*out));

	if (!out)
		return -ENOMEM;
	while (n < PROP_LIST_MAX && prop_next(list, &at, &element)) {
		uint32_t i = 1, found;
		int rc = cast_number(prop, element, false, &found);

		if (rc < 0)
			return rc;
		while (i <= n && out[i] != found)
			i++;
		if (i > n)
			out[++n] = found;
	}
	if (n == 0)
		out[++n] = 0;
	out[0] = (uint32_t)n;
	prop->elements[number] = out;
	return 0;
}

/* Elements may be new values; they are no lists. */
static int read_elements(struct scan_prop *prop)
{
	uint32_t count = prop->count;
	int rc = 0;

	prop->elements = calloc(count, sizeof(*prop->elements));
	if (!prop->elements)
		return -ENOMEM;
	for (uint32_t i = 1; i < count && rc == 0; i++)
		if (prop->values[i].kind == PROP_LIST) {
			prop->has_lists = true;
			rc = add_elements(prop, i);
		}
	if (rc < 0)
		return rc;
	if (prop->count > count) {
		uint32_t **elements = realloc(prop->elements, prop->count * sizeof(*elements));

		if (!elements)
			return -ENOMEM;
		memset(elements + count, 0, (prop->count - count) * sizeof(*elements));
		prop->elements = elements;
	}
	prop->itself = calloc(prop->count, sizeof(*prop->itself));
	for (uint32_t i = 0; prop->itself && i < prop->count; i++)
		prop->itself[i] = i;
	return prop->itself ? 0 : -ENOMEM;
}

int scan_prop_open(struct scan_prop **propp, const struct snapshot *snapshot,
		   const struct scan_prop_conf *conf)
{
	struct scan_prop *prop = calloc(1, sizeof(*prop));
	int rc;

	*propp = NULL;
	if (!prop)
		return -ENOMEM;
	prop->snapshot = snapshot;
	prop->cast = conf->cast;
	prop->is_event = !conf->of_profile && slice_is(conf->name, "$event");
	prop->values_max = conf->values_max ? (uint32_t)conf->values_max : VALUES_MAX;
	prop->columns = calloc(snapshot->file_count + 1, sizeof(*prop->columns));
	prop->numbers = calloc(snapshot->file_count + 1, sizeof(*prop->numbers));
	rc = prop->columns && prop->numbers ? grow(prop) : -ENOMEM;
	if (rc == 0) {
		prop->values[0] = (struct prop){ .kind = PROP_NONE };
		prop->count = 1;
	}
	for (size_t i = 0; i < snapshot->file_count && rc == 0 && !conf->of_profile; i++)
		rc = read_file(prop, i, conf->name);
	if (rc == 0 && conf->of_profile)
		rc = read_profiles(prop, conf->name);
	if (rc == 0)
		rc = read_elements(prop);
	if (rc < 0) {
		scan_prop_close(prop);
		return rc;
	}
	*propp = prop;
	return 0;
}

void scan_prop_close(struct scan_prop *prop)
{
	if (!prop)
		return;
	for (size_t i = 0; prop->numbers && i < prop->snapshot->file_count; i++)
		free(prop->numbers[i]);
	free(prop->numbers);
	free(prop->columns);
	free(prop->by_leader);
	free(prop->values);
	free(prop->slots);
	free(prop->elements);
	free(prop->itself);
	arena_close(&prop->arena);
	free(prop);
}

bool scan_prop_is_known(const struct scan_prop *prop)
{
	return prop->is_known;
}

uint32_t scan_prop_count(const struct scan_prop *prop)
{
	return prop->count;
}

struct prop scan_prop_of(const struct scan_prop *prop, uint32_t number)
{
	return prop->values[number];
}

const uint32_t *scan_prop_elements(const struct scan_prop *prop, uint32_t number, size_t *count)
{
	const uint32_t *elements = prop->elements[number];

	*count = elements ? elements[0] : 1;
	return elements ? elements + 1 : &prop->itself[number];
}

int scan_look_open(struct scan_look **lookp, const struct scan_prop *prop)
{
	struct scan_look *look = calloc(1, sizeof(*look));

	*lookp = look;
	if (!look)
		return -ENOMEM;
	look->prop = prop;
	look->at = calloc(prop->snapshot->file_count + 1, sizeof(*look->at));
	if (!look->at) {
		scan_look_close(look);
		*lookp = NULL;
		return -ENOMEM;
	}
	return 0;
}

void scan_look_close(struct scan_look *look)
{
	if (!look)
		return;
	free(look->at);
	free(look);
}

uint32_t scan_look(struct scan_look *look, uint32_t leader, const struct scan_event *event)
{
	const struct scan_prop *prop = look->prop;
	const struct column *column;

	if (prop->by_leader)
		return leader < prop->actors ? prop->by_leader[leader] : 0;
	column = prop->columns[event->file];
	if (!column)
		return 0;
	return prop->numbers[event->file][column_code(column, event->row, &look->at[event->file])];
}

bool scan_prop_has_lists(const struct scan_prop *prop)
{
	return prop->has_lists;
}

bool scan_prop_is_event(const struct scan_prop *prop)
{
	return prop->is_event;
}

bool scan_prop_is_of_profile(const struct scan_prop *prop)
{
	return prop->by_leader;
}

void scan_look_rows(struct scan_look *look, const struct scan_block *block,
		    const uint16_t *places, uint32_t count, uint32_t *numbers)
{
	const struct scan_prop *prop = look->prop;
	const struct column *column = prop->columns[block->file];
	const uint32_t *of_code = prop->numbers[block->file];

	if (prop->by_leader) {
		for (uint32_t i = 0; i < count; i++) {
			uint32_t leader = block->leaders[places[i]];

			numbers[i] = leader < prop->actors ? prop->by_leader[leader] : 0;
		}
	} else if (!column) {
		memset(numbers, 0, count * sizeof(*numbers));
	} else if (column->is_sparse) {
		for (uint32_t i = 0; i < count; i++)
			numbers[i] = of_code[column_code_sparse(column, block->rows[places[i]],
								&look->at[block->file])];
	} else if (column->width == 1) {
		for (uint32_t i = 0; i < count; i++)
			numbers[i] = of_code[column_load(column->codes, 1,
							 block->rows[places[i]])];
	} else {
		for (uint32_t i = 0; i < count; i++)
			numbers[i] = of_code[column_load(column->codes, column->width,
							 block->rows[places[i]])];
	}
}

uint32_t scan_look_code(const struct scan_look *look, size_t file, uint32_t code)
{
	return look->prop->columns[file] ? look->prop->numbers[file][code] : 0;
}
