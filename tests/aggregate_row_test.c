// SPDX-License-Identifier: Apache-2.0
/* Records of enriched as rows of the store, and what they say of persons. */
#include <stdlib.h>
#include <unistd.h>

#include "aggregate/row.h"
#include "lib/dir.h"
#include "lib/record.h"
#include "tests/tap.h"

#define NOW_US INT64_C(1793491200000000)        /* 2026-11-01 */

struct world {
	char dir[200];
	struct store *store;
	struct row_taker *taker;
	struct value fields[ENRICHED_COUNT];
	int messages;
	char message[16];
};

static void text(struct world *world, enum enriched_leaf leaf, const char *value)
{
	world->fields[leaf] = value ? value_text(slice_from(value)) : (struct value){ 0 };
}

/* One record in a change of its own. */
static int take(struct world *world, const char *type, const char *user, const char *anonymous,
		const char *properties, const char *traits)
{
	struct err err = { "" };
	int rc;

	snprintf(world->message, sizeof(world->message), "m%d", ++world->messages);
	text(world, ENRICHED_MESSAGE_ID, world->message);
	text(world, ENRICHED_TYPE, type);
	text(world, ENRICHED_EVENT, "E");
	text(world, ENRICHED_SOURCE, "web");
	text(world, ENRICHED_USER_ID, user);
	text(world, ENRICHED_ANONYMOUS_ID, anonymous);
	text(world, ENRICHED_PROPERTIES, properties);
	text(world, ENRICHED_TRAITS, traits);
	if (!world->fields[ENRICHED_TIMESTAMP].is_set)
		world->fields[ENRICHED_TIMESTAMP] = value_num(NOW_US + world->messages);
	world->fields[ENRICHED_RECEIVED_AT] = value_num(NOW_US + world->messages);
	store_change_begin(world->store);
	rc = row_take(world->taker, world->fields, &err);
	if (store_change_end(world->store, &err) < 0)
		rc = -1;
	memset(world->fields, 0, sizeof(world->fields));
	return rc;
}

static void delete_due(struct world *world)
{
	struct err err = { "" };

	store_change_begin(world->store);
	if (persons_delete_due(store_persons(world->store), INT64_MAX) < 0 ||
	    store_change_end(world->store, &err) < 0)
		abort();
}

/* The value of a column in the last row of an id, as text; "-": there is none. */
static const char *value_of(struct world *world, char kind, const char *id, const char *name,
			    struct buf *out)
{
	const struct column *column;
	struct snapshot snapshot;
	uint32_t hint = 0, at = 0, row, count;

	buf_reset(out);
	if (store_snapshot(world->store, &snapshot, NULL) < 0)
		abort();
	if (snapshot.file_count &&
	    column_run(snapshot.files[0], persons_find(snapshot.persons, kind, slice_from(id)),
		       &hint, &row, &count)) {
		column = column_find(snapshot.files[0], slice_from(name));
		if (column) {
			struct prop value = column_value(column, column_code(column,
							 row + count - 1, &at));

			prop_print(&value, out);
		}
	}
	snapshot_release(&snapshot);
	if (!out->len)
		buf_append_char(out, '-');
	buf_append_char(out, '\0');
	return out->ptr;
}

static const char *trait_of(struct world *world, const char *id, const char *key, struct buf *out)
{
	const struct persons *persons = store_persons(world->store);
	uint32_t actor = persons_find_any(persons, slice_from(id));
	struct buf scratch = { 0 };
	struct prop value = { .kind = PROP_NONE };

	buf_reset(out);
	if (actor)
		value = persons_trait(persons, persons_leaders(persons)[actor], slice_from(key),
				      &scratch);
	prop_print(&value, out);
	if (!out->len)
		buf_append_char(out, '-');
	buf_append_char(out, '\0');
	buf_close(&scratch);
	return out->ptr;
}

static void test_columns(struct tap *tap, struct world *world, struct buf *out)
{
	text(world, ENRICHED_AGENT_BROWSER, "Firefox");
	world->fields[ENRICHED_GEO_ASN] = value_num(3320);
	OK(tap, take(world, "track", "c1", NULL,
		     "{\"plan\":\"pro\",\"cart\":{\"n\":2},\"$browser\":\"x\",\"$os\":\"own\"}",
		     NULL) == 1, "a record is taken");
	OK(tap, strcmp(value_of(world, 'u', "c1", "$browser", out), "Firefox") == 0,
	   "the record's own word counts");
	OK(tap, strcmp(value_of(world, 'u', "c1", "$os", out), "own") == 0, "else the property's");
	OK(tap, strcmp(value_of(world, 'u', "c1", "$asn", out), "3320") == 0, "a number");
	OK(tap, strcmp(value_of(world, 'u', "c1", "cart.n", out), "2") == 0, "flattened");
	OK(tap, strcmp(value_of(world, 'u', "c1", "$time_adjusted", out), "-") == 0, "its time");
	world->fields[ENRICHED_TIMESTAMP] = value_num(NOW_US + INT64_C(7200000000));
	OK(tap, take(world, "track", "c2", NULL, NULL, NULL) == 1 &&
	   strcmp(value_of(world, 'u', "c2", "$time_adjusted", out), "true") == 0, "too late");
	world->fields[ENRICHED_TIMESTAMP] = value_num(5);
	OK(tap, take(world, "track", "c3", NULL, NULL, NULL) == 1 &&
	   strcmp(value_of(world, 'u', "c3", "$time_adjusted", out), "true") == 0, "too early");
	OK(tap, take(world, "track", "c4", NULL, "no JSON", NULL) == 1 &&
	   row_counts(world->taker).left_out == 1 && row_counts(world->taker).adjusted == 2,
	   "what is no JSON is counted");
	world->messages--;
	OK(tap, take(world, "track", "c4", NULL, NULL, NULL) == 0, "a repeat");
}

