/* condition - for which events a step is taken
 *
 *      when:
 *        source: [web, ios]      # any of these
 *        type: track
 *        event: Order*           # exact, or up to a * at its end
 *        property: plan=pro      # NAME=VALUE, or NAME: it is there and not null
 *      unless:
 *        event: Heartbeat
 *
 * Each key is one text or a list of which one must hold; all keys of `when` must hold, and those of
 * `unless` must not all hold. A property's NAME is a member of properties, or a path with dots; a
 * VALUE is compared with text, the digits of a number as they were sent, or true and false.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_CONDITION_H
#define ENRICH_CONDITION_H

#include "enrich/step.h"

struct condition;

/* From the step's settings (a map, or NULL): *conditionp is NULL where there are none.
 * -EINVAL: words with path and line. */
MUST_CHECK int condition_open(struct condition **conditionp, const struct yaml *settings,
			      const char *path, struct err *err);
void condition_close(struct condition *condition);
/* Does it look at the event's name, which the step `ids` sets? */
bool condition_needs_ids(const struct condition *condition);
bool condition_holds(const struct condition *condition, const struct step_event *event);
void condition_hash(const struct condition *condition, struct buf *text);

/* "*" at the end of pattern stands for any rest. */
bool condition_name_matches(struct slice name, const char *pattern);

#endif
