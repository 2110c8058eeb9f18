/* count_serve - answers over HTTP, on a thread of their own
 *
 *      filter's thread: counts           serve's thread: httpd -> count_answer_ask -> body
 *
 * Reading and answering never wait for each other longer than one question or one record takes.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COUNT_SERVE_H
#define AGGREGATE_COUNT_SERVE_H

#include "aggregate/count.h"
#include "aggregate/progress.h"
#include "lib/log.h"

struct count_serve;
struct store;
struct saved;

/* Binds, writes port_file (may be NULL) and starts the thread. Signals that others should take must
 * be blocked before. Everything is borrowed until count_serve_close. */
MUST_CHECK int count_serve_open(struct count_serve **servep, const char *listen, const char *port_file,
			  struct count *count, struct progress *progress, const struct log *log,
			  struct err *err);
const char *count_serve_address(const struct count_serve *serve);
/* Ends the thread; questions without an answer are dropped. */
void count_serve_close(struct count_serve *serve);

#endif
