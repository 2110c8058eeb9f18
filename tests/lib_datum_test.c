// SPDX-License-Identifier: Apache-2.0
#include "lib/datum.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/guard.h"
#include "tests/oracle.h"
#include "tests/tap.h"

#define SEED UINT64_C(20261124)

/* Each kind, plain and with null on either side, and records in records. */
static const char every_kind[] =
	"{\"type\":\"record\",\"name\":\"Every\",\"namespace\":\"t\",\"fields\":["
	"{\"name\":\"b\",\"type\":\"boolean\"},"
	"{\"name\":\"i\",\"type\":\"int\"},"
	"{\"name\":\"l\",\"type\":\"long\"},"
	"{\"name\":\"f\",\"type\":\"float\"},"
	"{\"name\":\"d\",\"type\":\"double\"},"
	"{\"name\":\"s\",\"type\":\"string\"},"
	"{\"name\":\"y\",\"type\":\"bytes\"},"
	"{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E1\","
	"  \"symbols\":[\"A\",\"B\",\"C\"]}},"
	"{\"name\":\"in\",\"type\":{\"type\":\"record\",\"name\":\"In\",\"fields\":["
	"  {\"name\":\"nb\",\"type\":[\"null\",\"boolean\"]},"
	"  {\"name\":\"ni\",\"type\":[\"null\",\"int\"]},"
	"  {\"name\":\"nl\",\"type\":[\"long\",\"null\"]},"
	"  {\"name\":\"deep\",\"type\":{\"type\":\"record\",\"name\":\"Deep\",\"fields\":["
	"    {\"name\":\"nf\",\"type\":[\"float\",\"null\"]},"
	"    {\"name\":\"nd\",\"type\":[\"null\",\"double\"]}]}},"
	"  {\"name\":\"ns\",\"type\":[\"string\",\"null\"]}]}},"
	"{\"name\":\"ny\",\"type\":[\"null\",\"bytes\"]},"
	"{\"name\":\"ne\",\"type\":[\"null\","
	"  {\"type\":\"enum\",\"name\":\"E2\",\"symbols\":[\"X\",\"Y\"]}]}"
	"]}";

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Numbers of every length, with the ends of their range. */
static int64_t random_num(uint64_t *x, int bits)
{
	uint64_t num = next(x) >> (64 - bits);

	switch (next(x) % 8) {
	case 0: return bits == 32 ? INT32_MIN : INT64_MIN;
	case 1: return bits == 32 ? INT32_MAX : INT64_MAX;
	case 2: return 0;
	case 3: return bits == 32 ? (int32_t)num : (int64_t)num;
	default: return (int64_t)(num >> (1 + next(x) % (unsigned)(bits - 1))) *
			(next(x) % 2 ? 1 : -1);
	}
}

static struct value random_value(uint64_t *x, const struct schema_field *field, char *text)
{
	size_t len = next(x) % 16 ? next(x) % 20 : next(x) % 300;
	uint32_t half;
	uint64_t bits;
	float single;
	double real;

	if (field->nullable && next(x) % 2)
		return (struct value){ 0 };
	switch (field->kind) {
	case SCHEMA_BOOLEAN:
		return value_num((int64_t)(next(x) % 2));
	case SCHEMA_INT:
		return value_num(random_num(x, 32));
	case SCHEMA_LONG:
		return value_num(random_num(x, 64));
	case SCHEMA_ENUM:
		return value_num((int64_t)(next(x) % (unsigned)field->symbol_count));
	case SCHEMA_FLOAT:
		do {
			half = (uint32_t)next(x);
			memcpy(&single, &half, sizeof(single));
		} while (single != single);
		return value_real((double)single);
	case SCHEMA_DOUBLE:
		do {
			bits = next(x);
			memcpy(&real, &bits, sizeof(real));
		} while (real != real);
		return value_real(real);
	default:
		for (size_t i = 0; i < len; i++)
			text[i] = (char)next(x);
		return value_text((struct slice){ text, len });
	}
}

