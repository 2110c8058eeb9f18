/* step_file - the data files that steps were made of
 *
 *      step_file_read, step_file_watch --> entries: path, identity, hash of the content
 *
 * Identity is device, inode, size and time of change; a file is looked at again by stat alone.
 * At most STEP_FILES_MAX of them. The content is hashed by XXH3-64: 64 MB take about 10 ms.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_STEP_FILE_H
#define ENRICH_STEP_FILE_H

#include <sys/stat.h>

#include "enrich/step.h"

#define STEP_FILES_MAX 256
#define STEP_LACKS_MAX 8

struct step_file {
	char *path;             /* owned */
	struct stat stat;
	uint64_t hash;
};

struct step_files {
	struct step_file *files;        /* owned; [STEP_FILES_MAX] */
	int count;
	char **reads;           /* what step_file_read gave out since the last step_files_settle */
	int read_count;
	const char *lacks[STEP_LACKS_MAX];      /* static words: what steps do without */
	int lack_count;
};

MUST_CHECK int step_files_open(struct step_files *files, struct err *err);
void step_files_close(struct step_files *files);
/* A step is open: what it read is freed. */
void step_files_settle(struct step_files *files);
/* The index of the first that is no longer what was read, with its stat; -1: none. */
int step_files_changed(const struct step_files *files, struct stat *now);
/* The same file with the same content, as far as stat tells. */
bool step_file_is_same(const struct stat *a, const struct stat *b);

#endif
