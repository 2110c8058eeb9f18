// SPDX-License-Identifier: Apache-2.0
#include "sink/template.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/when.h"

#define NAME_MAX_LEN 200

enum value_kind { VALUE_NIL, VALUE_TEXT, VALUE_NUM, VALUE_FLAG, VALUE_TREE };

struct tvalue {
	enum value_kind kind;
	struct slice text;              /* all but NIL; of TREE: its JSON */
	yyjson_val *tree;
	bool is_raw, is_encoded;
};

struct run {
	const char *begin, *at, *end;
	const struct template_scope *scope;     /* NULL: only checked */
	enum template_escape escape;
	struct buf *out;
	struct buf tmp[2];              /* of filters, in turn */
	int turn, depth;
	char name[NAME_MAX_LEN];        /* the value's, for words */
	struct err *err;
};

static int wrong(const struct run *r, const char *words, struct slice what)
{
	int line = 1;

	for (const char *at = r->begin; at < r->at && at < r->end; at++)
		line += *at == '\n';
	return err_set(r->err, -EBADMSG, "template, line %d: %s%.*s", line, words,
		       (int)(what.len < 60 ? what.len : 60), what.len ? what.ptr : "");
}

/* Reading */

static void skip_blanks(struct run *r)
{
	while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
		r->at++;
}

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static struct slice take_word(struct run *r)
{
	const char *from;

	skip_blanks(r);
	from = r->at;
	/* A minus is part of a word where one more letter comes: `first-name`, not `-}}`. */
	while (r->at < r->end && (is_word_byte(*r->at) ||
				  (*r->at == '-' && r->at > from && r->at + 1 < r->end &&
				   is_word_byte(r->at[1]))))
		r->at++;
	return (struct slice){ from, (size_t)(r->at - from) };
}

static bool take(struct run *r, const char *text)
{
	size_t len = strlen(text);

	skip_blanks(r);
	if ((size_t)(r->end - r->at) < len || memcmp(r->at, text, len) != 0)
		return false;
	r->at += len;
	return true;
}

/* The end of a tag, with or without `-`, which takes the blanks behind it, too. */
static bool take_end(struct run *r, const char *close)
{
	bool trims = take(r, "-");

	if (!take(r, close))
		return false;
	if (trims)
		skip_blanks(r);
	return true;
}

static int take_string(struct run *r, struct slice *text)
{
	char quote = *r->at++;
	const char *end = memchr(r->at, quote, (size_t)(r->end - r->at));

	if (!end)
		return wrong(r, "a text in quotes has no end", SLICE(""));
	*text = (struct slice){ r->at, (size_t)(end - r->at) };
	r->at = end + 1;
	return 0;
}

/* Values */

static struct buf *scratch(struct run *r)
{
	struct buf *buf = &r->tmp[r->turn ^= 1];

	buf->limit = TEMPLATE_OUT_MAX;
	buf_reset(buf);
	return buf;
}

static void set_text(struct tvalue *value, const struct buf *buf)
{
	value->kind = VALUE_TEXT;
	value->text = buf_slice(buf);
	value->tree = NULL;
}

static void from_json(struct run *r, yyjson_val *json, struct tvalue *value)
{
	struct buf *buf;

	*value = (struct tvalue){ .kind = VALUE_NIL };
	if (!json || yyjson_is_null(json))
		return;
	value->tree = json;
	if (yyjson_is_str(json)) {
		value->kind = VALUE_TEXT;
		value->text = json_string(json);
	} else if (json_is_num(json)) {
		value->kind = VALUE_NUM;
		value->text = json_digits(json);
	} else if (yyjson_is_bool(json)) {
		value->kind = VALUE_FLAG;
		value->text = yyjson_get_bool(json) ? SLICE("true") : SLICE("false");
	} else {
		buf = scratch(r);
		json_write(json, buf);
		value->kind = VALUE_TREE;
		value->text = buf_slice(buf);
	}
}