static bool same(const struct schema_field *field, struct value a, struct value b)
{
	if (a.is_set != b.is_set)
		return false;
	if (!a.is_set)
		return true;
	switch (field->kind) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
		return slice_eq(a.text, b.text);
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		return memcmp(&a.real, &b.real, sizeof(a.real)) == 0;
	default:
		return a.num == b.num;
	}
}

/* One random record: our bytes are avro-c's, and each reads the other's. */
static bool round_trip(struct oracle *oracle, const struct schema *schema,
		       const struct datum_reader *reader, struct guard *guard, uint64_t *x)
{
	static char texts[SCHEMA_FIELDS_MAX][300], theirs[SCHEMA_FIELDS_MAX * 320];
	struct value in[SCHEMA_FIELDS_MAX], back[SCHEMA_FIELDS_MAX];
	const struct schema_field *field = schema_field_at(schema, 0);
	int count = schema_field_count(schema);
	avro_writer_t w = avro_writer_memory(theirs, sizeof(theirs));
	avro_reader_t r;
	struct buf ours = { 0 };
	bool good;

	for (int i = 0; i < count; i++) {
		in[i] = random_value(x, &field[i], texts[i]);
		oracle_set(oracle, &field[i], &in[i]);
	}
	good = datum_encode(schema, in, &ours) == 0 && avro_value_write(w, &oracle->value) == 0;
	good = good && ours.len == (size_t)avro_writer_tell(w) &&
	       memcmp(ours.ptr, theirs, ours.len) == 0;
	good = good && datum_decode(reader, guard_copy(guard, theirs, ours.len), back) ==
	       (ssize_t)ours.len;
	for (int i = 0; good && i < count; i++)
		good = same(&field[i], in[i], back[i]);
	avro_value_reset(&oracle->value);
	r = avro_reader_memory(ours.ptr, (int64_t)ours.len);
	good = good && avro_value_read(r, &oracle->value) == 0;
	for (int i = 0; good && i < count; i++)
		good = same(&field[i], in[i], oracle_get(oracle, &field[i]));
	avro_reader_free(r);
	avro_writer_free(w);
	buf_close(&ours);
	return good;
}

static void test_oracle(struct tap *tap, struct schema *schema, int rounds, struct guard *guard)
{
	struct datum_reader *reader = NULL;
	struct oracle oracle;
	uint64_t x = SEED;
	int good = 0;

	oracle_open(&oracle, schema);
	OK(tap, datum_reader_open(&reader, schema, schema, NULL) == 0, "a reader of itself");
	while (reader && good < rounds && round_trip(&oracle, schema, reader, guard, &x))
		good++;
	OK(tap, good == rounds, "%s: %d of %d random records, seed %llu, same bytes and values as "
	   "avro-c", schema_name(schema), good, rounds, (unsigned long long)SEED);
	datum_reader_close(reader);
	oracle_close(&oracle);
	schema_close(schema);
}

static struct schema *must_parse(const char *text)
{
	struct schema *schema = NULL;
	struct err err = { "" };

	if (schema_parse(&schema, slice_from(text), &err))
		printf("# %s: %s\n", text, err.text);
	return schema;
}

/* A datum cut at every length is refused, up to the guard page; so is one with bits turned, or it
 * is another valid one. */
