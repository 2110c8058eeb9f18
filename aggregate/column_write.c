// SPDX-License-Identifier: Apache-2.0
#include "aggregate/column_write.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "aggregate/column_out.h"

#define PAIRS_MAX   (1u << 20)
#define TEXT_MAX    ((size_t)64 << 20)
#define MOVES_MAX   4096u               /* of an actor's rows, before they are sorted */
#define VALUES_KEEP 65536u              /* of a slot: a larger table is given back */

struct value_entry {
	uint64_t order;                 /* sorts as the value does, ties undecided */
	double number;
	uint64_t text;                  /* offset in the texts */
	uint32_t text_len;
	uint32_t hash;
	uint32_t code;                  /* while an image is made; UINT32_MAX: unused */
	uint8_t kind;
};

/* One property. */
struct slot {
	struct slice name;              /* owned */
	uint64_t name_hash;
	struct value_entry *values;     /* owned */
	uint32_t count, cap;
	uint64_t *table;                /* owned; hash << 32 | value + 1, 0: free; cap * 2 */
	uint32_t row, pair;             /* last one that has it: a name given twice */
	uint32_t next;                  /* slot + 1 of the property that followed it last */
	uint32_t begin, entries;        /* of the image in work */
};

struct row {
	int64_t time;
	struct message_key message;
	uint32_t actor;
	uint32_t source;                /* value of slot 0, + 1 */
	uint32_t pair;                  /* first of its pairs; they end where the next row begins */
};

struct pair {
	uint32_t slot, value;
};

struct column_write {
	struct slot *slots;             /* owned; 0 is $source */
	uint32_t slot_count, slot_cap, names_max;
	uint32_t *names;                /* owned; slot + 1, 0: free; slot_cap * 2 entries */
	struct row *rows;               /* owned; STORE_HEAD_MAX */
	uint32_t row_count;
	struct pair *pairs;             /* owned */
	uint32_t pair_count, pair_cap;
	uint32_t first;                 /* slot + 1 that the last row began with; 0: none */
	struct buf texts;
	uint32_t *messages;             /* owned; row + 1, 0: free; STORE_HEAD_MAX * 4 */
};

#define MESSAGES (STORE_HEAD_MAX * 4u)

int column_write_open(struct column_write **writep, uint32_t names_max)
{
	struct column_write *write = calloc(1, sizeof(*write));
	int rc = -ENOMEM;

	*writep = NULL;
	if (!write)
		return rc;
	write->names_max = names_max;
	write->texts.limit = (size_t)1 << 31;
	write->rows = malloc(STORE_HEAD_MAX * sizeof(*write->rows));
	write->messages = calloc(MESSAGES, sizeof(*write->messages));
	if (write->rows && write->messages)
		rc = column_write_know(write, SLICE("$source"));
	if (rc < 0) {
		column_write_close(write);
		return rc;
	}
	*writep = write;
	return 0;
}

void column_write_close(struct column_write *write)
{
	if (!write)
		return;
	for (uint32_t i = 0; i < write->slot_count; i++) {
		free((void *)(uintptr_t)write->slots[i].name.ptr);
		free(write->slots[i].values);
		free(write->slots[i].table);
	}
	free(write->slots);
	free(write->names);
	free(write->rows);
	free(write->pairs);
	free(write->messages);
	buf_close(&write->texts);
	free(write);
}

/* Names */