static yyjson_val *member(yyjson_val *tree, struct slice name)
{
	yyjson_val *found = NULL;

	if (yyjson_is_obj(tree))
		found = yyjson_obj_getn(tree, name.ptr, name.len);
	return found && !yyjson_is_null(found) ? found : NULL;
}

/* name, then .word or ["text"] as often as they come. */
static int take_path(struct run *r, struct slice word, struct tvalue *value)
{
	const char *from = word.ptr;
	yyjson_val *tree = NULL;
	struct slice step;
	int rc;

	if (r->scope) {
		tree = member(r->scope->own, word);
		if (!tree)
			tree = member(r->scope->all, word);
	}
	while (r->at < r->end && (*r->at == '.' || *r->at == '[')) {
		if (*r->at++ == '.') {
			step = take_word(r);
			if (!step.len)
				return wrong(r, "a name is wanted after the dot", SLICE(""));
		} else {
			skip_blanks(r);
			if (r->at == r->end || (*r->at != '"' && *r->at != '\''))
				return wrong(r, "[\"name\"] is wanted", SLICE(""));
			if ((rc = take_string(r, &step)) < 0)
				return rc;
			if (!take(r, "]"))
				return wrong(r, "] is missing", SLICE(""));
		}
		tree = member(tree, step);
	}
	snprintf(r->name, sizeof(r->name), "%.*s", (int)(r->at - from), from);
	from_json(r, tree, value);
	return 0;
}

static int take_number(struct run *r, struct tvalue *value)
{
	const char *from = r->at;

	if (*r->at == '-')
		r->at++;
	while (r->at < r->end && ((*r->at >= '0' && *r->at <= '9') || *r->at == '.'))
		r->at++;
	value->kind = VALUE_NUM;
	value->text = (struct slice){ from, (size_t)(r->at - from) };
	return 0;
}

static int take_value(struct run *r, struct tvalue *value)
{
	struct slice word;

	*value = (struct tvalue){ .kind = VALUE_NIL };
	skip_blanks(r);
	if (r->at < r->end && (*r->at == '"' || *r->at == '\'')) {
		value->kind = VALUE_TEXT;
		return take_string(r, &value->text);
	}
	if (r->at < r->end && ((*r->at >= '0' && *r->at <= '9') ||
			       (*r->at == '-' && r->at + 1 < r->end && r->at[1] >= '0' &&
				r->at[1] <= '9')))
		return take_number(r, value);
	word = take_word(r);
	if (!word.len)
		return wrong(r, "a name is wanted, as in {{ first_name }}", SLICE(""));
	if (slice_is(word, "true") || slice_is(word, "false")) {
		value->kind = VALUE_FLAG;
		value->text = word;
		return 0;
	}
	if (slice_is(word, "nil") || slice_is(word, "null") || slice_is(word, "empty"))
		return 0;
	return take_path(r, word, value);
}

static bool to_real(const struct tvalue *value, double *real)
{
	char text[64], *end;

	if (value->kind == VALUE_NIL || value->kind == VALUE_TREE || !value->text.len ||
	    value->text.len >= sizeof(text))
		return false;
	memcpy(text, value->text.ptr, value->text.len);
	text[value->text.len] = '\0';
	*real = strtod(text, &end);
	return !*end && isfinite(*real);
}

static bool is_true(const struct tvalue *value)
{
	return value->kind != VALUE_NIL && value->text.len &&
	       !(value->kind == VALUE_FLAG && slice_is(value->text, "false"));
}

/* Filters */