static void test_hostile(struct tap *tap, struct guard *guard)
{
	struct schema *schema = must_parse(every_kind);
	const struct schema_field *field = schema_field_at(schema, 0);
	struct value in[SCHEMA_FIELDS_MAX], back[SCHEMA_FIELDS_MAX];
	static char texts[SCHEMA_FIELDS_MAX][300];
	struct datum_reader *reader = NULL;
	struct buf out = { 0 };
	uint64_t x = SEED;
	int wrong = 0, cuts = 0;
	ssize_t n;

	OK(tap, datum_reader_open(&reader, schema, schema, NULL) == 0, "a reader");
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < schema_field_count(schema); i++)
			in[i] = random_value(&x, &field[i], texts[i]);
		buf_reset(&out);
		if (datum_encode(schema, in, &out))
			break;
		for (size_t cut = 0; cut < out.len; cut++, cuts++)
			wrong += datum_decode(reader, guard_copy(guard, out.ptr, cut), back) !=
				 -EBADMSG;
		for (size_t bit = 0; bit < out.len * 8; bit++) {
			out.ptr[bit / 8] ^= (char)(1 << bit % 8);
			n = datum_decode(reader, guard_copy(guard, out.ptr, out.len), back);
			wrong += n != -EBADMSG && (n < 0 || n > (ssize_t)out.len);
			out.ptr[bit / 8] ^= (char)(1 << bit % 8);
		}
	}
	OK(tap, wrong == 0 && cuts > 5000, "%d cuts are refused, each turned bit is in bounds",
		cuts);
	buf_close(&out);
	datum_reader_close(reader);
	schema_close(schema);
}

#define ONE(type) \
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"v\",\"type\":" type "}]}"
#define ENUM(symbols) "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "]}"
#define ENUM_OR(symbols, other) \
	"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "],\"default\":\"" other "\"}"
#define BYTES(literal) "" literal, sizeof(literal) - 1

/* One leaf, its bytes, and what is read. */
static void test_bytes(struct tap *tap, struct guard *guard)
{
	static const struct {
		const char *schema;
		const char *bytes;
		size_t len;
		ssize_t took;
		const char *said;
	} table[] = {
		{ ONE("\"long\""), BYTES("\x00"), 1, "0" },
		{ ONE("\"long\""), BYTES("\x80\x00"), 2, "0 in two bytes" },
		{ ONE("\"long\""), BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 10,
		  "least long" },
		{ ONE("\"long\""), BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), -EBADMSG,
		  "65 bits" },
		{ ONE("\"long\""), BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), -EBADMSG,
		  "11 bytes" },
		{ ONE("\"long\""), BYTES(""), -EBADMSG, "nothing" },
		{ ONE("\"long\""), BYTES("\x80"), -EBADMSG, "the varint goes on" },
		{ ONE("\"int\""), BYTES("\xff\xff\xff\xff\x0f"), 5, "least int" },
		{ ONE("\"int\""), BYTES("\x80\x80\x80\x80\x10"), -EBADMSG, "int over 32 bits" },
		{ ONE("\"boolean\""), BYTES("\x01"), 1, "true" },
		{ ONE("\"boolean\""), BYTES("\x02"), -EBADMSG, "boolean 2" },
		{ ONE("\"string\""), BYTES("\x04hi"), 3, "text" },
		{ ONE("\"string\""), BYTES("\x04hi-more"), 3, "text and more behind it" },
		{ ONE("\"string\""), BYTES("\x06hi"), -EBADMSG, "a length over the input" },
		{ ONE("\"string\""), BYTES("\x01hi"), -EBADMSG, "a negative length" },
		{ ONE("\"string\""), BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01hi"), -EBADMSG,
		  "the greatest length" },
		{ ONE("\"string\""), BYTES("\x04\xff\xfe"), 3, "text that is not UTF-8" },
		{ ONE("\"double\""), BYTES("1234567"), -EBADMSG, "seven bytes of a double" },
		{ ONE("\"float\""), BYTES("123"), -EBADMSG, "three bytes of a float" },
		{ ONE("[\"null\",\"long\"]"), BYTES("\x00"), 1, "null" },
		{ ONE("[\"null\",\"long\"]"), BYTES("\x02\x02"), 2, "a value" },
		{ ONE("[\"null\",\"long\"]"), BYTES("\x82\x00\x02"), 3, "a branch in two bytes" },
		{ ONE("[\"null\",\"long\"]"), BYTES("\x04\x02"), -EBADMSG, "branch 2" },
		{ ONE("[\"null\",\"long\"]"), BYTES("\x01\x02"), -EBADMSG, "branch -1" },
		{ ONE("[\"long\",\"null\"]"), BYTES("\x02"), 1, "null as the second" },
		{ ONE(ENUM("\"A\",\"B\"")), BYTES("\x02"), 1, "a symbol" },
		{ ONE(ENUM("\"A\",\"B\"")), BYTES("\x04"), -EBADMSG, "a symbol too many" },
		{ ONE(ENUM("\"A\",\"B\"")), BYTES("\x01"), -EBADMSG, "symbol -1" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct schema *schema = must_parse(table[i].schema);
		struct datum_reader *reader = NULL;
		struct value value;
		ssize_t took;

		if (datum_reader_open(&reader, schema, schema, NULL))
			break;
		took = datum_decode(reader, guard_copy(guard, table[i].bytes, table[i].len),
			&value);
		OK(tap, took == table[i].took, "%s: %s (%zd)", table[i].schema + 60, table[i].said,
			took);
		datum_reader_close(reader);
		schema_close(schema);
	}
}

