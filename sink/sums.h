/* sums - what each finished file of a partition held when it was written
 *
 *      HASH BYTES RECORDS MARKERS DUPLICATES NAME\n        in .TOPIC-PARTITION.sums
 *
 *      HASH       XXH3-128 of the file, 32 hex digits, as `xxh128sum` prints it
 *      RECORDS    lines, or datums
 *      MARKERS    offsets without one because they were markers of the stage before
 *      DUPLICATES offsets without one because they were stamped repeats
 *      (an offset in none of the three was bad, or is a hole that Kafka left)
 *
 * A line is durable before its file gets its name, so each file has one; a crash between the two
 * leaves a line without a file, and the last line of a name is the one that counts. A line that is
 * cut short is passed over. The sums are the only proof against a bit that flips inside plain JSON
 * text; and they tell a file that was edited from one that is broken.
 * Whoever holds the file's lock (flock) is the one sink of that partition in that directory.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SUMS_H
#define SINK_SUMS_H

#include <stdint.h>

#include "lib/err.h"
#include "sink/file_name.h"

#define SUMS_HASH 16

struct sum {
	unsigned char hash[SUMS_HASH];
	uint64_t bytes;
	uint64_t records;
	uint64_t markers;
	uint64_t duplicates;
};

/* Appends the line to text; returns its length. */
#define SUMS_LINE_MAX (FILE_NAME_TEXT_MAX + 160)
size_t sums_print(const struct sum *sum, const char *name, char text[SUMS_LINE_MAX]);

/* Takes the lock, and mends a line that a crash cut short. Returns a descriptor for appending, or
 * -EBUSY: another sink has it; -errno: words. */
MUST_CHECK int sums_lock(int dir_fd, const char *topic, int32_t partition, struct err *err);

struct sums;                            /* the whole file in memory */

/* A missing file gives an empty table. */
MUST_CHECK int sums_open(struct sums **sumsp, int dir_fd, const char *topic, int32_t partition,
			 struct err *err);
void sums_close(struct sums *sums);
/* The last line of that name: 0, or -ENOENT. */
MUST_CHECK int sums_find(const struct sums *sums, const char *name, struct sum *sum);

#endif
