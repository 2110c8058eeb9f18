/* live - the feed of incoming events, as server-sent events
 *
 *      enriched --(thread: bus)--> ring of rows (JSON) --> loop: each subscriber what is new
 *
 * A row's id is PARTITION-OFFSET of the topic. A subscriber that comes back with Last-Event-ID, or
 * after=ID, gets what it missed, as far as the ring reaches; a new one the latest rows that match.
 * Filters are on the server:  event=NAME (repeatable), where=FIELD:VALUE (repeatable, FIELD of the
 * row), q=TEXT (anywhere in the row, letters of either case). A client that does not read is
 * dropped at 1 MiB.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_LIVE_H
#define REPORT_LIVE_H

#include "lib/httpd.h"
#include "lib/log.h"
#include "lib/opt.h"

struct live;

struct live_conf {
	struct loop *loop;              /* all borrowed */
	const struct log *log;
	const char *in;                 /* URL of enriched */
	size_t rows;
	int open_ms;
	const struct opt_list *kafka;
	const char *headers;
};

MUST_CHECK int live_open(struct live **livep, const struct live_conf *conf, struct err *err);
void live_close(struct live *live);

/* GET with Accept: text/event-stream: a stream; else the latest rows as a JSON list. */
void live_answer(struct live *live, struct http_request *request);
void live_gone(struct live *live, struct http_request *request);
/* Rows that came since the start. */
uint64_t live_count(const struct live *live);

#endif
