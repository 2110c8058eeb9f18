/* resume - what the own output says about where a partition stopped
 *
 *      output p   [ ..  |<-- the longer of: window + slack, STAMP_TAIL records -->| end
 *                        ids -> dedup; highest src.offset + 1 -> start of input p
 *
 * The rule for the resume point is stamp.h's. It is not stamp_resume that reads, since stamps and
 * ids must be of the same records: a zombie that still writes between two reads would move the
 * resume point past ids that were not read. Markers have a stamp and no id.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_RESUME_H
#define ENRICH_RESUME_H

#include "enrich/dedup.h"
#include "lib/bus.h"

struct resume_point {
	int64_t next;           /* input offset, or BUS_OFFSET_FIRST where the output is empty */
	int64_t ids;            /* records read into dedup */
	int64_t received;       /* received_at of the last record; 0 where the output is empty */
};

/* url: of the output; conf: its schema, log and Kafka properties. */
MUST_CHECK int resume_read(const char *url, const struct bus_conf *conf, int32_t partition,
			   int64_t window_ms, struct dedup *dedup, struct resume_point *point,
			   struct err *err);

#endif
