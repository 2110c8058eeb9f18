/* scan - reads a finished file from its first byte to its last
 *
 * Whole means: jsonl: every line is a JSON object and the last one ends; jsonl.gz: one gzip member,
 * its CRC right, nothing behind it, and the same of its lines; avro: header, and blocks that unpack
 * with their sync markers and fill exactly with datums of the header's schema. Where records
 * carry src, stamps are looked at as any reader would (stamp.h): a repeat is counted.
 * It is how verify proves a file and how a sink that starts learns the last stamp it has written.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SCAN_H
#define SINK_SCAN_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/stamp.h"
#include "sink/file_name.h"
#include "sink/sums.h"

struct scanner;

MUST_CHECK int scanner_open(struct scanner **scannerp, struct err *err);
void scanner_close(struct scanner *scanner);

struct scan {
	unsigned char hash[SUMS_HASH];
	uint64_t bytes;
	uint64_t records;
	uint64_t repeats;               /* src not above one that came before */
	char why[160];                  /* -EBADMSG: what is wrong, and where */
};

/* seen is looked at and advanced. 0; -EBADMSG: damaged (hash and bytes are set, the rest is what
 * was read before); -errno: could not be read, why says so. */
MUST_CHECK int scan_file(struct scanner *scanner, int dir_fd, const struct file_name *name,
			 struct stamp_seen *seen, struct scan *scan);

#endif
