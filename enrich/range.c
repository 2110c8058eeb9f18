// SPDX-License-Identifier: Apache-2.0
#include "enrich/range.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/arena.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS      65536
#define RANGES_MAX (1u << 26)

struct range4 {
	uint32_t first, last, value;
};

struct range6 {
	uint64_t high, low, last_high, last_low;
	uint32_t value;
};

struct range_table {
	struct range4 *v4;
	struct range6 *v6;
	size_t v4_count, v4_cap, v6_count, v6_cap;
	uint32_t *slots;                /* of the upper 16 bits: first range that may hold them */
	struct range_value *values;
	uint32_t value_count, value_cap;
	uint32_t *places;               /* of values by hash, + 1; until it is open */
	uint32_t place_mask;
	struct arena arena;             /* of the names */
};

static void *grow(void *items, size_t count, size_t *cap, size_t size)
{
	void *more;

	if (count < *cap)
		return items;
	*cap = *cap ? *cap * 2 : 1024;
	more = reallocarray(items, *cap, size);
	if (!more)
		*cap = count;
	return more;
}

static uint32_t hash_of(const struct range_value *value)
{
	uint64_t seed = value->asn;

	seed = seed << 16 ^ (uint64_t)(unsigned char)value->country[0] << 8;
	seed ^= (unsigned char)value->country[1];
	return (uint32_t)XXH3_64bits_withSeed(value->org.ptr, value->org.len, seed);
}

static int index_values(struct range_table *table)
{
	uint32_t size = table->place_mask ? (table->place_mask + 1) * 2 : 4096;
	uint32_t *places = calloc(size, sizeof(*places));

	if (!places)
		return -ENOMEM;
	free(table->places);
	table->places = places;
	table->place_mask = size - 1;
	for (uint32_t i = 0; i < table->value_count; i++) {
		uint32_t at = hash_of(&table->values[i]) & table->place_mask;

		while (places[at])
			at = (at + 1) & table->place_mask;
		places[at] = i + 1;
	}
	return 0;
}

static bool is_same(const struct range_value *a, const struct range_value *b)
{
	return memcmp(a->country, b->country, 2) == 0 && a->asn == b->asn &&
	       slice_eq(a->org, b->org);
}

/* The number of a value, a new one where it is new. */
static int value_find(struct range_table *table, const struct range_value *value,
		      uint32_t *number)
{
	struct range_value *values;
	size_t cap = table->value_cap;
	uint32_t at;
	int rc;

	if (table->value_count * 2 >= table->place_mask && (rc = index_values(table)) < 0)
		return rc;
	for (at = hash_of(value) & table->place_mask; table->places[at];
	     at = (at + 1) & table->place_mask) {
		*number = table->places[at] - 1;
		if (is_same(&table->values[*number], value))
			return 0;
	}
	values = grow(table->values, table->value_count, &cap, sizeof(*values));
	if (!values)
		return -ENOMEM;
	table->values = values;
	table->value_cap = (uint32_t)cap;
	*number = table->value_count;
	table->values[*number] = *value;
	if (value->org.len)
		table->values[*number].org = arena_copy(&table->arena, value->org);
	if (value->org.len && !table->values[*number].org.ptr)
		return -ENOMEM;
	table->places[at] = ++table->value_count;
	return 0;
}

/* Up to the next comma, which is gone then; a field in quotes without them. */
static struct slice next_field(struct slice *line)
{
	const char *comma;
	struct slice field = *line;

	if (line->len > 1 && line->ptr[0] == '"') {
		const char *quote = memchr(line->ptr + 1, '"', line->len - 1);

		if (quote) {
			field = (struct slice){ line->ptr + 1, (size_t)(quote - line->ptr) - 1 };
			*line = slice_skip(*line, field.len + 3);
			return field;
		}
	}
	comma = line->len ? memchr(line->ptr, ',', line->len) : NULL;
	if (comma)
		field.len = (size_t)(comma - line->ptr);
	*line = slice_skip(*line, field.len + 1);
	return field;
}

static bool parse_num(struct slice text, uint32_t *num)
{
	uint64_t sum = 0;

	if (text.len == 0 || text.len > 10)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		sum = sum * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	*num = (uint32_t)sum;
	return sum <= UINT32_MAX;
}

static bool parse_end(struct slice text, struct ip *ip)
{
	*ip = (struct ip){ .is_v6 = false };
	return parse_num(text, &ip->v4) || ip_parse(text, ip);
}

