// SPDX-License-Identifier: Apache-2.0
#include "aggregate/answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "aggregate/answer_csv.h"
#include "aggregate/erase.h"
#include "aggregate/measure.h"
#include "aggregate/person_answer.h"
#include "aggregate/saved.h"
#include "lib/when.h"

#define UNKNOWN_MAX 50
#define NAP_MS      10
#define DELETE_MS   10000               /* how long a delete is waited for */
#define JSON_TYPE   "application/json"
#define CSV_TYPE    "text/csv; charset=utf-8"

struct answer {
	struct answer_conf conf;
	struct json_reader *json;
	/* of the question in work */
	const struct answer_request *request;
	int64_t begun_ms;
	struct progress_state progress;
};

/* A report: one row here, one file measure_NAME.c. */
static const struct {
	const char *name;
	measure_answer_fn *answer;
	const char *csv;                /* the list that a CSV shows */
	bool is_list;                   /* the answer is a list, nothing is added to it */
} measures[] = {
	{ "trend", measure_trend, "series", false },
	{ "funnel", measure_funnel, "steps", false },
	{ "retention", measure_retention, "cohorts", false },
	{ "lifecycle", measure_lifecycle, "series", false },
	{ "stickiness", measure_stickiness, "intervals", false },
	{ "sessions", measure_sessions, "series", false },
	{ "paths", measure_paths, "steps", false },
	{ "people", measure_people, "people", false },
	{ "person", measure_person, "events", false },
	{ "names", measure_names, "", true },
};

#define MEASURES (sizeof(measures) / sizeof(measures[0]))

int answer_open(struct answer **answerp, const struct answer_conf *conf, struct err *err)
{
	struct answer *answer = calloc(1, sizeof(*answer));
	int rc = answer ? 0 : err_set(err, -ENOMEM, "no memory");

	*answerp = NULL;
	if (answer) {
		answer->conf = *conf;
		rc = json_open(&answer->json, err);
	}
	if (rc < 0) {
		answer_close(answer);
		return rc;
	}
	*answerp = answer;
	return 0;
}

void answer_close(struct answer *answer)
{
	if (!answer)
		return;
	json_close(answer->json);
	free(answer);
}

static int put_error(const struct question_error *error, struct buf *out)
{
	buf_reset(out);
	buf_printf(out, "{\"error\":{\"code\":\"%s\",\"at\":", error->code);
	json_write_text(slice_from(error->at), out);
	buf_append_text(out, ",\"message\":");
	json_write_text(slice_from(error->message), out);
	buf_append_text(out, "}}\n");
	return error->status;
}

static int put_simple(int status, const char *code, const char *message, struct buf *out)
{
	struct question_error error = { 0 };

	question_fail(&error, "", code, "%s", message);
	error.status = status;
	return put_error(&error, out);
}

static void put_time(int64_t us, struct buf *out)
{
	char text[WHEN_TEXT_MAX];
	size_t len = when_print(us, 3, text);

	buf_append_char(out, '"');
	buf_append(out, text, len);
	buf_append_char(out, '"');
}

static void put_tail(const struct answer *answer, int64_t now_us, uint64_t scanned,
		     struct buf *out)
{
	buf_append_text(out, ",\"computed_at\":");
	put_time(now_us, out);
	buf_append_text(out, ",\"complete_through\":");
	if (answer->progress.complete_through_us)
		put_time(answer->progress.complete_through_us, out);
	else
		buf_append_text(out, "null");
	if (!answer->progress.is_caught_up)
		buf_append_text(out, ",\"catching_up\":true");
	buf_printf(out, ",\"scanned\":%" PRIu64 ",\"took_ms\":%" PRId64 "}\n", scanned,
		   when_monotonic_ms() - answer->begun_ms);
}

/* Names that nothing has: an empty answer should say why it is empty. */

struct unknown {
	const struct snapshot *snapshot;
	struct slice events[UNKNOWN_MAX], props[UNKNOWN_MAX];
	size_t event_count, prop_count;
	bool of_people;
};

