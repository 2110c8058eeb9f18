// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "collect/door.h"
#include "collect/extent.h"
#include "lib/datum.h"
#include "lib/record.h"
#include "tests/tap.h"

struct bench {
	struct schema *schemas[PARCEL_LANES];
	struct datum_reader *readers[PARCEL_LANES];
	struct json_reader *json;
	struct parcel parcel;
	struct source source;
	struct door_job job;
};

static void open_bench(struct bench *b)
{
	struct err err = { "" };

	*b = (struct bench){ .source = { .name = SLICE("web"), .enabled = true } };
	b->schemas[PARCEL_OUT] = record_schema("collected");
	b->schemas[PARCEL_BAD] = record_schema("bad");
	for (int i = 0; i < PARCEL_LANES; i++)
		if (datum_reader_open(&b->readers[i], b->schemas[i], b->schemas[i], &err))
			abort();
	if (json_open(&b->json, &err))
		abort();
	b->parcel = (struct parcel){ .schemas = { b->schemas[0], b->schemas[1] },
				     .bad_max = 65536, .bytes_max = 16 << 20 };
	b->job = (struct door_job){ .json = b->json, .parcel = &b->parcel, .message_max = 4096,
				    .batch_max = 10 };
}

static void close_bench(struct bench *b)
{
	for (int i = 0; i < PARCEL_LANES; i++) {
		datum_reader_close(b->readers[i]);
		schema_close(b->schemas[i]);
	}
	json_close(b->json);
	door_job_close(&b->job);
	parcel_close(&b->parcel);
}

static int run(struct bench *b, const char *path, const char *body, struct err *err)
{
	const struct parcel_from from = { .door = SLICE("segment"), .received_us = 5,
						 .ip = SLICE("1.2.3.4"),
						 .user_agent = SLICE("a\xff") };

	err->text[0] = '\0';
	parcel_begin(&b->parcel, &from);
	b->job.call = path ? door_segment.call(slice_from(path)) : DOOR_SEGMENT_LINE;
	b->job.body = slice_from(body);
	b->job.source = &b->source;
	return door_segment.read(&b->job, err);
}

/* "type key body" of an event, "!reason at original" of a bad one, a bar between. */
static void describe(struct bench *b, char *out, size_t size)
{
	struct value fields[(int)BAD_COUNT + (int)COLLECTED_COUNT];
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < b->parcel.count && at < size; i++) {
		const struct parcel_item *item = &b->parcel.items[i];
		struct slice value = parcel_value(&b->parcel, item);
		struct slice key = parcel_key(&b->parcel, item), x, y, z;

		if (datum_decode(b->readers[item->lane], value, fields) != (ssize_t)value.len)
			abort();
		if (item->lane == PARCEL_OUT) {
			x = value_slice(&fields[COLLECTED_TYPE]);
			y = key;
			z = value_slice(&fields[COLLECTED_BODY]);
		} else {
			x = value_slice(&fields[BAD_REASON]);
			y = value_slice(&fields[BAD_AT]);
			z = value_slice(&fields[BAD_ORIGINAL]);
		}
		at += (size_t)snprintf(out + at, size - at, "%s%s%.*s %.*s %.*s", i ? "|" : "",
				       item->lane == PARCEL_OUT ? "" : "!", (int)x.len, x.ptr,
				       (int)y.len, y.ptr, (int)z.len, z.ptr);
	}
}

