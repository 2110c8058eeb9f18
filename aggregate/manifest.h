/* manifest - which files of the state directory count, and up to which input they go
 *
 * A small text file, written whole under another name, made durable and renamed: the rename is the
 * commit of new column files, of the persons' file and of the input's offsets at once.
 *
 *      millrace-aggregate 1
 *      logic TEXT                      what made the files: a change is refused
 *      partitions N                    of the input; 0: not known
 *      next P OFFSET                   per partition: read from there
 *      persons NAME BYTES
 *      number N                        the next file's
 *      file N ROWS BYTES               column-N counts
 *      gone N ACTOR ACTOR ..           rows of these actors in it do not (as once written)
 *      cut N ACTOR UNTIL ..            ... those of events until then (deleted persons)
 *      sum HEX                         XXH3 of all lines before; the last line
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_MANIFEST_H
#define AGGREGATE_MANIFEST_H

#include "aggregate/person.h"
#include "lib/bus.h"

#define MANIFEST_LOGIC_MAX 64

struct manifest_file {
	uint64_t number, rows, bytes;
	struct column_gone *gone;       /* owned */
	uint32_t gone_count;
};

struct manifest {
	char logic[MANIFEST_LOGIC_MAX];
	int partitions;
	int64_t next[BUS_PARTITIONS_MAX];
	struct person_mark persons;
	uint64_t number;
	struct manifest_file *files;    /* owned */
	size_t count;
};

/* -ENOENT: there is none. -EBADMSG: damaged, with words. */
MUST_CHECK int manifest_read(struct manifest *manifest, const char *dir, struct err *err);
MUST_CHECK int manifest_write(const struct manifest *manifest, const char *dir, struct err *err);
/* Appends a file; gone is copied. */
MUST_CHECK int manifest_add(struct manifest *manifest, const struct manifest_file *file);
void manifest_clear_files(struct manifest *manifest);
void manifest_reset(struct manifest *manifest);

#endif
