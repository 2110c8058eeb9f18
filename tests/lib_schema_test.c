// SPDX-License-Identifier: Apache-2.0
#include "lib/schema.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/datum.h"
#include "tests/guard.h"
#include "tests/tap.h"

#define R(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define F(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define D(name, type, other) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" other "}"
#define SUB(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define E(symbols) "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "]}"

/* Refused, with words that hold what is wanted. */
static const struct {
	const char *text;
	const char *words;
} refused[] = {
	{ "", "empty" },
	{ "{", "JSON" },
	{ "[]", "not a record" },
	{ "\"string\"", "not a record" },
	{ "{\"type\":\"string\"}", "not a record" },
	{ R(""), "without fields" },
	{ "{\"type\":\"record\",\"name\":\"R\"}", "without fields" },
	{ "{\"type\":\"record\",\"fields\":[" F("a", "\"int\"") "]}", "name" },
	{ "{\"type\":\"record\",\"name\":\"1R\",\"fields\":[" F("a", "\"int\"") "]}", "name" },
	{ "{\"type\":\"record\",\"name\":\"a..R\",\"fields\":[" F("a", "\"int\"") "]}", "name" },
	{ "{\"type\":\"record\",\"name\":\"R.\",\"fields\":[" F("a", "\"int\"") "]}", "name" },
	{ R(F("", "\"int\"")), "name" },
	{ R(F("a.b", "\"int\"")), "name" },
	{ R(F("a b", "\"int\"")), "name" },
	{ R("{\"type\":\"int\"}"), "name" },
	{ R("{\"name\":\"a\"}"), "'a': unknown type" },
	{ R("5"), "name" },
	{ R(F("a", "\"strin\"")), "'a': unknown type" },
	{ R(F("a", "\"null\"")), "'a': unknown type" },
	{ R(F("a", "\"R\"")), "'a': unknown type" },
	{ R(F("a", "{\"type\":\"array\",\"items\":\"int\"}")), "'a': arrays" },
	{ R(F("a", "{\"type\":\"map\",\"values\":\"int\"}")), "maps" },
	{ R(F("a", "{\"type\":\"fixed\",\"name\":\"X\",\"size\":4}")), "fixed" },
	{ R(F("a", "[\"null\"," SUB("X", F("b", "\"int\"")) "]")), "records in unions" },
	{ R(F("a", "[\"int\",\"string\"]")), "unions" },
	{ R(F("a", "[\"null\",\"null\"]")), "unions" },
	{ R(F("a", "[\"null\",\"int\",\"string\"]")), "unions" },
	{ R(F("a", "[\"null\"]")), "unions" },
	{ R(F("a", "[]")), "unions" },
	{ R(F("a", "[\"null\",[\"null\",\"int\"]]")), "unions" },
	{ R(F("a", "\"int\"") "," F("a", "\"long\"")), "'a': stands twice" },
	{ R(F("a", SUB("R", F("b", "\"int\"")))), "defined twice" },
	{ R(F("a", SUB("X", F("b", "\"int\""))) "," F("c", "\"X\"")), "references" },
	{ R(F("a", E(""))), "1 to 1024" },
	{ R(F("a", E("\"A\",\"A\""))), "twice" },
	{ R(F("a", E("\"A-B\""))), "malformed" },
	{ R(F("a", E("1"))), "malformed" },
	{ R(D("a", "\"int\"", "null")), "'a': the default" },
	{ R(D("a", "\"int\"", "\"5\"")), "default" },
	{ R(D("a", "\"int\"", "1.5")), "default" },
	{ R(D("a", "\"int\"", "2147483648")), "default" },
	{ R(D("a", "\"long\"", "9223372036854775808")), "default" },
	{ R(D("a", "\"string\"", "5")), "default" },
	{ R(D("a", "\"boolean\"", "0")), "default" },
	{ R(D("a", "\"double\"", "1e400")), "default" },
	{ R(D("a", "\"bytes\"", "\"\\u0100\"")), "default" },
	{ R(D("a", E("\"A\""), "\"B\"")), "default" },
	{ R(D("a", "\"string\"", "\"\\u0000\"")), "NUL" }, /* avro-c's rule */
	{ R(D("a", SUB("X", F("b", "\"int\"")), "5")), "default of a record" },
	{ R(D("a", SUB("X", F("b", "\"int\"")), "{\"b\":\"x\"}")), "'a.b': the default" },
};

static void test_refused(struct tap *tap)
{
	struct guard guard;

	guard_open(&guard);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct slice text = guard_copy(&guard, refused[i].text, strlen(refused[i].text));
		struct schema *schema = NULL;
		struct err err = { "" };
		int rc = schema_parse(&schema, text, &err);

		OK(tap, rc == -EBADMSG && strstr(err.text, refused[i].words), "'%s' (%s)",
		   refused[i].text, err.text);
		if (rc == 0)
			schema_close(schema);
	}
	guard_close(&guard);
}

