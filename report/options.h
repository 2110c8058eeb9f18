/* options - what report can be told
 *
 * One table (options.c) makes parsing, --help, the `report:` section of millrace.yaml, --dump.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_OPTIONS_H
#define REPORT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/opt.h"

#define OPTIONS_URL_MAX 1024

struct report_conf {
	const char *config;             /* first: opt.h's has_config */
	const char *listen;
	const char *port_file;
	const char *aggregate;          /* HOST:PORT of its HTTP */
	const char *aggregate_port_file;        /* a file that says it, while it is not known */
	const char *collect;            /* URL that SDKs send to, as users see it */
	const char *in;                 /* enriched */
	const char *bus;
	const char *data;               /* --data of the `up`, for the commands that are run */
	const char *sinks;              /* what sinks say: NAME/status.json */
	const char *dir;                /* reports/, destinations/, triggers/ are in it */
	const char *password_file;
	int64_t live_rows;
	int64_t session_ms;
	int64_t open_ms;
	struct opt_list kafka;
};

/* The enriched topic's URL; "": no live view. */
MUST_CHECK int options_in(const struct report_conf *conf, char url[OPTIONS_URL_MAX],
			  struct err *err);

extern const struct opt_program report_program;

#endif