static int grow_names(struct column_write *write)
{
	uint32_t cap = write->slot_cap ? write->slot_cap * 2 : 64;
	struct slot *slots = realloc(write->slots, cap * sizeof(*slots));
	uint32_t *names;

	if (!slots)
		return -ENOMEM;
	write->slots = slots;
	names = calloc((size_t)cap * 2, sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (uint32_t i = 0; i < write->slot_count; i++) {
		uint32_t at = (uint32_t)slots[i].name_hash & (cap * 2 - 1);

		while (names[at])
			at = (at + 1) & (cap * 2 - 1);
		names[at] = i + 1;
	}
	free(write->names);
	write->names = names;
	write->slot_cap = cap;
	return 0;
}

/* The slot of a name; -ENOSPC: there is no room for new ones; -ENOMEM. */
static int find_slot(struct column_write *write, struct slice name, uint32_t max)
{
	uint64_t hash = XXH3_64bits(name.ptr, name.len);
	uint32_t at, mask;
	char *copy;

	if (write->slot_count == write->slot_cap && grow_names(write) < 0)
		return -ENOMEM;
	mask = write->slot_cap * 2 - 1;
	at = (uint32_t)hash & mask;
	for (; write->names[at]; at = (at + 1) & mask) {
		const struct slot *slot = &write->slots[write->names[at] - 1];

		if (slot->name_hash == hash && slice_eq(slot->name, name))
			return (int)write->names[at] - 1;
	}
	if (write->slot_count >= max || name.len > COLUMN_NAME_MAX)
		return -ENOSPC;
	copy = malloc(name.len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, name.ptr, name.len);
	write->slots[write->slot_count] = (struct slot){
		.name = { copy, name.len }, .name_hash = hash, .row = UINT32_MAX };
	write->names[at] = ++write->slot_count;
	return (int)write->slot_count - 1;
}

int column_write_know(struct column_write *write, struct slice name)
{
	int rc = find_slot(write, name, UINT32_MAX);

	return rc < 0 ? rc : 0;
}

/* Values */

static uint64_t order_of(const struct prop *prop)
{
	uint64_t order = 0;

	if (prop->kind == PROP_NUMBER) {
		memcpy(&order, &prop->number, sizeof(order));
		return order >> 63 ? ~order : order | UINT64_C(1) << 63;
	}
	memcpy(&order, prop->text.ptr, prop->text.len < 8 ? prop->text.len : 8);
	return __builtin_bswap64(order);
}

static uint64_t hash_of(const struct prop *prop)
{
	uint64_t hash;

	if (prop->kind == PROP_TEXT || prop->kind == PROP_LIST)
		return XXH3_64bits(prop->text.ptr, prop->text.len) + prop->kind;
	if (prop->kind != PROP_NUMBER)
		return (uint64_t)prop->kind * UINT64_C(0x9e3779b97f4a7c15);
	/* Most numbers are short: their low bits are zeros. */
	memcpy(&hash, &prop->number, sizeof(hash));
	hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static bool is_value(const struct column_write *write, const struct value_entry *entry,
		     const struct prop *prop)
{
	if (entry->kind != prop->kind)
		return false;
	if (prop->kind == PROP_NUMBER)
		return entry->number == prop->number;
	return prop->kind < PROP_NUMBER ||
	       (entry->text_len == prop->text.len &&
		memcmp(write->texts.ptr + entry->text, prop->text.ptr, prop->text.len) == 0);
}

static int grow_values(struct slot *slot)
{
	uint32_t cap = slot->cap ? slot->cap * 2 : 16, mask = cap * 2 - 1;
	struct value_entry *values = realloc(slot->values, cap * sizeof(*values));
	uint64_t *table;

	if (!values)
		return -ENOMEM;
	slot->values = values;
	table = calloc((size_t)cap * 2, sizeof(*table));
	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; i < slot->count; i++) {
		uint32_t at = values[i].hash & mask;

		while (table[at])
			at = (at + 1) & mask;
		table[at] = (uint64_t)values[i].hash << 32 | (i + 1);
	}
	free(slot->table);
	slot->table = table;
	slot->cap = cap;
	return 0;
}

static int intern(struct column_write *write, struct slot *slot, const struct prop *prop,
		  uint32_t *value)
{
	uint32_t hash = (uint32_t)hash_of(prop), at, mask;
	struct value_entry *entry;

	if (slot->count == slot->cap && grow_values(slot) < 0)
		return -ENOMEM;
	mask = slot->cap * 2 - 1;
	for (at = hash & mask; slot->table[at]; at = (at + 1) & mask) {
		uint32_t index = (uint32_t)slot->table[at] - 1;

		if (slot->table[at] >> 32 == hash &&
		    is_value(write, &slot->values[index], prop)) {
			*value = index;
			return 0;
		}
	}
	entry = &slot->values[slot->count];
	*entry = (struct value_entry){ .hash = hash, .kind = (uint8_t)prop->kind,
				       .number = prop->number };
	if (prop->kind >= PROP_TEXT) {
		entry->text = write->texts.len;
		entry->text_len = (uint32_t)prop->text.len;
		buf_append_slice(&write->texts, prop->text);
		if (write->texts.failed)
			return -ENOMEM;
	}
	entry->order = prop->kind >= PROP_NUMBER ? order_of(prop) : 0;
	*value = slot->count++;
	slot->table[at] = (uint64_t)hash << 32 | slot->count;
	return 0;
}

/* Rows */

/* The value + 1 of the row's source; 0: it has none, or one that no row has yet. */
static uint32_t source_of(const struct column_write *write, const struct store_row *row)
{
	const struct slot *slot = &write->slots[0];
	const struct prop *prop = NULL;
	uint32_t hash, mask;

	for (size_t i = 0; i < row->count && !prop; i++)
		if (slice_eq(row->props[i].name, SLICE("$source")))
			prop = &row->props[i].value;
	if (!prop || !slot->cap)
		return 0;
	hash = (uint32_t)hash_of(prop);
	mask = slot->cap * 2 - 1;
	for (uint32_t at = hash & mask; slot->table[at]; at = (at + 1) & mask)
		if (is_value(write, &slot->values[(uint32_t)slot->table[at] - 1], prop))
			return (uint32_t)slot->table[at];
	return 0;
}

bool column_write_has(const struct column_write *write, const struct store_row *row)
{
	uint32_t at = (uint32_t)column_key_hash(&row->message) & (MESSAGES - 1), source = 0;
	bool is_asked = false;

	for (; write->messages[at]; at = (at + 1) & (MESSAGES - 1)) {
		const struct row *other = &write->rows[write->messages[at] - 1];

		if (memcmp(&other->message, &row->message, sizeof(row->message)) != 0 ||
		    other->actor != row->actor)
			continue;
		if (!is_asked)
			source = source_of(write, row);
		is_asked = true;
		if (source == other->source)
			return true;
	}
	return false;
}

/* *last: slot + 1 of the row's property before this one, 0: it is the first. */
static int add_pair(struct column_write *write, const struct store_prop *prop, uint32_t row,
		    uint32_t *last, uint64_t *left_out)
{
	uint32_t *expected = *last ? &write->slots[*last - 1].next : &write->first;
	struct slot *slot;
	uint32_t value;
	int at;

	/* Rows name their properties in the same order as a rule. */
	if (*expected && slice_eq(write->slots[*expected - 1].name, prop->name))
		at = (int)*expected - 1;
	else
		at = find_slot(write, prop->name, write->names_max);
	if (at == -ENOSPC) {
		++*left_out;
		return 0;
	}
	if (at < 0)
		return at;
	/* find_slot may have moved the slots. */
	*(*last ? &write->slots[*last - 1].next : &write->first) = (uint32_t)at + 1;
	*last = (uint32_t)at + 1;
	slot = &write->slots[at];
	if (intern(write, slot, &prop->value, &value) < 0)
		return -ENOMEM;
	if (slot->row == row) {
		write->pairs[slot->pair].value = value;
		return 0;
	}
	slot->row = row;
	slot->pair = write->pair_count;
	write->pairs[write->pair_count++] = (struct pair){ (uint32_t)at, value };
	return 0;
}

static int reserve_pairs(struct column_write *write, size_t count)
{
	uint32_t cap = write->pair_cap ? write->pair_cap : 65536;
	struct pair *pairs;

	while (cap < write->pair_count + count)
		cap *= 2;
	if (cap == write->pair_cap)
		return 0;
	pairs = realloc(write->pairs, cap * sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	write->pairs = pairs;
	write->pair_cap = cap;
	return 0;
}

int column_write_add(struct column_write *write, const struct store_row *row,
		     uint64_t *left_out)
{
	uint32_t at = (uint32_t)column_key_hash(&row->message) & (MESSAGES - 1);
	uint32_t n = write->row_count, last = 0;

	assert(!column_write_is_full(write));
	if (reserve_pairs(write, row->count) < 0)
		return -ENOMEM;
	write->rows[n] = (struct row){ row->time_us, row->message, row->actor, 0,
				       write->pair_count };
	for (size_t i = 0; i < row->count; i++) {
		int rc = 0;

		if (row->props[i].value.kind != PROP_NONE)
			rc = add_pair(write, &row->props[i], n, &last, left_out);
		if (rc < 0) {
			write->pair_count = write->rows[n].pair;
			return rc;
		}
	}
	write->rows[n].source = write->slots[0].row == n
					? write->pairs[write->slots[0].pair].value + 1
					: 0;
	while (write->messages[at])
		at = (at + 1) & (MESSAGES - 1);
	write->messages[at] = ++write->row_count;
	return 0;
}

uint32_t column_write_rows(const struct column_write *write)
{
	return write->row_count;
}

bool column_write_is_full(const struct column_write *write)
{
	return write->row_count >= STORE_HEAD_MAX || write->pair_count >= PAIRS_MAX ||
	       write->texts.len >= TEXT_MAX;
}

size_t column_write_bytes(const struct column_write *write)
{
	size_t bytes = STORE_HEAD_MAX * sizeof(struct row) + MESSAGES * sizeof(uint32_t) +
		       write->pair_cap * sizeof(struct pair) + write->texts.cap;

	for (uint32_t i = 0; i < write->slot_count; i++)
		bytes += sizeof(struct slot) +
			 write->slots[i].cap * (sizeof(struct value_entry) + 8);
	return bytes;
}

size_t column_write_used(const struct column_write *write)
{
	return write->row_count * (size_t)32 + write->pair_count * (size_t)2 + write->texts.len;
}

void column_write_reset(struct column_write *write)
{
	for (uint32_t i = 0; i < write->slot_count; i++) {
		struct slot *slot = &write->slots[i];

		slot->row = UINT32_MAX;
		if (slot->cap > VALUES_KEEP) {
			free(slot->values);
			free(slot->table);
			slot->values = NULL;
			slot->table = NULL;
			slot->cap = 0;
		} else if (slot->count) {
			memset(slot->table, 0, (size_t)slot->cap * 2 * sizeof(*slot->table));
		}
		slot->count = 0;
	}
	write->row_count = 0;
	write->pair_count = 0;
	buf_reset(&write->texts);
	memset(write->messages, 0, MESSAGES * sizeof(*write->messages));
}

/* The image */

struct entry {
	uint32_t row, value;            /* row: sorted */
};

struct making {
	struct column_write *write;
	struct column_out out;
	uint32_t *order;                /* owned: sorted row -> row */
	struct entry *entries;          /* owned: all pairs, by slot, then row */
	uint32_t *codes, *sorted;       /* owned: of the slot in work: room for its rows, values */
	const struct slot *slot;
	uint32_t *by_name;              /* owned: slots in use */
	uint32_t actors;
	int64_t time_min, time_max;
};

static struct prop prop_of(const struct column_write *write, const struct value_entry *entry)
{
	struct prop prop = { (enum prop_kind)entry->kind, entry->number, { NULL, 0 } };

	if (entry->kind >= PROP_TEXT)
		prop.text = (struct slice){ write->texts.ptr + entry->text, entry->text_len };
	return prop;
}

static struct prop sorted_value(void *ctx, uint32_t i)
{
	const struct making *making = ctx;

	return prop_of(making->write, &making->slot->values[making->sorted[i]]);
}

static int compare_values(const void *a, const void *b, void *ctx)
{
	const struct making *making = ctx;
	const struct value_entry *x = &making->slot->values[*(const uint32_t *)a];
	const struct value_entry *y = &making->slot->values[*(const uint32_t *)b];
	struct prop left, right;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	left = prop_of(making->write, x);
	right = prop_of(making->write, y);
	return prop_compare(&left, &right);
}

static int compare_rows(const void *a, const void *b, void *ctx)
{
	const struct making *making = ctx;
	const struct row *x = &making->write->rows[*(const uint32_t *)a];
	const struct row *y = &making->write->rows[*(const uint32_t *)b];
	struct prop left, right;
	int order;

	if (x->actor != y->actor)
		return x->actor < y->actor ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	order = memcmp(&x->message, &y->message, sizeof(x->message));
	if (order || x->source == y->source)
		return order;
	if (!x->source || !y->source)
		return x->source ? 1 : -1;
	left = prop_of(making->write, &making->write->slots[0].values[x->source - 1]);
	right = prop_of(making->write, &making->write->slots[0].values[y->source - 1]);
	return prop_compare(&left, &right);
}

/* By actor in four passes of a byte each, those that are the same in all rows left out. Rows of one
 * actor come nearly in order of time: few are moved far; where they are, they are sorted. */
static void sort_rows(struct making *making)
{
	const struct row *rows = making->write->rows;
	uint32_t n = making->write->row_count, *order = making->order, *spare = making->codes;

	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (int shift = 0; shift < 32; shift += 8) {
		uint32_t at[256] = { 0 }, sum = 0;

		for (uint32_t i = 0; i < n; i++)
			at[rows[i].actor >> shift & 255]++;
		if (n == 0 || at[rows[0].actor >> shift & 255] == n)
			continue;
		for (int i = 0; i < 256; i++) {
			uint32_t count = at[i];

			at[i] = sum;
			sum += count;
		}
		for (uint32_t i = 0; i < n; i++)
			spare[at[rows[order[i]].actor >> shift & 255]++] = order[i];
		memcpy(order, spare, n * sizeof(*order));
	}
	for (uint32_t from = 0, end; from < n; from = end) {
		uint32_t moves = 0;

		for (end = from + 1; end < n && rows[order[end]].actor == rows[order[from]].actor;
		     end++) {
			uint32_t at = end, row = order[end];

			for (; at > from && moves < MOVES_MAX &&
			       compare_rows(&row, &order[at - 1], making) < 0; at--, moves++)
				order[at] = order[at - 1];
			order[at] = row;
		}
		if (moves >= MOVES_MAX)
			qsort_r(order + from, end - from, sizeof(*order), compare_rows, making);
	}
}

static int compare_slots(const void *a, const void *b, void *ctx)
{
	const struct slot *slots = ctx;
	struct prop x = { PROP_TEXT, 0, slots[*(const uint32_t *)a].name };
	struct prop y = { PROP_TEXT, 0, slots[*(const uint32_t *)b].name };

	return prop_compare(&x, &y);
}

static void put_actors(struct making *making)
{
	const struct column_write *write = making->write;
	struct column_out *out = &making->out;
	uint32_t n = write->row_count;

	column_out_begin(out, COLUMN_ACTOR);
	for (uint32_t i = 0; i < n; i++) {
		const struct row *row = &write->rows[making->order[i]];

		if (i == 0 || write->rows[making->order[i - 1]].actor != row->actor)
			making->codes[making->actors++] = row->actor;
	}
	column_out_put(out, making->codes, making->actors * sizeof(uint32_t));
	column_out_end(out, COLUMN_ACTOR);
	column_out_begin(out, COLUMN_START);
	making->actors = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct row *row = &write->rows[making->order[i]];

		if (i == 0 || write->rows[making->order[i - 1]].actor != row->actor)
			making->codes[making->actors++] = i;
	}
	making->codes[making->actors] = n;
	column_out_put(out, making->codes, (making->actors + 1) * sizeof(uint32_t));
	column_out_end(out, COLUMN_START);
}

static int put_rows(struct making *making)
{
	const struct column_write *write = making->write;
	struct column_out *out = &making->out;
	uint32_t n = write->row_count, blocks;
	uint64_t *bloom = column_bloom_open(n, &blocks);

	if (!bloom)
		return -ENOMEM;
	making->time_min = INT64_MAX;
	making->time_max = INT64_MIN;
	put_actors(making);
	column_out_begin(out, COLUMN_TIME);
	for (uint32_t i = 0; i < n; i++) {
		int64_t time = write->rows[making->order[i]].time;

		making->time_min = time < making->time_min ? time : making->time_min;
		making->time_max = time > making->time_max ? time : making->time_max;
		column_out_put(out, &time, sizeof(time));
	}
	column_out_end(out, COLUMN_TIME);
	column_out_begin(out, COLUMN_MESSAGE);
	for (uint32_t i = 0; i < n; i++) {
		const struct message_key *key = &write->rows[making->order[i]].message;

		column_out_put(out, key, sizeof(*key));
		column_bloom_add(bloom, blocks, key, 1);
	}
	column_out_end(out, COLUMN_MESSAGE);
	column_out_begin(out, COLUMN_BLOOM);
	column_out_put(out, bloom, (size_t)blocks * COLUMN_BLOOM_BLOCK);
	column_out_end(out, COLUMN_BLOOM);
	free(bloom);
	return 0;
}

/* All pairs, by slot, and in the order of sorted rows within it. */
static void spread_pairs(struct making *making)
{
	struct column_write *write = making->write;
	uint32_t begin = 0;

	for (uint32_t i = 0; i < write->slot_count; i++)
		write->slots[i].entries = 0;
	for (uint32_t i = 0; i < write->pair_count; i++)
		write->slots[write->pairs[i].slot].entries++;
	for (uint32_t i = 0; i < write->slot_count; i++) {
		write->slots[i].begin = begin;
		begin += write->slots[i].entries;
		write->slots[i].entries = 0;
	}
	for (uint32_t i = 0; i < write->row_count; i++) {
		uint32_t row = making->order[i];
		uint32_t end = row + 1 < write->row_count ? write->rows[row + 1].pair
							  : write->pair_count;

		for (uint32_t p = write->rows[row].pair; p < end; p++) {
			struct slot *slot = &write->slots[write->pairs[p].slot];

			making->entries[slot->begin + slot->entries++] =
				(struct entry){ i, write->pairs[p].value };
		}
	}
}

/* Puts n codes of width bytes each, narrowing them where they stand. */
static void put_codes(struct column_out *out, uint32_t *codes, uint32_t n, uint8_t width)
{
	uint8_t *bytes = (uint8_t *)codes;

	for (uint32_t i = 0; i < n && width < 4; i++) {
		uint32_t code = codes[i];

		memcpy(bytes + (size_t)i * width, &code, width);
	}
	column_out_put(out, codes, (size_t)n * width);
}

/* Values that a later one of the same name replaced are not used. */
static uint32_t sort_values(struct making *making, struct slot *slot, const struct entry *entries)
{
	uint32_t count = 0;

	making->slot = slot;
	for (uint32_t i = 0; i < slot->count; i++)
		slot->values[i].code = UINT32_MAX;
	for (uint32_t i = 0; i < slot->entries; i++)
		if (slot->values[entries[i].value].code == UINT32_MAX) {
			slot->values[entries[i].value].code = 0;
			making->sorted[count++] = entries[i].value;
		}
	qsort_r(making->sorted, count, sizeof(*making->sorted), compare_values, making);
	for (uint32_t i = 0; i < count; i++)
		slot->values[making->sorted[i]].code = i + 1;
	return count;
}

static void put_slot(struct making *making, struct slot *slot)
{
	const struct entry *entries = making->entries + slot->begin;
	uint32_t rows = making->write->row_count;
	uint32_t values = sort_values(making, slot, entries);
	uint8_t width = column_out_width(values);
	uint32_t *codes = making->codes;

	if (column_out_is_sparse(slot->name, rows, slot->entries, values)) {
		column_out_column(&making->out, slot->name, slot->entries, slot->entries, width);
		for (uint32_t i = 0; i < slot->entries; i++)
			codes[i] = slot->values[entries[i].value].code;
		put_codes(&making->out, codes, slot->entries, width);
		column_out_rows(&making->out);
		for (uint32_t i = 0; i < slot->entries; i++)
			codes[i] = entries[i].row;
		column_out_put(&making->out, codes, slot->entries * sizeof(*codes));
	} else {
		column_out_column(&making->out, slot->name, rows, slot->entries, width);
		memset(codes, 0, rows * sizeof(*codes));
		for (uint32_t i = 0; i < slot->entries; i++)
			codes[entries[i].row] = slot->values[entries[i].value].code;
		put_codes(&making->out, codes, rows, width);
	}
	column_out_values(&making->out, values, sorted_value, making);
}

static int put_image(struct making *making)
{
	struct column_write *write = making->write;
	uint32_t n = write->row_count, used = 0;
	int rc;

	sort_rows(making);
	rc = put_rows(making);
	if (rc < 0)
		return rc;
	spread_pairs(making);
	for (uint32_t i = 0; i < write->slot_count; i++)
		if (write->slots[i].entries)
			making->by_name[used++] = i;
	qsort_r(making->by_name, used, sizeof(*making->by_name), compare_slots, write->slots);
	for (uint32_t i = 0; i < used; i++)
		put_slot(making, &write->slots[making->by_name[i]]);
	return column_out_finish(&making->out, n, making->actors, making->time_min,
				 making->time_max);
}

int column_write_image(struct column_write *write, struct buf *image)
{
	size_t n = write->row_count + (size_t)1;
	struct making making = { .write = write };
	int rc = -ENOMEM;

	buf_reset(image);
	image->limit = (size_t)4 << 30;
	making.order = malloc(n * sizeof(*making.order));
	making.codes = malloc(n * sizeof(*making.codes));
	making.sorted = malloc(n * sizeof(*making.sorted));
	making.entries = malloc((write->pair_count + (size_t)1) * sizeof(*making.entries));
	making.by_name = malloc((write->slot_count + (size_t)1) * sizeof(*making.by_name));
	if (making.order && making.codes && making.sorted && making.entries && making.by_name)
		rc = column_out_open(&making.out, image, -1);
	if (rc == 0) {
		rc = put_image(&making);
		column_out_close(&making.out);
	}
	free(making.order);
	free(making.codes);
	free(making.sorted);
	free(making.entries);
	free(making.by_name);
	if (rc < 0)
		buf_close(image);
	return rc;
}
