// SPDX-License-Identifier: Apache-2.0
/* Saved queries: after random streams with late events, ties, merges, deletes, windows that pass,
 * and starts in between, what `members` says is what asking everybody says. */
#include "aggregate/saved.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "aggregate/cohort.h"
#include "aggregate/person_answer.h"
#include "lib/record.h"
#include "tests/tap.h"

#define SECOND  INT64_C(1000000)
#define BEGIN   (INT64_C(1795000000) * SECOND)
#define PERSONS 12

static const char *const queries[][2] = {
	{ "a-buyers", "{\"did\":\"Buy\",\"count\":{\"op\":\">=\",\"n\":2},\"within\":{\"last\":"
		      "{\"n\":20,\"unit\":\"second\"}}}" },
	{ "b-idle", "{\"did_not\":\"Visit\",\"within\":{\"last\":"
		    "{\"n\":15,\"unit\":\"second\"}}}" },
	{ "c-women", "{\"and\":[{\"prop\":\"gender\",\"op\":\"is\",\"values\":[\"f\"]},"
		     "{\"did\":\"Buy\"}]}" },
	{ "d-spent", "{\"did\":\"Buy\",\"sum\":{\"prop\":\"amount\",\"op\":\">\",\"n\":50},"
		     "\"within\":{\"last\":{\"n\":30,\"unit\":\"second\"}}}" },
	{ "e-path", "{\"sequence\":[{\"event\":\"Visit\"},{\"event\":\"Buy\"}],\"within\":"
		    "{\"last\":{\"n\":25,\"unit\":\"second\"}}}" },
	{ "f-both", "{\"and\":[{\"in_cohort\":\"a-buyers\"},{\"not\":{\"in_cohort\":"
		    "\"b-idle\"}}]}" },
	{ "g-few", "{\"did\":\"Buy\",\"count\":{\"op\":\"<=\",\"n\":1},\"within\":{\"last\":"
		   "{\"n\":10,\"unit\":\"second\"}}}" },
	{ "h-phone", "{\"prop\":\"$os\",\"op\":\"is\",\"values\":[\"iOS\"]}" },
	{ "i-other", "{\"and\":[{\"prop\":\"$os\",\"op\":\"is_not\",\"values\":[\"iOS\"]},"
		     "{\"prop\":\"gender\",\"op\":\"is_set\"}]}" },
};

enum { QUERIES = sizeof(queries) / sizeof(queries[0]) };

struct world {
	char dir[200], reports[240], members[240], funnels[240];
	struct store *store;
	struct saved *saved;
	struct bus_conf out;
	int64_t now_us;
	int64_t offset;
	uint64_t seed;
};

static uint32_t below(struct world *w, uint32_t n)
{
	w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(w->seed >> 33) % n;
}

static void must(int rc, const struct err *err)
{
	if (rc < 0) {
		printf("# %d: %s\n", rc, err->text);
		abort();
	}
}

static int64_t clock_of(void *ctx)
{
	return ((struct world *)ctx)->now_us;
}

static void open_saved(struct world *w)
{
	struct saved_conf conf = { .store = w->store, .dir = w->reports, .members = w->members,
				   .funnels = w->funnels, .out = &w->out, .now_us = clock_of,
				   .ctx = w };
	struct err err = { "" };

	must(saved_open(&w->saved, &conf, &err), &err);
}

static void write_report(struct world *w, const char *name, const char *kind, const char *json)
{
	char path[400];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.yaml", w->reports, name);
	file = fopen(path, "w");
	if (!file)
		abort();
	/* JSON in flow style is YAML. */
	fprintf(file, "kind: %s\n%s%s\n", kind, strcmp(kind, "people") == 0 ? "query: " : "", json);
	fclose(file);
}

