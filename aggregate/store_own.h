/* store_own - what store.c, store_work.c share
 *
 *      list:  files on disk, oldest first | images in memory, oldest first
 *
 * `lock` guards all but the head and what is said to be the adding thread's. The list is changed
 * with it held and while no batch is open (store_enter): so the adding thread walks the list
 * within a batch without it. A held file lives as long as the list or a snapshot or a job has it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_STORE_OWN_H
#define AGGREGATE_STORE_OWN_H

#include <pthread.h>

#include "aggregate/column_write.h"
#include "aggregate/manifest.h"
#include "aggregate/merge.h"

#define STORE_IMAGES_MERGE 16
#define STORE_FILES_MERGE  8
#define STORE_RETRY_MS     5000

struct held {
	struct column_file *file;       /* owned */
	uint64_t number;                /* of its file; 0: an image */
	uint64_t seq;                   /* of images: rises; that of the newest one in it */
	int level;                      /* of images: 0 = a head */
	int refs;
	bool is_busy;                   /* in a job */
	bool is_dropped;                /* its file goes away with it */
	bool is_too_large;              /* to be made one with others */
	struct column_gone *gone;       /* owned; file->gone */
};

/* Persons that snapshots hold. Those of the store are the newest; older ones stay as they were. */
struct view {
	struct persons *persons;        /* owned */
	int refs;                       /* snapshots */
};

/* A flush that was asked for: images up to seq, and what the manifest says then. */
struct flush {
	bool is_wanted;
	uint64_t seq;
	int partitions;
	int64_t next[BUS_PARTITIONS_MAX];
	struct person_mark persons;
};

struct store {
	struct store_conf conf;
	struct view *view;              /* owned; under lock; its persons: the adding thread's */
	pthread_mutex_t lock;
	pthread_cond_t turn;            /* batches and snapshots */
	pthread_cond_t work;            /* for the threads */
	pthread_cond_t done;            /* a job is */
	/* the adding thread's */
	struct column_write *write;
	struct held *sealed;            /* the head as an image, while it is the same */
	uint64_t *events;               /* owned: hashes of the events' names; 0: free */
	uint32_t events_mask, event_count;
	struct store_prop *props;       /* owned: room for one row's */
	size_t prop_cap;
	struct store_counts added;
	/* under lock */
	struct held **list;             /* owned */
	size_t count, cap;
	uint64_t seq;                   /* of the next image */
	size_t image_bytes, head_bytes;
	int readers_waiting, grants;
	bool is_changing, is_writer_waiting;
	int64_t fork_ms;                /* what the last copy of the persons took */
	struct flush flush;
	bool is_flushed;                /* the persons are to be told */
	bool is_gone_new;               /* gone lists that no manifest has */
	int jobs;                       /* running */
	int failed;                     /* what the last job failed with, and words */
	struct err failed_err;
	int64_t failed_ms;
	struct store_counts counts;     /* those of adding as of the last batch */
	/* threads */
	pthread_mutex_t manifest_lock;  /* the manifest in force, and its writing */
	struct manifest manifest;
	pthread_t threads[2];
	int thread_count;
	atomic_bool stop;
};

/* Waits for a moment between batches; not the adding thread. With lock held: the moment lasts
 * until it is let go. */
void store_enter(struct store *store);

/* With lock held. */
void held_release(struct store *store, struct held *held);
MUST_CHECK int store_list_add(struct store *store, struct held *held, size_t at);
void store_path(const struct store *store, uint64_t number, char path[4096]);
/* A held file over an opened one, with one reference; closes file on failure. */
struct held *held_open(struct column_file *file, uint64_t number);

void *store_flusher(void *ctx);
void *store_compactor(void *ctx);

#endif