/* Records within records, and leaves, up to the limits and one over. */
static int parse_nested(int depth, int leaves)
{
	struct schema *schema = NULL;
	struct buf text = { 0 };
	int rc, count;

	buf_append_text(&text, "{\"type\":\"record\",\"name\":\"R0\",\"fields\":[");
	for (int i = 1; i < depth; i++)
		buf_printf(&text, "{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"R%d\","
			   "\"fields\":[", i);
	for (int i = 0; i < leaves; i++)
		buf_printf(&text, "%s{\"name\":\"l%d\",\"type\":\"int\"}", i ? "," : "", i);
	for (int i = 1; i < depth; i++)
		buf_append_text(&text, "]}}");
	buf_append_text(&text, "]}");
	rc = schema_parse(&schema, buf_slice(&text), NULL);
	count = rc == 0 ? schema_field_count(schema) : rc;
	schema_close(rc == 0 ? schema : NULL);
	buf_close(&text);
	return count;
}

static void test_limits(struct tap *tap)
{
	struct slice big = { calloc(1, (1 << 20) + 1), (1 << 20) + 1 };
	struct schema *schema = NULL;

	OK(tap, parse_nested(8, 1) == 1, "8 records deep");
	OK(tap, parse_nested(9, 1) == -EBADMSG, "9 are refused");
	OK(tap, parse_nested(1, SCHEMA_FIELDS_MAX) == SCHEMA_FIELDS_MAX, "256 leaves");
	OK(tap, parse_nested(1, SCHEMA_FIELDS_MAX + 1) == -EBADMSG, "257 are refused");
	OK(tap, big.ptr && schema_parse(&schema, big, NULL) == -EBADMSG, "1 MiB and a byte");
	free((void *)(uintptr_t)big.ptr);
}

static const char full[] =
	"{ \"type\": \"record\", \"name\": \"Full\", \"namespace\": \"a.b\", \"doc\": \"d\","
	" \"fields\": ["
	"  {\"name\": \"t\", \"doc\": \"T\\u00e9\","
	"   \"type\": {\"type\": \"long\", \"logicalType\": \"timestamp-micros\"},"
	" \"default\": -5},"
	"  {\"name\": \"nt\", \"default\": null,"
	"   \"type\": [\"null\", {\"type\": \"long\", \"logicalType\": \"timestamp-micros\"}]},"
	"  {\"name\": \"ms\","
	"   \"type\": {\"type\": \"long\", \"logicalType\": \"timestamp-millis\"}},"
	"  {\"name\": \"s\", \"type\": [\"string\", \"null\"], \"default\": \"x\\u0001y\"},"
	"  {\"name\": \"y\", \"type\": \"bytes\", \"default\": \"a\\u0001\\u00ff\\u0080\"},"
	"  {\"name\": \"f\", \"type\": \"float\", \"default\": 1.5},"
	"  {\"name\": \"d\", \"type\": \"double\", \"default\": -2},"
	"  {\"name\": \"b\", \"type\": \"boolean\", \"default\": true},"
	"  {\"name\": \"e\", \"type\": {\"type\": \"enum\", \"name\": \"other.E\","
	"    \"symbols\": [\"A\", \"B\"], \"default\": \"A\", \"aliases\": [\"Old\"]},"
	"    \"default\": \"B\"},"
	"  {\"name\": \"in\", \"default\": {\"i\": 7}, \"type\": {\"type\": \"record\","
	"    \"name\": \"In\", \"fields\": ["
	"      {\"name\": \"i\", \"type\": \"int\", \"default\": 3},"
	"      {\"name\": \"j\", \"type\": {\"type\": \"int\"}, \"default\": 4}]}},"
	"  {\"name\": \"ns\", \"type\": {\"type\": \"record\", \"name\": \"x.y.Z\", \"fields\": ["
	"      {\"name\": \"e\", \"type\": {\"type\": \"enum\", \"name\": \"E\","
	"       \"symbols\": [\"A\"]}}]}},"
	"  {\"name\": \"nn\", \"type\": {\"type\": \"record\", \"name\": \"Q\","
	" \"namespace\": \"\","
	"    \"fields\": [{\"name\": \"e\", \"type\": [\"null\", {\"type\": \"enum\","
	"       \"name\": \"E\", \"symbols\": [\"A\"]}]}]}}"
	"] }";

/* What fastavro 1.13.1 says: tests/lib_datum.t asks it again. */
#define FULL_FINGERPRINT UINT64_C(0xa31b596523f93787)

