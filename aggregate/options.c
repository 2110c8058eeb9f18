// SPDX-License-Identifier: Apache-2.0
#include "aggregate/options.h"

#include <errno.h>
#include <string.h>

#include "aggregate/count.h"
#include "aggregate/question.h"
#include "lib/bus_url.h"

#define AT(field) offsetof(struct aggregate_conf, field)

static const struct opt options[] = {
	{ "in", OPT_TEXT, AT(in), NULL, 0, 0, "BUS",
	  "enriched records to read: log:DIR/TOPIC, kafka://HOST:PORT/TOPIC, - (stdin)" },
	{ "out", OPT_TEXT, AT(out), NULL, 0, 0, "PREFIX",
	  "PREFIX/counted, members, funnels, deleted; without it and --bus nowhere" },
	{ "bad", OPT_TEXT, AT(bad), NULL, 0, 0, "BUS",
	  "where records go that cannot be decoded" },
	{ "bus", OPT_TEXT, AT(bus), NULL, 0, 0, "PREFIX",
	  "stands for PREFIX/enriched, PREFIX/bad and what --out names" },
	{ "assign", OPT_TEXT, AT(assign), NULL, 0, 0, "LIST",
	  "partitions to read, such as 0,2-3; all where not given" },
	{ "state", OPT_TEXT, AT(state), "state", 0, 0, "DIR",
	  "this aggregate's own directory; it is locked" },
	{ "http", OPT_TEXT, AT(http), "127.0.0.1:8081", 0, 0, "HOST:PORT",
	  "answer questions there; port 0 picks one" },
	{ "port-file", OPT_TEXT, AT(port_file), NULL, 0, 0, "FILE",
	  "write the HOST:PORT that was bound there" },
	{ "reports", OPT_TEXT, AT(reports), "reports", 0, 0, "DIR",
	  "saved queries and funnels, NAME.yaml; read again when they change" },
	{ "flush-bytes", OPT_BYTES, AT(flush_bytes), "128m", 1024, INT64_C(1) << 40, "SIZE",
	  "events in memory are written to a file when they take so much" },
	{ "retain", OPT_MS, AT(retain_ms), "0", 0, INT64_MAX / 1000, "TIME",
	  "events older than that go away; 0: keep all" },
	{ "names-max", OPT_COUNT, AT(names_max), "4096", 16, 65536, "COUNT",
	  "different names of events, and of properties; more are left out" },
	{ "rebuild", OPT_FLAG, AT(rebuild), "no", 0, 0, NULL,
	  "make the state anew from the topic, put it in the old one's place, and end" },
	{ "query-threads", OPT_COUNT, AT(query_threads), "0", 0, 256, "COUNT",
	  "threads of one question; 0: one per core" },
	{ "query-time", OPT_MS, AT(query_ms), "30s", 10, 3600000, "TIME",
	  "a question that takes longer is answered with 408" },
	{ "query-memory", OPT_BYTES, AT(query_memory), "512m", 1 << 20, INT64_C(1) << 40, "SIZE",
	  "a question that needs more is answered with 413" },
	{ "week-start", OPT_TEXT, AT(week_start), "monday", 0, 0, "DAY",
	  "where weeks begin in questions that have no week_start: monday .. sunday" },
	{ "emit-every", OPT_MS, AT(emit_ms), "1s", 10, 86400000, "TIME",
	  "changed counts are emitted at most so often" },
	{ "count-by", OPT_LIST, AT(count_by), NULL, 0, 0, "PROPERTY",
	  "counted also has counts by this property, such as $browser; at most 5" },
	{ "count-cells", OPT_COUNT, AT(count_cells), "4000000", 1000, INT64_C(1) << 32, "COUNT",
	  "cells of counted that are kept right; over that the oldest stay as they are" },
	{ "until-end", OPT_FLAG, AT(until_end), "no", 0, 0, NULL,
	  "stop at the end of the input as it was at the start" },
	{ "metrics", OPT_TEXT, AT(metrics), NULL, 0, 0, "HOST:PORT", "serve /metrics there" },
	{ "open-time", OPT_MS, AT(open_ms), "0", 0, 24 * 3600 * 1000, "TIME",
	  "wait so long for a broker, then end with 69; 0: for ever" },
	{ "kafka", OPT_LIST, AT(kafka), NULL, 0, 0, "NAME=VALUE",
	  "a librdkafka property; may be repeated" },
	{ .name = NULL },
};

/* Nowhere without --out and --bus. */
static bool add(char *url, const char *out, const char *topic)
{
	return out ? bus_url_join(url, OPTIONS_URL_MAX, out, topic, "")
		   : bus_url_copy(url, OPTIONS_URL_MAX, "");
}

/* The bad topic's partition 3 is aggregate's (0 is collect's, 1 enrich's, 2 the sinks'). */
int options_urls(const struct aggregate_conf *conf, struct aggregate_urls *urls, struct err *err)
{
	const char *bus = conf->bus && conf->bus[0] ? conf->bus : NULL;
	const char *out = conf->out && conf->out[0] ? conf->out : bus;
	bool fits = conf->in ? bus_url_copy(urls->in, OPTIONS_URL_MAX, conf->in)
		    : bus    ? bus_url_join(urls->in, OPTIONS_URL_MAX, bus, "enriched", "")
			     : bus_url_copy(urls->in, OPTIONS_URL_MAX, "-");

	fits &= add(urls->out, out, "counted") && add(urls->members, out, "members");
	fits &= add(urls->funnels, out, "funnels") && add(urls->deleted, out, "deleted");
	fits &= conf->bad ? bus_url_copy(urls->bad, OPTIONS_URL_MAX, conf->bad)
		: bus     ? bus_url_join(urls->bad, OPTIONS_URL_MAX, bus, "bad",
				 strncmp(bus, "log:", 4) == 0 ? "?partition=3" : "")
			  : bus_url_copy(urls->bad, OPTIONS_URL_MAX, "log:bad?partition=3");
	return fits ? 0 : err_set(err, -EINVAL, "a bus URL is over 1,000 bytes long");
}

static int check(void *ctx, struct err *err)
{
	const struct aggregate_conf *conf = ctx;
	struct aggregate_urls urls;

	if (conf->count_by.count > COUNT_BY_MAX)
		return err_set(err, -EINVAL, "--count-by: at most %d properties", COUNT_BY_MAX);
	if (question_week_day(slice_from(conf->week_start)) < 0)
		return err_set(err, -EINVAL, "--week-start: '%.40s' is no day such as monday, "
			       "saturday, sunday", conf->week_start);
	if (!conf->state[0])
		return err_set(err, -EINVAL, "--state: a directory is needed");
	return options_urls(conf, &urls, err);
}

const struct opt_program aggregate_program = {
	.name = "aggregate",
	.summary = "keep every person's events, and answer questions about them",
	.usage = "  aggregate --in BUS --state DIR --http HOST:PORT [--out PREFIX] [OPTION..]\n"
		 "  aggregate --rebuild --in BUS --state DIR [OPTION..]\n"
		 "  aggregate check DIR",
	.opts = options,
	.check = check,
};
