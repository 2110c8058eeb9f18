// SPDX-License-Identifier: Apache-2.0
/* A profile is a blob per actor, a multiple of 8 bytes, little endian:
 *
 *      0   u32 bytes, u16 times, u16 entries
 *      8   times x { i64 time, i64 received, 16 bytes message }: each event that has a say
 *          entries x { u32 key, u16 time, u8 op, u8 kind, 8 bytes: double, or u32 at, length }
 *          texts and lists, then zeros
 *
 * Entries are sorted by (key, time of the event, message, op). Of one key those before the last
 * SET or UNSET are gone, as they can never matter again; over OPS_MAX the two oldest become one.
 * So the value is that of applying all operations in the order of their events, whatever order
 * they came in, as long as none of them is later than OPS_MAX others of its key; sums stay right
 * even then. Of SET_ONCEs in a row only the first is kept.
 */
#include "aggregate/person_own.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPS_MAX        16
#define LIST_BYTES_MAX ((size_t)64 << 10)
#define BLOB_BYTES_MAX ((size_t)256 << 10)
#define HEAP_MAX       ((size_t)32 << 30)
#define HEAP_KEEP      ((size_t)16 << 20)       /* garbage that is not worth a compaction */

/* What older operations became. */
enum { OP_SUM = PERSON_UNSET + 1, OP_LIST, OP_COUNT };

struct blob_head {
	uint32_t bytes;
	uint16_t times, entries;
};

struct blob_entry {
	uint32_t key;
	uint16_t time;
	uint8_t op;
	uint8_t kind;
	union {
		double number;
		struct {
			uint32_t at, len;
		} text;
	};
};

static_assert(sizeof(struct blob_head) == 8, "a blob's head");
static_assert(sizeof(struct blob_entry) == 16, "a blob's entry");
static_assert(sizeof(struct person_when) == 32, "a blob's time");

struct blob {
	const struct blob_head *head;
	const struct person_when *times;
	const struct blob_entry *entries;
	const char *texts;
};

/* An operation while a blob is made. */
struct operation {
	struct person_when when;
	uint32_t key;
	uint8_t op;
	uint8_t age;                    /* 0: was there */
	struct prop value;
};

/* What a key's operations come to. */
enum trait_origin { TRAIT_SET, TRAIT_ONCE, TRAIT_LIST, TRAIT_SUM };

struct trait {
	struct prop value;
	enum trait_origin origin;
	const struct person_when *when;
	size_t made;                    /* PROP_LIST: where it begins in scratch, if it was made */
	bool is_made;
};

static struct blob blob_at(const char *bytes)
{
	struct blob blob = { .head = (const void *)bytes };

	blob.times = (const void *)(bytes + sizeof(struct blob_head));
	blob.entries = (const void *)(blob.times + blob.head->times);
	blob.texts = (const char *)(blob.entries + blob.head->entries);
	return blob;
}

static const char *blob_of(const struct persons *persons, uint32_t actor)
{
	uint32_t at = persons->profile[actor];

	return at ? persons->profile_heap.ptr + (size_t)at * 8 : NULL;
}

struct slice profiles_blob(const struct persons *persons, uint32_t actor)
{
	const char *bytes = blob_of(persons, actor);

	if (!bytes)
		return (struct slice){ "", 0 };
	return (struct slice){ bytes, blob_at(bytes).head->bytes };
}

static struct prop entry_value(const struct blob *blob, const struct blob_entry *entry)
{
	struct prop value = { .kind = entry->kind };

	if (entry->kind == PROP_NUMBER)
		value.number = entry->number;
	else if (entry->kind >= PROP_TEXT)
		value.text = (struct slice){ blob->texts + entry->text.at, entry->text.len };
	return value;
}

/* The first entry of a key; *count gets how many it has. */
static const struct blob_entry *find_key(const struct blob *blob, uint32_t key, uint32_t *count)
{
	uint32_t from = 0, to = blob->head->entries, end;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (blob->entries[middle].key < key)
			from = middle + 1;
		else
			to = middle;
	}
	for (end = from; end < blob->head->entries && blob->entries[end].key == key;)
		end++;
	*count = end - from;
	return &blob->entries[from];
}

