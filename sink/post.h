/* post - HTTP requests to one destination, many at once
 *
 *      post_send --> libcurl multi: keep-alive, HTTP/2 where the other side has it --> done()
 *
 * Safe against what a setting or an answer could do: https only, unless the host is allowed by
 * name (guard.h); every address is checked when the socket is made, after its resolution, so that
 * a name that changes its mind cannot lead inside; no redirect is followed; TLS is verified; no
 * proxy of the environment; an answer is read up to POST_BODY_MAX. All on one thread.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_POST_H
#define SINK_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/slice.h"

#define POST_BODY_MAX    ((size_t)256 << 10)
#define POST_HEADERS_MAX 24
#define POST_URL_MAX     2048
#define POST_HEADER_BYTES 4096

/* Filled by a kind's build, kept by the frame until the answer: buffers are reused. */
struct post_request {
	const char *method;             /* "POST" (default), "PUT", "GET", "DELETE" */
	char url[POST_URL_MAX];
	struct buf body;
	bool gzip;                      /* the frame packs body and sets Content-Encoding */
	int header_count;
	struct slice headers[POST_HEADERS_MAX]; /* into header_text: see post_header */
	size_t header_len;
	char header_text[POST_HEADER_BYTES];
};

struct post_answer {
	int status;                     /* 0: no answer came */
	struct slice body;              /* up to POST_BODY_MAX */
	bool is_cut;                    /* it was longer */
	int64_t retry_after_ms;         /* -1: not said */
	const char *error;              /* status 0: words */
	bool is_setup;                  /* status 0: the settings are to blame (address
	                                   refused, no TLS where it is due) */
	bool was_sent;                  /* status 0: the request went out, at least in part */
	struct slice headers;           /* as they came, lines ending with CRLF */
};

/* Adds `name: value`; bytes under 0x20 in value are refused: -EBADMSG. -ENOSPC. */
MUST_CHECK int post_header(struct post_request *request, const char *name, struct slice value);
/* Empty again, memory kept. */
void post_request_reset(struct post_request *request);
void post_request_close(struct post_request *request);
/* A header of an answer, case-insensitive; {NULL, 0}. */
struct slice post_answer_header(const struct post_answer *answer, const char *name);

struct guard;
struct post;

typedef void post_done_fn(void *ctx, void *request_ctx, const struct post_answer *answer);

struct post_conf {
	const struct guard *guard;      /* borrowed */
	const struct log *log;
	int connections;                /* at most */
	int64_t timeout_ms;
	const char *user_agent;
	const char *ca_file;            /* NULL: the system's */
	post_done_fn *done;             /* called from within post_wait */
	void *ctx;
};

MUST_CHECK int post_open(struct post **postp, const struct post_conf *conf, struct err *err);
/* Requests under way are dropped without a call. */
void post_close(struct post *post);
/* request is borrowed until done. 0, or -errno (nothing will be called). */
MUST_CHECK int post_send(struct post *post, const struct post_request *request, void *request_ctx);
/* Works for up to timeout_ms, or until something was done or post_wake called. */
MUST_CHECK int post_wait(struct post *post, int timeout_ms);
/* From any thread. */
void post_wake(struct post *post);
int post_running(const struct post *post);

#endif
