// SPDX-License-Identifier: Apache-2.0
#include "millrace/query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "millrace/client.h"
#include "millrace/table.h"

#define QUERY_SERIES_MAX 1000
#define QUERY_BAR_WIDTH  40
#define QUERY_SPARK_WIDTH 60

static void member(struct buf *json, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(json, ",\"%s\":", key);
	json_write_text(slice_from(value), json);
}

/* "7d" as {"n":7,"unit":"day"}. */
static int write_last(const char *text, struct buf *json, struct err *err)
{
	static const struct { char letter; const char *unit; } units[] = {
		{ 'h', "hour" }, { 'd', "day" }, { 'w', "week" }, { 'm', "month" },
	};
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (errno || n < 1 || n > 100000 || end[0] != units[i].letter || end[1])
			continue;
		buf_printf(json, ",\"last\":{\"n\":%ld,\"unit\":\"%s\"}", n, units[i].unit);
		return 0;
	}
	return err_set(err, -EINVAL, "--last: '%.40s' is no span such as 24h, 7d, 4w, 3m", text);
}

/* Range, zone, source and filter, and the closing brace. */
static int write_common(const struct query_conf *conf, struct buf *json, struct err *err)
{
	if (conf->where)
		buf_printf(json, ",\"where\":%s", conf->where);
	member(json, "from", conf->from);
	member(json, "to", conf->to);
	member(json, "zone", conf->zone);
	member(json, "week_start", conf->week_start);
	member(json, "source", conf->source);
	if (!conf->from) {
		int rc = write_last(conf->last ? conf->last : "7d", json, err);

		if (rc)
			return rc;
	}
	buf_append_char(json, '}');
	return json->failed ? -ENOMEM : 0;
}

static void write_breakdown(const struct query_conf *conf, struct buf *json)
{
	for (size_t i = 0; i < conf->by.count; i++) {
		buf_append_text(json, i ? ",{\"prop\":" : ",\"breakdown\":[{\"prop\":");
		json_write_text(slice_from(conf->by.items[i]), json);
		buf_append_text(json, i + 1 == conf->by.count ? "}]" : "}");
	}
}

int query_write_trend(const struct query_conf *conf, struct buf *json, struct err *err)
{
	buf_append_text(json, "{\"unit\":");
	json_write_text(slice_from(conf->unit), json);
	for (size_t i = 0; i < conf->events.count; i++) {
		buf_append_text(json, i ? ",{\"event\":" : ",\"measures\":[{\"event\":");
		json_write_text(slice_from(conf->events.items[i]), json);
		member(json, "measure", conf->measure);
		member(json, "prop", conf->prop);
		buf_append_text(json, i + 1 == conf->events.count ? "}]" : "}");
	}
	write_breakdown(conf, json);
	if (conf->top && conf->top != 12)
		buf_printf(json, ",\"top\":%lld", (long long)conf->top);
	return write_common(conf, json, err);
}

static int write_funnel(const struct query_conf *conf, struct buf *json, struct err *err)
{
	if (conf->events.count < 1)
		return err_set(err, -EINVAL, "query funnel: a --event per step is needed, or a "
			       "question in JSON");
	for (size_t i = 0; i < conf->events.count; i++) {
		buf_append_text(json, i ? ",{\"event\":" : "{\"steps\":[{\"event\":");
		json_write_text(slice_from(conf->events.items[i]), json);
		buf_append_char(json, '}');
	}
	buf_append_char(json, ']');
	if (conf->by.count > 1)
		return err_set(err, -EINVAL, "query funnel: one --by at most");
	if (conf->by.count) {
		buf_append_text(json, ",\"breakdown\":{\"prop\":");
		json_write_text(slice_from(conf->by.items[0]), json);
		buf_append_char(json, '}');
	}
	return write_common(conf, json, err);
}

/* Those that are about one event, or none; retention about two. */
static int write_event(const struct query_conf *conf, const char *kind, struct buf *json,
		       struct err *err)
{
	bool is_retention = strcmp(kind, "retention") == 0;
	size_t most = is_retention ? 2 : 1;

