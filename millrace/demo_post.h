/* demo_post - messages in batches to collect, as an SDK sends them
 *
 *      message, message, .. --> {"batch":[..],"sentAt":now} --> POST /v1/batch --> 200
 *                                                                 429, 5xx, nobody: again, later
 *
 * A batch that is sent again has the same message ids, so it counts once however often it
 * arrives. sentAt is the time of each try: our clock is right, so enrich has nothing to correct.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_DEMO_POST_H
#define MILLRACE_DEMO_POST_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define DEMO_POST_MESSAGES 250
#define DEMO_POST_BYTES    400000
#define DEMO_POST_TRY_MS   60000        /* so long a batch is tried again */

struct demo_post;

/* Asked between two tries; true: give up (-EINTR). */
typedef bool demo_post_stop_fn(void *ctx);

MUST_CHECK int demo_post_open(struct demo_post **postp, const char *url, const char *write_key,
			      demo_post_stop_fn *stop, void *ctx, struct err *err);
void demo_post_close(struct demo_post *post);

/* Where the next message is to be appended; demo_post_add says that it was, and sends a batch
 * that is full. */
struct buf *demo_post_buf(struct demo_post *post);
MUST_CHECK int demo_post_add(struct demo_post *post, struct err *err);
/* Sends what is there. */
MUST_CHECK int demo_post_flush(struct demo_post *post, struct err *err);
/* Messages acknowledged so far. */
uint64_t demo_post_sent(const struct demo_post *post);

#endif
