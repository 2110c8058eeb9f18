// SPDX-License-Identifier: Apache-2.0
#include "collect/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collect/source.h"
#include "lib/json.h"

#define AT(field) offsetof(struct collect_conf, field)
#define KIB       ((int64_t)1 << 10)
#define MIB       ((int64_t)1 << 20)
#define GIB       ((int64_t)1 << 30)
#define DAY_MS    INT64_C(86400000)

static const struct opt opts[] = {
	{ "listen", OPT_TEXT, AT(listen), "127.0.0.1:8080", 0, 0, "HOST:PORT",
	  "where SDKs send to; port 0 picks one" },
	{ "port-file", OPT_TEXT, AT(port_file), NULL, 0, 0, "FILE",
	  "write HOST:PORT as bound to it" },
	{ "bus", OPT_TEXT, AT(bus), NULL, 0, 0, "PREFIX",
	  "stands for PREFIX/collected and PREFIX/bad; log:data where nothing is given" },
	{ "out", OPT_TEXT, AT(out), NULL, 0, 0, "BUS",
	  "topic of good events: log:DIR/TOPIC, kafka://HOST:PORT/TOPIC, - (stdout)" },
	{ "bad", OPT_TEXT, AT(bad), NULL, 0, 0, "BUS", "topic of bad ones" },
	{ "partitions", OPT_COUNT, AT(partitions), "1", 1, 256, "N", "of a topic that is new" },
	{ "stdin", OPT_FLAG, AT(from_stdin), "no", 0, 0, NULL,
	  "take JSON lines from stdin, end with them" },
	{ "source", OPT_TEXT, AT(source), "stdin", 0, 0, "NAME", "source of what --stdin brings" },
	{ "body-max", OPT_BYTES, AT(body_max), "1m", KIB, 64 * MIB, "SIZE",
	  "largest request body as sent" },
	{ "inflated-max", OPT_BYTES, AT(inflated_max), "8m", KIB, 64 * MIB, "SIZE",
	  "largest body after gunzip" },
	{ "inflate-ratio", OPT_COUNT, AT(inflate_ratio), "500", 0, 2000, "N",
	  "largest ratio of the two, from 1 MiB on; 0 = any" },
	{ "message-max", OPT_BYTES, AT(message_max), "32k", KIB, 512 * KIB, "SIZE",
	  "largest single event; more is bad" },
	{ "depth-max", OPT_COUNT, AT(depth_max), "64", 4, JSON_DEPTH_MAX, "N",
	  "how deep a body's JSON may be nested" },
	{ "batch-max", OPT_COUNT, AT(batch_max), "5000", 1, 100000, "N",
	  "most events of one request" },
	{ "bad-max", OPT_BYTES, AT(bad_max), "256k", KIB, 900 * KIB, "SIZE",
	  "bytes kept of a bad one" },
	{ "connections-max", OPT_COUNT, AT(connections_max), "4096", 1, 1000000, "N",
	  "open connections; then the eldest idle one goes" },
	{ "header-time", OPT_MS, AT(header_ms), "5s", 100, DAY_MS, "TIME",
	  "to send a request's headers in" },
	{ "body-time", OPT_MS, AT(body_ms), "30s", 100, DAY_MS, "TIME",
	  "to send a request's body in" },
	{ "idle-time", OPT_MS, AT(idle_ms), "60s", 100, DAY_MS, "TIME",
	  "until an idle connection is closed" },
	{ "answer-time", OPT_MS, AT(answer_ms), "8s", 100, DAY_MS, "TIME",
	  "until an event that is not safe yet is answered with 503" },
	{ "rate-address", OPT_COUNT, AT(rate_address), "0", 0, 1000000000, "N",
	  "events per second and client network (/24, /56); 0 = any" },
	{ "unknown-key", OPT_TEXT, AT(unknown_key), "reject", 0, 0, "WHAT",
	  "reject: answer 401; bad: keep in the bad topic, answer 200" },
	{ "trusted-proxies", OPT_LIST, AT(trusted_proxies), NULL, 0, 0, "CIDR",
	  "networks whose X-Forwarded-* headers are believed" },
	{ "public-url", OPT_TEXT, AT(public_url), NULL, 0, 0, "URL",
	  "what browsers are told to send to; else the request's own host" },
	{ "analytics-js", OPT_TEXT, AT(analytics_js), NULL, 0, 0, "FILE",
	  "bundle to serve as /analytics.js/v1/KEY/analytics.min.js" },
	{ "ack", OPT_TEXT, AT(ack), "broker", 0, 0, "WHERE",
	  "broker: answer when the bus has it; spool: when the spool has" },
	{ "spool", OPT_TEXT, AT(spool), NULL, 0, 0, "DIR",
	  "keep events there while Kafka is away or slow" },
	{ "spool-after", OPT_MS, AT(spool_after_ms), "1500ms", 10, DAY_MS, "TIME",
	  "how long Kafka may take before the spool does" },
	{ "spool-bytes", OPT_BYTES, AT(spool_bytes), "10g", MIB, 1024 * GIB, "SIZE",
	  "largest size of the spool; then 503" },
	{ "commit-time", OPT_MS, AT(commit_ms), "5ms", 1, 10000, "TIME",
	  "least time between two commits" },
	{ "buffer-bytes", OPT_BYTES, AT(buffer_bytes), "16m", 2 * MIB, GIB, "SIZE",
	  "of events not safe yet; then 429" },
	{ "segment-bytes", OPT_BYTES, AT(segment_bytes), "128m", 64 * KIB, 1024 * GIB, "SIZE",
	  "of a log: a new file after so many" },
	{ "retain-bytes", OPT_BYTES, AT(retain_bytes), "0", 0, 0, "SIZE",
	  "of a log: keep so much of a partition; 0 = all" },
	{ "retain", OPT_MS, AT(retain_ms), "0", 0, 0, "TIME",
	  "of a log: keep files so long; 0 = for ever" },
	{ "open-time", OPT_MS, AT(open_ms), "0", 0, DAY_MS, "TIME",
	  "how long to wait for Kafka at start without a spool; 0 = for ever" },
	{ "kafka", OPT_LIST, AT(kafka), NULL, 0, 0, "NAME=VALUE",
	  "a librdkafka property; may be repeated" },
	{ "metrics", OPT_TEXT, AT(metrics), NULL, 0, 0, "HOST:PORT",
	  "serve Prometheus metrics there" },
	{ "verbose", OPT_FLAG, AT(verbose), "no", 0, 0, NULL, "log every refused request" },
	{ .name = NULL },
};

