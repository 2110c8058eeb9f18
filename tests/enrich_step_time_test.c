// SPDX-License-Identifier: Apache-2.0
#include "tests/enrich_case.h"

#define RECEIVED "2026-11-24T12:00:00.000000Z"
#define BODY(members) "{\"event\":\"x\"," members "}"
#define TIME(text) BODY("\"timestamp\":\"" text "\"")

static const struct enrich_case cases[] = {
	{ .said = "nothing given",
	  .type = "track",
	  .body = "{\"event\":\"x\"}",
	  .wants = { { ENRICHED_TIMESTAMP, RECEIVED },
		     { ENRICHED_ORIGINAL_TIMESTAMP, NULL },
		     { ENRICHED_RECEIVED_AT, RECEIVED },
		     { ENRICHED_SENT_AT, NULL } } },
	{ .said = "without sent_at as given",
	  .type = "track",
	  .body = TIME("2026-11-24T11:00:00.123456Z"),
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T11:00:00.123456Z" },
		     { ENRICHED_ORIGINAL_TIMESTAMP, "2026-11-24T11:00:00.123456Z" } } },
	{ .said = "a clock 10 minutes behind",
	  .type = "track",
	  .body = TIME("2026-11-24T11:49:00Z"),
	  .sent_at = "2026-11-24T11:50:00Z",
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T11:59:00.000000Z" },
		     { ENRICHED_ORIGINAL_TIMESTAMP, "2026-11-24T11:49:00.000000Z" },
		     { ENRICHED_SENT_AT, "2026-11-24T11:50:00.000000Z" } } },
	{ .said = "a clock a year ahead",
	  .type = "track",
	  .body = TIME("2027-11-24T11:59:59Z"),
	  .sent_at = "2027-11-24T12:00:00Z",
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T11:59:59.000000Z" } } },
	{ .said = "an old event sent now stays old",
	  .type = "track",
	  .body = TIME("2001-09-09T01:46:40Z"),
	  .sent_at = "2026-11-24T11:59:59.900Z",
	  .wants = { { ENRICHED_TIMESTAMP, "2001-09-09T01:46:40.100000Z" } } },
	{ .said = "an hour ahead is taken",
	  .type = "track",
	  .body = TIME("2026-11-24T13:00:00Z"),
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T13:00:00.000000Z" } } },
	{ .said = "more than an hour ahead is now",
	  .type = "track",
	  .body = TIME("2026-11-24T13:00:00.000001Z"),
	  .wants = { { ENRICHED_TIMESTAMP, RECEIVED },
		     { ENRICHED_ORIGINAL_TIMESTAMP, "2026-11-24T13:00:00.000001Z" } } },
	{ .said = "1971 is taken",
	  .type = "track",
	  .body = TIME("1971-01-01T00:00:00Z"),
	  .wants = { { ENRICHED_TIMESTAMP, "1971-01-01T00:00:00.000000Z" } } },
	{ .said = "before 1971 is now",
	  .type = "track",
	  .body = TIME("1970-12-31T23:59:59.999999Z"),
	  .wants = { { ENRICHED_TIMESTAMP, RECEIVED } } },
	{ .said = "sent in 1970, corrected beyond now",
	  .type = "track",
	  .body = TIME("2026-11-24T11:00:00Z"),
	  .sent_at = "1970-01-01T00:00:00Z",
	  .wants = { { ENRICHED_TIMESTAMP, RECEIVED } } },
	{ .said = "originalTimestamp of rudder",
	  .type = "track",
	  .body = BODY("\"originalTimestamp\":\"2026-11-24T11:30:00Z\""),
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T11:30:00.000000Z" } } },
	{ .said = "timestamp goes before originalTimestamp",
	  .type = "track",
	  .body = BODY("\"originalTimestamp\":\"2026-11-24T11:30:00Z\","
		       "\"timestamp\":\"2026-11-24T11:31:00Z\""),
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T11:31:00.000000Z" } } },
	{ .said = "an unreadable timestamp leaves originalTimestamp",
	  .type = "track",
	  .body = BODY("\"originalTimestamp\":\"2026-11-24T11:30:00Z\",\"timestamp\":\"today\""),
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T11:30:00.000000Z" } } },
	{ .said = "without a zone it is no instant",
	  .type = "track",
	  .body = TIME("2026-11-24T11:30:00"),
	  .wants = { { ENRICHED_TIMESTAMP, RECEIVED }, { ENRICHED_ORIGINAL_TIMESTAMP, NULL } } },
	{ .said = "30 February",
	  .type = "track",
	  .body = TIME("2026-02-30T11:30:00Z"),
	  .wants = { { ENRICHED_TIMESTAMP, RECEIVED } } },
	{ .said = "a number",
	  .type = "track",
	  .body = BODY("\"timestamp\":1795480220524"),
	  .wants = { { ENRICHED_TIMESTAMP, RECEIVED } } },
	{ .said = "nanoseconds and a zone, as go sends",
	  .type = "track",
	  .body = TIME("2026-11-24T12:30:00.123456789+01:00"),
	  .wants = { { ENRICHED_TIMESTAMP, "2026-11-24T11:30:00.123456Z" } } },
	{ .said = "year 0 and year 9999",
	  .type = "track",
	  .body = TIME("0000-01-01T00:00:00Z"),
	  .sent_at = "9999-12-31T23:59:59Z",
	  .wants = { { ENRICHED_TIMESTAMP, RECEIVED } } },
};

/* What no text can say: differences over 64 bits. */
static void overflow(struct enrich_bench *bench)
{
	struct value in[COLLECTED_COUNT] = {
		[COLLECTED_TYPE] = case_text("track"),
		[COLLECTED_BODY] = case_text(TIME("2026-11-24T11:30:00Z")),
		[COLLECTED_RECEIVED_AT] = value_num(INT64_MAX),
		[COLLECTED_SENT_AT] = value_num(INT64_MIN),
	};
	struct value fields[ENRICHED_COUNT];
	struct enrich_bad bad;
	struct slice datum;
	int rc = enrich_record(bench->enrich, in, 0, 0, &datum, &bad);

	OK(&bench->tap, rc == 0 && datum_decode(bench->reader, datum, fields) > 0,
	   "times at both ends of 64 bits give a record");
	OK(&bench->tap, fields[ENRICHED_TIMESTAMP].num == INT64_MAX, "with received_at");
	in[COLLECTED_RECEIVED_AT] = value_num(INT64_MIN);
	in[COLLECTED_SENT_AT] = value_num(0);
	rc = enrich_record(bench->enrich, in, 0, 0, &datum, &bad);
	OK(&bench->tap, rc == 0 && datum_decode(bench->reader, datum, fields) > 0 &&
	   fields[ENRICHED_TIMESTAMP].num == INT64_MIN, "and with the least one");
}

int main(void)
{
	struct enrich_bench bench;

	enrich_bench_open(&bench);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		case_check(&bench, &cases[i]);
	overflow(&bench);
	return enrich_bench_end(&bench);
}
