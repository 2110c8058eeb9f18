/* parcel - what one request (or line) brought, encoded, before any of it is written
 *
 *      door --> parcel_event, parcel_bad --> [datum][datum]..  --> commit_parcel: all, or none
 *
 * A request whose events do not all fit is refused whole, so they are gathered first. Buffers are
 * kept between requests: a steady state allocates nothing. Slices given in are copied.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_PARCEL_H
#define COLLECT_PARCEL_H

#include <stdint.h>

#include "collect/source.h"
#include "lib/buf.h"
#include "lib/schema.h"

enum parcel_lane { PARCEL_OUT, PARCEL_BAD, PARCEL_LANES };

struct parcel_item {
	struct source *source;          /* NULL: unknown */
	uint32_t value_at, value_len;   /* in bytes; the key lies right behind the value */
	uint16_t key_len;
	uint8_t lane;
};

/* What all of one request's events share. Borrowed. */
struct parcel_from {
	struct slice door;
	struct slice ip, user_agent;    /* empty: not known */
	const char *opt_out;            /* as the field of collected; NULL: nothing; static */
	int64_t received_us;
};

struct parcel {
	const struct schema *schemas[PARCEL_LANES];     /* borrowed: collected, bad */
	size_t bytes_max;               /* of all its records */
	size_t bad_max;                 /* bytes kept of a bad one's original */
	struct parcel_from from;
	struct parcel_item *items;
	size_t count, cap;
	size_t counts[PARCEL_LANES];
	uint64_t filtered;              /* of sources that are switched off */
	struct buf bytes;
	struct buf clean;               /* from's texts as UTF-8 */
};

struct parcel_event {
	struct source *source;
	struct slice message_id;
	struct slice type;
	struct slice key;               /* decides the partition */
	struct slice body;              /* JSON */
	int64_t sent_us;
	bool has_sent;
};

struct parcel_bad {
	struct source *source;          /* may be NULL */
	const char *reason;             /* a code of lower case letters */
	const char *words;
	const char *at;                 /* JSON pointer, or "" */
	struct slice original;
	const char *format;             /* json, http */
};

/* Empties it; from's texts are copied (and what is not UTF-8 in them replaced). */
void parcel_begin(struct parcel *parcel, const struct parcel_from *from);
/* -ENOSPC: the parcel's bound, or memory. */
MUST_CHECK int parcel_event(struct parcel *parcel, const struct parcel_event *event);
MUST_CHECK int parcel_bad(struct parcel *parcel, const struct parcel_bad *bad);
struct slice parcel_value(const struct parcel *parcel, const struct parcel_item *item);
struct slice parcel_key(const struct parcel *parcel, const struct parcel_item *item);
void parcel_close(struct parcel *parcel);

#endif
