// SPDX-License-Identifier: Apache-2.0
#include "sink/line.h"

#include <math.h>

#include "lib/json.h"
#include "lib/record.h"
#include "tests/tap.h"

#define SMALL "{\"type\":\"record\",\"name\":\"x.T\",\"fields\":[" \
	"{\"name\":\"a\",\"type\":\"string\"}," \
	"{\"name\":\"g\",\"type\":{\"type\":\"record\",\"name\":\"x.G\",\"fields\":[" \
		"{\"name\":\"n\",\"type\":[\"null\",\"long\"],\"default\":null}," \
		"{\"name\":\"h\",\"type\":{\"type\":\"record\",\"name\":\"x.H\",\"fields\":[" \
			"{\"name\":\"r\",\"type\":[\"null\",\"double\"],\"default\":null}]}}]}}," \
	"{\"name\":\"properties\",\"type\":[\"null\",\"string\"],\"default\":null}," \
	"{\"name\":\"t\",\"type\":[\"null\",{\"type\":\"long\"," \
		"\"logicalType\":\"timestamp-micros\"}]," \
		"\"default\":null}," \
	"{\"name\":\"b\",\"type\":[\"null\",\"bytes\"],\"default\":null}," \
	"{\"name\":\"f\",\"type\":[\"null\",\"boolean\"],\"default\":null}]}"

enum { A, N, R, PROPERTIES, T, B, F, LEAVES };

#define TEXT(s) { .text = { s, sizeof(s) - 1 }, .is_set = true }
#define NUM(n)  { .num = n, .is_set = true }
#define REAL(n) { .real = n, .is_set = true }

static const struct {
	const char *words;
	struct value fields[LEAVES];
	bool nulls;
	const char *wanted;
} cases[] = {
	{ "nulls are named", { [A] = TEXT("x") }, true,
	  "{\"a\":\"x\",\"g\":{\"n\":null,\"h\":{\"r\":null}},\"properties\":null,\"t\":null,"
	  "\"b\":null,\"b_base64\":null,\"f\":null}\n" },
	{ "nulls are left out, and objects without members", { [A] = TEXT("x") }, false,
	  "{\"a\":\"x\"}\n" },
	{ "a leaf deep down opens what it needs", { [A] = TEXT(""), [R] = REAL(0.1) }, false,
	  "{\"a\":\"\",\"g\":{\"h\":{\"r\":0.1}}}\n" },
	{ "both levels, then back up", { [A] = TEXT("x"), [N] = NUM(-9223372036854775807 - 1),
	  [R] = REAL(1e300), [F] = NUM(1) }, false,
	  "{\"a\":\"x\",\"g\":{\"n\":-9223372036854775808,\"h\":{\"r\":1e+300}},\"f\":true}\n" },
	{ "JSON stands as it was sent", { [A] = TEXT("x"),
	  [PROPERTIES] = TEXT("{\"n\":1.10, \"big\":12345678901234567890}") }, false,
	  "{\"a\":\"x\",\"properties\":{\"n\":1.10, \"big\":12345678901234567890}}\n" },
	{ "JSON over two lines becomes one", { [A] = TEXT("x"), [PROPERTIES] =
		TEXT("{\"n\":\n1}") },
	  false, "{\"a\":\"x\",\"properties\":{\"n\":1}}\n" },
	{ "what is no JSON becomes text", { [A] = TEXT("x"), [PROPERTIES] = TEXT("{\"n\":}") },
	  false, "{\"a\":\"x\",\"properties\":\"{\\\"n\\\":}\"}\n" },
	{ "empty JSON too", { [A] = TEXT("x"), [PROPERTIES] = TEXT("") }, false,
	  "{\"a\":\"x\",\"properties\":\"\"}\n" },
	{ "a brace at a text's end is no object", { [A] = TEXT("{"), [N] = NUM(0) }, false,
	  "{\"a\":\"{\",\"g\":{\"n\":0}}\n" },
	{ "times", { [A] = TEXT("x"), [T] = NUM(1793491200123456) }, false,
	  "{\"a\":\"x\",\"t\":\"2026-11-01T00:00:00.123Z\"}\n" },
	{ "times before 1970", { [A] = TEXT("x"), [T] = NUM(-1) }, false,
	  "{\"a\":\"x\",\"t\":\"1969-12-31T23:59:59.999Z\"}\n" },
	{ "text is escaped", { [A] = TEXT("\"\\\n\x01\xff") }, false,
	  "{\"a\":\"\\\"\\\\\\n\\u0001\xef\xbf\xbd\"}\n" },
	{ "bytes that are text", { [A] = TEXT("x"), [B] = TEXT("h\xc3\xa9") }, true,
	  "{\"a\":\"x\",\"g\":{\"n\":null,\"h\":{\"r\":null}},\"properties\":null,\"t\":null,"
	  "\"b\":\"h\xc3\xa9\",\"b_base64\":null,\"f\":null}\n" },
	{ "bytes that are none", { [A] = TEXT("x"), [B] = TEXT("\x00\xff\xfe") }, false,
	  "{\"a\":\"x\",\"b_base64\":\"AP/+\"}\n" },
	{ "base64 with one = and two", { [A] = TEXT("x"), [B] = TEXT("\xff\xff") }, false,
	  "{\"a\":\"x\",\"b_base64\":\"//8=\"}\n" },
	{ "", { [A] = TEXT("x"), [B] = TEXT("\xff") }, false, "{\"a\":\"x\","
		"\"b_base64\":\"/w==\"}\n" },
	{ "a surrogate is not UTF-8", { [A] = TEXT("x"), [B] = TEXT("\xed\xa0\x80") }, false,
	  "{\"a\":\"x\",\"b_base64\":\"7aCA\"}\n" },
	{ "an overlong form neither", { [A] = TEXT("x"), [B] = TEXT("\xc0\x80") }, false,
	  "{\"a\":\"x\",\"b_base64\":\"wIA=\"}\n" },
	{ "nor a cut one", { [A] = TEXT("x"), [B] = TEXT("\xf0\x9f\x98") }, false,
	  "{\"a\":\"x\",\"b_base64\":\"8J+Y\"}\n" },
	{ "the greatest code point", { [A] = TEXT("x"), [B] = TEXT("\xf4\x8f\xbf\xbf") }, false,
	  "{\"a\":\"x\",\"b\":\"\xf4\x8f\xbf\xbf\"}\n" },
	{ "no number is null", { [A] = TEXT("x"), [R] = REAL(NAN) }, false,
	  "{\"a\":\"x\",\"g\":{\"h\":{\"r\":null}}}\n" },
	{ "a double keeps all its digits", { [A] = TEXT("x"), [R] = REAL(0.30000000000000004) },
		false,
	  "{\"a\":\"x\",\"g\":{\"h\":{\"r\":0.30000000000000004}}}\n" },
};

