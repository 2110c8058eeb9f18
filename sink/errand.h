/* errand - HTTP requests one after the other, each waited for: for kinds that need several to put
 *
 *      errand_begin --> fill the request --> errand_run --> answer, valid until the next begin
 *
 * Over post.h, so with the same safety. Gives up at the deadline, and soon after *env->stop is
 * set. The carrier's thread only.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_ERRAND_H
#define SINK_ERRAND_H

#include "sink/dest.h"

struct errand;

MUST_CHECK int errand_open(struct errand **errandp, const struct dest_env *env, struct err *err);
void errand_close(struct errand *errand);
/* Empty, with the buffers of the last one. */
struct post_request *errand_begin(struct errand *errand);
/* NULL: no answer; then *result says why. What a status means is the caller's. */
const struct post_answer *errand_run(struct errand *errand, int64_t deadline_ms,
				     struct dest_result *result);

#endif
