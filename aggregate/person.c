// SPDX-License-Identifier: Apache-2.0
#include "aggregate/person_own.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define SLOTS_FIRST  1024u
#define ACTORS_FIRST 1024u
#define IDS_MAX      ((size_t)16 << 30)

/* Lists */

int person_list_add(struct person_list *list, uint32_t item)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 256;
		uint32_t *items = reallocarray(list->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = item;
	return 0;
}

static int flag_into(struct persons *persons, uint32_t actor, uint8_t flag,
		     struct person_list *list)
{
	if (persons->flags[actor] & flag)
		return 0;
	persons->flags[actor] |= flag;
	return person_list_add(list, actor);
}

int persons_dirty(struct persons *persons, uint32_t actor)
{
	return flag_into(persons, actor, PERSON_DIRTY, &persons->dirty);
}

int persons_to_write(struct persons *persons, uint32_t actor)
{
	return flag_into(persons, actor, PERSON_TO_WRITE, &persons->to_write);
}

static int list_after_taken(struct person_list *list, bool *taken, uint32_t item)
{
	if (*taken)
		list->count = 0;
	*taken = false;
	return person_list_add(list, item);
}

int persons_add_changed(struct persons *persons, uint32_t leader)
{
	return list_after_taken(&persons->changed, &persons->changed_taken, leader);
}

/* Ids */

bool persons_is_junk(struct slice id)
{
	static const struct slice junk[] = {
		SLICE_INIT("null"), SLICE_INIT("undefined"), SLICE_INIT("none"), SLICE_INIT("nil"),
		SLICE_INIT("nan"), SLICE_INIT("anon"), SLICE_INIT("anonymous"), SLICE_INIT("guest"),
		SLICE_INIT("false"), SLICE_INIT("true"), SLICE_INIT("unknown"),
		SLICE_INIT("[object object]"), SLICE_INIT("(null)"), SLICE_INIT("n/a"),
		SLICE_INIT("distinct_id"), SLICE_INIT("not_authenticated"), SLICE_INIT("\"\""),
		SLICE_INIT("''"), SLICE_INIT("lmy47d"),
	};
	bool is_zero = true;

	if (id.len == 0 || id.len > PERSON_ID_MAX)
		return true;
	/* Zeros and what stands between them: "0", "-0", "0.0", the all-zero UUID. "1" and "-1" are
	 * ids of somebody's first users. */
	for (size_t i = 0; i < id.len && is_zero; i++)
		is_zero = strchr("0-. {}", id.ptr[i]) && id.ptr[i];
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]) && !is_zero; i++)
		is_zero = id.len == junk[i].len && strncasecmp(id.ptr, junk[i].ptr, id.len) == 0;
	return is_zero;
}

static uint32_t hash_of(char kind, struct slice id)
{
	return (uint32_t)XXH3_64bits_withSeed(id.ptr, id.len, (unsigned char)kind);
}

struct slice persons_id(const struct persons *persons, uint32_t actor, char *kind)
{
	const char *at = persons->ids.ptr + (size_t)persons->id_at[actor] * 4;
	uint16_t len;

	assert(actor && actor < persons->actor_count);
	memcpy(&len, at, sizeof(len));
	if (kind)
		*kind = persons->flags[actor] & PERSON_IS_USER ? 'u' : 'a';
	return (struct slice){ at + sizeof(len), len };
}

static uint32_t find(const struct persons *persons, char kind, struct slice id, uint32_t hash)
{
	uint32_t mask = persons->slot_count - 1;
	char other;

	if (!persons->slot_count)
		return PERSON_NOBODY;
	for (uint32_t i = hash & mask; persons->slots[i].actor; i = (i + 1) & mask) {
		const struct person_slot *slot = &persons->slots[i];

		if (slot->hash == hash && slice_eq(persons_id(persons, slot->actor, &other), id) &&
		    other == kind)
			return slot->actor;
	}
	return PERSON_NOBODY;
}