/* Keys */

int profiles_add_key(struct persons *persons, struct slice name, uint32_t *key)
{
	int rc = name_table_add(&persons->keys, name, PERSON_NAMES_MAX, key);

	if (rc == 0 && persons->keys.count > persons->key_room) {
		uint32_t room = persons->key_room ? persons->key_room * 2 : 64;
		uint32_t *counts = reallocarray(persons->key_counts, room, sizeof(*counts));

		if (!counts)
			return -ENOMEM;
		memset(counts + persons->key_room, 0,
		       (room - persons->key_room) * sizeof(*counts));
		persons->key_counts = counts;
		persons->key_room = room;
	}
	return rc;
}

static void count_keys(struct persons *persons, const char *bytes, int sign)
{
	struct blob blob;

	if (!bytes)
		return;
	blob = blob_at(bytes);
	for (uint32_t i = 0; i < blob.head->entries; i++)
		if (i == 0 || blob.entries[i].key != blob.entries[i - 1].key)
			persons->key_counts[blob.entries[i].key] += (uint32_t)sign;
}

/* The heap */

static int compact(struct persons *persons)
{
	struct buf heap = { .limit = HEAP_MAX };

	buf_append(&heap, "\0\0\0\0\0\0\0", 8);
	buf_reserve(&heap, persons->profile_heap.len - persons->profile_garbage);
	for (uint32_t a = 1; a < persons->actor_count && !heap.failed; a++) {
		struct slice blob = profiles_blob(persons, a);

		if (blob.len) {
			persons->profile[a] = (uint32_t)(heap.len / 8);
			buf_append_slice(&heap, blob);
		}
	}
	/* Its size was reserved at once: only that can have failed, before anything was moved. */
	if (heap.failed) {
		buf_close(&heap);
		return -ENOMEM;
	}
	buf_close(&persons->profile_heap);
	persons->profile_heap = heap;
	persons->profile_garbage = 0;
	return 0;
}

/* The blob at the end of the heap, from `at` on, is the actor's from now on; none where it is
 * empty. */
static int swap_blob(struct persons *persons, uint32_t actor, size_t at)
{
	struct buf *heap = &persons->profile_heap;
	const char *old = blob_of(persons, actor);

	if (old) {
		count_keys(persons, old, -1);
		persons->profile_garbage += blob_at(old).head->bytes;
	}
	persons->profile[actor] = at < heap->len ? (uint32_t)(at / 8) : 0;
	if (at < heap->len)
		count_keys(persons, heap->ptr + at, 1);
	if (persons->profile_garbage > HEAP_KEEP && persons->profile_garbage > heap->len / 2)
		return compact(persons);
	return 0;
}

/* Blobs are multiples of 8 bytes: so they are aligned there. */
static int append_blob(struct persons *persons, struct slice blob, size_t *at)
{
	struct buf *heap = &persons->profile_heap;

	heap->limit = HEAP_MAX;
	if (heap->len == 0)
		buf_append(heap, "\0\0\0\0\0\0\0", 8);
	*at = heap->len;
	buf_append_slice(heap, blob);
	return heap->failed ? -ENOMEM : 0;
}

static bool entry_is_valid(const struct persons *persons, const struct blob *blob, uint32_t i,
			   size_t text_bytes)
{
	const struct blob_entry *entry = &blob->entries[i];

	return entry->key < persons->keys.count && entry->time < blob->head->times &&
	       entry->op < OP_COUNT && entry->kind <= PROP_LIST &&
	       (entry->kind < PROP_TEXT ||
		(entry->text.at <= text_bytes && entry->text.len <= text_bytes - entry->text.at)) &&
	       (i == 0 || entry->key >= blob->entries[i - 1].key);
}

