// SPDX-License-Identifier: Apache-2.0
#include "sink/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define AT(field) offsetof(struct sink_conf, field)

static const struct opt options[] = {
	{ "in", OPT_TEXT, AT(in), NULL, 0, 0, "BUS",
	  "topic to read: log:DIR/TOPIC, kafka://HOST:PORT/TOPIC, - (stdin)" },
	{ "bus", OPT_TEXT, AT(bus), NULL, 0, 0, "PREFIX",
	  "stands for PREFIX/enriched and PREFIX/bad where --in and --bad are not given" },
	{ "to", OPT_TEXT, AT(to), NULL, 0, 0, "DEST",
	  "file:DIR[?format=jsonl|jsonl.gz|avro], or NAME of destinations/NAME.yaml" },
	{ "trigger", OPT_TEXT, AT(trigger), NULL, 0, 0, "NAME",
	  "send the messages of triggers/NAME.yaml; --in is the topic members" },
	{ "report-url", OPT_TEXT, AT(report_url), NULL, 0, 0, "URL",
	  "collect's, for the events message_sent and message_failed" },
	{ "report-key", OPT_TEXT, AT(report_key), NULL, 0, 0, "KEY", "write key for that" },
	{ "person", OPT_TEXT, AT(person), NULL, 0, 0, "ID",
	  "trigger preview, test: with this person's profile" },
	{ "address", OPT_TEXT, AT(address), NULL, 0, 0, "ADDRESS",
	  "trigger test: where the email goes" },
	{ "from", OPT_TEXT, AT(from), NULL, 0, 0, "bad",
	  "bad: send the dead letters of that destination once more" },
	{ "from-time", OPT_TEXT, AT(from_time), NULL, 0, 0, "WHEN",
	  "send what was received from then on once more (2026-11-01T00:00:00Z)" },
	{ "to-time", OPT_TEXT, AT(to_time), NULL, 0, 0, "WHEN", "... and before then" },
	{ "dry-run", OPT_FLAG, AT(dry_run), "no", 0, 0, NULL,
	  "print the requests of a named destination, and send nothing" },
	{ "trace", OPT_TEXT, AT(trace), NULL, 0, 0, "MESSAGE_ID",
	  "say what becomes of one event there, and send nothing" },
	{ "state", OPT_TEXT, AT(state), NULL, 0, 0, "DIR",
	  "what was delivered is kept in DIR/NAME [sinks, beside a log's topics]" },
	{ "allow-host", OPT_LIST, AT(allow_hosts), NULL, 0, 0, "HOST",
	  "may have a private address, and http without TLS" },
	{ "ca-file", OPT_TEXT, AT(ca_file), NULL, 0, 0, "FILE",
	  "certificates to trust instead of the system's" },
	{ "grace", OPT_MS, AT(grace_ms), "5s", 0, 600000, "TIME",
	  "how long requests under way may take after SIGTERM" },
	{ "revision", OPT_TEXT, AT(revision), NULL, 0, 0, "TEXT",
	  "no meaning; another one makes `millrace up` start the sink anew" },
	{ "schema", OPT_TEXT, AT(schema), NULL, 0, 0, "NAME",
	  "schema of the records (default: the topic's name where it is one, else enriched)" },
	{ "assign", OPT_TEXT, AT(assign), NULL, 0, 0, "LIST",
	  "partitions to read, such as 0,2-3; all where not given" },
	{ "rotate-records", OPT_COUNT, AT(rotate_records), "100000", 0, INT64_C(1) << 40, "N",
	  "a file ends before each offset that N divides; 0: never for this reason" },
	{ "rotate-bytes", OPT_BYTES, AT(rotate_bytes), "128m", 0, 0, "SIZE",
	  "a file ends after so many bytes before compression; 0: never for this reason" },
	{ "rotate-time", OPT_MS, AT(rotate_time_ms), "0", 0, 0, "TIME",
	  "a file ends where received_at passes a multiple of it; 0: never for this reason" },
	{ "flush-after", OPT_MS, AT(flush_after_ms), "10s", 0, 0, "TIME",
	  "a file ends at the latest so long after its first record came; 0: never" },
	{ "codec", OPT_TEXT, AT(codec), "deflate", 0, 0, "NAME",
	  "of avro files: deflate, zstandard or null" },
	{ "level", OPT_COUNT, AT(level), "0", 0, 19, "N",
	  "compression level; 0: 1 for deflate and gzip, else the codec's" },
	{ "nulls", OPT_FLAG, AT(nulls), "yes", 0, 0, NULL,
	  "JSON lines name every field; --no-nulls: only those that have a value" },
	{ "bad", OPT_TEXT, AT(bad), NULL, 0, 0, "BUS",
	  "where records go that cannot be decoded" },
	{ "until-end", OPT_FLAG, AT(until_end), "no", 0, 0, NULL,
	  "stop at the end of the input as it was at the start" },
	{ "metrics", OPT_TEXT, AT(metrics), NULL, 0, 0, "HOST:PORT", "serve /metrics there" },
	{ "open-time", OPT_MS, AT(open_ms), "0", 0, 24 * 3600 * 1000, "TIME",
	  "wait so long for a broker, then end with 69; 0: for ever" },
	{ "kafka", OPT_LIST, AT(kafka), NULL, 0, 0, "NAME=VALUE", "librdkafka property" },
	{ .name = NULL },
};

static int check(void *ptr, struct err *err)
{
	const struct sink_conf *conf = ptr;

	if (strcmp(conf->codec, "deflate") != 0 && strcmp(conf->codec, "zstandard") != 0 &&
	    strcmp(conf->codec, "null") != 0)
		return err_set(err, -EINVAL, "--codec: '%.40s' is not deflate, zstandard or null",
			       conf->codec);
	if (strcmp(conf->codec, "deflate") == 0 && conf->level > 9)
		return err_set(err, -EINVAL, "--level: deflate has 1 to 9");
	return 0;
}

const struct opt_program sink_program = {
	.name = "sink",
	.summary = "brings the records of a topic to a destination",
	.usage = "  sink --in BUS --to file:DIR[?format=jsonl|jsonl.gz|avro] [OPTION..]\n"
		 "  sink --in BUS --to NAME --config millrace.yaml [OPTION..]\n"
		 "  sink verify DIR\n"
		 "  sink kinds\n"
		 "  sink test NAME --config millrace.yaml\n"
		 "  sink check NAME [FILE] --config millrace.yaml\n"
		 "  sink --trigger NAME --in BUS/members --config millrace.yaml [OPTION..]\n"
		 "  sink triggers\n"
		 "  sink trigger check|preview|test NAME [FILE] --config millrace.yaml",
	.opts = options,
	.check = check,
};