static void put_date(struct run *r, struct tvalue *value, struct slice format)
{
	static const char *const months[] = { "January", "February", "March", "April", "May",
		"June", "July", "August", "September", "October", "November", "December" };
	static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday",
		"Friday", "Saturday" };
	struct buf *buf;
	char text[40];
	int64_t us;
	time_t s;
	struct tm tm;

	snprintf(text, sizeof(text), "%.*sT00:00:00Z",
		 (int)(value->text.len < 20 ? value->text.len : 20),
		 value->text.len ? value->text.ptr : "");
	if (slice_is(value->text, "now"))
		us = when_now_us();
	else if (when_parse(value->text, &us) < 0 && when_parse(slice_from(text), &us) < 0)
		return;
	s = (time_t)(us / 1000000 - (us % 1000000 < 0));
	gmtime_r(&s, &tm);
	buf = scratch(r);
	for (size_t i = 0; i < format.len; i++) {
		char c = format.ptr[i];

		if (c != '%' || i + 1 == format.len) {
			buf_append_char(buf, c);
			continue;
		}
		c = format.ptr[++i];
		if (c == 'Y')
			buf_printf(buf, "%d", tm.tm_year + 1900);
		else if (c == 'y')
			buf_printf(buf, "%02d", tm.tm_year % 100);
		else if (c == 'm')
			buf_printf(buf, "%02d", tm.tm_mon + 1);
		else if (c == 'd')
			buf_printf(buf, "%02d", tm.tm_mday);
		else if (c == 'e')
			buf_printf(buf, "%d", tm.tm_mday);
		else if (c == 'H')
			buf_printf(buf, "%02d", tm.tm_hour);
		else if (c == 'M')
			buf_printf(buf, "%02d", tm.tm_min);
		else if (c == 'S')
			buf_printf(buf, "%02d", tm.tm_sec);
		else if (c == 'B' || c == 'b')
			buf_printf(buf, "%.*s", c == 'b' ? 3 : 12, months[tm.tm_mon]);
		else if (c == 'A' || c == 'a')
			buf_printf(buf, "%.*s", c == 'a' ? 3 : 12, days[tm.tm_wday]);
		else
			buf_append_char(buf, c);
	}
	set_text(value, buf);
}

