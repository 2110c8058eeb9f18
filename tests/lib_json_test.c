// SPDX-License-Identifier: Apache-2.0
#include "lib/json.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "tests/guard.h"
#include "tests/tap.h"

#define TEXT(literal) "" literal, sizeof(literal) - 1

struct row {
	const char *text;
	size_t len;
	const char *written;    /* NULL: refused */
	const char *said;
};

static const struct row rows[] = {
	/* taken */
	{ TEXT("{}"), "{}", "empty object" },
	{ TEXT("[]"), "[]", "empty array" },
	{ TEXT(" [ 1 ,\t{ } , [ ] ,\r\n\"a\" ] "), "[1,{},[],\"a\"]", "white space" },
	{ TEXT("{\"a\":{\"b\":[[],{}]},\"c\":null}"), "{\"a\":{\"b\":[[],{}]},\"c\":null}",
	  "nesting" },
	{ TEXT("true"), "true", "a lone literal" },
	{ TEXT("-0"), "-0", "minus zero keeps its sign" },
	{ TEXT("\"\""), "\"\"", "empty string" },
	{ TEXT("[1e400]"), "[1e400]", "a number over any double" },
	{ TEXT("[123456789012345678901234567890]"), "[123456789012345678901234567890]",
	  "30 digits" },
	{ TEXT("[1.10,1E+2,0.1e-7]"), "[1.10,1E+2,0.1e-7]", "digits as they were sent" },
	{ TEXT("[12345]"), "[12345]", "number at the end" },
	{ TEXT("\"\\u0000\""), "\"\\u0000\"", "an escaped NUL" },
	{ TEXT("\"\\b\\f\\n\\r\\t\\\"\\\\\\/\""), "\"\\b\\f\\n\\r\\t\\\"\\\\/\"", "short escapes" },
	{ TEXT("\"\\u000b\\u001f\\u007f\""), "\"\\u000b\\u001f\x7f\"", "other control characters" },
	{ TEXT("\"\\u00e9\\ud83d\\ude00\""), "\"\xc3\xa9\xf0\x9f\x98\x80\"", "escapes to UTF-8" },
	{ TEXT("\"0123456\\\"89abcdef\\n\""), "\"0123456\\\"89abcdef\\n\"",
	  "escapes around words" },
	{ TEXT("{\"a\":1,\"a\":2}"), "{\"a\":1,\"a\":2}", "a key twice is kept twice" },
	{ TEXT("{\"\":0}"), "{\"\":0}", "an empty key" },
	{ TEXT("\"\xef\xbf\xbe\""), "\"\xef\xbf\xbe\"", "a noncharacter" },
	/* refused */
	{ TEXT(""), NULL, "empty text" },
	{ TEXT("  "), NULL, "white space alone" },
	{ TEXT("\xef\xbb\xbf{}"), NULL, "byte order mark" },
	{ TEXT("{} x"), NULL, "trailing garbage" },
	{ TEXT("{}{}"), NULL, "two texts" },
	{ TEXT("[1,]"), NULL, "trailing comma" },
	{ TEXT("{\"a\":1,}"), NULL, "trailing comma in an object" },
	{ TEXT("[1 2]"), NULL, "no comma" },
	{ TEXT("{a:1}"), NULL, "bare key" },
	{ TEXT("{'a':1}"), NULL, "single quotes" },
	{ TEXT("{\"a\" 1}"), NULL, "no colon" },
	{ TEXT("{1:1}"), NULL, "number as key" },
	{ TEXT("[1"), NULL, "array not closed" },
	{ TEXT("{\"a\":"), NULL, "object not closed" },
	{ TEXT("\"abc"), NULL, "string not closed" },
	{ TEXT("[}"), NULL, "wrong bracket" },
	{ TEXT("NaN"), NULL, "NaN" },
	{ TEXT("[-Infinity]"), NULL, "Infinity" },
	{ TEXT("[01]"), NULL, "leading zero" },
	{ TEXT("[+1]"), NULL, "plus sign" },
	{ TEXT("[1.]"), NULL, "no digit after the point" },
	{ TEXT("[.5]"), NULL, "no digit before the point" },
	{ TEXT("[1e]"), NULL, "no exponent" },
	{ TEXT("[0x10]"), NULL, "hexadecimal" },
	{ TEXT("[-]"), NULL, "minus alone" },
	{ TEXT("// c\n[]"), NULL, "comment" },
	{ TEXT("[\"a\0b\"]"), NULL, "NUL in a string" },
	{ TEXT("[\0]"), NULL, "NUL between values" },
	{ TEXT("[]\0"), NULL, "NUL at the end" },
	{ TEXT("\"a\nb\""), NULL, "line feed in a string" },
	{ TEXT("\"\\x\""), NULL, "unknown escape" },
	{ TEXT("\"\\u12g4\""), NULL, "broken escape" },
	{ TEXT("\"\\ud800\""), NULL, "lone high surrogate" },
	{ TEXT("\"\\udc00\""), NULL, "lone low surrogate" },
	{ TEXT("\"\\ud800\\u0041\""), NULL, "high surrogate and a letter" },
	{ TEXT("\"\xff\""), NULL, "0xff" },
	{ TEXT("\"\xc0\xaf\""), NULL, "overlong form" },
	{ TEXT("\"\xed\xa0\x80\""), NULL, "surrogate in UTF-8" },
	{ TEXT("\"\xf4\x90\x80\x80\""), NULL, "over U+10FFFF" },
	{ TEXT("\"\xe2\x82\""), NULL, "character cut short" },
	{ TEXT("tru"), NULL, "literal cut short" },
	{ TEXT("True"), NULL, "literal in capitals" },
};

