// SPDX-License-Identifier: Apache-2.0
#include "collect/receive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "collect/address.h"
#include "collect/basic.h"
#include "collect/door.h"
#include "collect/inflate.h"
#include "collect/page.h"

#define RETRY_429   1           /* seconds */
#define RETRY_503   5
#define LOG_EVERY_MS 1000       /* lines about unknown keys */
#define ORIGIN_MAX  300
#define HEADERS_MAX 768

#define JSON_HEADERS "Content-Type: application/json\r\n" RECEIVE_CORS
#define PREFLIGHT_HEADERS \
	"Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n" \
	"Access-Control-Allow-Headers: authorization, content-type, content-encoding, " \
	"x-retry-count\r\n" \
	"Access-Control-Max-Age: 86400\r\n" RECEIVE_CORS

static const struct door *const doors[] = { &door_segment };

enum receive_count {
	COUNT_EVENTS_IN, COUNT_EVENTS_OUT, COUNT_EVENTS_BAD, COUNT_EVENTS_FILTERED,
	COUNT_EVENTS_PENDING, COUNT_REQUESTS, COUNT_2XX, COUNT_4XX, COUNT_429, COUNT_503,
	COUNT_UNKNOWN_KEYS, COUNT_DISCARDED, COUNT_CONNECTIONS, COUNT_SPOOL_EVENTS,
	COUNT_SPOOL_BYTES, COUNT_SPOOL_REFUSED, COUNTS
};

struct receive {
	struct receive_conf conf;
	struct commit *commit;
	struct source_set *sources;
	struct address_list *proxies;
	struct limit_table *networks;   /* NULL: no limit */
	struct inflate *inflate;
	struct door_job job;
	struct parcel parcel;
	struct buf bundle, text;
	char address[80];
	struct metric *counts[COUNTS];
	int64_t unknown_ms;             /* when one was last logged */
	int64_t unknown_silent;         /* and how many were not, since */
};

/* One request on its way through the functions below. */
struct visit {
	struct receive *receive;
	struct http_request *request;
	const struct door *door;
	int call;
	struct slice client;            /* address */
	bool is_trusted;                /* the peer is a trusted proxy */
	bool echo_origin;
	struct source *source;          /* by the header's key */
	struct slice body;
	struct limit *network;
	int64_t now_ms;
};

static void count(struct receive *receive, enum receive_count which, int64_t n)
{
	metric_bump(receive->counts[which], n);
}

