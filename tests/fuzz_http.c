// SPDX-License-Identifier: Apache-2.0
/* Feeds bytes through the parser as a connection does, whole and in pieces: both must give the same
 * requests and the same refusal, and every slice must lie in the buffer. The first byte of the
 * input chooses the pieces. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/httpd_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	int requests, status;
	size_t body_bytes, path_bytes, headers;
	uint64_t hash;
};

static void mix(struct outcome *outcome, const struct http_parse *parse, struct slice part)
{
	bool inside = part.ptr >= parse->in.ptr &&
		      part.ptr + part.len <= parse->in.ptr + parse->in.len;

	assert(inside || slice_is(part, "/"));
	for (size_t i = 0; i < part.len; i++)
		outcome->hash = (outcome->hash ^ (unsigned char)part.ptr[i]) * 0x100000001b3;
	outcome->hash = (outcome->hash ^ 0x100) * 0x100000001b3;
}

static void note(struct outcome *outcome, const struct http_parse *parse,
		 const struct http_request *request)
{
	outcome->requests++;
	outcome->body_bytes += request->body.len;
	outcome->headers += (size_t)request->header_count;
	mix(outcome, parse, request->method);
	mix(outcome, parse, request->path);
	mix(outcome, parse, request->query);
	mix(outcome, parse, request->body);
	for (int i = 0; i < request->header_count; i++) {
		mix(outcome, parse, request->headers[i].name);
		mix(outcome, parse, request->headers[i].value);
	}
}

/* Everything that is in the buffer. false: refused. */
static bool consume(struct http_parse *parse, struct http_request *request,
		    struct outcome *outcome)
{
	const struct http_limits limits = { 512, 4096 };

	for (;;) {
		int rc = http_parse(parse, &limits, request);

		if (rc == -EAGAIN) {
			assert(parse->in.len <= 512 + 4096 + 65536);
			return true;
		}
		if (rc) {
			assert(rc == -EBADMSG && parse->status >= 400 && parse->why);
			outcome->status = parse->status;
			return false;
		}
		note(outcome, parse, request);
		http_parse_next(parse);
		if (!parse->in.len)
			return true;
	}
}

static struct outcome feed(const uint8_t *data, size_t size, size_t piece)
{
	struct http_request *request = calloc(1, sizeof(*request));
	struct http_parse *parse = calloc(1, sizeof(*parse));
	struct outcome outcome = { 0 };

	while (size) {
		size_t room, n = piece && piece < size ? piece : size;
		char *at = http_parse_room(parse, &room);

		assert(at && room);
		if (n > room)
			n = room;
		memcpy(at, data, n);
		parse->in.len += n;
		data += n;
		size -= n;
		if (!consume(parse, request, &outcome))
			break;
	}
	buf_close(&parse->in);
	free(parse);
	free(request);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;

	if (!size)
		return 0;
	whole = feed(data + 1, size - 1, 0);
	pieces = feed(data + 1, size - 1, 1 + data[0] % 64);
	assert(whole.requests == pieces.requests && whole.status == pieces.status);
	assert(whole.hash == pieces.hash && whole.body_bytes == pieces.body_bytes);
	return 0;
}
