/* options - what aggregate can be told
 *
 * One table (options.c) makes parsing, --help, the `aggregate:` section of millrace.yaml, --dump.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_OPTIONS_H
#define AGGREGATE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/opt.h"

#define OPTIONS_URL_MAX 1024

struct aggregate_conf {
	const char *in;
	const char *out;                /* a prefix */
	const char *bad;
	const char *bus;
	const char *state;
	const char *http;
	const char *port_file;
	const char *reports;
	const char *assign;
	const char *metrics;
	const char *week_start;
	int64_t flush_bytes, retain_ms, names_max;
	bool rebuild;
	int64_t query_threads, query_ms, query_memory;
	int64_t emit_ms, count_cells;
	struct opt_list count_by;
	bool until_end;
	int64_t open_ms;
	struct opt_list kafka;
};

struct aggregate_urls {
	char in[OPTIONS_URL_MAX];
	char out[OPTIONS_URL_MAX];      /* of `counted`; "": nothing is emitted */
	char members[OPTIONS_URL_MAX], funnels[OPTIONS_URL_MAX], deleted[OPTIONS_URL_MAX];
	char bad[OPTIONS_URL_MAX];
};

MUST_CHECK int options_urls(const struct aggregate_conf *conf, struct aggregate_urls *urls,
			    struct err *err);

extern const struct opt_program aggregate_program;

#endif
