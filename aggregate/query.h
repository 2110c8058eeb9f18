/* query - a question in JSON, checked
 *
 * trend of api.md, as far as this version goes: measures total and unique, units hour, day and
 * week (from Monday) of UTC, ranges of whole hours. What is known but not built yet is refused with
 * the code not_supported and its place, what is unknown with unknown_field: nothing is passed over.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_QUERY_H
#define AGGREGATE_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/json.h"
#include "lib/slice.h"

#define QUERY_MEASURES_MAX 50
#define QUERY_BUCKETS_MAX  10000
#define QUERY_TOP_MAX      1000
#define QUERY_LIMIT_MAX    10000

enum query_unit { QUERY_UNIT_HOUR, QUERY_UNIT_DAY, QUERY_UNIT_WEEK };

struct query_measure {
	struct slice event;             /* into the parsed body */
	bool is_any;                    /* "*" */
	bool is_unique;
};

struct query_trend {
	struct query_measure measures[QUERY_MEASURES_MAX];
	size_t measure_count;           /* 0: the top events by total */
	size_t top;
	enum query_unit unit;
	int64_t from, to;               /* hours since 1970, half open */
};

struct query_names {
	struct slice prefix;            /* into the parsed body */
	size_t limit;
};

/* What an answer of another status than 200 says. */
struct query_error {
	int status;
	const char *code;
	char at[96];                    /* JSON pointer */
	char message[240];
};

/* 0, or -EINVAL with *error. Slices live until the next json_parse on reader. */
MUST_CHECK int query_parse_trend(struct json_reader *reader, struct slice body, int64_t now_us,
				 struct query_trend *query, struct query_error *error);
MUST_CHECK int query_parse_names(struct json_reader *reader, struct slice body,
				 struct query_names *query, struct query_error *error);

/* Start of the unit that an hour is in, and of the next one. */
int64_t query_unit_start(enum query_unit unit, int64_t hour);
int64_t query_unit_hours(enum query_unit unit);

#endif
