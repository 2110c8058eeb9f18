// SPDX-License-Identifier: Apache-2.0
#include "aggregate/prop.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int prop_compare(const struct prop *a, const struct prop *b)
{
	size_t least;
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind < PROP_NUMBER)
		return 0;
	if (a->kind == PROP_NUMBER)
		return a->number < b->number ? -1 : a->number > b->number;
	least = a->text.len < b->text.len ? a->text.len : b->text.len;
	order = least ? memcmp(a->text.ptr, b->text.ptr, least) : 0;
	if (order)
		return order;
	return a->text.len < b->text.len ? -1 : a->text.len > b->text.len;
}

/* Lists */

bool prop_next(struct slice list, size_t *at, struct prop *element)
{
	size_t n = *at, len = 0;

	if (n >= list.len)
		return false;
	*element = (struct prop){ .kind = (enum prop_kind)(uint8_t)list.ptr[n++] };
	if (element->kind == PROP_NUMBER) {
		if (list.len - n < sizeof(element->number))
			return false;
		memcpy(&element->number, list.ptr + n, sizeof(element->number));
		*at = n + sizeof(element->number);
		return !isnan(element->number);
	}
	if (element->kind == PROP_FALSE || element->kind == PROP_TRUE) {
		*at = n;
		return true;
	}
	if (element->kind != PROP_TEXT)
		return false;
	for (int shift = 0;; shift += 7) {
		if (n >= list.len || shift > 21)
			return false;
		len |= (size_t)((uint8_t)list.ptr[n] & 127) << shift;
		if (!((uint8_t)list.ptr[n++] & 128))
			break;
	}
	if (len > list.len - n)
		return false;
	element->text = (struct slice){ list.ptr + n, len };
	*at = n + len;
	return true;
}

void prop_list_add(struct buf *list, const struct prop *element)
{
	size_t len = element->text.len;

	assert(element->kind > PROP_NONE && element->kind < PROP_LIST);
	buf_append_char(list, (char)element->kind);
	if (element->kind == PROP_NUMBER)
		buf_append(list, &element->number, sizeof(element->number));
	if (element->kind != PROP_TEXT)
		return;
	for (; len > 127; len >>= 7)
		buf_append_char(list, (char)(len | 128));
	buf_append_char(list, (char)len);
	buf_append_slice(list, element->text);
}

/* Text */

static void print_number(double number, struct buf *out)
{
	char text[40];

	/* Whole numbers without an exponent, as far as a double counts exactly. */
	if (fabs(number) < 9007199254740992.0 && number == floor(number)) {
		snprintf(text, sizeof(text), "%.0f", number);
	} else {
		for (int digits = 15; digits <= 17; digits++) {
			snprintf(text, sizeof(text), "%.*g", digits, number);
			if (strtod(text, NULL) == number)
				break;
		}
	}
	buf_append_text(out, text);
}

void prop_print(const struct prop *prop, struct buf *out)
{
	struct prop element;
	size_t at = 0;

	switch (prop->kind) {
	case PROP_NONE:
		return;
	case PROP_FALSE:
	case PROP_TRUE:
		buf_append_text(out, prop->kind == PROP_TRUE ? "true" : "false");
		return;
	case PROP_NUMBER:
		print_number(prop->number, out);
		return;
	case PROP_TEXT:
		buf_append_slice(out, prop->text);
		return;
	case PROP_LIST:
		buf_append_char(out, '[');
		for (bool more = false; prop_next(prop->text, &at, &element); more = true) {
			if (more)
				buf_append_text(out, ", ");
			prop_print(&element, out);
		}
		buf_append_char(out, ']');
	}
}

void prop_write_json(const struct prop *prop, struct buf *out)
{
	struct prop element;
	size_t at = 0;

	switch (prop->kind) {
	case PROP_NONE:
		buf_append_text(out, "null");
		return;
	case PROP_FALSE:
	case PROP_TRUE:
	case PROP_NUMBER:
		prop_print(prop, out);
		return;
	case PROP_TEXT:
		json_write_text(prop->text, out);
		return;
	case PROP_LIST:
		buf_append_char(out, '[');
		for (bool more = false; prop_next(prop->text, &at, &element); more = true) {
			if (more)
				buf_append_char(out, ',');
			prop_write_json(&element, out);
		}
		buf_append_char(out, ']');
	}
}

