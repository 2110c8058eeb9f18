/* person_own - the inside of persons, for person*.c only
 *
 *      ids     slots (hash) -> actor -> id_at -> heap "u16 length, bytes", 4-aligned
 *      links   link[] in two lists: of the anonymous actor, and of the user
 *      profile profile[actor] -> heap of blobs (person_profile.c), compacted when half is garbage
 *
 * Arrays by actor grow by doubling; per actor they take 33 bytes, its slots 11 to 21, its id its
 * own length. A link takes 48. Numbers of links begin with 1, 0 ends a list.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_PERSON_OWN_H
#define AGGREGATE_PERSON_OWN_H

#include "aggregate/name_table.h"
#include "aggregate/person.h"

#define PERSON_ACTORS_MAX  (UINT32_C(1) << 29)
#define PERSON_NAMES_MAX   (UINT32_C(1) << 20)  /* different profile keys in all */
/* Links that one anonymous id keeps: more than one only where events came late, or deletes. */
#define PERSON_LINKS_MAX   32

enum person_flag {
	PERSON_IS_USER = 1,             /* kind 'u' */
	PERSON_SEEN = 2,                /* in an event, ever: a user id that is one */
	PERSON_KNOWN = 4,               /* ... and not deleted since */
	PERSON_DIRTY = 8,               /* to be tied anew by persons_settle */
	PERSON_WALKED = 16,             /* while settling */
	PERSON_TO_WRITE = 32,           /* links or profile changed since the last flush */
	PERSON_TOUCHED = 64,            /* in an event since persons_changed was asked */
};

enum person_link_kind {
	PERSON_LINK_EVENT, PERSON_LINK_ALIAS, PERSON_LINK_MERGE,
	PERSON_LINK_CANCEL,             /* its id is a user's own: aliases are void */
	PERSON_LINK_DEAD
};

struct person_link {
	uint32_t next;                  /* of the anonymous actor's */
	uint32_t next_of_user;
	uint32_t user;
	uint32_t anonymous : 29;
	uint32_t kind : 3;
	struct person_when when;
};

struct person_slot {
	uint32_t actor;                 /* 0: free */
	uint32_t hash;
};

struct person_delete {
	uint32_t next;                  /* of the same actor; 1-based */
	uint32_t actor;
	int64_t until_us;
	int64_t asked_us;               /* what was received later does not say who it was */
	bool is_held;                   /* until all that was received before is said */
};

struct person_list {
	uint32_t *items;
	size_t count, room;
};

/* An operation that waits for those of the same event. */
struct person_pending {
	uint32_t key;
	uint8_t op;
	uint8_t kind;                   /* enum prop_kind */
	double number;
	size_t text, text_len;          /* in pending_text */
	struct person_when when;
};

struct persons {
	char dir[4000];
	/* ids */
	uint32_t actor_count, actor_room;       /* actor_count: the next number; 0 is nobody */
	uint32_t *id_at;
	uint32_t *leader, *ring;
	uint32_t *link_of, *link_of_user;       /* heads of lists */
	uint32_t *profile;              /* in profile_heap, in 8 bytes; 0: none */
	int64_t *last_us;               /* of the last event known */
	uint8_t *flags;
	int64_t *marks;                 /* deleted until; NULL while nobody is */
	uint32_t *delete_of;            /* heads; with marks */
	struct buf ids;
	struct person_slot *slots;
	uint32_t slot_count;
	uint64_t known;                 /* persons */
	/* links */
	struct person_link *links;
	uint32_t link_count, link_room;         /* link_count: the next number */
	uint32_t links_dead;
	struct person_delete *deletes;
	uint32_t delete_count, delete_room;     /* delete_count: the next number */
	uint32_t deletes_written;
	uint32_t held;                  /* deletes that are not done yet */
	int64_t delete_last_us;
	int64_t through_us;             /* deletes that were asked until then are said */
	/* profiles */
	struct name_table keys;
	uint32_t *key_counts;
	uint32_t key_room;
	struct buf profile_heap;
	size_t profile_garbage;
	uint64_t left_out;
	uint32_t pending_actor;
	struct person_pending *pending;
	size_t pending_count, pending_room;
	struct buf pending_text;
	struct buf blob, work;          /* scratch of person_profile.c */
	/* what changed */
	struct person_list dirty, walked, starts, changed, forgotten, to_write, touched;
	struct person_list moved, led;  /* led: leaders before settling, as walked */
	bool wants_moved;
	bool changed_taken, forgotten_taken;
	/* file: person_file.c */
	int fd;
	uint64_t number;                /* persons-N */
	uint64_t file_bytes;            /* good ones */
	uint64_t live_bytes;            /* after the last rewrite */
	bool is_frozen;                 /* readers' only: persons_fork */
	bool is_broken;                 /* a write failed: begin another file */
	char old_name[32];              /* removed by persons_committed; "": none */
	uint32_t actors_written, keys_written;
	struct buf out;
};

