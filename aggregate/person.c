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

int persons_grow_array(void *arrayp, size_t size, uint32_t room)
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
	if (persons_grow_array(&persons->id_at, sizeof(uint32_t), room) ||
	    persons_grow_array(&persons->leader, sizeof(uint32_t), room) ||
	    persons_grow_array(&persons->ring, sizeof(uint32_t), room) ||
	    persons_grow_array(&persons->link_of, sizeof(uint32_t), room) ||
	    persons_grow_array(&persons->link_of_user, sizeof(uint32_t), room) ||
	    persons_grow_array(&persons->profile, sizeof(uint32_t), room) ||
	    persons_grow_array(&persons->last_us, sizeof(int64_t), room) ||
	    persons_grow_array(&persons->flags, 1, room))
		return -ENOMEM;
	if (persons->marks && (persons_grow_array(&persons->marks, sizeof(int64_t), room) ||
			       persons_grow_array(&persons->delete_of, sizeof(uint32_t), room)))
		return -ENOMEM;
	persons->actor_room = room;
	return 0;
}

int persons_add_actor(struct persons *persons, uint8_t flags, struct slice id,
		      int64_t time_us, uint32_t *actor)
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
	persons->last_us[a] = time_us;
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

static int seen_as_user(struct persons *persons, uint32_t user, struct slice id)
{
	uint32_t twin = persons_find(persons, 'a', id);

	return twin ? persons_cancel_alias(persons, twin, user) : 0;
}

static int see_again(struct persons *persons, uint32_t actor, struct slice id)
{
	bool is_new = !(persons->flags[actor] & PERSON_SEEN);
	int rc = persons_to_write(persons, actor);

	persons->flags[actor] |= PERSON_SEEN;
	if (rc == 0 && persons->last_us[actor] > persons_mark(persons, actor)) {
		if (!persons_is_known(persons, persons->leader[actor]))
			persons->known++;
		persons->flags[actor] |= PERSON_KNOWN;
		rc = persons_add_changed(persons, persons->leader[actor]);
	}
	if (rc == 0 && is_new && (persons->flags[actor] & PERSON_IS_USER))
		rc = seen_as_user(persons, actor, id);
	return rc;
}

