/* trend - measures per bucket of time and segment
 *
 *      question --> trend_parse --> see (ranges) --> rank (the top segments) --> count --> values
 *                                   only if needed   only if needed             one pass
 *
 * Each arrow is one scan. `see` finds the values that numbers of a breakdown have, `rank` sums
 * every segment up over the whole range to find the top ones, `count` fills cells of (segment,
 * bucket), the rest of the segments being one: so the unique users of `$other` are those of their
 * union, and memory depends on `top`, not on how many segments there are.
 *
 * A count of persons is a mark per cell "who was counted here last": persons come one after the
 * other. Sums are exact (sum.h); percentiles are of all values (a count per cell and value), by
 * linear interpolation. What each measure means: docs/questions.md.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_TREND_H
#define AGGREGATE_TREND_H

#include "aggregate/breakdown.h"
#include "aggregate/formula.h"
#include "aggregate/keymap.h"
#include "aggregate/measure.h"
#include "aggregate/session.h"
#include "aggregate/sum.h"

#define TREND_MEASURES_MAX 50
#define TREND_TOP_MAX      1000
#define TREND_ROLLING_MAX  366
#define TREND_CELLS_MAX    4000000      /* of one measure */

enum trend_kind {
	TREND_TOTAL, TREND_UNIQUE, TREND_PER_USER, TREND_SUM, TREND_AVG, TREND_MIN, TREND_MAX,
	TREND_MEDIAN, TREND_P25, TREND_P75, TREND_P90, TREND_P99, TREND_DISTINCT, TREND_DAU,
	TREND_WAU, TREND_MAU, TREND_SESSIONS
};

struct trend_measure {
	struct slice event;             /* into the question; "*": any */
	bool is_any;
	enum trend_kind kind;
	struct predicate *where;        /* owned */
	struct scan_prop *prop;         /* owned; NULL: the kind needs none */
	double *numbers;                /* [scan_prop_count], NaN: no number; owned */
	int32_t exponent;               /* of sum and avg: sum.h's sum_fixed */
	int days;                       /* of dau, wau, mau: 1, 7, 30; else 0 */
	double quantile;                /* of percentiles; < 0: none */
};

/* Which segments have cells of their own; index `count` is $other. */
struct trend_segments {
	struct keymap keys;             /* key -> index */
	bool has_other;
};

/* A measure's answer. */
struct trend_values {
	uint32_t segments;              /* with $other */
	double *values;                 /* [segments * buckets]; NaN: null; owned */
	double *overall;                /* [segments]; owned */
	double *rank;                   /* [segments]: their order; NaN: it is empty; owned */
};

struct trend {
	struct measure_world *world;
	struct question_range range;
	enum zone_unit unit;
	struct predicate *where;        /* owned; NULL: all */
	struct trend_measure measures[TREND_MEASURES_MAX];
	size_t measure_count;
	struct breakdown *breakdown;    /* owned; NULL: none */
	bool is_top_events;             /* no measures were named */
	uint32_t top;
	int rolling;                    /* buckets of a rolling average; 0: none */
	bool is_cumulative;
	struct formula formula;         /* count 0: none */
	struct slice formula_text;
	struct session_rule session;
	bool has_compare;
	enum zone_unit shift_unit;
	int64_t shift_n;                /* 0: as long as the range itself */
	struct trend_segments segments[TREND_MEASURES_MAX];
	bool is_settled;                /* segments are known: a second range keeps them */
};

/* One range of it: what a scan of cells needs. */
struct trend_range {
	int64_t from_us, to_us;
	int64_t scan_from_us;           /* before from_us for a rolling average */
	int64_t *bounds;                /* [buckets + 1]; owned */
	int buckets;                    /* with those that only a rolling average looks at */
	int first;                      /* the first one that is asked for */
	int64_t *days;                  /* [day_count + 1]: of dau, wau, mau; owned; may be NULL */
	int day_count, day_first;       /* day_first: the day of from_us */
};

MUST_CHECK int trend_parse(struct trend *trend, struct measure_world *world, yyjson_val *root,
			   struct question_error *error);
void trend_close(struct trend *trend);

/* Fills values[measure_count] for a range; the first call also chooses the segments. */
MUST_CHECK int trend_run(struct trend *trend, const struct trend_range *range,
			 struct trend_values *values);
void trend_values_close(struct trend_values *values, size_t count);
/* Reads the range's bounds, days and its rolling start. -ENOSPC: too many buckets. */
MUST_CHECK int trend_range_open(struct trend_range *range, const struct trend *trend,
				int64_t from_us, int64_t to_us);
void trend_range_close(struct trend_range *range);

/* trend_rank.c: settles ranges of numbers and the top segments. */
MUST_CHECK int trend_choose(struct trend *trend, const struct trend_range *range);
/* A scan of all measures' events. Bit i is measure i; bit measure_count is every behavioural event
 * where sessions are counted. */
MUST_CHECK int trend_scan(struct trend *trend, const struct trend_range *range, bool in_pieces,
			  const struct scan_ops *ops, void *ctx);
/* The same by rows: trend_block.c's and trend_rank.c's. chunk 0: persons are not counted. */
MUST_CHECK int trend_scan_blocks(struct trend *trend, const struct trend_range *range,
				 uint32_t chunk, const struct scan_block_ops *ops, void *ctx);
/* Measures' state grows by bytes. */
MUST_CHECK int trend_charge(const struct trend *trend, size_t bytes);

#endif