uint32_t persons_find(const struct persons *persons, char kind, struct slice id)
{
	return find(persons, kind, id, hash_of(kind, id));
}

uint32_t persons_find_any(const struct persons *persons, struct slice id)
{
	uint32_t actor = persons_find(persons, 'u', id);

	return actor ? actor : persons_find(persons, 'a', id);
}

static int grow_slots(struct persons *persons)
{
	uint32_t count = persons->slot_count ? persons->slot_count * 2 : SLOTS_FIRST;
	struct person_slot *slots;

	if (persons->actor_count < persons->slot_count / 4 * 3)
		return 0;
	slots = calloc(count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < persons->slot_count; i++) {
		uint32_t at = persons->slots[i].hash & (count - 1);

		if (!persons->slots[i].actor)
			continue;
		while (slots[at].actor)
			at = (at + 1) & (count - 1);
		slots[at] = persons->slots[i];
	}
	free(persons->slots);
	persons->slots = slots;
	persons->slot_count = count;
	return 0;
}

static int grow_array(void *arrayp, size_t size, uint32_t room)
{
	void **array = arrayp, *grown = reallocarray(*array, room, size);

	if (!grown)
		return -ENOMEM;
	*array = grown;
	return 0;
}

int persons_grow(struct persons *persons)
{
	uint32_t room = persons->actor_room ? persons->actor_room * 2 : ACTORS_FIRST;

	if (persons->actor_count < persons->actor_room)
		return 0;
	if (grow_array(&persons->id_at, sizeof(uint32_t), room) ||
	    grow_array(&persons->leader, sizeof(uint32_t), room) ||
	    grow_array(&persons->ring, sizeof(uint32_t), room) ||
	    grow_array(&persons->link_of, sizeof(uint32_t), room) ||
	    grow_array(&persons->link_of_user, sizeof(uint32_t), room) ||
	    grow_array(&persons->profile, sizeof(uint32_t), room) ||
	    grow_array(&persons->received, sizeof(int64_t), room) ||
	    grow_array(&persons->flags, 1, room))
		return -ENOMEM;
	if (persons->marks && (grow_array(&persons->marks, sizeof(int64_t), room) ||
			       grow_array(&persons->delete_of, sizeof(uint32_t), room)))
		return -ENOMEM;
	persons->actor_room = room;
	return 0;
}

int persons_add_actor(struct persons *persons, uint8_t flags, struct slice id,
		      int64_t received_us, uint32_t *actor)
{
	uint32_t hash = hash_of(flags & PERSON_IS_USER ? 'u' : 'a', id), a = persons->actor_count;
	uint16_t len = (uint16_t)id.len;
	uint32_t at;

	if (a >= PERSON_ACTORS_MAX)
		return -ENOSPC;
	if (persons_grow(persons) < 0 || grow_slots(persons) < 0)
		return -ENOMEM;
	persons->id_at[a] = (uint32_t)(persons->ids.len / 4);
	buf_append(&persons->ids, &len, sizeof(len));
	buf_append_slice(&persons->ids, id);
	buf_append(&persons->ids, "\0\0\0", -persons->ids.len % 4);
	if (persons->ids.failed)
		return -ENOMEM;
	persons->leader[a] = persons->ring[a] = a;
	persons->link_of[a] = persons->link_of_user[a] = persons->profile[a] = 0;
	persons->received[a] = received_us;
	persons->flags[a] = flags;
	if (persons->marks) {
		persons->marks[a] = 0;
		persons->delete_of[a] = 0;
	}
	persons->known += !!(flags & PERSON_KNOWN);
	persons->actor_count++;
	for (at = hash & (persons->slot_count - 1); persons->slots[at].actor;)
		at = (at + 1) & (persons->slot_count - 1);
	persons->slots[at] = (struct person_slot){ a, hash };
	*actor = a;
	return 0;
}

/* An alias of the same text as a user id is none any more, as far as what was received from then on
 * is concerned. */
