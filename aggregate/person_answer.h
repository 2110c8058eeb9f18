/* person_answer - a person as JSON, for people, person and saved queries
 *
 *      {"id":"ann","ids":["anon-1","ann"],"traits":{..},"first_seen":..,"last_seen":..}
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_PERSON_ANSWER_H
#define AGGREGATE_PERSON_ANSWER_H

#include "aggregate/store.h"

/* One thread's places in the files: leaders that rise cost little each. */
struct person_span {
	uint32_t *from;                 /* owned; [file] */
	size_t files;
};

/* First and last event of any kind; *first_us > *last_us: there is none. */
MUST_CHECK int person_span_open(struct person_span *span, const struct snapshot *snapshot);
void person_span_close(struct person_span *span);
void person_span_of(struct person_span *span, const struct snapshot *snapshot, uint32_t leader,
		    int64_t *first_us, int64_t *last_us);

/* Built-in properties of a person: those of the last event that has them ("$country"). PROP_NONE:
 * none has. Slow: for the few that are shown. */
struct prop person_last_value(const struct snapshot *snapshot, uint32_t leader, struct slice name);

/* Is that a property that people have from their events: $country, $region, $city, $browser, $os,
 * $device? Its value is the trait of that name where one is set, else person_last_value. */
bool person_is_latest(struct slice name);
/* That value, of many people; one thread's. Leaders that rise cost little each. */
struct person_latest {
	const struct snapshot *snapshot;        /* borrowed, as name */
	struct slice name;
	const struct column **columns;  /* owned; [file], NULL: it has none */
	uint32_t *from;                 /* owned; [file] */
	uint32_t last;                  /* leader */
};
MUST_CHECK int person_latest_open(struct person_latest *latest, const struct snapshot *snapshot,
				  struct slice name);
void person_latest_close(struct person_latest *latest);
/* Texts live as long as the snapshot, or until scratch is used again. */
struct prop person_latest_value(struct person_latest *latest, uint32_t leader,
				struct buf *scratch);

/* The id that names the person; lives as long as the snapshot. */
struct slice person_name(const struct persons *persons, uint32_t leader);
/* ["anon-1","ann"], in order, each text once. At most 1,000 of them. */
void person_write_ids(const struct persons *persons, uint32_t leader, struct buf *out);
/* {"plan":"pro"}: all traits. */
MUST_CHECK int person_write_traits(const struct persons *persons, uint32_t leader,
				   struct buf *out);
/* "2026-11-24T10:00:00.123Z" or null. */
void person_write_time(bool is_set, int64_t us, struct buf *out);

#endif
