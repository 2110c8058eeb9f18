/* client - HTTP to the own programs, through libcurl
 *
 * One handle, one connection that is kept, one request at a time. Answers are bounded.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_CLIENT_H
#define MILLRACE_CLIENT_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

#define CLIENT_ANSWER_MAX ((size_t)64 << 20)

struct client;

/* url: http://HOST:PORT. user (may be NULL) goes as the name in Basic authorisation, with an
 * empty password: a write key. */
MUST_CHECK int client_open(struct client **clientp, const char *url, const char *user,
			   int64_t timeout_ms, struct err *err);
/* Asks for another form of answers than JSON: "text/csv". -ENOMEM. */
MUST_CHECK int client_accept(struct client *client, const char *type);
void client_close(struct client *client);

/* POST of JSON, or GET where body.ptr is NULL. Returns the HTTP status, and answer has its body
 * (it is reset first). *retry_after (may be NULL): seconds, 0 where the answer has none.
 * -ECONNREFUSED, -ETIMEDOUT, -EIO: no answer, with words. */
MUST_CHECK int client_send(struct client *client, const char *path, struct slice body,
			   struct buf *answer, int64_t *retry_after, struct err *err);

#endif
