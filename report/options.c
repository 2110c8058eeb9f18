// SPDX-License-Identifier: Apache-2.0
#include "report/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AT(field) offsetof(struct report_conf, field)

static const struct opt options[] = {
	{ "listen", OPT_TEXT, AT(listen), "127.0.0.1:8082", 0, 0, "HOST:PORT",
	  "serve the dashboard there; port 0 picks one; others than 127.0.0.1 need "
	  "--password-file" },
	{ "port-file", OPT_TEXT, AT(port_file), NULL, 0, 0, "FILE",
	  "write the HOST:PORT that was bound there" },
	{ "aggregate", OPT_TEXT, AT(aggregate), "127.0.0.1:8081", 0, 0, "HOST:PORT",
	  "where aggregate answers questions" },
	{ "aggregate-port-file", OPT_TEXT, AT(aggregate_port_file), NULL, 0, 0, "FILE",
	  "a file with that HOST:PORT, read when a question cannot be asked" },
	{ "collect", OPT_TEXT, AT(collect), "http://127.0.0.1:8080", 0, 0, "URL",
	  "where SDKs send events, for the snippets on the Sources page" },
	{ "in", OPT_TEXT, AT(in), NULL, 0, 0, "BUS", "enriched records for the live view" },
	{ "bus", OPT_TEXT, AT(bus), NULL, 0, 0, "PREFIX", "stands for PREFIX/enriched" },
	{ "dir", OPT_TEXT, AT(dir), ".", 0, 0, "DIR",
	  "where reports/, destinations/ and triggers/ are, and millrace.yaml" },
	{ "data-dir", OPT_TEXT, AT(data), NULL, 0, 0, "DIR",
	  "the --data of the `millrace up`, where it has one" },
	{ "sinks", OPT_TEXT, AT(sinks), "data/sinks", 0, 0, "DIR",
	  "where sinks keep what they say of themselves, seen from --dir" },
	{ "password-file", OPT_TEXT, AT(password_file), NULL, 0, 0, "FILE",
	  "who may log in; `report passwd FILE NAME viewer|editor` adds a line" },
	{ "live-rows", OPT_COUNT, AT(live_rows), "2000", 10, 100000, "N",
	  "so many of the latest events are kept for the live view" },
	{ "session", OPT_MS, AT(session_ms), "7d", 60000, INT64_C(90) * 86400000, "TIME",
	  "log in again after so long" },
	{ "open-time", OPT_MS, AT(open_ms), "0", 0, 24 * 3600 * 1000, "TIME",
	  "wait so long for a broker, then end with 69; 0: for ever" },
	{ "kafka", OPT_LIST, AT(kafka), NULL, 0, 0, "NAME=VALUE",
	  "a librdkafka property; may be repeated" },
	{ .name = NULL },
};

int options_in(const struct report_conf *conf, char url[OPTIONS_URL_MAX], struct err *err)
{
	size_t len = conf->bus ? strlen(conf->bus) : 0;
	int n;

	while (len && conf->bus[len - 1] == '/')
		len--;
	if (conf->in && conf->in[0])
		n = snprintf(url, OPTIONS_URL_MAX, "%s", conf->in);
	else if (len)
		n = snprintf(url, OPTIONS_URL_MAX, "%.*s/enriched", (int)len, conf->bus);
	else
		n = snprintf(url, OPTIONS_URL_MAX, "%s", "");
	return n < OPTIONS_URL_MAX ? 0
				   : err_set(err, -EINVAL, "a bus URL is over 1,000 bytes long");
}

static int check(void *ctx, struct err *err)
{
	const struct report_conf *conf = ctx;
	char url[OPTIONS_URL_MAX];

	if (strcmp(conf->in ? conf->in : "", "-") == 0)
		return err_set(err, -EINVAL, "--in: the live view needs a topic, not stdin");
	return options_in(conf, url, err);
}

const struct opt_program report_program = {
	.name = "report",
	.summary = "the dashboard: questions, live view, people, destinations, in a browser",
	.usage = "  report --listen HOST:PORT --aggregate HOST:PORT --bus PREFIX [OPTION..]\n"
		 "  report passwd FILE NAME viewer|editor      (asks for the password on stdin)",
	.opts = options,
	.check = check,
	.has_config = true,
};