static int cancel_alias(struct persons *persons, uint32_t anonymous, uint32_t user,
			int64_t received_us)
{
	struct person_when when = { .received_us = received_us };
	bool has_alias = false;
	int rc;

	for (uint32_t l = persons->link_of[anonymous]; l; l = persons->links[l].next) {
		if (persons->links[l].kind == PERSON_LINK_CANCEL)
			return 0;
		has_alias |= persons->links[l].kind == PERSON_LINK_ALIAS;
	}
	if (!has_alias)
		return 0;
	rc = persons_add_link(persons, anonymous, user, PERSON_LINK_CANCEL, &when);
	if (rc == 0)
		rc = persons_to_write(persons, anonymous);
	return rc == 0 ? persons_dirty(persons, anonymous) : rc;
}

static int seen_as_user(struct persons *persons, uint32_t user, struct slice id,
			int64_t received_us)
{
	uint32_t twin = persons_find(persons, 'a', id);

	return twin ? cancel_alias(persons, twin, user, received_us) : 0;
}

static int see_again(struct persons *persons, uint32_t actor, struct slice id,
		     int64_t received_us)
{
	bool is_new = !(persons->flags[actor] & PERSON_SEEN);
	int rc = persons_to_write(persons, actor);

	persons->flags[actor] |= PERSON_SEEN;
	if (rc == 0 && persons->received[actor] > persons_mark(persons, actor)) {
		if (!persons_is_known(persons, persons->leader[actor]))
			persons->known++;
		persons->flags[actor] |= PERSON_KNOWN;
		rc = persons_add_changed(persons, persons->leader[actor]);
	}
	if (rc == 0 && is_new && (persons->flags[actor] & PERSON_IS_USER))
		rc = seen_as_user(persons, actor, id, received_us);
	return rc;
}

int persons_actor(struct persons *persons, char kind, struct slice id, int64_t received_us,
		  uint32_t *actor)
{
	uint8_t flags = kind == 'u' ? PERSON_IS_USER : 0;
	uint32_t found;
	int rc;

	*actor = PERSON_NOBODY;
	if (persons_is_junk(id))
		return 0;
	found = find(persons, kind, id, hash_of(kind, id));
	if (found) {
		*actor = found;
		if (received_us > persons->received[found])
			persons->received[found] = received_us;
		if (received_us && flag_into(persons, found, PERSON_TOUCHED, &persons->touched) < 0)
			return -ENOMEM;
		return received_us == 0 || (persons->flags[found] & PERSON_KNOWN)
			       ? 0
			       : see_again(persons, found, id, received_us);
	}
	if (received_us)
		flags |= PERSON_SEEN | PERSON_KNOWN;
	rc = persons_add_actor(persons, flags, id, received_us, actor);
	if (rc == 0 && received_us) {
		rc = persons_add_changed(persons, *actor);
		if (rc == 0 && kind == 'u')
			rc = seen_as_user(persons, *actor, id, received_us);
	}
	return rc;
}

/* Links */

static struct person_link *new_link(struct persons *persons)
{
	if (persons->link_count == persons->link_room) {
		uint32_t room = persons->link_room ? persons->link_room * 2 : ACTORS_FIRST;

		if (grow_array(&persons->links, sizeof(struct person_link), room))
			return NULL;
		persons->link_room = room;
	}
	return &persons->links[persons->link_count];
}

int persons_add_link(struct persons *persons, uint32_t anonymous, uint32_t user,
		     enum person_link_kind kind, const struct person_when *when)
{
	struct person_link *link = new_link(persons);

	if (!link)
		return -ENOMEM;
	*link = (struct person_link){ persons->link_of[anonymous], persons->link_of_user[user],
				      user, anonymous, kind, *when };
	persons->link_of[anonymous] = persons->link_of_user[user] = persons->link_count++;
	return 0;
}

/* Does a fact that is known make the new one pointless, whatever comes later? Both are on the
 * same side of a delete, and the known one is earlier in both clocks. */