/* Flattening */

/* A scalar inside an array of objects, under its whole name. */
struct member {
	size_t name, name_len;          /* in scratch */
	uint32_t index;                 /* keeps the order of the array */
	struct prop value;
};

#define MEMBERS_MAX 1024

struct flatten {
	struct buf *scratch;            /* the name so far, [0, name_len); then a list */
	prop_take_fn *take;
	void *ctx;
	uint32_t *left_out;
	uint32_t count;
};

/* At most PROP_TEXT_MAX bytes, and no half of a character. */
static struct slice cut(struct slice text)
{
	size_t len = PROP_TEXT_MAX;

	if (text.len <= len)
		return text;
	while (len && ((uint8_t)text.ptr[len] & 0xc0) == 0x80)
		len--;
	return (struct slice){ text.ptr, len };
}

/* A whole number that no double holds is an id: its digits stay as a text. */
static bool is_exact(struct slice digits, double real)
{
	char text[32];

	for (size_t i = 0; i < digits.len; i++)
		if ((digits.ptr[i] < '0' || digits.ptr[i] > '9') && (i || digits.ptr[i] != '-'))
			return true;
	if (digits.len <= 15)
		return true;
	if (digits.len >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.0f", real);
	return slice_is(digits, text);
}

static struct prop scalar(yyjson_val *value)
{
	struct prop prop = { PROP_NONE, 0, { NULL, 0 } };
	struct slice digits = json_digits(value);

	if (yyjson_is_str(value)) {
		prop.kind = PROP_TEXT;
		prop.text = cut(json_string(value));
	} else if (digits.len) {
		prop.kind = PROP_NUMBER;
		if (json_real(value, &prop.number) < 0 || !isfinite(prop.number) ||
		    !is_exact(digits, prop.number)) {
			prop.kind = PROP_TEXT;
			prop.text = cut(digits);
		}
		prop.number += 0.0;     /* no -0 */
	} else if (yyjson_is_bool(value)) {
		prop.kind = yyjson_get_bool(value) ? PROP_TRUE : PROP_FALSE;
	}
	return prop;
}

static int give(struct flatten *flatten, struct slice name, const struct prop *prop)
{
	if (flatten->count >= PROP_COUNT_MAX) {
		++*flatten->left_out;
		return 0;
	}
	flatten->count++;
	return flatten->take(flatten->ctx, name, prop);
}

static int compare_members(const void *a, const void *b, void *ctx)
{
	const struct member *x = a, *y = b;
	const char *names = ctx;
	size_t least = x->name_len < y->name_len ? x->name_len : y->name_len;
	int order = memcmp(names + x->name, names + y->name, least);

	if (order)
		return order;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Appends a name: a copy of that at [at, at + len) of scratch, a dot, and the key. */
static size_t add_name(struct buf *scratch, size_t at, size_t len, struct slice key)
{
	size_t begin = scratch->len;

	if (!buf_reserve(scratch, len + 1 + key.len))
		return 0;
	buf_append(scratch, scratch->ptr + at, len);
	if (len)
		buf_append_char(scratch, '.');
	buf_append_slice(scratch, key);
	return begin;
}

struct members {
	struct member all[MEMBERS_MAX];
	uint32_t count;
};

static void add_member(struct flatten *flatten, struct members *members, size_t name, size_t len,
		       const struct prop *value)
{
	if (members->count >= MEMBERS_MAX) {
		++*flatten->left_out;
		return;
	}
	members->all[members->count] = (struct member){ name, len, members->count, *value };
	members->count++;
}

/* The scalars of one element of an array, each with its name in scratch. */
static void gather(struct flatten *flatten, size_t name, size_t name_len, yyjson_val *value,
		   int depth, struct members *members)
{
	struct buf *scratch = flatten->scratch;
	struct prop prop = scalar(value);
	yyjson_val *key, *child;
	size_t i, max;

	if (prop.kind != PROP_NONE) {
		add_member(flatten, members, name, name_len, &prop);
	} else if (yyjson_is_obj(value) && depth <= PROP_DEPTH_MAX) {
		yyjson_obj_foreach(value, i, max, key, child) {
			size_t at = add_name(scratch, name, name_len, json_string(key));

			gather(flatten, at, scratch->len - at, child, depth + 1, members);
		}
	} else if (yyjson_is_arr(value) && depth <= PROP_DEPTH_MAX) {
		yyjson_arr_foreach(value, i, max, child)
			gather(flatten, name, name_len, child, depth + 1, members);
	} else if (!yyjson_is_null(value)) {
		++*flatten->left_out;
	}
}

/* An array: the scalars in it by name, one list for each name. */
static int give_list(struct flatten *flatten, size_t name, size_t name_len, yyjson_val *array,
		     int depth)
{
	struct buf *scratch = flatten->scratch;
	size_t before = scratch->len;
	struct members members;
	yyjson_val *child;
	size_t i, max;
	int rc = 0;

	members.count = 0;
	yyjson_arr_foreach(array, i, max, child)
		gather(flatten, name, name_len, child, depth, &members);
	if (scratch->failed)
		return -ENOMEM;
	qsort_r(members.all, members.count, sizeof(members.all[0]), compare_members,
		scratch->ptr);
	for (i = 0; i < members.count && rc >= 0;) {
		const struct member *first = &members.all[i];
		size_t from = scratch->len, n = 0;
		struct prop list = { PROP_LIST, 0, { NULL, 0 } };

		for (; i < members.count && members.all[i].name_len == first->name_len &&
		       memcmp(scratch->ptr + members.all[i].name, scratch->ptr + first->name,
			      first->name_len) == 0; i++)
			if (n++ < PROP_LIST_MAX)
				prop_list_add(scratch, &members.all[i].value);
			else
				++*flatten->left_out;
		if (scratch->failed)
			return -ENOMEM;
		list.text = (struct slice){ scratch->ptr + from, scratch->len - from };
		rc = give(flatten, (struct slice){ scratch->ptr + first->name, first->name_len },
			  &list);
	}
	scratch->len = before;
	return rc;
}

static int give_object(struct flatten *flatten, size_t name, size_t name_len, yyjson_val *object,
		       int depth)
{
	struct buf *scratch = flatten->scratch;
	yyjson_val *key, *child;
	size_t i, max;
	int rc = 0;

	yyjson_obj_foreach(object, i, max, key, child) {
		struct prop prop = scalar(child);
		size_t at;

		if (yyjson_is_null(child))
			continue;
		if (name_len == 0 && prop.kind != PROP_NONE) {
			rc = give(flatten, json_string(key), &prop);
			if (rc < 0)
				return rc;
			continue;
		}
		at = add_name(scratch, name, name_len, json_string(key));
		if (scratch->failed)
			return -ENOMEM;
		if (prop.kind != PROP_NONE)
			rc = give(flatten, slice_skip(buf_slice(scratch), at), &prop);
		else if (depth >= PROP_DEPTH_MAX)
			++*flatten->left_out;
		else if (yyjson_is_obj(child))
			rc = give_object(flatten, at, scratch->len - at, child, depth + 1);
		else
			rc = give_list(flatten, at, scratch->len - at, child, depth + 1);
		if (rc < 0)
			return rc;
		scratch->len = at;
	}
	return 0;
}

int prop_flatten(yyjson_val *object, struct buf *scratch, prop_take_fn *take, void *ctx,
		 uint32_t *left_out)
{
	struct flatten flatten = { scratch, take, ctx, left_out, 0 };

	buf_reset(scratch);
	*left_out = 0;
	return yyjson_is_obj(object) ? give_object(&flatten, 0, 0, object, 0) : 0;
}
