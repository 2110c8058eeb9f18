/* part_file - destinations/NAME.yaml and triggers/NAME.yaml: read, written whole, switched
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_PART_FILE_H
#define MILLRACE_PART_FILE_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/yaml.h"

bool part_file_is_name(const char *name);
/* Up to 64 kB. */
MUST_CHECK int part_file_read(const char *path, struct buf *out, struct err *err);
/* Beside its place, then renamed: nobody ever reads half of it. is_new: -EEXIST where one is. */
MUST_CHECK int part_file_write(const char *dir, const char *name, struct slice text, bool is_new,
			       struct err *err);
/* The line `enabled: ..` of dir/NAME.yaml in another way, or one more. */
MUST_CHECK int part_file_switch(const char *dir, const char *name, bool on, struct err *err);
/* What settings takes for on. */
bool part_file_is_on(const struct yaml *root);

#endif