static void put_case(struct run *r, struct tvalue *value, char first, char rest)
{
	struct buf *buf = scratch(r);

	for (size_t i = 0; i < value->text.len; i++) {
		char c = value->text.ptr[i], to = i ? rest : first;

		if (to == 'U' && c >= 'a' && c <= 'z')
			c = (char)(c - 32);
		if (to == 'L' && c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		buf_append_char(buf, c);
	}
	set_text(value, buf);
}

static void put_sum(struct run *r, struct tvalue *value, char op, double by)
{
	struct buf *buf;
	double real;

	if (!to_real(value, &real))
		return;
	buf = scratch(r);
	if (op == 'r' && by >= 0 && by <= 15)
		buf_printf(buf, "%.*f", (int)by, real);
	else
		buf_printf(buf, "%.15g", op == '+' ? real + by : op == '-' ? real - by
								: op == '*' ? real * by : real);
	set_text(value, buf);
	value->kind = VALUE_NUM;
}

/* By characters, with .. behind it where something was cut. */
static void truncate_text(struct run *r, struct tvalue *value, double count)
{
	struct buf *buf = scratch(r);
	size_t i = 0, chars = 0;

	for (; i < value->text.len; i++)
		if (((unsigned char)value->text.ptr[i] & 0xc0) != 0x80 && (double)chars++ >= count)
			break;
	buf_append(buf, value->text.ptr, i);
	if (i < value->text.len)
		buf_append_text(buf, "\xe2\x80\xa6");
	set_text(value, buf);
}

static void strip(struct tvalue *value)
{
	struct slice *s = &value->text;

	while (s->len && strchr(" \t\r\n", s->ptr[s->len - 1]))
		s->len--;
	while (s->len && strchr(" \t\r\n", s->ptr[0]))
		*s = slice_skip(*s, 1);
}

static void put_json(struct run *r, struct tvalue *value)
{
	struct buf *buf;

	if (value->kind != VALUE_TEXT && value->kind != VALUE_NIL)
		return;
	buf = scratch(r);
	if (value->kind == VALUE_NIL)
		buf_append_text(buf, "null");
	else
		json_write_text(value->text, buf);
	set_text(value, buf);
}

static const struct filter_rule {
	const char *name;
	char op;
	char wants;             /* argument: 0 none, 't' text, 'n' number, 'v' any */
	double fallback;        /* 'n' without one; NAN: it must be there */
} filters[] = {
	{ "default", 'd', 'v', 0 }, { "upcase", 'U', 0, 0 }, { "downcase", 'L', 0, 0 },
	{ "capitalize", 'C', 0, 0 }, { "strip", 's', 0, 0 }, { "truncate", 't', 'n', 50 },
	{ "round", 'r', 'n', 0 }, { "plus", '+', 'n', NAN }, { "minus", '-', 'n', NAN },
	{ "times", '*', 'n', NAN }, { "date", 'D', 't', 0 }, { "url_encode", 'u', 0, 0 },
	{ "json", 'j', 0, 0 }, { "raw", 'R', 0, 0 }, { "escape", 'e', 0, 0 },
};

static void apply(struct run *r, char op, const struct tvalue *arg, double num,
		  struct tvalue *value)
{
	struct buf *buf;

	if (op == 'd') {
		if (!is_true(value))
			*value = *arg;
	} else if (op == 'j') {
		put_json(r, value);
	} else if (value->kind == VALUE_NIL) {
		return;
	} else if (op == 'U' || op == 'L') {
		put_case(r, value, op, op);
	} else if (op == 'C') {
		put_case(r, value, 'U', ' ');
	} else if (op == 's') {
		strip(value);
	} else if (op == 't') {
		truncate_text(r, value, num);
	} else if (op == 'D') {
		put_date(r, value, arg->text);
	} else if (op == 'u') {
		buf = scratch(r);
		template_escape(value->text, TEMPLATE_URL, buf);
		set_text(value, buf);
		value->is_encoded = true;
	} else if (op == 'R') {
		value->is_raw = true;
	} else if (op != 'e') {                 /* escape: done anyway */
		put_sum(r, value, op, num);
	}
}

/* The argument of default may be a text that lies in a scratch: it is looked at before one more
 * is used. */
static int take_filter(struct run *r, struct tvalue *value)
{
	struct slice name = take_word(r);
	const struct filter_rule *rule = NULL;
	struct tvalue arg = { .kind = VALUE_NIL };
	char kept[NAME_MAX_LEN];
	double num;
	int rc;

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (slice_is(name, filters[i].name))
			rule = &filters[i];
	if (!rule)
		return wrong(r, "no such filter: ", name);
	num = rule->fallback;
	if (take(r, ":")) {
		if (!rule->wants)
			return wrong(r, "this filter has no argument: ", name);
		memcpy(kept, r->name, sizeof(kept));
		if ((rc = take_value(r, &arg)) < 0)
			return rc;
		memcpy(r->name, kept, sizeof(kept));
		if (rule->wants == 'n' && r->scope && !to_real(&arg, &num))
			return wrong(r, "a number is wanted behind ", name);
		if (rule->wants == 'n' && !r->scope)
			num = 0;
	} else if (rule->wants && rule->wants != 'n') {
		return wrong(r, "an argument is wanted, as in default: \"x\", behind ", name);
	} else if (rule->wants && isnan(num)) {
		return wrong(r, "a number is wanted behind ", name);
	}
	apply(r, rule->op, &arg, num, value);
	return 0;
}

/* Output */

static void put_encoded(unsigned char c, struct buf *out)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    strchr("-._~", c))
		buf_append_char(out, (char)c);
	else
		buf_printf(out, "%%%02X", c);
}

static const char *replace(char c, enum template_escape escape)
{
	if (escape == TEMPLATE_HTML || escape == TEMPLATE_SLACK) {
		switch (c) {
		case '&':
			return "&amp;";
		case '<':
			return "&lt;";
		case '>':
			return "&gt;";
		case '"':
			return escape == TEMPLATE_HTML ? "&quot;" : NULL;
		case '\'':
			return escape == TEMPLATE_HTML ? "&#39;" : NULL;
		}
	}
	return NULL;
}

