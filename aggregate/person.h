/* person - who is whom: ids to actors, actors to persons, and their profiles
 *
 *      ("a", "anon-1") -> actor 7 --.
 *      ("u", "ann")    -> actor 9 ---+--> person, led by its lowest actor (7), called "ann"
 *
 * The rules are in docs/questions.md, "People". An actor is one distinct id: a user id or an
 * anonymous one, numbered 1.. in order of arrival (0 is nobody: no id, or junk such as "null", "0",
 * "undefined"). Events belong to actors and never move; which actors are one person is decided
 * here, so that links that come late change all past numbers without rewriting a file. The result
 * is a function of the set of facts, in any order:
 *   link    the first event, by (time, message), with both an anonymous and a user id ties them;
 *           later ones with another user change nothing; an earlier one that arrives late re-ties
 *   alias   previous -> user: as a link where previous was never seen as a user id; two user ids
 *           become one only with the merge flag (for good)
 *   profile per actor and key; what counts is the order (time, message), not that of arrival;
 *           a person's profile is made from its actors' when asked
 *   delete  all that events until T said of a person is gone: profile, links, and (store_forget)
 *           the events, whenever they come. Who it was is what the links until T said that were
 *           received before the delete. Facts of events after T begin anew, also those that were
 *           said before the delete. T is of the events' clock. A delete must be done when all
 *           that was received before it has been said, as what is gone does not come back:
 *           aggregate holds it until its reading has passed (persons_delete_later).
 *
 * Facts are appended to a file `persons-N` of the state directory (format: person_file.c) and read
 * back at start; the manifest says which one and how far it counts.
 *
 * One thread changes; readers hold store.h's snapshot, within which nothing here moves. What was
 * changed shows after persons_settle: store_change_end calls it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_PERSON_H
#define AGGREGATE_PERSON_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/column.h"

#define PERSON_NOBODY    0u
#define PERSON_ID_MAX    1024           /* bytes of an id; longer ones are nobody */
#define PERSON_KEYS_MAX  1024           /* properties of one profile; more are left out */

struct persons;

/* When and by which event a fact was said: what decides between two. */
struct person_when {
	int64_t time_us;                /* of the event */
	int64_t received_us;
	struct message_key message;
};

/* Which file counts, and how many bytes of it: what a manifest holds. name "": none yet. */
struct person_mark {
	char name[32];
	uint64_t bytes;
};

/* Reads the file of the directory that mark names (what is behind its bytes was not committed:
 * cut; other persons-* files are removed), or begins a new one. -EBADMSG with words. */
MUST_CHECK int persons_open(struct persons **personsp, const char *dir,
			    const struct person_mark *mark, struct err *err);
void persons_close(struct persons *persons);
/* Appends what is new and makes it durable; *mark is what a manifest may say from then on. Facts
 * that no longer matter are dropped by a rewrite now and then, into another file. */
MUST_CHECK int persons_flush(struct persons *persons, struct person_mark *mark, struct err *err);
/* The manifest with the last mark is in force: a file that it does not name is removed. */
void persons_committed(struct persons *persons);
/* Reads all of the file that counts against its checksums, changing nothing. */
MUST_CHECK int persons_verify(const char *dir, const struct person_mark *mark, struct err *err);

/* The actor of an id, made where it is new. kind is 'u' or 'a'; time_us of the event that it is
 * in, 0: it is only named (by a delete). Junk and "" give PERSON_NOBODY. -ENOMEM, -ENOSPC (2^29 of
 * them). */
MUST_CHECK int persons_actor(struct persons *persons, char kind, struct slice id,
			     int64_t time_us, uint32_t *actor);
/* Without making it: PERSON_NOBODY where it is unknown. */
uint32_t persons_find(const struct persons *persons, char kind, struct slice id);
/* id of a person as people say it: user id first, else anonymous. */
uint32_t persons_find_any(const struct persons *persons, struct slice id);
/* "null", "undefined", "0", all-zero UUIDs, ..: ids that stand for nobody. */
bool persons_is_junk(struct slice id);

/* Facts. Saying one twice changes nothing. PERSON_NOBODY: no fact, 0. */
MUST_CHECK int persons_link(struct persons *persons, uint32_t anonymous, uint32_t user,
			    const struct person_when *when);
/* user: the actor that previous becomes. With merge it may be of any kind. */
MUST_CHECK int persons_alias(struct persons *persons, struct slice previous, uint32_t user,
			     bool merge, const struct person_when *when);
/* A profile operation of an event, for each event once (the caller dedups: $add). Those of one
 * actor in a row are cheap. REMOVE takes elements out of a list; UNSET looks at no value. */
