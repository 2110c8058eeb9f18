// SPDX-License-Identifier: Apache-2.0
#include "aggregate/count_answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/query.h"
#include "lib/when.h"

struct count_answer {
	struct count *count;
	struct progress *progress;
	struct json_reader *json;
	/* of the question in work */
	int64_t *bounds;                /* owned; QUERY_BUCKETS_MAX + 1 */
	int64_t *values;                /* owned; QUERY_BUCKETS_MAX */
	size_t bucket_count;
	int64_t begun_ms;
	uint64_t scanned;
	struct progress_state state;
};

/* One line of a trend. */
struct series {
	const int *events;
	size_t event_count;
	size_t measure;
	struct slice name;
	bool is_unique;
};

int count_answer_open(struct count_answer **answerp, struct count *count, struct progress *progress,
		struct err *err)
{
	struct count_answer *answer = calloc(1, sizeof(*answer));
	int rc = answer ? 0 : -ENOMEM;

	*answerp = NULL;
	if (answer) {
		answer->count = count;
		answer->progress = progress;
		answer->bounds = calloc(QUERY_BUCKETS_MAX + 1, sizeof(*answer->bounds));
		answer->values = calloc(QUERY_BUCKETS_MAX, sizeof(*answer->values));
		rc = answer->bounds && answer->values ? json_open(&answer->json, err) : -ENOMEM;
	}
	if (rc < 0) {
		count_answer_close(answer);
		return err_set(err, rc, "no memory");
	}
	*answerp = answer;
	return 0;
}

void count_answer_close(struct count_answer *answer)
{
	if (!answer)
		return;
	json_close(answer->json);
	free(answer->bounds);
	free(answer->values);
	free(answer);
}

static int put_error(const struct query_error *error, struct buf *out)
{
	buf_printf(out, "{\"error\":{\"code\":\"%s\",\"at\":", error->code);
	json_write_text(slice_from(error->at), out);
	buf_append_text(out, ",\"message\":");
	json_write_text(slice_from(error->message), out);
	buf_append_text(out, "}}\n");
	return error->status;
}

static int put_simple(int status, const char *code, const char *message, struct buf *out)
{
	struct query_error error = { .status = status, .code = code };

	memcpy(error.message, message, strlen(message) + 1);
	return put_error(&error, out);
}

static int no_memory(struct buf *out)
{
	bool is_long = out->failed;

	buf_reset(out);
	return is_long ? put_simple(413, "too_large",
				    "the answer is too long: ask for fewer buckets "
				    "or events",
				    out)
		       : put_simple(503, "no_memory", "no memory for this question", out);
}

static void put_time(int64_t us, int digits, struct buf *out)
{
	char text[WHEN_TEXT_MAX];
	size_t len = when_print(us, digits, text);

	buf_append_char(out, '"');
	buf_append(out, text, len);
	buf_append_char(out, '"');
}

static void put_tail(const struct count_answer *answer, struct buf *out)
{
	buf_append_text(out, ",\"computed_at\":");
	put_time(when_now_us(), 3, out);
	buf_append_text(out, ",\"complete_through\":");
	if (answer->state.complete_through_us)
		put_time(answer->state.complete_through_us, 3, out);
	else
		buf_append_text(out, "null");
	buf_printf(out, ",\"scanned\":%" PRIu64 ",\"took_ms\":%" PRId64 "}\n", answer->scanned,
		   when_monotonic_ms() - answer->begun_ms);
}

/* trend */

/* The range cut into units; the first and last may be cut short by it. */
static void set_bounds(struct count_answer *answer, const struct query_trend *query)
{
	int64_t at = query->from;
	size_t n = 0;

	while (at < query->to) {
		answer->bounds[n++] = at;
		at = query_unit_start(query->unit, at) + query_unit_hours(query->unit);
	}
	answer->bounds[n] = query->to;
	answer->bucket_count = n;
}

