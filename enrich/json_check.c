// SPDX-License-Identifier: Apache-2.0
/* json_schema_check: a value against compiled nodes. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "enrich/json_schema.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MATCH_LIMIT  100000
#define UNIQUE_MAX   10000              /* items that are compared at all */

struct run {
	const struct json_schema *schema;
	const struct schema_report *report;
	int steps;
	int depth;
	int silent;                     /* inside of anyOf, not, if, ..: nothing is told */
	bool complex;
};

static bool check(struct run *run, const struct schema_node *node, yyjson_val *value,
		  const struct schema_place *place);

static bool fail(struct run *run, const struct schema_place *place, const char *rule)
{
	if (!run->silent && run->report->found)
		run->report->found(run->report->ctx, place, rule);
	return false;
}

/* Stop at the first failure? */
static bool is_enough(const struct run *run)
{
	return run->silent || !run->report->found || run->complex;
}

static bool step(struct run *run)
{
	if (++run->steps > JSON_SCHEMA_STEPS)
		run->complex = true;
	return !run->complex;
}

/* Numbers */

struct number {
	double real;
	int64_t num;
	bool is_num;            /* num is exact */
};

static struct number number_of(yyjson_val *value)
{
	struct number number = { .real = 0 };

	number.is_num = json_num(value, &number.num) == 0;
	if (json_real(value, &number.real) < 0)
		number.real = json_digits(value).len && json_digits(value).ptr[0] == '-'
				      ? -HUGE_VAL : HUGE_VAL;
	return number;
}

static int compare_numbers(const struct number *a, const struct number *b)
{
	if (a->is_num && b->is_num)
		return (a->num > b->num) - (a->num < b->num);
	return (a->real > b->real) - (a->real < b->real);
}

static bool is_whole(const struct number *number)
{
	return number->is_num || floor(number->real) == number->real;
}

static bool is_multiple(const struct number *a, const struct number *of)
{
	double quotient;

	if (a->is_num && of->is_num && of->num)
		return a->num % of->num == 0;
	quotient = a->real / of->real;
	if (isinf(quotient))
		return isfinite(a->real) && fmod(a->real, of->real) == 0;
	/* 0.0075 / 0.0001 is 75.00000000000001 */
	return fabs(quotient - nearbyint(quotient)) <= 4 * DBL_EPSILON * fabs(quotient);
}

/* Equality */

static yyjson_val *member_of(yyjson_val *object, yyjson_val *key)
{
	return yyjson_obj_getn(object, yyjson_get_str(key), yyjson_get_len(key));
}

static bool equals(struct run *run, yyjson_val *a, yyjson_val *b)
{
	if (!step(run))
		return false;
	if (json_is_num(a) || json_is_num(b)) {
		struct number x, y;

		if (!json_is_num(a) || !json_is_num(b))
			return false;
		x = number_of(a);
		y = number_of(b);
		return compare_numbers(&x, &y) == 0;
	}
	if (yyjson_get_type(a) != yyjson_get_type(b))
		return false;
	if (yyjson_is_str(a))
		return slice_eq(json_string(a), json_string(b));
	if (yyjson_is_bool(a))
		return yyjson_get_bool(a) == yyjson_get_bool(b);
	if (yyjson_is_arr(a)) {
		yyjson_arr_iter iter;
		yyjson_val *item, *other = yyjson_arr_get_first(b);

		if (yyjson_arr_size(a) != yyjson_arr_size(b))
			return false;
		yyjson_arr_iter_init(a, &iter);
		while ((item = yyjson_arr_iter_next(&iter))) {
			if (!equals(run, item, other))
				return false;
			other = unsafe_yyjson_get_next(other);
		}
	} else if (yyjson_is_obj(a)) {
		yyjson_obj_iter iter;
		yyjson_val *key;

		if (yyjson_obj_size(a) != yyjson_obj_size(b))
			return false;
		yyjson_obj_iter_init(a, &iter);
		while ((key = yyjson_obj_iter_next(&iter))) {
			yyjson_val *other = member_of(b, key);

			run->steps += (int)(yyjson_obj_size(b) / 16);
			if (!other || !equals(run, yyjson_obj_iter_get_val(key), other))
				return false;
		}
	}
	return true;
}

