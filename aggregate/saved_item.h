/* saved_item - one saved query or funnel: who is in, or how far
 *
 *      state by leader: level (1: a member; 1..32: steps of a funnel), name, next instant
 *      state by name:   what was said last, and how many leaders are called so and are in
 *
 * Names are numbers of saved's table, from 1. Merges rename: the person that is gone and the one
 * that stays are both tried, and what each name comes to decides what is said.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SAVED_ITEM_H
#define AGGREGATE_SAVED_ITEM_H

#include "aggregate/cohort.h"
#include "aggregate/funnel_ask.h"
#include "aggregate/name_table.h"

enum saved_kind { SAVED_PEOPLE, SAVED_FUNNEL };

/* Why a name is looked at; the last one is said where several come together. */
enum saved_cause { SAVED_EVENT, SAVED_TIME, SAVED_MERGED, SAVED_DELETED, SAVED_DEFINED };

struct saved_name {
	int64_t version;                /* of what was said last */
	bool was_said;                  /* to be in */
	bool is_touched;
	uint32_t claims;                /* leaders of that name that are in */
	uint32_t leader;                /* one of them */
	enum saved_cause cause;
	int64_t at_us;
};

struct saved_timer {
	int64_t when_us;
	uint32_t leader;
};

struct saved_item {
	char *name, *text;              /* owned; text: the question as JSON */
	enum saved_kind kind;
	char definition[17];            /* hash of text */
	char said_definition[17];       /* in the topic */
	bool is_there;                  /* its file exists; else only what was said is known */
	bool needs_all;                 /* to be asked over everybody */
	bool is_relative;               /* dates of profiles, or a funnel's moving range */
	bool has_cohort;
	bool is_passing;                /* to be asked because time passed */
	int64_t asked_all_us;
	char *labels[FUNNEL_STEPS_MAX]; /* owned */
	/* by leader; owned */
	uint8_t *level;
	uint32_t *called;               /* name; 0: not in */
	int64_t *next_us;               /* the timer that is set */
	uint32_t room;
	struct saved_timer *timers;     /* owned; a heap */
	size_t timer_count, timer_room;
	/* by name; owned */
	struct saved_name *names;
	uint32_t name_room;
	uint32_t *touched;
	size_t touched_count, touched_room;
	uint64_t total;
	int64_t levels[FUNNEL_STEPS_MAX + 1];   /* [k]: persons whose level is k */
	int64_t said_levels[FUNNEL_STEPS_MAX + 1];
	int steps;
};

struct saved_look;                      /* an item ready to be tried on a snapshot */

/* Parses text with now. The caller closes. -EINVAL with *error. */
MUST_CHECK int saved_look_open(struct saved_look **lookp, struct saved_item *item,
			       const struct snapshot *snapshot,
			       const struct predicate_world *world,
			       struct question_error *error);
void saved_look_close(struct saved_look *look);
/* The level of one person; *next_us as cohort_try; *at_us: his newest event that counts, or 0. */
MUST_CHECK int saved_look_one(struct saved_look *look, uint32_t leader, int64_t *next_us,
			      int64_t *at_us);

MUST_CHECK int saved_item_grow(struct saved_item *item, uint32_t actors);
/* A leader is at this level now, under this name. */
MUST_CHECK int saved_item_set(struct saved_item *item, uint32_t leader, int level, uint32_t name,
			      enum saved_cause cause, int64_t at_us);
/* A name is looked at though no leader changed. */
MUST_CHECK int saved_item_touch(struct saved_item *item, uint32_t name, enum saved_cause cause);
MUST_CHECK int saved_item_timer(struct saved_item *item, uint32_t leader, int64_t when_us);
/* A timer that is due at now; false: none is. */
bool saved_item_due(struct saved_item *item, int64_t now_us, struct saved_timer *timer);
MUST_CHECK int saved_item_name(struct saved_item *item, uint32_t name, struct saved_name **namep);
void saved_item_close(struct saved_item *item);

#endif