static void put_bucket(const struct query_trend *query, int64_t hour, struct buf *out)
{
	char text[WHEN_TEXT_MAX];

	when_print(query_unit_start(query->unit, hour) * COUNT_HOUR_US, 3, text);
	/* YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SS and Z */
	buf_printf(out, "\"%.*s%s\"", query->unit == QUERY_UNIT_HOUR ? 19 : 10, text,
		   query->unit == QUERY_UNIT_HOUR ? "Z" : "");
}

static void put_buckets(const struct count_answer *answer, const struct query_trend *query,
			struct buf *out)
{
	buf_append_text(out, "{\"buckets\":[");
	for (size_t i = 0; i < answer->bucket_count; i++) {
		if (i)
			buf_append_char(out, ',');
		put_bucket(query, answer->bounds[i], out);
	}
	buf_append_text(out, "],\"series\":[");
}

static int put_series(struct count_answer *answer, const struct series *series, struct buf *out)
{
	struct count_ask ask = { series->events, series->event_count, series->is_unique,
				 answer->bounds, answer->bucket_count };
	int64_t overall;
	int rc = count_series(answer->count, &ask, answer->values, &overall, &answer->scanned);

	if (rc < 0)
		return rc;
	if (out->ptr[out->len - 1] != '[')
		buf_append_char(out, ',');
	buf_printf(out, "{\"measure\":%zu,\"event\":", series->measure);
	json_write_text(series->name, out);
	buf_append_text(out, ",\"segment\":[],\"values\":[");
	for (size_t i = 0; i < answer->bucket_count; i++)
		buf_printf(out, "%s%" PRId64, i ? "," : "", answer->values[i]);
	buf_printf(out, "],\"overall\":%" PRId64 ",\"incomplete\":[", overall);
	for (size_t i = 0; i < answer->bucket_count; i++) {
		bool whole = answer->bounds[i + 1] * COUNT_HOUR_US <=
			     answer->state.complete_through_us;

		buf_append_text(out, i ? (whole ? ",false" : ",true") : whole ? "false" : "true");
	}
	buf_append_text(out, "]}");
	return out->failed ? -ENOMEM : 0;
}

/* all: every event there is. */
static int put_measures(struct count_answer *answer, const struct query_trend *query, const int *all,
			struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < query->measure_count && rc == 0; i++) {
		const struct query_measure *measure = &query->measures[i];
		int event = measure->is_any ? -ENOENT : count_find(answer->count, measure->event);
		struct series series = { .measure = i, .name = measure->event,
					 .is_unique = measure->is_unique };

		if (measure->is_any) {
			series.events = all;
			series.event_count = (size_t)count_names(answer->count);
		} else if (event >= 0) {
			series.events = &event;
			series.event_count = 1;
		}
		rc = put_series(answer, &series, out);
	}
	return rc;
}

static int put_top(struct count_answer *answer, const struct query_trend *query, int *rest,
		   struct buf *out)
{
	struct count_rank *ranks;
	size_t count;
	int rc = count_ranks(answer->count, query->from, query->to, &ranks, &count);

	for (size_t i = 0; i < count && i < query->top && rc == 0; i++) {
		struct series series = { &ranks[i].event, 1, 0,
					 count_name(answer->count, ranks[i].event), false };

		rc = put_series(answer, &series, out);
	}
	if (rc == 0 && count > query->top) {
		struct series series = { rest, count - query->top, 0, SLICE("$other"), false };

		for (size_t i = query->top; i < count; i++)
			rest[i - query->top] = ranks[i].event;
		rc = put_series(answer, &series, out);
	}
	free(ranks);
	return rc;
}

static int ask_trend(struct count_answer *answer, struct slice body, struct buf *out)
{
	struct query_trend query;
	struct query_error error;
	int *events;
	int rc = query_parse_trend(answer->json, body, when_now_us(), &query, &error);

	if (rc < 0)
		return put_error(&error, out);
	set_bounds(answer, &query);
	put_buckets(answer, &query, out);
	count_hold(answer->count);
	events = calloc((size_t)count_names(answer->count) + 1, sizeof(*events));
	for (int i = 0; events && i < count_names(answer->count); i++)
		events[i] = i;
	rc = !events		   ? -ENOMEM
	     : query.measure_count ? put_measures(answer, &query, events, out)
				   : put_top(answer, &query, events, out);
	count_release(answer->count);
	free(events);
	if (rc < 0)
		return no_memory(out);
	buf_append_char(out, ']');
	put_tail(answer, out);
	return 200;
}

