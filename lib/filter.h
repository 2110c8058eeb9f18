/* filter - the loop of enrich, aggregate and sink
 *
 *      read a batch -> step each record -> commit -> count -> read ...
 *                        |  |
 *                        |  `-> filter_bad: bytes and reason to `bad`
 *                        `----> filter_emit: stamped records to `out`
 *
 * A batch ends after FILTER_BATCH_MAX records, FILTER_BATCH_BYTES emitted, FILTER_BATCH_MS, or when
 * the input has nothing more. At its end, in this order: bad records are made durable, out is
 * released, the program's own commit runs (what it emits is released at once), the group is told
 * (advisory). Reading goes on while out commits in the background; only a batch with bad records
 * first waits for the outputs of the batches before it, so that at most two batches of bad records
 * can be ahead of the resume point after a crash: they are looked up in the tail of the own bad
 * partition and not written twice.
 * SIGTERM, SIGINT: stop reading, flush, commit, return 0; a second one, FILTER_AGAIN_MS later or
 * more, ends the process at once.
 * SIGHUP: ops.reload between two batches.
 * What the step makes of a record it says by its return value: that is how the ledger adds up.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_FILTER_H
#define LIB_FILTER_H

#include <signal.h>

#include "lib/bus.h"
#include "lib/ledger.h"
#include "lib/metric.h"

#define FILTER_BATCH_MAX   4096
#define FILTER_BATCH_BYTES ((size_t)8 << 20)
#define FILTER_BATCH_MS    20
#define FILTER_AGAIN_MS    1000 /* sooner is the same again: GNU timeout does that */

struct filter;

/* What became of a record. Negative: -errno, fatal. FILTER_BAD is returned by filter_bad, so a
 * step can say `return filter_bad(...)`. */
enum filter_fate {
	FILTER_OUT,
	FILTER_BAD,
	FILTER_DUPLICATE,
	FILTER_FILTERED,
	FILTER_PENDING,         /* kept by the step; filter_settle says later what became of it */
};

struct filter_ops {
	/* One record with record->fields set. */
	int (*step)(void *ctx, struct filter *filter, const struct bus_record *record,
		    struct err *err);
	/* After out and bad of a batch were released; also once at the end. NULL: nothing.
	 * idle: the input had nothing more. */
	int (*commit)(void *ctx, struct filter *filter, bool idle, struct err *err);
	/* On SIGHUP; failure keeps what was. NULL: nothing to reload. */
	int (*reload)(void *ctx, struct err *err);
	/* Once, before the first record: the place to register metrics (filter_metrics), since that
	 * ends when serving begins. NULL: nothing. */
	int (*begin)(void *ctx, struct filter *filter, struct err *err);
	/* An undecodable record (fields NULL, count offsets) has gone to bad without a step: a
	 * program that moves its resume point by markers counts it here. NULL: nothing. */
	void (*undecodable)(void *ctx, const struct bus_record *record);
};

struct filter_conf {
	const char *program;            /* stage name in bad records and metrics */
	const struct log *log;
	struct bus *in;                 /* all borrowed */
	struct bus *out;                /* may be NULL */
	const char *bad_url;            /* opened at the first bad one; NULL: that is fatal. A log's
	                                   ?partition=N+ is the first from N on that is free */
	const struct bus_conf *bad_conf;        /* its schema is set by filter */
	const char *metrics;            /* HOST:PORT or NULL */
	const char *input_format;       /* `format` of bad records: "avro:collected" */
	const struct schema *in_schema; /* of in's records: bad ones get their source, received_at,
	                                   ip and user_agent; NULL: they stay null */
	const volatile sig_atomic_t *stop;      /* tests: ends the loop when set; may be NULL */
};

/* While a program waits for topics or brokers before its loop, nothing is begun that a signal could
 * harm: from here to filter_run, TERM and INT end it at once with 0. */
void filter_await(void);

/* Runs until the end of input, a signal, or an error. Blocks SIGTERM, SIGINT, SIGHUP for the
 * process while it runs. 0: ended in order, everything durable. -errno: words in err. */
MUST_CHECK int filter_run(const struct filter_conf *conf, const struct filter_ops *ops, void *ctx,
			  struct err *err);

/* From a step: one record to out. Waits where out is full. 0, or the fatal error of the bus. */
MUST_CHECK int filter_emit(struct filter *filter, int32_t partition, struct slice key,
			   struct slice datum);
/* From a step: the record goes to bad with a reason code ([a-z_]+), words and a place in it (JSON
 * pointer or ""). Returns FILTER_BAD, or the fatal error. */
MUST_CHECK int filter_bad(struct filter *filter, const struct bus_record *record,
			  const char *reason, const char *words, const char *at);
/* The same of one that a destination would not take, or not in time: with what is known of that. */
struct filter_dead {
	const char *destination;
	int64_t attempts;
	int64_t first_us;               /* of the first attempt; 0: there was none */
};
MUST_CHECK int filter_bad_dead(struct filter *filter, const struct bus_record *record,
			       const char *reason, const char *words,
			       const struct filter_dead *dead);
/* In commit: what was sent to bad so far is durable when this returns 0. */
MUST_CHECK int filter_flush(struct filter *filter);
/* n records that were FILTER_PENDING are now of this fate. */
void filter_settle(struct filter *filter, enum filter_fate fate, uint64_t n);
const struct ledger *filter_ledger(const struct filter *filter);
struct metric_set *filter_metrics(struct filter *filter);
/* In commit: this is the last one, after a signal or the end of the input. */
bool filter_is_ending(const struct filter *filter);

/* From a step that waits for something of its own: has a signal told to stop? */
bool filter_is_stopping(struct filter *filter);

/* main()'s other hand: the last log line (ledger was logged by filter_run) and the exit status. */
int filter_exit(const struct log *log, int rc, const struct err *err);

#endif
