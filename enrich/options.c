// SPDX-License-Identifier: Apache-2.0
#include "enrich/enrich.h"

#include <errno.h>
#include <stdio.h>

#include "enrich/chain.h"
#include "lib/bus_url.h"

#define AT(field) offsetof(struct enrich_conf, field)
#define DAY_MS    INT64_C(86400000)

static const struct opt opts[] = {
	{ "in", OPT_TEXT, AT(in), NULL, 0, 0, "BUS",
	  "collected records to read: log:DIR/TOPIC, kafka://HOST:PORT/TOPIC, - (stdin)" },
	{ "out", OPT_TEXT, AT(out), NULL, 0, 0, "BUS",
	  "where enriched records go; - is stdout" },
	{ "bad", OPT_TEXT, AT(bad), NULL, 0, 0, "BUS",
	  "where bad records go; opened at the first one" },
	{ "bus", OPT_TEXT, AT(bus), NULL, 0, 0, "PREFIX",
	  "stands for PREFIX/collected, PREFIX/enriched and PREFIX/bad" },
	{ "assign", OPT_TEXT, AT(assign), NULL, 0, 0, "LIST",
	  "partitions to read, such as 0,2-3; all where not given" },
	{ "group", OPT_TEXT, AT(group), NULL, 0, 0, "NAME",
	  "Kafka consumer group that shares the partitions out" },
	{ "until-end", OPT_FLAG, AT(until_end), "no", 0, 0, NULL,
	  "stop at the end of the input as it is now" },
	{ "dedup-window", OPT_MS, AT(dedup_window_ms), "24h", 1000, 30 * DAY_MS, "TIME",
	  "a message id seen so long ago is new again" },
	{ "step", OPT_LIST, AT(steps), NULL, 0, 0, "NAME[:VALUE]",
	  "one more step behind those of the settings; may be repeated" },
	{ "geoip", OPT_LIST, AT(geoip), NULL, 0, 0, "FILE",
	  "places by address: .mmdb, or a text of ranges; may be repeated" },
	{ "asn", OPT_LIST, AT(asn), NULL, 0, 0, "FILE",
	  "networks by address: .mmdb, or a text of ranges; may be repeated" },
	{ "ua-regexes", OPT_TEXT, AT(ua_regexes), NULL, 0, 0, "FILE",
	  "uap-core's regexes.yaml: browsers, systems, devices" },
	{ "bots", OPT_TEXT, AT(bots), "mark", 0, 0, "ACTION",
	  "what becomes of bots' events: mark, drop or divert (to bad)" },
	{ "bot-list", OPT_LIST, AT(bot_lists), NULL, 0, 0, "FILE",
	  "patterns of more bots; may be repeated" },
	{ "referrers", OPT_LIST, AT(referrers), NULL, 0, 0, "FILE",
	  "sites that people come from, in Snowplow's format; may be repeated" },
	{ "internal-domain", OPT_LIST, AT(internal_domains), NULL, 0, 0, "DOMAIN",
	  "referrers there are internal; may be repeated" },
	{ "public-suffixes", OPT_TEXT, AT(suffixes), NULL, 0, 0, "FILE",
	  "a public_suffix_list.dat" },
	{ "cache", OPT_FLAG, AT(use_cache), "yes", 0, 0, NULL,
	  "keep answers for user agents; the records are the same" },
	{ "from-time", OPT_TEXT, AT(from_time), NULL, 0, 0, "TIME",
	  "only records received from then on: 2026-11-01, 2026-11-01T10:00:00Z" },
	{ "to-time", OPT_TEXT, AT(to_time), NULL, 0, 0, "TIME",
	  "only records received before; stops there" },
	{ "verify", OPT_FLAG, AT(verify), "no", 0, 0, NULL,
	  "write nothing: compute --out anew and compare it, byte for byte" },
	{ "show", OPT_COUNT, AT(show), "10", 0, INT64_C(1) << 40, "N",
	  "of --verify and diff: how many differences are shown" },
	{ "segment-bytes", OPT_BYTES, AT(segment_bytes), "128m", 64 << 10, INT64_C(1) << 40,
	  "SIZE", "of the output log: a new file after so many" },
	{ "retain-bytes", OPT_BYTES, AT(retain_bytes), "0", 0, 0, "SIZE",
	  "of the output log: keep so much of a partition; 0 = all" },
	{ "retain", OPT_MS, AT(retain_ms), "0", 0, 0, "TIME",
	  "of the output log: keep files so long; 0 = for ever" },
	{ "metrics", OPT_TEXT, AT(metrics), NULL, 0, 0, "HOST:PORT",
	  "serve Prometheus metrics there" },
	{ "open-time", OPT_MS, AT(open_ms), "0", 0, 24 * 3600 * 1000, "TIME",
	  "wait so long for a broker, then end with 69; 0: for ever" },
	{ "kafka", OPT_LIST, AT(kafka), NULL, 0, 0, "NAME=VALUE",
	  "a librdkafka property; may be repeated" },
	{ .name = NULL },
};

