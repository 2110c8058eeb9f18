/* inflate - gzip bodies, bounded
 *
 * One inflater per thread; its memory is reused. The output stops at bytes_max, and at ratio times
 * the input once there is more than INFLATE_FREE of it, so that a bomb costs what an honest large
 * body does. gzip of several members is one body; anything else behind a member is an error.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_INFLATE_H
#define COLLECT_INFLATE_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define INFLATE_FREE ((size_t)1 << 20)

struct inflate;

/* ratio 0: any. */
MUST_CHECK int inflate_open(struct inflate **inflatep, size_t bytes_max, size_t ratio,
			    struct err *err);
void inflate_close(struct inflate *gz);
/* *out lives until the next call. is_zlib: what HTTP calls deflate. -EBADMSG: broken, cut short or
 * followed by something else. -ENOSPC: over a bound. Words in err. */
MUST_CHECK int inflate_body(struct inflate *gz, struct slice in, bool is_zlib,
			    struct slice *out, struct err *err);

#endif