MUST_CHECK int person_list_add(struct person_list *list, uint32_t item);
/* Room for one more actor and its number, without an id. */
MUST_CHECK int persons_grow(struct persons *persons);
MUST_CHECK int persons_grow_array(void *arrayp, size_t size, uint32_t room);
/* A new actor; nothing is looked at. */
MUST_CHECK int persons_add_actor(struct persons *persons, uint8_t flags, struct slice id,
				 int64_t time_us, uint32_t *actor);
MUST_CHECK int persons_add_link(struct persons *persons, uint32_t anonymous, uint32_t user,
				enum person_link_kind kind, const struct person_when *when);
MUST_CHECK int persons_add_delete(struct persons *persons, const struct person_delete *delete);
/* As the file says it: first held, then done. */
MUST_CHECK int persons_read_delete(struct persons *persons, const struct person_delete *delete);
MUST_CHECK int persons_marks_open(struct persons *persons);
MUST_CHECK int persons_dirty(struct persons *persons, uint32_t actor);
MUST_CHECK int persons_add_changed(struct persons *persons, uint32_t leader);
MUST_CHECK int persons_to_write(struct persons *persons, uint32_t actor);

static inline int64_t persons_mark(const struct persons *persons, uint32_t actor)
{
	return persons->marks ? persons->marks[actor] : 0;
}

/* person_link.c: an alias of the same text as a user id is none. */
MUST_CHECK int persons_cancel_alias(struct persons *persons, uint32_t anonymous, uint32_t user);

/* A delete of either side takes it along. */
static inline bool person_link_is_deleted(const struct persons *persons,
					  const struct person_link *link)
{
	return link->when.time_us <= persons_mark(persons, link->anonymous) ||
	       link->when.time_us <= persons_mark(persons, link->user);
}

/* person_profile.c */
MUST_CHECK int profiles_flush(struct persons *persons);         /* what is pending */
/* Takes out what events until then said. */
MUST_CHECK int profiles_forget(struct persons *persons, uint32_t actor, int64_t until_us);
/* Its part of persons_fork. */
MUST_CHECK int profiles_fork(struct persons *fork, const struct persons *old);
struct slice profiles_blob(const struct persons *persons, uint32_t actor);
/* Checks a blob from outside and takes it as the actor's. -EBADMSG. */
MUST_CHECK int profiles_take(struct persons *persons, uint32_t actor, struct slice blob);
MUST_CHECK int profiles_add_key(struct persons *persons, struct slice name, uint32_t *key);
/* What readers look at; and the rest. */
void profiles_close_read(struct persons *persons);
void profiles_close(struct persons *persons);

/* person_file.c */
void person_file_close(struct persons *persons);

/* -1, 0, 1 by (time, message). */
static inline int person_when_compare(const struct person_when *a, const struct person_when *b)
{
	if (a->time_us != b->time_us)
		return a->time_us < b->time_us ? -1 : 1;
	return memcmp(&a->message, &b->message, sizeof(a->message));
}

#endif