static void test_rows(struct tap *tap, struct json_reader *json)
{
	struct buf out = { 0 };
	struct guard guard;

	guard_open(&guard);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct err err = { "" };
		yyjson_val *root;
		int rc = json_parse(json, guard_copy(&guard, row->text, row->len), &root, &err);

		buf_reset(&out);
		if (!row->written) {
			OK(tap, rc == -EBADMSG && err.text[0], "refused: %s (%s)", row->said,
				err.text);
			continue;
		}
		if (rc == 0)
			json_write(root, &out);
		OK(tap, rc == 0 && slice_is(buf_slice(&out), row->written), "taken: %s", row->said);
		/* Cut at every length it must not crash. */
		for (size_t cut = 0; cut < row->len; cut++)
			if (json_parse(json, guard_copy(&guard, row->text, cut), &root, NULL) == 0)
				(void)yyjson_get_type(root);
	}
	guard_close(&guard);
	buf_close(&out);
}

/* depth brackets, with members beside them so that the walk has to come back up. */
static int parse_depth(struct json_reader *json, size_t depth, const char *open, const char *close,
		       struct err *err)
{
	struct buf text = { 0 };
	yyjson_val *root;
	int rc;

	for (size_t i = 0; i < depth; i++)
		buf_append_text(&text, open);
	buf_append_text(&text, "1");
	for (size_t i = 0; i < depth; i++)
		buf_append_text(&text, close);
	rc = json_parse(json, buf_slice(&text), &root, err);
	if (rc == 0) {
		struct buf out = { 0 };

		json_write(root, &out);
		rc = slice_eq(buf_slice(&text), buf_slice(&out)) ? 0 : -EPROTO;
		buf_close(&out);
	}
	buf_close(&text);
	return rc;
}

static void test_depth(struct tap *tap, struct json_reader *json)
{
	static const struct {
		const char *open;
		const char *close;
	} shapes[] = {
		{ "[", "]" },
		{ "[[],[[]],", ",{\"x\":[]}]" },
		{ "{\"a\":", "}" },
		{ "{\"a\":[{}],\"b\":", ",\"c\":[[[]]]}" },
	};
	/* What the shape itself nests beside its middle. */
	static const int beside[] = { 0, 2, 2, 3 };

	for (size_t i = 0; i < 4; i++) {
		int max = JSON_DEPTH_MAX - beside[i];
		struct err err = { "" };

		OK(tap, parse_depth(json, (size_t)max, shapes[i].open, shapes[i].close, NULL) == 0,
		   "shape %zu: depth %d", i, max);
		OK(tap,
		   parse_depth(json, JSON_DEPTH_MAX + 1, shapes[i].open, shapes[i].close, &err) ==
			   -EBADMSG,
		   "shape %zu: one more refused (%s)", i, err.text);
		OK(tap, parse_depth(json, 100000, shapes[i].open, shapes[i].close,
			NULL) == -EBADMSG,
		   "shape %zu: 100,000 refused", i);
	}
	OK(tap, parse_depth(json, JSON_DEPTH_MAX, "[", "]", NULL) == 0, "256 arrays");
	json_limit_depth(json, 5);
	OK(tap, parse_depth(json, 5, "[", "]", NULL) == 0, "a limit of 5: 5 arrays");
	OK(tap, parse_depth(json, 6, "[", "]", NULL) == -EBADMSG, "6 are refused");
	OK(tap, parse_depth(json, 2, "[[],[],[[]],\"[[[[[[[[\",", "]", NULL) == 0,
	   "many brackets, but not deep");
	json_limit_depth(json, JSON_DEPTH_MAX);
}

