// SPDX-License-Identifier: Apache-2.0
#include "aggregate/saved.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "aggregate/emit.h"
#include "aggregate/person_answer.h"
#include "aggregate/saved_item.h"
#include "aggregate/saved_out.h"
#include "lib/when.h"
#include "lib/yaml_json.h"

#define LOOK_MS      500                /* at the files */
#define ROUND_MS     200                /* between two rounds, while there is input */
#define LAG_MAX      50000              /* records behind: not before these are read */
#define RELATIVE_US  INT64_C(60000000)  /* dates of profiles are compared so often */
#define CHANGED_MAX  100000             /* persons: more are everybody */
#define NAMES_MAX    UINT32_C(100000000)

struct saved {
	struct saved_conf conf;
	struct saved_item *items[SAVED_MAX];
	int count;
	struct name_table names;        /* of persons: number + 1 is a name */
	struct saved_out members, funnels;
	int64_t resume[BUS_PARTITIONS_MAX];
	bool is_live;                   /* the input was read as far as was said before */
	uint64_t files_hash;            /* of names, sizes, times */
	int64_t looked_ms, round_ms;
	uint32_t *changed;              /* owned; leaders since the last round */
	size_t changed_count, changed_room;
	bool changed_all;               /* too many */
	struct buf as_of, profile, ids;
	struct saved_counts counts;
	pthread_rwlock_t lock;          /* of all that saved_is_member looks at */
};

/* Items */

static struct saved_item *find_item(const struct saved *saved, struct slice name)
{
	for (int i = 0; i < saved->count; i++)
		if (slice_is(name, saved->items[i]->name))
			return saved->items[i];
	return NULL;
}

static struct saved_item *add_item(struct saved *saved, struct slice name)
{
	struct saved_item *item = find_item(saved, name);

	if (item || saved->count == SAVED_MAX)
		return item;
	item = calloc(1, sizeof(*item));
	if (item)
		item->name = strndup(name.ptr, name.len);
	if (item && item->name) {
		saved->items[saved->count++] = item;
		return item;
	}
	free(item);
	return NULL;
}

static int64_t now_of(const struct saved *saved)
{
	return saved->conf.now_us ? saved->conf.now_us(saved->conf.ctx) : when_now_us();
}

static bool has(void *ctx, struct slice name)
{
	const struct saved_item *item = find_item(ctx, name);

	return item && item->is_there && item->kind == SAVED_PEOPLE;
}

static bool is_member(void *ctx, struct slice name, uint32_t leader)
{
	const struct saved_item *item = find_item(ctx, name);

	return item && item->is_there && leader < item->room && item->called[leader];
}

bool saved_has(void *ctx, struct slice name)
{
	struct saved *saved = ctx;
	bool answer;

	pthread_rwlock_rdlock(&saved->lock);
	answer = has(saved, name);
	pthread_rwlock_unlock(&saved->lock);
	return answer;
}

bool saved_is_member(void *ctx, struct slice name, uint32_t leader)
{
	struct saved *saved = ctx;
	bool answer;

	pthread_rwlock_rdlock(&saved->lock);
	answer = is_member(saved, name, leader);
	pthread_rwlock_unlock(&saved->lock);
	return answer;
}

static struct predicate_world world_of(struct saved *saved)
{
	return (struct predicate_world){ .now_us = now_of(saved),
					 .week_start = saved->conf.week_start,
					 .in_cohort = is_member,
					 .has_cohort = has, .ctx = saved };
}

/* Files */

static void complain(struct saved *saved, const char *path, const char *words)
{
	saved->counts.failed++;
	log_words(saved->conf.log, LOG_LEVEL_ERROR, "saved", "%s: %s", path, words);
}

/* kind: people, query: .. -> {"query":..}; kind: funnel -> its question. title, description and
 * others of the report's own are not ours. */
