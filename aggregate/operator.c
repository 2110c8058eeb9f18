// SPDX-License-Identifier: Apache-2.0
#include "aggregate/operator.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define SECOND      INT64_C(1000000)
#define MATCH_LIMIT 100000              /* steps of a regular expression on one value */
#define PATTERN_MAX 1000

enum test {
	TEST_IS, TEST_CONTAINS, TEST_STARTS, TEST_ENDS, TEST_MATCHES, TEST_SET, TEST_EQUAL,
	TEST_MORE, TEST_MORE_EQUAL, TEST_LESS, TEST_LESS_EQUAL, TEST_BETWEEN, TEST_ON, TEST_BEFORE,
	TEST_AFTER, TEST_IN_LAST, TEST_BEFORE_LAST, TEST_TRUE, TEST_FALSE
};

enum wants { WANTS_ANY, WANTS_TEXTS, WANTS_NUMBER, WANTS_TWO, WANTS_DATE, WANTS_SPAN, WANTS_NONE };

enum cast { CAST_NONE, CAST_STRING, CAST_NUMBER, CAST_BOOLEAN, CAST_DATE, CAST_LIST };

static const struct {
	const char *name;
	enum test test;
	bool is_not;
	enum wants wants;
} operators[] = {
	{ "is", TEST_IS, false, WANTS_ANY }, { "is_not", TEST_IS, true, WANTS_ANY },
	{ "contains", TEST_CONTAINS, false, WANTS_TEXTS },
	{ "not_contains", TEST_CONTAINS, true, WANTS_TEXTS },
	{ "starts_with", TEST_STARTS, false, WANTS_TEXTS },
	{ "ends_with", TEST_ENDS, false, WANTS_TEXTS },
	{ "matches", TEST_MATCHES, false, WANTS_TEXTS },
	{ "not_matches", TEST_MATCHES, true, WANTS_TEXTS },
	{ "is_set", TEST_SET, false, WANTS_NONE }, { "is_not_set", TEST_SET, true, WANTS_NONE },
	{ "=", TEST_EQUAL, false, WANTS_NUMBER }, { "!=", TEST_EQUAL, true, WANTS_NUMBER },
	{ ">", TEST_MORE, false, WANTS_NUMBER }, { ">=", TEST_MORE_EQUAL, false, WANTS_NUMBER },
	{ "<", TEST_LESS, false, WANTS_NUMBER }, { "<=", TEST_LESS_EQUAL, false, WANTS_NUMBER },
	{ "between", TEST_BETWEEN, false, WANTS_TWO },
	{ "not_between", TEST_BETWEEN, true, WANTS_TWO },
	{ "on", TEST_ON, false, WANTS_DATE }, { "before", TEST_BEFORE, false, WANTS_DATE },
	{ "after", TEST_AFTER, false, WANTS_DATE },
	{ "in_last", TEST_IN_LAST, false, WANTS_SPAN },
	{ "not_in_last", TEST_IN_LAST, true, WANTS_SPAN },
	{ "before_last", TEST_BEFORE_LAST, false, WANTS_SPAN },
	{ "is_true", TEST_TRUE, false, WANTS_NONE }, { "is_false", TEST_FALSE, false, WANTS_NONE },
};

#define OPERATORS (sizeof(operators) / sizeof(operators[0]))

struct operator {
	enum test test;
	enum cast cast;
	bool is_not;
	bool all_elements;
	bool with_dates;                /* of between */
	size_t count;
	struct prop *values;            /* owned, with texts in `bytes` */
	char *bytes;                    /* owned */
	pcre2_code **codes;             /* [count], owned; NULL: no patterns */
	pcre2_match_context *context;   /* owned */
	int64_t from_us, to_us;         /* of dates: half open */
	const struct zone *zone;        /* borrowed while parsing; text dates need it later, so
	                                   the question's range outlives its predicates */
};

void operator_close(struct operator *operator)
{
	if (!operator)
		return;
	for (size_t i = 0; operator->codes && i < operator->count; i++)
		pcre2_code_free(operator->codes[i]);
	free(operator->codes);
	pcre2_match_context_free(operator->context);
	free(operator->values);
	free(operator->bytes);
	free(operator);
}

/* Testing */

static bool number_of(struct slice text, double *number)
{
	char copy[64], *end;

	if (text.len == 0 || text.len >= sizeof(copy) || text.ptr[0] == ' ')
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("0123456789+-.eE", copy[i]))
			return false;
	*number = strtod(copy, &end);
	return end == copy + text.len && isfinite(*number);
}