static bool blob_is_valid(const struct persons *persons, const char *bytes, size_t len)
{
	struct blob blob;
	size_t fixed;

	if (len < sizeof(struct blob_head) || len % 8)
		return false;
	blob = blob_at(bytes);
	fixed = sizeof(struct blob_head) + blob.head->times * sizeof(struct person_when) +
		blob.head->entries * sizeof(struct blob_entry);
	if (blob.head->bytes != len || fixed > len)
		return false;
	for (uint32_t i = 0; i < blob.head->entries; i++)
		if (!entry_is_valid(persons, &blob, i, len - fixed))
			return false;
	return true;
}

int profiles_take(struct persons *persons, uint32_t actor, struct slice bytes)
{
	size_t at;
	int rc = bytes.len % 8 ? -EBADMSG : append_blob(persons, bytes, &at);

	if (rc == 0 && bytes.len &&
	    !blob_is_valid(persons, persons->profile_heap.ptr + at, bytes.len))
		rc = -EBADMSG;
	return rc == 0 ? swap_blob(persons, actor, at) : rc;
}

/* Lists */

static size_t list_count(struct slice list)
{
	struct prop element;
	size_t at = 0, count = 0;

	while (prop_next(list, &at, &element))
		count++;
	return count;
}

static bool list_has(struct slice list, const struct prop *value)
{
	struct prop element;
	size_t at = 0;

	while (prop_next(list, &at, &element))
		if (prop_compare(&element, value) == 0)
			return true;
	return false;
}

static struct slice made_list(const struct buf *out, size_t from)
{
	return slice_skip(buf_slice(out), from);
}

static void list_put(struct buf *out, size_t from, const struct prop *value, bool is_union)
{
	if (value->kind == PROP_NONE || out->len - from + value->text.len > LIST_BYTES_MAX ||
	    list_count(made_list(out, from)) >= PROP_LIST_MAX ||
	    (is_union && list_has(made_list(out, from), value)))
		return;
	prop_list_add(out, value);
}

/* Adds a value, or each element of a list, to the list that begins at `from`. */
static void list_extend(struct buf *out, size_t from, const struct prop *value, bool is_union)
{
	struct prop element;
	size_t at = 0;

	if (value->kind != PROP_LIST) {
		list_put(out, from, value, is_union);
		return;
	}
	while (prop_next(value->text, &at, &element))
		list_put(out, from, &element, is_union);
}

static void list_remove(struct buf *out, size_t from, const struct prop *value)
{
	size_t end = out->len, at = 0;
	struct prop element;

	/* Elements point into out, which must not move: twice its length is enough. */
	if (!buf_reserve(out, 2 * (end - from) + 64))
		return;
	while (prop_next((struct slice){ out->ptr + from, end - from }, &at, &element))
		if (value->kind == PROP_LIST ? !list_has(value->text, &element)
					     : prop_compare(&element, value) != 0)
			prop_list_add(out, &element);
	memmove(out->ptr + from, out->ptr + end, out->len - end);
	out->len -= end - from;
}

/* Values */

static void begin_list(struct trait *trait, struct buf *out)
{
	struct prop value = trait->value;

	if (trait->is_made)
		return;
	trait->made = out->len;
	trait->is_made = true;
	list_extend(out, trait->made, &value, false);
	trait->value = (struct prop){ .kind = PROP_LIST };
}

static void apply_list(struct trait *trait, int op, const struct prop *value, struct buf *out)
{
	if (op == PERSON_REMOVE && trait->value.kind != PROP_LIST)
		return;
	if (trait->value.kind == PROP_NONE)
		trait->origin = TRAIT_LIST;
	begin_list(trait, out);
	if (op == PERSON_REMOVE)
		list_remove(out, trait->made, value);
	else
		list_extend(out, trait->made, value, op == PERSON_UNION);
}

