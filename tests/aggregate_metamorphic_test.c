// SPDX-License-Identifier: Apache-2.0
/* Answers are a function of the set of events: random streams of several partitions with late
 * events, repeats, ties, aliases, merges and deletes, read in random interleavings with flushes,
 * merges of files and restarts in between, give the answers of one quiet run without repeats. */
#include <stdlib.h>
#include <unistd.h>

#include "aggregate/answer.h"
#include "aggregate/row.h"
#include "lib/dir.h"
#include "lib/record.h"
#include "tests/tap.h"

enum { SEEDS = 30, ORDERS = 5, RECORDS = 220, PARTITIONS = 3, DEVICES = 12, USERS = 5 };

#define BASE_US   INT64_C(1793577600000000)     /* 2026-11-02 */
#define DAY_US    INT64_C(86400000000)
#define SECOND_US INT64_C(1000000)

struct record {
	int partition;
	bool is_repeat, is_delete;
	int64_t time_us, received_us;
	const char *type, *event;
	char user[16], anonymous[16], previous[16], message[16], properties[64], traits[64];
};

static const char *const questions[][2] = {
	{ "trend", "{\"measures\":[{\"event\":\"A\",\"measure\":\"unique\"},{\"event\":\"*\"},"
		   "{\"event\":\"B\",\"measure\":\"sum\",\"prop\":\"n\"},"
		   "{\"event\":\"*\",\"measure\":\"sessions\"}],\"unit\":\"day\",%s" },
	{ "trend", "{\"measures\":[{\"event\":\"*\",\"measure\":\"unique\"}],\"unit\":\"week\","
		   "\"breakdown\":[{\"prop\":\"plan\",\"of\":\"profile\"}],%s" },
	{ "funnel", "{\"steps\":[{\"event\":\"A\"},{\"event\":\"B\"},{\"event\":\"C\"}],"
		    "\"window\":{\"n\":2,\"unit\":\"day\"},\"trend\":\"day\",%s" },
	{ "funnel", "{\"steps\":[{\"event\":\"A\"},{\"event\":\"B\"}],\"count\":\"totals\","
		    "\"breakdown\":{\"prop\":\"n\"},%s" },
	{ "retention", "{\"start\":{\"event\":\"A\"},\"return\":{\"event\":\"*\"},"
		       "\"unit\":\"day\",\"periods\":5,%s" },
	{ "lifecycle", "{\"event\":\"*\",\"unit\":\"day\",%s" },
	{ "stickiness", "{\"event\":\"*\",\"unit\":\"day\",%s" },
	{ "people", "{\"query\":{\"did\":\"A\",\"count\":{\"op\":\">=\",\"n\":2}},"
		    "\"columns\":[\"plan\"],\"sort\":\"$id\"}" },
};

#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static uint32_t below(uint64_t *seed, uint32_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % n;
}

static void make_kind(struct record *r, uint64_t *seed, uint32_t device, bool with_deletes)
{
	static const char *const events[] = { "A", "B", "C" };
	uint32_t kind = below(seed, 100), user = device % USERS;

	r->type = "track";
	r->event = events[below(seed, 3)];
	snprintf(r->properties, sizeof(r->properties), "{\"n\":%u}", below(seed, 4));
	snprintf(r->anonymous, sizeof(r->anonymous), "device-%u", device);
	if (below(seed, 100) < 30)
		snprintf(r->user, sizeof(r->user), "user-%u",
			 below(seed, 10) ? user : below(seed, USERS));
	if (kind >= 85) {
		r->type = "identify";
		r->event = "Identify";
		snprintf(r->traits, sizeof(r->traits), "{\"plan\":\"%s\"}",
			 below(seed, 2) ? "pro" : "free");
	}
	if (kind >= 94) {
		/* from a server: another partition than the device's */
		r->anonymous[0] = '\0';
		snprintf(r->user, sizeof(r->user), "user-%u", user);
	}
	if (kind == 97) {
		r->type = "alias";
		r->event = "Alias";
		snprintf(r->previous, sizeof(r->previous), "device-%u", below(seed, DEVICES));
	}
	if (kind == 98 && below(seed, 3) == 0) {
		r->type = "alias";
		r->event = "Alias";
		snprintf(r->previous, sizeof(r->previous), "user-%u", below(seed, USERS));
		snprintf(r->properties, sizeof(r->properties), "{\"$merge\":true}");
	}
	if (kind == 99 && with_deletes) {
		r->is_delete = true;
		snprintf(r->properties, sizeof(r->properties), "{\"$delete\":true}");
	}
}

