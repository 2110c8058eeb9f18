// SPDX-License-Identifier: Apache-2.0
/* Who is meant by a query, in pages. A page goes on behind the last one's person and his value of
 * the sort column as they were: a token holds both. So changes in between neither repeat nor lose
 * those who did not change. */
#include <errno.h>
#include <stdlib.h>

#include "aggregate/cohort.h"
#include "aggregate/measure.h"
#include "aggregate/person_answer.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000
#define COLUMNS_MAX   100

enum sort_by { SORT_ID, SORT_FIRST_SEEN, SORT_LAST_SEEN, SORT_TRAIT };

struct people {
	struct measure_world *world;
	struct cohort *cohort;          /* owned; NULL: everybody */
	struct zone *zone;              /* owned */
	enum sort_by sort_by;
	struct slice sort;              /* the trait */
	bool descending;
	bool with_profile;              /* only who has one */
	int64_t limit;
	struct slice columns[COLUMNS_MAX];
	size_t column_count;
	bool all_columns;
	/* the person that the page before ended with */
	bool has_page;
	struct buf page;                /* owned; what the next two point into */
	struct prop page_value;
	struct slice page_id;
	/* result */
	uint64_t total;
	struct entry *best;             /* owned; a heap, the worst on top */
	size_t best_count;
	bool has_more;
};

struct entry {
	uint32_t leader;
	struct prop value;              /* text points into the snapshot, or is owned */
	char *owned;
	struct slice id;
};

/* Parsing */

static int hex_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A token is a list of two, the value and the id, in hexadecimal. */
static int parse_page(struct people *people, struct slice token, struct question_error *error)
{
	struct prop id = { 0 };
	size_t at = 0;
	bool good = token.len % 2 == 0;

	for (size_t i = 0; i + 1 < token.len && good; i += 2) {
		int high = hex_of(token.ptr[i]), low = hex_of(token.ptr[i + 1]);

		good = high >= 0 && low >= 0;
		buf_append_char(&people->page, (char)(high * 16 + low));
	}
	if (!good || !prop_next(buf_slice(&people->page), &at, &people->page_value) ||
	    !prop_next(buf_slice(&people->page), &at, &id) || id.kind != PROP_TEXT)
		return question_fail(error, "/page", "bad_value",
				     "this is no token of an answer's \"next\"");
	/* A person without the value is told from one with false by a list of nothing. */
	if (people->page_value.kind == PROP_FALSE && at < people->page.len)
		people->page_value.kind = PROP_NONE;
	people->page_id = id.text;
	people->has_page = true;
	return 0;
}

static void write_page(const struct entry *last, struct buf *out)
{
	struct prop id = { .kind = PROP_TEXT, .text = last->id };
	struct prop value = last->value, none = { .kind = PROP_FALSE };
	struct buf bytes = { 0 };

	prop_list_add(&bytes, value.kind == PROP_NONE ? &none : &value);
	prop_list_add(&bytes, &id);
	if (value.kind == PROP_NONE)
		prop_list_add(&bytes, &none);
	for (size_t i = 0; i < bytes.len; i++)
		buf_printf(out, "%02x", (unsigned char)bytes.ptr[i]);
	buf_close(&bytes);
}

static void parse_sort(struct people *people, struct slice sort)
{
	if (sort.len && sort.ptr[0] == '-') {
		people->descending = true;
		sort = slice_skip(sort, 1);
	}
	people->sort = sort;
	people->sort_by = sort.len == 0 || slice_is(sort, "$id") ? SORT_ID
			  : slice_is(sort, "$first_seen")	 ? SORT_FIRST_SEEN
			  : slice_is(sort, "$last_seen")	 ? SORT_LAST_SEEN
								 : SORT_TRAIT;
}

static int parse_columns(struct people *people, yyjson_val *list, struct question_error *error)
{
	yyjson_val *column;
	size_t i, count;
	char at[160];

	people->all_columns = !list;
	if (!list)
		return 0;
	if (!yyjson_is_arr(list) || yyjson_arr_size(list) > COLUMNS_MAX)
		return question_fail(error, "/columns", "bad_value",
				     "a list of at most %d names is needed", COLUMNS_MAX);
	yyjson_arr_foreach(list, i, count, column) {
		question_at_index(at, "", "columns", i);
		if (!yyjson_is_str(column))
			return question_fail(error, at, "bad_value", "a name is needed");
		people->columns[people->column_count++] = json_string(column);
	}
	return 0;
}