static void apply(struct trait *trait, int op, const struct prop *value,
		  const struct person_when *when, struct buf *out)
{
	switch (op) {
	case PERSON_SET_ONCE:
		if (trait->value.kind != PROP_NONE)
			return;
		/* fall through */
	case PERSON_SET:
	case PERSON_UNSET:
		*trait = (struct trait){ .origin = op == PERSON_SET_ONCE ? TRAIT_ONCE : TRAIT_SET,
					 .when = when };
		if (op != PERSON_UNSET)
			trait->value = *value;
		return;
	case PERSON_ADD:
	case OP_SUM:
		if (value->kind != PROP_NUMBER)
			return;
		if (trait->value.kind == PROP_NONE)
			*trait = (struct trait){ .value = *value, .origin = TRAIT_SUM,
						 .when = when };
		else if (trait->value.kind == PROP_NUMBER &&
			 __builtin_isfinite(trait->value.number + value->number))
			trait->value.number += value->number;
		return;
	default:
		if (!trait->when)
			trait->when = when;
		apply_list(trait, op == OP_LIST ? PERSON_APPEND : op, value, out);
	}
}

static void finish(struct trait *trait, const struct buf *out)
{
	if (trait->is_made)
		trait->value.text = made_list(out, trait->made);
	if (trait->value.kind == PROP_NUMBER && trait->value.number == 0)
		trait->value.number = 0;        /* no -0 */
}

static void read_key(const struct blob *blob, const struct blob_entry *entries, uint32_t count,
		     struct trait *trait, struct buf *out)
{
	*trait = (struct trait){ 0 };
	for (uint32_t i = 0; i < count; i++) {
		struct prop value = entry_value(blob, &entries[i]);

		apply(trait, entries[i].op, &value, &blob->times[entries[i].time], out);
	}
	finish(trait, out);
}

/* Making a blob */

static int compare_operations(const void *a, const void *b)
{
	const struct operation *x = a, *y = b;
	int order;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	order = person_when_compare(&x->when, &y->when);
	if (order == 0)
		order = (x->op > y->op) - (x->op < y->op);
	return order ? order : (x->age > y->age) - (x->age < y->age);
}

/* Where lists are made, and then kept: a buf moves what is in it. */
struct maker {
	struct buf list;
	struct arena arena;
	bool failed;
};

/* Two neighbours into one; the first holds it then. */
static void melt(struct operation *first, const struct operation *second, struct maker *maker)
{
	struct buf *out = &maker->list;
	struct trait trait = { 0 };

	buf_reset(out);

	apply(&trait, first->op, &first->value, &first->when, out);
	if (first->op == PERSON_UNSET)
		trait = (struct trait){ 0 };
	apply(&trait, second->op, &second->value, &second->when, out);
	finish(&trait, out);
	if (trait.is_made)
		trait.value.text = arena_copy(&maker->arena, trait.value.text);
	maker->failed |= out->failed || (trait.is_made && !trait.value.text.ptr);
	first->value = trait.value;
	first->when = second->when;
	first->op = trait.value.kind == PROP_NONE     ? PERSON_UNSET
		    : trait.origin == TRAIT_SUM	      ? OP_SUM
		    : trait.origin == TRAIT_LIST      ? OP_LIST
						      : PERSON_SET;
}

/* Keeps of one key's operations, sorted, what matters; returns how many. */
static size_t reduce(struct operation *ops, size_t count, struct maker *maker)
{
	size_t kept = 0, base = 0;

	for (size_t i = 0; i < count; i++) {
		if (kept && ops[kept - 1].op == ops[i].op &&
		    person_when_compare(&ops[kept - 1].when, &ops[i].when) == 0)
			continue;
		if (kept && ops[kept - 1].op == PERSON_SET_ONCE && ops[i].op == PERSON_SET_ONCE)
			continue;
		if (ops[i].op == PERSON_SET || ops[i].op == PERSON_UNSET)
			base = kept;
		ops[kept++] = ops[i];
	}
	memmove(ops, ops + base, (kept - base) * sizeof(*ops));
	for (kept -= base; kept > OPS_MAX; kept--) {
		melt(&ops[0], &ops[1], maker);
		memmove(&ops[1], &ops[2], (kept - 2) * sizeof(*ops));
	}
	return kept;
}

/* The number of an operation's event in the blob's times; the last ones are the likely ones. */
static uint32_t time_number(struct person_when *times, uint32_t *count,
			    const struct person_when *when)
{
	for (uint32_t i = *count; i-- > 0;)
		if (memcmp(&times[i], when, sizeof(*when)) == 0)
			return i;
	times[*count] = *when;
	return (*count)++;
}