static int take_text(const struct yaml *root, enum saved_kind *kind, struct buf *out)
{
	static const char *const not_ours[] = { "kind", "title", "description", "name" };
	const char *word = yaml_get_text(root, "kind");
	bool any = false;

	if (!word || (strcmp(word, "people") != 0 && strcmp(word, "funnel") != 0))
		return -ENOENT;
	*kind = strcmp(word, "people") == 0 ? SAVED_PEOPLE : SAVED_FUNNEL;
	if (yaml_get(root, "question"))
		root = yaml_get(root, "question");
	if (root->kind != YAML_KIND_MAP)
		return -EBADMSG;
	buf_append_char(out, '{');
	for (const struct yaml *node = root->first; node; node = node->next) {
		bool skip = *kind == SAVED_PEOPLE && strcmp(node->key, "query") != 0;

		for (size_t i = 0; i < 4; i++)
			skip |= strcmp(node->key, not_ours[i]) == 0;
		if (skip)
			continue;
		if (any)
			buf_append_char(out, ',');
		any = true;
		json_write_text(slice_from(node->key), out);
		buf_append_char(out, ':');
		yaml_write_json(node, out);
	}
	buf_append_char(out, '}');
	buf_append_char(out, '\0');
	return out->failed ? -ENOMEM : 0;
}

/* A query that can be asked takes the place of the one before. */
static int take_query(struct saved *saved, struct saved_item *item, enum saved_kind kind,
		      const char *text, const char *path)
{
	struct predicate_world world = world_of(saved);
	struct question_error error = { .status = 0 };
	struct saved_item probe = { .kind = kind, .text = strdup(text) };
	struct saved_look *look;
	char words[512];

	if (!probe.text)
		return -ENOMEM;
	if (saved_look_open(&look, &probe, NULL, &world, &error) < 0) {
		snprintf(words, sizeof(words), "%s at %s", error.message, error.at);
		complain(saved, path, words);
		saved_item_close(&probe);
		return 0;
	}
	saved_look_close(look);
	for (int k = 0; k < FUNNEL_STEPS_MAX; k++)
		free(probe.labels[k]);
	free(item->text);
	item->text = probe.text;
	item->kind = kind;
	item->steps = probe.steps;
	item->is_relative = probe.is_relative;
	item->has_cohort = probe.has_cohort;
	item->is_there = item->needs_all = true;
	snprintf(item->definition, sizeof(item->definition), "%016" PRIx64,
		 (uint64_t)XXH3_64bits(text, strlen(text)));
	return 0;
}

static int read_file(struct saved *saved, const char *path, struct slice name, bool *found)
{
	struct buf text = { 0 };
	struct err err = { "" };
	struct yaml_file *file = NULL;
	struct saved_item *item;
	const struct yaml *root;
	enum saved_kind kind;
	int rc = yaml_open(&file, path, &root, &err);

	item = find_item(saved, name);
	*found = item && item->is_there;        /* what cannot be read stays as it was */
	if (rc < 0) {
		complain(saved, path, err.text);
		return rc == -ENOMEM ? rc : 0;
	}
	rc = take_text(root, &kind, &text);
	yaml_close(file);
	if (rc == -ENOENT) {
		*found = false;
	} else if (rc == 0) {
		item = add_item(saved, name);
		if (!item)
			complain(saved, path, "there are too many saved queries");
		else if (!item->is_there || !item->text || strcmp(item->text, text.ptr) != 0 ||
			 item->kind != kind)
			rc = take_query(saved, item, kind, text.ptr, path);
		*found = item && item->is_there;
	}
	buf_close(&text);
	return rc == -ENOMEM ? rc : 0;
}

static uint64_t hash_files(const struct saved *saved)
{
	struct dirent *entry;
	DIR *dir = opendir(saved->conf.dir);
	char path[4096];
	uint64_t hash = 1;
	struct stat st;

	while (dir && (entry = readdir(dir))) {
		uint64_t mixed[4] = { 0 };

		if (snprintf(path, sizeof(path), "%s/%s", saved->conf.dir, entry->d_name) >=
			    (int)sizeof(path) || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		mixed[0] = (uint64_t)st.st_mtim.tv_sec;
		mixed[1] = (uint64_t)st.st_mtim.tv_nsec;
		mixed[2] = (uint64_t)st.st_size;
		mixed[3] = st.st_ino;
		/* A sum, as the order of a directory means nothing. */
		hash += XXH3_64bits_withSeed(mixed, sizeof(mixed),
					     XXH3_64bits(entry->d_name, strlen(entry->d_name)));
	}
	if (dir)
		closedir(dir);
	return hash;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of files in order, so that one that asks for another may stand behind it. */
static int list_files(const char *path, char **names, int max)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int count = 0;

	while (dir && count < max && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len > 5 && len < 200 && entry->d_name[0] != '.' &&
		    strcmp(entry->d_name + len - 5, ".yaml") == 0)
			names[count++] = strndup(entry->d_name, len - 5);
	}
	if (dir)
		closedir(dir);
	qsort(names, (size_t)count, sizeof(names[0]), compare_texts);
	return count;
}

