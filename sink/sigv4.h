/* sigv4 - AWS Signature Version 4 of a request
 *
 * Signed are the host and all headers that the request has by then, the x-amz- ones made here among
 * them. The URL's path must be encoded already (sigv4_encode), and its query sorted by name.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SIGV4_H
#define SINK_SIGV4_H

#include "sink/post.h"

struct sigv4 {
	const char *access_key, *secret_key;
	const char *session_token;      /* NULL: none */
	const char *region, *service;
};

/* -EBADMSG: the URL is none, or a key has bytes that no header may have; -ENOSPC. */
MUST_CHECK int sigv4_sign(const struct sigv4 *sigv4, int64_t now_us, struct post_request *request);
/* Appends text with all but letters, digits and -._~ (and / where is_path) as %XX. */
void sigv4_encode(struct slice text, bool is_path, struct buf *out);

#endif