static void add_unknown(struct slice *list, size_t *count, struct slice name)
{
	for (size_t i = 0; i < *count; i++)
		if (slice_eq(list[i], name))
			return;
	if (*count < UNKNOWN_MAX)
		list[(*count)++] = name;
}

static void check_event(struct unknown *unknown, struct slice name)
{
	struct prop value = { .kind = PROP_TEXT, .text = name };

	for (size_t i = 0; i < unknown->snapshot->file_count; i++) {
		const struct column *event = unknown->snapshot->files[i]->event;

		if (event && column_code_of(event, &value))
			return;
	}
	add_unknown(unknown->events, &unknown->event_count, name);
}

struct trait_search {
	struct slice name;
	bool found;
};

static int is_trait(void *ctx, struct slice name, uint32_t count)
{
	struct trait_search *search = ctx;

	(void)count;
	search->found |= slice_eq(search->name, name);
	return 0;
}

static void check_prop(struct unknown *unknown, struct slice name, bool of_profile)
{
	struct trait_search search = { .name = name };

	/* A people query need not say that it means a profile's. */
	if (!of_profile && unknown->of_people)
		of_profile = persons_trait_names(unknown->snapshot->persons, is_trait,
						 &search) == 0 && search.found;
	/* What people have from their events: as good as theirs. */
	if (unknown->of_people && person_is_latest(name))
		of_profile = false;
	/* Some are made when asked: $first_seen, $last_seen, .. */
	if (of_profile && name.ptr[0] == '$')
		return;
	if (of_profile && (persons_trait_names(unknown->snapshot->persons, is_trait, &search) < 0 ||
			   search.found))
		return;
	for (size_t i = 0; !of_profile && i < unknown->snapshot->file_count; i++)
		if (column_find(unknown->snapshot->files[i], name))
			return;
	add_unknown(unknown->props, &unknown->prop_count, name);
}

/* The question was understood: "event" and "prop" are names wherever they stand. */
static void find_unknown(struct unknown *unknown, yyjson_val *node, int depth)
{
	size_t i, count;
	yyjson_val *key, *value;
	struct slice event = json_text(node, "event"), prop = json_text(node, "prop");
	struct slice of = json_text(node, "of");

	if (event.len && !slice_is(event, "*"))
		check_event(unknown, event);
	if (prop.len)
		check_prop(unknown, prop, of.ptr && slice_is(of, "profile"));
	if (!node || depth == JSON_DEPTH_MAX)
		return;
	yyjson_arr_foreach(node, i, count, value)
		find_unknown(unknown, value, depth + 1);
	yyjson_obj_foreach(node, i, count, key, value)
		find_unknown(unknown, value, depth + 1);
}

static void put_names(const char *name, const struct slice *list, size_t count, struct buf *out)
{
	buf_printf(out, "\"%s\":[", name);
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_append_char(out, ',');
		json_write_text(list[i], out);
	}
	buf_append_char(out, ']');
}

static int put_unknown(const struct snapshot *snapshot, yyjson_val *question, bool of_people,
		       struct buf *out)
{
	struct unknown *unknown = calloc(1, sizeof(*unknown));

	if (!unknown)
		return -ENOMEM;
	unknown->snapshot = snapshot;
	unknown->of_people = of_people;
	find_unknown(unknown, question, 0);
	if (unknown->event_count || unknown->prop_count) {
		buf_append_text(out, ",\"unknown\":{");
		put_names("events", unknown->events, unknown->event_count, out);
		buf_append_char(out, ',');
		put_names("properties", unknown->props, unknown->prop_count, out);
		buf_append_char(out, '}');
	}
	free(unknown);
	return 0;
}

/* Questions */