static const struct {
	const char *path, *body, *wanted;
	int rc;
} rows[] = {
	{ "/v1/t", "{\"userId\":\"u\",\"event\":\"e\"}",
	  "track u {\"userId\":\"u\",\"event\":\"e\"}", 0 },
	{ "/v1/track/", " {\"userId\" : 1,\"event\":\"e\"}\n",
	  "track 1 {\"userId\" : 1,\"event\":\"e\"}", 0 },
	{ "/v1/t",
	  "{\"userId\":\"u\",\"anonymousId\":\"a\",\"event\":\"e\",\"writeKey\":\"K\"}",
	  "track a {\"userId\":\"u\",\"anonymousId\":\"a\",\"event\":\"e\"}", 0 },
	{ "/v1/i", "{\"type\":\"identify\",\"userId\":null,\"anonymousId\":\"a\"}",
	  "identify a {\"type\":\"identify\",\"userId\":null,\"anonymousId\":\"a\"}", 0 },
	{ "/v1/g", "{\"groupId\":\"g\"}", "group g {\"groupId\":\"g\"}", 0 },
	{ "/v1/a", "{\"userId\":\"u\",\"previousId\":7}",
	  "alias u {\"userId\":\"u\",\"previousId\":7}", 0 },
	{ "/v1/t", "{\"userId\":\"u\",\"event\":\"e\",\"event\":\"last\"}",
	  "track u {\"userId\":\"u\",\"event\":\"e\",\"event\":\"last\"}", 0 },
	{ "/v1/t", "{\"userId\":\"\",\"event\":\"e\"}",
	  "!missing_id  {\"userId\":\"\",\"event\":\"e\"}", 0 },
	{ "/v1/t", "{\"userId\":{},\"event\":\"e\"}",
	  "!wrong_type /userId {\"userId\":{},\"event\":\"e\"}", 0 },
	{ "/v1/t", "{\"type\":\"page\",\"userId\":\"u\"}",
	  "!unknown_type /type {\"type\":\"page\",\"userId\":\"u\"}", 0 },
	{ "/v1/b", "{\"type\":\"page\",\"userId\":\"u\"}",
	  "page u {\"type\":\"page\",\"userId\":\"u\"}", 0 },
	{ NULL, "{\"type\":\"screen\",\"userId\":\"u\"}",
	  "screen u {\"type\":\"screen\",\"userId\":\"u\"}", 0 },
	{ "/v1/batch",
	  "{\"batch\":[{\"type\":\"page\",\"userId\":\"u\"}, [], {\"type\":\"page\"}]}",
	  "page u {\"type\":\"page\",\"userId\":\"u\"}|!wrong_type /batch/1 []|"
	  "!missing_id /batch/2 {\"type\":\"page\"}",
	  0 },
	/* the envelope's context beneath, message keys win; shallow */
	{ "/v1/batch",
	  "{\"batch\":[{\"type\":\"page\",\"userId\":\"u\"}],\"context\":{\"a\":{\"b\":1}}}",
	  "page u {\"type\":\"page\",\"userId\":\"u\",\"context\":{\"a\":{\"b\":1}}}", 0 },
	{ "/v1/batch",
	  "{\"batch\":[{\"type\":\"page\",\"userId\":\"u\",\"context\":{\"a\":{\"c\":2}}}],"
	  "\"context\":{\"a\":{\"b\":1},\"d\":[]}}",
	  "page u {\"type\":\"page\",\"userId\":\"u\",\"context\":{\"a\":{\"c\":2},\"d\":[]}}",
	  0 },
	{ "/v1/batch",
	  "{\"batch\":[{\"context\":null,\"type\":\"page\",\"userId\":\"u\"}],"
		"\"context\":{\"a\":1}}",
	  "page u {\"type\":\"page\",\"userId\":\"u\",\"context\":{\"a\":1}}", 0 },
	{ "/v1/batch",
	  "{\"batch\":[{\"writeKey\":\"x\",\"type\":\"page\",\"userId\":\"u\"}],"
	  "\"integrations\":{\"All\":false},\"context\":{}}",
	  "page u {\"type\":\"page\",\"userId\":\"u\",\"integrations\":{\"All\":false}}",
	  0 },
	{ "/v1/batch",
	  "{\"batch\":[{\"type\":\"page\",\"userId\":\"u\",\"integrations\":{\"X\":true}}],"
	  "\"integrations\":{\"All\":false}}",
	  "page u {\"type\":\"page\",\"userId\":\"u\",\"integrations\":{\"X\":true}}", 0 },
	{ "/v1/batch", "{\"batch\":[],\"sentAt\":5}", "", 0 },
	/* of a batch under an escaped name the bytes are written anew */
	{ "/v1/batch", "{\"b\\u0061tch\":[ { \"type\" : 5 } ]}",
	  "!wrong_type /batch/0/type {\"type\":5}", 0 },
	{ "/v1/batch", "{\"batch\":[1],\"batch\":[ { \"type\" : 5 } ]}",
	  "!wrong_type /batch/0/type { \"type\" : 5 }", 0 },
	{ "/v1/t", "", "", -EBADMSG },
	{ "/v1/t", "[]", "", -EBADMSG },
	{ "/v1/b", "{\"batch\":{}}", "", -EBADMSG },
	{ "/v1/b", "{\"batch\":[1,2,3,4,5,6,7,8,9,10,11]}", "", -EMSGSIZE },
};

