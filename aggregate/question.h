/* question - what all questions have in common: range, zone, buckets, errors
 *
 *      {"from":"2026-11-01","to":"2026-11-07","zone":"Europe/Stockholm","unit":"day",..}
 *          --> instants [from_us, to_us) and the boundaries of each bucket
 *
 * Nothing that a question says is passed over: unknown fields and bad values are errors that name
 * the place as a JSON pointer and say what would be right.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_QUESTION_H
#define AGGREGATE_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/json.h"
#include "lib/slice.h"
#include "lib/zone.h"

#define QUESTION_BUCKETS_MAX 10000

struct question_error {
	int status;                     /* 400, 408, 413, 500, .. */
	char code[32];
	char at[160];
	char message[240];
};

/* Fills it and returns -EINVAL. */
int question_fail(struct question_error *error, const char *at, const char *code,
		  const char *format, ...) PRINTF_LIKE(4, 5);

struct question_range {
	struct zone *zone;              /* owned: question_range_close */
	int64_t from_us, to_us;
};
/* from/to or last, zone, and week_start (its default is week_start, in days after Monday). Without
 * any range: the last 30 days with today. `to` as a date means the whole day; "last" n units ends
 * with the unit that now is in, as far as it has come: it ends with that unit's end. from before
 * 1971 or to more than a year ahead are impossible. */
MUST_CHECK int question_range_parse(struct question_range *range, yyjson_val *root,
				    int64_t now_us, int week_start,
				    struct question_error *error);
/* "monday" as 0 .. "sunday" as 6; -1: neither. */
int question_week_day(struct slice text);
/* The same, but for weeks, from members of any node ("within" of a people query). is_ever: none is
 * given. */
MUST_CHECK int question_range_parse_node(struct question_range *range, yyjson_val *node,
					 const char *at, int64_t now_us, bool *is_ever,
					 struct question_error *error);
void question_range_close(struct question_range *range);

/* Every member of object must be one of names (NULL ends it). */
MUST_CHECK int question_known(yyjson_val *object, const char *at, const char *const *names,
			      struct question_error *error);

/* {"n": 7, "unit": "day"} in microseconds: second, minute, hour, day, week, month (30 days). */
MUST_CHECK int question_duration(yyjson_val *node, const char *at, int64_t *us,
				 struct question_error *error);
/* "minute" .. "year". */
MUST_CHECK int question_unit(yyjson_val *node, const char *at, enum zone_unit *unit,
			     struct question_error *error);
/* A whole number within min and max; a missing one leaves *value as it is. */
MUST_CHECK int question_count(yyjson_val *object, const char *key, const char *at, int64_t min,
			      int64_t max, int64_t *value, struct question_error *error);
/* A text member, cut nowhere, 1 to max bytes; a missing one gives {NULL, 0}. */
MUST_CHECK int question_text(yyjson_val *object, const char *key, const char *at, size_t max,
			     struct slice *text, struct question_error *error);
/* One of words (NULL ends it) as its index; a missing one leaves *index as it is. */
MUST_CHECK int question_word(yyjson_val *object, const char *key, const char *at,
			     const char *const *words, int *index,
			     struct question_error *error);
/* true or false; a missing one leaves *value as it is. */
MUST_CHECK int question_flag(yyjson_val *object, const char *key, const char *at, bool *value,
			     struct question_error *error);

/* An instant as questions write it: a date in zone (its midnight; *is_date), RFC 3339 with a zone,
 * or without one in UTC. -EBADMSG: neither. */
MUST_CHECK int question_instant(struct slice text, const struct zone *zone, int64_t *us,
				bool *is_date);
/* Appends "/name" or "/3" to a JSON pointer; the result is cut to its room. */
void question_at(char out[160], const char *at, const char *name);
void question_at_index(char out[160], const char *at, const char *name, size_t index);

/* For -ECANCELED, -ETIME, -ENOSPC, -ENOMEM of a scan: status, code and words; others: 500. Hands
 * rc on; leaves what question_fail already said. */
int question_fail_scan(struct question_error *error, int rc);

#endif
