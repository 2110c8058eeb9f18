// SPDX-License-Identifier: Apache-2.0
#include "aggregate/formula.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define DEPTH_MAX 32

struct parser {
	struct formula *formula;
	struct slice text;
	size_t at;
	int measures, depth;
	struct err *err;
};

static int parse_sum(struct parser *parser);

static char peek(struct parser *parser)
{
	while (parser->at < parser->text.len && parser->text.ptr[parser->at] == ' ')
		parser->at++;
	return parser->at < parser->text.len ? parser->text.ptr[parser->at] : '\0';
}

static int add(struct parser *parser, char kind, int measure, double number)
{
	struct formula *formula = parser->formula;

	if (formula->count == FORMULA_PARTS_MAX)
		return err_set(parser->err, -EINVAL, "the formula has more than %d parts",
			       FORMULA_PARTS_MAX);
	formula->parts[formula->count++] = (struct formula_part){ kind, measure, number };
	return 0;
}

static int parse_number(struct parser *parser)
{
	char copy[32];
	size_t len = 0;
	double number;
	char *end;

	while (parser->at < parser->text.len && len < sizeof(copy) - 1 &&
	       strchr("0123456789.", parser->text.ptr[parser->at]))
		copy[len++] = parser->text.ptr[parser->at++];
	copy[len] = '\0';
	number = strtod(copy, &end);
	if (len == 0 || *end)
		return err_set(parser->err, -EINVAL, "'%s' is no number", copy);
	return add(parser, '0', 0, number);
}

static int parse_part(struct parser *parser)
{
	char c = peek(parser);
	int rc;

	if (c == '(' || c == '-') {
		if (++parser->depth > DEPTH_MAX)
			return err_set(parser->err, -EINVAL, "the formula is too deep");
		parser->at++;
		rc = c == '(' ? parse_sum(parser) : parse_part(parser);
		parser->depth--;
		if (rc < 0 || c == '-')
			return rc < 0 ? rc : add(parser, '~', 0, 0);
		if (peek(parser) != ')')
			return err_set(parser->err, -EINVAL, "')' is missing at byte %zu",
				       parser->at);
		parser->at++;
		return 0;
	}
	if (c >= 'A' && c <= 'Z') {
		if (c - 'A' >= parser->measures)
			return err_set(parser->err, -EINVAL, "there is no measure %c", c);
		parser->at++;
		return add(parser, 'A', c - 'A', 0);
	}
	if ((c >= '0' && c <= '9') || c == '.')
		return parse_number(parser);
	return err_set(parser->err, -EINVAL, "a letter, a number or '(' is needed at byte %zu",
		       parser->at);
}

static int parse_product(struct parser *parser)
{
	int rc = parse_part(parser);

	while (rc == 0 && (peek(parser) == '*' || peek(parser) == '/')) {
		char kind = parser->text.ptr[parser->at++];

		rc = parse_part(parser);
		if (rc == 0)
			rc = add(parser, kind, 0, 0);
	}
	return rc;
}

static int parse_sum(struct parser *parser)
{
	int rc = parse_product(parser);

	while (rc == 0 && (peek(parser) == '+' || peek(parser) == '-')) {
		char kind = parser->text.ptr[parser->at++];

		rc = parse_product(parser);
		if (rc == 0)
			rc = add(parser, kind, 0, 0);
	}
	return rc;
}

int formula_parse(struct formula *formula, struct slice text, int measures, struct err *err)
{
	struct parser parser = { .formula = formula, .text = text, .measures = measures,
				 .err = err };
	int rc;

	formula->count = 0;
	rc = parse_sum(&parser);
	if (rc == 0 && peek(&parser))
		rc = err_set(err, -EINVAL, "'%c' at byte %zu is not understood", peek(&parser),
			     parser.at);
	return rc;
}

double formula_value(const struct formula *formula, const double *measures)
{
	double stack[FORMULA_PARTS_MAX + 1] = { NAN };
	int top = 0;

	for (int i = 0; i < formula->count; i++) {
		const struct formula_part *part = &formula->parts[i];
		double b;

		if (part->kind == 'A' || part->kind == '0') {
			stack[top++] = part->kind == 'A' ? measures[part->measure] : part->number;
			continue;
		}
		b = stack[top - 1];
		if (part->kind == '~') {
			stack[top - 1] = -b;
			continue;
		}
		top--;
		stack[top - 1] = part->kind == '+'   ? stack[top - 1] + b
				 : part->kind == '-' ? stack[top - 1] - b
				 : part->kind == '*' ? stack[top - 1] * b
				 : b == 0	      ? NAN
						      : stack[top - 1] / b;
	}
	return isfinite(stack[0]) ? stack[0] : NAN;
}
