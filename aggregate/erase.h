/* erase - deletes that are asked for over HTTP: taken, kept in the log, done; and those of events
 *
 *      POST /v1/delete --> erase_ask --> record in `deleted`, durable --> persons_delete
 *                             '------------ waits for ----------------------'
 *
 * The record says until when, in the clock of events: later ones are not meant. It is done when the
 * reading of the input has passed the moment at which it was asked (computed_at), so that it means
 * who the person was then (person.h). A start reads the topic from its beginning and does those
 * again that the store may not know yet: a rebuild comes to the same end. Saying one twice changes
 * nothing. Deletes that events say ("$delete", row.h) are done here, too, when reading is so far.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_ERASE_H
#define AGGREGATE_ERASE_H

#include "aggregate/store.h"
#include "lib/bus.h"
#include "lib/log.h"

struct erase;

/* url: of `deleted`; "": a rebuild would not know of deletes, so they are refused. */
MUST_CHECK int erase_open(struct erase **erasep, const char *url, struct store *store,
			  const struct bus_conf *out, struct err *err);
void erase_close(struct erase *erase);

enum erase_fate { ERASE_DONE, ERASE_KEPT, ERASE_UNKNOWN, ERASE_REFUSED };
/* From any thread but the filter's. Waits until it is done, at most wait_ms: then it is kept, and
 * done when reading has come so far. ERASE_UNKNOWN: nobody is known by that id. */
enum erase_fate erase_ask(struct erase *erase, struct slice id, int wait_ms, int64_t *until_us);

/* The filter's thread, not within a change; all that was received before through_us was read. */
MUST_CHECK int erase_commit(struct erase *erase, int64_t through_us, struct err *err);

#endif
