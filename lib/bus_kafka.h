/* bus_kafka - the Kafka transport, its insides (bus.h is the face)
 *
 *      bus_kafka.c         URL, properties, waiting for brokers, what both sides ask a broker
 *      bus_kafka_read.c    assignment (static or group), records out of consumer_poll
 *      bus_kafka_write.c   staged -> released -> produced -> acknowledged; one thread of its own
 *      bus_kafka_schema.c  fingerprint -> how to decode
 *
 * A value on the wire is Avro's single-object encoding:
 *
 *      C3 01 | fingerprint, 8 bytes LE: CRC-64-AVRO of the writer's schema | one datum
 *
 * docs/kafka.md says what is set in librdkafka and why.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_BUS_KAFKA_H
#define LIB_BUS_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "lib/bus.h"
#include "lib/datum.h"

#define KAFKA_FRAME     10      /* bytes before the datum */
#define KAFKA_STEP_MS   1000    /* the longest that one question to a broker blocks */
#define KAFKA_ANSWER_MS 10000   /* how often it is asked again before a call gives up */

struct kafka {
	struct bus bus;                 /* first: the dispatcher's handle is ours */
	const struct bus_conf *conf;
	char *brokers;                  /* owned, as are the next two */
	char *topic;
	char *schemas;                  /* directory of older writers' schemas, or NULL */
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;          /* NULL until a writer has made sure that it exists */
	bool creation_refused;
	atomic_int partitions;          /* 0: not known yet */
	atomic_int error;               /* sticky; set once, after error_words */
	atomic_flag error_taken;
	struct err error_words;
	struct err broker_words;        /* the latest that a broker or librdkafka complained of */
};

/* Fills k from the URL's rest, and *confp with all properties; the caller gives *confp to
 * kafka_start, which makes the rd_kafka_t. kafka_end releases everything but rk's threads'
 * work: destroy what is special to reader or writer before. */
MUST_CHECK int kafka_init(struct kafka *k, const char *rest, enum bus_mode mode,
			  const struct bus_conf *conf, rd_kafka_conf_t **confp, struct err *err);
MUST_CHECK int kafka_start(struct kafka *k, rd_kafka_type_t type, rd_kafka_conf_t *rkconf,
			   struct err *err);
void kafka_end(struct kafka *k, int destroy_flags);
MUST_CHECK int kafka_set(rd_kafka_conf_t *rkconf, const char *name, const char *value,
			 struct err *err);

/* Asks for the topic once, KAFKA_STEP_MS at most. 1: k->partitions is set. 0: there is no such
 * topic. -EAGAIN: nobody answered. Other -errno: hopeless, words in err. */
MUST_CHECK int kafka_ask_topic(struct kafka *k, struct err *err);
/* Makes the topic where it is missing; answers as kafka_ask_topic. */
MUST_CHECK int kafka_make_topic(struct kafka *k, struct err *err);
/* Repeats ask until it says something else than -EAGAIN, for at most limit_ms (0: for ever), or
 * until *stop. -EHOSTUNREACH: the time is over. */
MUST_CHECK int kafka_await(struct kafka *k, int (*ask)(struct kafka *k, struct err *err),
			   int64_t limit_ms, const atomic_bool *stop, struct err *err);

/* The first error stays. Returns code. */
int kafka_fail(struct kafka *k, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* The broker refuses a record as it is, now and for ever: the error is -EMSGSIZE, also where the
 * fatal error that follows from it was set first. */
int kafka_refuse(struct kafka *k, const char *format, ...) PRINTF_LIKE(2, 3);
/* The words that librdkafka has for its fatal error go to kafka_fail. */
int kafka_fail_fatal(struct kafka *k);

/* Members of bus_ops that both sides have. */
int kafka_partition_count(struct bus *bus);
int kafka_range(struct bus *bus, int32_t partition, int64_t *first, int64_t *end);
int kafka_error(struct bus *bus);
const char *kafka_error_text(struct bus *bus);

int64_t kafka_now_ms(void);

MUST_CHECK int kafka_read_open(struct bus **busp, const char *rest, const struct bus_conf *conf,
			       struct err *err);
MUST_CHECK int kafka_write_open(struct bus **busp, const char *rest, const struct bus_conf *conf,
				struct err *err);

/* What fingerprints are known. */
struct kafka_schemas;
/* own: the reader's schema, borrowed; its older versions are known (schema_old). dir: *.avsc of
 * others, such as newer ones; may be NULL. */
MUST_CHECK int kafka_schemas_open(struct kafka_schemas **sp, const struct schema *own,
				  const char *dir, struct err *err);
void kafka_schemas_close(struct kafka_schemas *schemas);
/* NULL: not known. */
const struct datum_reader *kafka_schemas_find(const struct kafka_schemas *schemas, uint64_t print);

#endif