static int read_files(struct saved *saved)
{
	enum { FILES_MAX = 1000 };
	char *names[FILES_MAX], path[4096];
	bool there[SAVED_MAX] = { false };
	int count = list_files(saved->conf.dir, names, FILES_MAX), rc = 0;

	/* Twice, so that one may ask for another that stands behind it. */
	for (int i = 0; i < 2 * count && rc == 0; i++) {
		const char *name = names[i % count];
		bool found = false;

		if (!name || snprintf(path, sizeof(path), "%s/%s.yaml", saved->conf.dir, name) >=
				     (int)sizeof(path))
			continue;
		rc = read_file(saved, path, slice_from(name), &found);
		for (int k = 0; k < saved->count; k++)
			there[k] |= found && strcmp(saved->items[k]->name, name) == 0;
	}
	for (int k = 0; k < saved->count; k++) {
		struct saved_item *item = saved->items[k];

		if (item->is_there && !there[k]) {
			item->is_there = false;
			item->needs_all = true;
		}
	}
	for (int i = 0; i < count; i++)
		free(names[i]);
	return rc;
}

static int look_at_files(struct saved *saved)
{
	int64_t now_ms = when_monotonic_ms();
	uint64_t hash;
	int rc;

	if (!saved->conf.dir || !saved->conf.dir[0] ||
	    (saved->looked_ms && now_ms - saved->looked_ms < LOOK_MS))
		return 0;
	saved->looked_ms = now_ms;
	hash = hash_files(saved);
	if (hash == saved->files_hash)
		return 0;
	pthread_rwlock_wrlock(&saved->lock);
	rc = read_files(saved);
	pthread_rwlock_unlock(&saved->lock);
	if (rc == 0)
		saved->files_hash = hash;
	return rc;
}

/* What was said before */

/* An unreadable one could only make us begin too early: then some is said that changes again. */
static void raise_resume(struct saved *saved, struct slice as_of)
{
	int rc = emit_parse_as_of(as_of, saved->resume);

	if (rc < 0)
		log_words(saved->conf.log, LOG_LEVEL_WARN, "saved",
			  "a record's as_of is unreadable");
}

static int take_member(void *ctx, const struct value *fields, struct err *err)
{
	struct saved *saved = ctx;
	struct saved_item *item = add_item(saved, value_slice(&fields[MEMBERS_QUERY]));
	struct slice person = value_slice(&fields[MEMBERS_PERSON]);
	struct slice definition = value_slice(&fields[MEMBERS_DEFINITION]);
	struct saved_name *name;
	uint32_t number;

	if (!item)
		return 0;
	raise_resume(saved, value_slice(&fields[MEMBERS_AS_OF]));
	if (definition.len < sizeof(item->said_definition))
		memcpy(item->said_definition, definition.ptr, definition.len);
	if (person.len == 0)
		return 0;
	if (name_table_add(&saved->names, person, NAMES_MAX, &number) < 0 ||
	    saved_item_name(item, number + 1, &name) < 0)
		return err_set(err, -ENOMEM, "members: no memory");
	if (fields[MEMBERS_VERSION].num > name->version) {
		name->version = fields[MEMBERS_VERSION].num;
		name->was_said = slice_is(value_slice(&fields[MEMBERS_CHANGE]), "entered");
	}
	return 0;
}

static int take_funnel(void *ctx, const struct value *fields, struct err *err)
{
	struct saved *saved = ctx;
	struct saved_item *item = add_item(saved, value_slice(&fields[FUNNELS_FUNNEL]));
	struct slice definition = value_slice(&fields[FUNNELS_DEFINITION]);
	struct slice counts = value_slice(&fields[FUNNELS_COUNTS]);

	(void)err;
	if (!item)
		return 0;
	raise_resume(saved, value_slice(&fields[FUNNELS_AS_OF]));
	if (definition.len < sizeof(item->said_definition))
		memcpy(item->said_definition, definition.ptr, definition.len);
	/* "[5,3,1]" */
	for (int k = 1; k <= FUNNEL_STEPS_MAX && counts.len > 1; k++) {
		int64_t n = 0;

		counts = slice_skip(counts, 1);
		for (; counts.len && counts.ptr[0] >= '0' && counts.ptr[0] <= '9' &&
		       n < INT64_MAX / 20; counts = slice_skip(counts, 1))
			n = n * 10 + (counts.ptr[0] - '0');
		item->said_levels[k] = n;
	}
	return 0;
}