static bool is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* false: the line is none. *is_known: it names something. */
static bool parse_value(struct slice line, struct range_value *value, bool *is_known)
{
	struct slice field = next_field(&line);

	*value = (struct range_value){ { 0, 0 }, 0, { "", 0 } };
	*is_known = false;
	if (field.len == 0 || slice_eq(field, SLICE("??")))
		return true;
	if (slice_starts(field, SLICE("AS")) && field.len > 2)
		field = slice_skip(field, 2);
	if (field.len == 2 && is_capital(field.ptr[0])) {
		memcpy(value->country, field.ptr, 2);
		*is_known = is_capital(field.ptr[1]);
		return true;
	}
	if (!parse_num(field, &value->asn))
		return false;
	value->org = next_field(&line);
	*is_known = value->asn != 0;
	return true;
}

static int add_v4(struct range_table *table, uint32_t first, uint32_t last, uint32_t value)
{
	struct range4 *v4 = grow(table->v4, table->v4_count, &table->v4_cap, sizeof(*v4));

	if (!v4)
		return -ENOMEM;
	table->v4 = v4;
	v4[table->v4_count++] = (struct range4){ first, last, value };
	return 0;
}

static int add_v6(struct range_table *table, const struct ip *first, const struct ip *last,
		  uint32_t value)
{
	struct range6 *v6 = grow(table->v6, table->v6_count, &table->v6_cap, sizeof(*v6));

	if (!v6)
		return -ENOMEM;
	table->v6 = v6;
	v6[table->v6_count++] =
		(struct range6){ first->high, first->low, last->high, last->low, value };
	return 0;
}

static bool is_before(const struct ip *a, const struct ip *b)
{
	if (!a->is_v6)
		return a->v4 < b->v4;
	return a->high != b->high ? a->high < b->high : a->low < b->low;
}

static int add_line(struct range_table *table, struct slice line)
{
	struct slice first_text = next_field(&line), last_text = next_field(&line);
	struct range_value value;
	struct ip first, last;
	uint32_t number;
	bool is_known;
	int rc;

	if (!parse_end(first_text, &first) || !parse_end(last_text, &last))
		return -EBADMSG;
	/* ::/0 and the like begin inside version 4's corner of version 6: not ours to tell */
	if (first.is_v6 != last.is_v6)
		return last.is_v6 && first.v4 == 0 ? 0 : -EBADMSG;
	if (is_before(&last, &first) || !parse_value(line, &value, &is_known))
		return -EBADMSG;
	if (!is_known)
		return 0;
	if (table->v4_count + table->v6_count >= RANGES_MAX)
		return -ENOSPC;
	rc = value_find(table, &value, &number);
	if (rc < 0)
		return rc;
	return first.is_v6 ? add_v6(table, &first, &last, number)
			   : add_v4(table, first.v4, last.v4, number);
}

static int compare_v4(const void *a, const void *b)
{
	const struct range4 *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int compare_v6(const void *a, const void *b)
{
	const struct range6 *x = a, *y = b;

	if (x->high != y->high)
		return x->high > y->high ? 1 : -1;
	return (x->low > y->low) - (x->low < y->low);
}

/* In order, none overlapping, neighbours joined. */
static void settle_v4(struct range_table *table)
{
	struct range4 *v4 = table->v4;
	size_t n = 0;

	for (size_t i = 1; i < table->v4_count; i++) {
		if (v4[i - 1].first > v4[i].first) {
			qsort(v4, table->v4_count, sizeof(*v4), compare_v4);
			break;
		}
	}
	for (size_t i = 0; i < table->v4_count; i++) {
		struct range4 *before = n ? &v4[n - 1] : NULL;

		if (before && before->first == v4[i].first) {
			*before = v4[i];
			continue;
		}
		if (before && before->last >= v4[i].first)
			before->last = v4[i].first - 1;
		if (before && before->value == v4[i].value && before->last + 1 == v4[i].first)
			before->last = v4[i].last;
		else
			v4[n++] = v4[i];
	}
	table->v4_count = n;
}

static void settle_v6(struct range_table *table)
{
	struct range6 *v6 = table->v6;
	size_t n = 0;

	for (size_t i = 1; i < table->v6_count; i++) {
		if (compare_v6(&v6[i - 1], &v6[i]) > 0) {
			qsort(v6, table->v6_count, sizeof(*v6), compare_v6);
			break;
		}
	}
	for (size_t i = 0; i < table->v6_count; i++) {
		struct range6 *before = n ? &v6[n - 1] : NULL;

		if (before && compare_v6(before, &v6[i]) == 0) {
			*before = v6[i];
			continue;
		}
		if (before && (before->last_high > v6[i].high ||
			       (before->last_high == v6[i].high &&
				before->last_low >= v6[i].low))) {
			before->last_high = v6[i].high - (v6[i].low == 0);
			before->last_low = v6[i].low - 1;
		}
		if (before && before->value == v6[i].value &&
		    before->last_low + 1 == v6[i].low &&
		    before->last_high + (before->last_low == UINT64_MAX) == v6[i].high) {
			before->last_high = v6[i].last_high;
			before->last_low = v6[i].last_low;
		} else {
			v6[n++] = v6[i];
		}
	}
	table->v6_count = n;
}

/* slots[s]: the last range that begins at or before s.0, or the first of all. */
static int fill_slots(struct range_table *table)
{
	size_t at = 0;

	table->slots = calloc(SLOTS + 1, sizeof(*table->slots));
	if (!table->slots)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		while (at + 1 < table->v4_count && table->v4[at + 1].first <= slot << 16)
			at++;
		table->slots[slot] = (uint32_t)at;
	}
	table->slots[SLOTS] = table->v4_count ? (uint32_t)table->v4_count - 1 : 0;
	return 0;
}

