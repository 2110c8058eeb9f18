// SPDX-License-Identifier: Apache-2.0
/* Persons: rules one by one, and random facts in many orders against a slow model. */
#include "aggregate/person.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap.h"

static const struct person_mark none;

struct dir {
	char path[200];
};

static struct dir make_dir(void)
{
	const char *base = getenv("TMPDIR");
	struct dir dir;

	snprintf(dir.path, sizeof(dir.path), "%s/millrace-person-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(dir.path))
		abort();
	return dir;
}

static void remove_dir(const struct dir *dir)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir->path);
	if (system(command))
		abort();
}

static struct persons *open_in(const struct dir *dir, const struct person_mark *mark)
{
	struct persons *persons;
	struct err err = { "" };

	if (persons_open(&persons, dir->path, mark, &err) < 0) {
		printf("# %s\n", err.text);
		abort();
	}
	return persons;
}

static struct person_when when_at(int64_t time, int64_t received, unsigned message)
{
	struct person_when when = { .time_us = time, .received_us = received };

	when.message.bytes[0] = (uint8_t)(message >> 8);
	when.message.bytes[1] = (uint8_t)message;
	return when;
}

static uint32_t actor_of(struct persons *persons, char kind, const char *id, int64_t received)
{
	uint32_t actor;

	if (persons_actor(persons, kind, slice_from(id), received, &actor) < 0)
		abort();
	return actor;
}

static void must(int rc)
{
	if (rc < 0) {
		printf("# must: %d\n", rc);
		abort();
	}
}

/* "u1" for the id that names the person of an id. */
static const char *name_of(const struct persons *persons, char kind, const char *id, char text[64])
{
	uint32_t actor = persons_find(persons, kind, slice_from(id));
	struct slice name;

	if (!actor)
		return "-";
	actor = persons_canonical(persons, persons_leaders(persons)[actor]);
	name = persons_id(persons, actor, NULL);
	snprintf(text, 64, "%.*s", (int)name.len, name.ptr);
	return text;
}

static bool is_name(const struct persons *persons, char kind, const char *id, const char *wanted)
{
	char text[64];
	const char *name = name_of(persons, kind, id, text);

	if (strcmp(name, wanted) != 0)
		printf("# %c %s is %s, not %s\n", kind, id, name, wanted);
	return strcmp(name, wanted) == 0;
}

static const char *trait_text(const struct persons *persons, char kind, const char *id,
			      const char *key, struct buf *out)
{
	uint32_t actor = persons_find(persons, kind, slice_from(id));
	struct buf scratch = { 0 };
	struct prop value;

	buf_reset(out);
	value = persons_trait(persons, persons_leaders(persons)[actor], slice_from(key), &scratch);
	prop_write_json(&value, out);
	buf_append_char(out, '\0');
	buf_close(&scratch);
	return out->ptr;
}

