/* cohort - a query over people: which persons does it mean?
 *
 *      {"and":[{"prop":"gender","op":"is","values":["female"]},
 *              {"did":"Purchase","count":{"op":">=","n":3},
 *               "within":{"last":{"n":30,"unit":"day"}}}]}
 *        --> selectors for a scan, and a tree to try on each person that comes
 *
 * Nodes (docs/questions.md, "People"): and, or, not; prop (of the profile, as it is now); did with
 * count, sum, avg, min, max, distinct or days; did_not; sequence; first_time; in_cohort.
 * A tree is tried on one person with his events that match a selector, and tells also when it
 * could turn out otherwise though nothing happens: where its window leaves an event behind. So a
 * saved query (saved.h) needs no polling. Windows "last n units" run to the instant that the query
 * was parsed with, and begin exactly n units before it, that instant included.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COHORT_H
#define AGGREGATE_COHORT_H

#include "aggregate/scan.h"

#define COHORT_NODES_MAX 64
#define COHORT_STEPS_MAX 10

struct cohort;

/* Nothing of node is kept; world's callbacks are. -EINVAL with *error, -ENOMEM. */
MUST_CHECK int cohort_parse(struct cohort **cohortp, yyjson_val *node, const char *at,
			    const struct predicate_world *world, struct question_error *error);
void cohort_close(struct cohort *cohort);

const struct scan_selector *cohort_selectors(const struct cohort *cohort, size_t *count);
/* A condition on the profile that all of its persons satisfy; NULL: there is none. */
const struct predicate *cohort_who(const struct cohort *cohort);
/* Can a person without any event of the selectors be meant? */
bool cohort_means_idle(const struct cohort *cohort);
/* Does time alone change what profiles are compared with ("in the last 7 days")? */
bool cohort_is_relative(const struct cohort *cohort);
/* Does it ask for another one? */
bool cohort_has_cohort(const struct cohort *cohort);

/* Ready for a snapshot, then for each thread. */
MUST_CHECK int cohort_bind(struct cohort *cohort, const struct snapshot *snapshot);
struct cohort_eye;
MUST_CHECK int cohort_eye_open(struct cohort_eye **eyep, const struct cohort *cohort);
void cohort_eye_close(struct cohort_eye *eye);
/* 1: meant; 0: not; -errno. *next_us: the first instant at which the answer can change without a
 * new event, INT64_MAX: never. May be NULL. */
MUST_CHECK int cohort_try(struct cohort_eye *eye, const struct scan_person *person,
			  int64_t *next_us);

#endif
