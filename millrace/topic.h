/* topic - reads a topic once, from a moment on, to its end as it is now
 *
 * For audit and trace: they look at what is there, beside the programs that write it, and
 * hold nothing. Works on a log and on Kafka; a topic that is not there is an empty one.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_TOPIC_H
#define MILLRACE_TOPIC_H

#include "lib/bus.h"

struct topic_conf {
	const char *bus;                /* without the topic */
	const struct opt_list *kafka;   /* properties; may be NULL */
	int64_t since_us;               /* records of before may come, too; INT64_MIN: all */
};

struct topic_range {
	int partitions;
	int64_t first[BUS_PARTITIONS_MAX];      /* first kept */
	int64_t begin[BUS_PARTITIONS_MAX];      /* first read: by since_us */
	int64_t end[BUS_PARTITIONS_MAX];        /* next to be written */
};

/* < 0 ends the reading with that. */
typedef int topic_fn(void *ctx, const struct bus_record *record, struct err *err);

/* name: "enriched"; time: the leaf that since_us is of. fn gets the records below range->end, in
 * order by partition. fn NULL: the range only. */
MUST_CHECK int topic_read(const struct topic_conf *conf, const char *name, const char *time,
			  topic_fn *fn, void *ctx, struct topic_range *range, struct err *err);

#endif
