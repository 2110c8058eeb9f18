/* bus_log_head - the hint file of a log topic: what is durable, and a bell
 *
 *      at           bytes
 *      0            8      "MRHEAD1\n"
 *      8            4      bell: changes with every commit; a futex
 *      12           52     zero
 *      64 + 64 p    8      offset: the next one to be durable, of partition p
 *                   8      base of the segment that it is in
 *                   8      size: durable bytes of that file
 *                   8      check: XXH3-64 of offset, base, size, seeded with p + 1
 *                   32     zero
 *
 * One entry per partition p < BUS_PARTITIONS_MAX; numbers in the machine's own byte order, as no
 * other machine reads it. The writer of a partition writes its entry after each fdatasync, so an
 * entry whose check is right never claims more than the disk has: at any time, and after a power
 * loss when an older page of this file survived. It is never synced, and everything works without
 * it, but slower.
 *
 * Entries go in by pwrite and out by pread, which the page cache makes one memory; a store to a
 * mapped page of a full disk would be a SIGBUS, a pwrite is an error. Only the bell is mapped, read
 * only, as futex(2) wants an address.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_BUS_LOG_HEAD_H
#define LIB_BUS_LOG_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct log_head {
	int fd;                 /* -1: there is none */
	const uint32_t *bell;   /* mapped; NULL without a file */
};

struct log_head_entry {
	int64_t offset;         /* all before it is durable */
	int64_t base;           /* of the segment that ends there */
	int64_t size;           /* durable bytes of that segment; 0: it does not exist yet */
};

/* Makes .head in dirfd where it is missing or of a wrong size, and opens it. -errno. */
MUST_CHECK int log_head_open_write(struct log_head *head, int dirfd);
/* -ENOENT, -EBADMSG (too short, wrong magic), -errno. */
MUST_CHECK int log_head_open_read(struct log_head *head, int dirfd);
void log_head_close(struct log_head *head);
/* true: the file was unlinked under us, and has to be opened again. */
bool log_head_is_gone(const struct log_head *head);

MUST_CHECK int log_head_put(struct log_head *head, int32_t partition,
			    const struct log_head_entry *entry);
/* -ENOENT: never written, or damaged. */
MUST_CHECK int log_head_get(const struct log_head *head, int32_t partition,
			    struct log_head_entry *entry);

void log_head_ring(struct log_head *head);
/* The bell as it is now, for log_head_wait. */
uint32_t log_head_bell(const struct log_head *head);
/* Sleeps until the bell is no longer `bell`, or timeout_ms, or a signal. */
void log_head_wait(const struct log_head *head, uint32_t bell, int timeout_ms);

#endif