static void test_cases(struct tap *tap)
{
	struct schema *schema;
	struct err err = { "" };
	int rc = schema_parse(&schema, slice_from(SMALL), &err);

	if (!OK(tap, rc == 0, "the schema parses: %s", err.text))
		return;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = { 0 };
		struct line *line;

		rc = line_open(&line, schema, cases[i].nulls, &err);
		OK(tap, rc == 0 && line_print(line, cases[i].fields, &out) == 0 &&
			       slice_is(buf_slice(&out), cases[i].wanted),
		   "%s: %.*s", cases[i].words, (int)out.len - 1, out.ptr);
		line_close(line);
		buf_close(&out);
	}
	schema_close(schema);
}

/* Every topic's lines parse, and name every leaf. */
static void test_topics(struct tap *tap)
{
	static const char *const names[] = { "collected", "enriched", "bad", "counted" };
	struct value fields[SCHEMA_FIELDS_MAX] = { 0 };
	struct json_reader *json;
	struct err err = { "" };

	if (!OK(tap, json_open(&json, &err) == 0, "json"))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct schema *schema = record_schema(names[i]);
		struct buf out = { 0 }, small = { .limit = 50 };
		yyjson_val *root = NULL;
		struct line *line;
		int rc = line_open(&line, schema, true, &err);

		OK(tap, rc == 0 && line_print(line, fields, &out) == 0 &&
			       json_parse(json, buf_slice(&out), &root, &err) == 0 &&
			       yyjson_is_obj(root), "a line of %s is an object", names[i]);
		OK(tap, line_print(line, fields, &small) == -28, "%s: a limit is told", names[i]);
		buf_close(&out);
		buf_close(&small);
		line_close(line);
		schema_close(schema);
	}
	json_close(json);
}

int main(void)
{
	struct tap tap = { 0 };

	test_cases(&tap);
	test_topics(&tap);
	return tap_end(&tap);
}
