// SPDX-License-Identifier: Apache-2.0
/* Who is tied to whom: the facts, and which of them have to be kept. */
#include "aggregate/person_own.h"

#include <errno.h>
#include <stdlib.h>

#define LINKS_FIRST 1024u


static struct person_link *new_link(struct persons *persons)
{
	if (persons->link_count == persons->link_room) {
		uint32_t room = persons->link_room ? persons->link_room * 2 : LINKS_FIRST;

		if (persons_grow_array(&persons->links, sizeof(struct person_link), room))
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

/* An alias of the same text as a user id is none. */
int persons_cancel_alias(struct persons *persons, uint32_t anonymous, uint32_t user)
{
	struct person_when when = { .time_us = 0 };
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

static int drop(struct persons *persons, uint32_t anonymous, uint32_t number)
{
	uint32_t *at = &persons->link_of[anonymous];

	while (*at != number)
		at = &persons->links[*at].next;
	return drop_link(persons, at);
}

/* Are a and b said to one user, by one kind of call, on the same side of a delete? */
static bool is_alike(const struct persons *persons, const struct person_link *a,
		     const struct person_link *b)
{
	return a->kind == b->kind && a->user == b->user &&
	       person_link_is_deleted(persons, a) == person_link_is_deleted(persons, b);
}

/* Is there an earlier one, in both clocks; and is there a later one that was received before all
 * deletes that may still come? */
static bool is_between(const struct persons *persons, const struct person_link *link)
{
	bool has_earlier = false, has_later = false;

	for (uint32_t l = persons->link_of[link->anonymous]; l; l = persons->links[l].next) {
		const struct person_link *known = &persons->links[l];
		int order;

		if (known == link || !is_alike(persons, known, link))
			continue;
		order = person_when_compare(&known->when, &link->when);
		has_earlier |= order <= 0 && known->when.received_us <= link->when.received_us;
		has_later |= order > 0 && known->when.received_us <= persons->through_us;
	}
	return has_earlier && has_later;
}

/* What says nothing once the new one is there. 0: none. */
static uint32_t find_between(const struct persons *persons, const struct person_link *link)
{
	for (uint32_t l = persons->link_of[link->anonymous]; l; l = persons->links[l].next)
		if (is_alike(persons, &persons->links[l], link) &&
		    is_between(persons, &persons->links[l]))
			return l;
	return 0;
}

/* Links to one user in a row are a run. Its first one ties; the last one is kept for a delete that
 * comes in between: it shows that the tie was said again. Those between say nothing, but for
 * deletes that may still come while the reading of partitions differs (through_us). The last one
 * moves in memory only: that each event wrote it would cost more than it is worth. A device of
 * several users is rare, and keeps up to PERSON_LINKS_MAX.
 * 0: the link counts; SAYS_NOTHING; IS_LAST: it is to be kept, and ties nobody. */
enum { SAYS_NOTHING = 1, IS_LAST };

static int sift_links(struct persons *persons, const struct person_link *link)
{
	bool is_shared = false, has_earlier = false;
	uint32_t count = 0, latest = 0, between;

	for (uint32_t l = persons->link_of[link->anonymous]; l; l = persons->links[l].next) {
		const struct person_link *known = &persons->links[l];
		int order = person_when_compare(&known->when, &link->when);
		bool is_same = is_alike(persons, known, link);

		if (is_same && order == 0)
			return SAYS_NOTHING;
		has_earlier |= is_same && order < 0;
		if (known->kind == PERSON_LINK_CANCEL)
			continue;
		count++;
		is_shared |= known->user != link->user;
		if (!latest || person_when_compare(&persons->links[latest].when, &known->when) < 0)
			latest = l;
	}
	if (!is_shared && is_between(persons, link))
		return SAYS_NOTHING;
	between = is_shared || !has_earlier ? 0 : find_between(persons, link);
	if (between) {
		persons->links[between].when = link->when;
		return SAYS_NOTHING;
	}
	if (count >= PERSON_LINKS_MAX) {
		/* The earliest ones decide. */
		if (person_when_compare(&persons->links[latest].when, &link->when) < 0)
			return SAYS_NOTHING;
		if (drop(persons, link->anonymous, latest) < 0)
			return -ENOMEM;
	}
	return has_earlier && !is_shared ? IS_LAST : 0;
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
	if (persons->wants_moved && person_list_add(&persons->moved, last) < 0)
		return false;
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

	if (rc < 0 || rc == SAYS_NOTHING)
		return rc < 0 ? rc : 0;
	if (rc == IS_LAST) {
		rc = persons_add_link(persons, anonymous, user, kind, when);
		return rc < 0 ? rc : persons_to_write(persons, anonymous);
	}
	rc = persons_add_link(persons, anonymous, user, kind, when);
	if (rc == 0)
		rc = persons_to_write(persons, anonymous);
	/* What came after all deletes is of no concern to them. */
	if (rc == 0 && is_first && kind == PERSON_LINK_EVENT &&
	    when->time_us > persons->delete_last_us) {
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
			rc = persons_cancel_alias(persons, actor, twin);
	}
	if (rc == 0 && merge) {
		rc = persons_actor(persons, 'u', previous, 0, &actor);
		if (rc == 0 && actor != user)
			rc = add_fact(persons, actor, user, PERSON_LINK_MERGE, when);
	}
	return rc;
}