void template_escape(struct slice text, enum template_escape escape, struct buf *out)
{
	struct buf clean = { 0 };

	json_clean_utf8(text, &clean);
	for (size_t i = 0; i < clean.len; i++) {
		char c = clean.ptr[i];
		const char *instead = replace(c, escape);
		bool is_control = ((unsigned char)c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;

		if (escape == TEMPLATE_URL) {
			put_encoded((unsigned char)c, out);
			continue;
		}
		if (is_control || (escape == TEMPLATE_LINE && (unsigned char)c < 0x20))
			c = ' ';
		if (escape == TEMPLATE_MARKDOWN && c && strchr("\\*_~`|>#[]()", c))
			buf_append_char(out, '\\');
		if (instead)
			buf_append_text(out, instead);
		else
			buf_append_char(out, c);
	}
	if (clean.failed)
		out->failed = true;
	buf_close(&clean);
}

static void put_value(struct run *r, const struct tvalue *value)
{
	enum template_escape escape = r->escape;

	if (value->is_encoded && escape == TEMPLATE_URL)
		escape = TEMPLATE_LINE;
	if (value->is_raw && escape != TEMPLATE_LINE && escape != TEMPLATE_URL)
		escape = TEMPLATE_TEXT;
	template_escape(value->text, escape, r->out);
}

static int take_output(struct run *r, bool is_live)
{
	struct tvalue value;
	int rc;

	r->name[0] = '\0';
	rc = take_value(r, &value);
	while (rc == 0 && take(r, "|"))
		rc = take_filter(r, &value);
	if (rc < 0)
		return rc;
	if (!take_end(r, "}}"))
		return wrong(r, "}} is missing behind ", slice_from(r->name));
	if (!is_live || !r->scope)
		return 0;
	if (value.kind == VALUE_NIL || !value.text.len)
		return r->scope->is_strict
		       ? err_set(r->err, -ENODATA, "no value for %s, and no default", r->name) : 0;
	put_value(r, &value);
	return 0;
}

/* Conditions */

static bool equal(const struct tvalue *a, const struct tvalue *b)
{
	double x, y;

	if (a->kind == VALUE_NIL || b->kind == VALUE_NIL)
		return !a->text.len && !b->text.len;
	if ((a->kind == VALUE_NUM || b->kind == VALUE_NUM) && to_real(a, &x) && to_real(b, &y))
		return x <= y && x >= y;
	return a->text.len == b->text.len && memcmp(a->text.ptr, b->text.ptr, a->text.len) == 0;
}

static bool compare(const char *op, const struct tvalue *a, const struct tvalue *b)
{
	double x, y;

	if (op[0] == '=' || op[0] == '!')
		return equal(a, b) == (op[0] == '=');
	if (op[0] == 'c')
		return a->text.len && b->text.len &&
		       memmem(a->text.ptr, a->text.len, b->text.ptr, b->text.len);
	if (!to_real(a, &x) || !to_real(b, &y))
		return false;
	if (op[0] == '>')
		return op[1] ? x >= y : x > y;
	return op[1] ? x <= y : x < y;
}

static int take_comparison(struct run *r, bool *holds)
{
	static const char *const ops[] = { "==", "!=", ">=", "<=", ">", "<", "contains" };
	struct tvalue a, b;
	int rc = take_value(r, &a);

	if (rc < 0)
		return rc;
	*holds = is_true(&a);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (!take(r, ops[i]))
			continue;
		rc = take_value(r, &b);
		if (rc == 0)
			*holds = compare(ops[i], &a, &b);
		return rc;
	}
	return 0;
}

static int take_condition(struct run *r, bool *holds)
{
	int rc = take_comparison(r, holds);

	while (rc == 0) {
		bool next = false;

		if (take(r, "and ")) {
			rc = take_comparison(r, &next);
			*holds = *holds && next;
		} else if (take(r, "or ")) {
			rc = take_comparison(r, &next);
			*holds = *holds || next;
		} else {
			break;
		}
	}
	if (rc == 0 && !take_end(r, "%}"))
		return wrong(r, "%} is missing", SLICE(""));
	return rc;
}

/* Tags */

static int take_text(struct run *r, bool is_live, bool is_inner, struct slice *stop);