static bool has_text(const struct operation *op)
{
	return op->value.kind >= PROP_TEXT;
}

/* How many operations fit into a blob: whole keys, from the first on. */
static size_t fitting(const struct operation *ops, size_t count, uint64_t *left_out)
{
	size_t bytes = sizeof(struct blob_head), keys = 0, fit = 0;

	for (size_t i = 0; i < count; i++) {
		if (i == 0 || ops[i].key != ops[i - 1].key) {
			fit = i;
			keys++;
		}
		bytes += sizeof(struct blob_entry) + sizeof(struct person_when) +
			 (has_text(&ops[i]) ? ops[i].value.text.len : 0);
		if (keys > PERSON_KEYS_MAX || bytes > BLOB_BYTES_MAX) {
			*left_out += 1;
			return fit;
		}
	}
	return count;
}

static int write_blob(struct buf *out, const struct operation *ops, size_t count)
{
	struct blob_head head = { .entries = (uint16_t)count };
	struct person_when *times;
	uint32_t time_count = 0, text = 0;
	char *room;

	buf_reset(out);
	room = buf_reserve(out, sizeof(head) + count * sizeof(*times));
	if (!room)
		return -ENOMEM;
	times = (void *)(room + sizeof(head));
	for (size_t i = 0; i < count; i++)
		time_number(times, &time_count, &ops[i].when);
	out->len = sizeof(head) + time_count * sizeof(*times);
	for (size_t i = 0; i < count; i++) {
		struct blob_entry entry = { .key = ops[i].key, .op = ops[i].op,
					    .kind = (uint8_t)ops[i].value.kind };
		uint32_t known = time_count;

		times = (void *)(out->ptr + sizeof(head));
		entry.time = (uint16_t)time_number(times, &known, &ops[i].when);
		if (has_text(&ops[i])) {
			entry.text.at = text;
			entry.text.len = (uint32_t)ops[i].value.text.len;
			text += entry.text.len;
		} else {
			entry.number = ops[i].value.kind == PROP_NUMBER ? ops[i].value.number : 0;
		}
		buf_append(out, &entry, sizeof(entry));
	}
	for (size_t i = 0; i < count; i++)
		if (has_text(&ops[i]))
			buf_append_slice(out, ops[i].value.text);
	buf_append(out, "\0\0\0\0\0\0\0", -out->len % 8);
	if (out->failed)
		return -ENOMEM;
	head.bytes = (uint32_t)out->len;
	head.times = (uint16_t)time_count;
	memcpy(out->ptr, &head, sizeof(head));
	return 0;
}

/* The actor's blob's operations and those that wait, those after until_us only. */
static int gather(struct persons *persons, uint32_t actor, int64_t until_us,
		  struct operation **opsp, size_t *countp)
{
	const char *bytes = blob_of(persons, actor);
	struct blob blob = { 0 };
	size_t count = 0, old;
	struct operation *ops;

