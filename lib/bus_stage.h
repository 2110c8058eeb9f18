/* bus_stage - what the writers of bus_log and bus_pipe have of their stage, for their bus_ops
 *
 * A writer begins with a struct bus_stage, so that these find the stage from the bus.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_BUS_STAGE_H
#define LIB_BUS_STAGE_H

#include "lib/bus.h"
#include "lib/stage.h"

struct bus_stage {
	struct bus bus;
	struct stage *stage;            /* owned by the writer */
};

/* As bus.h says of bus_release, bus_durable, .. */
MUST_CHECK int bus_stage_release(struct bus *bus);
uint64_t bus_stage_durable(struct bus *bus);
MUST_CHECK int bus_stage_wait(struct bus *bus, int timeout_ms);
MUST_CHECK int bus_stage_flush(struct bus *bus, int timeout_ms);
int bus_stage_event_fd(struct bus *bus);
int bus_stage_error(struct bus *bus);
const char *bus_stage_error_text(struct bus *bus);

/* These members of a struct bus_ops. */
#define BUS_STAGE_OPS \
	.release = bus_stage_release, .durable = bus_stage_durable, .wait = bus_stage_wait, \
	.flush = bus_stage_flush, .event_fd = bus_stage_event_fd, .error = bus_stage_error, \
	.error_text = bus_stage_error_text

#endif