/* By what was received: rising. A repeat is a later record of the same message. */
static void make_records(struct record *records, uint64_t *seed, bool with_deletes)
{
	for (int i = 0; i < RECORDS; i++) {
		struct record *r = &records[i];
		int64_t received_us = BASE_US + i * (7 * DAY_US / RECORDS);
		uint32_t device = below(seed, DEVICES);

		if (i > 20 && below(seed, 10) == 0) {
			*r = records[(uint32_t)i - 1 - below(seed, 20)];
			r->is_repeat = true;
			r->received_us = received_us;
			continue;
		}
		*r = (struct record){ .received_us = received_us };
		make_kind(r, seed, device, with_deletes);
		r->time_us = received_us - below(seed, 60) * SECOND_US;
		if (!r->is_delete && below(seed, 5) == 0)
			r->time_us -= below(seed, 5 * 86400) * SECOND_US;
		snprintf(r->message, sizeof(r->message), "m%d", i);
		r->partition = (int)(r->anonymous[0] ? device % PARTITIONS
						      : (device % USERS + 1) % PARTITIONS);
	}
}

struct world {
	char dir[200];
	struct store *store;
	struct row_taker *taker;
	int64_t next[BUS_PARTITIONS_MAX];       /* offsets as a bus would have them */
	int read[PARTITIONS];           /* index into records of the next one of each */
	struct buf answers;
	int late;                       /* questions that did not stop */
};

static void must(int rc, const struct err *err)
{
	if (rc >= 0)
		return;
	printf("Bail out! %s\n", err->text);
	exit(1);
}

static void open_world(struct world *w, bool is_first)
{
	struct store_conf conf = { .dir = w->dir, .flush_bytes = 1024, .partitions = PARTITIONS };
	struct err err = { "" };
	char command[300];

	if (is_first) {
		snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
		if (system(command) || dir_make(w->dir) < 0)
			abort();
	}
	must(store_open(&w->store, &conf, w->next, &err), &err);
	must(row_taker_open(&w->taker, w->store, &err), &err);
	for (int p = 0; p < PARTITIONS; p++)
		w->read[p] = (int)w->next[p];
}

static void close_world(struct world *w)
{
	row_taker_close(w->taker);
	store_close(w->store);
}

static void text(struct value *field, const char *words)
{
	if (words[0])
		*field = value_text(slice_from(words));
}

static void take(struct world *w, const struct record *r)
{
	static struct value fields[ENRICHED_COUNT];
	struct err err = { "" };

	memset(fields, 0, sizeof(fields));
	text(&fields[ENRICHED_TYPE], r->type);
	text(&fields[ENRICHED_EVENT], r->event);
	text(&fields[ENRICHED_SOURCE], "web");
	text(&fields[ENRICHED_MESSAGE_ID], r->message);
	text(&fields[ENRICHED_USER_ID], r->user);
	text(&fields[ENRICHED_ANONYMOUS_ID], r->anonymous);
	text(&fields[ENRICHED_PREVIOUS_ID], r->previous);
	text(&fields[ENRICHED_PROPERTIES], r->properties);
	text(&fields[ENRICHED_TRAITS], r->traits);
	fields[ENRICHED_TIMESTAMP] = value_num(r->time_us);
	fields[ENRICHED_RECEIVED_AT] = value_num(r->received_us);
	must(row_take(w->taker, fields, &err), &err);
}

/* Skips to the next record of a partition; RECORDS: it has no more. */
static int next_of(const struct world *w, const struct record *records, int partition,
		   bool with_repeats)
{
	int i = w->read[partition];

	while (i < RECORDS && (records[i].partition != partition ||
			       (records[i].is_repeat && !with_repeats)))
		i++;
	return i;
}

/* What was received before the slowest partition's next record was read. */
static void do_due(struct world *w, const struct record *records, bool with_repeats)
{
	int64_t through_us = INT64_MAX;
	struct err err = { "" };

	for (int p = 0; p < PARTITIONS; p++) {
		int i = next_of(w, records, p, with_repeats);

		if (i < RECORDS && records[i].received_us <= through_us)
			through_us = records[i].received_us - 1;
	}
	persons_set_through(store_persons(w->store), through_us);
	if (!persons_has_due(store_persons(w->store), through_us))
		return;
	store_change_begin(w->store);
	must(persons_delete_due(store_persons(w->store), through_us), &err);
	must(store_change_end(w->store, &err), &err);
}

