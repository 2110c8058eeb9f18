// SPDX-License-Identifier: Apache-2.0
#include "millrace/options.h"

#include <errno.h>

#include "millrace/fetch_geo.h"
#include "millrace/shop.h"

static const struct opt up_opts[] = {
	{ "data", OPT_TEXT, offsetof(struct up_conf, data), NULL, 0, 0, "DIR",
	  "pid file, state and log go here, whatever the file says", },
	{ "stop-after", OPT_MS, offsetof(struct up_conf, stop_ms), "15s", 100, 3600000, "TIME",
	  "how long a program may take to stop before it is killed", },
	{ NULL, OPT_TEXT, 0, NULL, 0, 0, NULL, NULL },
};

const struct opt_program up_program = {
	.name = "up",
	.called = "millrace up",
	.summary = "start and supervise all programs on this machine",
	.usage = "  millrace up [--config millrace.yaml] [--data DIR]",
	.opts = up_opts,
};

const struct opt_program down_program = {
	.name = "down",
	.called = "millrace down",
	.summary = "stop the `up` of a data directory, and wait for its end",
	.usage = "  millrace down [--config millrace.yaml] [--data DIR]",
	.opts = up_opts,
};

static const struct opt query_opts[] = {
	{ "url", OPT_TEXT, offsetof(struct query_conf, url), NULL, 0, 0, "URL",
	  "aggregate's address [from the settings, else http://127.0.0.1:8081]", },
	{ "data", OPT_TEXT, offsetof(struct query_conf, data), NULL, 0, 0, "DIR",
	  "data directory of the `up` to ask", },
	{ "event", OPT_LIST, offsetof(struct query_conf, events), NULL, 0, 0, "NAME",
	  "an event's name, * for any; may be repeated; none: the most frequent ones", },
	{ "measure", OPT_TEXT, offsetof(struct query_conf, measure), "total", 0, 0, "NAME",
	  "of a trend: total, unique, per_user, sum, avg, median, dau, sessions, ..", },
	{ "prop", OPT_TEXT, offsetof(struct query_conf, prop), NULL, 0, 0, "NAME",
	  "the property of sum, avg, min, max, median, p90, distinct, ..", },
	{ "by", OPT_LIST, offsetof(struct query_conf, by), NULL, 0, 0, "PROPERTY",
	  "break down by it, such as $browser; may be repeated", },
	{ "where", OPT_TEXT, offsetof(struct query_conf, where), NULL, 0, 0, "JSON",
	  "only events that this filter lets through", },
	{ "top", OPT_COUNT, offsetof(struct query_conf, top), "12", 1, 1000, "N",
	  "segments at most, the rest is $other", },
	{ "unit", OPT_TEXT, offsetof(struct query_conf, unit), "day", 0, 0, "UNIT",
	  "minute, hour, day, week, month, ..", },
	{ "last", OPT_TEXT, offsetof(struct query_conf, last), NULL, 0, 0, "SPAN",
	  "such as 24h, 7d, 4w [7d, unless --from]", },
	{ "from", OPT_TEXT, offsetof(struct query_conf, from), NULL, 0, 0, "WHEN",
	  "first day (2026-11-01), or instant (2026-11-01T10:00:00Z)", },
	{ "to", OPT_TEXT, offsetof(struct query_conf, to), NULL, 0, 0, "WHEN",
	  "last day, or the instant after", },
	{ "zone", OPT_TEXT, offsetof(struct query_conf, zone), NULL, 0, 0, "ZONE",
	  "IANA time zone of days [UTC]", },
	{ "week-start", OPT_TEXT, offsetof(struct query_conf, week_start), NULL, 0, 0, "DAY",
	  "where weeks begin: monday .. sunday [as aggregate is told: monday]", },
	{ "source", OPT_TEXT, offsetof(struct query_conf, source), NULL, 0, 0, "NAME",
	  "only events of this source", },
	{ "limit", OPT_COUNT, offsetof(struct query_conf, limit), "50", 1, 10000, "N",
	  "names at most", },
	{ "timeout", OPT_MS, offsetof(struct query_conf, timeout_ms), "30s", 1, 3600000, "TIME",
	  "how long to wait for the answer", },
	{ "json", OPT_FLAG, offsetof(struct query_conf, is_json), "no", 0, 0, NULL,
	  "print the answer as it came", },
	{ "csv", OPT_FLAG, offsetof(struct query_conf, is_csv), "no", 0, 0, NULL,
	  "print comma-separated values", },
	{ NULL, OPT_TEXT, 0, NULL, 0, 0, NULL, NULL },
};

