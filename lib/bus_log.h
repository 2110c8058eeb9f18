/* bus_log - what the two sides of a log topic share
 *
 *      writer (bus_log_write.c) --> DIR/TOPIC/.head, DIR/TOPIC/P/ --> readers (bus_log_read.c)
 *
 *      DIR/TOPIC/.head              the hint file (bus_log_head.h)
 *      DIR/TOPIC/P/.lock            locked by the partition's writer; its text is the holder's pid
 *      DIR/TOPIC/P/BASE.avro        segments (segment.h)
 *
 * docs/log.md has the rules. The lock is an open file description lock: like flock(2) it belongs to
 * the open file and ends with the process, but a reader can ask whether somebody holds it without
 * taking it, and so never makes a writer fail.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_BUS_LOG_H
#define LIB_BUS_LOG_H

#include "lib/bus.h"

#define LOG_PATH_MAX  1024
#define LOG_TOPIC_MAX 200

/* DIR/TOPIC[?partition=N], taken apart. */
struct log_url {
	char path[LOG_PATH_MAX];        /* DIR/TOPIC */
	char topic[LOG_TOPIC_MAX];
	int partition;                  /* -1: all */
};
MUST_CHECK int log_url_parse(struct log_url *url, const char *rest, struct err *err);

/* Partitions 0..n-1 have a directory. n, or -errno. */
int log_partition_count(int topic_fd);
MUST_CHECK int log_partition_open(int topic_fd, int32_t partition);

/* Takes the lock for good. -EBUSY: *pid has it (0: not known). Returns the fd. */
int log_lock(int partition_fd, int *pid);
/* 1: a writer holds the lock; 0: none does; -errno. */
int log_is_locked(int partition_fd);

MUST_CHECK int log_writer_open(struct bus **busp, const struct log_url *url,
			       const struct bus_conf *conf, struct err *err);
MUST_CHECK int log_reader_open(struct bus **busp, const struct log_url *url,
			       const struct bus_conf *conf, struct err *err);

#endif
