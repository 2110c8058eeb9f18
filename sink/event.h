/* event - a record as a destination sees it
 *
 * The record's leaves, and the JSON of its four JSON leaves, parsed once. With an expression in
 * the settings (`map`, `rename`, `drop`) the frame has already put the changed event in its place:
 * a kind never knows. Everything lives until the next event_read.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_EVENT_H
#define SINK_EVENT_H

#include <stdint.h>

#include "lib/datum.h"
#include "lib/json.h"
#include "lib/schema.h"

enum event_type {
	EVENT_TRACK, EVENT_IDENTIFY, EVENT_PAGE, EVENT_SCREEN, EVENT_GROUP, EVENT_ALIAS,
	EVENT_OTHER,            /* no type of these, or a record of another topic */
};

struct event_reader;

struct event {
	const struct schema *schema;
	const struct value *fields;     /* by schema: ENRICHED_* of lib/record.h for enriched */
	enum event_type type;
	int32_t partition;
	int64_t offset;
	/* enriched only; NULL where null or not an object */
	yyjson_val *properties, *traits, *context, *integrations;
	struct slice mapped;            /* DEST_RAW_MAP and `map`: its JSON; else {NULL, 0} */
	struct event_reader *reader;    /* of event_line */
};

MUST_CHECK int event_open(struct event_reader **readerp, const struct schema *schema,
			  struct err *err);
void event_close(struct event_reader *reader);

/* fields are borrowed as long as event is used. JSON leaves that are not valid are NULL. */
void event_read(struct event_reader *reader, const struct value *fields, int32_t partition,
		int64_t offset, struct event *event);

/* The text of a leaf of enriched, "" where it is null. */
struct slice event_text(const struct event *event, int leaf);
/* user_id, else anonymous_id; "" where both are null. */
struct slice event_person(const struct event *event);
/* The whole record as a line of JSON without its newline, as the file sink writes it with
 * --no-nulls. Lives until the next call. */
struct slice event_line(const struct event *event);
/* A number, text of digits, or boolean as a double. false: none of these. */
bool event_real(yyjson_val *value, double *real);

#endif
