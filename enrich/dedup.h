/* dedup - the ids seen in a window of time, for one partition
 *
 *      duplicate:  an earlier kept record of the partition has the same (source, message id), and
 *                  its received_at is no more than the window before the newest received_at
 *                  (whole seconds) of this and all kept records
 *
 * Kept means written to the output: a bad record does not make its repeat a duplicate. The rule
 * only speaks of records in the output, so the table is rebuilt from there after a crash and says
 * the same again; and since the newest received_at never falls, an id that left the window can
 * never matter again, so that it is the same whether it was swept away or not.
 *
 * Open addressing, 16 bytes a slot: 96 bits of XXH3-128 and the seconds; 53 to 80 % full, about 24
 * bytes an id (twice that while it grows). Two ids of the same 96 bits: one in 10^15 pairs of 10^7.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_DEDUP_H
#define ENRICH_DEDUP_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

struct dedup;

struct dedup_id {
	uint64_t high;
	uint32_t low;
};

struct dedup_id dedup_id(struct slice source, struct slice message_id);

MUST_CHECK int dedup_open(struct dedup **dedupp, int64_t window_ms, struct err *err);
void dedup_close(struct dedup *dedup);

/* Brings the id's place into the cache: a table of a million ids misses it every time, which was
 * 5 % of enrich's CPU until the wait was spent parsing. */
void dedup_prefetch(const struct dedup *dedup, struct dedup_id id);
/* Is a record with this id and time a duplicate? */
bool dedup_seen(const struct dedup *dedup, struct dedup_id id, int64_t received_us);
/* Such a record was kept. -ENOMEM. */
MUST_CHECK int dedup_add(struct dedup *dedup, struct dedup_id id, int64_t received_us);

int64_t dedup_count(const struct dedup *dedup);         /* ids held, expired ones too */
int64_t dedup_bytes(const struct dedup *dedup);

#endif