/* Written by one schema, read by another. */
struct resolution {
	const char *writer;
	const char *reader;
	struct value in;
	struct value out;
	int rc;                 /* of opening, or of decoding */
	const char *said;
};

#define TEXT(literal) { .text = { "" literal, sizeof(literal) - 1 }, .is_set = true }
#define NUM(n) { .num = (n), .is_set = true }
#define REAL(n) { .real = (n), .is_set = true }
#define NONE { .is_set = false }

static const struct resolution resolutions[] = {
	{ ONE("\"int\""), ONE("\"long\""), NUM(-7), NUM(-7), 0, "int to long" },
	{ ONE("\"int\""), ONE("\"float\""), NUM(7), REAL(7), 0, "int to float" },
	{ ONE("\"int\""), ONE("\"double\""), NUM(7), REAL(7), 0, "int to double" },
	{ ONE("\"long\""), ONE("\"float\""), NUM(-7), REAL(-7), 0, "long to float" },
	{ ONE("\"long\""), ONE("\"double\""), NUM(-7), REAL(-7), 0, "long to double" },
	{ ONE("\"float\""), ONE("\"double\""), REAL(0.5), REAL(0.5), 0, "float to double" },
	{ ONE("\"string\""), ONE("\"bytes\""), TEXT("a"), TEXT("a"), 0, "string to bytes" },
	{ ONE("\"bytes\""), ONE("\"string\""), TEXT("a"), TEXT("a"), 0, "bytes to string" },
	{ ONE("\"long\""), ONE("\"int\""), NUM(0), NONE, -EBADMSG, "long to int is refused" },
	{ ONE("\"double\""), ONE("\"float\""), NUM(0), NONE, -EBADMSG,
	  "double to float is refused" },
	{ ONE("\"string\""), ONE("\"long\""), NUM(0), NONE, -EBADMSG, "string to long is refused" },
	{ ONE("\"boolean\""), ONE("\"int\""), NUM(0), NONE, -EBADMSG, "boolean to int is refused" },
	{ ONE("\"string\""), ONE(ENUM("\"A\"")), NUM(0), NONE, -EBADMSG,
	  "string to enum is refused" },
	{ ONE("\"int\""), ONE("[\"null\",\"long\"]"), NUM(5), NUM(5), 0, "null added" },
	{ ONE("[\"null\",\"int\"]"), ONE("\"long\""), NUM(5), NUM(5), 0, "null removed, a value" },
	{ ONE("[\"null\",\"int\"]"), ONE("\"long\""), NONE, NONE, -EBADMSG,
	  "null removed, a null" },
	{ ONE("[\"null\",\"int\"]"), ONE("[\"int\",\"null\"]"), NONE, NONE, 0,
	  "null moved, a null" },
	{ ONE("[\"null\",\"int\"]"), ONE("[\"double\",\"null\"]"), NUM(5), REAL(5), 0,
	  "null moved and widened" },
	{ ONE(ENUM("\"A\",\"B\",\"C\"")), ONE(ENUM("\"C\",\"A\"")), NUM(2), NUM(0), 0,
	  "symbols are matched by name" },
	{ ONE(ENUM("\"A\",\"B\",\"C\"")), ONE(ENUM("\"C\",\"A\"")), NUM(1), NONE, -EBADMSG,
	  "an unknown symbol is refused" },
	{ ONE(ENUM("\"A\",\"B\"")), ONE(ENUM_OR("\"C\",\"D\"", "D")), NUM(1), NUM(1), 0,
	  "or is the default symbol" },
	{ "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"old\","
	"\"type\":\"string\"}]}",
	  "{\"type\":\"record\",\"name\":\"R\",\"fields\":"
	  "[{\"name\":\"v\",\"type\":\"long\",\"default\":9}]}",
	  TEXT("gone"), NUM(9), 0, "one removed, one added with a default" },
	{ "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"old\",\"type\":[\"null\","
	  "\"double\"]}]}",
	  "{\"type\":\"record\",\"name\":\"R\",\"fields\":"
	  "[{\"name\":\"v\",\"type\":[\"null\",\"string\"],\"default\":null}]}",
	  REAL(1), NONE, 0, "a default of null" },
	{ ONE("\"int\""), "{\"type\":\"record\",\"name\":\"R\",\"fields\":"
	  "[{\"name\":\"w\",\"type\":\"string\"}]}", NUM(1), NONE, -EBADMSG,
	  "added without a default is refused" },
	{ ONE("\"int\""), ONE("{\"type\":\"record\",\"name\":\"V\",\"fields\":"
	  "[{\"name\":\"x\",\"type\":\"int\",\"default\":1}]}"), NUM(1), NONE, -EBADMSG,
	  "a leaf does not turn into a record" },
	{ ONE("{\"type\":\"record\",\"name\":\"V\",\"fields\":[{\"name\":\"x\","
	"\"type\":\"int\"}]}"),
	  "{\"type\":\"record\",\"name\":\"R\",\"fields\":"
	  "[{\"name\":\"v\",\"type\":\"int\",\"default\":1}]}", NUM(1), NONE, -EBADMSG,
	  "nor a record into a leaf" },
	{ "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"v2\",\"type\":\"int\"}]}",
	  "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"v\",\"type\":"
	  "{\"type\":\"record\",\"name\":\"V\",\"fields\":"
	  "[{\"name\":\"x\",\"type\":\"bytes\",\"default\":\"\\u00ff\"}]}}]}",
	  NUM(1), TEXT("\xff"), 0, "a whole record added, its leaves have defaults" },
};