static int check_query(void *ctx, struct err *err)
{
	const struct query_conf *conf = ctx;

	if (conf->is_json && conf->is_csv)
		return err_set(err, -EINVAL, "--json and --csv exclude each other");
	if (conf->last && (conf->from || conf->to))
		return err_set(err, -EINVAL, "--last and --from/--to exclude each other");
	if (!conf->from != !conf->to)
		return err_set(err, -EINVAL, "--from and --to go together");
	return 0;
}

const struct opt_program query_program = {
	.name = "query",
	.called = "millrace query",
	.summary = "ask aggregate, and print a table",
	.usage =
		"  millrace query trend [--event NAME].. [--last 7d] [--unit day] [--by PROPERTY]\n"
		"                       [--measure unique]\n"
		"  millrace query funnel --event NAME --event NAME .. [--by PROPERTY]\n"
		"  millrace query retention|lifecycle|stickiness|sessions [--event NAME]..\n"
		"  millrace query events\n"
		"  millrace query KIND JSON|@FILE|-",
	.opts = query_opts,
	.check = check_query,
};

static const struct opt demo_opts[] = {
	{ "dir", OPT_TEXT, offsetof(struct demo_conf, dir), "millrace-demo", 0, 0, "DIR",
	  "where the demo lives; made if it is not there", },
	{ "url", OPT_TEXT, offsetof(struct demo_conf, url), NULL, 0, 0, "URL",
	  "send to a collect that runs already, and start nothing", },
	{ "key", OPT_SECRET, offsetof(struct demo_conf, key), NULL, 0, 0, "KEY",
	  "its write key", },
	{ "rate", OPT_COUNT, offsetof(struct demo_conf, rate), "10", 1, (int64_t)SHOP_RATE_MAX, "N",
	  "events per second, about, after the history", },
	{ "days", OPT_COUNT, offsetof(struct demo_conf, days), "30", 1, 3650, "N",
	  "length of the history", },
	{ "users", OPT_COUNT, offsetof(struct demo_conf, users), "5000", 1, SHOP_USERS_MAX, "N",
	  "visitors in the history, about", },
	{ "seed", OPT_COUNT, offsetof(struct demo_conf, seed), "1", 0, INT64_MAX, "N",
	  "another seed, other visitors", },
	{ "live", OPT_FLAG, offsetof(struct demo_conf, is_live), "yes", 0, 0, NULL,
	  "go on live after the history; --no-live stops there", },
	{ NULL, OPT_TEXT, 0, NULL, 0, 0, NULL, NULL },
};

static int check_demo(void *ctx, struct err *err)
{
	const struct demo_conf *conf = ctx;

	return !conf->url == !conf->key ? 0
		: err_set(err, -EINVAL, "--url and --key go together");
}

const struct opt_program demo_program = {
	.name = "demo",
	.called = "millrace demo",
	.summary = "a simulated shop, sent over HTTP like an SDK's events",
	.usage = "  millrace demo [--dir DIR] [--rate N] [--days N] [--users N]\n"
		 "                [--seed N] [--no-live]\n"
		 "  millrace demo --url http://HOST:PORT --key KEY [--dir DIR] ..",
	.opts = demo_opts,
	.check = check_demo,
};

static const struct opt fetch_geo_opts[] = {
	{ "dir", OPT_TEXT, offsetof(struct fetch_geo_conf, dir), "geo", 0, 0, "DIR",
	  "where the files go; those that are there are left alone", },
	{ "networks", OPT_FLAG, offsetof(struct fetch_geo_conf, has_networks), "no", 0, 0, NULL,
	  "networks (asn), too", },
	{ NULL, OPT_TEXT, 0, NULL, 0, 0, NULL, NULL },
};

const struct opt_program fetch_geo_program = {
	.name = "fetch-geo",
	.summary = "get a free database of places from npm (64 MB)",
	.usage = "  millrace fetch-geo [--dir DIR] [--networks]",
	.opts = fetch_geo_opts,
};