int persons_actor(struct persons *persons, char kind, struct slice id, int64_t time_us,
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
		if (time_us > persons->last_us[found])
			persons->last_us[found] = time_us;
		if (time_us && flag_into(persons, found, PERSON_TOUCHED, &persons->touched) < 0)
			return -ENOMEM;
		return time_us == 0 || (persons->flags[found] & PERSON_KNOWN)
			       ? 0
			       : see_again(persons, found, id);
	}
	if (time_us)
		flags |= PERSON_SEEN | PERSON_KNOWN;
	rc = persons_add_actor(persons, flags, id, time_us, actor);
	if (rc == 0 && time_us) {
		rc = persons_add_changed(persons, *actor);
		if (rc == 0 && kind == 'u')
			rc = seen_as_user(persons, *actor, id);
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

int persons_add_delete(struct persons *persons, const struct person_delete *delete)
{
	struct person_delete *added;

	if (persons_marks_open(persons) < 0)
		return -ENOMEM;
	if (persons->delete_count == persons->delete_room) {
		uint32_t room = persons->delete_room ? persons->delete_room * 2 : 64;

		if (persons_grow_array(&persons->deletes, sizeof(struct person_delete), room))
			return -ENOMEM;
		persons->delete_room = room;
	}
	added = &persons->deletes[persons->delete_count];
	*added = *delete;
	added->next = persons->delete_of[delete->actor];
	persons->delete_of[delete->actor] = persons->delete_count++;
	persons->held += delete->is_held;
	if (delete->until_us > persons->delete_last_us)
		persons->delete_last_us = delete->until_us;
	return 0;
}

static struct person_delete *find_delete(const struct persons *persons, uint32_t actor,
					 int64_t until_us)
{
	for (uint32_t d = persons->delete_of[actor]; d; d = persons->deletes[d].next)
		if (persons->deletes[d].until_us == until_us)
			return &persons->deletes[d];
	return NULL;
}

static bool has_delete(const struct persons *persons, uint32_t actor, int64_t until_us)
{
	const struct person_delete *delete = find_delete(persons, actor, until_us);

	return delete && !delete->is_held;
}

bool persons_is_deleted(const struct persons *persons, uint32_t actor, int64_t time_us)
{
	return persons_mark(persons, actor) >= time_us && persons->marks;
}

int64_t persons_deleted_until(const struct persons *persons, uint32_t actor)
{
	return persons_mark(persons, actor);
}

int64_t persons_last_us(const struct persons *persons, uint32_t leader)
{
	int64_t last_us = persons->last_us[leader];

	for (uint32_t a = persons->ring[leader]; a != leader; a = persons->ring[a])
		if (persons->last_us[a] > last_us)
			last_us = persons->last_us[a];
	return last_us;
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

/* An alias does not count where its previous id was ever seen as a user's own. */
static bool is_cancelled(const struct persons *persons, uint32_t anonymous)
{
	for (uint32_t l = persons->link_of[anonymous]; l; l = persons->links[l].next)
		if (persons->links[l].kind == PERSON_LINK_CANCEL)
			return true;
	return false;
}

/* Ties the actors by what events after their marks and until then said, of what was received until
 * asked_us. */
static void tie(struct persons *persons, const uint32_t *actors, size_t count, int64_t until_us,
		int64_t asked_us)
{
	for (size_t i = 0; i < count; i++)
		persons->leader[actors[i]] = actors[i];
	for (size_t i = 0; i < count; i++) {
		const struct person_link *first = NULL;

		for (uint32_t l = persons->link_of[actors[i]]; l; l = persons->links[l].next) {
			const struct person_link *link = &persons->links[l];
			int order;

			if (person_link_is_deleted(persons, link) ||
			    link->when.time_us > until_us ||
			    link->when.received_us > asked_us || link->kind == PERSON_LINK_CANCEL ||
			    (link->kind == PERSON_LINK_ALIAS && is_cancelled(persons, actors[i])))
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

struct moment {
	int64_t until_us, asked_us;
};

/* Of the same time the one that was asked last comes first. */
static int compare_moments(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->until_us != y->until_us)
		return x->until_us < y->until_us ? -1 : 1;
	return x->asked_us > y->asked_us ? -1 : x->asked_us < y->asked_us;
}

/* Whom each delete comes to, one delete after the other: persons as they were then. ring[] marks
 * roots meanwhile. */
static void mark_deleted(struct persons *persons, const uint32_t *actors, size_t count,
			 const struct moment *times, size_t time_count)
{
	for (size_t i = 0; i < count; i++)
		persons->marks[actors[i]] = 0;
	for (size_t t = 0; t < time_count; t++) {
		if (t && times[t].until_us == times[t - 1].until_us)
			continue;
		tie(persons, actors, count, times[t].until_us, times[t].asked_us);
		for (size_t i = 0; i < count; i++)
			persons->ring[actors[i]] = 0;
		for (size_t i = 0; i < count; i++)
			if (has_delete(persons, actors[i], times[t].until_us))
				persons->ring[root_of(persons, actors[i])] = 1;
		for (size_t i = 0; i < count; i++)
			if (persons->ring[root_of(persons, actors[i])])
				persons->marks[actors[i]] = times[t].until_us;
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
	if (persons->last_us[actor] <= mark)
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
	struct moment *times;
	int64_t *before;
	int rc = 0;

	for (size_t i = 0; i < count; i++)
		for (uint32_t d = persons->delete_of[actors[i]]; d; d = persons->deletes[d].next)
			time_count += !persons->deletes[d].is_held;
	if (time_count == 0)
		return 0;
	before = calloc(count, sizeof(*before));
	times = calloc(time_count, sizeof(*times));
	if (before && times) {
		for (size_t i = 0; i < count; i++) {
			uint32_t d = persons->delete_of[actors[i]];

			before[i] = persons->marks[actors[i]];
			for (; d; d = persons->deletes[d].next)
				if (!persons->deletes[d].is_held)
					times[n++] = (struct moment){
						persons->deletes[d].until_us,
						persons->deletes[d].asked_us };
		}
		qsort(times, time_count, sizeof(*times), compare_moments);
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
	int rc;

	persons->led.count = 0;
	for (size_t i = 0; i < count && persons->wants_moved; i++)
		if (person_list_add(&persons->led, persons->leader[actors[i]]) < 0)
			return -ENOMEM;
	rc = persons->marks ? settle_deletes(persons, actors, count) : 0;
	tie(persons, actors, count, INT64_MAX, INT64_MAX);
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
	for (size_t i = 0; i < persons->led.count && rc == 0; i++)
		if (persons->led.items[i] != persons->leader[actors[i]])
			rc = person_list_add(&persons->moved, actors[i]);
	return rc;
}

void persons_want_moved(struct persons *persons)
{
	persons->wants_moved = true;
}

const uint32_t *persons_moved(const struct persons *persons, size_t *count)
{
	*count = persons->moved.count;
	return persons->moved.items;
}

void persons_moved_taken(struct persons *persons)
{
	persons->moved.count = 0;
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

int persons_delete(struct persons *persons, uint32_t actor, int64_t until_us, int64_t asked_us)
{
	struct person_delete delete = { .actor = actor, .until_us = until_us,
					.asked_us = asked_us };
	int rc;

	if (actor == PERSON_NOBODY || until_us <= 0 ||
	    (persons->marks && has_delete(persons, actor, until_us)))
		return 0;
	rc = persons_add_delete(persons, &delete);
	if (rc == 0)
		rc = persons_dirty(persons, actor);
	/* What comes next is compared with the marks. */
	return rc == 0 ? persons_settle(persons) : rc;
}

int persons_delete_later(struct persons *persons, uint32_t actor, int64_t until_us,
			 int64_t asked_us)
{
	struct person_delete delete = { .actor = actor, .until_us = until_us,
					.asked_us = asked_us, .is_held = true };

	if (actor == PERSON_NOBODY || until_us <= 0 ||
	    (persons->marks && find_delete(persons, actor, until_us)))
		return 0;
	return persons_add_delete(persons, &delete);
}

int persons_read_delete(struct persons *persons, const struct person_delete *delete)
{
	struct person_delete *known =
		persons->marks ? find_delete(persons, delete->actor, delete->until_us) : NULL;

	if (!known)
		return persons_add_delete(persons, delete);
	persons->held -= known->is_held && !delete->is_held;
	known->is_held &= delete->is_held;
	return 0;
}

static bool is_due(const struct person_delete *delete, int64_t through_us)
{
	return delete->is_held && delete->asked_us <= through_us;
}

void persons_set_through(struct persons *persons, int64_t through_us)
{
	if (through_us > persons->through_us)
		persons->through_us = through_us;
}

bool persons_has_due(const struct persons *persons, int64_t through_us)
{
	for (uint32_t d = 1; persons->held && d < persons->delete_count; d++)
		if (is_due(&persons->deletes[d], through_us))
			return true;
	return false;
}

int persons_delete_due(struct persons *persons, int64_t through_us)
{
	uint32_t count = persons->delete_count;
	int rc = 0;

	for (uint32_t d = 1; persons->held && d < count && rc == 0; d++) {
		struct person_delete done = persons->deletes[d];

		if (!is_due(&done, through_us))
			continue;
		persons->deletes[d].is_held = done.is_held = false;
		persons->held--;
		/* Once more, so that the file says that it is done. */
		rc = persons_add_delete(persons, &done);
		if (rc == 0)
			rc = persons_dirty(persons, done.actor);
	}
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

static int copy_array(void *arrayp, size_t size)
{
	void **array = arrayp, *copy = malloc(size + 1);

	if (copy && size)
		memcpy(copy, *array, size);
	*array = copy;
	return copy ? 0 : -ENOMEM;
}

/* What a fork has of its own. */
static void close_read(struct persons *persons)
{
	free(persons->id_at);
	free(persons->leader);
	free(persons->ring);
	free(persons->profile);
	free(persons->last_us);
	free(persons->slots);
	free(persons->flags);
	buf_close(&persons->ids);
	profiles_close_read(persons);
}

/* All that readers look at is copied; what only the changing thread has moves over. */
int persons_fork(struct persons *old, struct persons **forkp)
{
	struct persons *fork = malloc(sizeof(*fork));
	size_t actors = old->actor_room;
	int rc = 0;

	*forkp = NULL;
	if (!fork)
		return -ENOMEM;
	*fork = *old;
	rc |= copy_array(&fork->id_at, actors * sizeof(*fork->id_at));
	rc |= copy_array(&fork->leader, actors * sizeof(*fork->leader));
	rc |= copy_array(&fork->ring, actors * sizeof(*fork->ring));
	rc |= copy_array(&fork->profile, actors * sizeof(*fork->profile));
	rc |= copy_array(&fork->last_us, actors * sizeof(*fork->last_us));
	rc |= copy_array(&fork->flags, actors);
	rc |= copy_array(&fork->slots, old->slot_count * sizeof(*fork->slots));
	fork->ids = (struct buf){ .limit = old->ids.limit };
	buf_append(&fork->ids, old->ids.ptr, old->ids.len);
	rc |= profiles_fork(fork, old) | (fork->ids.failed ? -ENOMEM : 0);
	if (rc) {
		close_read(fork);
		free(fork);
		return -ENOMEM;
	}
	*forkp = fork;
	old->fd = -1;
	old->is_frozen = true;
	return 0;
}

void persons_close(struct persons *persons)
{
	if (!persons)
		return;
	close_read(persons);
	if (persons->is_frozen) {
		free(persons);
		return;
	}
	person_file_close(persons);
	profiles_close(persons);
	free(persons->link_of);
	free(persons->link_of_user);
	free(persons->marks);
	free(persons->delete_of);
	free(persons->links);
	free(persons->deletes);
	free(persons->dirty.items);
	free(persons->walked.items);
	free(persons->starts.items);
	free(persons->changed.items);
	free(persons->forgotten.items);
	free(persons->to_write.items);
	free(persons->touched.items);
	free(persons->moved.items);
	free(persons->led.items);
	free(persons);
}