static void add_counts(struct receive *receive, struct metric_set *set)
{
	static const struct {
		enum receive_count count;
		enum metric_kind kind;
		const char *name, *labels, *help;
	} rows[] = {
		{ COUNT_EVENTS_IN, METRIC_COUNTER, "millrace_collect_events_in_total", "",
		  "messages taken in" },
		{ COUNT_EVENTS_OUT, METRIC_COUNTER, "millrace_collect_events_out_total", "",
		  "messages safe in collected" },
		{ COUNT_EVENTS_BAD, METRIC_COUNTER, "millrace_collect_events_bad_total", "",
		  "messages safe in bad" },
		{ COUNT_EVENTS_FILTERED, METRIC_COUNTER, "millrace_collect_events_filtered_total",
		  "", "messages of sources that are switched off" },
		{ COUNT_EVENTS_PENDING, METRIC_GAUGE, "millrace_collect_events_pending", "",
		  "messages not safe yet" },
		{ COUNT_REQUESTS, METRIC_COUNTER, "millrace_collect_requests_total", "",
		  "requests" },
		{ COUNT_2XX, METRIC_COUNTER, "millrace_collect_answers_total", "status=\"2xx\"",
		  "answers" },
		{ COUNT_4XX, METRIC_COUNTER, "millrace_collect_answers_total", "status=\"4xx\"",
		  "answers" },
		{ COUNT_429, METRIC_COUNTER, "millrace_collect_answers_total", "status=\"429\"",
		  "answers" },
		{ COUNT_503, METRIC_COUNTER, "millrace_collect_answers_total", "status=\"503\"",
		  "answers" },
		{ COUNT_UNKNOWN_KEYS, METRIC_COUNTER, "millrace_collect_unknown_keys_total", "",
		  "requests without a known write key" },
		{ COUNT_DISCARDED, METRIC_COUNTER, "millrace_collect_discarded_total", "",
		  "requests with an SDK's own metrics, thrown away" },
		{ COUNT_CONNECTIONS, METRIC_GAUGE, "millrace_collect_connections", "",
		  "open connections" },
		{ COUNT_SPOOL_EVENTS, METRIC_GAUGE, "millrace_collect_spool_events", "",
		  "records in the spool, not in Kafka yet" },
		{ COUNT_SPOOL_BYTES, METRIC_GAUGE, "millrace_collect_spool_bytes", "",
		  "size of the spool on disk" },
		{ COUNT_SPOOL_REFUSED, METRIC_COUNTER, "millrace_collect_spool_refused_total", "",
		  "records that Kafka refused for good, put aside beside the spool" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		receive->counts[rows[i].count] = metric_add(set, rows[i].kind, rows[i].name,
							    rows[i].labels, rows[i].help);
}

/* --- answers --- */

static void count_status(struct receive *receive, int status)
{
	count(receive, status == 429 ? COUNT_429 : status == 503 ? COUNT_503
		       : status >= 400 ? COUNT_4XX : COUNT_2XX, 1);
}

/* retry: seconds of Retry-After; 0: none. */
static void respond(struct receive *receive, struct http_request *request, int status,
		    bool echo_origin, int retry, struct slice body)
{
	struct slice origin = echo_origin ? http_header(request, "Origin") : (struct slice){ 0 };
	char headers[HEADERS_MAX], wait[40] = "";

	count_status(receive, status);
	if (!retry && !origin.len) {
		http_answer(request, status, JSON_HEADERS, body);
		return;
	}
	if (retry)
		snprintf(wait, sizeof(wait), "Retry-After: %d\r\n", retry);
	if (origin.len)
		snprintf(headers, sizeof(headers),
			 "%sContent-Type: application/json\r\n"
			 "Access-Control-Expose-Headers: Retry-After\r\nVary: Origin\r\n"
			 "Access-Control-Allow-Origin: %.*s\r\n",
			 wait, (int)origin.len, origin.ptr);
	else
		snprintf(headers, sizeof(headers), "%s" JSON_HEADERS, wait);
	http_answer(request, status, headers, body);
}

static void refuse(const struct visit *visit, int status, int retry, const char *code,
		   const char *words)
{
	struct receive *receive = visit->receive;
	struct buf *text = &receive->text;

	buf_reset(text);
	buf_append_text(text, "{\"success\":false,\"error\":{\"code\":");
	json_write_text(slice_from(code), text);
	buf_append_text(text, ",\"message\":");
	json_write_text(slice_from(words), text);
	buf_append_text(text, "}}");
	if (receive->conf.options->verbose) {
		struct log_line line;

		log_begin(&line, receive->conf.log, LOG_LEVEL_INFO, "refused");
		log_num(&line, "status", status);
		log_text(&line, "from", visit->client);
		log_text(&line, "path", visit->request->path);
		log_str(&line, "why", words);
		log_end(&line);
	}
	respond(receive, visit->request, status, visit->echo_origin, retry, buf_slice(text));
}

void receive_answer(void *ctx, const struct commit_answer *answer, const char *unsafe)
{
	struct receive *receive = ctx;
	struct visit visit = { .receive = receive,
			       .request = answer->request,
			       .client = answer->request->peer,
			       .echo_origin = answer->echo_origin };
	char text[160];
	int n;

	if (unsafe) {
		refuse(&visit, 503, RETRY_503, "unavailable", unsafe);
	} else if (answer->status != 200) {
		refuse(&visit, answer->status, 0, answer->reason,
		       answer->words ? answer->words : "the body is kept in bad");
	} else {
		n = snprintf(text, sizeof(text), "{\"success\":true");
		if (answer->rejected)
			n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"rejected\":%zu",
				      answer->rejected);
		if (answer->filtered)
			n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"filtered\":%llu,"
				      "\"words\":\"the source is switched off: nothing is kept\"",
				      (unsigned long long)answer->filtered);
		n += snprintf(text + n, sizeof(text) - (size_t)n, "}");
		respond(receive, answer->request, 200, answer->echo_origin, 0,
			(struct slice){ text, (size_t)n });
	}
	free(answer->words);
}

