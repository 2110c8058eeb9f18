/* hold - records that wait for steps that ask
 *
 *      hold_add, hold_add, .. --> hold_ask: for each step that asks, in order: the events that come
 *      as far as it, their questions, its answers --> hold_at: record and answers, in order
 *
 * Copies of the records live until hold_reset. HOLD_BYTES_MAX of them are a batch.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_HOLD_H
#define ENRICH_HOLD_H

#include "enrich/chain.h"
#include "lib/bus.h"

#define HOLD_BYTES_MAX ((size_t)8 << 20)
#define HOLD_COUNT_MAX 8192

struct hold;

MUST_CHECK int hold_open(struct hold **holdp, struct err *err);
void hold_close(struct hold *hold);

/* asks: chain_ask_count. -ENOMEM. */
MUST_CHECK int hold_add(struct hold *hold, const struct bus_record *record, int asks);
bool hold_is_full(const struct hold *hold);
size_t hold_count(const struct hold *hold);

/* Runs all steps over a record with the answers it has: STEP_RESULT_ASK, or what becomes of it. */
typedef int hold_run_fn(void *ctx, const struct bus_record *record,
			const struct step_answer *answers, int count);
/* event: the one that run works on. 0; -EINTR; -ENOMEM. */
MUST_CHECK int hold_ask(struct hold *hold, struct chain *chain, const struct step_event *event,
			const struct step_stop *stop, hold_run_fn *run, void *ctx);
const struct bus_record *hold_at(const struct hold *hold, size_t i,
				 const struct step_answer **answers);
void hold_reset(struct hold *hold);

#endif
