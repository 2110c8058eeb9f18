/* bus - the one interface between programs and topics
 *
 *      kafka://HOST:PORT[,HOST:PORT..]/TOPIC   Kafka, through librdkafka   bus_kafka.c
 *      log:DIR/TOPIC[?partition=N]             a directory of Avro files   bus_log.c
 *      -                                       stdin or stdout             bus_pipe.c
 *
 * A topic has partitions; a partition is a sequence of records with offsets that rise by one
 * (Kafka may leave holes). A record's value is one Avro datum of the topic's schema; the
 * reader gets it decoded by its own schema, whatever version the writer had.
 *
 * Writing has three steps, and a crash between any two of them loses only what was not durable:
 *   bus_write    stages a record in memory and numbers it (seq 1, 2, ..)
 *   bus_release  lets all that is staged go out; the transport commits in the background, in
 *                groups. Nothing that was not released ever reaches a reader: a filter may thus
 *                make its `bad` records durable before the outputs that overtake them.
 *   bus_durable  the highest seq below and at which everything is safe: on Kafka acknowledged by
 *                all in-sync replicas, on the log passed by fdatasync.
 * A handle belongs to one thread; bus_durable, bus_error and the event fd are safe from others.
 * With `?partition=N` a writer of a log owns only that partition (others may own the rest).
 *
 * Reading is pull: bus_next gives one record at a time and its memory lives until the next call.
 * Where to start is told per partition by bus_conf.start (also at each later assignment by a
 * consumer group), which lets a filter resume from the tail of its own output (stamp.h).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_BUS_H
#define LIB_BUS_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/datum.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/schema.h"
#include "lib/slice.h"

struct bus;

enum bus_mode { BUS_READ, BUS_WRITE };

#define BUS_PARTITIONS_MAX 256
#define BUS_RECORD_MAX     ((size_t)960 << 10) /* bytes of one value; more is -EMSGSIZE */
#define BUS_OFFSET_FIRST   (-2)                /* the oldest record that is kept */
#define BUS_OFFSET_END     (-1)                /* what comes from now on */

/* Where to begin a partition: an offset, BUS_OFFSET_FIRST, BUS_OFFSET_END, or another negative
 * -errno (with words in err) that makes the read fail. Called on the reader's thread, from within
 * bus_next only (so it may use what was learnt of the open handle). */
typedef int64_t bus_start_fn(void *ctx, int32_t partition, struct err *err);

struct bus_conf {
	const struct schema *schema;    /* of the records: the reader's, or the writer's */
	const struct log *log;          /* may be NULL */
	/* reading */
	bus_start_fn *start;            /* NULL: BUS_OFFSET_FIRST everywhere */
	void *start_ctx;
	const char *assign;             /* partitions such as "0,2-3"; NULL: all, or the group's */
	const char *group;              /* Kafka consumer group; NULL or "": static assignment */
	bool until_end;                 /* stop at the end as it was when reading began */
	bus_start_fn *stop;             /* until_end: .. or at this offset, where that is before;
	                                   with start_ctx. NULL: the end */
	int time_field;                 /* leaf with the record's time, for bus_find_time */
	/* writing */
	int partitions;                 /* of a new topic; 0 = 1. An old one keeps its own */
	int commit_ms;                  /* least time between two commits; 0 = 5 */
	int64_t segment_bytes;          /* log: a new file after so many; 0 = 128 MiB */
	int64_t buffer_bytes;           /* staged + not yet durable, at most; 0 = 32 MiB */
	int64_t retain_bytes;           /* log: per partition; 0 = keep all */
	int64_t retain_ms;              /* log: age of a whole segment; 0 = keep all */
	/* Kafka */
	const struct opt_list *kafka;   /* librdkafka properties, name=value or name=file:PATH */
	int open_ms;                    /* how long bus_open waits for a broker, with log lines: 0 =
	                                   for ever; then -EHOSTUNREACH. < 0, a writer: not at all,
	                                   until one answers records wait and the count is 0 */
};

struct bus_record {
	int32_t partition;
	int64_t offset;                 /* of the record; a pipe counts from 0 */
	int64_t count;                  /* offsets that it stands for: 1, or more where a damaged
	                                   block could not be told apart (fields is NULL then) */
	struct slice key;               /* Kafka's; empty elsewhere */
	struct slice raw;               /* the datum's bytes; undecodable: all there is */
	const struct value *fields;     /* schema_field_count() values; NULL: undecodable */
	const char *why;                /* words for why, while fields is NULL */
};

/* Opens a topic. A writer of a log takes the partitions' locks and repairs their tails; a topic
 * that does not exist is made by the writer (log), or by the broker's settings and the
 * admin API with conf.partitions (Kafka). The reader of a log waits for a topic to appear.
 * Everything in conf is borrowed and must live until bus_close.
 * Errors: -EINVAL url (words name the mend); -EBUSY another writer holds the lock; -errno. */
MUST_CHECK int bus_open(struct bus **busp, const char *url, enum bus_mode mode,
			const struct bus_conf *conf, struct err *err);

