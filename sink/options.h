/* options - what sink can be told
 *
 * One table (options.c) makes parsing, --help, the `sink:` section of millrace.yaml and --dump.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_OPTIONS_H
#define SINK_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/opt.h"

struct sink_conf {
	const char *in;                 /* NULL: bus/enriched, or - without bus */
	const char *bus;
	const char *to;
	const char *schema;             /* NULL or "": by the topic's name */
	const char *assign;
	const char *bad;
	const char *codec;
	const char *metrics;
	int64_t level;
	int64_t rotate_records;
	int64_t rotate_bytes;
	int64_t rotate_time_ms;
	int64_t flush_after_ms;
	bool nulls;
	bool until_end;
	int64_t open_ms;
	struct opt_list kafka;
	/* of named destinations */
	const char *from;               /* NULL, or "bad" */
	const char *state;
	const char *from_time, *to_time;
	const char *trigger, *report_url, *report_key, *person, *address;
	const char *trace;
	const char *ca_file;
	const char *revision;
	struct opt_list allow_hosts;
	int64_t grace_ms;
	bool dry_run;
};

extern const struct opt_program sink_program;

#endif
