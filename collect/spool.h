/* spool - where the events of one topic wait on disk while Kafka is away
 *
 *      spool_write --> log:DIR/TOPIC (one partition) --> spool_next --> Kafka --> spool_delivered
 *
 *      DIR/TOPIC/0/BASE.avro    a log like any other: checksums, group commit, repair of the tail
 *      DIR/TOPIC.position      text: the offset before which all is delivered
 *      DIR/TOPIC-refused/      a log, too: what the broker refuses for good, until somebody looks
 *
 * The position is written by tmp, fsync, rename, and only then are segments below it removed: a
 * crash repeats deliveries (enrich drops repeated message ids) and loses none. Records that a
 * damaged disk made unreadable are counted, logged and passed over.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_SPOOL_H
#define COLLECT_SPOOL_H

#include "lib/bus.h"

struct spool;

struct spool_conf {
	const char *dir;
	const char *topic;
	const struct schema *schema;
	const struct log *log;
	int64_t bytes_max;              /* on disk; over it spool_write is -ENOSPC */
	int64_t buffer_bytes;           /* in memory */
	int commit_ms;
};

MUST_CHECK int spool_open(struct spool **spoolp, const struct spool_conf *conf, struct err *err);
void spool_close(struct spool *spool);

/* As bus_write .. of the log. */
MUST_CHECK int spool_write(struct spool *spool, struct slice value, uint64_t *seq);
MUST_CHECK int spool_release(struct spool *spool);
MUST_CHECK int spool_flush(struct spool *spool, int timeout_ms);
uint64_t spool_durable(struct spool *spool);
int spool_error(struct spool *spool);
const char *spool_error_text(struct spool *spool);
int spool_event_fd(struct spool *spool);
bool spool_is_full(const struct spool *spool);

uint64_t spool_written(const struct spool *spool);
/* The offset behind the last record written. */
int64_t spool_end(const struct spool *spool);
/* The next record that is durable here and neither delivered nor given out yet. 1, 0 (none now),
 * -errno with words. Lives until the next call. fields is NULL where the disk damaged it: what is
 * left to do with those is spool_delivered. */
MUST_CHECK int spool_next(struct spool *spool, struct bus_record *record, struct err *err);
/* All before offset is delivered (never falls). */
void spool_delivered(struct spool *spool, int64_t offset);
/* Puts a record aside for good, durably; then it counts as delivered like any other. */
MUST_CHECK int spool_refuse(struct spool *spool, struct slice value, struct err *err);
/* What was given out and not delivered is given out again. */
MUST_CHECK int spool_rewind(struct spool *spool, struct err *err);
/* Every record written is delivered. */
bool spool_is_empty(const struct spool *spool);
int64_t spool_waiting(const struct spool *spool);       /* records written, not delivered */
int64_t spool_bytes(const struct spool *spool);         /* on disk, as of the last tidying */
/* Now and then: saves the position, removes segments below it, measures. */
void spool_tidy(struct spool *spool);

#endif