enum person_op {
	PERSON_SET, PERSON_SET_ONCE, PERSON_ADD, PERSON_APPEND, PERSON_UNION, PERSON_REMOVE,
	PERSON_UNSET
};
MUST_CHECK int persons_profile(struct persons *persons, uint32_t actor, enum person_op op,
			       struct slice key, const struct prop *value,
			       const struct person_when *when);
/* All of a person's actors, for what events at or before until_us said. Who it was then is what was
 * received until asked_us. */
MUST_CHECK int persons_delete(struct persons *persons, uint32_t actor, int64_t until_us,
			      int64_t asked_us);
/* The same, to be done when all is said that was received until asked_us: persons_delete_due does
 * those. Kept in the file until then. */
MUST_CHECK int persons_delete_later(struct persons *persons, uint32_t actor, int64_t until_us,
				    int64_t asked_us);
/* All that was received until then has been said. */
void persons_set_through(struct persons *persons, int64_t through_us);
bool persons_has_due(const struct persons *persons, int64_t through_us);
MUST_CHECK int persons_delete_due(struct persons *persons, int64_t through_us);
/* Was it deleted with effect on an event of then? As of the last persons_settle. */
bool persons_is_deleted(const struct persons *persons, uint32_t actor, int64_t time_us);
/* Until when; 0: it was not. */
int64_t persons_deleted_until(const struct persons *persons, uint32_t actor);

/* Makes all of the above show: persons are tied anew, profiles written. */
MUST_CHECK int persons_settle(struct persons *persons);
/* Actors that a delete has come to since the last call: their events go away (store_forget); a
 * late link may add to them. Owned by persons, until its next change. */
const uint32_t *persons_forgotten(struct persons *persons, size_t *count);
/* Leaders whose person changed (an event named him, profile, link, delete) since the last call, for
 * saved queries; one entry may repeat. Owned by persons, until its next change. A merged person's
 * former leaders are in it, too. NULL: no memory for it, so all may have changed. */
const uint32_t *persons_changed(struct persons *persons, size_t *count);
/* Actors whose leader changed since the last call, once persons_want_moved was called (else none is
 * noted). As persons_changed. */
void persons_want_moved(struct persons *persons);
const uint32_t *persons_moved(const struct persons *persons, size_t *count);
void persons_moved_taken(struct persons *persons);
/* Is there anything for persons_changed to tell? Only for the thread that changes. */
bool persons_has_changed(const struct persons *persons);

/* Readers keep `old` as it is, for reading only, and close it; changing goes on with *fork. Not
 * before persons_settle. Costs a copy of what readers look at. -ENOMEM: nothing happened. */
MUST_CHECK int persons_fork(struct persons *old, struct persons **fork);

/* Reading */
/* When the last event was that named one of the person's ids. */
int64_t persons_last_us(const struct persons *persons, uint32_t leader);
uint32_t persons_actor_count(const struct persons *persons);    /* actors are 1 .. count - 1 */
uint64_t persons_count(const struct persons *persons);          /* known persons */
/* leader[actor], next[actor] (a ring of the same person's actors): arrays for scans, good while
 * the snapshot is held. An actor leads where leader[actor] == actor. */
const uint32_t *persons_leaders(const struct persons *persons);
const uint32_t *persons_ring(const struct persons *persons);
/* false: nothing is known of this leader's person: deleted, or only named by an alias that never
 * became true. Whoever walks all persons passes over it. */
bool persons_is_known(const struct persons *persons, uint32_t leader);
struct slice persons_id(const struct persons *persons, uint32_t actor, char *kind);
/* The actor whose id names the person: the identified one, ties by bytes. */
uint32_t persons_canonical(const struct persons *persons, uint32_t leader);
/* One profile property of a person; PROP_NONE: not set. scratch holds lists that had to be made:
 * they live until its next use. */
struct prop persons_trait(const struct persons *persons, uint32_t leader, struct slice key,
			  struct buf *scratch);
/* All of them, by name. */
int persons_traits(const struct persons *persons, uint32_t leader, struct buf *scratch,
		   prop_take_fn *take, void *ctx);
/* Names that any profile has, with how many actors have them: for menus. */
int persons_trait_names(const struct persons *persons,
			int (*take)(void *ctx, struct slice name, uint32_t count), void *ctx);

struct persons_counts {
	uint64_t actors, links, file_bytes, memory_bytes;
	uint64_t left_out;              /* profile properties over PERSON_KEYS_MAX */
};
struct persons_counts persons_counts(const struct persons *persons);

#endif