	if (conf->events.count > most)
		return err_set(err, -EINVAL, "query %s: %zu --event at most", kind, most);
	buf_append_text(json, "{\"unit\":");
	json_write_text(slice_from(conf->unit), json);
	/* Who comes back does the same again, where nothing else is said. */
	for (size_t i = 0; i < (is_retention && conf->events.count ? 2 : conf->events.count); i++) {
		const char *event = conf->events.items[i < conf->events.count ? i : 0];

		if (is_retention)
			buf_append_text(json, i ? ",\"return\":{\"event\":"
						: ",\"start\":{\"event\":");
		else
			buf_append_text(json, ",\"event\":");
		json_write_text(slice_from(event), json);
		if (is_retention)
			buf_append_char(json, '}');
	}
	return write_common(conf, json, err);
}

int query_write(const struct query_conf *conf, const char *kind, struct buf *json,
		struct err *err)
{
	if (strcmp(kind, "trend") == 0)
		return query_write_trend(conf, json, err);
	if (strcmp(kind, "funnel") == 0)
		return write_funnel(conf, json, err);
	if (strcmp(kind, "events") == 0) {
		buf_printf(json, "{\"kind\":\"events\",\"limit\":%lld}", (long long)conf->limit);
		return 0;
	}
	if (strcmp(kind, "retention") == 0 || strcmp(kind, "lifecycle") == 0 ||
	    strcmp(kind, "stickiness") == 0 || strcmp(kind, "sessions") == 0)
		return write_event(conf, kind, json, err);
	return err_set(err, -EINVAL, "query %s wants its question in JSON, @FILE or -", kind);
}

