/* options - the tables of the commands of millrace
 *
 * Each command is a struct opt_program of its own: `millrace COMMAND --help` shows one,
 * `millrace --help` all of them.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_OPTIONS_H
#define MILLRACE_OPTIONS_H

#include <stdbool.h>

#include "lib/opt.h"

struct up_conf {                /* of down, too */
	const char *data;
	int64_t stop_ms;
};

struct query_conf {
	const char *url;
	const char *data;
	struct opt_list events, by;
	const char *prop, *where;
	const char *measure;
	const char *unit;
	const char *last, *from, *to, *zone, *week_start;
	const char *source;
	int64_t limit, top;
	int64_t timeout_ms;
	bool is_json, is_csv;
};

struct demo_conf {
	const char *dir;
	const char *url, *key;
	int64_t rate, days, users, seed;
	bool is_live;
};

extern const struct opt_program up_program, down_program, query_program, demo_program;
extern const struct opt_program fetch_geo_program;

#endif
