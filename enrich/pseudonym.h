/* pseudonym - a text that stands for an id, and cannot be turned back without the key
 *
 *      lower case hexadecimal of HMAC-SHA256(key, id), 64 characters
 *
 * Keys come from a file, so that they can rotate: a line is `KEY` or `SINCE KEY`, with SINCE an
 * instant (2026-11-01T00:00:00Z); # begins a comment line. The key of an event is the last one
 * whose SINCE is not after its received_at, else the first: so a replay gives the same. KEY is
 * text of at least 16 bytes, or hex: and at least 32 digits. Latest answers are remembered (4,096
 * of them), which saves the HMAC for ids that come again; the memory is keyed, so that nobody can
 * make two ids meet in it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_PSEUDONYM_H
#define ENRICH_PSEUDONYM_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define PSEUDONYM_LEN 64

struct pseudonym;

/* text: of the key file. where: for words. */
MUST_CHECK int pseudonym_open(struct pseudonym **pseudonymp, struct slice text, const char *where,
			      struct err *err);
void pseudonym_close(struct pseudonym *pseudonym);
/* hex gets PSEUDONYM_LEN characters, no NUL. -ENOMEM. */
MUST_CHECK int pseudonym_make(struct pseudonym *pseudonym, int64_t received_us, struct slice id,
			      char hex[PSEUDONYM_LEN]);

#endif
