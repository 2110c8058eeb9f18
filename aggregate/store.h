/* store - the events of all persons: newest in memory, older in files, and what counts
 *
 *      store_add --> head (rows as they come) --> images in memory --> files on disk
 *                    <= STORE_HEAD_MAX             merged, 16 to 1      merged by the compactor
 *
 * Everything but the head is a column_file (column.h), so that a question has one kind of thing to
 * walk. The input log is the write-ahead log: what is only in memory is read again after a crash,
 * from the offsets in the manifest (manifest.h), whose rename is the commit of new files, of the
 * persons' file and of the offsets at once.
 *
 * An event is kept once: (source, message id) is looked up in its actor's runs wherever the Bloom
 * filters do not say no. Events that are already in, or fall out of retention, or are of a deleted
 * person (persons_is_deleted) are not taken.
 *
 * One thread adds and commits (the filter's). Questions hold a snapshot: no more events, links or
 * profile changes happen until they let go of it; files they use stay until then. Merging runs on a
 * thread of its own and only swaps at the end.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_STORE_H
#define AGGREGATE_STORE_H

#include "aggregate/column.h"
#include "aggregate/person.h"
#include "lib/bus.h"
#include "lib/log.h"

#define STORE_HEAD_MAX 16384

struct store;

struct store_conf {
	const char *dir;                /* --state; locked by the caller */
	const struct log *log;
	int64_t flush_bytes;            /* of images in memory; 0 = 128 MiB */
	int64_t retain_us;              /* events older than that go away at merges; 0: keep all */
	int threads;                    /* of merges; 0 = 1 */
	const char *logic;              /* what the files depend on: a change is refused, see
	                                   manifest.h */
	int partitions;                 /* of the input, 0: not known yet */
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
/* 1: added; 0: it was there, or must not be kept. -ENOMEM, -EIO ... */
MUST_CHECK int store_add(struct store *store, const struct store_row *row, struct err *err);

/* The adding thread brackets its changes (a batch): between these no snapshot begins. */
void store_change_begin(struct store *store);
void store_change_end(struct store *store);

/* All before next[p] was added: files are written when due (or force), and the manifest. */
MUST_CHECK int store_commit(struct store *store, const int64_t next[BUS_PARTITIONS_MAX],
			    int partitions, bool force, struct err *err);
/* Starts rewriting the files without a deleted person's rows (persons_delete was called). */
MUST_CHECK int store_forget(struct store *store, const uint32_t *actors, size_t count,
			    struct err *err);

struct snapshot {
	struct column_file *const *files;       /* oldest first, the sealed head last */
	size_t file_count;
	const struct persons *persons;
	uint64_t rows;
	struct store *store;
};
MUST_CHECK int store_snapshot(struct store *store, struct snapshot *snapshot, struct err *err);
void snapshot_release(struct snapshot *snapshot);

struct store_counts {
	uint64_t events, duplicates, files, images, file_bytes, memory_bytes, merges;
	uint64_t properties_left_out;
};
struct store_counts store_counts(struct store *store);

#endif