static bool is_log(const char *url)
{
	return strncmp(url, "log:", 4) == 0;
}

/* On a log a partition has one writer, so each stage has a partition of `bad`: 0 is collect's,
 * 1 enrich's, 2 and up the sinks'. */
static int join(char *url, const char *prefix, const char *topic, bool one, struct err *err)
{
	size_t len = strlen(prefix);
	int n;

	while (len && prefix[len - 1] == '/')
		len--;
	n = snprintf(url, COLLECT_URL_MAX, "%.*s/%s%s", (int)len, prefix, topic,
		     one && is_log(prefix) ? "?partition=0" : "");
	return n < COLLECT_URL_MAX ? 0 : err_set(err, -EINVAL, "--bus is over %d bytes long",
						 COLLECT_URL_MAX - 30);
}

static int derive(char *url, const char *given, const char *prefix, const char *topic, bool one,
		  struct err *err)
{
	if (!given)
		return join(url, prefix, topic, one, err);
	if (snprintf(url, COLLECT_URL_MAX, "%s", given) >= COLLECT_URL_MAX)
		return err_set(err, -EINVAL, "a bus URL is over %d bytes long",
			       COLLECT_URL_MAX - 1);
	return 0;
}

static int one_of(const char *option, const char *text, const char *no, const char *yes,
		  bool *is_yes, struct err *err)
{
	*is_yes = strcmp(text, yes) == 0;
	if (!*is_yes && strcmp(text, no) != 0)
		return err_set(err, -EINVAL, "--%s: '%.40s' is neither %s nor %s", option, text,
			       no, yes);
	return 0;
}

int options_check(void *ctx, struct err *err)
{
	struct collect_conf *conf = ctx;
	bool bare = !conf->bus && !conf->out;
	const char *out = conf->out, *bad = conf->bad, *bus = conf->bus;
	int rc;

	/* In a shell, `collect --stdin | enrich | sink` needs no settings at all. */
	if (bare && conf->from_stdin)
		out = "-";
	if (!bus && !bad)
		bad = bare && !conf->from_stdin ? NULL : "log:./bad?partition=0";
	if (!bus)
		bus = "log:data";
	if ((rc = derive(conf->out_url, out, bus, "collected", false, err)) ||
	    (rc = derive(conf->bad_url, bad, bus, "bad", true, err)) ||
	    (rc = one_of("unknown-key", conf->unknown_key, "reject", "bad", &conf->keep_unknown,
			 err)) ||
	    (rc = one_of("ack", conf->ack, "broker", "spool", &conf->ack_spool, err)))
		return rc;
	if (!conf->from_stdin && strcmp(conf->out_url, "-") == 0)
		return err_set(err, -EINVAL, "--out - goes with --stdin only");
	if (conf->ack_spool && !conf->spool)
		return err_set(err, -EINVAL, "--ack spool wants --spool DIR");
	if (conf->spool && strncmp(conf->out_url, "kafka://", 8) != 0)
		return err_set(err, -EINVAL, "--spool is for Kafka; --out is %s", conf->out_url);
	if (conf->spool && conf->from_stdin)
		return err_set(err, -EINVAL, "--spool and --stdin exclude each other");
	if (!source_name_is_valid(slice_from(conf->source)))
		return err_set(err, -EINVAL, "--source: '%.40s' is not 1 to %d of a-z 0-9 _ -",
			       conf->source, SOURCE_NAME_MAX);
	return 0;
}

const struct opt_program collect_program = {
	.name = "collect",
	.summary = "take events from SDKs over HTTP, or from stdin, and make them safe",
	.usage = "  collect [--config FILE] [--listen HOST:PORT] [--bus PREFIX] [OPTION..]\n"
		 "  collect --stdin [--source NAME] [--out BUS] [OPTION..]",
	.opts = opts,
	.check = options_check,
};
