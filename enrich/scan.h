/* scan - many literals looked for in one pass over a text (Aho and Corasick, 1975)
 *
 *      add "chrome/" -> 3, "crios/" -> 4 ..   build   run(text): 3, 4, ..
 *
 * A dense automaton: next state = table[state + class of the byte], where bytes that no literal
 * has share a class. Bytes are taken in lower case (ASCII); literals must be so. Each step is one
 * load; the high bit of a state says that literals end there. Built once, then only read.
 * Limits: SCAN_STATES_MAX states (a byte of a literal needs one, shared prefixes share), which is
 * 128 MiB of table at worst; uap-core's rules come to 40,000 states, 10 MiB.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_SCAN_H
#define ENRICH_SCAN_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define SCAN_STATES_MAX 131072

struct scan;

MUST_CHECK int scan_open(struct scan **scanp, struct err *err);
void scan_close(struct scan *scan);
/* Before scan_build. id >= 0; the same literal may have several. -ENOSPC: too many states. */
MUST_CHECK int scan_add(struct scan *scan, struct slice literal, int id);
MUST_CHECK int scan_build(struct scan *scan);

/* What a text holds: for each id that ends at some place, seen gets bit id (seen[id / 64]), and
 * those not set before are appended to ids. Returns how many; ids needs room for all. */
int scan_run(const struct scan *scan, struct slice text, uint64_t *seen, int *ids);

#endif