static bool is_covered(const struct person_link *known, const struct person_link *link,
		       int64_t mark)
{
	if (known->kind == PERSON_LINK_CANCEL || link->kind == PERSON_LINK_CANCEL ||
	    (known->when.received_us <= mark) != (link->when.received_us <= mark) ||
	    known->when.received_us > link->when.received_us)
		return false;
	if (known->kind == PERSON_LINK_MERGE || link->kind == PERSON_LINK_MERGE)
		return known->kind == link->kind && known->user == link->user;
	if (known->kind == PERSON_LINK_ALIAS && link->kind == PERSON_LINK_EVENT)
		return false;
	return person_when_compare(&known->when, &link->when) <= 0;
}

/* Takes a link out of its anonymous actor's list. In its user's it stays, dead, until the file is
 * read again: it is one of few that came late. */
static int drop_link(struct persons *persons, uint32_t *head)
{
	struct person_link *link = &persons->links[*head];

	*head = link->next;
	link->kind = PERSON_LINK_DEAD;
	persons->links_dead++;
	return persons_dirty(persons, link->user);
}

/* 1: the new one says nothing new. Those that it makes pointless are dropped. */
static int sift_links(struct persons *persons, const struct person_link *link)
{
	int64_t mark = persons_mark(persons, link->anonymous);
	uint32_t *at = &persons->link_of[link->anonymous];
	int count = 0;

	for (uint32_t l = *at; l; l = persons->links[l].next)
		if (is_covered(&persons->links[l], link, mark))
			return 1;
	while (*at) {
		if (persons->links[*at].kind != PERSON_LINK_CANCEL &&
		    (is_covered(link, &persons->links[*at], mark) ||
		     ++count >= PERSON_LINKS_MAX)) {
			if (drop_link(persons, at) < 0)
				return -ENOMEM;
		} else {
			at = &persons->links[*at].next;
		}
	}
	return 0;
}

/* A new id of a person that is known: the common case, in a step. Else they are tied later. */
static bool join_now(struct persons *persons, uint32_t a, uint32_t b)
{
	uint32_t leader, last;

	if ((persons->flags[a] | persons->flags[b]) & PERSON_DIRTY)
		return false;
	if (persons->ring[a] == a && a > persons->leader[b]) {
		last = a;
		leader = persons->leader[b];
	} else if (persons->ring[b] == b && b > persons->leader[a]) {
		last = b;
		leader = persons->leader[a];
	} else {
		return false;
	}
	if ((persons->flags[last] & PERSON_KNOWN) && persons_is_known(persons, leader))
		persons->known--;
	persons->leader[last] = leader;
	persons->ring[last] = persons->ring[leader];
	persons->ring[leader] = last;
	return true;
}

static int add_fact(struct persons *persons, uint32_t anonymous, uint32_t user,
		    enum person_link_kind kind, const struct person_when *when)
{
	struct person_link link = { .user = user, .anonymous = anonymous, .kind = kind,
				    .when = *when };
	bool is_first = !persons->link_of[anonymous];
	int rc = sift_links(persons, &link);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = persons_add_link(persons, anonymous, user, kind, when);
	if (rc == 0)
		rc = persons_to_write(persons, anonymous);
	/* What came after all deletes is of no concern to them. */
	if (rc == 0 && is_first && kind == PERSON_LINK_EVENT &&
	    when->received_us > persons->delete_last_us) {
		uint32_t leaders[2] = { persons->leader[anonymous], persons->leader[user] };

		if (leaders[0] == leaders[1])
			return 0;
		if (join_now(persons, anonymous, user))
			return persons_add_changed(persons, leaders[0]) ||
					       persons_add_changed(persons, leaders[1])
				       ? -ENOMEM
				       : 0;
	}
	if (rc == 0)
		rc = persons_dirty(persons, anonymous);
	return rc == 0 ? persons_dirty(persons, user) : rc;
}