/* Equal values have equal hashes: numbers by value, members in any order. */
static uint64_t hash_of(struct run *run, yyjson_val *value)
{
	uint64_t seed = (uint64_t)yyjson_get_type(value), sum = 0;

	if (!step(run))
		return 0;
	if (json_is_num(value)) {
		double real = number_of(value).real + 0.0;      /* no -0 */

		return XXH3_64bits_withSeed(&real, sizeof(real), 99);
	}
	if (yyjson_is_str(value))
		return XXH3_64bits_withSeed(yyjson_get_str(value), yyjson_get_len(value), seed);
	if (yyjson_is_bool(value))
		return seed + yyjson_get_bool(value);
	if (yyjson_is_arr(value)) {
		yyjson_arr_iter iter;
		yyjson_val *item;

		yyjson_arr_iter_init(value, &iter);
		while ((item = yyjson_arr_iter_next(&iter)))
			sum = sum * 31 + hash_of(run, item);
	} else if (yyjson_is_obj(value)) {
		yyjson_obj_iter iter;
		yyjson_val *key;

		yyjson_obj_iter_init(value, &iter);
		while ((key = yyjson_obj_iter_next(&iter)))
			sum += XXH3_64bits_withSeed(yyjson_get_str(key), yyjson_get_len(key),
						    hash_of(run, yyjson_obj_iter_get_val(key)));
	}
	return XXH3_64bits_withSeed(&sum, sizeof(sum), seed);
}

struct hashed {
	uint64_t hash;
	yyjson_val *value;
};

static int compare_hashed(const void *a, const void *b)
{
	const struct hashed *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

static bool is_unique(struct run *run, yyjson_val *array)
{
	size_t count = yyjson_arr_size(array), n = 0;
	struct hashed few[64], *items = count > 64 ? NULL : few;
	bool unique = true;
	yyjson_arr_iter iter;
	yyjson_val *item;

	if (!items)
		items = count <= UNIQUE_MAX ? malloc(count * sizeof(*items)) : NULL;
	if (!items) {
		run->complex = true;
		return false;
	}
	yyjson_arr_iter_init(array, &iter);
	while ((item = yyjson_arr_iter_next(&iter)))
		items[n++] = (struct hashed){ hash_of(run, item), item };
	qsort(items, n, sizeof(*items), compare_hashed);
	for (size_t i = 0; i < n && unique && !run->complex; i++)
		for (size_t k = i + 1; k < n && items[k].hash == items[i].hash && unique; k++)
			unique = !equals(run, items[i].value, items[k].value) && !run->complex;
	if (items != few)
		free(items);
	return unique;
}

/* Parts */

static unsigned type_of(yyjson_val *value)
{
	struct number number;

	if (json_is_num(value)) {
		number = number_of(value);
		return SCHEMA_TYPE_NUMBER | (is_whole(&number) ? SCHEMA_TYPE_INTEGER : 0U);
	}
	return yyjson_is_str(value)  ? SCHEMA_TYPE_STRING
	     : yyjson_is_obj(value)  ? SCHEMA_TYPE_OBJECT
	     : yyjson_is_arr(value)  ? SCHEMA_TYPE_ARRAY
	     : yyjson_is_bool(value) ? SCHEMA_TYPE_BOOLEAN : SCHEMA_TYPE_NULL;
}

static bool matches(struct run *run, pcre2_code *pattern, struct slice text)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	pcre2_match_context *context = pcre2_match_context_create(NULL);
	int rc = -1;

	run->steps += 20;
	if (data && context) {
		pcre2_set_match_limit(context, MATCH_LIMIT);
		rc = pcre2_match(pattern, (PCRE2_SPTR)text.ptr, text.len, 0, PCRE2_NO_UTF_CHECK,
				 data, context);
	}
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		run->complex = true;
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	return rc >= 0;
}

static size_t length_of(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += (text.ptr[i] & 0xc0) != 0x80;
	return n;
}

static bool check_bound(struct run *run, const struct schema_node *node, int max, size_t n,
			const struct schema_place *place)
{
	static const char *const names[SCHEMA_BOUND_COUNT] = {
		"maxLength", "minLength", "maxItems", "minItems", "maxProperties",
		"minProperties",
	};
	bool good = true;

	if ((node->has_bound & 1U << max) && n > node->bounds[max])
		good = fail(run, place, names[max]);
	if ((node->has_bound & 2U << max) && n < node->bounds[max + 1])
		good = fail(run, place, names[max + 1]);
	return good;
}

static bool check_string(struct run *run, const struct schema_node *node, yyjson_val *value,
			 const struct schema_place *place)
{
	struct slice text = { yyjson_get_str(value), yyjson_get_len(value) };
	bool good = true;

	if (node->has_bound & 3U)
		good = check_bound(run, node, SCHEMA_BOUND_MAX_LENGTH, length_of(text), place);
	if (node->pattern && !matches(run, node->pattern, text))
		good = fail(run, place, "pattern");
	return good;
}

