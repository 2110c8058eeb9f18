/* ledger - nothing vanishes
 *
 *      in = out + bad + duplicate + filtered + pending
 *
 * Every stage keeps these counts of input records since it started; they are in its metrics, in
 * its last log line and, where it has one, in GET /v1/status. A sum that does not hold is a bug
 * of the program: ledger_holds is asserted at every commit.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_LEDGER_H
#define LIB_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/log.h"

struct ledger {
	uint64_t in;            /* records read (offsets, for an undecodable range) */
	uint64_t out;           /* passed on, or counted, or delivered */
	uint64_t bad;           /* to the bad topic */
	uint64_t duplicate;     /* seen before, dropped */
	uint64_t filtered;      /* dropped by settings, or markers of the stage before */
	uint64_t pending;       /* read, and not yet one of the others */
};

static inline bool ledger_holds(const struct ledger *ledger)
{
	return ledger->in == ledger->out + ledger->bad + ledger->duplicate + ledger->filtered +
				     ledger->pending;
}

/* Adds the six as in=.. out=.. to a line. */
void ledger_log(const struct ledger *ledger, struct log_line *line);

#endif