static void test_bodies(struct tap *tap, struct bench *b)
{
	char got[4096];
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = run(b, rows[i].path, rows[i].body, &err);

		describe(b, got, sizeof(got));
		OK(tap, rc == rows[i].rc, "%s: %d", rows[i].body, rc);
		if (!OK(tap, strcmp(got, rows[i].wanted) == 0, "%s", rows[i].wanted))
			printf("# got %s\n", got);
		OK(tap, rc == 0 || (err.text[0] && b->job.reason), "words: %s", err.text);
	}
}

static void test_large(struct tap *tap, struct bench *b)
{
	struct buf body = { 0 };
	struct err err;

	buf_append_text(&body,
			"{\"batch\":[{\"type\":\"page\",\"userId\":\"u\"}],\"context\":{\"a\":\"");
	for (int i = 0; i < 4096; i++)
		buf_append_char(&body, 'x');
	buf_append(&body, "\"}}", 4);
	OK(tap, run(b, "/v1/b", body.ptr, &err) == 0 && b->parcel.counts[PARCEL_BAD] == 1,
	   "a context too large to be merged is the message's fault");
	buf_reset(&body);
	/* 300 x 300 pairs of keys would have to be compared. */
	buf_append_text(&body,
			"{\"batch\":[{\"type\":\"page\",\"userId\":\"u\",\"context\":{\"x\":1");
	for (int i = 0; i < 300; i++)
		buf_printf(&body, ",\"%d\":1", i);
	buf_append_text(&body, "}}],\"context\":{\"x\":1");
	for (int i = 0; i < 300; i++)
		buf_printf(&body, ",\"%d\":1", i);
	buf_append(&body, "}}", 3);
	OK(tap, run(b, "/v1/b", body.ptr, &err) == 0 && b->parcel.counts[PARCEL_BAD] == 1,
	   "nor are contexts merged that are made to take long");
	buf_close(&body);
	b->source.enabled = false;
	OK(tap, run(b, "/v1/t", "{\"userId\":\"u\",\"event\":\"e\"}", &err) == 0 &&
	   b->parcel.count == 0 && b->parcel.filtered == 1, "a source that is off: filtered");
	b->source.enabled = true;
}

static void test_fields(struct tap *tap, struct bench *b)
{
	struct value fields[COLLECTED_COUNT];
	struct err err;

	run(b, "/v1/b", "{\"batch\":[{\"type\":\"page\",\"userId\":\"u\",\"messageId\":77,"
	    "\"sentAt\":\"2020-01-01T00:00:00Z\"}],\"sentAt\":\"2001-09-09T01:46:40Z\"}", &err);
	datum_decode(b->readers[0], parcel_value(&b->parcel, &b->parcel.items[0]), fields);
	OK(tap, fields[COLLECTED_SENT_AT].num == 1000000000000000,
	   "sent_at is the envelope's first");
	OK(tap, slice_is(fields[COLLECTED_MESSAGE_ID].text, "77"), "a number as message id");
	OK(tap, slice_is(fields[COLLECTED_USER_AGENT].text, "a\xef\xbf\xbd"), "the agent is UTF-8");
	OK(tap, slice_is(fields[COLLECTED_IP].text, "1.2.3.4") &&
	   slice_is(fields[COLLECTED_SOURCE].text, "web") &&
	   fields[COLLECTED_RECEIVED_AT].num == 5, "what the request tells");
	run(b, "/v1/t", "{\"event\":\"e\",\"userId\":\"u\",\"sentAt\":\"yesterday\"}", &err);
	datum_decode(b->readers[0], parcel_value(&b->parcel, &b->parcel.items[0]), fields);
	OK(tap, !fields[COLLECTED_SENT_AT].is_set, "a sentAt that is no time is null");
	OK(tap, fields[COLLECTED_MESSAGE_ID].text.len == 36, "a made-up id");
	OK(tap, slice_is(door_segment_key(b->json, SLICE("{\"userId\":5}")), "5"), "key of a body");
	OK(tap, !door_segment_key(b->json, SLICE("{")).len, "key of no body");
}

static void test_paths(struct tap *tap)
{
	static const char *const none[] = { "/", "/v1", "/v1/", "/v1//", "/v1/m", "/v1/track/x",
					    "/v2/t", "/v1/T", "" };

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		OK(tap, door_segment.call(slice_from(none[i])) == 0, "no door at '%s'", none[i]);
}

int main(void)
{
	struct tap tap = { 0 };
	struct bench b;

	open_bench(&b);
	test_paths(&tap);
	test_bodies(&tap, &b);
	test_large(&tap, &b);
	test_fields(&tap, &b);
	close_bench(&b);
	return tap_end(&tap);
}
