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
	  "file:DIR[?format=jsonl|jsonl.gz|avro]" },
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
		 "  sink verify DIR",
	.opts = options,
	.check = check,
};