bool query_is_kind(const char *kind)
{
	static const char *const kinds[] = {
		"trend", "events", "funnel", "retention", "lifecycle", "stickiness", "sessions",
		"paths", "people", "person", "names",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

/* A question as it was given. */
static int read_question(const char *json, struct buf *question, struct err *err)
{
	FILE *file;
	size_t n;

	if (json[0] != '@' && strcmp(json, "-") != 0) {
		buf_append_text(question, json);
		return 0;
	}
	file = json[0] == '@' ? fopen(json + 1, "re") : stdin;
	if (!file)
		return err_set(err, -errno, "%s: %s", json + 1, strerror(errno));
	while (buf_reserve(question, 65536) &&
	       (n = fread(question->ptr + question->len, 1, 65536, file)) > 0)
		question->len += n;
	if (file != stdin)
		fclose(file);
	return question->failed ? err_set(err, -ENOMEM, "the question is too long") : 0;
}

/* A number or text as it stands in the answer. */
static struct slice literal(yyjson_val *value)
{
	return json_is_num(value) ? json_digits(value) : json_string(value);
}

/* "Product Viewed", or "Product Viewed: Chrome / DE" with its segment. */
static void write_label(yyjson_val *series, struct buf *out)
{
	yyjson_val *segment = json_get(series, "segment");
	struct slice name = json_text(series, "event");
	size_t i, count;
	yyjson_val *part;

	buf_reset(out);
	if (!name.ptr)
		name = json_text(series, "name");
	buf_append_slice(out, name.ptr ? name : SLICE("(all)"));
	if (!yyjson_is_arr(segment))
		return;
	yyjson_arr_foreach(segment, i, count, part) {
		buf_append_text(out, i ? " / " : ": ");
		buf_append_slice(out, literal(part));
	}
}

struct trend {
	yyjson_val *buckets, *series;
	struct buf label, cell;
	double *values;                 /* of the series in hand; owned */
	size_t bucket_count;
	double most;
};

static void read_values(struct trend *trend, yyjson_val *series)
{
	yyjson_val *values = json_get(series, "values");

	trend->most = 0;
	for (size_t i = 0; i < trend->bucket_count; i++) {
		trend->values[i] = 0;
		if (json_real(yyjson_arr_get(values, i), &trend->values[i]))
			trend->values[i] = 0;
		if (trend->values[i] > trend->most)
			trend->most = trend->values[i];
	}
}

/* One series: a line per bucket, with bars. A bucket that is not over has a star. */
static void print_one(struct trend *trend, yyjson_val *series, struct buf *out)
{
	yyjson_val *values = json_get(series, "values");
	yyjson_val *incomplete = json_get(series, "incomplete");
	struct table table = { .columns = 3, .is_right = { false, true, false } };

	read_values(trend, series);
	write_label(series, &trend->label);
	table_cell(&table, SLICE(""));
	table_cell(&table, buf_slice(&trend->label));
	table_cell(&table, SLICE(""));
	for (size_t i = 0; i < trend->bucket_count; i++) {
		buf_reset(&trend->cell);
		buf_append_slice(&trend->cell, json_string(yyjson_arr_get(trend->buckets, i)));
		if (yyjson_is_true(yyjson_arr_get(incomplete, i)))
			buf_append_char(&trend->cell, '*');
		table_cell(&table, buf_slice(&trend->cell));
		table_cell(&table, literal(yyjson_arr_get(values, i)));
		buf_reset(&trend->cell);
		table_bar(trend->values[i], trend->most, QUERY_BAR_WIDTH, &trend->cell);
		table_cell(&table, buf_slice(&trend->cell));
	}
	table_cell(&table, SLICE("overall"));
	table_cell(&table, literal(json_get(series, "overall")));
	table_cell(&table, SLICE(""));
	table_print(&table, out);
	table_close(&table);
}

/* Several: a line per series, with a sparkline over the buckets. */
static void print_many(struct trend *trend, struct buf *out)
{
	struct table table = { .columns = 3, .is_right = { false, true, false } };
	struct slice first = json_string(yyjson_arr_get_first(trend->buckets));
	struct slice last = json_string(yyjson_arr_get_last(trend->buckets));
	yyjson_val *series;
	size_t i, count;

	buf_reset(&trend->cell);
	buf_append_slice(&trend->cell, first);
	buf_append_text(&trend->cell, " .. ");
	buf_append_slice(&trend->cell, last);
	table_cell(&table, SLICE("event"));
	table_cell(&table, SLICE("overall"));
	table_cell(&table, buf_slice(&trend->cell));
	yyjson_arr_foreach(trend->series, i, count, series) {
		read_values(trend, series);
		write_label(series, &trend->label);
		table_cell(&table, buf_slice(&trend->label));
		table_cell(&table, literal(json_get(series, "overall")));
		buf_reset(&trend->cell);
		table_spark(trend->values, trend->bucket_count, QUERY_SPARK_WIDTH, &trend->cell);
		table_cell(&table, buf_slice(&trend->cell));
	}
	table_print(&table, out);
	table_close(&table);
}

static void print_csv(struct trend *trend, struct buf *out)
{
	yyjson_val *series;
	size_t i, count;

	buf_append_text(out, "bucket");
	yyjson_arr_foreach(trend->series, i, count, series) {
		buf_append_char(out, ',');
		write_label(series, &trend->label);
		table_csv(buf_slice(&trend->label), out);
	}
	buf_append_text(out, "\r\n");
	for (size_t bucket = 0; bucket < trend->bucket_count; bucket++) {
		table_csv(json_string(yyjson_arr_get(trend->buckets, bucket)), out);
		yyjson_arr_foreach(trend->series, i, count, series) {
			buf_append_char(out, ',');
			table_csv(literal(yyjson_arr_get(json_get(series, "values"), bucket)), out);
		}
		buf_append_text(out, "\r\n");
	}
}

int query_print_trend(const struct query_conf *conf, struct slice answer, struct buf *out,
		      struct err *err)
{
	struct json_reader *reader = NULL;
	struct trend trend = { 0 };
	yyjson_val *root;
	int rc;

	if ((rc = json_open(&reader, err)) < 0 || (rc = json_parse(reader, answer, &root, err)) < 0)
		goto out;
	trend.buckets = json_get(root, "buckets");
	trend.series = json_get(root, "series");
	trend.bucket_count = yyjson_arr_size(trend.buckets);
	if (!yyjson_is_arr(trend.buckets) || !yyjson_is_arr(trend.series)) {
		rc = err_set(err, -EBADMSG, "the answer has no buckets and series");
		goto out;
	}
	trend.values = calloc(trend.bucket_count + 1, sizeof(*trend.values));
	if (!trend.values)
		rc = err_set(err, -ENOMEM, "no memory for the answer");
	else if (conf->is_csv)
		print_csv(&trend, out);
	else if (yyjson_arr_size(trend.series) == 0)
		buf_append_text(out, "no events in that time\n");
	else if (yyjson_arr_size(trend.series) == 1)
		print_one(&trend, yyjson_arr_get_first(trend.series), out);
	else
		print_many(&trend, out);
out:
	free(trend.values);
	buf_close(&trend.label);
	buf_close(&trend.cell);
	json_close(reader);
	return rc;
}

int query_print_names(const struct query_conf *conf, struct slice answer, struct buf *out,
		      struct err *err)
{
	struct table table = { .columns = 2, .is_right = { false, true } };
	struct json_reader *reader = NULL;
	yyjson_val *root, *names, *name;
	size_t i, count;
	int rc;

	if ((rc = json_open(&reader, err)) < 0 || (rc = json_parse(reader, answer, &root, err)) < 0)
		goto out;
	names = yyjson_is_arr(root) ? root : json_get(root, "names");
	if (!yyjson_is_arr(names)) {
		rc = err_set(err, -EBADMSG, "the answer has no names");
		goto out;
	}
	if (conf->is_csv)
		buf_append_text(out, "event,count\r\n");
	yyjson_arr_foreach(names, i, count, name) {
		if (conf->is_csv) {
			table_csv(json_text(name, "name"), out);
			buf_append_char(out, ',');
			table_csv(literal(json_get(name, "count")), out);
			buf_append_text(out, "\r\n");
			continue;
		}
		table_cell(&table, json_text(name, "name"));
		table_cell(&table, literal(json_get(name, "count")));
	}
	if (!conf->is_csv && yyjson_arr_size(names) == 0)
		buf_append_text(out, "no events yet\n");
	table_print(&table, out);
out:
	table_close(&table);
	json_close(reader);
	return rc;
}

/* aggregate's words for a status that is not 200. */
static int refuse(int status, struct slice answer, struct err *err)
{
	struct json_reader *reader = NULL;
	struct slice words = { NULL, 0 }, at = { NULL, 0 };
	yyjson_val *root;
	int rc;

	if (json_open(&reader, NULL) == 0 && json_parse(reader, answer, &root, NULL) == 0) {
		words = json_text(json_get(root, "error"), "message");
		at = json_text(json_get(root, "error"), "at");
	}
	rc = status == 408 ? -ETIMEDOUT : status >= 400 && status < 500 ? -EINVAL : -EIO;
	err_set(err, rc, "aggregate refuses (status %d): %.*s%s%.*s", status,
		words.ptr ? (int)(words.len > 150 ? 150 : words.len) : 12,
		words.ptr ? words.ptr : "no words why", at.len ? " at " : "",
		(int)(at.len > 40 ? 40 : at.len), at.len ? at.ptr : "");
	json_close(reader);
	return rc;
}

static bool is_series(const char *kind)
{
	return strcmp(kind, "trend") == 0 || strcmp(kind, "lifecycle") == 0 ||
	       strcmp(kind, "sessions") == 0;
}

/* Lines per bucket are made here, others by aggregate. */
static bool is_server_csv(const struct query_conf *conf, const char *kind)
{
	return conf->is_csv && !is_series(kind) && strcmp(kind, "events") != 0;
}

static int print_answer(const struct query_conf *conf, const char *kind, struct slice answer,
			struct buf *out, struct err *err)
{
	if (conf->is_json || is_server_csv(conf, kind)) {
		buf_append_slice(out, answer);
		if (out->len && out->ptr[out->len - 1] != '\n')
			buf_append_char(out, '\n');
		return 0;
	}
	if (is_series(kind))
		return query_print_trend(conf, answer, out, err);
	if (strcmp(kind, "events") == 0)
		return query_print_names(conf, answer, out, err);
	if (strcmp(kind, "retention") == 0)
		return query_print_retention(answer, out, err);
	return strcmp(kind, "funnel") == 0 ? query_print_funnel(answer, out, err)
					   : query_print_list(kind, answer, out, err);
}

/* Is there a property $NAME? */
static bool has_dollar(struct client *client, struct slice name)
{
	static const struct slice ask = { "{\"kind\":\"properties\"}", 21 };
	struct json_reader *reader = NULL;
	struct buf answer = { 0 };
	yyjson_val *root = NULL, *names, *each;
	bool found = false;
	size_t i, count;

	if (client_send(client, "/v1/query/names", ask, &answer, NULL, NULL) == 200 &&
	    json_open(&reader, NULL) == 0 &&
	    json_parse(reader, buf_slice(&answer), &root, NULL) == 0) {
		names = yyjson_is_arr(root) ? root : json_get(root, "names");
		yyjson_arr_foreach(names, i, count, each) {
			struct slice text = json_text(each, "name");

			found |= text.len == name.len + 1 && text.ptr[0] == '$' &&
				 slice_eq(slice_skip(text, 1), name);
		}
	}
	json_close(reader);
	buf_close(&answer);
	return found;
}

static void note_names(struct client *client, yyjson_val *names, bool of_events, struct buf *notes)
{
	yyjson_val *each;
	size_t i, count;

	yyjson_arr_foreach(names, i, count, each) {
		struct slice name = json_string(each);
		size_t begin = notes->len;

		buf_printf(notes, "no event %s '%.*s'", of_events ? "is called" : "has a property",
			   (int)(name.len > 200 ? 200 : name.len), name.ptr ? name.ptr : "");
		if (of_events)
			buf_append_text(notes, " (`millrace query events` lists the names)");
		else if (has_dollar(client, name))
			buf_printf(notes, ": did you mean $%.*s ?", (int)name.len, name.ptr);
		for (size_t at = begin; at < notes->len; at++)
			if ((unsigned char)notes->ptr[at] < ' ')
				notes->ptr[at] = '?';
		buf_append_char(notes, '\n');
	}
}

/* What aggregate does not know is no error, but worth a line. */
static void note_unknown(struct client *client, struct slice answer, struct buf *notes)
{
	struct json_reader *reader = NULL;
	yyjson_val *root = NULL, *unknown;

	if (json_open(&reader, NULL) == 0 && json_parse(reader, answer, &root, NULL) == 0) {
		unknown = json_get(root, "unknown");
		note_names(client, json_get(unknown, "events"), true, notes);
		note_names(client, json_get(unknown, "properties"), false, notes);
	}
	json_close(reader);
}

int query_run(const struct query_conf *conf, const char *url, const char *kind,
	      const char *json, struct buf *out, struct buf *notes, struct err *err)
{
	bool is_events = strcmp(kind, "events") == 0;
	struct buf question = { 0 }, answer = { 0 };
	struct client *client = NULL;
	char path[64];
	int rc, status;

	snprintf(path, sizeof(path), "/v1/query/%s", is_events ? "names" : kind);
	rc = json ? read_question(json, &question, err) : query_write(conf, kind, &question, err);
	if (rc < 0)
		goto out;
	if ((rc = client_open(&client, url, NULL, conf->timeout_ms, err)) < 0 ||
	    (is_server_csv(conf, kind) && (rc = client_accept(client, "text/csv")) < 0))
		goto out;
	status = client_send(client, path, buf_slice(&question), &answer, NULL, err);
	if (status < 0)
		rc = status;
	else if (status != 200)
		rc = refuse(status, buf_slice(&answer), err);
	else
		rc = print_answer(conf, kind, buf_slice(&answer), out, err);
	if (rc == 0 && !is_server_csv(conf, kind))
		note_unknown(client, buf_slice(&answer), notes);
out:
	client_close(client);
	buf_close(&question);
	buf_close(&answer);
	return rc;
}
