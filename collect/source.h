/* source - who sends: write keys and what is set for them
 *
 *      sources:
 *        - name: web                           # [a-z0-9_-]{1,64}: the field `source` of events
 *          write_key: KEY                      # or write_keys: [KEY, ..]; file:PATH reads a file
 *          origins: [https://shop.example]     # browsers' pages that may send; all where not given
 *          enabled: true                       # false: answer 200, count as filtered, keep nothing
 *          rate: 1000                          # events per second; 0 or none: any number
 *
 * A set is built whole from the file's tree and copies what it needs. A key is looked up by a
 * seeded hash and then compared in constant time: how long it takes tells nothing of other keys.
 * Limits: 4,096 sources, 16,384 keys of at most 200 bytes.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_SOURCE_H
#define COLLECT_SOURCE_H

#include <stdbool.h>

#include "collect/limit.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "lib/yaml.h"

#define SOURCE_NAME_MAX 64
#define SOURCE_KEY_MAX  200
#define SOURCES_MAX     4096
#define SOURCE_KEYS_MAX 16384

struct source {
	struct slice name;              /* owned by the set, as all below */
	const struct slice *origins;    /* without a '/' at the end */
	size_t origin_count;            /* 0: any */
	bool enabled;
	struct limit limit;
};

struct source_set;

bool source_name_is_valid(struct slice name);

/* From the value of `sources` (NULL: a set without any). -EINVAL: words with file and line. */
MUST_CHECK int source_set_open(struct source_set **setp, const struct yaml *sources,
			       const char *path, struct err *err);
void source_set_close(struct source_set *set);
size_t source_set_count(const struct source_set *set);
/* NULL: no source has that key. Valid until the set is closed. */
struct source *source_find(struct source_set *set, struct slice key);
/* Whether a page of that origin may send for the source. */
bool source_allows(const struct source *source, struct slice origin);

#endif
