/* funnel_ask - a funnel question, checked: what to select, how to match, what to tell
 *
 *      {"steps":[..],"window":..,"order":..,"exclusions":[..]} --> selectors + struct funnel_conf
 *
 * Selectors are what scan.h needs; a step with alternatives that have conditions of their own has
 * several. funnel_ask_match turns a selector's bit into the step's or exclusion's. Saved funnels
 * use the same (saved.h).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_FUNNEL_ASK_H
#define AGGREGATE_FUNNEL_ASK_H

#include "aggregate/funnel.h"
#include "aggregate/pick.h"
#include "aggregate/question.h"
#include "aggregate/session.h"

#define FUNNEL_WINDOW_US  (INT64_C(7) * 24 * 3600 * 1000000)
#define FUNNEL_HOLD_MAX   3
#define FUNNEL_PEOPLE_MAX 1000

enum funnel_attribution {
	FUNNEL_FIRST_DEFINED, FUNNEL_LAST_DEFINED, FUNNEL_FIRST_STEP, FUNNEL_LAST_STEP, FUNNEL_EACH
};

struct funnel_ask {
	struct funnel_conf conf;
	bool by_session;                /* totals within each session */
	struct session_rule session;
	struct question_range range;    /* owned */
	struct predicate *where;        /* owned: of all steps; NULL: none */
	char *labels[FUNNEL_STEPS_MAX]; /* owned: "A", "A or B", "any event" */

	struct pick picks[SCAN_SELECTORS_MAX];  /* owned; of each selector */
	struct scan_selector selectors[SCAN_SELECTORS_MAX];
	size_t selector_count;
	uint64_t bits[SCAN_SELECTORS_MAX];      /* of each selector, in conf's terms */
	bool is_direct;                 /* bits[i] is 1 << i for all: no translation needed */

	struct slice hold[FUNNEL_HOLD_MAX];     /* owned texts */
	size_t hold_count;
	struct slice breakdown;         /* owned; ptr NULL: none */
	bool breakdown_of_profile;
	bool breakdown_as_text;         /* no ranges of numbers */
	enum funnel_attribution attribution;
	int attribution_step;           /* from 1; 0: by attribution */
	int64_t top;
	bool has_trend;
	enum zone_unit trend;
	int people_step;                /* from 1; 0: not asked for */
	bool people_dropped;
	int64_t people_limit;
};

/* -EINVAL with *error, -ENOMEM. The caller closes in any case. Nothing of root is kept. */
MUST_CHECK int funnel_ask_parse(struct funnel_ask *ask, yyjson_val *root,
				const struct predicate_world *world,
				struct question_error *error);
void funnel_ask_close(struct funnel_ask *ask);

uint64_t funnel_ask_match(const struct funnel_ask *ask, uint64_t selected);

#endif
