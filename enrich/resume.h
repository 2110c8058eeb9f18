/* resume - what the own output says about where a partition stopped
 *
 *      output p   [ .. |<-- window + slack -->| tail ]
 *                       ids -> dedup            highest src.offset + 1 -> start of input p
 *
 * Two readers in turn: stamp's over the tail for the resume point, and one over the window for
 * the ids. Markers count for the first, not for the second.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_RESUME_H
#define ENRICH_RESUME_H

#include "enrich/dedup.h"
#include "lib/bus.h"

struct resume_point {
	int64_t next;           /* input offset, or BUS_OFFSET_FIRST where the output is empty */
	int64_t ids;            /* records read into dedup */
};

/* url: of the output; conf: its schema, log and Kafka properties. dedup may be NULL. */
MUST_CHECK int resume_read(const char *url, const struct bus_conf *conf, int32_t partition,
			   int64_t window_ms, struct dedup *dedup, struct resume_point *point,
			   struct err *err);

#endif