static int ask_measure(struct answer *answer, size_t m, const struct snapshot *snapshot,
		       yyjson_val *question, struct buf *out, struct question_error *error)
{
	struct measure_world world = {
		.snapshot = snapshot, .saved = answer->conf.saved, .now_us = when_now_us(),
		.complete_through_us = answer->progress.is_caught_up
				       ? answer->progress.complete_through_us : 0,
		.threads = answer->conf.threads, .cancel = answer->request->cancel,
		.deadline_ms = answer->request->deadline_ms,
		.memory_max = answer->conf.memory_max,
		.week_start = answer->conf.week_start,
	};
	int rc;

	if (world.saved) {
		world.in_cohort = saved_is_member;
		world.has_cohort = saved_has;
		world.cohort_ctx = world.saved;
	}
	if (!measures[m].is_list)
		buf_append_char(out, '{');
	rc = measures[m].answer(&world, question, out, error);
	/* What comes after the scan takes time, too. */
	if (rc == 0)
		rc = measure_must_stop(&world);
	if (rc == 0 && !measures[m].is_list) {
		rc = put_unknown(snapshot, question, measures[m].answer == measure_people, out);
		put_tail(answer, world.now_us, world.scanned, out);
	}
	if (rc == 0 && out->failed)
		rc = -ENOSPC;
	return rc;
}

/* The JSON that is there becomes CSV. */
static int to_csv(struct answer *answer, size_t m, struct buf *out)
{
	struct buf csv = { .limit = out->limit };
	yyjson_val *root;
	int rc = json_parse(answer->json, buf_slice(out), &root, NULL);

	if (rc == 0) {
		answer_csv(root, measures[m].csv, &csv);
		rc = csv.failed ? -ENOSPC : 0;
	}
	if (rc == 0) {
		buf_reset(out);
		buf_append_slice(out, buf_slice(&csv));
	}
	buf_close(&csv);
	return rc;
}

static bool wants_csv(struct slice accept)
{
	return accept.len >= 8 && memmem(accept.ptr, accept.len, "text/csv", 8) != NULL;
}

static void read_progress(struct answer *answer)
{
	pthread_mutex_lock(&answer->conf.progress->lock);
	answer->progress = answer->conf.progress->state;
	pthread_mutex_unlock(&answer->conf.progress->lock);
}

/* After a start, what came since the last flush is read again: a question waits for that, up to
 * half of its time. Over that the answer says "catching_up" and calls no bucket whole. */
static void wait_for_input(struct answer *answer)
{
	const struct timespec nap = { 0, NAP_MS * 1000000 };
	const atomic_bool *cancel = answer->request->cancel;
	int64_t until = answer->begun_ms;

	until += (answer->request->deadline_ms - until) / 2;
	while (!answer->progress.is_caught_up && !(cancel && atomic_load(cancel)) &&
	       when_monotonic_ms() < until) {
		nanosleep(&nap, NULL);
		read_progress(answer);
	}
}

static int ask_question(struct answer *answer, size_t m, struct buf *out, const char **type)
{
	struct question_error error = { 0 };
	struct err err = { "" };
	struct snapshot snapshot;
	yyjson_val *question;
	int rc = json_parse(answer->json, answer->request->body, &question, &err);

	if (rc < 0) {
		question_fail(&error, "", "bad_json", "%s", err.text);
		return put_error(&error, out);
	}
	wait_for_input(answer);
	rc = store_snapshot(answer->conf.store, &snapshot, &err);
	if (rc == 0) {
		rc = ask_measure(answer, m, &snapshot, question, out, &error);
		snapshot_release(&snapshot);
	}
	if (rc == 0 && wants_csv(answer->request->accept)) {
		rc = to_csv(answer, m, out);
		*type = CSV_TYPE;
	}
	if (rc == 0)
		return 200;
	*type = JSON_TYPE;
	question_fail_scan(&error, rc);
	return put_error(&error, out);
}

/* Deletes */

