/* measure - what a report is: parse, run, write
 *
 *      question (JSON) --> measure->answer(world, question, out) --> answer (JSON)
 *
 * One file per report, measure_NAME.c, and one row in answer.c's table. All of them work on a
 * snapshot and scan.h. They write only the members that are theirs; answer.c adds computed_at,
 * complete_through, scanned and took_ms, and turns JSON into CSV where the client asks for it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_MEASURE_H
#define AGGREGATE_MEASURE_H

#include <errno.h>

#include "aggregate/question.h"
#include "aggregate/scan.h"
#include "lib/when.h"

struct saved;

/* What every question gets to know. All is borrowed. */
struct measure_world {
	const struct snapshot *snapshot;
	struct saved *saved;            /* cohorts by name; NULL: there are none */
	/* of saved, for predicate_world; NULL: there are none */
	bool (*in_cohort)(void *ctx, struct slice name, uint32_t leader);
	bool (*has_cohort)(void *ctx, struct slice name);
	void *cohort_ctx;
	int64_t now_us;                 /* wall clock */
	int week_start;                 /* where a question says none: days after Monday */
	int64_t complete_through_us;
	int threads;
	const atomic_bool *cancel;
	int64_t deadline_ms;            /* monotonic */
	size_t memory_max;
	atomic_size_t charged;          /* of it, by what is no scan's */
	uint64_t scanned;               /* out */
};

/* -ECANCELED, -ETIME: for loops that are no scan's, now and then. */
static inline int measure_must_stop(const struct measure_world *world)
{
	if (world->cancel && atomic_load_explicit(world->cancel, memory_order_relaxed))
		return -ECANCELED;
	return world->deadline_ms && when_monotonic_ms() > world->deadline_ms ? -ETIME : 0;
}

/* What its conditions need to know. */
static inline struct predicate_world measure_predicates(const struct measure_world *world,
							const struct zone *zone)
{
	return (struct predicate_world){ .now_us = world->now_us, .zone = zone,
					 .week_start = world->week_start,
					 .in_cohort = world->in_cohort,
					 .has_cohort = world->has_cohort,
					 .ctx = world->cohort_ctx };
}

/* Appends members ("buckets":..,"series":..) without the outer braces to out. 0, or -EINVAL and
 * scan_run's errors with *error. */
typedef int measure_answer_fn(struct measure_world *world, yyjson_val *question, struct buf *out,
			      struct question_error *error);

measure_answer_fn measure_trend, measure_funnel, measure_retention, measure_sessions,
	measure_lifecycle, measure_stickiness, measure_paths, measure_people, measure_person,
	measure_names;

#endif
