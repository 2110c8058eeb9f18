/* httpd_parse - the bytes of one HTTP request, without sockets
 *
 *      in:  | head ............ | body, unchunked ..... | bytes not yet looked at |
 *           start               head_end                at                        in.len
 *
 * The caller appends bytes to `in` and calls http_parse until it has a whole request. The head
 * is judged byte by byte as it comes (httpd.h names what is refused), then split by http_parser,
 * whose Debian build is the lax one (HTTP_PARSER_STRICT=0: spaces in names, anything for the CR
 * after a chunk): so it only ever sees heads that are already clean. Chunks are decoded here, in
 * place, for the same reason. Internal to lib/httpd*.c; tests/fuzz_http.c feeds it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_HTTPD_PARSE_H
#define LIB_HTTPD_PARSE_H

#include "lib/httpd.h"

struct http_limits {
	size_t headers_max, body_max;
};

enum http_phase { HTTP_PHASE_HEAD, HTTP_PHASE_LENGTH, HTTP_PHASE_CHUNKED, HTTP_PHASE_WHOLE };

/* A place in `in`, which may move while a body grows. */
struct http_span {
	uint32_t at, len;
};

struct http_parse {
	struct buf in;                  /* owned */
	enum http_phase phase;
	int state;                      /* of the byte machine (httpd_parse.c) */
	size_t at;                      /* next byte to look at */
	size_t start, head_end;
	size_t body_len;                /* whole, or decoded so far */
	size_t chunk_left, chunk_digits, trailer_len;
	int lines;                      /* header lines, trailers included */
	bool skipped_line;              /* the one empty line allowed before a request */
	bool is_http10, is_head, keep_alive, has_host;
	bool continue_due;              /* the client waits for "100 Continue" */
	int status;                     /* after -EBADMSG: what to answer, and why */
	const char *why;
	struct http_span target;
	int header_count;
	struct { struct http_span name, value; } headers[HTTPD_HEADERS_MAX];
};

/* 0: request is filled; its slices point into `in` until http_parse_next or more bytes.
 * -EAGAIN: more bytes are needed. -EBADMSG: status and why say what to answer; then close. */
MUST_CHECK int http_parse(struct http_parse *parse, const struct http_limits *limits,
			  struct http_request *request);
/* Room to read into; at least 1 byte, fitting to the phase. NULL: no memory. */
char *http_parse_room(struct http_parse *parse, size_t *len);
/* Drops the whole request; what follows it becomes the start of the next. */
void http_parse_next(struct http_parse *parse);
/* Drops everything, the memory is kept. */
void http_parse_reset(struct http_parse *parse);

#endif