/* The partition whose next record was received first, or any; -1: all is read. */
static int pick(const struct world *w, const struct record *records, uint64_t *seed)
{
	int best = -1, first = RECORDS, start = seed ? (int)below(seed, PARTITIONS) : 0;

	for (int k = 0; k < PARTITIONS; k++) {
		int p = (start + k) % PARTITIONS, i = next_of(w, records, p, seed != NULL);

		if (i < RECORDS && seed)
			return p;
		if (i < first) {
			first = i;
			best = p;
		}
	}
	return best;
}

/* Every kind of question keeps its deadline and stops when its client is gone. */
static int ask_late(struct world *w)
{
	static const char *const late[][2] = {
		{ "/v1/query/names", "{\"kind\":\"values\",\"prop\":\"n\"}" },
		{ "/v1/query/names", "{\"kind\":\"properties\",\"event\":\"A\"}" },
		{ "/v1/query/names", "{\"kind\":\"events\"}" },
		{ "/v1/query/trend", "{\"measures\":[{\"event\":\"A\"}]}" },
		{ "/v1/query/trend", "{\"measures\":[{\"event\":\"A\",\"measure\":\"unique\"}]}" },
		{ "/v1/query/funnel", "{\"steps\":[{\"event\":\"A\"}]}" },
		{ "/v1/query/retention",
		  "{\"start\":{\"event\":\"A\"},\"return\":{\"event\":\"*\"}}" },
		{ "/v1/query/people", "{\"query\":{\"did\":\"A\"}}" },
		{ "/v1/query/sessions", "{}" },
		{ "/v1/query/paths", "{\"start\":{\"event\":\"A\"}}" },
		{ "/v1/query/lifecycle", "{\"event\":\"*\"}" },
		{ "/v1/query/stickiness", "{\"event\":\"*\"}" },
	};
	struct progress progress = { .lock = PTHREAD_MUTEX_INITIALIZER,
				     .state.is_caught_up = true };
	struct answer_conf conf = { .store = w->store, .progress = &progress, .threads = 1 };
	struct answer *answer;
	struct err err = { "" };
	int wrong = 0;

	must(answer_open(&answer, &conf, &err), &err);
	for (size_t i = 0; i < 2 * sizeof(late) / sizeof(late[0]); i++) {
		const atomic_bool gone = true;
		struct answer_request request = {
			.method = SLICE("POST"), .path = slice_from(late[i / 2][0]),
			.body = slice_from(late[i / 2][1]), .cancel = i % 2 ? &gone : NULL,
			.deadline_ms = i % 2 ? 0 : 1,
		};
		struct buf out = { 0 };
		const char *type;
		int status = answer_ask(answer, &request, &out, &type);

		if (status != (i % 2 ? 499 : 408)) {
			printf("# %s %s: %d\n", late[i / 2][0], late[i / 2][1], status);
			wrong++;
		}
		buf_close(&out);
	}
	answer_close(answer);
	return wrong;
}

/* While the input of before the start is not read, an answer says so, and no bucket is whole. */
static int ask_behind(struct world *w)
{
	int wrong = 0;

	for (int caught_up = 0; caught_up < 2; caught_up++) {
		struct progress progress = {
			.lock = PTHREAD_MUTEX_INITIALIZER,
			.state = { .is_caught_up = caught_up, .complete_through_us = INT64_MAX },
		};
		struct answer_conf conf = { .store = w->store, .progress = &progress,
					    .threads = 1 };
		struct answer_request request = {
			.method = SLICE("POST"), .path = SLICE("/v1/query/trend"),
			.body = SLICE("{\"measures\":[{\"event\":\"A\"}],\"unit\":\"day\","
				      "\"from\":\"2026-10-26\",\"to\":\"2026-10-27\"}"),
		};
		struct buf out = { 0 };
		struct answer *answer;
		struct err err = { "" };
		const char *type;
		bool says, is_whole;

		must(answer_open(&answer, &conf, &err), &err);
		if (answer_ask(answer, &request, &out, &type) != 200)
			wrong++;
		says = memmem(out.ptr, out.len, "\"catching_up\":true", 18);
		is_whole = memmem(out.ptr, out.len, "\"incomplete\":[false,false]", 26);
		if (says == caught_up || is_whole != caught_up) {
			printf("# caught up %d: %.*s\n", caught_up, (int)out.len, out.ptr);
			wrong++;
		}
		buf_close(&out);
		answer_close(answer);
	}
	return wrong;
}