int saved_open(struct saved **savedp, const struct saved_conf *conf, struct err *err)
{
	struct saved *saved = calloc(1, sizeof(*saved));
	int rc;

	*savedp = NULL;
	if (!saved)
		return err_set(err, -ENOMEM, "no memory");
	saved->conf = *conf;
	pthread_rwlock_init(&saved->lock, NULL);
	rc = saved_out_open(&saved->members, conf->members, "members", MEMBERS_COMPUTED_AT,
			    conf->out, take_member, saved, err);
	if (rc == 0)
		rc = saved_out_open(&saved->funnels, conf->funnels, "funnels",
				    FUNNELS_COMPUTED_AT, conf->out, take_funnel, saved, err);
	if (rc < 0) {
		saved_close(saved);
		return rc;
	}
	*savedp = saved;
	return 0;
}

void saved_close(struct saved *saved)
{
	if (!saved)
		return;
	for (int i = 0; i < saved->count; i++) {
		saved_item_close(saved->items[i]);
		free(saved->items[i]);
	}
	saved_out_close(&saved->members);
	saved_out_close(&saved->funnels);
	name_table_close(&saved->names);
	free(saved->changed);
	buf_close(&saved->as_of);
	buf_close(&saved->profile);
	buf_close(&saved->ids);
	pthread_rwlock_destroy(&saved->lock);
	free(saved);
}

/* Saying */

static const char *const causes[] = { "event", "time", "merged", "deleted", "defined" };

static int say_member(struct saved *saved, struct saved_item *item, const struct snapshot *snapshot,
		      uint32_t number, struct saved_name *name, struct err *err)
{
	struct value fields[MEMBERS_COUNT] = { 0 };
	bool is_in = name->claims > 0;
	struct slice person = number ? name_table_text(&saved->names, number - 1)
				     : (struct slice){ "", 0 };
	int64_t now_us = now_of(saved);
	int rc;

	fields[MEMBERS_QUERY] = value_text(slice_from(item->name));
	fields[MEMBERS_PERSON] = value_text(person);
	fields[MEMBERS_CHANGE] = value_text(slice_from(number == 0 ? "defined"
						       : is_in	   ? "entered"
								   : "exited"));
	fields[MEMBERS_VERSION] = value_num(name->version);
	fields[MEMBERS_CAUSE] = value_text(slice_from(causes[name->cause]));
	fields[MEMBERS_AT] = value_num(name->at_us ? name->at_us : now_us);
	fields[MEMBERS_DEFINITION] = value_text(slice_from(item->definition));
	fields[MEMBERS_TOTAL] = value_num((int64_t)item->total);
	fields[MEMBERS_COMPUTED_AT] = value_num(now_us);
	fields[MEMBERS_AS_OF] = value_text(buf_slice(&saved->as_of));
	if (number && is_in) {
		buf_reset(&saved->profile);
		buf_reset(&saved->ids);
		rc = person_write_traits(snapshot->persons, name->leader, &saved->profile);
		if (rc < 0)
			return err_set(err, rc, "members: a profile is too large");
		person_write_ids(snapshot->persons, name->leader, &saved->ids);
		fields[MEMBERS_PROFILE] = value_text(buf_slice(&saved->profile));
		fields[MEMBERS_IDS] = value_text(buf_slice(&saved->ids));
	}
	saved->counts.emitted++;
	return saved_out_write(&saved->members, person, fields, err);
}

