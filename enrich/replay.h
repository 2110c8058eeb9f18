/* replay - which part of the input is made anew
 *
 *      --from-time T1 --to-time T2: records with T1 <= received_at < T2
 *
 *      input p   ...[ warm-up | from ............ to |...
 *                   `-> only their ids are kept      `-> SLACK after T2, as clocks differ
 *
 * Offsets are looked up once, at the start, and logged: the range is frozen. Records of the
 * deduplication window before T1 go through all steps, too, so that what is a duplicate of one of
 * them is one again; neither they nor what lies outside of the times is written: they are counted
 * as filtered.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_REPLAY_H
#define ENRICH_REPLAY_H

#include "lib/bus.h"

struct replay {
	int64_t from_us, to_us;         /* INT64_MIN, INT64_MAX: not given */
	struct {
		int64_t warm, from, to;
	} ranges[BUS_PARTITIONS_MAX];
	int count;
};

/* Texts of the options (RFC 3339, or a date: midnight UTC); NULL: not given. */
MUST_CHECK int replay_times(struct replay *replay, const char *from, const char *to,
			    struct err *err);
bool replay_is_given(const struct replay *replay);
/* base: schema of collected, log, Kafka properties. */
MUST_CHECK int replay_open(struct replay *replay, const char *url, const struct bus_conf *base,
			   int64_t window_ms, struct err *err);

#endif