static int parse_lines(struct range_table *table, struct slice text, const char *path,
		       struct err *err)
{
	for (size_t number = 1; text.len; number++) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct slice line = { text.ptr, end ? (size_t)(end - text.ptr) : text.len };
		int rc;

		text = slice_skip(text, line.len + 1);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		rc = add_line(table, line);
		if (rc == -EBADMSG)
			return err_set(err, rc, "%s:%zu: no FIRST,LAST,COUNTRY and no "
				       "FIRST,LAST,AS,NAME: %.*s", path, number,
				       line.len > 60 ? 60 : (int)line.len, line.ptr);
		if (rc < 0)
			return err_set(err, rc, "%s:%zu: %s", path, number, strerror(-rc));
	}
	return 0;
}

int range_open(struct range_table **tablep, struct slice text, const char *path, struct err *err)
{
	struct range_table *table = calloc(1, sizeof(*table));
	int rc;

	if (!table)
		return err_set(err, -ENOMEM, "no memory");
	rc = parse_lines(table, text, path, err);
	if (rc == 0) {
		settle_v4(table);
		settle_v6(table);
		rc = fill_slots(table);
		rc = rc < 0 ? err_set(err, rc, "no memory") : 0;
	}
	if (rc == 0 && range_count(table) == 0)
		rc = err_set(err, -EBADMSG, "%s: no range in it", path);
	free(table->places);
	table->places = NULL;
	if (rc < 0) {
		range_close(table);
		return rc;
	}
	*tablep = table;
	return 0;
}

void range_close(struct range_table *table)
{
	if (!table)
		return;
	free(table->v4);
	free(table->v6);
	free(table->slots);
	free(table->values);
	free(table->places);
	arena_close(&table->arena);
	free(table);
}

static const struct range_value *find_v4(const struct range_table *table, uint32_t v4)
{
	size_t low = table->slots[v4 >> 16], high = table->slots[(v4 >> 16) + 1];

	if (!table->v4_count)
		return NULL;
	while (low < high) {
		size_t middle = (low + high + 1) / 2;

		if (table->v4[middle].first <= v4)
			low = middle;
		else
			high = middle - 1;
	}
	return v4 >= table->v4[low].first && v4 <= table->v4[low].last
		       ? &table->values[table->v4[low].value] : NULL;
}

static const struct range_value *find_v6(const struct range_table *table, const struct ip *ip)
{
	const struct range6 *v6 = table->v6;
	size_t low = 0, high = table->v6_count;

	/* low: the first that begins behind the address */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (v6[middle].high < ip->high ||
		    (v6[middle].high == ip->high && v6[middle].low <= ip->low))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	v6 += low - 1;
	if (ip->high > v6->last_high || (ip->high == v6->last_high && ip->low > v6->last_low))
		return NULL;
	return &table->values[v6->value];
}

const struct range_value *range_find(const struct range_table *table, const struct ip *ip)
{
	return ip->is_v6 ? find_v6(table, ip) : find_v4(table, ip->v4);
}

size_t range_count(const struct range_table *table)
{
	return table->v4_count + table->v6_count;
}
