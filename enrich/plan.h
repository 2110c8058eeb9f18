/* plan - a tracking plan: what each event is declared to be
 *
 *      {"rules": [{"type": "TRACK", "key": "Order Done", "version": 1, "jsonSchema": MESSAGE}, ..]}
 *              Segment's Public API; types TRACK, IDENTIFY, GROUP, PAGE, SCREEN, COMMON
 *      {"rules": {"events": [{"name": "Order Done", "version": 1, "rules": MESSAGE}, ..],
 *                 "global": MESSAGE, "identify": MESSAGE, "group": MESSAGE}}
 *              Segment's older Config API
 *      {"events": {"Order Done": SCHEMA}, "identify": SCHEMA, "group": SCHEMA, "page": SCHEMA,
 *       "screen": SCHEMA}
 *              the short form: schemas of properties, and of traits for identify and group
 *
 * also inside of data and tracking_plan, as those APIs answer. MESSAGE is a JSON Schema (subset:
 * json_schema.h) of the message with properties, traits, context; of several versions of an event
 * the highest counts.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_PLAN_H
#define ENRICH_PLAN_H

#include "enrich/json_schema.h"
#include "enrich/step.h"

struct plan_message {
	struct schema_node *parts[LEAF_COUNT];  /* NULL: anything */
	bool required[LEAF_COUNT];
};

struct plan;

/* -EINVAL, -EBADMSG: words begin with where. */
MUST_CHECK int plan_open(struct plan **planp, struct slice text, const char *where,
			 struct err *err);
void plan_close(struct plan *plan);
const struct json_schema *plan_schema(const struct plan *plan);
/* What is declared of it; NULL: nothing. Of a track call by its event. */
const struct plan_message *plan_find(const struct plan *plan, enum step_type type,
				     struct slice event);
/* Of all messages; NULL: nothing. */
const struct plan_message *plan_common(const struct plan *plan);

#endif