/* Whether bus_open would take the URL, as far as its text tells. -EINVAL: words name the mend. */
MUST_CHECK int bus_check(const char *url, struct err *err);

/* How many partitions the topic has (>= 1; a log that does not exist yet: 0). */
int bus_partition_count(struct bus *bus);

/* First kept offset and the next one to be written (durable), for one partition.
 * -ENOENT: no such partition (yet). */
MUST_CHECK int bus_range(struct bus *bus, int32_t partition, int64_t *first, int64_t *end);

/* A reader only: an offset at or before the first record whose time is >= time_us, close to it
 * (log: the start of a block; Kafka: by broker timestamps). */
MUST_CHECK int bus_find_time(struct bus *bus, int32_t partition, int64_t time_us,
			     int64_t *offset);

/* The next record of any partition. 1: *record is set, valid until the next call on bus.
 * 0: nothing came within timeout_ms (0 = do not wait). -ENODATA: until_end, and all is read; or
 * the pipe ended. Other -errno: fatal; bus_error_text has words. */
MUST_CHECK int bus_next(struct bus *bus, struct bus_record *record, int timeout_ms);

/* Stages one record. partition >= 0, or -1: by murmur2 of key as Kafka's own clients do it, any
 * partition for an empty key. value is one datum of conf.schema, key and value are copied.
 * *seq (may be NULL) gets its number. -EAGAIN: buffer_bytes are waiting; see bus_wait.
 * -EMSGSIZE: value over BUS_RECORD_MAX. Other -errno: the sticky error of bus_error. */
MUST_CHECK int bus_write(struct bus *bus, int32_t partition, struct slice key, struct slice value,
			 uint64_t *seq);
/* All that is staged may go out. 0, or the sticky error. */
MUST_CHECK int bus_release(struct bus *bus);
/* The number up to and at which all is durable. Never falls. */
uint64_t bus_durable(struct bus *bus);
/* Waits until some staged bytes became durable, or timeout_ms. 0, or the sticky error. */
MUST_CHECK int bus_wait(struct bus *bus, int timeout_ms);
/* Releases and waits until everything is durable. -ETIMEDOUT, or the sticky error. */
MUST_CHECK int bus_flush(struct bus *bus, int timeout_ms);
/* An eventfd that becomes readable when bus_durable rose or an error came. Owned by bus. */
int bus_event_fd(struct bus *bus);
/* 0, or the -errno that stopped this handle; from then on nothing is accepted. A log that could
 * not be written (-ENOSPC disk full, -EIO) tries again by itself with a new segment: then the
 * error goes away, what was staged is still there, and the durable mark never lied. -EMSGSIZE: the
 * broker refuses one of the records that are on the way, whatever is done. */
int bus_error(struct bus *bus);
const char *bus_error_text(struct bus *bus);

/* Tells the group (Kafka) that all before offset is done; advisory only: nothing of ours starts
 * from it. No-op elsewhere. */
void bus_commit_offset(struct bus *bus, int32_t partition, int64_t offset);

/* Stops at once: what was not flushed may be lost. NULL is fine. */
void bus_close(struct bus *bus);

/* What a transport provides; bus.c dispatches on the URL's scheme. A transport embeds struct bus
 * first in its own handle. Members that make no sense for a mode are NULL. */
struct bus_ops {
	int (*partition_count)(struct bus *bus);
	int (*range)(struct bus *bus, int32_t partition, int64_t *first, int64_t *end);
	int (*find_time)(struct bus *bus, int32_t partition, int64_t time_us, int64_t *offset);
	int (*next)(struct bus *bus, struct bus_record *record, int timeout_ms);
	int (*write)(struct bus *bus, int32_t partition, struct slice key, struct slice value,
		     uint64_t *seq);
	int (*release)(struct bus *bus);
	uint64_t (*durable)(struct bus *bus);
	int (*wait)(struct bus *bus, int timeout_ms);
	int (*flush)(struct bus *bus, int timeout_ms);
	int (*event_fd)(struct bus *bus);
	int (*error)(struct bus *bus);
	const char *(*error_text)(struct bus *bus);
	void (*commit_offset)(struct bus *bus, int32_t partition, int64_t offset);
	void (*close)(struct bus *bus);
};

struct bus {
	const struct bus_ops *ops;
};

MUST_CHECK int bus_log_open(struct bus **busp, const char *rest, enum bus_mode mode,
			    const struct bus_conf *conf, struct err *err);
MUST_CHECK int bus_log_check(const char *rest, struct err *err);
MUST_CHECK int bus_kafka_check(const char *rest, struct err *err);
MUST_CHECK int bus_kafka_open(struct bus **busp, const char *rest, enum bus_mode mode,
			      const struct bus_conf *conf, struct err *err);
MUST_CHECK int bus_pipe_open(struct bus **busp, enum bus_mode mode, const struct bus_conf *conf,
			     struct err *err);

/* The partition that Kafka's Java client and librdkafka's murmur2 partitioner give a key. */
int32_t bus_partition_of(struct slice key, int32_t partitions);

#endif
