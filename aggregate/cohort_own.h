/* cohort_own - the tree of a people query, for cohort*.c only
 *
 * Nodes lie in one array in the order of the text: a node's children follow it, `skip` nodes in
 * all with itself.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COHORT_OWN_H
#define AGGREGATE_COHORT_OWN_H

#include "aggregate/cohort.h"
#include "aggregate/funnel.h"
#include "aggregate/person_answer.h"
#include "aggregate/pick.h"

enum cohort_kind {
	COHORT_AND, COHORT_OR, COHORT_NOT, COHORT_PROP, COHORT_DID, COHORT_SEQUENCE,
	COHORT_FIRST_TIME, COHORT_IN
};

enum cohort_measure {
	COHORT_COUNT, COHORT_DAYS, COHORT_DISTINCT, COHORT_SUM, COHORT_AVG, COHORT_MIN, COHORT_MAX
};

enum cohort_op {
	COHORT_EQUAL, COHORT_NOT_EQUAL, COHORT_MORE, COHORT_MORE_EQUAL, COHORT_LESS,
	COHORT_LESS_EQUAL
};

struct cohort_node {
	enum cohort_kind kind;
	int skip;                       /* nodes of its subtree, itself too */
	struct predicate *predicate;    /* PROP; owned */
	int selector, steps;            /* first selector, and how many */
	enum cohort_measure measure;
	enum cohort_op op;
	double n;
	int prop;                       /* in props, -1: none */
	int64_t last_us;                /* 0: a fixed window */
	int64_t from_us, to_us;
	int64_t window_us;              /* of a sequence */
	char *name;                     /* IN; PROP that events have (person_is_latest); owned */
};

struct cohort {
	struct predicate_world world;
	struct cohort_node nodes[COHORT_NODES_MAX];
	int count;
	struct pick picks[SCAN_SELECTORS_MAX];
	struct scan_selector selectors[SCAN_SELECTORS_MAX];
	size_t selector_count;
	struct predicate *who;          /* owned */
	bool is_relative, has_cohort;
	struct {
		struct slice name;      /* owned */
		struct scan_prop *prop; /* once bound */
	} props[COHORT_NODES_MAX];
	int prop_count;
	const struct snapshot *snapshot;        /* once bound */
};

#endif