static void test_full(struct tap *tap)
{
	struct schema *schema = NULL;
	struct err err = { "" };
	const struct schema_field *f;

	if (!OK(tap, schema_parse(&schema, slice_from(full), &err) == 0, "everything (%s)",
		err.text))
		return;
	f = schema_field_at(schema, 0);
	OK(tap, schema_field_count(schema) == 13, "13 leaves");
	OK(tap, strcmp(schema_name(schema), "a.b.Full") == 0, "the full name");
	OK(tap, slice_is(schema_text(schema), full), "the text as parsed");
	OK(tap, f[0].is_time_us && f[0].kind == SCHEMA_LONG && f[0].fallback.num == -5 &&
	   strcmp(f[0].doc, "T\xc3\xa9") == 0, "a time with doc and default");
	OK(tap, f[1].is_time_us && f[1].nullable && f[1].null_branch == 0 && f[1].has_default &&
	   !f[1].fallback.is_set && f[1].doc[0] == '\0', "a time or null, default null");
	OK(tap, !f[2].is_time_us && !f[2].has_default, "milliseconds are only a long");
	OK(tap, f[3].nullable && f[3].null_branch == 1 &&
	   slice_eq(f[3].fallback.text, SLICE("x\1y")), "text with a control character");
	OK(tap, slice_eq(f[4].fallback.text, SLICE("a\1\xff\x80")), "bytes");
	OK(tap, f[5].fallback.real == 1.5 && f[6].fallback.real == -2.0, "real numbers");
	OK(tap, f[7].fallback.num == 1, "true");
	OK(tap, f[8].kind == SCHEMA_ENUM && f[8].symbol_count == 2 && f[8].symbol_fallback == 0 &&
	   slice_is(f[8].symbols[1], "B") && f[8].fallback.num == 1, "an enum");
	OK(tap, schema_find(schema, "in.i") == 9 && f[9].fallback.num == 7, "the record's default");
	OK(tap, schema_find(schema, "in.j") == 10 && f[10].fallback.num == 4,
		"goes before the leaf's");
	OK(tap, schema_find(schema, "ns.e") == 11 && f[11].symbol_fallback == -1, "nested");
	OK(tap, schema_find(schema, "in") == -ENOENT && schema_find(schema, "ns.f") == -ENOENT &&
	   schema_find(schema, "") == -ENOENT, "no such leaf");
	OK(tap, schema_fingerprint(schema) == FULL_FINGERPRINT, "fingerprint %016" PRIx64,
	   schema_fingerprint(schema));
	schema_close(schema);
}

static void test_own(struct tap *tap)
{
	static const char *const names[] = { "collected", "enriched", "bad", "counted" };
	static const char *const full_names[] = {
		"millrace.Collected", "millrace.Enriched", "millrace.Bad", "millrace.Counted",
	};

	for (int i = 0; i < 4; i++) {
		struct schema *schema = schema_own(names[i]), *again = NULL;

		OK(tap, strcmp(schema_name(schema), full_names[i]) == 0, "%s", names[i]);
		OK(tap, schema_parse(&again, schema_text(schema), NULL) == 0 &&
		   schema_fingerprint(again) == schema_fingerprint(schema),
			"its text is the schema");
		schema_close(again);
		schema_close(schema);
	}
	schema_close(NULL);
}

/* What was ever written to Kafka stays readable: the list in the program is the directory, a schema
 * that changed has been put there, and today's reader takes every version. */
static void test_old(struct tap *tap)
{
	static const char *const names[] = { "collected", "enriched", "bad", "counted",
					     "members", "funnels", "deleted" };
	int listed = 0, files = 0;
	struct dirent *entry;
	DIR *dir = opendir("schemas/history");

	for (int i = 0; i < 7; i++) {
		struct schema *own = schema_own(names[i]), *old = NULL;
		bool has_own = false;

		for (int n = 0; schema_old(schema_name(own), n, &old) == 0; n++) {
			struct datum_reader *reader = NULL;
			struct err err = { "" };

			has_own |= schema_fingerprint(old) == schema_fingerprint(own);
			OK(tap, datum_reader_open(&reader, old, own, &err) == 0,
			   "%s, version %d is read: %s", names[i], n + 1, err.text);
			datum_reader_close(reader);
			schema_close(old);
			listed++;
		}
		OK(tap, has_own,
		   "schemas/%s.avsc is the last of schemas/history/%s-N.avsc (one that "
		   "changed: copy it to the next N, and add it in lib/schema_own.c)",
		   names[i], names[i]);
		schema_close(own);
	}
	while (dir && (entry = readdir(dir)))
		files += strstr(entry->d_name, ".avsc") != NULL;
	if (dir)
		closedir(dir);
	OK(tap, files == listed, "%d files in schemas/history, %d in the program", files, listed);
}

int main(void)
{
	struct tap tap = { 0 };

	test_refused(&tap);
	test_limits(&tap);
	test_full(&tap);
	test_own(&tap);
	test_old(&tap);
	return tap_end(&tap);
}