/* After `if`: branches until endif. */
static int take_if(struct run *r, bool is_live, bool is_unless)
{
	bool holds = false, done = false, has_else = false;
	struct slice stop;
	int rc = take_condition(r, &holds);

	if (++r->depth > TEMPLATE_DEPTH_MAX)
		return wrong(r, "too many {% if %} in each other", SLICE(""));
	holds = holds != is_unless;
	while (rc == 0) {
		rc = take_text(r, is_live && holds && !done, true, &stop);
		if (rc < 0)
			return rc;
		done |= holds;
		if (slice_is(stop, is_unless ? "endunless" : "endif"))
			break;
		if (slice_is(stop, "elsif") && !has_else) {
			rc = take_condition(r, &holds);
			continue;
		}
		if (!slice_is(stop, "else") || has_else)
			return wrong(r, "no place for this tag: ", stop);
		has_else = holds = true;
		if (!take_end(r, "%}"))
			return wrong(r, "%} is missing behind else", SLICE(""));
	}
	r->depth--;
	if (rc == 0 && !take_end(r, "%}"))
		return wrong(r, "%} is missing behind ", stop);
	return rc;
}

static int take_tag(struct run *r, bool is_live, bool is_inner, struct slice *stop)
{
	struct slice word;

	take(r, "-");
	word = take_word(r);
	if (slice_is(word, "if") || slice_is(word, "unless"))
		return take_if(r, is_live, word.ptr[0] == 'u');
	if (!is_inner || !(slice_is(word, "else") || slice_is(word, "elsif") ||
			   slice_is(word, "endif") || slice_is(word, "endunless")))
		return wrong(r, "if, unless, elsif, else, endif are known, not ", word);
	*stop = word;
	return 1;
}

static void put_text(struct run *r, const char *to, bool is_live)
{
	size_t len = (size_t)(to - r->at);

	/* {%- and {{- take the blanks before them. */
	if (r->end - to > 2 && to[2] == '-')
		while (len && strchr(" \t\r\n", r->at[len - 1]))
			len--;
	if (is_live && r->scope)
		buf_append(r->out, r->at, len);
	r->at = to;
}

static const char *find_tag(const struct run *r)
{
	const char *at = r->at;

	while (at < r->end && (at = memchr(at, '{', (size_t)(r->end - at)))) {
		if (at + 1 < r->end && (at[1] == '{' || at[1] == '%'))
			return at;
		at++;
	}
	return r->end;
}

/* 0: the end of all; inner: ends at a tag that is not its own, which is *stop. */
static int take_text(struct run *r, bool is_live, bool is_inner, struct slice *stop)
{
	int rc;

	for (;;) {
		put_text(r, find_tag(r), is_live);
		if (r->at == r->end)
			return is_inner ? wrong(r, "{% endif %} is missing", SLICE("")) : 0;
		r->at += 2;
		if (r->at[-1] == '{') {
			take(r, "-");
			rc = take_output(r, is_live);
		} else {
			rc = take_tag(r, is_live, is_inner, stop);
			if (rc == 1)
				return 0;
		}
		if (rc < 0)
			return rc;
	}
}

static int run(struct run *r, const char *text)
{
	struct slice stop;
	int rc;

	r->begin = r->at = text ? text : "";
	r->end = r->at + strlen(r->at);
	rc = take_text(r, true, false, &stop);
	if (rc == 0 && (r->tmp[0].failed || r->tmp[1].failed || (r->out && r->out->failed)))
		rc = err_set(r->err, -ENOMEM, "template: the text becomes too long");
	buf_close(&r->tmp[0]);
	buf_close(&r->tmp[1]);
	return rc;
}

int template_check(const char *text, struct err *err)
{
	return run(&(struct run){ .err = err }, text);
}

int template_print(const char *text, enum template_escape escape,
		   const struct template_scope *scope, struct buf *out, struct err *err)
{
	struct run r = { .scope = scope, .escape = escape, .out = out, .err = err };

	return run(&r, text);
}