	if (bytes)
		blob = blob_at(bytes);
	old = bytes ? blob.head->entries : 0;
	buf_reset(&persons->work);
	ops = (void *)buf_reserve(&persons->work,
				  (old + persons->pending_count + 1) * sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	for (size_t i = 0; i < old; i++) {
		const struct blob_entry *entry = &blob.entries[i];

		ops[count] = (struct operation){ .when = blob.times[entry->time], .key = entry->key,
						 .op = entry->op,
						 .value = entry_value(&blob, entry) };
		count += ops[count].when.time_us > until_us;
	}
	for (size_t i = 0; i < persons->pending_count; i++) {
		const struct person_pending *pending = &persons->pending[i];

		ops[count++] = (struct operation){
			.when = pending->when, .key = pending->key, .op = pending->op, .age = 1,
			.value = { pending->kind, pending->number,
				   { buf_slice(&persons->pending_text).ptr + pending->text,
				     pending->text_len } }
		};
	}
	*opsp = ops;
	*countp = count;
	return 0;
}

static int remake(struct persons *persons, uint32_t actor, int64_t until_us)
{
	struct maker maker = { .list.limit = (size_t)1 << 20 };
	size_t count, kept = 0, end, at;
	struct operation *ops;
	int rc = gather(persons, actor, until_us, &ops, &count);

	if (rc < 0)
		return rc;
	qsort(ops, count, sizeof(*ops), compare_operations);
	for (size_t i = 0; i < count; i = end) {
		size_t left;

		for (end = i; end < count && ops[end].key == ops[i].key;)
			end++;
		left = reduce(&ops[i], end - i, &maker);
		memmove(&ops[kept], &ops[i], left * sizeof(*ops));
		kept += left;
	}
	rc = maker.failed ? -ENOMEM : 0;
	if (rc == 0)
		rc = write_blob(&persons->blob, ops, fitting(ops, kept, &persons->left_out));
	if (rc == 0)
		rc = append_blob(persons, kept ? buf_slice(&persons->blob)
					       : (struct slice){ "", 0 }, &at);
	if (rc == 0)
		rc = swap_blob(persons, actor, at);
	buf_close(&maker.list);
	arena_close(&maker.arena);
	return rc;
}

int profiles_flush(struct persons *persons)
{
	uint32_t actor = persons->pending_actor;
	int rc;

	if (persons->pending_count == 0)
		return 0;
	rc = remake(persons, actor, INT64_MIN);
	persons->pending_count = 0;
	buf_reset(&persons->pending_text);
	if (rc == 0)
		rc = persons_to_write(persons, actor);
	return rc == 0 ? persons_add_changed(persons, persons->leader[actor]) : rc;
}

int profiles_forget(struct persons *persons, uint32_t actor, int64_t until_us)
{
	int rc = profiles_flush(persons);

	return rc == 0 && persons->profile[actor] ? remake(persons, actor, until_us) : rc;
}

/* Most operations say what is known: the same traits with each identify are not, as their time
 * counts; but set_once with each page is, and what is older than a later set. */
static bool says_nothing(const struct persons *persons, uint32_t actor, enum person_op op,
			 uint32_t key, const struct person_when *when)
{
	const char *bytes = blob_of(persons, actor);
	const struct blob_entry *entries;
	struct blob blob;
	uint32_t count;

	if (!bytes)
		return false;
	blob = blob_at(bytes);
	entries = find_key(&blob, key, &count);
	if (count && (entries[0].op == PERSON_SET || entries[0].op == PERSON_UNSET) &&
	    person_when_compare(when, &blob.times[entries[0].time]) < 0)
		return true;
	if (op != PERSON_SET_ONCE)
		return false;
	while (count && person_when_compare(&blob.times[entries[count - 1].time], when) > 0)
		count--;
	return count && entries[count - 1].op == PERSON_SET_ONCE;
}

int persons_profile(struct persons *persons, uint32_t actor, enum person_op op, struct slice key,
		    const struct prop *value, const struct person_when *when)
{
	struct person_pending *pending;
	uint32_t number;
	int rc;

	if (actor == PERSON_NOBODY || persons_is_deleted(persons, actor, when->time_us) ||
	    (value->kind == PROP_NONE && op != PERSON_UNSET))
		return 0;
	rc = profiles_add_key(persons, key, &number);
	if (rc == -ENOSPC) {
		persons->left_out++;
		return 0;
	}
	if (rc == 0 && persons->pending_actor != actor)
		rc = profiles_flush(persons);
	if (rc < 0 || says_nothing(persons, actor, op, number, when))
		return rc;
	if (persons->pending_count == persons->pending_room) {
		size_t room = persons->pending_room ? persons->pending_room * 2 : 64;

		pending = reallocarray(persons->pending, room, sizeof(*pending));
		if (!pending)
			return -ENOMEM;
		persons->pending = pending;
		persons->pending_room = room;
	}
	persons->pending_actor = actor;
	persons->pending[persons->pending_count++] = (struct person_pending){
		.key = number, .op = (uint8_t)op,
		.kind = op == PERSON_UNSET ? PROP_NONE : (uint8_t)value->kind,
		.number = value->number, .text = persons->pending_text.len,
		.text_len = value->kind >= PROP_TEXT ? value->text.len : 0, .when = *when
	};
	if (value->kind >= PROP_TEXT)
		buf_append_slice(&persons->pending_text, value->text);
	return persons->pending_text.failed ? -ENOMEM : 0;
}

/* Reading */

/* Of two actors of a person, whose word on a key counts: the identified one's; what was set
 * before what was counted; the later set, the earlier set_once. */
static int compare_traits(const struct trait *a, bool a_is_user, const struct trait *b,
			  bool b_is_user)
{
	int order;

	if (a_is_user != b_is_user)
		return a_is_user ? -1 : 1;
	if (a->origin != b->origin)
		return a->origin < b->origin ? -1 : 1;
	order = person_when_compare(a->when, b->when);
	return a->origin == TRAIT_SET ? -order : order;
}

/* The part of a person's key that one actor has. */
static bool actor_trait(const struct persons *persons, uint32_t actor, uint32_t key,
			struct trait *trait, struct buf *out)
{
	const char *bytes = blob_of(persons, actor);
	const struct blob_entry *entries;
	struct blob blob;
	uint32_t count;

