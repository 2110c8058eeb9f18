/* file_name - what a sink's file is called, and which files a directory has
 *
 *      TOPIC-PARTITION-FIRST-LAST.EXT      finished: it covers exactly the offsets FIRST..LAST
 *      TOPIC-PARTITION-FIRST.EXT.part      being written; of no worth after a crash
 *      .TOPIC-PARTITION.sums               one line per finished file, and the lock (sums.h)
 *
 * Offsets have 20 digits, so that names sort as offsets do. EXT is jsonl, jsonl.gz or avro. All
 * else in the directory is somebody else's and left alone.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_FILE_NAME_H
#define SINK_FILE_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define FILE_NAME_TEXT_MAX  256
#define FILE_NAME_TOPIC_MAX 180

enum file_format { FILE_FORMAT_JSONL, FILE_FORMAT_JSONL_GZ, FILE_FORMAT_AVRO, FILE_FORMAT_COUNT };

struct file_name {
	char topic[FILE_NAME_TOPIC_MAX + 1];
	int32_t partition;
	int64_t first;
	int64_t last;                   /* -1: a .part */
	enum file_format format;
};

/* "jsonl", ..; and back: -EINVAL. */
const char *file_format_ext(enum file_format format);
MUST_CHECK int file_format_find(struct slice ext, enum file_format *format);

void file_name_print(const struct file_name *name, char text[FILE_NAME_TEXT_MAX]);
void file_name_print_sums(const char *topic, int32_t partition, char text[FILE_NAME_TEXT_MAX]);
/* -EINVAL: no name of ours. */
MUST_CHECK int file_name_parse(const char *text, struct file_name *name);

struct file_list {
	struct file_name *files;        /* owned; sorted by topic, partition, first, last */
	size_t count;
};

/* All files of ours in a directory. -errno with words. */
MUST_CHECK int file_list_open(struct file_list *list, int dir_fd, struct err *err);
void file_list_close(struct file_list *list);

#endif
