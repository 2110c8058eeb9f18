/* text - strings made fit for a record: UTF-8, bounded, lower case
 *
 * Results point into the text given where nothing had to change, else into the arena.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_TEXT_H
#define ENRICH_TEXT_H

#include "lib/arena.h"
#include "lib/slice.h"

#define TEXT_ID_MAX   1024      /* ids, names: longer ones are cut; SDKs send under 100 */
#define TEXT_LONG_MAX 8192      /* URLs, titles, user agents */

/* At most max bytes, not ending inside a character. */
struct slice text_cut(struct slice text, size_t max);
/* What is not well-formed UTF-8 becomes U+FFFD (json.h). {NULL, 0} where memory ends. */
struct slice text_utf8(struct arena *arena, struct slice text);
/* ASCII letters in lower case; others stay. {NULL, 0} where memory ends. */
struct slice text_lower(struct arena *arena, struct slice text);

#endif
