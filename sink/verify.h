/* verify - proves that a sink's directory is whole
 *
 * Per topic and partition: the files' offsets leave no gap and overlap nowhere, every file can be
 * read to its end (scan.h), holds no more records than its name has offsets, no stamp comes twice
 * within or across files, and bytes and counts are those that its line in the sums says (sums.h). A
 * file without a line there is said to be unproven, which is no failure: sums may be left behind
 * when files are copied. Files in work (.part) are none of it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_VERIFY_H
#define SINK_VERIFY_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

struct verify {
	uint64_t files;
	uint64_t records;
	uint64_t problems;              /* gaps + overlaps + damaged files + repeats */
	uint64_t unproven;
};

/* Appends the report, a line per partition and per problem. 0 whatever was found; -errno: the
 * directory cannot be read. */
MUST_CHECK int verify_dir(const char *dir, struct verify *verify, struct buf *report,
			  struct err *err);

#endif