static void test_junk(struct tap *tap)
{
	static const struct {
		const char *id;
		bool is_junk;
	} cases[] = {
		{ "", true }, { "null", true }, { "NULL", true }, { "undefined", true },
		{ "0", true },
		{ "true", true }, { "anon", true },
		{ "00000000-0000-0000-0000-000000000000", true },
		{ "1", false }, { "u0", false }, { "anon-1", false }, { "-1", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		OK(tap, persons_is_junk(slice_from(cases[i].id)) == cases[i].is_junk,
		   "junk: '%s' %d", cases[i].id, cases[i].is_junk);
}

static void test_links(struct tap *tap)
{
	struct dir dir = make_dir();
	struct persons *p = open_in(&dir, &none);
	uint32_t d1 = actor_of(p, 'a', "D1", 1), u1, d2, u2;
	struct person_when early = when_at(5, 9, 9), at = when_at(10, 2, 1);
	struct person_when late = when_at(20, 3, 2);

	u1 = actor_of(p, 'u', "U1", 2);
	must(persons_link(p, d1, u1, &at));
	must(persons_settle(p));
	OK(tap, is_name(p, 'a', "D1", "U1") && persons_count(p) == 1, "a link ties");
	d2 = actor_of(p, 'a', "D2", 3);
	must(persons_settle(p));
	OK(tap, persons_count(p) == 2, "I01: D1, D1, (D1,U1), D2, D2: two");
	must(persons_link(p, d2, u1, &late));
	must(persons_settle(p));
	OK(tap, persons_count(p) == 1 && is_name(p, 'a', "D2", "U1"), "I01: (D2,U1): one");
	u2 = actor_of(p, 'u', "U2", 4);
	must(persons_link(p, d2, u2, &(struct person_when){ .time_us = 30, .received_us = 5 }));
	must(persons_settle(p));
	OK(tap, persons_count(p) == 2 && is_name(p, 'a', "D2", "U1"),
	   "a second user of a device is another person");
	must(persons_link(p, d2, u2, &early));
	must(persons_settle(p));
	OK(tap, persons_count(p) == 2 && is_name(p, 'a', "D2", "U2"),
	   "an earlier link that comes late ties anew");
	persons_close(p);
	remove_dir(&dir);
}

static void test_aliases(struct tap *tap)
{
	struct dir dir = make_dir();
	struct persons *p = open_in(&dir, &none);
	struct person_when at = when_at(1, 1, 1);
	uint32_t u = actor_of(p, 'u', "new", 1);

	actor_of(p, 'a', "old", 1);
	must(persons_alias(p, SLICE("old"), u, false, &at));
	must(persons_settle(p));
	OK(tap, is_name(p, 'a', "old", "new") && persons_count(p) == 1, "alias of an anonymous id");
	actor_of(p, 'u', "old", 5);
	must(persons_settle(p));
	OK(tap, is_name(p, 'a', "old", "old") && persons_count(p) == 3,
	   "... is none any more where it is seen as a user's (%" PRIu64 ")", persons_count(p));
	must(persons_alias(p, SLICE("never"), u, false, &at));
	must(persons_settle(p));
	OK(tap, persons_count(p) == 3, "a previous id without events is nobody more");
	must(persons_alias(p, SLICE("old"), u, true, &at));
	must(persons_settle(p));
	OK(tap, persons_count(p) == 1 && is_name(p, 'u', "old", "new"),
	   "with merge two users are one");
	persons_close(p);

	/* I03: A..D, merges BC, CD, AC in any order */
	for (int order = 0; order < 6; order++) {
		static const char *const pairs[3][2] = { { "B", "C" }, { "C", "D" }, { "A", "C" } };
		static const int orders[6][3] = {
			{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 }
		};

		p = open_in(&dir, &none);
		for (const char *id = "ABCD"; *id; id++)
			actor_of(p, 'u', (char[]){ *id, 0 }, 1);
		for (int i = 0; i < 3; i++) {
			const char *const *pair = pairs[orders[order][i]];

			must(persons_alias(p, slice_from(pair[0]), actor_of(p, 'u', pair[1], 2),
					   true, &at));
			must(persons_settle(p));
		}
		OK(tap, persons_count(p) == 1 && is_name(p, 'u', "D", "A"), "I03: order %d", order);
		persons_close(p);
	}
	remove_dir(&dir);
}

static void say(struct persons *p, uint32_t actor, enum person_op op, const char *key,
		struct prop value, int64_t time)
{
	struct person_when when = when_at(time, time, (unsigned)time);

	must(persons_profile(p, actor, op, slice_from(key), &value, &when));
}

#define NUM(n)  ((struct prop){ .kind = PROP_NUMBER, .number = (n) })
#define TEXT(t) ((struct prop){ .kind = PROP_TEXT, .text = SLICE(t) })
#define TRAIT(kind, id, key, wanted, words) do { \
		const char *trait_got = trait_text(p, kind, id, key, &out); \
		OK(tap, strcmp(trait_got, wanted) == 0, "%s: %s", words, trait_got); \
	} while (0)

static void test_profiles(struct tap *tap)
{
	struct dir dir = make_dir();
	struct persons *p = open_in(&dir, &none);
	uint32_t a = actor_of(p, 'a', "D", 1), u = actor_of(p, 'u', "U", 1);
	struct buf out = { 0 };
	struct person_when when = when_at(50, 50, 50);

	say(p, u, PERSON_SET, "plan", TEXT("pro"), 20);
	say(p, u, PERSON_SET, "plan", TEXT("free"), 10);
	say(p, u, PERSON_SET_ONCE, "first", NUM(2), 20);
	say(p, u, PERSON_SET_ONCE, "first", NUM(1), 10);
	for (int i = 40; i > 0; i--)
		say(p, u, PERSON_ADD, "n", NUM(i), i);
	say(p, u, PERSON_APPEND, "l", TEXT("b"), 11);
	say(p, u, PERSON_APPEND, "l", TEXT("a"), 10);
	say(p, u, PERSON_UNION, "l", TEXT("a"), 12);
	say(p, u, PERSON_SET, "gone", NUM(1), 10);
	say(p, u, PERSON_UNSET, "gone", NUM(1), 11);
	say(p, a, PERSON_SET, "plan", TEXT("anonymous"), 99);
	say(p, a, PERSON_SET, "city", TEXT("Oslo"), 9);
	say(p, a, PERSON_SET_ONCE, "first", NUM(0), 5);
	say(p, a, PERSON_ADD, "n", NUM(1000), 9);
	say(p, a, PERSON_APPEND, "l", TEXT("z"), 9);
	must(persons_settle(p));
	TRAIT('u', "U", "plan", "\"pro\"", "the later $set wins");
	TRAIT('u', "U", "first", "1", "the earlier $set_once wins");
	TRAIT('u', "U", "n", "820", "sums, over more operations than are kept");
	TRAIT('u', "U", "l", "[\"a\",\"b\"]", "appended in the order of events");
	TRAIT('u', "U", "gone", "null", "unset");
	must(persons_link(p, a, u, &when));
	must(persons_settle(p));
	TRAIT('a', "D", "plan", "\"pro\"", "merged: the identified one's");
	TRAIT('a', "D", "city", "\"Oslo\"", "merged: what only the other has");
	TRAIT('a', "D", "first", "0", "merged: the older $set_once");
	TRAIT('a', "D", "n", "1820", "merged: sums add up");
	TRAIT('a', "D", "l", "[\"a\",\"b\",\"z\"]", "merged: lists are one");
	say(p, u, PERSON_REMOVE, "l", TEXT("a"), 60);
	must(persons_settle(p));
	TRAIT('u', "U", "l", "[\"b\",\"z\"]", "removed");
	must(persons_delete(p, a, 1000, 1000));
	must(persons_settle(p));
	TRAIT('u', "U", "plan", "null", "deleted by the other id");
	OK(tap, persons_count(p) == 0, "and nobody is left");
	OK(tap, persons_is_deleted(p, u, 1000) && !persons_is_deleted(p, u, 1001), "until then");
	actor_of(p, 'u', "U", 1001);
	must(persons_settle(p));
	OK(tap, persons_count(p) == 1, "who comes again is new");
	buf_close(&out);
	persons_close(p);
	remove_dir(&dir);
}

/* Random facts against a model */

enum { IDS = 7, FACTS = 60, KEYS = 3 };

struct fact {
	enum { FACT_SEEN, FACT_LINK, FACT_ALIAS, FACT_MERGE, FACT_PROFILE, FACT_DELETE } type;
	int a, u;                       /* numbers of ids: kind 'a' a, kind 'u' u */
	struct person_when when;
	enum person_op op;
	int key;
	double value;
	char kind;                      /* whose profile, or who is deleted */
};

static uint32_t random_below(uint64_t *seed, uint32_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % n;
}

/* Ids "0x".. of both kinds: an alias of text i is about 'a' i and 'u' i. */
static void id_text(int number, char text[8])
{
	snprintf(text, 8, "%c", 'A' + number);
}

/* Of a tie that is said very often the first and the last time are kept: exact for a delete in
 * between, but not for two of them, nor for another user's tie that comes late in between. */
static bool is_said_twice(const struct fact *facts, int i)
{
	int count = 0;

	for (int j = 0; j < i; j++)
		count += facts[j].type == FACT_LINK && facts[j].a == facts[i].a &&
			 facts[j].u == facts[i].u;
	return count >= 2;
}

static void make_facts(struct fact *facts, uint64_t *seed, bool with_deletes)
{
	for (int i = 0; i < FACTS; i++) {
		struct fact *f = &facts[i];
		uint32_t r = random_below(seed, 100);

		*f = (struct fact){ .key = 0 };
		f->a = (int)random_below(seed, IDS);
		f->u = (int)random_below(seed, IDS);
		f->when = when_at(1 + random_below(seed, 40), random_below(seed, 9000),
				  (unsigned)i + 1);
		f->kind = random_below(seed, 2) ? 'u' : 'a';
		/* That an id is a user's own may show after a delete that an alias led to. */
		f->type = r < 25 ? FACT_SEEN : r < 50 ? FACT_LINK
			  : r < 60 ? (with_deletes ? FACT_LINK : FACT_ALIAS)
			  : r < 63 ? FACT_MERGE : FACT_PROFILE;
		if (with_deletes && r >= 95)
			f->type = FACT_DELETE;
		if (with_deletes && f->type == FACT_LINK && is_said_twice(facts, i))
			f->type = FACT_SEEN;
		f->key = (int)random_below(seed, KEYS);
		/* key 0: set, unset; 1: set_once, set; 2: add */
		f->op = f->key == 0   ? random_below(seed, 4) ? PERSON_SET : PERSON_UNSET
			: f->key == 1 ? random_below(seed, 3) && !with_deletes ? PERSON_SET_ONCE
									       : PERSON_SET
				      : PERSON_ADD;
		f->value = 1 + random_below(seed, 1000);
	}
}

static void say_fact(struct persons *p, const struct fact *f)
{
	static const char *const keys[KEYS] = { "set", "once", "add" };
	char a[8], u[8];
	int64_t r = f->when.time_us;
	uint32_t actor = 0;

	id_text(f->a, a);
	id_text(f->u, u);
	switch (f->type) {
	case FACT_SEEN:
		actor_of(p, f->kind, f->kind == 'a' ? a : u, r);
		break;
	case FACT_LINK:
		actor = actor_of(p, 'a', a, r);
		must(persons_link(p, actor, actor_of(p, 'u', u, r), &f->when));
		break;
	case FACT_ALIAS:
	case FACT_MERGE:
		must(persons_alias(p, slice_from(a), actor_of(p, 'u', u, r),
				   f->type == FACT_MERGE, &f->when));
		break;
	case FACT_PROFILE:
		actor = actor_of(p, f->kind, f->kind == 'a' ? a : u, r);
		must(persons_profile(p, actor, f->op, slice_from(keys[f->key]), &NUM(f->value),
				     &f->when));
		break;
	case FACT_DELETE:
		must(persons_delete(p, actor_of(p, f->kind, f->kind == 'a' ? a : u, 0), r,
				    INT64_MAX));
	}
}

/* The model: actors 0..IDS-1 are 'a', IDS.. are 'u'. */
struct model {
	int root[2 * IDS];
	int64_t mark[2 * IDS];
	bool seen[2 * IDS];
	bool known[2 * IDS];
};

static int owner(const struct fact *f)
{
	return f->kind == 'a' ? f->a : IDS + f->u;
}

static int root_of(const struct model *m, int i)
{
	while (m->root[i] != i)
		i = m->root[i];
	return i;
}

static void model_tie(struct model *m, const struct fact *facts, int64_t until)
{
	for (int i = 0; i < 2 * IDS; i++)
		m->root[i] = i;
	for (int a = 0; a < 2 * IDS; a++) {
		const struct fact *first = NULL;

		for (int i = 0; i < FACTS; i++) {
			const struct fact *f = &facts[i];
			bool is_merge = f->type == FACT_MERGE && (f->a == a || f->a == a - IDS);
			bool is_link = a < IDS && f->a == a &&
				       (f->type == FACT_LINK ||
					(f->type == FACT_ALIAS && f->a != f->u &&
					 !m->seen[IDS + a]));

			if (f->when.time_us <= m->mark[a] || f->when.time_us > until ||
			    f->when.time_us <= m->mark[IDS + f->u])
				continue;
			if (is_merge)
				m->root[root_of(m, a)] = root_of(m, IDS + f->u);
			else if (is_link && (!first || f->when.time_us < first->when.time_us ||
				 (f->when.time_us == first->when.time_us &&
				  memcmp(&f->when.message, &first->when.message, 16) < 0)))
				first = f;
		}
		if (first)
			m->root[root_of(m, a)] = root_of(m, IDS + first->u);
	}
}

static void model_make(struct model *m, const struct fact *facts)
{
	memset(m, 0, sizeof(*m));
	for (int i = 0; i < FACTS; i++) {
		const struct fact *f = &facts[i];

		if (f->type == FACT_SEEN || f->type == FACT_PROFILE)
			m->seen[owner(f)] = true;
		if (f->type == FACT_LINK)
			m->seen[f->a] = true;
		if (f->type == FACT_LINK || f->type == FACT_ALIAS || f->type == FACT_MERGE)
			m->seen[IDS + f->u] = true;
	}
	for (int64_t until = 1; until <= 40; until++) {
		bool hit[2 * IDS] = { 0 };

		model_tie(m, facts, until);
		for (int i = 0; i < FACTS; i++)
			if (facts[i].type == FACT_DELETE && facts[i].when.time_us == until)
				hit[root_of(m, owner(&facts[i]))] = true;
		for (int i = 0; i < 2 * IDS; i++)
			if (hit[root_of(m, i)])
				m->mark[i] = until;
	}
	model_tie(m, facts, INT64_MAX);
	for (int i = 0; i < FACTS; i++) {
		const struct fact *f = &facts[i];
		int64_t r = f->when.time_us;

		if (f->type == FACT_SEEN || f->type == FACT_PROFILE)
			m->known[owner(f)] |= r > m->mark[owner(f)];
		if (f->type == FACT_LINK)
			m->known[f->a] |= r > m->mark[f->a];
		if (f->type == FACT_LINK || f->type == FACT_ALIAS || f->type == FACT_MERGE)
			m->known[IDS + f->u] |= r > m->mark[IDS + f->u];
	}
}

static int compare_facts(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;

	if (x->when.time_us != y->when.time_us)
		return x->when.time_us < y->when.time_us ? -1 : 1;
	return memcmp(&x->when.message, &y->when.message, 16);
}

/* An actor's key by applying all that was said to it in the order of events. 0: not set. */
static double model_value(const struct model *m, const struct fact *sorted, int actor, int key)
{
	double value = 0;

	for (int i = 0; i < FACTS; i++) {
		const struct fact *f = &sorted[i];

		if (f->type != FACT_PROFILE || owner(f) != actor || f->key != key ||
		    f->when.time_us <= m->mark[actor])
			continue;
		if (f->op == PERSON_ADD)
			value += f->value;
		else if (f->op == PERSON_UNSET)
			value = 0;
		else if (f->op == PERSON_SET || value == 0)
			value = f->value;
	}
	return value;
}

/* "" where all is as the model says. */
static void compare(const struct persons *p, const struct fact *facts, char words[128])
{
	static struct fact sorted[FACTS];
	struct buf scratch = { 0 };
	struct model m;
	uint32_t actors[2 * IDS];
	unsigned persons = 0;
	char id[8];

	words[0] = '\0';
	model_make(&m, facts);
	memcpy(sorted, facts, sizeof(sorted));
	qsort(sorted, FACTS, sizeof(sorted[0]), compare_facts);
	for (int i = 0; i < 2 * IDS; i++) {
		bool is_known = false;

		id_text(i % IDS, id);
		actors[i] = persons_find(p, i < IDS ? 'a' : 'u', slice_from(id));
		for (int j = 0; j < 2 * IDS; j++)
			is_known |= root_of(&m, j) == i && m.known[j];
		persons += is_known;
	}
	if (persons_count(p) != persons)
		snprintf(words, 128, "%" PRIu64 " persons, not %u", persons_count(p), persons);
	for (int i = 0; i < 2 * IDS && !words[0]; i++) {
		bool alone = true;

		for (int j = 0; j < 2 * IDS; j++) {
			bool same = root_of(&m, i) == root_of(&m, j);

			alone &= !same || i == j;
			if (actors[i] && actors[j] && same != (persons_leaders(p)[actors[i]] ==
							       persons_leaders(p)[actors[j]]))
				snprintf(words, 128, "%d and %d: same %d", i, j, same);
		}
		if (actors[i] && persons_is_deleted(p, actors[i], m.mark[i] + 1))
			snprintf(words, 128, "%d is deleted longer", i);
		if (actors[i] && m.mark[i] && m.seen[i] &&
		    !persons_is_deleted(p, actors[i], m.mark[i]))
			snprintf(words, 128, "%d is not deleted", i);
		for (int k = 0; k < KEYS && alone && actors[i]; k++) {
			static const char *const keys[KEYS] = { "set", "once", "add" };
			struct prop got = persons_trait(p, actors[i], slice_from(keys[k]),
							&scratch);
			double want = model_value(&m, sorted, i, k);

			if ((got.kind == PROP_NUMBER ? got.number : 0) != want)
				snprintf(words, 128, "%d %s: %g, not %g", i, keys[k], got.number,
					 want);
		}
	}
	buf_close(&scratch);
}

static int put_trait(void *ctx, struct slice name, const struct prop *value)
{
	struct buf *out = ctx;

	buf_append_slice(out, name);
	buf_append_char(out, '=');
	prop_write_json(value, out);
	buf_append_char(out, ' ');
	return 0;
}

/* All persons by their names, with ids and profiles: the same for the same facts. */
static void profile_text(const struct persons *p, struct buf *out)
{
	struct buf scratch = { 0 };
	char id[8], name[64];

	buf_reset(out);
	for (int i = 0; i < 2 * IDS; i++) {
		uint32_t actor;

		id_text(i % IDS, id);
		actor = persons_find(p, i < IDS ? 'a' : 'u', slice_from(id));
		if (!actor)
			continue;
		actor = persons_leaders(p)[actor];
		buf_printf(out, "%d:%s ", i, name_of(p, i < IDS ? 'a' : 'u', id, name));
		must(persons_traits(p, actor, &scratch, put_trait, out));
	}
	buf_append_char(out, '\0');
	buf_close(&scratch);
}

static bool is_delete(const struct fact *fact)
{
	return fact->type == FACT_DELETE;
}

/* Must the second not come before the first? A delete comes when the links and deletes until then
 * are known; what else is said until then may come when it likes. */
static bool is_bound(const struct fact *first, const struct fact *second)
{
	bool says_who = first->type == FACT_LINK || first->type == FACT_ALIAS ||
			first->type == FACT_MERGE || is_delete(first);

	return is_delete(second) && says_who && first->when.time_us <= second->when.time_us &&
	       (!is_delete(first) || first->when.time_us < second->when.time_us);
}

/* Any order but for that. Flushes and new starts in between; with deletes, flushes only: where a
 * run of links has come to is not in the file. */
static struct persons *play(const struct fact *facts, uint64_t *seed, const struct dir *dir,
			    bool with_deletes)
{
	struct person_mark mark = none;
	struct persons *p = open_in(dir, &mark), *fork;
	struct err err = { "" };
	int order[FACTS];

	persons_set_through(p, INT64_MAX);
	for (int i = 0; i < FACTS; i++)
		order[i] = i;
	for (int i = FACTS - 1; i > 0; i--) {
		int j = (int)random_below(seed, (uint32_t)i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	/* Whoever came too early waits behind the last one that it is bound to. */
	for (int i = 0; i < FACTS; i++)
		for (int j = FACTS - 1; j > i; j--)
			if (is_bound(&facts[order[j]], &facts[order[i]])) {
				int t = order[i];

				memmove(&order[i], &order[i + 1], (size_t)(j - i) * sizeof(int));
				order[j] = t;
				i--;
				break;
			}
	for (int i = 0; i < FACTS; i++) {
		say_fact(p, &facts[order[i]]);
		if (random_below(seed, 4) == 0)
			must(persons_settle(p));
		if (random_below(seed, 20) == 0) {
			must(persons_settle(p));
			must(persons_fork(p, &fork));
			persons_close(p);
			p = fork;
		}
		if (random_below(seed, 20) == 0 && with_deletes) {
			must(persons_flush(p, &mark, &err));
			persons_committed(p);
		} else if (random_below(seed, 20) == 0 && !with_deletes) {
			must(persons_flush(p, &mark, &err));
			persons_committed(p);
			persons_close(p);
			p = open_in(dir, &mark);
		}
	}
	must(persons_settle(p));
	return p;
}

static void test_random(struct tap *tap)
{
	static struct fact facts[FACTS];
	struct dir dir = make_dir();
	struct buf first = { 0 }, other = { 0 };
	int bad_model = 0, bad_order = 0;

	for (uint64_t round = 0; round < 600; round++) {
		uint64_t seed = 20261124 + round;
		char words[128];

		make_facts(facts, &seed, round % 2);
		for (int order = 0; order < 6; order++) {
			struct persons *p = play(facts, &seed, &dir, round % 2);

			compare(p, facts, words);
			if (words[0] && bad_model++ < 5)
				printf("# seed %" PRIu64 " order %d: %s\n", 20261124 + round, order,
				       words);
			profile_text(p, order ? &other : &first);
			if (order && strcmp(first.ptr, other.ptr) != 0 && bad_order++ < 3)
				printf("# seed %" PRIu64 " order %d:\n# %s\n# %s\n",
				       20261124 + round, order, first.ptr, other.ptr);
			persons_close(p);
		}
	}
	OK(tap, bad_model == 0,
	   "600 sets of facts (seeds from 20261124) as the model says, 6 orders");
	OK(tap, bad_order == 0, "and the same persons and profiles in each order");
	buf_close(&first);
	buf_close(&other);
	remove_dir(&dir);
}

/* Every byte of a file matters: a change is found, or hurts nobody. */
static void test_damage(struct tap *tap)
{
	static struct fact facts[FACTS];
	struct dir dir = make_dir();
	struct person_mark mark = none, cut;
	struct persons *p = open_in(&dir, &none);
	struct err err = { "" };
	char path[300], *bytes;
	uint64_t seed = 7;
	int found = 0, fd;
	ssize_t len;

	make_facts(facts, &seed, true);
	for (int i = 0; i < FACTS; i++)
		say_fact(p, &facts[i]);
	must(persons_flush(p, &mark, &err));
	persons_close(p);
	snprintf(path, sizeof(path), "%s/%s", dir.path, mark.name);
	bytes = malloc(mark.bytes);
	fd = open(path, O_RDWR);
	len = read(fd, bytes, mark.bytes);
	for (ssize_t i = 0; i < len; i++) {
		char c = (char)(bytes[i] ^ 0x10);

		if (pwrite(fd, &c, 1, i) != 1)
			abort();
		err.text[0] = '\0';
		found += persons_verify(dir.path, &mark, &err) == -EBADMSG && err.text[0];
		if (pwrite(fd, &bytes[i], 1, i) != 1)
			abort();
	}
	OK(tap, found == len, "each of %zd bytes changed: found %d times", len, found);
	cut = mark;
	cut.bytes--;
	OK(tap, persons_verify(dir.path, &cut, &err) == -EBADMSG, "a block cut short");
	cut.bytes = mark.bytes + 1;
	OK(tap, persons_verify(dir.path, &cut, &err) == -EBADMSG, "a file cut short");
	if (pwrite(fd, "junk", 4, len) != 4)
		abort();
	p = open_in(&dir, &mark);
	OK(tap, lseek(fd, 0, SEEK_END) == len, "what was not committed is cut");
	persons_close(p);
	close(fd);
	free(bytes);
	remove_dir(&dir);
}

/* One user id with very many devices, told in the worst order: no square. */
static void test_crowd(struct tap *tap)
{
	struct dir dir = make_dir();
	struct persons *p = open_in(&dir, &none);
	clock_t begun = clock();
	enum { CROWD = 100000 };
	uint32_t actor = 0;
	char id[32];

	for (int i = 0; i < CROWD; i++) {
		snprintf(id, sizeof(id), "device-%d", i);
		actor = actor_of(p, 'a', id, 1);
	}
	for (int i = CROWD - 1; i >= 0; i--) {
		struct person_when when = when_at(i + 1, i + 1, (unsigned)i);

		snprintf(id, sizeof(id), "device-%d", i);
		must(persons_link(p, persons_find(p, 'a', slice_from(id)),
				  actor_of(p, 'u', "test", 1), &when));
		if (i % 1000 == 0)
			must(persons_settle(p));
	}
	OK(tap, actor == CROWD && persons_count(p) == 1 && is_name(p, 'a', "device-5", "test"),
	   "%d devices of one user in %.1f CPU-seconds", CROWD,
	   (double)(clock() - begun) / CLOCKS_PER_SEC);
	persons_close(p);
	remove_dir(&dir);
}

int main(void)
{
	struct tap tap = { 0 };

	test_junk(&tap);
	test_links(&tap);
	test_aliases(&tap);
	test_profiles(&tap);
	test_random(&tap);
	test_damage(&tap);
	test_crowd(&tap);
	return tap_end(&tap);
}
