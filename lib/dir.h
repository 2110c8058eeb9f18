/* dir - directories that are there after a crash, too
 *
 *      dir_make("a/b/c")  ->  mkdir a, fsync .; mkdir a/b, fsync a; mkdir a/b/c, fsync a/b
 *
 * A new file or directory is on the disk when its parent's entry is: a rename or mkdir without
 * dir_sync may be gone after power was lost, though the file's own bytes are safe.
 * The mode is 0755 less the umask. What exists is left as it is; a path that names a file gives
 * -ENOTDIR, from here or from the open that follows.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_DIR_H
#define LIB_DIR_H

#include "lib/err.h"

#define DIR_PATH_MAX 4096

/* The directory and all that lead to it (mkdir -p). 0; -ENOENT: an empty path; -ENAMETOOLONG;
 * -errno of mkdir or fsync. */
MUST_CHECK int dir_make(const char *path);
/* All names in the directory are on the disk. 0 or -errno. */
MUST_CHECK int dir_sync(const char *path);
/* The same for the directory that holds path. */
MUST_CHECK int dir_sync_parent(const char *path);

#endif
