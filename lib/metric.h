/* metric - counters and gauges in Prometheus' text format
 *
 * A program makes one metric_set and registers its numbers once; adding is one relaxed atomic
 * add, from any thread. `--metrics HOST:PORT` serves GET /metrics (text exposition 0.0.4, with the
 * usual process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds,
 * process_max_fds and process_start_time_seconds after the program's own) and GET /healthz from
 * a thread of its own. Names are millrace_PROGRAM_NOUN_UNIT[_total]; each is
 * listed in the program's man page.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_METRIC_H
#define LIB_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"

#define METRIC_MAX 128

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

struct metric {
	enum metric_kind kind;
	const char *name;       /* borrowed: literals */
	const char *labels;     /* `stage="x"` or "" (NULL means that, too); a copy of the set's */
	const char *help;
	_Atomic int64_t value;
};

struct metric_set;

MUST_CHECK int metric_open(struct metric_set **setp, struct err *err);
/* Registers one (before serving starts). Over METRIC_MAX is a bug and aborts. */
struct metric *metric_add(struct metric_set *set, enum metric_kind kind, const char *name,
			  const char *labels, const char *help);
/* Text exposition of all, in the order of registration. */
void metric_print(const struct metric_set *set, struct buf *out);
/* Serves from a thread until metric_close. */
MUST_CHECK int metric_serve(struct metric_set *set, const char *host_port, const struct log *log,
			    struct err *err);
/* HOST:PORT as bound (the port that was picked); "" where it is not served. */
const char *metric_address(const struct metric_set *set);
void metric_close(struct metric_set *set);

static inline void metric_bump(struct metric *metric, int64_t n)
{
	atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

static inline void metric_set_value(struct metric *metric, int64_t value)
{
	atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

#endif
