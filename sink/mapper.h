/* mapper - a record to a destination's parts: selection, expressions, the kind's own map
 *
 *      fields --> event --select--> jq where, map --> event --kind->map--> parts
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_MAPPER_H
#define SINK_MAPPER_H

#include "sink/event.h"
#include "sink/part.h"
#include "sink/setup.h"

struct mapper;

enum mapper_fate { MAPPER_SENT, MAPPER_FILTERED, MAPPER_INVALID };

struct mapper_result {
	enum mapper_fate fate;
	/* FILTERED: a literal; INVALID: words, until the next call */
	const char *why;
	const char *reason;             /* INVALID: code for bad */
	const struct buf *payloads;     /* SENT; valid until the next call */
	const struct dest_part *parts;
	size_t part_count;
	struct slice message_id;
	struct slice person;
	int64_t timestamp_us;
};

/* dest may be NULL: then kind->map is not called (nothing of that is asked for). */
/* topic: that records come from; the ids of those that have none are made of it. Borrowed. */
MUST_CHECK int mapper_open(struct mapper **mapperp, const struct setup *setup, struct dest *dest,
			   const struct schema *schema, const char *topic, struct err *err);
void mapper_close(struct mapper *mapper);
/* 0, or fatal -errno. fields must live until the parts are copied. */
MUST_CHECK int mapper_run(struct mapper *mapper, const struct value *fields, int32_t partition,
			  int64_t offset, struct mapper_result *result, struct err *err);

#endif