/* One of several enrichers of a log each own the partitions that they read. */
static const char *own_query(const struct enrich_conf *conf, const char *url)
{
	if (!conf->assign || strspn(conf->assign, "0123456789") != strlen(conf->assign) ||
	    !slice_starts(slice_from(url), SLICE("log:")) || strchr(url, '?'))
		return "";
	return "?partition=";
}

/* The bad topic's partition 1 is enrich's (0 is collect's, 2.. the sinks'). */
int enrich_urls(const struct enrich_conf *conf, struct enrich_urls *urls, struct err *err)
{
	const char *bus = conf->bus;
	const char *bad_query = !bus || slice_starts(slice_from(bus), SLICE("log:"))
					? "?partition=1" : "";
	char out[sizeof(urls->out)];
	const char *query;
	bool fits;

	fits = conf->in ? bus_url_copy(urls->in, sizeof(urls->in), conf->in)
	       : bus    ? bus_url_join(urls->in, sizeof(urls->in), bus, "collected", "")
			: bus_url_copy(urls->in, sizeof(urls->in), "-");
	fits &= conf->out ? bus_url_copy(out, sizeof(out), conf->out)
		: bus     ? bus_url_join(out, sizeof(out), bus, "enriched", "")
			  : bus_url_copy(out, sizeof(out), "-");
	query = fits ? own_query(conf, out) : "";
	fits &= snprintf(urls->out, sizeof(urls->out), "%s%s%s", out, query,
			 query[0] ? conf->assign : "") < (int)sizeof(urls->out);
	fits &= conf->bad ? bus_url_copy(urls->bad, sizeof(urls->bad), conf->bad)
		: bus     ? bus_url_join(urls->bad, sizeof(urls->bad), bus, "bad", bad_query)
			  : bus_url_copy(urls->bad, sizeof(urls->bad), "log:./bad?partition=1");
	return fits ? 0 : err_set(err, -EINVAL, "a bus URL is over 1,000 bytes long");
}

static int check(void *ctx, struct err *err)
{
	const struct enrich_conf *conf = ctx;
	struct enrich_urls urls;
	struct replay replay;
	int rc = enrich_urls(conf, &urls, err);

	if (rc == 0)
		rc = replay_times(&replay, conf->from_time, conf->to_time, err);
	if (rc < 0)
		return rc;
	if (conf->verify && (strcmp(urls.in, "-") == 0 || strcmp(urls.out, "-") == 0))
		return err_set(err, -EINVAL, "--verify needs topics as --in and --out");
	if (conf->assign && conf->assign[0] && conf->group && conf->group[0])
		return err_set(err, -EINVAL, "--assign and --group exclude each other");
	if (strcmp(urls.in, urls.out) == 0 && strcmp(urls.in, "-") != 0)
		return err_set(err, -EINVAL, "--in and --out are the same: %s", urls.in);
	return 0;
}

static int probe(void *ctx, struct err *err)
{
	struct chain *chain = NULL;
	int rc = chain_open(&chain, ctx, err);

	chain_close(chain);
	return rc == -EINVAL || rc == -ENOENT ? -EBADMSG : rc;  /* the settings, no flag */
}

static const char *const trees[] = { "steps", NULL };

const struct opt_program enrich_program = {
	.name = "enrich",
	.summary = "add what can be known to each collected event",
	.usage = "  enrich [--in BUS] [--out BUS] [--bad BUS] [--config FILE] [OPTION..]\n"
		 "  enrich diff A B [OPTION..]      what two versions of a topic differ in",
	.opts = opts,
	.check = check,
	.probe = probe,
	.trees = trees,
	.has_config = true,
};