static bool check_number(struct run *run, const struct schema_node *node, yyjson_val *value,
			 const struct schema_place *place)
{
	static const char *const names[SCHEMA_LIMIT_COUNT] = {
		"maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf",
	};
	struct number number = number_of(value);
	bool good = true;

	for (int i = 0; i < SCHEMA_LIMIT_COUNT; i++) {
		struct number limit;
		bool holds;
		int order;

		if (!(node->has_limit & 1U << i))
			continue;
		limit = number_of(node->limits[i]);
		order = compare_numbers(&number, &limit);
		holds = i == SCHEMA_LIMIT_MAXIMUM	    ? order <= 0
		      : i == SCHEMA_LIMIT_EXCLUSIVE_MAXIMUM ? order < 0
		      : i == SCHEMA_LIMIT_MINIMUM	    ? order >= 0
		      : i == SCHEMA_LIMIT_EXCLUSIVE_MINIMUM ? order > 0
							    : is_multiple(&number, &limit);
		if (!holds)
			good = fail(run, place, names[i]);
	}
	return good;
}

static bool check_quietly(struct run *run, const struct schema_node *node, yyjson_val *value)
{
	bool good;

	run->silent++;
	good = check(run, node, value, NULL);
	run->silent--;
	return good;
}

static bool check_array(struct run *run, const struct schema_node *node, yyjson_val *value,
			const struct schema_place *place)
{
	bool good = true, contains = !node->contains;
	yyjson_arr_iter iter;
	yyjson_val *item;
	size_t i = 0;

	if (node->has_bound & 12U)
		good = check_bound(run, node, SCHEMA_BOUND_MAX_ITEMS, yyjson_arr_size(value),
				   place);
	if (node->unique && !is_unique(run, value))
		good = fail(run, place, "uniqueItems");
	yyjson_arr_iter_init(value, &iter);
	while ((item = yyjson_arr_iter_next(&iter)) && (good || !is_enough(run)) &&
	       !run->complex) {
		struct schema_place below = { place, NULL, i };
		const struct schema_node *rule = node->item;

		if (node->items.items)
			rule = i < node->items.count ? node->items.items[i]
						     : node->additional_items;
		if (rule && !check(run, rule, item, &below))
			good = false;
		contains = contains || check_quietly(run, node->contains, item);
		i++;
	}
	return contains ? good : fail(run, place, "contains");
}

static const struct schema_member *find_member(const struct schema_members *members,
					       struct slice name)
{
	size_t low = 0, high = members->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct schema_member *member = &members->items[middle];
		size_t len = member->name.len < name.len ? member->name.len : name.len;
		int order = memcmp(member->name.ptr, name.ptr, len);