static void open_world(struct world *w, uint64_t seed)
{
	const char *base = getenv("TMPDIR");
	struct store_conf conf = { .dir = w->dir, .logic = "test", .partitions = 1 };
	int64_t next[BUS_PARTITIONS_MAX];
	struct err err = { "" };

	*w = (struct world){ .now_us = BEGIN, .seed = seed };
	snprintf(w->dir, sizeof(w->dir), "%s/millrace-saved-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(w->dir))
		abort();
	snprintf(w->reports, sizeof(w->reports), "%s/reports", w->dir);
	snprintf(w->members, sizeof(w->members), "log:%s/members", w->dir);
	snprintf(w->funnels, sizeof(w->funnels), "log:%s/funnels", w->dir);
	mkdir(w->reports, 0755);
	for (int q = 0; q < QUERIES; q++)
		write_report(w, queries[q][0], "people", queries[q][1]);
	write_report(w, "z-funnel", "funnel", "steps: [{event: Visit}, {event: Buy}]\n"
		     "window: {n: 1, unit: minute}\nfrom: '2020-01-01'\nto: '2030-01-01'");
	must(store_open(&w->store, &conf, next, &err), &err);
	open_saved(w);
}

static void close_world(struct world *w)
{
	char command[300];

	saved_close(w->saved);
	store_close(w->store);
	snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
	if (system(command))
		abort();
}

/* One event of a random person, at a random time around now. */
static void say(struct world *w)
{
	static const char *const events[] = { "Buy", "Visit", "Identify" };
	struct persons *persons = store_persons(w->store);
	uint32_t who = below(w, PERSONS), kind = below(w, 100), anonymous, user = 0;
	struct person_when when = { .time_us = w->now_us - below(w, 30) * SECOND + below(w, 1000),
				    .received_us = w->now_us };
	struct store_row row = { .time_us = when.time_us, .received_us = w->now_us, .count = 2 };
	struct prop name = { .kind = PROP_TEXT,
			     .text = slice_from(events[kind < 50 ? 0 : kind < 85 ? 1 : 2]) };
	struct prop amount = { .kind = PROP_NUMBER, .number = below(w, 60) };
	struct prop gender = { .kind = PROP_TEXT,
			       .text = below(w, 2) ? SLICE("f") : SLICE("m") };
	struct prop os = { .kind = PROP_TEXT, .text = below(w, 2) ? SLICE("iOS") : SLICE("Linux") };
	struct store_prop props[3] = { { SLICE("$event"), name }, { SLICE("amount"), amount },
				       { SLICE("$os"), os } };
	struct err err = { "" };
	char id[32];

	w->offset++;
	memcpy(when.message.bytes, &w->offset, sizeof(w->offset));
	row.message = when.message;
	row.props = props;
	row.count += below(w, 3) == 0;
	snprintf(id, sizeof(id), "device-%u", who);
	must(persons_actor(persons, 'a', slice_from(id), when.time_us, &anonymous), &err);
	if (below(w, 3) == 0) {
		snprintf(id, sizeof(id), "user-%u", who / 2);
		must(persons_actor(persons, 'u', slice_from(id), when.time_us, &user), &err);
	}
	row.actor = user ? user : anonymous;
	must(store_add(w->store, &row, &err), &err);
	must(persons_link(persons, anonymous, user, &when), &err);
	if (kind >= 85)
		must(persons_profile(persons, row.actor, PERSON_SET, SLICE("gender"), &gender,
				     &when), &err);
	if (kind == 99 && user) {
		snprintf(id, sizeof(id), "user-%u", below(w, PERSONS / 2));
		must(persons_alias(persons, slice_from(id), user, true, &when), &err);
	}
	if (kind == 98)
		must(persons_delete(persons, row.actor, w->now_us, w->now_us), &err);
}

static void commit(struct world *w, bool ending)
{
	int64_t next[BUS_PARTITIONS_MAX] = { w->offset }, end[BUS_PARTITIONS_MAX] = { w->offset };
	struct saved_progress progress = { next, end, 1, true, ending };
	struct err err = { "" };

	must(saved_commit(w->saved, w->store, &progress, &err), &err);
}

/* What the topic says, by (query, person): the highest version counts; versions rise by one, and
 * entered and exited take turns. */
struct said {
	char query[16], person[16];
	int64_t version;
	bool is_in;
};

struct book {
	struct said said[1000];
	int count, bad, records;
};

static void note(struct book *book, const struct value *fields)
{
	struct slice query = value_slice(&fields[MEMBERS_QUERY]);
	struct slice person = value_slice(&fields[MEMBERS_PERSON]);
	bool is_in = slice_is(value_slice(&fields[MEMBERS_CHANGE]), "entered");
	struct said *said = NULL;

	if (person.len == 0)
		return;
	for (int i = 0; i < book->count; i++)
		if (slice_is(query, book->said[i].query) && slice_is(person, book->said[i].person))
			said = &book->said[i];
	if (!said) {
		said = &book->said[book->count++];
		*said = (struct said){ .version = 0 };
		memcpy(said->query, query.ptr, query.len);
		memcpy(said->person, person.ptr, person.len);
	}
	book->records++;
	if (fields[MEMBERS_VERSION].num != said->version + 1 || is_in == said->is_in ||
	    (is_in && !fields[MEMBERS_PROFILE].is_set)) {
		book->bad++;
		printf("# %s %s: version %" PRId64 " after %" PRId64 ", in %d\n", said->query,
		       said->person, fields[MEMBERS_VERSION].num, said->version, is_in);
	}
	said->version = fields[MEMBERS_VERSION].num;
	said->is_in = is_in;
}

static void read_members(struct world *w, struct book *book)
{
	struct schema *schema = record_schema("members");
	struct bus_conf conf = { .schema = schema, .until_end = true, .time_field = -1 };
	struct bus_record record;
	struct err err = { "" };
	struct bus *in;
	int rc;

	memset(book, 0, sizeof(*book));
	must(bus_open(&in, w->members, BUS_READ, &conf, &err), &err);
	while ((rc = bus_next(in, &record, 100)) >= 0)
		if (rc == 1)
			note(book, record.fields);
	bus_close(in);
	schema_close(schema);
}

/* The slow way: every query over everybody. member[q][leader]. */
static bool member[QUERIES][4096];

static bool slow_has(void *ctx, struct slice name)
{
	(void)ctx;
	for (int q = 0; q < QUERIES; q++)
		if (slice_is(name, queries[q][0]))
			return true;
	return false;
}

static bool slow_is(void *ctx, struct slice name, uint32_t leader)
{
	(void)ctx;
	for (int q = 0; q < QUERIES; q++)
		if (slice_is(name, queries[q][0]))
			return member[q][leader];
	return false;
}

static void ask_slowly(struct world *w, const struct snapshot *snapshot, int q)
{
	struct predicate_world world = { .now_us = w->now_us, .in_cohort = slow_is,
					 .has_cohort = slow_has };
	struct scan_conf conf = { .snapshot = snapshot, .with_everyone = true };
	struct question_error error = { .status = 0 };
	struct json_reader *json;
	struct cohort *cohort;
	struct cohort_eye *eye;
	struct scan_person person;
	struct scan *scan;
	yyjson_val *root;
	struct err err = { "" };

	must(json_open(&json, &err), &err);
	must(json_parse(json, slice_from(queries[q][1]), &root, &err), &err);
	if (cohort_parse(&cohort, root, "", &world, &error) < 0) {
		printf("# %s: %s\n", error.at, error.message);
		abort();
	}
	conf.selectors = cohort_selectors(cohort, &conf.selector_count);
	must(cohort_bind(cohort, snapshot), &err);
	must(cohort_eye_open(&eye, cohort), &err);
	must(scan_open(&scan, &conf), &err);
	for (uint32_t a = 1; a < persons_actor_count(snapshot->persons); a++) {
		member[q][a] = false;
		if (persons_leaders(snapshot->persons)[a] != a ||
		    !persons_is_known(snapshot->persons, a))
			continue;
		must(scan_one(scan, a, &person), &err);
		person.leader = a;
		member[q][a] = cohort_try(eye, &person, NULL) == 1;
	}
	scan_close(scan);
	cohort_eye_close(eye);
	cohort_close(cohort);
	json_close(json);
}

static int compare(struct world *w, const struct book *book)
{
	struct snapshot snapshot;
	struct err err = { "" };
	int wrong = 0, in = 0, said_in = 0;

	must(store_snapshot(w->store, &snapshot, &err), &err);
	for (int q = 0; q < QUERIES; q++) {
		ask_slowly(w, &snapshot, q);
		for (uint32_t a = 1; a < persons_actor_count(snapshot.persons); a++) {
			struct slice name;
			bool found = false;

			if (!member[q][a])
				continue;
			in++;
			name = person_name(snapshot.persons, a);
			for (int i = 0; i < book->count; i++)
				found |= book->said[i].is_in &&
					 slice_is(name, book->said[i].person) &&
					 strcmp(book->said[i].query, queries[q][0]) == 0;
			if (!found && wrong++ < 5)
				printf("# %s: %.*s is in, but was not said\n", queries[q][0],
				       (int)name.len, name.ptr);
		}
	}
	for (int i = 0; i < book->count; i++)
		said_in += book->said[i].is_in;
	snapshot_release(&snapshot);
	if (said_in != in)
		printf("# %d are said to be in, %d are\n", said_in, in);
	return wrong + (said_in != in);
}

static void test_stream(struct tap *tap, uint64_t seed)
{
	static struct book book;
	struct world w;
	struct err err = { "" };
	int starts = 0, wrong = 0, bad = 0, checks = 0;

	open_world(&w, seed);
	for (int batch = 0; batch < 150; batch++) {
		store_change_begin(w.store);
		for (uint32_t n = below(&w, 6); n > 0; n--)
			say(&w);
		must(store_change_end(w.store, &err), &err);
		w.now_us += below(&w, 8) * SECOND;
		commit(&w, false);
		if (below(&w, 12) == 0) {
			/* As after kill -9: what is not durable is gone. */
			saved_close(w.saved);
			open_saved(&w);
			starts++;
			commit(&w, false);
		}
		if (batch % 30 == 29) {
			commit(&w, true);
			read_members(&w, &book);
			wrong += compare(&w, &book);
			bad += book.bad;
			checks++;
		}
	}
	OK(tap, wrong == 0 && bad == 0 && book.records > 100,
	   "seed %" PRIu64 ": %d records, %d starts: members are right %d times", seed,
	   book.records, starts, checks);
	close_world(&w);
}

int main(void)
{
	struct tap tap = { 0 };

	for (uint64_t seed = 20261124; seed < 20261134; seed++)
		test_stream(&tap, seed);
	return tap_end(&tap);
}
