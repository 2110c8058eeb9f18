/* scope - the names that a template may use, made of a record
 *
 *      enriched   the event as the file sink writes it: event, user_id, properties.x, traits.y
 *      members    the profile's own names, and person, query, trigger, change, version, at, total,
 *                 ids, profile
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SCOPE_H
#define SINK_SCOPE_H

#include "sink/event.h"
#include "sink/template.h"

struct scope;

/* trigger: name for {{ trigger }}; copied. */
MUST_CHECK int scope_open(struct scope **scopep, const struct schema *schema, const char *trigger,
			  struct err *err);
void scope_close(struct scope *scope);
/* *names lives until the next call. -EBADMSG: the record's JSON cannot be read. */
MUST_CHECK int scope_read(struct scope *scope, const struct event *event, bool is_strict,
			  struct template_scope *names, struct err *err);

#endif