static void test_persons(struct tap *tap, struct world *world, struct buf *out)
{
	static const struct {
		const char *type, *properties, *traits, *key, *wanted;
	} cases[] = {
		{ "identify", NULL, "{\"plan\":\"pro\",\"a\":{\"b\":1}}", "plan", "pro" },
		{ "identify", NULL, "{\"x\":1}", "a.b", "1" },
		{ "track", "{\"$set\":{\"plan\":\"free\"}}", NULL, "plan", "free" },
		{ "track", "{\"$set_once\":{\"plan\":\"no\",\"first\":\"f\"}}", NULL, "first",
		  "f" },
		{ "track", "{\"$add\":{\"n\":2}}", NULL, "n", "2" },
		{ "identify", NULL, "{\"$add\":{\"n\":3}}", "n", "5" },
		{ "track", "{\"$append\":{\"l\":\"a\"}}", NULL, "l", "[a]" },
		{ "track", "{\"$union\":{\"l\":[\"a\",\"b\"]}}", NULL, "l", "[a, b]" },
		{ "track", "{\"$remove\":{\"l\":\"a\"}}", NULL, "l", "[b]" },
		{ "track", "{\"$unset\":[\"n\",\"first\"]}", NULL, "n", "-" },
		{ "group", NULL, "{\"name\":\"ACME\"}", "group.name", "ACME" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = take(world, cases[i].type, "ann", NULL, cases[i].properties,
			      cases[i].traits);
		const char *got = trait_of(world, "ann", cases[i].key, out);

		OK(tap, rc == 1 && strcmp(got, cases[i].wanted) == 0, "%s %s: %s is %s",
		   cases[i].type, cases[i].properties ? cases[i].properties : cases[i].traits,
		   cases[i].key, got);
	}
	OK(tap, strcmp(value_of(world, 'u', "ann", "$add.n", out), "-") == 0,
	   "operations are no properties");
	OK(tap, take(world, "track", NULL, "anon-1", NULL, NULL) == 1 &&
	   take(world, "track", "ann", "anon-1", NULL, NULL) == 1 &&
	   strcmp(trait_of(world, "anon-1", "plan", out), "free") == 0, "both ids: one person");
	text(world, ENRICHED_PREVIOUS_ID, "old-anon");
	OK(tap, take(world, "alias", "ann", NULL, NULL, NULL) == 1 &&
	   strcmp(trait_of(world, "old-anon", "plan", out), "free") == 0, "an alias");
	OK(tap, take(world, "track", "null", NULL, NULL, NULL) == 1, "a junk id is nobody");
	OK(tap, take(world, "identify", "ann", NULL, NULL, "{\"$delete\":true}") == 1 &&
	   strcmp(value_of(world, 'u', "ann", "$event", out), "-") != 0, "a delete waits");
	delete_due(world);
	OK(tap, strcmp(trait_of(world, "ann", "plan", out), "-") == 0 &&
	   strcmp(value_of(world, 'u', "ann", "$event", out), "-") == 0 &&
	   strcmp(value_of(world, 'a', "anon-1", "$event", out), "-") == 0,
	   "a deleted person has neither profile nor events");
	OK(tap, take(world, "track", "ann", NULL, NULL, NULL) == 1, "what comes later begins anew");
}

int main(void)
{
	struct world world = { .messages = 0 };
	int64_t next[BUS_PARTITIONS_MAX];
	const char *temp = getenv("TMPDIR");
	struct store_conf conf = { .dir = world.dir };
	struct err err = { "" };
	struct buf out = { 0 };
	struct tap tap = { 0 };
	char command[300];

	snprintf(world.dir, sizeof(world.dir), "%s/millrace-row-%d", temp ? temp : "/tmp",
		 (int)getpid());
	if (dir_make(world.dir) < 0 || store_open(&world.store, &conf, next, &err) < 0 ||
	    row_taker_open(&world.taker, world.store, &err) < 0)
		return 1;
	test_columns(&tap, &world, &out);
	test_persons(&tap, &world, &out);
	row_taker_close(world.taker);
	store_close(world.store);
	buf_close(&out);
	snprintf(command, sizeof(command), "rm -rf '%s'", world.dir);
	OK(&tap, system(command) == 0, "cleared");
	return tap_end(&tap);
}