		if (order == 0)
			order = (member->name.len > name.len) - (member->name.len < name.len);
		if (order == 0)
			return member;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool check_member(struct run *run, const struct schema_node *node, yyjson_val *key,
			 const struct schema_place *place)
{
	struct slice name = { yyjson_get_str(key), yyjson_get_len(key) };
	const struct schema_member *member = find_member(&node->properties, name);
	const struct schema_place below = { place, key, 0 };
	yyjson_val *value = yyjson_obj_iter_get_val(key);
	bool good = true, known = member;

	if (member)
		good = check(run, member->node, value, &below);
	for (size_t i = 0; i < node->patterns.count && !run->complex; i++) {
		if (!matches(run, node->patterns.items[i].pattern, name))
			continue;
		known = true;
		if (!check(run, node->patterns.items[i].node, value, &below))
			good = false;
	}
	if (node->names && !check_quietly(run, node->names, key))
		good = fail(run, &below, "propertyNames");
	if (known)
		return good;
	if (node->declared && !run->silent && run->report->found &&
	    (!node->additional || node->additional->never))
		run->report->found(run->report->ctx, &below, "undeclared");
	else if (node->additional && node->additional->never)
		good = fail(run, &below, "additionalProperties");
	else if (node->additional && !check(run, node->additional, value, &below))
		good = false;
	return good;
}

static bool has_all(struct run *run, yyjson_val *names, yyjson_val *object)
{
	yyjson_arr_iter iter;
	yyjson_val *name;

	yyjson_arr_iter_init(names, &iter);
	while ((name = yyjson_arr_iter_next(&iter))) {
		run->steps += 1 + (int)(yyjson_obj_size(object) / 16);
		if (yyjson_is_str(name) && !member_of(object, name))
			return false;
	}
	return true;
}

static bool check_object(struct run *run, const struct schema_node *node, yyjson_val *value,
			 const struct schema_place *place)
{
	bool good = true;
	yyjson_obj_iter iter;
	yyjson_val *key;

	if (node->has_bound & 48U)
		good = check_bound(run, node, SCHEMA_BOUND_MAX_PROPERTIES, yyjson_obj_size(value),
				   place);
	if (node->required && !has_all(run, node->required, value))
		good = fail(run, place, "required");
	yyjson_obj_iter_init(value, &iter);
	while ((good || !is_enough(run)) && !run->complex && (key = yyjson_obj_iter_next(&iter)))
		good &= check_member(run, node, key, place);
	for (size_t i = 0; i < node->dependencies.count; i++) {
		const struct schema_member *member = &node->dependencies.items[i];

		if (!yyjson_obj_getn(value, member->name.ptr, member->name.len))
			continue;
		if (member->names ? !has_all(run, member->names, value)
				  : !check_quietly(run, member->node, value))
			good = fail(run, place, "dependencies");
	}
	return good;
}

static bool check_logic(struct run *run, const struct schema_node *node, yyjson_val *value,
			const struct schema_place *place)
{
	bool good = true;
	size_t held = 0;

	for (size_t i = 0; i < node->all.count; i++)
		good &= check(run, node->all.items[i], value, place);
	for (size_t i = 0; i < node->any.count && !held; i++)
		held += check_quietly(run, node->any.items[i], value);
	if (node->any.count && !held)
		good = fail(run, place, "anyOf");
	held = 0;
	for (size_t i = 0; i < node->one.count; i++)
		held += check_quietly(run, node->one.items[i], value);
	if (node->one.count && held != 1)
		good = fail(run, place, "oneOf");
	if (node->not_node && check_quietly(run, node->not_node, value))
		good = fail(run, place, "not");
	if (node->if_node) {
		bool yes = check_quietly(run, node->if_node, value);
		const struct schema_node *rule = yes ? node->then_node : node->else_node;

		if (rule)
			good &= check(run, rule, value, place);
	}
	return good;
}

static bool check_enum(struct run *run, yyjson_val *enums, yyjson_val *value)
{
	yyjson_arr_iter iter;
	yyjson_val *item;

	yyjson_arr_iter_init(enums, &iter);
	while ((item = yyjson_arr_iter_next(&iter))) {
		if (equals(run, item, value))
			return true;
	}
	return false;
}

static bool check_node(struct run *run, const struct schema_node *node, yyjson_val *value,
		       const struct schema_place *place)
{
	unsigned type = type_of(value);
	bool good = true;

	if (node->never)
		return fail(run, place, "false");
	if (node->types && !(node->types & type))
		good = fail(run, place, "type");
	if (node->constant && !equals(run, node->constant, value))
		good = fail(run, place, "const");
	if (node->enums && !check_enum(run, node->enums, value))
		good = fail(run, place, "enum");
	if (!good && is_enough(run))
		return false;
	if (type == SCHEMA_TYPE_STRING)
		good &= check_string(run, node, value, place);
	else if (type == SCHEMA_TYPE_OBJECT)
		good &= check_object(run, node, value, place);
	else if (type == SCHEMA_TYPE_ARRAY)
		good &= check_array(run, node, value, place);
	else if (type & SCHEMA_TYPE_NUMBER && node->has_limit)
		good &= check_number(run, node, value, place);
	return (good || !is_enough(run)) ? check_logic(run, node, value, place) && good : false;
}

static bool check(struct run *run, const struct schema_node *node, yyjson_val *value,
		  const struct schema_place *place)
{
	bool good;

	if (!step(run))
		return false;
	if (run->depth == JSON_SCHEMA_DEPTH) {
		run->complex = true;
		return false;
	}
	run->depth++;
	good = node->ref ? check(run, node->ref, value, place)
			 : check_node(run, node, value, place);
	run->depth--;
	return good;
}

bool json_schema_check(const struct json_schema *schema, const struct schema_node *node,
		       yyjson_val *value, const struct schema_report *report)
{
	struct run run = { .schema = schema, .report = report };
	bool good = check(&run, node, value, report->place);

	if (run.complex) {
		run.silent = 0;
		return fail(&run, report->place, "complex");
	}
	return good;
}
