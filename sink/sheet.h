/* sheet - a JSON object written member by member, and what kinds share in making one
 *
 * Members without a value are left out. A name that `over` has is left out, too: that object's
 * members come after and win, as a spread at the end does in the vendors' own code.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SHEET_H
#define SINK_SHEET_H

#include "sink/dest.h"

struct sheet {
	struct buf *out;
	yyjson_val *over;               /* may be NULL */
	yyjson_val *over_all;           /* may be NULL: wins over `over`'s members, too */
	bool has_members;
};

/* A member of a fixed list: where it comes from in the event. */
struct sheet_rule {
	const char *name;
	const char *path;               /* "context.app.name", "properties.revenue", "traits.x" */
};

void sheet_begin(struct sheet *sheet, struct buf *out, yyjson_val *over);
void sheet_end(struct sheet *sheet);
/* `"name":` for a value that the caller appends itself. */
void sheet_name(struct sheet *sheet, const char *name);
void sheet_name_text(struct sheet *sheet, struct slice name);
/* list ends with NULL, and may be NULL. */
bool sheet_is_one_of(struct slice name, const char *const *list);
/* false: left out, for it is empty, or over has it. */
bool sheet_text(struct sheet *sheet, const char *name, struct slice text);
bool sheet_json(struct sheet *sheet, const char *name, yyjson_val *value);
bool sheet_num(struct sheet *sheet, const char *name, int64_t num);
void sheet_time(struct sheet *sheet, const char *name, int64_t us);
/* All rules; ends with name NULL. */
void sheet_rules(struct sheet *sheet, const struct event *event, const struct sheet_rule *rules);
/* object's members but those in `without` (ends with NULL; may be NULL). */
void sheet_spread(struct sheet *sheet, yyjson_val *object, const char *const *without);

/* NULL: not there, or null. */
yyjson_val *event_path(const struct event *event, const char *path);
/* Appends the event as Segment's HTTP API takes it. */
void event_segment(const struct event *event, struct buf *out);
/* Appends the payloads of a batch with commas between them. */
void sheet_join(const struct dest_batch *batch, struct buf *body);
/* A UUID: the message id itself where it is one, else made of its hash. */
void event_uuid(struct slice message_id, char uuid[37]);
/* Base64 of `user:password` behind "Basic ". */
MUST_CHECK int sheet_basic(struct post_request *request, const char *user, const char *password);

#endif
