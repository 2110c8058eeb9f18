/* options - the settings of collect
 *
 * One table (options.c) gives the flags, the keys in millrace.yaml, --help and --dump. The sources
 * with their write keys are no options: source.h reads them from the file. After parsing,
 * options_check derives the topics: an --out or --bad that was given wins over --bus.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_OPTIONS_H
#define COLLECT_OPTIONS_H

#include <stdbool.h>

#include "lib/opt.h"

#define COLLECT_URL_MAX 512

struct collect_conf {
	const char *listen;
	const char *port_file;
	const char *metrics;
	const char *bus, *out, *bad;
	int64_t partitions;
	bool from_stdin;
	const char *source;
	/* limits */
	int64_t body_max, inflated_max, inflate_ratio, message_max, batch_max, bad_max;
	int64_t depth_max;
	int64_t connections_max;
	int64_t header_ms, body_ms, idle_ms, answer_ms;
	int64_t rate_address;
	const char *unknown_key;
	/* who asks, and what they are told */
	struct opt_list trusted_proxies;
	const char *public_url;
	const char *analytics_js;
	/* safety */
	const char *ack;
	const char *spool;
	int64_t spool_after_ms, spool_bytes;
	int64_t commit_ms, buffer_bytes, segment_bytes, retain_bytes, retain_ms, open_ms;
	struct opt_list kafka;
	bool verbose;
	/* derived */
	char out_url[COLLECT_URL_MAX];
	char bad_url[COLLECT_URL_MAX];
	bool keep_unknown;              /* unknown_key is "bad" */
	bool ack_spool;                 /* ack is "spool" */
};

extern const struct opt_program collect_program;

/* opt_program.check: derives, and refuses what does not go together. */
int options_check(void *conf, struct err *err);

#endif