static int say_members(struct saved *saved, struct saved_item *item,
		       const struct snapshot *snapshot, struct err *err)
{
	int rc = 0;

	if (item->is_there && strcmp(item->definition, item->said_definition) != 0) {
		struct saved_name defined = { .cause = SAVED_DEFINED };

		rc = say_member(saved, item, snapshot, 0, &defined, err);
		memcpy(item->said_definition, item->definition, sizeof(item->definition));
	}
	for (size_t i = 0; i < item->touched_count && rc == 0; i++) {
		struct saved_name *name = &item->names[item->touched[i]];

		name->is_touched = false;
		if ((name->claims > 0) == name->was_said)
			continue;
		name->version++;
		name->was_said = name->claims > 0;
		rc = say_member(saved, item, snapshot, item->touched[i], name, err);
	}
	item->touched_count = 0;
	return rc;
}

/* Persons at a step are those of its level and of all above. */
static int say_funnel(struct saved *saved, struct saved_item *item, struct err *err)
{
	struct value fields[FUNNELS_COUNT] = { 0 };
	int64_t counts[FUNNEL_STEPS_MAX + 2] = { 0 };
	struct buf text = { 0 }, labels = { 0 };
	bool differs = strcmp(item->definition, item->said_definition) != 0;
	int rc;

	for (int k = item->steps; k >= 1; k--) {
		counts[k] = counts[k + 1] + item->levels[k];
		differs |= counts[k] != item->said_levels[k];
	}
	if (!differs || !item->is_there)
		return 0;
	for (int k = 1; k <= item->steps; k++) {
		buf_printf(&text, "%s%" PRId64, k == 1 ? "[" : ",", counts[k]);
		item->said_levels[k] = counts[k];
	}
	buf_append_char(&text, ']');
	buf_append_char(&labels, '[');
	for (int k = 0; k < item->steps; k++) {
		if (k)
			buf_append_char(&labels, ',');
		json_write_text(slice_from(item->labels[k] ? item->labels[k] : ""), &labels);
	}
	buf_append_char(&labels, ']');
	memcpy(item->said_definition, item->definition, sizeof(item->definition));
	fields[FUNNELS_FUNNEL] = value_text(slice_from(item->name));
	fields[FUNNELS_COUNTS] = value_text(buf_slice(&text));
	fields[FUNNELS_STEPS] = value_text(buf_slice(&labels));
	fields[FUNNELS_DEFINITION] = value_text(slice_from(item->definition));
	fields[FUNNELS_COMPUTED_AT] = value_num(now_of(saved));
	fields[FUNNELS_AS_OF] = value_text(buf_slice(&saved->as_of));
	saved->counts.emitted++;
	rc = text.failed || labels.failed ? err_set(err, -ENOMEM, "funnels: no memory")
					  : saved_out_write(&saved->funnels,
							    slice_from(item->name), fields, err);
	buf_close(&text);
	buf_close(&labels);
	return rc;
}

/* Trying */

struct round {
	struct saved *saved;
	struct saved_item *item;
	const struct snapshot *snapshot;
	struct saved_look *look;
	enum saved_cause cause;
};

static int try_one(struct round *round, uint32_t leader, enum saved_cause cause, int64_t at_us)
{
	struct saved *saved = round->saved;
	const struct persons *persons = round->snapshot->persons;
	int64_t next_us, event_us;
	uint32_t name = 0;
	int level = round->look ? saved_look_one(round->look, leader, &next_us, &event_us) : 0;
	int rc = 0;

	saved->counts.tried++;
	if (level < 0)
		return level;
	if (level && round->item->kind == SAVED_PEOPLE) {
		rc = name_table_add(&saved->names, person_name(persons, leader), NAMES_MAX, &name);
		name++;
	}
	if (cause == SAVED_EVENT && persons_leaders(persons)[leader] != leader)
		cause = SAVED_MERGED;
	else if (cause == SAVED_EVENT && !persons_is_known(persons, leader))
		cause = SAVED_DELETED;
	if (rc == 0)
		rc = saved_item_set(round->item, leader, level, name, cause,
				    at_us ? at_us : round->look ? event_us : 0);
	return rc == 0 && round->look ? saved_item_timer(round->item, leader, next_us) : rc;
}

/* Everybody; and names that were said to be in, of persons that are gone. */
static int try_all(struct round *round)
{
	struct saved_item *item = round->item;
	uint32_t actors = persons_actor_count(round->snapshot->persons);
	struct saved_name *name;
	int rc = 0;

	for (uint32_t a = 1; a < actors && rc == 0; a++)
		if (persons_leaders(round->snapshot->persons)[a] == a || item->called[a] ||
		    item->level[a])
			rc = try_one(round, a, round->cause, 0);
	for (uint32_t n = 1; n < item->name_room && rc == 0; n++) {
		name = &item->names[n];
		if (name->was_said && name->claims == 0 && !name->is_touched)
			rc = saved_item_touch(item, n, round->cause);
	}
	item->needs_all = false;
	item->asked_all_us = now_of(round->saved);
	return rc;
}