static int parse(struct people *people, yyjson_val *root, struct question_error *error)
{
	static const char *const known[] = { "query", "columns", "sort", "limit", "page",
					     "universe", "zone", NULL };
	static const char *const universes[] = { "all", "profiles", NULL };
	struct predicate_world predicates;
	struct slice text = { NULL, 0 };
	int universe = 0, rc = question_known(root, "", known, error);
	struct err err = { "" };

	people->limit = LIMIT_DEFAULT;
	if (rc == 0)
		rc = question_text(root, "zone", "", 200, &text, error);
	if (rc == 0 && text.len && zone_open(&people->zone, text, &err) < 0)
		rc = question_fail(error, "/zone", "bad_value", "%s", err.text);
	predicates = measure_predicates(people->world, people->zone);
	if (rc == 0)
		rc = question_word(root, "universe", "", universes, &universe, error);
	people->with_profile = universe == 1;
	if (rc == 0)
		rc = question_count(root, "limit", "", 1, LIMIT_MAX, &people->limit, error);
	if (rc == 0)
		rc = question_text(root, "sort", "", 1024, &text, error);
	if (rc == 0) {
		parse_sort(people, json_text(root, "sort"));
		rc = parse_columns(people, json_get(root, "columns"), error);
	}
	if (rc == 0 && json_get(root, "page"))
		rc = parse_page(people, json_text(root, "page"), error);
	if (rc == 0 && json_get(root, "query"))
		rc = cohort_parse(&people->cohort, json_get(root, "query"), "/query", &predicates,
				  error);
	return rc;
}

/* Order: by value, then id; who has no value comes last. */

static int compare_texts(struct slice a, struct slice b)
{
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const struct people *people, const struct prop *value, struct slice id,
		   const struct prop *other, struct slice other_id)
{
	int order = 0;

	if ((value->kind == PROP_NONE) != (other->kind == PROP_NONE))
		return value->kind == PROP_NONE ? 1 : -1;
	if (value->kind != PROP_NONE)
		order = prop_compare(value, other);
	if (order == 0)
		order = compare_texts(id, other_id);
	else
		return people->descending ? -order : order;
	return people->sort_by == SORT_ID && people->descending ? -order : order;
}

static bool is_worse(const struct people *people, const struct entry *a, const struct entry *b)
{
	return compare(people, &a->value, a->id, &b->value, b->id) > 0;
}

static void swap(struct entry *a, struct entry *b)
{
	struct entry t = *a;

	*a = *b;
	*b = t;
}

static void sink_down(struct people *people, size_t i, size_t count)
{
	for (;;) {
		size_t worst = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++)
			if (is_worse(people, &people->best[child], &people->best[worst]))
				worst = child;
		if (worst == i)
			return;
		swap(&people->best[i], &people->best[worst]);
		i = worst;
	}
}

