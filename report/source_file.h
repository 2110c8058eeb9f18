/* source_file - the list `sources` of millrace.yaml, changed as a person would with an editor
 *
 *      sources:
 *        - name: web
 *          write_key: 3f0c..
 *          enabled: false        <- a line more, or another word in it
 *        - name: shop            <- lines at the end of the list
 *          write_key: 91ab..
 *
 * Lines are changed, nothing else: comments and order stay. What comes out is checked by `collect
 * --check` before it becomes the file. A list written on one line is a person's to change.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_SOURCE_FILE_H
#define REPORT_SOURCE_FILE_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

/* [{"name","keys":[..],"enabled","origins":[..],"rate"}] of the file. -EBADMSG, -ENOENT. */
MUST_CHECK int source_file_print(const char *path, struct buf *out, struct err *err);

/* The file's text with one source more, of a random write key. -EEXIST: the name is there; -EINVAL:
 * it is no name, or the list cannot be changed by lines. */
MUST_CHECK int source_file_add(const char *path, struct slice name, struct buf *out,
			       struct err *err);
/* ... with that source switched. -ENOENT: there is none. */
MUST_CHECK int source_file_switch(const char *path, struct slice name, bool on, struct buf *out,
				  struct err *err);

/* Whether a file of places in the settings is DB-IP's, whose licence wants to be named. */
bool source_file_has_dbip(const char *path);
/* Whether they name a bundle for web pages: collect: {analytics_js: FILE}. */
bool source_file_has_bundle(const char *path);

#endif