/* names */

static int ask_names(struct count_answer *answer, struct slice body, struct buf *out)
{
	struct query_names query;
	struct query_error error;
	struct count_rank *ranks;
	size_t count, named = 0;

	if (query_parse_names(answer->json, body, &query, &error) < 0)
		return put_error(&error, out);
	count_hold(answer->count);
	if (count_ranks(answer->count, INT64_MIN, INT64_MAX, &ranks, &count) < 0)
		count = 0;
	buf_append_char(out, '[');
	for (size_t i = 0; i < count && named < query.limit; i++) {
		struct slice name = count_name(answer->count, ranks[i].event);

		if (!slice_starts(name, query.prefix))
			continue;
		buf_append_text(out, named++ ? ",{\"name\":" : "{\"name\":");
		json_write_text(name, out);
		buf_printf(out, ",\"count\":%" PRId64 ",\"type\":\"event\"}", ranks[i].total);
	}
	count_release(answer->count);
	free(ranks);
	buf_append_text(out, "]\n");
	return 200;
}

/* status */

static int ask_status(struct count_answer *answer, struct buf *out)
{
	const struct progress_state *state = &answer->state;
	const struct ledger *ledger = &state->ledger;

	buf_printf(out, "{\"ledger\":{\"in\":%" PRIu64 ",\"out\":%" PRIu64 ",\"bad\":%" PRIu64
		   ",\"duplicate\":%" PRIu64 ",\"filtered\":%" PRIu64 ",\"pending\":%" PRIu64
		   "},\"offsets\":[", ledger->in, ledger->out, ledger->bad, ledger->duplicate,
		   ledger->filtered, ledger->pending);
	for (int p = 0; p < state->partitions; p++)
		buf_printf(out, "%s{\"partition\":%d,\"next\":%" PRId64 ",\"end\":%" PRId64 "}",
			   p ? "," : "", p, state->next[p], state->end[p]);
	count_hold(answer->count);
	buf_printf(out, "],\"persons\":%" PRIu64 ",\"events\":%" PRIu64 ",\"names\":%d",
		   count_persons(answer->count), count_events(answer->count),
		   count_names(answer->count));
	count_release(answer->count);
	buf_printf(out, ",\"files\":0,\"emitted\":%" PRIu64, state->emitted);
	put_tail(answer, out);
	return 200;
}

int count_answer_ask(struct count_answer *answer, struct slice method, struct slice path, struct slice body,
	       struct buf *out)
{
	static const struct {
		const char *method, *path;
	} routes[] = {
		{ "POST", "/v1/query/trend" },
		{ "POST", "/v1/query/names" },
		{ "GET", "/v1/status" },
	};
	size_t i = 0;

	while (i < 3 && !slice_is(path, routes[i].path))
		i++;
	if (i == 3)
		return slice_starts(path, SLICE("/v1/query/"))
			       ? put_simple(400, "not_supported", "this version answers trend and "
					    "names", out)
			       : put_simple(404, "not_found", "there is nothing here: see "
					    "/v1/query/trend, /v1/query/names, /v1/status", out);
	if (!slice_is(method, routes[i].method) && !(i == 2 && slice_is(method, "HEAD")))
		return put_simple(405, "bad_method", i == 2 ? "GET is needed" : "POST is needed",
				  out);
	answer->begun_ms = when_monotonic_ms();
	answer->scanned = 0;
	pthread_mutex_lock(&answer->progress->lock);
	answer->state = answer->progress->state;
	pthread_mutex_unlock(&answer->progress->lock);
	return i == 0 ? ask_trend(answer, body, out) : i == 1 ? ask_names(answer, body, out)
						      : ask_status(answer, out);
}