static int try_some(struct round *round, int64_t now_us)
{
	struct saved *saved = round->saved;
	struct saved_timer timer;
	int rc = 0;

	for (size_t i = 0; i < saved->changed_count && rc == 0; i++)
		rc = try_one(round, saved->changed[i], SAVED_EVENT, 0);
	while (rc == 0 && saved_item_due(round->item, now_us, &timer))
		rc = try_one(round, timer.leader, SAVED_TIME, timer.when_us);
	return rc;
}

static bool has_work(const struct saved *saved, struct saved_item *item, int64_t now_us)
{
	if (item->is_there && item->is_relative && now_us - item->asked_all_us >= RELATIVE_US &&
	    !item->needs_all)
		item->needs_all = item->is_passing = true;
	return item->needs_all || (item->is_there && (saved->changed_count || saved->changed_all ||
		(item->timer_count && item->timers[0].when_us <= now_us)));
}

static int try_item(struct saved *saved, struct saved_item *item, const struct snapshot *snapshot,
		    struct err *err)
{
	struct predicate_world world = world_of(saved);
	struct question_error error = { .status = 0 };
	struct round round = { .saved = saved, .item = item, .snapshot = snapshot };
	int rc;

	if (!has_work(saved, item, world.now_us))
		return 0;
	round.cause = item->is_passing ? SAVED_TIME
		      : strcmp(item->definition, item->said_definition) == 0 && item->is_there
			      ? SAVED_EVENT
			      : SAVED_DEFINED;
	item->is_passing = false;
	if (saved_item_grow(item, persons_actor_count(snapshot->persons)) < 0)
		return err_set(err, -ENOMEM, "saved: no memory");
	if (item->is_there && saved_look_open(&round.look, item, snapshot, &world, &error) < 0) {
		/* It could be asked when it was read; what it asks for may be gone since. */
		complain(saved, item->name, error.message);
		return 0;
	}
	rc = item->needs_all || saved->changed_all ? try_all(&round)
						   : try_some(&round, world.now_us);
	saved_look_close(round.look);
	if (rc < 0)
		return err_set(err, rc, "saved: %s: %s", item->name, strerror(-rc));
	return item->kind == SAVED_PEOPLE ? say_members(saved, item, snapshot, err)
					  : say_funnel(saved, item, err);
}

/* Whom others' changes concern: those that ask for another query come after it. A chain of them
 * takes as many rounds as it is long. */
static int try_items(struct saved *saved, const struct snapshot *snapshot, struct err *err)
{
	uint64_t emitted = saved->counts.emitted;
	int rc = 0;

	for (int i = 0; i < saved->count && rc == 0; i++)
		if (!saved->items[i]->has_cohort)
			rc = try_item(saved, saved->items[i], snapshot, err);
	for (int again = 0; again < SAVED_MAX && rc == 0; again++) {
		bool others_changed = saved->counts.emitted != emitted;

		emitted = saved->counts.emitted;
		for (int i = 0; i < saved->count && rc == 0; i++) {
			if (!saved->items[i]->has_cohort)
				continue;
			saved->items[i]->needs_all |= others_changed;
			rc = try_item(saved, saved->items[i], snapshot, err);
		}
		if (!others_changed)
			break;
	}
	return rc;
}