	if (!bytes)
		return false;
	blob = blob_at(bytes);
	entries = find_key(&blob, key, &count);
	if (!count)
		return false;
	read_key(&blob, entries, count, trait, out);
	return trait->value.kind != PROP_NONE;
}

static int compare_props(const void *a, const void *b)
{
	return prop_compare(a, b);
}

/* The union of all actors' lists, in the order of values: that of the actors means nothing. */
static struct prop union_of(const struct persons *persons, uint32_t leader, uint32_t key,
			    struct buf *out)
{
	struct buf all = { .limit = (size_t)16 << 20 }, part = { .limit = (size_t)1 << 20 };
	struct prop elements[PROP_LIST_MAX];
	size_t count = 0, at = 0, from;
	uint32_t actor = leader;
	struct trait trait;

	do {
		buf_reset(&part);
		if (actor_trait(persons, actor, key, &trait, &part) && trait.origin == TRAIT_LIST)
			list_extend(&all, 0, &trait.value, true);
		actor = persons->ring[actor];
	} while (actor != leader);
	while (count < PROP_LIST_MAX && prop_next(buf_slice(&all), &at, &elements[count]))
		count++;
	qsort(elements, count, sizeof(elements[0]), compare_props);
	from = out->len;
	for (size_t i = 0; i < count; i++)
		prop_list_add(out, &elements[i]);
	buf_close(&all);
	buf_close(&part);
	return (struct prop){ .kind = PROP_LIST, .text = made_list(out, from) };
}

static void combine(const struct persons *persons, uint32_t leader, uint32_t key,
		    struct trait *best, struct buf *out)
{
	struct buf part = { .limit = (size_t)1 << 20 };
	enum trait_origin origin = best->origin;
	uint32_t actor = leader;
	double sum = 0;

	if (origin == TRAIT_LIST)
		best->value = union_of(persons, leader, key, out);
	if (origin != TRAIT_SUM && origin != TRAIT_ONCE)
		return;
	do {
		struct trait trait;

		buf_reset(&part);
		if (actor_trait(persons, actor, key, &trait, &part) && trait.origin == origin) {
			if (origin == TRAIT_SUM)
				sum += trait.value.number;
			else if (person_when_compare(trait.when, best->when) < 0 &&
				 !trait.is_made)
				*best = trait;
		}
		actor = persons->ring[actor];
	} while (actor != leader);
	if (origin == TRAIT_SUM && __builtin_isfinite(sum))
		best->value.number = sum;
	buf_close(&part);
}

static struct prop read_trait(const struct persons *persons, uint32_t leader, uint32_t key,
			      struct buf *scratch)
{
	struct trait best = { 0 };
	bool best_is_user = false;
	uint32_t actor = leader;
	int found = 0;