/* --- events --- */

static void unknown_key(struct visit *visit, const char *words)
{
	struct receive *receive = visit->receive;
	struct log_line line;

	count(receive, COUNT_UNKNOWN_KEYS, 1);
	if (visit->now_ms - receive->unknown_ms < LOG_EVERY_MS && receive->unknown_ms) {
		receive->unknown_silent++;
	} else {
		log_begin(&line, receive->conf.log, LOG_LEVEL_WARN, "unknown_key");
		log_text(&line, "from", visit->client);
		log_text(&line, "path", visit->request->path);
		log_num(&line, "not_logged", receive->unknown_silent);
		log_end(&line);
		receive->unknown_ms = visit->now_ms;
		receive->unknown_silent = 0;
	}
	refuse(visit, 401, 0, "unknown_key", words);
}

static void too_many(struct visit *visit, int seconds)
{
	refuse(visit, 429, seconds, "too_many", "too many events just now; try again later");
}

/* Whether commit took it; else it is answered. */
static void hand_over(struct visit *visit, struct commit_answer answer)
{
	struct receive *receive = visit->receive;
	int rc;

	answer.request = visit->request;
	answer.echo_origin = visit->echo_origin;
	rc = commit_parcel(receive->commit, &receive->parcel, &answer);
	if (rc)
		free(answer.words);
	if (rc == -EAGAIN)
		too_many(visit, RETRY_429);
	else if (rc)
		refuse(visit, 503, RETRY_503, "unavailable", commit_error_text(receive->commit));
}

/* DNT (W3C Tracking Preference Expression) and Sec-GPC (Global Privacy Control): "1" is a wish. */
static const char *opt_out_of(const struct http_request *request)
{
	bool dnt = slice_eq(http_header(request, "DNT"), SLICE("1"));
	bool gpc = slice_eq(http_header(request, "Sec-GPC"), SLICE("1"));

	if (dnt)
		return gpc ? "dnt gpc" : "dnt";
	return gpc ? "gpc" : NULL;
}

static void begin_parcel(struct visit *visit)
{
	parcel_begin(&visit->receive->parcel, &(struct parcel_from){
		.door = slice_from(visit->door->name), .ip = visit->client,
		.user_agent = http_header(visit->request, "User-Agent"),
		.opt_out = opt_out_of(visit->request),
		.received_us = visit->request->received_us,
	});
}

/* A body that nothing can be made of. It is kept where its sender is known. */
static void refuse_body(struct visit *visit, int status, const char *reason,
			const struct err *err, struct slice original, const char *format)
{
	struct receive *receive = visit->receive;
	const struct parcel_bad bad = {
		.source = visit->source, .reason = reason, .words = err->text, .at = "",
		.original = original, .format = format,
	};

	if (!visit->source && !receive->conf.options->keep_unknown) {
		refuse(visit, status, 0, reason, err->text);
		return;
	}
	begin_parcel(visit);
	if (parcel_bad(&receive->parcel, &bad)) {
		refuse(visit, 503, RETRY_503, "unavailable", "no memory");
		return;
	}
	hand_over(visit, (struct commit_answer){ .status = status, .rejected = 1, .reason = reason,
						 .words = strdup(err->text) });
}

/* false: answered. */
static bool read_encoding(struct visit *visit)
{
	struct slice encoding = http_header(visit->request, "Content-Encoding");
	struct err err = { "" };
	bool is_zlib;
	int rc;

	visit->body = visit->request->body;
	if (!encoding.len || (encoding.len == 8 && strncasecmp(encoding.ptr, "identity", 8) == 0))
		return true;
	is_zlib = encoding.len == 7 && strncasecmp(encoding.ptr, "deflate", 7) == 0;
	if (!is_zlib && !(encoding.len == 4 && strncasecmp(encoding.ptr, "gzip", 4) == 0) &&
	    !(encoding.len == 6 && strncasecmp(encoding.ptr, "x-gzip", 6) == 0)) {
		refuse(visit, 415, 0, "unknown_encoding",
		       "Content-Encoding must be gzip, deflate or identity");
		return false;
	}
	rc = inflate_body(visit->receive->inflate, visit->request->body, is_zlib, &visit->body,
			  &err);
	if (!rc)
		return true;
	if (rc == -ENOMEM)
		refuse(visit, 503, RETRY_503, "unavailable", err.text);
	else
		refuse_body(visit, rc == -ENOSPC ? 413 : 400,
			    rc == -ENOSPC ? "too_large" : "malformed_encoding", &err,
			    visit->request->body, "http");
	return false;
}