/* What changed is noted within a change of the store, as it moves in persons. */
static int gather(struct saved *saved, struct store *store, struct err *err)
{
	const uint32_t *changed;
	size_t count = 0;
	int rc;

	store_change_begin(store);
	changed = persons_changed(store_persons(store), &count);
	if (saved && (!changed || saved->changed_count + count > CHANGED_MAX)) {
		saved->changed_all = true;
		saved->changed_count = count = 0;
	}
	if (saved && saved->changed_count + count > saved->changed_room) {
		size_t room = 2 * (saved->changed_count + count);
		uint32_t *grown = reallocarray(saved->changed, room, sizeof(*grown));

		if (!grown)
			count = 0;
		saved->changed_all |= !grown;
		saved->changed = grown ? grown : saved->changed;
		saved->changed_room = grown ? room : saved->changed_room;
	}
	if (saved && count && !saved->changed_all) {
		memcpy(saved->changed + saved->changed_count, changed, count * sizeof(*changed));
		saved->changed_count += count;
	}
	rc = store_change_end(store, err);
	return rc;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void sort_changed(struct saved *saved)
{
	size_t kept = 0;

	if (saved->changed_count)
		qsort(saved->changed, saved->changed_count, sizeof(uint32_t), compare_numbers);
	for (size_t i = 0; i < saved->changed_count; i++)
		if (!kept || saved->changed[kept - 1] != saved->changed[i])
			saved->changed[kept++] = saved->changed[i];
	saved->changed_count = kept;
}

static bool is_read_so_far(struct saved *saved, const struct saved_progress *progress)
{
	int64_t behind = 0;
	bool resumed = true;

	for (int p = 0; p < progress->partitions; p++) {
		int64_t lag = progress->end[p] - progress->next[p];

		behind += lag > 0 ? lag : 0;
		/* A topic that ends before what was said of it is another one: do not wait. */
		resumed &= progress->next[p] >= saved->resume[p] || lag <= 0;
	}
	if (!saved->is_live && resumed) {
		saved->is_live = true;
		saved->changed_all = true;
		for (int i = 0; i < saved->count; i++)
			saved->items[i]->needs_all = true;
	}
	return saved->is_live && (behind <= LAG_MAX || progress->ending);
}

static void write_as_of(struct saved *saved, const struct saved_progress *progress)
{
	buf_reset(&saved->as_of);
	for (int p = 0; p < progress->partitions; p++)
		if (progress->next[p])
			buf_printf(&saved->as_of, "%s%d:%" PRId64, saved->as_of.len ? "," : "", p,
				   progress->next[p]);
}

static bool any_work(struct saved *saved)
{
	int64_t now_us = now_of(saved);
	bool any = false;

	for (int i = 0; i < saved->count; i++)
		any |= has_work(saved, saved->items[i], now_us);
	if (!any) {
		saved->changed_count = 0;
		saved->changed_all = false;
	}
	return any;
}

static int run_round(struct saved *saved, const struct saved_progress *progress, struct err *err)
{
	struct snapshot snapshot;
	int rc = store_snapshot(saved->conf.store, &snapshot, err);

	if (rc < 0)
		return rc;
	write_as_of(saved, progress);
	sort_changed(saved);
	pthread_rwlock_wrlock(&saved->lock);
	rc = try_items(saved, &snapshot, err);
	saved->counts.queries = saved->counts.funnels = saved->counts.members = 0;
	for (int i = 0; i < saved->count; i++) {
		saved->counts.queries += saved->items[i]->is_there &&
					 saved->items[i]->kind == SAVED_PEOPLE;
		saved->counts.funnels += saved->items[i]->is_there &&
					 saved->items[i]->kind == SAVED_FUNNEL;
		saved->counts.members += saved->items[i]->total;
	}
	pthread_rwlock_unlock(&saved->lock);
	snapshot_release(&snapshot);
	saved->changed_count = 0;
	saved->changed_all = false;
	return rc;
}

int saved_commit(struct saved *saved, struct store *store, const struct saved_progress *progress,
		 struct err *err)
{
	int64_t now_ms = when_monotonic_ms();
	int rc;

	if (saved && !progress->idle && !progress->ending && now_ms - saved->round_ms < ROUND_MS)
		return 0;
	rc = persons_has_changed(store_persons(store)) ? gather(saved, store, err) : 0;
	if (rc < 0 || !saved)
		return rc;
	saved->round_ms = now_ms;
	rc = look_at_files(saved);
	if (rc < 0)
		return err_set(err, rc, "saved: no memory");
	if (!is_read_so_far(saved, progress))
		return 0;
	rc = any_work(saved) ? run_round(saved, progress, err) : 0;
	if (rc == 0)
		rc = saved_out_release(&saved->members, progress->ending, err);
	return rc == 0 ? saved_out_release(&saved->funnels, progress->ending, err) : rc;
}

struct saved_counts saved_counts(const struct saved *saved)
{
	return saved ? saved->counts : (struct saved_counts){ 0 };
}
