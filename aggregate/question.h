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

#include "aggregate/zone.h"
#include "lib/json.h"
#include "lib/slice.h"

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
/* from/to or last, and zone. Without any: the last 30 days with today. */
MUST_CHECK int question_range_parse(struct question_range *range, yyjson_val *root,
				    int64_t now_us, struct question_error *error);
void question_range_close(struct question_range *range);

/* Every member of object must be one of names (NULL ends it). */
MUST_CHECK int question_known(yyjson_val *object, const char *at, const char *const *names,
			      struct question_error *error);

/* {"n": 7, "unit": "day"} in microseconds: second, minute, hour, day, week, month (30 days). */
MUST_CHECK int question_duration(yyjson_val *node, const char *at, int64_t *us,
				 struct question_error *error);

#endif