static void test_resolution(struct tap *tap, struct guard *guard)
{
	for (size_t i = 0; i < sizeof(resolutions) / sizeof(resolutions[0]); i++) {
		const struct resolution *row = &resolutions[i];
		struct schema *writer = must_parse(row->writer), *reader = must_parse(row->reader);
		struct datum_reader *r = NULL;
		struct value out = { 0 };
		struct buf bytes = { 0 };
		struct err err = { "" };
		ssize_t rc = datum_reader_open(&r, writer, reader, &err);

		if (rc == 0 && datum_encode(writer, &row->in, &bytes) == 0) {
			rc = datum_decode(r, guard_copy(guard, bytes.ptr, bytes.len), &out);
			OK(tap, row->rc ? rc == row->rc : rc == (ssize_t)bytes.len &&
			   same(schema_field_at(reader, 0), row->out, out), "%s", row->said);
		} else {
			OK(tap, rc == row->rc && err.text[0], "%s (%s)", row->said, err.text);
		}
		buf_close(&bytes);
		datum_reader_close(r);
		schema_close(reader);
		schema_close(writer);
	}
}

/* Leaves in another order, some gone, some new: the rest stays right. */
static void test_reorder(struct tap *tap, struct guard *guard)
{
	struct schema *writer = must_parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":["
		"{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"gone\",\"type\":\"bytes\"},"
		"{\"name\":\"b\",\"type\":[\"null\",\"string\"]},{\"name\":\"c\","
		"\"type\":\"float\"},"
		"{\"name\":\"g\",\"type\":" ENUM("\"A\"") "},{\"name\":\"d\",\"type\":\"long\"}]}");
	struct schema *reader = must_parse("{\"type\":\"record\",\"name\":\"Other\",\"fields\":["
		"{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"b\",\"type\":[\"null\","
		"\"string\"]},"
		"{\"name\":\"new\",\"type\":\"string\",\"default\":\"x\"},"
		"{\"name\":\"a\",\"type\":\"long\"}]}");
	struct value in[] = {
		NUM(-3), TEXT("skipped"), TEXT("kept"), REAL(1.5), NUM(0), NUM(1 << 20),
	};
	struct value out[4];
	struct datum_reader *r = NULL;
	struct buf bytes = { 0 };

	OK(tap, datum_reader_open(&r, writer, reader, NULL) == 0 &&
	   datum_encode(writer, in, &bytes) == 0, "two schemas");
	OK(tap, datum_decode(r, guard_copy(guard, bytes.ptr, bytes.len), out) == (ssize_t)bytes.len,
	   "all bytes are read");
	OK(tap, out[0].real == 1048576.0 && slice_is(out[1].text, "kept") &&
	   slice_is(out[2].text, "x") && out[3].num == -3, "each leaf at its new place");
	buf_close(&bytes);
	datum_reader_close(r);
	schema_close(reader);
	schema_close(writer);
}