int persons_link(struct persons *persons, uint32_t anonymous, uint32_t user,
		 const struct person_when *when)
{
	if (anonymous == PERSON_NOBODY || user == PERSON_NOBODY)
		return 0;
	return add_fact(persons, anonymous, user, PERSON_LINK_EVENT, when);
}

int persons_alias(struct persons *persons, struct slice previous, uint32_t user, bool merge,
		  const struct person_when *when)
{
	char kind;
	bool is_same = user && slice_eq(persons_id(persons, user, &kind), previous);
	uint32_t actor;
	int rc;

	if (user == PERSON_NOBODY || persons_is_junk(previous) || (is_same && !merge))
		return 0;
	rc = persons_actor(persons, 'a', previous, 0, &actor);
	if (rc == 0 && actor != user)
		rc = add_fact(persons, actor, user, merge ? PERSON_LINK_MERGE : PERSON_LINK_ALIAS,
			      when);
	if (rc == 0 && !merge) {
		uint32_t twin = persons_find(persons, 'u', previous);

		if (twin && (persons->flags[twin] & PERSON_SEEN))
			rc = cancel_alias(persons, actor, twin, when->received_us);
	}
	if (rc == 0 && merge) {
		rc = persons_actor(persons, 'u', previous, 0, &actor);
		if (rc == 0 && actor != user)
			rc = add_fact(persons, actor, user, PERSON_LINK_MERGE, when);
	}
	return rc;
}

/* Deletes */

int persons_marks_open(struct persons *persons)
{
	if (persons->marks)
		return 0;
	persons->marks = calloc(persons->actor_room, sizeof(*persons->marks));
	persons->delete_of = calloc(persons->actor_room, sizeof(*persons->delete_of));
	return persons->marks && persons->delete_of ? 0 : -ENOMEM;
}

int persons_add_delete(struct persons *persons, uint32_t actor, int64_t received_us)
{
	if (persons_marks_open(persons) < 0)
		return -ENOMEM;
	if (persons->delete_count == persons->delete_room) {
		uint32_t room = persons->delete_room ? persons->delete_room * 2 : 64;

		if (grow_array(&persons->deletes, sizeof(struct person_delete), room))
			return -ENOMEM;
		persons->delete_room = room;
	}
	persons->deletes[persons->delete_count] =
		(struct person_delete){ persons->delete_of[actor], actor, received_us };
	persons->delete_of[actor] = persons->delete_count++;
	if (received_us > persons->delete_last_us)
		persons->delete_last_us = received_us;
	return 0;
}

static bool has_delete(const struct persons *persons, uint32_t actor, int64_t received_us)
{
	for (uint32_t d = persons->delete_of[actor]; d; d = persons->deletes[d].next)
		if (persons->deletes[d].received_us == received_us)
			return true;
	return false;
}

bool persons_is_deleted(const struct persons *persons, uint32_t actor, int64_t received_us)
{
	return persons_mark(persons, actor) >= received_us && persons->marks;
}

/* Settling: leader[] is the forest of a union-find while it runs. */

static uint32_t root_of(struct persons *persons, uint32_t actor)
{
	uint32_t *leader = persons->leader;

	while (leader[actor] != actor)
		actor = leader[actor] = leader[leader[actor]];
	return actor;
}

static void join(struct persons *persons, uint32_t a, uint32_t b)
{
	a = root_of(persons, a);
	b = root_of(persons, b);
	if (a < b)
		persons->leader[b] = a;
	else
		persons->leader[a] = b;
}

/* An alias does not count where its previous id was seen as a user's own until then. */
static bool is_cancelled(const struct persons *persons, uint32_t anonymous, int64_t until_us)
{
	for (uint32_t l = persons->link_of[anonymous]; l; l = persons->links[l].next)
		if (persons->links[l].kind == PERSON_LINK_CANCEL &&
		    persons->links[l].when.received_us <= until_us)
			return true;
	return false;
}

