/* person - who is whom: ids to actors, actors to persons, and their profiles
 *
 *      ("a", "anon-1") -> actor 7 --.
 *      ("u", "ann")    -> actor 9 ---+--> person, led by its lowest actor (7), called "ann"
 *
 * The rules are in docs/questions.md, "People". An actor is one distinct id: a user id or an
 * anonymous one, numbered 1.. in order of arrival (0 is nobody: no id, or junk such as "null",
 * "0", "undefined"). Events belong to actors and never move; which actors are one person is decided here, so that links that
 * come late change all past numbers without rewriting a file. The result is a function of the set
 * of facts, in any order:
 *   link    the first event, by (time, message), with both an anonymous and a user id ties them;
 *           later ones with another user change nothing; an earlier one that arrives late re-ties
 *   alias   previous -> user: as a link where previous was never seen as a user id; two user ids
 *           become one only with the merge flag (for good)
 *   profile per actor and key; last writer wins by (time, message), as docs/questions.md says for
 *           each operation; a person's profile is made from its actors' when asked
 *   delete  all that an actor received before T is gone
 *
 * Facts are appended to the file `persons` of the state directory (format: person_file.c) and read
 * back at start; the manifest says how far it counts.
 *
 * One thread changes; readers hold store.h's snapshot, within which nothing here moves.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_PERSON_H
#define AGGREGATE_PERSON_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/column.h"

#define PERSON_NOBODY 0u

struct persons;

/* When and by which event a fact was said: what decides between two. */
struct person_when {
	int64_t time_us;
	struct message_key message;
};

/* Reads the file of that name, up to `bytes` of it (what is behind was not committed: cut), or
 * begins a new one. -EBADMSG with words. */
MUST_CHECK int persons_open(struct persons **personsp, const char *path, uint64_t bytes,
			    struct err *err);
void persons_close(struct persons *persons);
/* Appends what is new and makes it durable; *bytes is what a manifest may say from then on. Facts
 * that no longer matter are dropped by a rewrite now and then, under another name: *name. */
MUST_CHECK int persons_flush(struct persons *persons, uint64_t *bytes, struct err *err);

/* The actor of an id, made where it is new. kind is 'u' or 'a'. Junk and "" give PERSON_NOBODY.
 * -ENOMEM, -ENOSPC (2^31 of them). */
MUST_CHECK int persons_actor(struct persons *persons, char kind, struct slice id,
			     uint32_t *actor);
/* Without making it: PERSON_NOBODY where it is unknown. */
uint32_t persons_find(const struct persons *persons, char kind, struct slice id);
/* id of a person as people say it: user id first, else anonymous. */
uint32_t persons_find_any(const struct persons *persons, struct slice id);

/* Facts. Saying one twice changes nothing. */
MUST_CHECK int persons_link(struct persons *persons, uint32_t anonymous, uint32_t user,
			    const struct person_when *when);
MUST_CHECK int persons_alias(struct persons *persons, struct slice previous, uint32_t user,
			     bool merge, const struct person_when *when);
/* A profile operation of an event, for each event once (the caller dedups: $add). */
enum person_op {
	PERSON_SET, PERSON_SET_ONCE, PERSON_ADD, PERSON_APPEND, PERSON_UNION, PERSON_REMOVE,
	PERSON_UNSET
};
MUST_CHECK int persons_profile(struct persons *persons, uint32_t actor, enum person_op op,
			       struct slice key, const struct prop *value,
			       const struct person_when *when);
/* All of a person's actors, for what was received at or before received_us. */
MUST_CHECK int persons_delete(struct persons *persons, uint32_t actor, int64_t received_us);
/* Was it deleted with effect on an event received then? */
bool persons_is_deleted(const struct persons *persons, uint32_t actor, int64_t received_us);

/* Reading */
uint32_t persons_actor_count(const struct persons *persons);    /* actors are 1 .. count - 1 */
uint64_t persons_count(const struct persons *persons);          /* persons */
/* leader[actor], next[actor] (a ring of the same person's actors): arrays for scans, good while
 * the snapshot is held. */
const uint32_t *persons_leaders(const struct persons *persons);
const uint32_t *persons_ring(const struct persons *persons);
struct slice persons_id(const struct persons *persons, uint32_t actor, char *kind);
/* The actor whose id names the person: the identified one, ties by bytes. */
uint32_t persons_canonical(const struct persons *persons, uint32_t leader);
/* One profile property of a person; PROP_NONE: not set. scratch holds texts that had to be made
 * (lists), until its reset. */
struct prop persons_trait(const struct persons *persons, uint32_t leader, struct slice key,
			  struct buf *scratch);
/* All of them, by name. */
int persons_traits(const struct persons *persons, uint32_t leader, struct buf *scratch,
		   prop_take_fn *take, void *ctx);
/* Names that any profile has, with how many actors have them: for menus. */
int persons_trait_names(const struct persons *persons,
			int (*take)(void *ctx, struct slice name, uint32_t count), void *ctx);

/* Leaders whose person changed (profile, link, delete) since the last call, for saved queries;
 * one entry may repeat. Owned by persons, until its next change. A merged person's former leaders
 * are in it, too. */
const uint32_t *persons_changed(struct persons *persons, size_t *count);

#endif
