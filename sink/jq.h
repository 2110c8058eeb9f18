/* jq - the settings' expressions, run in a process of their own
 *
 *      event as JSON --pipe--> child: where, then map --pipe--> JSON, or nothing, or words
 *
 * libjq has no bound on time or memory, and its parser sees events from outside: so it runs in a
 * child without environment, without the right to open a file, with JQ_MEMORY bytes at most and
 * JQ_TIME_MS per event; a child that takes longer, or dies, is replaced, and that event is bad.
 * Numbers are doubles there, as in jq 1.6: digits beyond 2^53 are lost where `map` is used.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_JQ_H
#define SINK_JQ_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

#define JQ_MEMORY  ((size_t)256 << 20)
#define JQ_TIME_MS 1000

struct jq;

/* where, map: programs, or NULL. They are copied. -EBADMSG: words of jq's own compiler. */
MUST_CHECK int jq_open(struct jq **jqp, const char *where, const char *map, struct err *err);
void jq_close(struct jq *jq);

/* 1: *result is what map made (the event itself without map), valid until the next call; 0: where
 * is not true, or map gave nothing; -EBADMSG: it failed, words in err; other -errno: fatal. */
MUST_CHECK int jq_run(struct jq *jq, struct slice event, struct slice *result, struct err *err);

#endif