static bool word_is(struct slice text, const char *word)
{
	return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

/* The value as the question wants it; scratch holds a text that had to be made. */
static struct prop cast_value(enum cast cast, const struct prop *value, struct buf *scratch)
{
	struct prop made = *value;

	if (cast == CAST_STRING && value->kind != PROP_TEXT) {
		prop_print(value, scratch);
		made = (struct prop){ .kind = PROP_TEXT, .text = buf_slice(scratch) };
	} else if (cast == CAST_NUMBER && value->kind == PROP_TEXT) {
		made.kind = number_of(value->text, &made.number) ? PROP_NUMBER : PROP_NONE;
	} else if (cast == CAST_NUMBER && value->kind <= PROP_TRUE) {
		made = (struct prop){ .kind = PROP_NUMBER, .number = value->kind == PROP_TRUE };
	} else if (cast == CAST_BOOLEAN && value->kind == PROP_TEXT) {
		made.kind = word_is(value->text, "true")    ? PROP_TRUE
			    : word_is(value->text, "false") ? PROP_FALSE
							    : PROP_NONE;
	} else if (cast == CAST_BOOLEAN && value->kind == PROP_NUMBER) {
		made.kind = value->number == 0 ? PROP_FALSE : PROP_TRUE;
	}
	return made;
}

static bool date_of(const struct operator *operator, const struct prop *value, int64_t *us)
{
	bool is_date;

	if (value->kind == PROP_TEXT)
		return question_instant(value->text, operator->zone, us, &is_date) == 0;
	if (value->kind != PROP_NUMBER || operator->cast != CAST_DATE ||
	    fabs(value->number) > 1e14)
		return false;
	/* Seconds since 1970 until the year 5138, else milliseconds. */
	*us = (int64_t)(value->number * (fabs(value->number) < 1e11 ? 1e6 : 1e3));
	return true;
}

static bool test_text(const struct operator *operator, const struct prop *value)
{
	pcre2_match_data *match;
	bool found = false;

	if (value->kind != PROP_TEXT)
		return false;
	match = pcre2_match_data_create(1, NULL);
	for (size_t i = 0; match && !found && i < operator->count; i++)
		found = pcre2_match(operator->codes[i], (PCRE2_SPTR)value->text.ptr,
				    value->text.len, 0, 0, match, operator->context) >= 0;
	pcre2_match_data_free(match);
	return found;
}

static bool test_number(const struct operator *operator, const struct prop *value)
{
	double a = value->number, b = operator->values[0].number;

	if (value->kind != PROP_NUMBER)
		return false;
	switch (operator->test) {
	case TEST_EQUAL: {
		bool found = false;

		for (size_t i = 0; i < operator->count; i++)
			found |= a == operator->values[i].number;
		return found;
	}
	case TEST_MORE:
		return a > b;
	case TEST_MORE_EQUAL:
		return a >= b;
	case TEST_LESS:
		return a < b;
	case TEST_LESS_EQUAL:
		return a <= b;
	default:
		return a >= b && a <= operator->values[1].number;
	}
}

static bool test_is(const struct operator *operator, const struct prop *value)
{
	for (size_t i = 0; i < operator->count; i++)
		if (value->kind == operator->values[i].kind &&
		    prop_compare(value, &operator->values[i]) == 0)
			return true;
	return false;
}

static bool test_one(const struct operator *operator, const struct prop *given)
{
	struct buf scratch = { 0 };
	struct prop value = cast_value(operator->cast, given, &scratch);
	bool is = false;
	int64_t us;

	switch (operator->test) {
	case TEST_IS:
		is = test_is(operator, &value);
		break;
	case TEST_CONTAINS:
	case TEST_STARTS:
	case TEST_ENDS:
	case TEST_MATCHES:
		is = test_text(operator, &value);
		break;
	case TEST_SET:
		is = value.kind != PROP_NONE;
		break;
	case TEST_TRUE:
		is = value.kind == PROP_TRUE;
		break;
	case TEST_FALSE:
		is = value.kind == PROP_FALSE;
		break;
	default:
		if (operator->test <= TEST_BETWEEN && !operator->with_dates)
			is = test_number(operator, &value);
		else if (date_of(operator, &value, &us))
			is = us >= operator->from_us && us < operator->to_us;
	}
	buf_close(&scratch);
	return is;
}

bool operator_test(const struct operator *operator, const struct prop *value)
{
	struct prop element;
	size_t at = 0;
	bool any = false, all = true;

	if (value->kind == PROP_NONE)
		return operator->is_not;
	if (value->kind != PROP_LIST || operator->test == TEST_SET ||
	    operator->cast == CAST_STRING)
		return test_one(operator, value) != operator->is_not;
	while (prop_next(value->text, &at, &element)) {
		bool is = test_one(operator, &element);

		any |= is;
		all &= is != operator->is_not;
	}
	/* A negative operator on "any" means: none is. */
	return operator->all_elements ? at > 0 && all : any != operator->is_not;
}

/* Parsing */

static int take_value(struct operator *operator, yyjson_val *node, enum wants wants, size_t *used,
		      struct prop *value)
{
	struct slice text = json_string(node);

	*value = (struct prop){ 0 };
	if (text.ptr && wants != WANTS_NUMBER) {
		memcpy(operator->bytes + *used, text.ptr, text.len);
		*value = (struct prop){ .kind = PROP_TEXT,
					.text = { operator->bytes + *used, text.len } };
		*used += text.len;
		return 0;
	}
	if (json_is_num(node) && wants != WANTS_TEXTS && wants != WANTS_DATE) {
		value->kind = PROP_NUMBER;
		if (json_real(node, &value->number) < 0)
			return -EINVAL;
		value->number += 0.0;   /* no -0 */
		return 0;
	}
	if (yyjson_is_bool(node) && wants == WANTS_ANY) {
		value->kind = yyjson_get_bool(node) ? PROP_TRUE : PROP_FALSE;
		return 0;
	}
	return -EINVAL;
}

static int take_values(struct operator *operator, yyjson_val *values, enum wants wants,
		       const char *at, struct question_error *error)
{
	static const char *const words[] = { "texts, numbers, true or false are", "texts are",
		"a number is", "two numbers or two dates are", "a date is" };
	size_t i, count, bytes = 1, used = 0;
	yyjson_val *node;
	char place[160];

	yyjson_arr_foreach(values, i, count, node)
		bytes += json_string(node).len;
	operator->count = yyjson_arr_size(values);
	operator->values = calloc(operator->count + 2, sizeof(*operator->values));
	operator->bytes = malloc(bytes);
	if (!operator->values || !operator->bytes)
		return question_fail_scan(error, -ENOMEM);
	yyjson_arr_foreach(values, i, count, node) {
		question_at_index(place, at, NULL, i);
		if (take_value(operator, node, wants, &used, &operator->values[i]) < 0)
			return question_fail(error, place, "bad_value", "%s needed",
					     words[wants]);
	}
	return 0;
}

static int compile(struct operator *operator, const char *at, struct question_error *error)
{
	uint32_t flags = PCRE2_CASELESS | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
	char words[120], place[160];
	PCRE2_SIZE where;
	int code;

	if (operator->test != TEST_MATCHES)
		flags |= PCRE2_LITERAL;
	else
		flags |= PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP;
	if (operator->test == TEST_STARTS)
		flags |= PCRE2_ANCHORED;
	if (operator->test == TEST_ENDS)
		flags |= PCRE2_ENDANCHORED;
	operator->codes = calloc(operator->count + 1, sizeof(pcre2_code *));
	operator->context = pcre2_match_context_create(NULL);
	if (!operator->codes || !operator->context)
		return question_fail_scan(error, -ENOMEM);
	pcre2_set_match_limit(operator->context, MATCH_LIMIT);
	for (size_t i = 0; i < operator->count; i++) {
		struct slice text = operator->values[i].text;

		question_at_index(place, at, NULL, i);
		if (text.len > PATTERN_MAX)
			return question_fail(error, place, "bad_value", "at most %d bytes are "
					     "looked for", PATTERN_MAX);
		operator->codes[i] = pcre2_compile((PCRE2_SPTR)text.ptr, text.len, flags, &code,
						   &where, NULL);
		if (operator->codes[i]) {
			/* Without JIT it is slower, but the same. */
			(void)pcre2_jit_compile(operator->codes[i], PCRE2_JIT_COMPLETE);
			continue;
		}
		pcre2_get_error_message(code, (PCRE2_UCHAR *)words, sizeof(words));
		return question_fail(error, place, "bad_value", "no regular expression: %s at "
				     "byte %zu", words, (size_t)where);
	}
	return 0;
}

/* [from, to) of what an on, before, after or between means. */
static int take_dates(struct operator *operator, const char *at, struct question_error *error)
{
	int64_t us[2] = { 0, 0 }, ends[2] = { 0, 0 }, starts[2] = { 0, 0 };
	char place[160];

	for (size_t i = 0; i < operator->count && i < 2; i++) {
		bool is_date;

		question_at_index(place, at, NULL, i);
		if (question_instant(operator->values[i].text, operator->zone, &us[i],
				     &is_date) < 0)
			return question_fail(error, place, "bad_value", "a date such as "
					     "2026-11-01 or an instant such as "
					     "2026-11-01T10:00:00Z is needed");
		starts[i] = us[i];
		ends[i] = us[i] + 1;
		if (is_date || operator->test == TEST_ON) {
			starts[i] = zone_start(operator->zone, ZONE_DAY, us[i]);
			ends[i] = zone_add(operator->zone, ZONE_DAY, starts[i], 1);
		}
	}
	operator->from_us = operator->test == TEST_BEFORE   ? INT64_MIN
			    : operator->test == TEST_AFTER ? ends[0]
							   : starts[0];
	operator->to_us = operator->test == TEST_BEFORE	   ? starts[0]
			  : operator->test == TEST_AFTER   ? INT64_MAX
			  : operator->test == TEST_BETWEEN ? ends[1]
							   : ends[0];
	return 0;
}

static int take_span(struct operator *operator, yyjson_val *values, const char *at,
		     int64_t now_us, struct question_error *error)
{
	char place[160];
	int64_t span;
	int rc;

	question_at_index(place, at, NULL, 0);
	rc = question_duration(yyjson_arr_get(values, 0), place, &span, error);
	if (rc < 0)
		return rc;
	operator->from_us = operator->test == TEST_IN_LAST ? now_us - span : INT64_MIN;
	operator->to_us = operator->test == TEST_IN_LAST ? now_us + 1 : now_us - span;
	return 0;
}

static int check_two(struct operator *operator, const char *at, struct question_error *error)
{
	if (operator->count != 2 || operator->values[0].kind != operator->values[1].kind)
		return question_fail(error, at, "bad_value", "two numbers or two dates are needed");
	operator->with_dates = operator->values[0].kind == PROP_TEXT;
	return operator->with_dates ? take_dates(operator, at, error) : 0;
}

static int parse_values(struct operator *operator, yyjson_val *leaf, enum wants wants,
			const char *leaf_at, int64_t now_us, struct question_error *error)
{
	yyjson_val *values = json_get(leaf, "values");
	size_t count = yyjson_arr_size(values);
	char at[160];
	int rc;

	question_at(at, leaf_at, "values");
	if (wants == WANTS_NONE)
		return values && count ? question_fail(error, at, "bad_value", "this operator "
						       "takes no values") : 0;
	if (!yyjson_is_arr(values) || count < 1 || count > OPERATOR_VALUES_MAX)
		return question_fail(error, at, "bad_value", "a list of 1 to %d values is needed",
				     OPERATOR_VALUES_MAX);
	if (count != 1 && (wants == WANTS_DATE || wants == WANTS_SPAN ||
			   (wants == WANTS_NUMBER && operator->test != TEST_EQUAL)))
		return question_fail(error, at, "bad_value", "this operator takes one value");
	if (wants == WANTS_SPAN)
		return take_span(operator, values, at, now_us, error);
	rc = take_values(operator, values, wants, at, error);
	if (rc < 0)
		return rc;
	return wants == WANTS_TEXTS  ? compile(operator, at, error)
	       : wants == WANTS_DATE ? take_dates(operator, at, error)
	       : wants == WANTS_TWO  ? check_two(operator, at, error)
				     : 0;
}

int operator_parse(struct operator **operatorp, yyjson_val *leaf, const char *at,
		   const struct zone *zone, int64_t now_us, struct question_error *error)
{
	static const char *const casts[] = { "", "string", "number", "boolean", "date", "list",
					     NULL };
	static const char *const elements[] = { "any", "all", NULL };
	struct operator *operator = calloc(1, sizeof(*operator));
	struct slice name = json_text(leaf, "op");
	int cast = CAST_NONE, all = 0, rc;
	char place[160];
	size_t i = 0;

	*operatorp = NULL;
	if (!operator)
		return question_fail_scan(error, -ENOMEM);
	question_at(place, at, "op");
	while (i < OPERATORS && !(name.ptr && slice_is(name, operators[i].name)))
		i++;
	if (i == OPERATORS) {
		rc = question_fail(error, place, "bad_operator", "an operator is needed, such as "
				   "is, contains, >, between, is_set");
		goto out;
	}
	operator->test = operators[i].test;
	operator->is_not = operators[i].is_not;
	operator->zone = zone;
	rc = question_word(leaf, "type", at, casts, &cast, error);
	if (rc == 0)
		rc = question_word(leaf, "elements", at, elements, &all, error);
	operator->cast = (enum cast)cast;
	operator->all_elements = all;
	if (rc == 0)
		rc = parse_values(operator, leaf, operators[i].wants, at, now_us, error);
out:
	if (rc < 0) {
		operator_close(operator);
		return rc;
	}
	*operatorp = operator;
	return 0;
}
