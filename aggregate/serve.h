/* serve - answers over HTTP, on threads of their own
 *
 *      httpd's thread: request --> queue --> a worker: answer_ask --> done --> httpd's thread
 *
 * Workers are few, as each question takes all cores by itself (scan.h); a second one lets a short
 * question pass a long one. A question has a deadline from its arrival on (408), a bound of memory
 * (413), and stops when its client goes away. Over QUEUE_MAX waiting: 503.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SERVE_H
#define AGGREGATE_SERVE_H

#include "aggregate/progress.h"
#include "lib/err.h"
#include "lib/log.h"

struct serve;
struct store;
struct saved;
struct erase;

struct serve_conf {
	const char *listen, *port_file; /* port_file may be NULL */
	struct store *store;            /* all borrowed until serve_close */
	struct saved *saved;            /* cohorts; NULL: none */
	struct erase *erase;            /* deletes; NULL: refused */
	struct progress *progress;
	const struct log *log;
	int threads;                    /* of one question; 0: one per core (--query-threads) */
	int64_t deadline_ms;            /* of one question; 0: 30 s (--query-time) */
	int week_start;                 /* days after Monday (--week-start) */
	size_t memory_max;              /* of one question; 0: 512 MiB (--query-memory) */
};

/* Binds, writes port_file and starts the threads. Signals that others should take must be blocked
 * before. */
MUST_CHECK int serve_open(struct serve **servep, const struct serve_conf *conf, struct err *err);
const char *serve_address(const struct serve *serve);
struct serve_counts {
	uint64_t asked;                 /* answered or given up: also those below */
	uint64_t late, large, canceled; /* 408, 413, the client went away */
};
/* Of any thread; serve may be NULL. */
struct serve_counts serve_counts(struct serve *serve);
/* Ends the threads; questions without an answer are dropped. */
void serve_close(struct serve *serve);

#endif
