// SPDX-License-Identifier: Apache-2.0
#include "lib/bus_stage.h"

static struct stage *stage_of(struct bus *bus)
{
	return ((struct bus_stage *)bus)->stage;
}

int bus_stage_release(struct bus *bus)
{
	return stage_release(stage_of(bus));
}

uint64_t bus_stage_durable(struct bus *bus)
{
	return stage_durable(stage_of(bus));
}

int bus_stage_wait(struct bus *bus, int timeout_ms)
{
	return stage_wait(stage_of(bus), timeout_ms);
}

int bus_stage_flush(struct bus *bus, int timeout_ms)
{
	return stage_flush(stage_of(bus), timeout_ms);
}

int bus_stage_event_fd(struct bus *bus)
{
	return stage_event_fd(stage_of(bus));
}

int bus_stage_error(struct bus *bus)
{
	return stage_error(stage_of(bus));
}

const char *bus_stage_error_text(struct bus *bus)
{
	return stage_error_text(stage_of(bus));
}
