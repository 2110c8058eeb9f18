/* yaml - a YAML file as a tree that remembers its lines
 *
 * libyaml reads; this keeps scalars, lists and maps with their line numbers, so that an error
 * can say `millrace.yaml:12`. Anchors, aliases, tags and more than one document are refused.
 * Limits: YAML_BYTES_MAX of text, depth 32, 100,000 nodes. A key that stands twice is an error.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_YAML_H
#define LIB_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/slice.h"

#define YAML_BYTES_MAX ((size_t)1 << 20)
#define YAML_LIST_MAX  ((size_t)16 << 20)

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_LIST, YAML_KIND_MAP };

struct yaml {
	enum yaml_kind kind;
	const char *key;                /* in a map: its key; else NULL */
	const char *text;               /* of a scalar, NUL-terminated; an empty value is "" */
	int line;                       /* from 1 */
	bool is_quoted;                 /* a scalar in quotes, or a block: text, whatever it says */
	const struct yaml *first;       /* children in order */
	const struct yaml *next;        /* sibling */
};

struct yaml_file;

/* Reads a file. *rootp lives until yaml_close. -ENOENT, -EBADMSG: words with path and line. */
MUST_CHECK int yaml_open(struct yaml_file **filep, const char *path, const struct yaml **rootp,
			 struct err *err);
void yaml_close(struct yaml_file *file);
/* A data file that is in memory; path is for words. Other people's lists have keys that stand
 * twice: both are children. JSON is YAML enough. At most YAML_LIST_MAX bytes, 1,000,000 nodes. */
MUST_CHECK int yaml_parse_list(struct yaml_file **filep, struct slice text, const char *path,
			       const struct yaml **rootp, struct err *err);

/* The child of a map; NULL where there is none or node is NULL or no map. */
const struct yaml *yaml_get(const struct yaml *node, const char *key);
/* The text of such a child that is a scalar, else NULL. */
const char *yaml_get_text(const struct yaml *node, const char *key);

#endif
