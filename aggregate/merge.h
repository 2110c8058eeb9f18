/* merge - several column files into one
 *
 *      files --> runs (file, row, count) in the order of (actor, time, message, source)
 *            --> per column: dictionaries into one, codes through a table --> column_out
 *
 * The result is that of one file over all the rows, byte for byte, however they were spread. Rows
 * that are in twice, too old, or of gone actors are left out, and with them values that nobody has
 * any more. One pass over each column; memory: 12 bytes a run, and what the largest dictionary
 * takes.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_MERGE_H
#define AGGREGATE_MERGE_H

#include <stdatomic.h>

#include "aggregate/column.h"

#define MERGE_FILES_MAX 1024

struct merge_input {
	const struct column_file *file;
	const struct column_gone *gone; /* what to leave out, rising; instead of file->gone */
	uint32_t gone_count;
};

struct merge_conf {
	const struct merge_input *inputs;       /* older ones first */
	size_t count;
	int64_t keep_from_us;           /* older rows are left out; INT64_MIN: none */
	const atomic_bool *stop;        /* may be NULL */
};

/* Into image, or to fd where image is NULL. *rows of the result; 0: nothing was left, and the
 * output is no file. -EFBIG: more rows or text than one file holds; -ECANCELED: stop; -ENOMEM; or
 * write's error. */
MUST_CHECK int merge_files(const struct merge_conf *conf, struct buf *image, int fd,
			   uint32_t *rows);

#endif
