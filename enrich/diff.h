/* diff - what two versions of an enriched topic say of the same input, by src
 *
 *      enrich diff A B         A: the older one, B: the newer one
 *
 *      changed 0 17 agent.browser properties          on stdout, the first --show of them:
 *      missing 0 18                                   partition and offset of the collected record,
 *      added 1 3                                      names of the leaves that differ but logic
 *      same=9996 changed=1 missing=1 added=1
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_DIFF_H
#define ENRICH_DIFF_H

#include "lib/bus.h"

struct diff_counts {
	int64_t same, changed, missing, added;
};

/* base: schema, log, Kafka properties; lines go to fd as they are found. */
MUST_CHECK int diff_run(const char *a, const char *b, const struct bus_conf *base, int64_t show,
			int fd, struct diff_counts *counts, struct err *err);

#endif
