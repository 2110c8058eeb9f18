/* dest_file - files whose names say which offsets they cover
 *
 *      DIR/TOPIC-PARTITION-FIRST.EXT.part  --write, fdatasync, sums, rename, fsync(DIR)-->
 *      DIR/TOPIC-PARTITION-FIRST-LAST.EXT
 *
 * The rename, which never replaces a file, is the commit; the directory is the only memory. A start
 * takes the partition's lock (sums.h), deletes its .part, and goes on at the highest LAST + 1. So
 * kill -9 at any moment costs only work: no offset is in two files or in none.
 *
 * A file covers every offset FIRST..LAST, FIRST being the LAST + 1 of the one before: markers,
 * repeats, bad records and the holes that Kafka leaves take offsets, but no lines. It ends
 *   - before an offset that rotate_records divides,
 *   - after rotate_bytes before compression,
 *   - before a record whose received_at is in another multiple of rotate_time_ms than that of
 *     the file's first record: these three depend on the records alone; and
 *   - flush_after_ms after its first record came, at the end of the input, and at SIGTERM, so that
 *     people see their events soon. These depend on the clock, so two runs over one topic may cut
 *     it differently: with --flush-after 0 a run that is not interrupted names its files as
 *     any other does. The clock was kept out of names in other sinks because there a
 *     file's LAST was not in its name, and a run after a crash overwrote or skipped what a
 *     differently cut one had written. Here it is, and a restart reads LAST from the directory:
 *     ranges never overlap, however early a file ends.
 *
 * A full disk is waited out (back-off from 0.1 to 5 s, a warning each time): write(2) has taken
 * nothing that it did not say. An fdatasync that fails is never repeated: the sink ends, and the
 * next one writes the file anew. A pipe has no offsets to go back to: there the numbers go on after
 * the highest in the directory, under the topic name `stdin`.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_DEST_FILE_H
#define SINK_DEST_FILE_H

#include "sink/outlet.h"
#include "sink/encoder.h"

struct dest_file_conf {
	struct encoder_conf encoder;
	const char *dir;                /* made where it is missing, with those above it */
	const char *topic;
	const struct log *log;
	int64_t rotate_records;         /* each 0: never */
	int64_t rotate_bytes;
	int64_t rotate_time_ms;
	int64_t flush_after_ms;
	bool is_pipe;
};

/* conf is borrowed until close. Errors: the directory cannot be made or written. */
MUST_CHECK int dest_file_open(struct outlet **destp, const struct dest_file_conf *conf,
			      struct err *err);

#endif