/* The write key of the header, and what it allows. false: answered. */
static bool check_header_key(struct visit *visit)
{
	struct slice origin = http_header(visit->request, "Origin");
	char user[BASIC_USER_MAX];
	struct slice key = basic_user(http_header(visit->request, "Authorization"), user);

	if (!key.len)
		return true;
	visit->source = source_find(visit->receive->sources, key);
	if (!visit->source && !visit->receive->conf.options->keep_unknown) {
		unknown_key(visit, "no source has this write key");
		return false;
	}
	if (visit->source && origin.len && !source_allows(visit->source, origin)) {
		refuse(visit, 403, 0, "origin", "this origin may not send for this source");
		return false;
	}
	return true;
}

/* What can be said before the body is looked at. false: answered. */
static bool check_limits(struct visit *visit)
{
	struct receive *receive = visit->receive;
	int seconds = 0;

	if (receive->networks) {
		visit->network = limit_table_find(receive->networks, visit->client, visit->now_ms);
		seconds = limit_check(visit->network, visit->now_ms);
	}
	if (!seconds && visit->source)
		seconds = limit_check(&visit->source->limit, visit->now_ms);
	if (seconds) {
		too_many(visit, seconds);
		return false;
	}
	if (commit_error(receive->commit)) {
		refuse(visit, 503, RETRY_503, "unavailable", commit_error_text(receive->commit));
		return false;
	}
	return true;
}

/* The sources that the body told of: may the page send, and so much? false: answered. */
static bool check_sources(struct visit *visit)
{
	struct parcel *parcel = &visit->receive->parcel;
	struct slice origin = http_header(visit->request, "Origin");
	struct source *last = NULL;
	int seconds;

	for (size_t i = 0; i < parcel->count; i++) {
		struct source *source = parcel->items[i].source;

		if (!source || source == last)
			continue;
		last = source;
		if (origin.len && origin.len <= ORIGIN_MAX && source->origin_count)
			visit->echo_origin = source_allows(source, origin);
		if (origin.len && !source_allows(source, origin)) {
			refuse(visit, 403, 0, "origin", "this origin may not send for this source");
			return false;
		}
		seconds = limit_check(&source->limit, visit->now_ms);
		if (seconds) {
			too_many(visit, seconds);
			return false;
		}
	}
	for (size_t i = 0; i < parcel->count; i++)
		if (parcel->items[i].source)
			limit_take(&parcel->items[i].source->limit, 1);
	if (visit->network)
		limit_take(visit->network, (int64_t)parcel->count);
	return true;
}

static void read_events(struct visit *visit, struct slice query_key)
{
	struct receive *receive = visit->receive;
	struct door_job *job = &receive->job;
	struct err err = { "" };
	int rc;

	begin_parcel(visit);
	job->call = visit->call;
	job->body = visit->body;
	job->sources = receive->sources;
	job->source = visit->source;
	job->query_key = query_key;
	rc = visit->door->read(job, &err);
	if (rc == -EACCES) {
		unknown_key(visit, "no source has this write key");
		return;
	}
	if (rc == -ENOSPC && !job->reason) {
		err_set(&err, rc, "the events come to more than --buffer-bytes");
		job->reason = "too_large";
	}
	if (rc == -EIO) {
		refuse(visit, 503, RETRY_503, "unavailable", "no random numbers");
		return;
	}
	visit->source = job->source;
	if (rc) {
		refuse_body(visit, rc == -EBADMSG ? 400 : 413, job->reason, &err, visit->body,
			    "json");
		return;
	}
	if (check_sources(visit))
		hand_over(visit, (struct commit_answer){
			.status = 200, .rejected = job->rejected,
			.filtered = visit->receive->parcel.filtered });
}