static int ask_delete(struct answer *answer, struct buf *out)
{
	static const char *const known[] = { "id", NULL };
	struct question_error error = { 0 };
	struct slice id = { NULL, 0 };
	enum erase_fate fate;
	struct err err = { "" };
	yyjson_val *body;
	int64_t until_us;
	int rc = json_parse(answer->json, answer->request->body, &body, &err);

	if (rc < 0)
		rc = question_fail(&error, "", "bad_json", "%s", err.text);
	if (rc == 0)
		rc = question_known(body, "", known, &error);
	if (rc == 0)
		rc = question_text(body, "id", "", PERSON_ID_MAX, &id, &error);
	if (rc == 0 && id.len == 0)
		rc = question_fail(&error, "/id", "missing", "the id of a person is needed");
	if (rc < 0)
		return put_error(&error, out);
	fate = answer->conf.erase ? erase_ask(answer->conf.erase, id, DELETE_MS, &until_us)
				  : ERASE_REFUSED;
	if (fate == ERASE_UNKNOWN)
		return put_simple(404, "not_found", "nobody is known by this id", out);
	if (fate == ERASE_REFUSED)
		return put_simple(503, "not_kept", "the delete could not be kept in the topic "
				  "deleted: see --out, and try again", out);
	buf_append_text(out, "{\"id\":");
	json_write_text(id, out);
	buf_printf(out, ",\"done\":%s,\"received_until\":", fate == ERASE_DONE ? "true" : "false");
	put_time(until_us, out);
	buf_append_text(out, "}\n");
	return fate == ERASE_DONE ? 200 : 202;
}

static int ask_status(struct answer *answer, struct buf *out)
{
	const struct progress_state *state = &answer->progress;
	const struct ledger *ledger = &state->ledger;
	struct store_counts counts = store_counts(answer->conf.store);
	struct snapshot snapshot;
	struct err err = { "" };

	if (store_snapshot(answer->conf.store, &snapshot, &err) < 0)
		return put_simple(503, "no_memory", err.text, out);
	buf_printf(out, "{\"ledger\":{\"in\":%" PRIu64 ",\"out\":%" PRIu64 ",\"bad\":%" PRIu64
		   ",\"duplicate\":%" PRIu64 ",\"filtered\":%" PRIu64 ",\"pending\":%" PRIu64
		   "},\"offsets\":[", ledger->in, ledger->out, ledger->bad, ledger->duplicate,
		   ledger->filtered, ledger->pending);
	for (int p = 0; p < state->partitions; p++)
		buf_printf(out, "%s{\"partition\":%d,\"next\":%" PRId64 ",\"end\":%" PRId64 "}",
			   p ? "," : "", p, state->next[p], state->end[p]);
	buf_printf(out, "],\"persons\":%" PRIu64 ",\"events\":%" PRIu64 ",\"files\":%" PRIu64
		   ",\"images\":%" PRIu64 ",\"file_bytes\":%" PRIu64 ",\"memory_bytes\":%" PRIu64
		   ",\"merges\":%" PRIu64 ",\"emitted\":%" PRIu64,
		   persons_count(snapshot.persons), snapshot.rows, counts.files, counts.images,
		   counts.file_bytes, counts.memory_bytes, counts.merges, state->emitted);
	put_tail(answer, when_now_us(), 0, out);
	snapshot_release(&snapshot);
	return 200;
}

static int route(struct answer *answer, struct buf *out, const char **type)
{
	const struct answer_request *request = answer->request;
	struct slice prefix = SLICE("/v1/query/"), kind = slice_skip(request->path, prefix.len);
	size_t m = 0;

	if (slice_is(request->path, "/v1/status"))
		return slice_is(request->method, "GET") || slice_is(request->method, "HEAD")
		       ? ask_status(answer, out)
		       : put_simple(405, "bad_method", "GET is needed", out);
	if (slice_is(request->path, "/v1/delete"))
		return slice_is(request->method, "POST")
		       ? ask_delete(answer, out)
		       : put_simple(405, "bad_method", "POST is needed", out);
	if (!slice_starts(request->path, prefix))
		return put_simple(404, "not_found", "there is nothing here: see /v1/query/trend, "
				  "/v1/status", out);
	while (m < MEASURES && !slice_is(kind, measures[m].name))
		m++;
	if (m == MEASURES)
		return put_simple(404, "unknown_kind", "there are trend, funnel, retention, "
				  "sessions, lifecycle, stickiness, paths, people, person, names",
				  out);
	if (!slice_is(request->method, "POST"))
		return put_simple(405, "bad_method", "POST is needed", out);
	return ask_question(answer, m, out, type);
}

int answer_ask(struct answer *answer, const struct answer_request *request, struct buf *out,
	       const char **type)
{
	*type = JSON_TYPE;
	answer->request = request;
	answer->begun_ms = when_monotonic_ms();
	read_progress(answer);
	return route(answer, out, type);
}
