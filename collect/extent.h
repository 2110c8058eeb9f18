/* extent - where the items of an array stand in a JSON text
 *
 * A parser's tree does not tell from which bytes a value came; a bad message is kept as the bytes
 * that came. The text must have been parsed as valid JSON before: nothing is checked here but the
 * end of the text.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_EXTENT_H
#define COLLECT_EXTENT_H

#include "lib/slice.h"

/* The items of the array under key in the object that is the whole text; of two such keys the last
 * counts. *items is grown (free() it at the end), *count is 0 where there is no such array, also
 * where a key is written with escapes, or memory ends. */
void extent_find(struct slice text, const char *key, struct slice **items, size_t *count,
		 size_t *cap);

/* The end of the value that begins at text[at]. */
size_t extent_end(struct slice text, size_t at);

#endif
