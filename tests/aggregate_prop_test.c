// SPDX-License-Identifier: Apache-2.0
/* Flattening of JSON, the order of values, their text. */
#include <errno.h>

#include "aggregate/prop.h"
#include "tests/tap.h"

static int put(void *ctx, struct slice name, const struct prop *value)
{
	struct buf *out = ctx;

	if (out->len)
		buf_append_char(out, ' ');
	buf_append_slice(out, name);
	buf_append_char(out, '=');
	prop_write_json(value, out);
	return 0;
}

static void test_flatten(struct tap *tap, struct json_reader *json)
{
	static const struct {
		const char *json, *wanted;
		uint32_t left_out;
	} cases[] = {
		{ "{}", "", 0 },
		{ "{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":false,\"e\":null}",
		  "a=1 b=\"x\" c=true d=false", 0 },
		{ "{\"a\":{\"b\":1,\"c\":{\"d\":\"x\",\"e\":{\"f\":2}}}}",
		  "a.b=1 a.c.d=\"x\" a.c.e.f=2", 0 },
		{ "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}}},\"z\":1}", "z=1", 1 },
		{ "{\"a\":[1,\"x\",true,null,2.5]}", "a=[1,\"x\",true,2.5]", 0 },
		{ "{\"a\":[]}", "", 0 },
		{ "{\"p\":[{\"sku\":\"A\",\"n\":1},{\"n\":2,\"sku\":\"B\"},{\"x\":{\"y\":3}}]}",
		  "p.n=[1,2] p.sku=[\"A\",\"B\"] p.x.y=[3]", 0 },
		{ "{\"p\":[1,{\"a\":2}]}", "p=[1] p.a=[2]", 0 },
		{ "{\"n\":-0.0,\"big\":12345678901234567890,\"huge\":1e400,"
		  "\"ok\":9007199254740992}",
		  "n=0 big=\"12345678901234567890\" huge=\"1e400\" ok=9007199254740992", 0 },
		{ "[1]", "", 0 },
		{ "{\"a\":0.1,\"b\":1e21,\"c\":-12.5}", "a=0.1 b=1e+21 c=-12.5", 0 },
	};
	struct buf scratch = { 0 }, out = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { "" };
		yyjson_val *root;
		uint32_t left_out;

		buf_reset(&out);
		if (json_parse(json, slice_from(cases[i].json), &root, &err) < 0 ||
		    prop_flatten(root, &scratch, put, &out, &left_out) < 0)
			left_out = UINT32_MAX;
		buf_append_char(&out, '\0');
		OK(tap, strcmp(out.ptr, cases[i].wanted) == 0 && left_out == cases[i].left_out,
		   "%s: %s, %u left out", cases[i].json, out.ptr, left_out);
	}
	buf_close(&scratch);
	buf_close(&out);
}

static int count_up(void *ctx, struct slice name, const struct prop *value)
{
	size_t *longest = ctx;

	(void)name;
	if (value->text.len > *longest)
		*longest = value->text.len;
	return 0;
}

static void test_bounds(struct tap *tap, struct json_reader *json)
{
	struct buf text = { 0 }, scratch = { 0 };
	yyjson_val *root;
	uint32_t left_out = 0;
	size_t longest = 0;

	buf_append_char(&text, '{');
	for (int i = 0; i < PROP_COUNT_MAX + 7; i++)
		buf_printf(&text, "%s\"k%d\":%d", i ? "," : "", i, i);
	buf_append_char(&text, '}');
	OK(tap, json_parse(json, buf_slice(&text), &root, NULL) == 0 &&
	   prop_flatten(root, &scratch, count_up, &longest, &left_out) == 0 && left_out == 7,
	   "%u over the number of properties", left_out);
	buf_reset(&text);
	buf_append_text(&text, "{\"a\":[");
	for (int i = 0; i < PROP_LIST_MAX + 5; i++)
		buf_printf(&text, "%s%d", i ? "," : "", i);
	buf_append_text(&text, "],\"t\":\"");
	for (int i = 0; i < PROP_TEXT_MAX; i++)
		buf_append_text(&text, "\xc3\xa4");
	buf_append_text(&text, "x\"}");
	OK(tap, json_parse(json, buf_slice(&text), &root, NULL) == 0 &&
	   prop_flatten(root, &scratch, count_up, &longest, &left_out) == 0 && left_out == 5 &&
	   longest == PROP_TEXT_MAX, "a long list, a long text: %u, %zu", left_out, longest);
	buf_close(&text);
	buf_close(&scratch);
}

static void test_order(struct tap *tap)
{
	const struct prop rising[] = {
		{ .kind = PROP_NONE }, { .kind = PROP_FALSE }, { .kind = PROP_TRUE },
		{ .kind = PROP_NUMBER, .number = -3 }, { .kind = PROP_NUMBER, .number = 0.5 },
		{ .kind = PROP_TEXT, .text = SLICE("") }, { .kind = PROP_TEXT, .text = SLICE("a") },
		{ .kind = PROP_TEXT, .text = SLICE("aa") },
		{ .kind = PROP_TEXT, .text = SLICE("b") },
		{ .kind = PROP_LIST, .text = SLICE("") },
	};
	int wrong = 0, n = sizeof(rising) / sizeof(rising[0]);

	for (int i = 0; i < n; i++)
		for (int k = 0; k < n; k++) {
			int order = prop_compare(&rising[i], &rising[k]);

			wrong += (order < 0) != (i < k) || (order > 0) != (i > k);
		}
	OK(tap, wrong == 0, "one order of all values");
}

/* Bytes of a list that are damaged end it. */
static void test_lists(struct tap *tap)
{
	static const struct slice bad[] = {
		SLICE_INIT("\x03" "1234567"), SLICE_INIT("\x04\x05" "abc"), SLICE_INIT("\x05"),
		SLICE_INIT("\x04\xff\xff\xff\xff\xff"), SLICE_INIT("\x09"), SLICE_INIT("\x04"),
	};
	int read = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct prop element;
		size_t at = 0;

		read += prop_next(bad[i], &at, &element);
	}
	OK(tap, read == 0, "damaged lists");
}

int main(void)
{
	struct tap tap = { 0 };
	struct json_reader *json;
	struct err err = { "" };

	if (json_open(&json, &err) < 0)
		return 1;
	test_flatten(&tap, json);
	test_bounds(&tap, json);
	test_order(&tap);
	test_lists(&tap);
	json_close(json);
	return tap_end(&tap);
}
