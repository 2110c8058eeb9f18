/* store - the events of all persons: newest in memory, older in files, and what counts
 *
 *      store_add --> head (rows as they come) --> images in memory --> files on disk
 *                    <= STORE_HEAD_MAX             merged, 16 to 1      merged by the compactor
 *
 * Everything but the head is a column_file (column.h), so that a question has one kind of thing to
 * walk. Rows of one head are at most STORE_HEAD_MAX; 16 images of a kind are made one; images are
 * written as a file when they come to flush_bytes; 8 files of a size are made one. The input log is
 * the write-ahead log: what is only in memory is read again after a crash,
 * from the offsets in the manifest (manifest.h), whose rename is the commit of new files, of the
 * persons' file and of the offsets at once.
 *
 * An event is kept once: (source, message id) is looked up in its actor's runs wherever the Bloom
 * filters do not say no. Events that are already in, or fall out of retention, or are of a deleted
 * person (persons_is_deleted) are not taken.
 *
 * One thread adds and commits (the filter's). Questions hold a snapshot: events, persons, profiles
 * and who is deleted stay for it as they were. Adding goes on meanwhile: files do not change, and
 * where a snapshot is held for more than some ms the adding thread goes on with a copy of the
 * persons (60 to 200 bytes of memory each, until the snapshot is released). Taking a snapshot and
 * batches take turns, so that neither waits for more than one of the other. Writing files and
 * merging run on two threads of their own, which only swap at the end. What they could not write
 * (disk full) stays in memory and is tried again; adding waits when that comes to 4 times
 * flush_bytes.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_STORE_H
#define AGGREGATE_STORE_H

#include "aggregate/column.h"
#include "aggregate/person.h"
#include "lib/bus.h"
#include "lib/log.h"

#define STORE_HEAD_MAX 16384
#define STORE_LOGIC    "1"              /* rises when rows come to mean something else */
/* A message is looked for among all rows of its actor, but in a file with more rows of his than
 * STORE_REPEAT_ROWS (robots, events without an id) only this far from its time. */
#define STORE_REPEAT_ROWS 65536
#define STORE_REPEAT_US   (INT64_C(7) * 86400 * 1000000)
/* Stands for the events' names over names_max. */
#define STORE_REST     "$too_many_names"

struct store;
struct view;
struct held;
struct bucket_set;

struct store_conf {
	const char *dir;                /* --state; locked by the caller */
	const struct log *log;
	int64_t flush_bytes;            /* of images in memory; 0 = 128 MiB */
	int64_t retain_us;              /* events older than that go away at merges; 0: keep all */
	uint32_t names_max;             /* of properties, and of events; 0 = 4096 */
	const char *logic;              /* what the files depend on: a change is refused, see
	                                   manifest.h; NULL = STORE_LOGIC */
	int partitions;                 /* of the input, 0: not known yet */
	struct bucket_set *dirt;        /* gets the buckets of rows that come and go; may be
	                                   NULL */
};

/* Opens or begins the state. next[p] gets the offsets to read from (0: the first kept).
 * -EINVAL: made with another partition count or logic; the words say --rebuild. -EBADMSG: damaged;
 * the words name the file. */
MUST_CHECK int store_open(struct store **storep, const struct store_conf *conf,
			  int64_t next[BUS_PARTITIONS_MAX], struct err *err);
/* Does not flush: what is in memory comes again from the log. */
void store_close(struct store *store);
struct persons *store_persons(struct store *store);     /* changes: the adding thread only */

/* One event. Property names and values are copied. */
struct store_row {
	uint32_t actor;
	int64_t time_us, received_us;
	struct message_key message;
	size_t count;
	const struct store_prop {
		struct slice name;
		struct prop value;
	} *props;                       /* any order, names differ; $event and $source are in it */
};
/* 1: added; 0: it was there; 2: it must not be kept (too old, of a deleted person). -ENOMEM. */
MUST_CHECK int store_add(struct store *store, const struct store_row *row, struct err *err);

/* The adding thread brackets its changes (a batch): between these no snapshot begins. */
void store_change_begin(struct store *store);
/* Settles the persons, and forgets whom they say. -ENOMEM. */
MUST_CHECK int store_change_end(struct store *store, struct err *err);

/* All before next[p] was added. Images are written in the background when due; force: all of them
 * now, and the manifest. Not within a change. */
MUST_CHECK int store_commit(struct store *store, const int64_t next[BUS_PARTITIONS_MAX],
			    int partitions, bool force, struct err *err);
/* Rows of these actors, until a time of each, do not count from now on; files are rewritten without
 * them in the background. Within a change; store_change_end calls it for persons_forgotten. */
MUST_CHECK int store_forget(struct store *store, const struct column_gone *gone, size_t count,
			    struct err *err);

struct snapshot {
	struct column_file *const *files;       /* oldest first, the sealed head last */
	size_t file_count;
	const struct persons *persons;
	uint64_t rows;
	struct store *store;
	struct view *view;              /* whose persons they are */
	struct held **held;             /* owned, each with a reference; [file_count] */
	struct column_file *copies;     /* owned; what files point to: not for column_bloom_*,
	                                   column_may_have, column_verify, column_close */
	struct column_gone *gone;       /* owned */
};
MUST_CHECK int store_snapshot(struct store *store, struct snapshot *snapshot, struct err *err);
void snapshot_release(struct snapshot *snapshot);

struct store_counts {
	uint64_t events, duplicates, files, images, file_bytes, memory_bytes, merges;
	uint64_t properties_left_out, events_left_out, deleted;
	uint64_t forks;                 /* times that persons were copied for a long question */
};
/* Of any thread. */
struct store_counts store_counts(struct store *store);
/* Waits until no merge is due and none runs: for tests and benchmarks. */
MUST_CHECK int store_settle(struct store *store, struct err *err);

/* Reads all of a state directory: the manifest, each file that it names, the persons. Nothing is
 * changed. say() gets a line per part. 0, or the first damage in err (-EBADMSG). */
MUST_CHECK int store_check(const char *dir, void (*say)(void *ctx, const char *line), void *ctx,
			   struct err *err);

#endif
