/* scan - walks persons in order through all files, with all cores
 *
 *      snapshot --> split by leader into slices --> thread: person after person
 *                                                     |  rows of all its actors from all files
 *                                                     |  that match a selector, by (time, message)
 *                                                     `-> take(thread state, person)
 *
 * A measure says what it wants to see as selectors (a set of event names, conditions, a range of
 * time) and gets, per person, an array of the events that match at least one, with a bit for each
 * selector. What a selector costs is decided per file: event codes to bits by a table, a condition
 * to one look-up per value (predicate.h). Persons are disjoint between threads, so that sums of the
 * threads' states are exact; a count of persons needs no set, only a mark "who was here last".
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SCAN_H
#define AGGREGATE_SCAN_H

#include <stdatomic.h>

#include "aggregate/predicate.h"
#include "aggregate/store.h"

#define SCAN_SELECTORS_MAX 64

struct scan_selector {
	const struct slice *events;     /* names, any of them; count 0: every behavioural event,
	                                   which is all but Identify, Group, Alias and '$..' */
	size_t event_count;
	const struct predicate *where;  /* both must hold; NULL: all */
	const struct predicate *also;   /* the question's own, next to a step's or measure's */
	int64_t from_us, to_us;         /* half open; INT64_MIN, INT64_MAX: no bound */
};

struct scan_event {
	int64_t time_us;
	uint64_t match;                 /* bit i: selector i */
	uint32_t file, row;             /* of the snapshot: for scan_look */
};

struct scan_person {
	uint32_t leader;                /* PERSON_NOBODY: events without an id, one by one */
	uint32_t count;
	const struct scan_event *events;        /* canonical order; until take returns */
};

/* Per thread: make a state, take each person that has a match, and fold the thread's state into the
 * result. fold is called for every state that begin made, also when the scan fails later: it frees
 * the state. A negative return stops the scan. */
struct scan_ops {
	int (*begin)(void *ctx, int thread, void **statep);
	int (*take)(void *state, const struct scan_person *person);
	int (*fold)(void *ctx, void *state);            /* one thread at a time */
};

struct scan_conf {
	const struct snapshot *snapshot;
	const struct scan_selector *selectors;  /* borrowed, with all in them */
	size_t selector_count;
	const struct predicate *who;    /* a condition on the profile only; NULL: everybody */
	bool with_everyone;             /* take() also persons without a match, count 0 */
	bool in_pieces;                 /* a person may come in several calls in a row, events in no
	                                   order: cheaper, where order means nothing */
	bool without_leaders;           /* of scan_run_blocks: nothing asks whose rows they are; all
	                                   come as they lie in the files, leaders being 0 */
	uint32_t chunk;                 /* of scan_run_blocks: at most SCAN_CHUNK; 0: that */
	int threads;                    /* 0: one per core */
	const atomic_bool *cancel;      /* the client went away; may be NULL */
	int64_t deadline_ms;            /* monotonic; 0: none */
	size_t memory_max;              /* for what measures ask through scan_charge; 0: none */
	atomic_size_t charged;
	atomic_uint_fast64_t scanned;   /* out: rows looked at; added to */
};

/* 0, -ECANCELED, -ETIME (deadline), -ENOSPC (memory), -ENOMEM, or what an op returned. */
MUST_CHECK int scan_run(struct scan_conf *conf, const struct scan_ops *ops, void *ctx);

/* Rows instead of persons, for what needs neither their order nor a person's in one piece: a block
 * is rows of one file, each with the leader of its person. Persons of a chunk (at most conf->chunk
 * of them, from `from` on) come in blocks that follow each other, and then turn is called: a count
 * of persons is a bit per person of the chunk and cell. */
#define SCAN_CHUNK      1024
#define SCAN_BLOCK_ROWS 2048

struct scan_block {
	struct walker *walker;
	uint32_t file, count;
	uint32_t from;                  /* leaders are from .. from + chunk - 1 */
	/* Room behind them, so that short runs are copied whole. */
	uint32_t rows[SCAN_BLOCK_ROWS + 4], leaders[SCAN_BLOCK_ROWS + 4];
};

struct scan_block_ops {
	int (*begin)(void *ctx, int thread, void **statep);
	int (*turn)(void *state);       /* after a chunk's blocks: other persons from here on */
	int (*take)(void *state, const struct scan_block *block);
	int (*fold)(void *ctx, void *state);
};