static void test_get(struct tap *tap, struct json_reader *json)
{
	yyjson_val *root;
	struct slice text = SLICE("{\"a\":1,\"b\":\"x\",\"n\":null,\"a\":[2],\"b\":null,\"s\":\"\","
				  "\"ab\":true,\"n\":3}");

	OK(tap, json_parse(json, text, &root, NULL) == 0, "an object with keys twice");
	OK(tap, yyjson_is_arr(json_get(root, "a")), "the last of a key wins");
	OK(tap, !json_get(root, "b") && !json_text(root, "b").ptr, "a last null hides the first");
	OK(tap, json_is_num(json_get(root, "n")), "a value after null counts");
	OK(tap, !json_get(root, "c") && !json_get(root, ""), "no such key");
	OK(tap, json_text(root, "s").ptr && json_text(root, "s").len == 0, "empty text is text");
	OK(tap, !json_text(root, "ab").ptr, "true is no text");
	OK(tap, !json_get(json_get(root, "a"), "x") && !json_get(NULL, "x"),
		"no object, no member");
}

static void test_numbers(struct tap *tap, struct json_reader *json)
{
	static const struct {
		const char *text;
		bool whole;
		int64_t num;
		bool fits;
		double real;
	} table[] = {
		{ "0", true, 0, true, 0 },
		{ "-0", true, 0, true, 0 },
		{ "9223372036854775807", true, INT64_MAX, true, 9223372036854775807.0 },
		{ "-9223372036854775808", true, INT64_MIN, true, -9223372036854775808.0 },
		{ "9223372036854775808", false, 0, true, 9223372036854775808.0 },
		{ "-9223372036854775809", false, 0, true, -9223372036854775809.0 },
		{ "99999999999999999999", false, 0, true, 1e20 },
		{ "5.0", true, 5, true, 5 },
		{ "-1e3", true, -1000, true, -1000 },
		{ "1.5", false, 0, true, 1.5 },
		{ "1e17", false, 0, true, 1e17 },
		{ "1e400", false, 0, false, 0 },
		{ "0.1", false, 0, true, 0.1 },
		{ "\"5\"", false, 0, false, 0 },
		{ "true", false, 0, false, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		yyjson_val *root;
		int64_t num = -1;
		double real = -1;
		int rc;

		OK(tap, json_parse(json, slice_from(table[i].text), &root, NULL) == 0, "%s parses",
		   table[i].text);
		rc = json_num(root, &num);
		OK(tap, table[i].whole ? rc == 0 && num == table[i].num : rc == -EBADMSG,
		   "%s as whole number", table[i].text);
		rc = json_real(root, &real);
		OK(tap, table[i].fits ? rc == 0 && real == table[i].real : rc == -EBADMSG,
		   "%s as real number", table[i].text);
	}
}

/* Replacement as Unicode recommends it (and Python's errors="replace" does it). */
static void test_clean(struct tap *tap)
{
	static const struct {
		const char *text;
		const char *clean;
	} table[] = {
		{ "plain text that is longer than eight", "plain text that is longer than eight" },
		{ "h\xc3\xa9llo w\xc3\xb6rld \xf0\x9f\x98\x80",
		  "h\xc3\xa9llo w\xc3\xb6rld \xf0\x9f\x98\x80" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "a\x80z", "a\xef\xbf\xbdz" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe2\x82", "\xef\xbf\xbd" },
		{ "\xe2\x82z", "\xef\xbf\xbdz" },
		{ "\xf0\x9f\x98", "\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "12345678\xc3", "12345678\xef\xbf\xbd" },
		{ "\"\xff\"\n", "\"\xef\xbf\xbd\"\n" },
	};
	struct buf out = { 0 }, quoted = { 0 };
	struct json_reader *json;
	yyjson_val *root;

	if (json_open(&json, NULL))
		return;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		buf_reset(&out);
		buf_reset(&quoted);
		json_clean_utf8(slice_from(table[i].text), &out);
		OK(tap, slice_is(buf_slice(&out), table[i].clean), "cleaned: %s",
			table[i].clean[0] ==
		   '"' ? "quotes" : table[i].clean);
		json_write_text(slice_from(table[i].text), &quoted);
		OK(tap, json_parse(json, buf_slice(&quoted), &root, NULL) == 0 &&
		   slice_is(json_string(root), table[i].clean), "and written as a string");
	}
	buf_reset(&out);
	json_write_text((struct slice){ NULL, 0 }, &out);
	OK(tap, slice_is(buf_slice(&out), "\"\""), "the slice of nothing");
	json_close(json);
	buf_close(&quoted);
	buf_close(&out);
}

/* Every byte at every place of a word: the eight-at-a-time scan misses none. */
static void test_escapes(struct tap *tap, struct json_reader *json)
{
	struct buf out = { 0 };
	int wrong = 0;

	for (int c = 0; c < 128; c++)
		for (size_t at = 0; at < 20; at++) {
			char text[20];
			yyjson_val *root;

			memset(text, at % 2 ? 'z' : '!', sizeof(text));
			text[at] = (char)c;
			buf_reset(&out);
			json_write_text((struct slice){ text, sizeof(text) }, &out);
			if (json_parse(json, buf_slice(&out), &root, NULL) ||
			    !slice_eq(json_string(root), (struct slice){ text, sizeof(text) })) {
				wrong++;
				continue;
			}
			buf_reset(&out);
			json_write(root, &out);
			if (json_parse(json, buf_slice(&out), &root, NULL) ||
			    !slice_eq(json_string(root), (struct slice){ text, sizeof(text) }))
				wrong++;
		}
	OK(tap, wrong == 0, "each of 128 characters at 20 places comes back");
	buf_close(&out);
}

static void test_memory(struct tap *tap, struct json_reader *json)
{
	size_t len = (size_t)10 << 20;
	char *big = malloc(len + 2);
	struct slice small = SLICE("{\"event\":\"Order Completed\","
	"\"properties\":{\"total\":12.5}}");
	struct mallinfo2 before, after;
	yyjson_val *root;
	int rc = 0;

	if (!big)
		return;
	memset(big, 'x', len + 2);
	big[0] = big[len + 1] = '"';
	OK(tap, json_parse(json, (struct slice){ big, len + 2 }, &root, NULL) == 0 &&
	   json_string(root).len == len, "a string of 10 MiB");
	free(big);
	rc |= json_parse(json, small, &root, NULL);
	before = mallinfo2();
	for (int i = 0; i < 1000; i++)
		rc |= json_parse(json, small, &root, NULL);
	after = mallinfo2();
	OK(tap, rc == 0 && before.uordblks == after.uordblks, "a steady state takes no memory");
#if !defined(__SANITIZE_ADDRESS__)
	OK(tap, after.hblkhd + after.uordblks < (size_t)1 << 20, "10 MiB were given back (%zu)",
	   after.hblkhd + after.uordblks);
#endif
}

/* A limit of the output is never passed, and a writer's spare room over the need is enough. */
static void test_limit(struct tap *tap, struct json_reader *json)
{
	struct slice text = SLICE("{\"a\":[1,2,{\"b\":\"c\\n\"}],\"d\":null,"
	"\"long\":\"0123456789\"}");
	int wrong = 0;

	for (size_t limit = 1; limit < 600; limit++) {
		struct buf out = { .limit = limit }, quoted = { .limit = limit };
		yyjson_val *root;

		if (json_parse(json, text, &root, NULL))
			break;
		json_write(root, &out);
		wrong += out.len > limit ||
			 (out.failed && limit >= text.len + JSON_DEPTH_MAX + 16) ||
			 (!out.failed && !slice_eq(buf_slice(&out), text));
		json_write_text(text, &quoted);
		wrong += quoted.len > limit ||
			 (quoted.failed && limit >= text.len * 2 + JSON_DEPTH_MAX + 16);
		buf_close(&quoted);
		buf_close(&out);
	}
	OK(tap, wrong == 0, "a buffer's limit is kept");
}

int main(void)
{
	struct tap tap = { 0 };
	struct json_reader *json;
	struct err err = { "" };

	if (!OK(&tap, json_open(&json, &err) == 0, "open"))
		return tap_end(&tap);
	test_rows(&tap, json);
	test_depth(&tap, json);
	test_get(&tap, json);
	test_numbers(&tap, json);
	test_clean(&tap);
	test_escapes(&tap, json);
	test_memory(&tap, json);
	test_limit(&tap, json);
	json_close(json);
	json_close(NULL);
	return tap_end(&tap);
}
