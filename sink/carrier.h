/* carrier - the thread that takes letters to a destination and brings them back settled
 *
 *      courier --put--> inbox --sorter--> parcels --post, or kind->put--> judged --> outbox
 *      --take-->
 *                                            ^------- parked until due <----' transient
 *
 * A parcel that failed is parked for a back-off and goes again whole, with its key; after
 * retry_for_ms its letters are dead. A setup error stops everything: one try each retry_max_ms.
 * What is delivered is settled in the position and saved here, at once after the answer.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_CARRIER_H
#define SINK_CARRIER_H

#include "lib/metric.h"
#include "sink/letter.h"
#include "sink/position.h"
#include "sink/setup.h"

struct carrier;

struct carrier_conf {
	const struct setup *setup;
	struct dest *dest;
	struct position *position;      /* NULL: nothing is remembered */
	const struct guard *guard;
	const struct log *log;
	const char *ca_file;
	atomic_bool *stop;              /* env->stop of the kind */
	bool until_end;                 /* a setup error ends it */
};

enum carrier_state { CARRIER_OK, CARRIER_WAITING, CARRIER_SETUP };

struct carrier_status {
	enum carrier_state state;
	char words[DEST_WORDS_MAX];     /* of the last failure; "" */
	int64_t state_us, ok_us, failed_us;     /* wall clock; 0: never */
	uint64_t delivered, dead;       /* letters */
	size_t under_way;               /* letters not settled */
	int error;                      /* -errno: the thread gave up */
};

MUST_CHECK int carrier_open(struct carrier **carrierp, const struct carrier_conf *conf,
			    struct err *err);
/* No new requests; those under way have grace_ms. Letters that are left stay unsettled. */
void carrier_stop(struct carrier *carrier, int64_t grace_ms);
void carrier_close(struct carrier *carrier);
/* Before the first put. */
void carrier_metrics(struct carrier *carrier, struct metric_set *set);
/* Copies what the thread counted into them. The filter's thread only, since the set goes with the
 * filter, and the carrier's thread may outlive that. */
void carrier_show(struct carrier *carrier);

bool carrier_has_room(struct carrier *carrier);
void carrier_put(struct carrier *carrier, struct letter *letter);
/* Settled letters since the last call, a list; the caller's again. */
struct letter *carrier_take(struct carrier *carrier);
/* Until something was settled, or ms. */
void carrier_wait(struct carrier *carrier, int ms);
/* No more is coming: batches need not wait to be full. */
void carrier_flush(struct carrier *carrier, bool flush);
void carrier_status(struct carrier *carrier, struct carrier_status *status);

#endif
