/* deliver - each record of a topic, once, to a destination
 *
 *      record -> before resume's offset?  -> duplicate
 *             -> src seen before?         -> duplicate, skip
 *             -> marker?                  -> filtered, skip
 *             -> put                      -> pending, until the destination calls it safe
 *
 * The step and commit of lib/filter.h for all destinations. Stamps are looked at only where the
 * schema has all three of src.partition, src.offset and src.index: enriched has.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_DELIVER_H
#define SINK_DELIVER_H

#include "lib/filter.h"
#include "sink/outlet.h"

struct deliver;

/* schema and outlet are borrowed. */
MUST_CHECK int deliver_open(struct deliver **deliverp, const struct schema *schema,
			    struct outlet *outlet, bool is_pipe, struct err *err);
void deliver_close(struct deliver *deliver);

/* The opened input, before filter_run. */
void deliver_set_input(struct deliver *deliver, struct bus *in);

/* For bus_conf.start, with the deliver as its ctx. */
int64_t deliver_start(void *deliver, int32_t partition, struct err *err);

extern const struct filter_ops deliver_ops;

#endif
