/* scan_own - what scan.c (persons) and scan_block.c (rows) share
 *
 * A scan is its plans (what the selectors mean for each file) and walkers, one per thread, that
 * take chunks of actors until there are none.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SCAN_OWN_H
#define AGGREGATE_SCAN_OWN_H

#include <pthread.h>

#include "aggregate/scan.h"

/* A selector's conditions on one file. */
struct checks {
	struct predicate_bound *where, *also;   /* owned; NULL: none */
	bool has_time;                  /* its range does not cover the file */
};

/* What the selectors mean for one file; for all threads. */
struct plan {
	const struct column_file *file;
	uint64_t *bits;                 /* by event code; owned; NULL: nothing can match */
	uint64_t checked;               /* selectors whose rows need a closer look */
	int64_t from_us, to_us;         /* no selector wants a time outside */
	bool covers_time;               /* all of the file is inside */
	uint64_t of_all;                /* selectors that want every event name of the file */
	struct checks *checks;          /* [selector_count], owned */
};

struct scan {
	struct scan_conf *conf;
	struct plan *plans;             /* [file_count], owned */
	const uint32_t *leaders, *ring;
	uint32_t actors;                /* 0 .. actors - 1 */
	const struct scan_ops *ops;     /* one of these; NULL: scan_one */
	const struct scan_block_ops *block_ops;
	const struct scan_span_ops *span_ops;
	void *ctx;
	uint32_t chunk;
	atomic_uint next;               /* the first actor of the next chunk */
	atomic_int rc;                  /* the first failure */
	pthread_mutex_t fold;
	struct walker *one;             /* scan_one's, owned */
};

struct cursor_pair {
	struct predicate_cursor *where, *also;
};

/* An actor that another one leads. */
struct scan_tie {
	uint32_t actor, leader;
};

/* One thread at work. */
struct walker {
	struct scan *scan;
	uint64_t looked;                /* scanned, when scan_pause looked last */
	int thread;
	void *state;
	uint32_t *at;                   /* [file_count]: place in file->actor, for rising leaders */
	struct cursor_pair *cursors;    /* [file_count * selector_count] */
	struct scan_event *events, *spare;      /* [room] */
	size_t count, room;
	size_t *runs;                   /* ends of sorted runs in events; [run_room] */
	size_t run_count, run_room;
	uint64_t scanned;
	struct buf scratch;
	bool is_decided, is_in;         /* who, of the person in hand */
	struct scan_block *block;       /* owned; of scan_block.c */
	struct scan_tie *ties;          /* owned; [tie_room]: other actors of the chunk's persons */
	size_t tie_count, tie_room;
	struct scan_spans spans;        /* of scan_span.c; .spans owned */
	uint32_t span_room;
};

/* The first place in file->actor that is not below actor: first guessed, then galloped to. */
uint32_t scan_find_actor(const struct column_file *file, uint32_t actor);
/* -ECANCELED, -ETIME. */
MUST_CHECK int scan_must_stop(const struct scan_conf *conf);
/* The same, every so many rows: for loops within a chunk, whose persons may have very many. */
static inline int scan_pause(struct walker *walker)
{
	if (walker->scanned - walker->looked < 2048)
		return 0;
	walker->looked = walker->scanned;
	return scan_must_stop(walker->scan->conf);
}

/* The selectors of `match` whose conditions the row satisfies. */
uint64_t scan_check_row(const struct walker *walker, size_t file, uint32_t row, int64_t time_us,
			uint64_t match, uint32_t leader);

/* scan_block.c, scan_span.c */
MUST_CHECK int scan_walk_blocks(struct walker *walker);
MUST_CHECK int scan_walk_spans(struct walker *walker);

#endif
