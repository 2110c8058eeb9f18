/* serve - answers over HTTP, on a thread of their own
 *
 *      filter's thread: counts           serve's thread: httpd -> answer_ask -> body
 *
 * Reading and answering never wait for each other longer than one question or one record takes.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SERVE_H
#define AGGREGATE_SERVE_H

#include "aggregate/count.h"
#include "aggregate/progress.h"
#include "lib/log.h"

struct serve;
struct store;
struct saved;

/* Binds, writes port_file (may be NULL) and starts the thread. Signals that others should take must
 * be blocked before. Everything is borrowed until serve_close. */
MUST_CHECK int serve_open(struct serve **servep, const char *listen, const char *port_file,
			  struct count *count, struct progress *progress, const struct log *log,
			  struct err *err);
const char *serve_address(const struct serve *serve);
/* What takes the place of serve_open's arguments with the store: serve_open(servep, &conf, err). */
struct serve_conf {
	const char *listen, *port_file; /* port_file may be NULL */
	struct store *store;
	struct saved *saved;            /* cohorts; NULL: none */
	struct progress *progress;
	const struct log *log;
	int threads;                    /* of one question; 0: one per core (--query-threads) */
	int64_t deadline_ms;            /* of one question; 0: 30 s (--query-time) */
	size_t memory_max;              /* of one question; 0: 512 MiB (--query-memory) */
};
/* Ends the thread; questions without an answer are dropped. */
void serve_close(struct serve *serve);

#endif