static void receive_events(struct visit *visit)
{
	struct slice query = http_query(visit->request, "writeKey");
	struct buf key = { .limit = SOURCE_KEY_MAX + 1 };

	if (!check_header_key(visit) || !check_limits(visit) || !read_encoding(visit))
		return;
	if (query.len && (http_unescape(query, &key) || key.failed))
		buf_reset(&key);
	read_events(visit, buf_slice(&key));
	buf_close(&key);
}

/* --- pages --- */

static void receive_settings(struct visit *visit, struct slice key)
{
	struct receive *receive = visit->receive;
	struct slice host = http_header(visit->request, "Host"), protocol = SLICE("http");
	struct slice via = http_header(visit->request, "X-Forwarded-Host");
	const char *url = receive->conf.options->public_url;
	const char *scheme_end = url ? strstr(url, "://") : NULL;

	if (scheme_end) {
		protocol = (struct slice){ url, (size_t)(scheme_end - url) };
		host = slice_from(scheme_end + 3);
		while (host.len && host.ptr[host.len - 1] == '/')
			host.len--;
	} else {
		if (visit->is_trusted && page_host_is_valid(via))
			host = via;
		via = http_header(visit->request, "X-Forwarded-Proto");
		if (visit->is_trusted && slice_is(via, "https"))
			protocol = SLICE("https");
		if (!page_host_is_valid(host))
			host = slice_from(receive->address);
	}
	buf_reset(&receive->text);
	if (page_settings(key, protocol, host, &receive->text))
		refuse(visit, 404, 0, "not_found", "this is no write key");
	else
		respond(receive, visit->request, 200, false, 0, buf_slice(&receive->text));
}

static void receive_bundle(struct visit *visit)
{
	struct receive *receive = visit->receive;

	if (!receive->bundle.len) {
		refuse(visit, 404, 0, "not_found", "no bundle here: --analytics-js names the file "
		       "of @segment/analytics-next, dist/umd/standalone.js");
		return;
	}
	count_status(receive, 200);
	http_answer(visit->request, 200, "Content-Type: application/javascript; charset=utf-8\r\n"
		    "Cache-Control: public, max-age=300\r\n" RECEIVE_CORS,
		    buf_slice(&receive->bundle));
}

static void receive_health(struct visit *visit)
{
	if (commit_error(visit->receive->commit))
		refuse(visit, 503, RETRY_503, "unavailable",
		       commit_error_text(visit->receive->commit));
	else
		respond(visit->receive, visit->request, 200, false, 0,
			SLICE("{\"status\":\"ok\"}"));
}

/* --- routes --- */

static bool find_door(struct visit *visit)
{
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
		visit->call = doors[i]->call(visit->request->path);
		visit->door = doors[i];
		if (visit->call)
			return true;
	}
	return false;
}

static void route(struct visit *visit)
{
	struct http_request *request = visit->request;
	bool is_get = slice_is(request->method, "GET") || slice_is(request->method, "HEAD");
	bool is_post = slice_is(request->method, "POST");
	enum page_kind page;
	struct slice key;

	if (find_door(visit)) {
		if (is_post)
			receive_events(visit);
		else
			refuse(visit, 405, 0, "method", "events are sent with POST");
	} else if (slice_is(request->path, "/v1/m") || slice_is(request->path, "/v1/m/")) {
		count(visit->receive, COUNT_DISCARDED, 1);
		respond(visit->receive, request, 200, false, 0, SLICE("{\"success\":true}"));
	} else if ((page = page_of(request->path, &key)) != PAGE_NONE ||
		   slice_is(request->path, "/healthz")) {
		if (!is_get)
			refuse(visit, 405, 0, "method", "this is read with GET");
		else if (page == PAGE_SETTINGS)
			receive_settings(visit, key);
		else if (page == PAGE_BUNDLE)
			receive_bundle(visit);
		else
			receive_health(visit);
	} else {
		refuse(visit, 404, 0, "not_found", "no such path; events go to /v1/batch, "
		       "/v1/track, /v1/identify, /v1/page, /v1/screen, /v1/group, /v1/alias");
	}
}

