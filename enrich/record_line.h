/* record_line - an enriched record as a line of JSON, and back
 *
 *      {"message_id":"..","event":"..","timestamp":"2026-11-24T12:00:00.000000Z",
 *       "geo":{"country":"SE"},"properties":{..},"src":{"partition":0,"offset":7,"index":0},..}
 *
 * Names and nesting are those of schemas/enriched.avsc; null leaves are left out; properties,
 * traits, context, integrations and violations are JSON, times have six digits. What comes back may
 * differ in every leaf but message_id, type, source, sent_at, received_at, door, src and logic,
 * which are not read; a leaf that is missing or null becomes null.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_RECORD_LINE_H
#define ENRICH_RECORD_LINE_H

#include "enrich/step.h"

/* Appends the line without its end. */
void record_line_write(const struct schema *schema, const struct value *out, struct buf *line);
/* src of a line, to know whose it is. -EBADMSG: it has none. */
MUST_CHECK int record_line_src(yyjson_val *root, int64_t *partition, int64_t *offset);
/* Sets the event's leaves; texts point into root's, or the event's arena. -EBADMSG: words say which
 * leaf is wrong; -ENOMEM. */
MUST_CHECK int record_line_read(const struct schema *schema, yyjson_val *root,
				struct step_event *event, struct err *words);

#endif