/* Ties the actors by what was received after their marks and until then. */
static void tie(struct persons *persons, const uint32_t *actors, size_t count, int64_t until_us)
{
	for (size_t i = 0; i < count; i++)
		persons->leader[actors[i]] = actors[i];
	for (size_t i = 0; i < count; i++) {
		int64_t mark = persons_mark(persons, actors[i]);
		const struct person_link *first = NULL;

		for (uint32_t l = persons->link_of[actors[i]]; l; l = persons->links[l].next) {
			const struct person_link *link = &persons->links[l];
			int order;

			if (link->when.received_us <= mark || link->when.received_us > until_us ||
			    link->kind == PERSON_LINK_CANCEL ||
			    (link->kind == PERSON_LINK_ALIAS &&
			     is_cancelled(persons, actors[i], until_us)))
				continue;
			if (link->kind == PERSON_LINK_MERGE) {
				join(persons, actors[i], link->user);
				continue;
			}
			order = first ? person_when_compare(&link->when, &first->when) : -1;
			if (order < 0 || (order == 0 && link->kind < first->kind))
				first = link;
		}
		if (first)
			join(persons, actors[i], first->user);
	}
}

static int compare_times(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Whom each delete comes to, one delete after the other: persons as they were then. ring[] marks
 * roots meanwhile. */
static void mark_deleted(struct persons *persons, const uint32_t *actors, size_t count,
			 const int64_t *times, size_t time_count)
{
	for (size_t i = 0; i < count; i++)
		persons->marks[actors[i]] = 0;
	for (size_t t = 0; t < time_count; t++) {
		if (t && times[t] == times[t - 1])
			continue;
		tie(persons, actors, count, times[t]);
		for (size_t i = 0; i < count; i++)
			persons->ring[actors[i]] = 0;
		for (size_t i = 0; i < count; i++)
			if (has_delete(persons, actors[i], times[t]))
				persons->ring[root_of(persons, actors[i])] = 1;
		for (size_t i = 0; i < count; i++)
			if (persons->ring[root_of(persons, actors[i])])
				persons->marks[actors[i]] = times[t];
	}
}

static int forget(struct persons *persons, uint32_t actor, int64_t before)
{
	int64_t mark = persons->marks[actor];
	int rc;

	if (mark <= before) {
		persons->marks[actor] = before;
		return 0;
	}
	if (persons->received[actor] <= mark)
		persons->flags[actor] &= (uint8_t)~PERSON_KNOWN;
	rc = profiles_forget(persons, actor, mark);
	if (rc == 0)
		rc = persons_to_write(persons, actor);
	return rc < 0 ? rc
		      : list_after_taken(&persons->forgotten, &persons->forgotten_taken,
					 actor);
}

static int settle_deletes(struct persons *persons, const uint32_t *actors, size_t count)
{
	size_t time_count = 0, n = 0;
	int64_t *before, *times;
	int rc = 0;

	for (size_t i = 0; i < count; i++)
		for (uint32_t d = persons->delete_of[actors[i]]; d; d = persons->deletes[d].next)
			time_count++;
	if (time_count == 0)
		return 0;
	before = calloc(count, sizeof(*before));
	times = calloc(time_count, sizeof(*times));
	if (before && times) {
		for (size_t i = 0; i < count; i++) {
			uint32_t d = persons->delete_of[actors[i]];

			before[i] = persons->marks[actors[i]];
			for (; d; d = persons->deletes[d].next)
				times[n++] = persons->deletes[d].received_us;
		}
		qsort(times, time_count, sizeof(*times), compare_times);
		mark_deleted(persons, actors, count, times, time_count);
		for (size_t i = 0; i < count && rc == 0; i++)
			rc = forget(persons, actors[i], before[i]);
	} else {
		rc = -ENOMEM;
	}
	free(before);
	free(times);
	return rc;
}

static int walk_to(struct persons *persons, uint32_t actor)
{
	return flag_into(persons, actor, PERSON_WALKED, &persons->walked);
}

/* All that any link, valid or not, connects with the dirty ones; starts[] says where each group of
 * walked[] begins. */
static int walk(struct persons *persons)
{
	struct person_list *walked = &persons->walked;
	size_t at = 0;
	int rc = 0;

	walked->count = persons->starts.count = 0;
	for (size_t i = 0; i < persons->dirty.count && rc == 0; i++) {
		uint32_t first = persons->dirty.items[i];

		persons->flags[first] &= (uint8_t)~PERSON_DIRTY;
		if (persons->flags[first] & PERSON_WALKED)
			continue;
		rc = person_list_add(&persons->starts, (uint32_t)walked->count);
		if (rc == 0)
			rc = walk_to(persons, first);
		for (; at < walked->count && rc == 0; at++) {
			uint32_t actor = walked->items[at], l = persons->link_of[actor];

			for (; l && rc == 0; l = persons->links[l].next)
				rc = walk_to(persons, persons->links[l].user);
			for (l = persons->link_of_user[actor]; l && rc == 0;
			     l = persons->links[l].next_of_user)
				if (persons->links[l].kind != PERSON_LINK_DEAD)
					rc = walk_to(persons, persons->links[l].anonymous);
		}
	}
	persons->dirty.count = 0;
	return rc == 0 ? person_list_add(&persons->starts, (uint32_t)walked->count) : rc;
}

/* Counts the leaders among all that were walked: sign -1 before, 1 after. */
static int count_leaders(struct persons *persons, int sign)
{
	int rc = 0;

	for (size_t i = 0; i < persons->walked.count && rc == 0; i++) {
		uint32_t actor = persons->walked.items[i];

		if (persons->leader[actor] != actor)
			continue;
		if (persons_is_known(persons, actor))
			persons->known += (uint64_t)(int64_t)sign;
		rc = persons_add_changed(persons, actor);
	}
	return rc;
}

static int settle_group(struct persons *persons, const uint32_t *actors, size_t count)
{
	int rc = persons->marks ? settle_deletes(persons, actors, count) : 0;

	tie(persons, actors, count, INT64_MAX);
	for (size_t i = 0; i < count; i++) {
		persons->flags[actors[i]] &= (uint8_t)~PERSON_WALKED;
		persons->ring[actors[i]] = actors[i];
		persons->leader[actors[i]] = root_of(persons, actors[i]);
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t leader = persons->leader[actors[i]];

		if (leader == actors[i])
			continue;
		persons->ring[actors[i]] = persons->ring[leader];
		persons->ring[leader] = actors[i];
	}
	return rc;
}

int persons_settle(struct persons *persons)
{
	int rc = profiles_flush(persons);

	if (rc < 0 || persons->dirty.count == 0)
		return rc;
	rc = walk(persons);
	if (rc == 0)
		rc = count_leaders(persons, -1);
	for (size_t i = 0; i + 1 < persons->starts.count && rc == 0; i++)
		rc = settle_group(persons, &persons->walked.items[persons->starts.items[i]],
				  persons->starts.items[i + 1] - persons->starts.items[i]);
	return rc == 0 ? count_leaders(persons, 1) : rc;
}

int persons_delete(struct persons *persons, uint32_t actor, int64_t received_us)
{
	int rc;

	if (actor == PERSON_NOBODY || received_us <= 0 ||
	    (persons->marks && has_delete(persons, actor, received_us)))
		return 0;
	rc = persons_add_delete(persons, actor, received_us);
	if (rc == 0)
		rc = persons_dirty(persons, actor);
	/* What comes next is compared with the marks. */
	return rc == 0 ? persons_settle(persons) : rc;
}

const uint32_t *persons_forgotten(struct persons *persons, size_t *count)
{
	*count = persons->forgotten_taken ? 0 : persons->forgotten.count;
	persons->forgotten_taken = true;
	return persons->forgotten.items;
}

bool persons_has_changed(const struct persons *persons)
{
	return persons->touched.count || (persons->changed.count && !persons->changed_taken);
}

const uint32_t *persons_changed(struct persons *persons, size_t *count)
{
	if (persons->changed_taken)
		persons->changed.count = 0;
	for (size_t i = 0; i < persons->touched.count; i++) {
		uint32_t actor = persons->touched.items[i];

		persons->flags[actor] &= (uint8_t)~PERSON_TOUCHED;
		if (person_list_add(&persons->changed, persons->leader[actor]) < 0)
			return NULL;
	}
	persons->touched.count = 0;
	*count = persons->changed.count;
	persons->changed_taken = true;
	return persons->changed.items;
}

/* Reading */

uint32_t persons_actor_count(const struct persons *persons)
{
	return persons->actor_count;
}

uint64_t persons_count(const struct persons *persons)
{
	return persons->known;
}

const uint32_t *persons_leaders(const struct persons *persons)
{
	return persons->leader;
}

const uint32_t *persons_ring(const struct persons *persons)
{
	return persons->ring;
}

bool persons_is_known(const struct persons *persons, uint32_t leader)
{
	uint32_t actor = leader;

	do {
		if (persons->flags[actor] & PERSON_KNOWN)
			return true;
		actor = persons->ring[actor];
	} while (actor != leader);
	return false;
}

static int compare_ids(struct slice a, struct slice b)
{
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Users before anonymous ones, those seen before those only named. */
uint32_t persons_canonical(const struct persons *persons, uint32_t leader)
{
	const uint8_t rank = PERSON_IS_USER | PERSON_SEEN;
	uint32_t best = leader;

	for (uint32_t a = persons->ring[leader]; a != leader; a = persons->ring[a]) {
		uint8_t has = persons->flags[a] & rank, best_has = persons->flags[best] & rank;

		/* A user id that is only named by a merge is better than an anonymous one. */
		if ((has & PERSON_IS_USER) != (best_has & PERSON_IS_USER)) {
			if (has & PERSON_IS_USER)
				best = a;
		} else if (has != best_has) {
			if (has & PERSON_SEEN)
				best = a;
		} else if (compare_ids(persons_id(persons, a, NULL),
				       persons_id(persons, best, NULL)) < 0) {
			best = a;
		}
	}
	return best;
}

int persons_trait_names(const struct persons *persons,
			int (*take)(void *ctx, struct slice name, uint32_t count), void *ctx)
{
	int rc = 0;

	for (uint32_t k = 0; k < persons->keys.count && rc >= 0; k++)
		if (persons->key_counts[k])
			rc = take(ctx, name_table_text(&persons->keys, k), persons->key_counts[k]);
	return rc < 0 ? rc : 0;
}

struct persons_counts persons_counts(const struct persons *persons)
{
	size_t per_actor = 6 * sizeof(uint32_t) + sizeof(int64_t) + 1 +
			   (persons->marks ? sizeof(int64_t) + sizeof(uint32_t) : 0);

	return (struct persons_counts){
		.actors = persons->actor_count - 1,
		.links = persons->link_count - 1 - persons->links_dead,
		.file_bytes = persons->file_bytes,
		.memory_bytes = persons->actor_room * per_actor + persons->ids.cap +
				persons->slot_count * sizeof(struct person_slot) +
				persons->link_room * sizeof(struct person_link) +
				persons->profile_heap.cap,
		.left_out = persons->left_out,
	};
}

void persons_close(struct persons *persons)
{
	if (!persons)
		return;
	person_file_close(persons);
	profiles_close(persons);
	free(persons->id_at);
	free(persons->leader);
	free(persons->ring);
	free(persons->link_of);
	free(persons->link_of_user);
	free(persons->profile);
	free(persons->received);
	free(persons->flags);
	free(persons->marks);
	free(persons->delete_of);
	free(persons->slots);
	free(persons->links);
	free(persons->deletes);
	buf_close(&persons->ids);
	free(persons->dirty.items);
	free(persons->walked.items);
	free(persons->starts.items);
	free(persons->changed.items);
	free(persons->forgotten.items);
	free(persons->to_write.items);
	free(persons->touched.items);
	free(persons);
}