static void test_encode(struct tap *tap)
{
	struct schema *schema = must_parse(every_kind);
	struct value none[SCHEMA_FIELDS_MAX] = { 0 };
	struct value wide[SCHEMA_FIELDS_MAX] = { 0 };
	struct value back[SCHEMA_FIELDS_MAX];
	struct datum_reader *reader = NULL;
	struct buf out = { 0 }, small = { .limit = 100 };

	OK(tap, datum_reader_open(&reader, schema, schema, NULL) == 0, "a reader");
	OK(tap, datum_encode(schema, none, &out) == 0 &&
	   datum_decode(reader, buf_slice(&out), back) == (ssize_t)out.len &&
	   back[schema_find(schema, "s")].is_set && back[schema_find(schema, "s")].text.len == 0 &&
	   !back[schema_find(schema, "in.ns")].is_set, "null without a null is empty or 0");
	wide[schema_find(schema, "i")] = value_num(INT64_C(1) << 40);
	wide[schema_find(schema, "e")] = value_num(77);
	buf_reset(&out);
	OK(tap, datum_encode(schema, wide, &out) == 0 &&
	   datum_decode(reader, buf_slice(&out), back) == (ssize_t)out.len &&
	   back[schema_find(schema, "i")].num == INT32_MAX &&
	   back[schema_find(schema, "e")].num == 0, "numbers out of range are clamped");
	OK(tap, datum_encode(schema, none, &small) == -ENOSPC && small.failed && small.len == 0,
	   "a buffer's limit");
	buf_close(&small);
	buf_close(&out);
	datum_reader_close(reader);
	schema_close(schema);
}

int main(void)
{
	struct tap tap = { 0 };
	struct guard guard;

	guard_open(&guard);
	test_oracle(&tap, must_parse(every_kind), 3000, &guard);
	test_oracle(&tap, schema_own("enriched"), 2000, &guard);
	test_oracle(&tap, schema_own("collected"), 500, &guard);
	test_oracle(&tap, schema_own("bad"), 500, &guard);
	test_oracle(&tap, schema_own("counted"), 500, &guard);
	test_hostile(&tap, &guard);
	test_bytes(&tap, &guard);
	test_resolution(&tap, &guard);
	test_reorder(&tap, &guard);
	test_encode(&tap);
	guard_close(&guard);
	return tap_end(&tap);
}
