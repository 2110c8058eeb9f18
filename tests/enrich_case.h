/* enrich_case - one collected record in, leaves of the enriched one out
 *
 *      struct enrich_case c = { .said = "..", .type = "track", .body = "{..}", .wants = {
 *              { ENRICHED_EVENT, "x" }, { ENRICHED_USER_ID, NULL } } };
 *
 * A wanted text of NULL means the leaf is null; of a time it is its RFC 3339 form with six digits.
 * The record goes through enrich_record whole and its datum is decoded again.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_ENRICH_CASE_H
#define TESTS_ENRICH_CASE_H

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enrich/enrich.h"
#include "lib/record.h"
#include "lib/when.h"
#include "tests/tap.h"

#include <unistd.h>

#define CASE_RECEIVED "2026-11-24T12:00:00Z"
#define CASE_WANTS    20

struct enrich_want {
	int leaf;
	const char *text;
};

struct enrich_case {
	const char *said, *type, *body;
	const char *sent_at, *ip, *user_agent, *opt_out;        /* NULL: null */
	const char *received_at;                /* NULL: CASE_RECEIVED */
	const char *bad;                        /* the reason wanted; NULL: the record is good */
	struct enrich_want wants[CASE_WANTS];   /* ends with { 0 } (leaf 0 is never looked at) */
};

struct enrich_bench {
	struct tap tap;
	struct enrich_conf conf;
	struct bus_conf out_conf;
	struct schema *enriched;
	struct datum_reader *reader;
	struct enrich *enrich;
};

/* A file under the tests' directory; path gets its name. */
static inline void case_file(char path[64], const char *text)
{
	size_t len = strlen(text);
	int fd;

	snprintf(path, 64, "/tmp/millrace-case-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		printf("# cannot write %s\n", path);
	if (fd >= 0)
		close(fd);
}

/* tap: counted on from there; config: a millrace.yaml's path; both may be NULL. */
static inline void enrich_bench_with(struct enrich_bench *bench, const struct tap *tap,
				     const char *config)
{
	struct err err = { "" };
	int rc;

	*bench = (struct enrich_bench){ .conf = { .dedup_window_ms = 86400000,
						  .config = config } };
	if (tap)
		bench->tap = *tap;
	bench->enriched = record_schema("enriched");
	bench->out_conf.schema = bench->enriched;
	rc = enrich_open(&bench->enrich, &bench->conf, "-", &bench->out_conf, &err);
	OK(&bench->tap, rc == 0, "enrich opens%s%s", rc ? ": " : "", err.text);
	rc = datum_reader_open(&bench->reader, bench->enriched, bench->enriched, &err);
	OK(&bench->tap, rc == 0, "reader opens%s%s", rc ? ": " : "", err.text);
}

static inline void enrich_bench_open(struct enrich_bench *bench)
{
	enrich_bench_with(bench, NULL, NULL);
}

static inline void enrich_bench_close(struct enrich_bench *bench)
{
	datum_reader_close(bench->reader);
	enrich_close(bench->enrich);
	schema_close(bench->enriched);
}

static inline int enrich_bench_end(struct enrich_bench *bench)
{
	enrich_bench_close(bench);
	return tap_end(&bench->tap);
}

static inline struct value case_text(const char *text)
{
	return text ? value_text(slice_from(text)) : (struct value){ .is_set = false };
}

static inline struct value case_time(const char *text)
{
	int64_t us = 0;

	if (!text)
		return (struct value){ .is_set = false };
	if (when_parse(slice_from(text), &us) < 0)
		printf("# bad time in the test: %s\n", text);
	return value_num(us);
}

/* fields: ENRICHED_COUNT values, valid until the next call. 0 or enrich_record's failure. */
static inline int case_run(struct enrich_bench *bench, const struct enrich_case *c,
			   struct value *fields, struct enrich_bad *bad)
{
	struct value in[COLLECTED_COUNT] = {
		[COLLECTED_MESSAGE_ID] = case_text("m1"),
		[COLLECTED_TYPE] = case_text(c->type),
		[COLLECTED_SOURCE] = case_text("web"),
		[COLLECTED_RECEIVED_AT] =
			case_time(c->received_at ? c->received_at : CASE_RECEIVED),
		[COLLECTED_SENT_AT] = case_time(c->sent_at),
		[COLLECTED_IP] = case_text(c->ip),
		[COLLECTED_USER_AGENT] = case_text(c->user_agent),
		[COLLECTED_DOOR] = case_text("segment"),
		[COLLECTED_BODY] = case_text(c->body),
		[COLLECTED_OPT_OUT] = case_text(c->opt_out),
	};
	struct slice datum;
	int rc = enrich_record(bench->enrich, in, 3, 77, &datum, bad);

	if (rc == 0 && datum_decode(bench->reader, datum, fields) != (ssize_t)datum.len)
		return -EPROTO;
	return rc;
}

static inline void case_want(struct enrich_bench *bench, const struct enrich_case *c,
			     const struct enrich_want *want, const struct value *fields)
{
	const struct schema_field *field = schema_field_at(bench->enriched, want->leaf);
	const struct value *got = &fields[want->leaf];
	char text[WHEN_TEXT_MAX];
	struct slice shown = { "(null)", 6 };

	if (got->is_set && field->is_time_us) {
		when_print(got->num, 6, text);
		shown = slice_from(text);
	} else if (got->is_set) {
		shown = got->text;
	}
	if (!OK(&bench->tap, got->is_set == (want->text != NULL) &&
		(!want->text || slice_is(shown, want->text)), "%s: %s", c->said, field->name))
		printf("# got:    %.*s\n# wanted: %s\n", (int)shown.len, shown.ptr,
		       want->text ? want->text : "(null)");
}

static inline void case_check(struct enrich_bench *bench, const struct enrich_case *c)
{
	struct value fields[ENRICHED_COUNT];
	struct enrich_bad bad = { "", "", "" };
	int rc = case_run(bench, c, fields, &bad);

	if (c->bad) {
		OK(&bench->tap, rc == -EBADMSG && strcmp(bad.reason, c->bad) == 0,
		   "%s: bad for %s (%s: %s)", c->said, c->bad, bad.reason, bad.words);
		return;
	}
	if (!OK(&bench->tap, rc == 0, "%s: a record (%s %s)", c->said, bad.reason, bad.words))
		return;
	for (int i = 0; i < CASE_WANTS && c->wants[i].leaf; i++)
		case_want(bench, c, &c->wants[i], fields);
}

static inline int case_main(const struct enrich_case *cases, size_t count)
{
	struct enrich_bench bench;

	enrich_bench_open(&bench);
	for (size_t i = 0; i < count; i++)
		case_check(&bench, &cases[i]);
	return enrich_bench_end(&bench);
}

#endif