/* As scan_run; `who` and with_everyone are not for it. */
MUST_CHECK int scan_run_blocks(struct scan_conf *conf, const struct scan_block_ops *ops, void *ctx);
/* The places in the block of the rows that selector i matches, rising. */
uint32_t scan_block_select(const struct scan_block *block, size_t i,
			   uint16_t places[SCAN_BLOCK_ROWS]);

/* Persons, but as spans of rows that nobody has looked at yet: for what often knows enough after a
 * few of them. Spans of one actor in one file are in canonical order; between them there is none.
 * PERSON_NOBODY's rows are not among them. */
struct scan_span {
	uint32_t file, row, end;
};

struct scan_spans {
	struct walker *walker;
	uint32_t leader, count;
	struct scan_span *spans;
};

/* A file's event codes and what each of them matches. */
struct scan_lens {
	const void *codes;
	uint8_t width;
	const int64_t *times;
	const uint64_t *bits;           /* by code: selectors */
	uint64_t checked;               /* these also need scan_span_check: */
	uint64_t conditional;           /* for more than their time */
	int64_t from_us, to_us;         /* nothing outside matches */
};

struct scan_span_ops {
	int (*begin)(void *ctx, int thread, void **statep);
	int (*take)(void *state, const struct scan_spans *spans);
	int (*fold)(void *ctx, void *state);
};

/* As scan_run; `who` and with_everyone are not for it. */
MUST_CHECK int scan_run_spans(struct scan_conf *conf, const struct scan_span_ops *ops, void *ctx);
struct scan_lens scan_span_lens(const struct scan_spans *spans, uint32_t file);
/* What is left of match by the selectors' conditions. */
uint64_t scan_span_check(const struct scan_spans *spans, uint32_t file, uint32_t row,
			 uint64_t match);

/* For one person after the other, on one thread, without ops: what saved queries need. Opening
 * costs a look at each file's event names; *person lives until the next call. */
struct scan;
MUST_CHECK int scan_open(struct scan **scanp, struct scan_conf *conf);
MUST_CHECK int scan_one(struct scan *scan, uint32_t leader, struct scan_person *person);
void scan_close(struct scan *scan);

/* Is it an event that "*" means? */
bool scan_is_behavioural(struct slice name);

/* A measure's state is about to grow by bytes: -ENOSPC over memory_max. Any thread. */
MUST_CHECK int scan_charge(struct scan_conf *conf, size_t bytes);

/* A property of events, or of profiles as they are now, as numbers: the same value has the same
 * number in all files and threads; 0: not set. For breakdowns, sums, percentiles. */
struct scan_prop;
struct scan_prop_conf {
	struct slice name;
	bool of_profile;
	enum scan_cast { SCAN_AS_IS, SCAN_AS_TEXT, SCAN_AS_NUMBER } cast;
	size_t values_max;              /* 0: 4 million; more: -ENOSPC */
};
MUST_CHECK int scan_prop_open(struct scan_prop **propp, const struct snapshot *snapshot,
			      const struct scan_prop_conf *conf);
void scan_prop_close(struct scan_prop *prop);
bool scan_prop_is_known(const struct scan_prop *prop);  /* some event or profile has it */
uint32_t scan_prop_count(const struct scan_prop *prop); /* numbers are below it */
struct prop scan_prop_of(const struct scan_prop *prop, uint32_t number);
/* A list's elements, each once; another value: itself. Never empty ({0} for an empty list). */
const uint32_t *scan_prop_elements(const struct scan_prop *prop, uint32_t number, size_t *count);

/* One thread's view of it (it keeps its place in sparse columns). */
struct scan_look;
MUST_CHECK int scan_look_open(struct scan_look **lookp, const struct scan_prop *prop);
void scan_look_close(struct scan_look *look);
uint32_t scan_look(struct scan_look *look, uint32_t leader, const struct scan_event *event);
/* The same for rows of a block at once. */
void scan_look_rows(struct scan_look *look, const struct scan_block *block,
		    const uint16_t *places, uint32_t count, uint32_t *numbers);
bool scan_prop_has_lists(const struct scan_prop *prop);
bool scan_prop_is_of_profile(const struct scan_prop *prop);
bool scan_prop_is_event(const struct scan_prop *prop);  /* $event itself */
/* The number of a code of a file's own column, for who walks columns himself. */
uint32_t scan_look_code(const struct scan_look *look, size_t file, uint32_t code);

#endif
