/* stdin - JSON lines from standard input: `collect --stdin < events.jsonl | enrich | sink`
 *
 * A line is one message, or one envelope with a `batch`; empty lines are passed over. A line that
 * cannot be read goes to bad with its number, as does one over inflated-max bytes. What the file
 * says faster than the bus takes waits in the file: nothing is refused. Ends at the end of input,
 * or at SIGTERM or SIGINT behind the last whole line that was read, when all is safe.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_STDIN_H
#define COLLECT_STDIN_H

#include "collect/commit.h"

struct stdin_conf {
	const struct collect_conf *options;     /* borrowed, as all here */
	const struct schema *schemas[PARCEL_LANES];
	const struct log *log;
	struct json_reader *json;
	struct commit *commit;
	int fd;
};

MUST_CHECK int stdin_run(const struct stdin_conf *conf, struct err *err);

#endif