	do {
		bool is_user = persons->flags[actor] & PERSON_IS_USER;
		size_t before = scratch->len;
		struct trait trait;

		if (actor_trait(persons, actor, key, &trait, scratch)) {
			if (!found++ || compare_traits(&trait, is_user, &best, best_is_user) < 0) {
				best = trait;
				best_is_user = is_user;
			} else {
				scratch->len = before;
			}
		}
		actor = persons->ring[actor];
	} while (actor != leader);
	if (best.is_made)
		best.value.text.ptr = buf_slice(scratch).ptr + best.made;
	if (found > 1)
		combine(persons, leader, key, &best, scratch);
	return best.value;
}

struct prop persons_trait(const struct persons *persons, uint32_t leader, struct slice key,
			  struct buf *scratch)
{
	uint32_t number;

	if (name_table_find(&persons->keys, key, &number) < 0)
		return (struct prop){ 0 };
	return read_trait(persons, leader, number, scratch);
}

struct named {
	struct slice name;
	uint32_t key;
};

static int compare_names(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
	int order = memcmp(x->name.ptr, y->name.ptr, len);

	return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* The keys of all of a person's actors; the same one may be in it several times. */
static int gather_keys(const struct persons *persons, uint32_t leader, struct buf *out)
{
	uint32_t actor = leader;

	do {
		const char *bytes = blob_of(persons, actor);
		struct blob blob = { 0 };
		size_t n = 0;

		if (bytes) {
			blob = blob_at(bytes);
			n = blob.head->entries;
		}
		for (size_t i = 0; i < n; i++) {
			struct named named = { .key = blob.entries[i].key };

			if (i && blob.entries[i - 1].key == named.key)
				continue;
			named.name = name_table_text(&persons->keys, named.key);
			buf_append(out, &named, sizeof(named));
		}
		actor = persons->ring[actor];
	} while (actor != leader);
	return out->failed ? -ENOMEM : 0;
}

int persons_traits(const struct persons *persons, uint32_t leader, struct buf *scratch,
		   prop_take_fn *take, void *ctx)
{
	struct buf keys = { .limit = (size_t)64 << 20 };
	int rc = gather_keys(persons, leader, &keys);
	size_t count = keys.len / sizeof(struct named);
	struct named *named = (void *)keys.ptr;

	if (count)
		qsort(named, count, sizeof(*named), compare_names);
	for (size_t i = 0; i < count && rc >= 0; i++) {
		struct prop value;

		if (i && named[i].key == named[i - 1].key)
			continue;
		buf_reset(scratch);
		value = read_trait(persons, leader, named[i].key, scratch);
		if (value.kind != PROP_NONE)
			rc = take(ctx, named[i].name, &value);
	}
	buf_close(&keys);
	return rc < 0 ? rc : 0;
}

int profiles_fork(struct persons *fork, const struct persons *old)
{
	uint32_t key;
	int rc = 0;

	fork->keys = (struct name_table){ .count = 0 };
	fork->profile_heap = (struct buf){ .limit = old->profile_heap.limit };
	fork->key_counts = calloc(old->key_room + (size_t)1, sizeof(*fork->key_counts));
	if (!fork->key_counts)
		return -ENOMEM;
	if (old->key_room)
		memcpy(fork->key_counts, old->key_counts,
		       old->key_room * sizeof(*fork->key_counts));
	for (uint32_t k = 0; k < old->keys.count && rc == 0; k++)
		rc = name_table_add(&fork->keys, name_table_text(&old->keys, k), PERSON_NAMES_MAX,
				    &key);
	buf_append(&fork->profile_heap, old->profile_heap.ptr, old->profile_heap.len);
	return fork->profile_heap.failed ? -ENOMEM : rc;
}

void profiles_close_read(struct persons *persons)
{
	name_table_close(&persons->keys);
	free(persons->key_counts);
	buf_close(&persons->profile_heap);
}

void profiles_close(struct persons *persons)
{
	free(persons->pending);
	buf_close(&persons->pending_text);
	buf_close(&persons->blob);
	buf_close(&persons->work);
}