/* Keeps the best limit of all that come. */
static void keep(struct people *people, struct entry *entry)
{
	struct entry *best = people->best;
	size_t i = people->best_count;

	if (people->has_page && compare(people, &entry->value, entry->id, &people->page_value,
					people->page_id) <= 0) {
		free(entry->owned);
		return;
	}
	if (i == (size_t)people->limit) {
		people->has_more = true;
		if (!is_worse(people, &best[0], entry)) {
			free(entry->owned);
			return;
		}
		free(best[0].owned);
		best[0] = *entry;
		sink_down(people, 0, i);
		return;
	}
	best[people->best_count++] = *entry;
	for (; i && is_worse(people, &best[i], &best[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&best[i], &best[(i - 1) / 2]);
}

/* The scan. A thread has a heap of its own. */

struct state {
	struct people people;           /* what is asked, and its own result */
	struct people *all;
	struct cohort_eye *eye;
	struct person_span span;
	struct person_latest latest;    /* of the sort; without a snapshot: a trait */
	struct buf scratch;
};

static int begin(void *ctx, int thread, void **statep)
{
	struct people *all = ctx;
	struct state *state = calloc(1, sizeof(*state));
	int rc;

	(void)thread;
	*statep = state;
	if (!state)
		return -ENOMEM;
	/* Another thread may have folded its own into all already: that is not ours again. */
	state->people = *all;
	state->people.total = 0;
	state->people.best_count = 0;
	state->people.has_more = false;
	state->all = all;
	state->people.best = calloc((size_t)all->limit, sizeof(*state->people.best));
	rc = state->people.best ? person_span_open(&state->span, all->world->snapshot) : -ENOMEM;
	if (rc == 0 && all->sort_by == SORT_TRAIT && person_is_latest(all->sort))
		rc = person_latest_open(&state->latest, all->world->snapshot, all->sort);
	return rc == 0 && all->cohort ? cohort_eye_open(&state->eye, all->cohort) : rc;
}

static int fold(void *ctx, void *made)
{
	struct people *all = ctx;
	struct state *state = made;

	if (!state)
		return 0;
	all->total += state->people.total;
	all->has_more |= state->people.has_more;
	for (size_t i = 0; i < state->people.best_count; i++)
		keep(all, &state->people.best[i]);
	free(state->people.best);
	cohort_eye_close(state->eye);
	person_span_close(&state->span);
	person_latest_close(&state->latest);
	buf_close(&state->scratch);
	free(state);
	return 0;
}

static int take_any(void *ctx, struct slice name, const struct prop *value)
{
	(void)ctx;
	(void)name;
	(void)value;
	return -EEXIST;
}

static bool has_profile(struct state *state, const struct persons *persons, uint32_t leader)
{
	return persons_traits(persons, leader, &state->scratch, take_any, NULL) == -EEXIST;
}

/* A trait by its name; "$email" also means "email". */
static struct prop trait_of(const struct persons *persons, uint32_t leader, struct slice name,
			    struct buf *scratch)
{
	struct prop value;

	buf_reset(scratch);
	value = persons_trait(persons, leader, name, scratch);
	if (value.kind == PROP_NONE && name.len > 1 && name.ptr[0] == '$' &&
	    !person_is_latest(name))
		value = persons_trait(persons, leader, slice_skip(name, 1), scratch);
	return value;
}

static int set_value(struct state *state, struct entry *entry)
{
	const struct snapshot *snapshot = state->all->world->snapshot;
	int64_t first_us, last_us;

	if (state->people.sort_by == SORT_ID)
		return 0;
	if (state->people.sort_by == SORT_TRAIT) {
		entry->value = state->latest.snapshot
			? person_latest_value(&state->latest, entry->leader, &state->scratch)
			: trait_of(snapshot->persons, entry->leader, state->people.sort,
				   &state->scratch);
		if (entry->value.kind != PROP_LIST)
			return 0;
		entry->owned = malloc(entry->value.text.len + 1);
		if (!entry->owned)
			return -ENOMEM;
		memcpy(entry->owned, entry->value.text.ptr, entry->value.text.len);
		entry->value.text.ptr = entry->owned;
		return 0;
	}
	person_span_of(&state->span, snapshot, entry->leader, &first_us, &last_us);
	if (first_us > last_us)
		return 0;
	entry->value.kind = PROP_NUMBER;
	entry->value.number = (double)(state->people.sort_by == SORT_FIRST_SEEN ? first_us
										: last_us);
	return 0;
}

static int take(void *made, const struct scan_person *person)
{
	struct state *state = made;
	const struct persons *persons = state->all->world->snapshot->persons;
	struct entry entry = { .leader = person->leader };
	int rc;

	if (person->leader == PERSON_NOBODY)
		return 0;
	if (state->eye) {
		rc = cohort_try(state->eye, person, NULL);
		if (rc <= 0)
			return rc;
	}
	if (state->people.with_profile && !has_profile(state, persons, person->leader))
		return 0;
	state->people.total++;
	entry.id = person_name(persons, person->leader);
	rc = set_value(state, &entry);
	if (rc == 0)
		keep(&state->people, &entry);
	return rc;
}

static const struct scan_ops ops = { .begin = begin, .take = take, .fold = fold };

static int scan(struct people *people, struct question_error *error)
{
	struct measure_world *world = people->world;
	struct scan_conf conf = { .snapshot = world->snapshot, .threads = world->threads,
				  .cancel = world->cancel, .deadline_ms = world->deadline_ms,
				  .memory_max = world->memory_max, .with_everyone = true };
	int rc = 0;

	if (people->cohort) {
		conf.selectors = cohort_selectors(people->cohort, &conf.selector_count);
		conf.who = cohort_who(people->cohort);
		conf.with_everyone = cohort_means_idle(people->cohort);
		rc = cohort_bind(people->cohort, world->snapshot);
	}
	people->best = calloc((size_t)people->limit, sizeof(*people->best));
	if (!people->best)
		rc = -ENOMEM;
	if (rc == 0)
		rc = scan_run(&conf, &ops, people);
	world->scanned += atomic_load(&conf.scanned);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}

/* The answer */

static void write_columns(const struct people *people, const struct snapshot *snapshot,
			  uint32_t leader, struct buf *out)
{
	struct buf scratch = { 0 };

	buf_append_char(out, '{');
	for (size_t i = 0; i < people->column_count; i++) {
		struct slice name = people->columns[i];
		struct prop value = trait_of(snapshot->persons, leader, name, &scratch);

		if (value.kind == PROP_NONE && name.len && name.ptr[0] == '$')
			value = person_last_value(snapshot, leader, name);
		if (i)
			buf_append_char(out, ',');
		json_write_text(name, out);
		buf_append_char(out, ':');
		prop_write_json(&value, out);
	}
	buf_append_char(out, '}');
	buf_close(&scratch);
}

static int write_person(const struct people *people, struct person_span *span,
			const struct entry *entry, struct buf *out)
{
	const struct snapshot *snapshot = people->world->snapshot;
	int64_t first_us, last_us;
	int rc = 0;

	buf_append_text(out, "{\"id\":");
	json_write_text(entry->id, out);
	buf_append_text(out, ",\"ids\":");
	person_write_ids(snapshot->persons, entry->leader, out);
	buf_append_text(out, ",\"traits\":");
	if (people->all_columns)
		rc = person_write_traits(snapshot->persons, entry->leader, out);
	else
		write_columns(people, snapshot, entry->leader, out);
	memset(span->from, 0, span->files * sizeof(*span->from));
	person_span_of(span, snapshot, entry->leader, &first_us, &last_us);
	buf_append_text(out, ",\"first_seen\":");
	person_write_time(first_us <= last_us, first_us, out);
	buf_append_text(out, ",\"last_seen\":");
	person_write_time(first_us <= last_us, last_us, out);
	buf_append_char(out, '}');
	return rc;
}

/* The heap, the worst taken out first, becomes the page from its end on. */
static void sort_best(struct people *people)
{
	for (size_t count = people->best_count; count > 1; count--) {
		swap(&people->best[0], &people->best[count - 1]);
		sink_down(people, 0, count - 1);
	}
}

static int write(struct people *people, struct buf *out)
{
	struct person_span span;
	int rc = person_span_open(&span, people->world->snapshot);

	sort_best(people);
	buf_printf(out, "\"total\":%llu,\"people\":[", (unsigned long long)people->total);
	for (size_t i = 0; i < people->best_count && rc == 0; i++) {
		if (i)
			buf_append_char(out, ',');
		rc = write_person(people, &span, &people->best[i], out);
	}
	buf_append_text(out, "],\"next\":");
	if (people->has_more && people->best_count) {
		buf_append_char(out, '"');
		write_page(&people->best[people->best_count - 1], out);
		buf_append_char(out, '"');
	} else {
		buf_append_text(out, "null");
	}
	person_span_close(&span);
	return out->failed ? -ENOMEM : rc;
}

int measure_people(struct measure_world *world, yyjson_val *question, struct buf *out,
		   struct question_error *error)
{
	struct people people = { .world = world };
	int rc = parse(&people, question, error);

	if (rc == 0)
		rc = scan(&people, error);
	if (rc == 0) {
		rc = write(&people, out);
		if (rc < 0)
			rc = question_fail_scan(error, rc);
	}
	for (size_t i = 0; i < people.best_count; i++)
		free(people.best[i].owned);
	free(people.best);
	buf_close(&people.page);
	cohort_close(people.cohort);
	zone_close(people.zone);
	return rc;
}