void receive_request(void *ctx, struct http_request *request)
{
	struct receive *receive = ctx;
	struct visit visit = { .receive = receive, .request = request,
			       .now_ms = loop_now_ms(receive->conf.loop) };

	count(receive, COUNT_REQUESTS, 1);
	if (slice_is(request->method, "OPTIONS")) {
		count_status(receive, 204);
		http_answer(request, 204, PREFLIGHT_HEADERS, SLICE(""));
		return;
	}
	visit.client = address_client(receive->proxies, request->peer,
				      http_header(request, "X-Forwarded-For"), &visit.is_trusted);
	route(&visit);
}

/* --- the handle --- */

void receive_measure(struct receive *receive, const struct httpd *httpd)
{
	const struct ledger *ledger = commit_ledger(receive->commit);
	struct metric **counts = receive->counts;

	metric_set_value(counts[COUNT_EVENTS_IN], (int64_t)ledger->in);
	metric_set_value(counts[COUNT_EVENTS_OUT], (int64_t)ledger->out);
	metric_set_value(counts[COUNT_EVENTS_BAD], (int64_t)ledger->bad);
	metric_set_value(counts[COUNT_EVENTS_FILTERED], (int64_t)ledger->filtered);
	metric_set_value(counts[COUNT_EVENTS_PENDING], (int64_t)ledger->pending);
	metric_set_value(counts[COUNT_CONNECTIONS], httpd_counts(httpd).connections);
	metric_set_value(counts[COUNT_SPOOL_EVENTS], commit_spool_waiting(receive->commit));
	metric_set_value(counts[COUNT_SPOOL_BYTES], commit_spool_bytes(receive->commit));
	metric_set_value(counts[COUNT_SPOOL_REFUSED], commit_spool_refused(receive->commit));
}

int receive_open(struct receive **receivep, const struct receive_conf *conf, struct err *err)
{
	const struct collect_conf *options = conf->options;
	struct receive *receive = calloc(1, sizeof(*receive));
	int rc;

	if (!receive)
		return err_set(err, -ENOMEM, "no memory");
	receive->conf = *conf;
	add_counts(receive, conf->metrics);
	receive->parcel.schemas[PARCEL_OUT] = conf->schemas[PARCEL_OUT];
	receive->parcel.schemas[PARCEL_BAD] = conf->schemas[PARCEL_BAD];
	receive->parcel.bad_max = (size_t)options->bad_max;
	receive->parcel.bytes_max = (size_t)options->buffer_bytes;
	receive->job.json = conf->json;
	receive->job.parcel = &receive->parcel;
	receive->job.message_max = (size_t)options->message_max;
	receive->job.batch_max = (size_t)options->batch_max;
	receive->job.keep_unknown = options->keep_unknown;
	rc = address_list_open(&receive->proxies, &options->trusted_proxies, err);
	if (!rc)
		rc = inflate_open(&receive->inflate, (size_t)options->inflated_max,
				  (size_t)options->inflate_ratio, err);
	if (!rc && options->rate_address)
		rc = limit_table_open(&receive->networks, options->rate_address, err);
	if (!rc)
		rc = receive_load(receive, err);
	if (rc) {
		receive_close(receive);
		return rc;
	}
	*receivep = receive;
	return 0;
}

void receive_close(struct receive *receive)
{
	if (!receive)
		return;
	source_set_close(receive->sources);
	address_list_close(receive->proxies);
	limit_table_close(receive->networks);
	inflate_close(receive->inflate);
	door_job_close(&receive->job);
	parcel_close(&receive->parcel);
	buf_close(&receive->bundle);
	buf_close(&receive->text);
	free(receive);
}

void receive_set_commit(struct receive *receive, struct commit *commit)
{
	receive->commit = commit;
}

void receive_set_address(struct receive *receive, const char *address)
{
	snprintf(receive->address, sizeof(receive->address), "%s", address);
}

void receive_set_sources(struct receive *receive, struct source_set *sources)
{
	source_set_close(receive->sources);
	receive->sources = sources;
}

int receive_load(struct receive *receive, struct err *err)
{
	struct buf bundle = { 0 };
	int rc;

	if (!receive->conf.options->analytics_js)
		return 0;
	rc = page_bundle(receive->conf.options->analytics_js, &bundle, err);
	if (rc) {
		buf_close(&bundle);
		return rc;
	}
	buf_close(&receive->bundle);
	receive->bundle = bundle;
	return 0;
}