static void ask_all(struct world *w)
{
	struct progress progress = { .lock = PTHREAD_MUTEX_INITIALIZER,
				     .state.is_caught_up = true };
	struct answer_conf conf = { .store = w->store, .progress = &progress, .threads = 1 };
	struct answer *answer;
	struct err err = { "" };

	must(answer_open(&answer, &conf, &err), &err);
	buf_reset(&w->answers);
	for (size_t q = 0; q < QUESTIONS; q++) {
		struct answer_request request = { .method = SLICE("POST"), .deadline_ms = 0 };
		char path[64], body[600];
		const char *type, *end;
		struct buf out = { 0 };
		int status;

		snprintf(path, sizeof(path), "/v1/query/%s", questions[q][0]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(body, sizeof(body), questions[q][1],
			 "\"from\":\"2026-10-26\",\"to\":\"2026-11-10\"}");
#pragma GCC diagnostic pop
		request.path = slice_from(path);
		request.body = slice_from(body);
		status = answer_ask(answer, &request, &out, &type);
		end = memmem(out.ptr, out.len, ",\"computed_at\"", 14);
		buf_printf(&w->answers, "%d ", status);
		buf_append(&w->answers, out.ptr, end ? (size_t)(end - out.ptr) : out.len);
		buf_append_char(&w->answers, '\n');
		buf_close(&out);
	}
	buf_append_char(&w->answers, '\0');
	answer_close(answer);
}

/* seed NULL: in the order of receipt, without repeats, at once. */
static void play(struct world *w, const struct record *records, uint64_t *seed, bool with_restarts)
{
	struct err err = { "" };
	int partition;

	open_world(w, true);
	while ((partition = pick(w, records, seed)) >= 0) {
		int left = seed ? 1 + (int)below(seed, 30) : RECORDS;

		store_change_begin(w->store);
		/* One partition for a while, as a reader of a bus does. */
		while (left-- && (!seed || below(seed, 8)) && partition >= 0) {
			int i = next_of(w, records, partition, seed != NULL);

			if (i == RECORDS)
				break;
			take(w, &records[i]);
			w->read[partition] = i + 1;
			w->next[partition] = i + 1;
			if (!seed)
				break;
		}
		must(store_change_end(w->store, &err), &err);
		do_due(w, records, seed != NULL);
		must(store_commit(w->store, w->next, PARTITIONS, seed && below(seed, 25) == 0,
				  &err), &err);
		if (seed && with_restarts && below(seed, 12) == 0) {
			close_world(w);
			open_world(w, false);
		}
	}
	ask_all(w);
	w->late += ask_late(w) + ask_behind(w);
	close_world(w);
}

static void show_difference(const char *a, const char *b)
{
	size_t i = 0;

	while (a[i] && a[i] == b[i])
		i++;
	i = i > 60 ? i - 60 : 0;
	printf("# wanted ..%.150s\n# got    ..%.150s\n", a + i, b + i);
}

static int rounds(bool with_deletes)
{
	static struct record records[RECORDS];
	struct world quiet = { .dir = "" }, other;
	const char *temp = getenv("TMPDIR");
	int wrong = 0;

	snprintf(quiet.dir, sizeof(quiet.dir), "%s/millrace-metamorphic-%d", temp ? temp : "/tmp",
		 (int)getpid());
	other = quiet;
	for (uint64_t s = 0; s < SEEDS; s++) {
		uint64_t seed = 20261124 + s;

		make_records(records, &seed, with_deletes);
		play(&quiet, records, NULL, false);
		for (int order = 0; order < ORDERS; order++) {
			play(&other, records, &seed, !with_deletes);
			if (strcmp(quiet.answers.ptr, other.answers.ptr) == 0)
				continue;
			if (wrong++ < 3) {
				printf("# seed %d order %d\n", (int)(20261124 + s), order);
				show_difference(quiet.answers.ptr, other.answers.ptr);
			}
		}
	}
	if (strstr(quiet.answers.ptr, "\n4") || quiet.answers.ptr[0] != '2') {
		printf("# %s\n", quiet.answers.ptr);
		wrong++;
	}
	wrong += quiet.late + other.late;
	buf_close(&quiet.answers);
	buf_close(&other.answers);
	if (rmdir(quiet.dir) < 0) {
		char command[300];

		snprintf(command, sizeof(command), "rm -rf '%s'", quiet.dir);
		wrong += system(command) != 0;
	}
	return wrong;
}

int main(void)
{
	struct tap tap = { 0 };
	int wrong;

	printf("# seeds from 20261124\n");
	wrong = rounds(false);
	OK(&tap, wrong == 0, "%d streams in %d interleavings, restarts: %d differ", SEEDS, ORDERS,
	   wrong);
	wrong = rounds(true);
	OK(&tap, wrong == 0, "the same with deletes: %d differ", wrong);
	return tap_end(&tap);
}
