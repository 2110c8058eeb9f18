/* when - instants as text
 *
 * Instants are int64_t microseconds since 1970-01-01T00:00:00Z. Text is RFC 3339 as SDKs send
 * it: 0-9 fraction digits, Z or +hh:mm or -hh:mm, `t`/space for `T`; a zone is required.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_WHEN_H
#define LIB_WHEN_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define WHEN_TEXT_MAX 32

/* -EBADMSG: no such instant (also 30 February). Digits after the sixth are cut off. */
MUST_CHECK int when_parse(struct slice text, int64_t *us);
/* "2026-11-24T10:00:00.123Z" (digits 3) or with 6 digits, NUL-terminated; returns the length.
 * Years 0..9999; others are clamped. */
size_t when_print(int64_t us, int digits, char text[WHEN_TEXT_MAX]);
/* The wall clock now. */
int64_t when_now_us(void);
/* A clock that never jumps, for intervals. */
int64_t when_monotonic_ms(void);

#endif
