/* courier - the outlet of all destinations but files
 *
 *      record --mapper--> letter --> carrier ..... settled --> position, ledger
 *                  `--> filtered, or bad               `--> dead: bad, then position
 *
 * Kept in STATE/NAME/: position (position.h), status.json for people and the dashboard, and what a
 * kind keeps. A dead letter counts as done when bad has it durably, not before.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_COURIER_H
#define SINK_COURIER_H

#include "sink/outlet.h"
#include "sink/setup.h"

struct guard;

struct courier_conf {
	const struct setup *setup;
	const struct schema *schema;
	const char *topic;
	const char *state_dir;          /* STATE/NAME, is made */
	const char *position;           /* name of its file there: "position", or of a replay */
	const struct guard *guard;
	const struct log *log;
	const char *ca_file;            /* NULL: the system's */
	bool until_end;
	int64_t grace_ms;               /* at SIGTERM, for requests under way */
	int64_t from_us, to_us;         /* replay: received_at in [from, to); 0, 0: all */
	bool from_bad;                  /* records are of `bad`, schema is enriched's */
};

MUST_CHECK int courier_open(struct outlet **outletp, const struct courier_conf *conf,
			    struct err *err);

#endif
