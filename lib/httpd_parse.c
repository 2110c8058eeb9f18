// SPDX-License-Identifier: Apache-2.0
#include "lib/httpd_parse.h"

#include <assert.h>
#include <errno.h>
#include <http_parser.h>
#include <strings.h>

#define READ_ROOM        16384  /* a request of one event, or of a small batch, in one read */
#define CHUNK_DIGITS_MAX 16

enum parse_state {
	/* the head, and the trailers of chunks from STATE_LINE on */
	STATE_START,
	STATE_START_LF,
	STATE_REQUEST,
	STATE_CR,               /* a line's LF must follow */
	STATE_LINE,
	STATE_NAME,
	STATE_VALUE,
	STATE_END_LF,
	STATE_END,
	/* chunks */
	STATE_SIZE,
	STATE_SIZE_LF,
	STATE_DATA,
	STATE_DATA_CR,
	STATE_DATA_LF,
};

static int refuse(struct http_parse *parse, int status, const char *why)
{
	parse->status = status;
	parse->why = why;
	return -EBADMSG;
}

/* RFC 9110 token characters, as a set of bits. */
static bool is_token(unsigned char c)
{
	static const uint32_t set[8] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };

	return set[c >> 5] >> (c & 31) & 1;
}

static bool is_value(unsigned char c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* Whether all of eight bytes are plain value bytes; a tab, or a rare false no, goes the slow
 * way. */
static bool are_values(const unsigned char *bytes)
{
	const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
	uint64_t word, del;

	memcpy(&word, bytes, sizeof(word));
	del = word ^ ones * 0x7f;
	return !(((word - ones * 0x20) & ~word & highs) | ((del - ones) & ~del & highs));
}

static int bad_byte(struct http_parse *parse, unsigned char c)
{
	switch (parse->state) {
	case STATE_START:
	case STATE_START_LF:
	case STATE_REQUEST:
		if (c == '\n')
			return refuse(parse, 400, "a bare LF");
		return refuse(parse, 400, "no HTTP request line");
	case STATE_LINE:
		if (c == ' ' || c == '\t')
			return refuse(parse, 400, "a folded header line");
		return refuse(parse, 400, "a bad byte in a header name");
	case STATE_NAME:
		if (c == ' ' || c == '\t')
			return refuse(parse, 400, "a space before the colon");
		if (c == '\r')
			return refuse(parse, 400, "a header line without a colon");
		return refuse(parse, 400, "a bad byte in a header name");
	case STATE_VALUE:
		if (c == '\n')
			return refuse(parse, 400, "a bare LF");
		return refuse(parse, 400, "a control byte in a header value");
	default:
		return refuse(parse, 400, "a bare CR");
	}
}

/* Runs over header lines from parse->at to end. 0: the empty line was seen. */
static int scan_lines(struct http_parse *parse, size_t end)
{
	const unsigned char *bytes = (const unsigned char *)parse->in.ptr;
	size_t at = parse->at;
	int state = parse->state;

	while (at < end && state != STATE_END) {
		unsigned char c = bytes[at];

		if (state == STATE_NAME) {
			while (is_token(c) && ++at < end)
				c = bytes[at];
			if (at == end)
				break;
			if (c != ':')
				goto bad;
			state = STATE_VALUE;
		} else if (state == STATE_VALUE) {
			while (end - at > 8 && are_values(bytes + at))
				at += 8;
			c = bytes[at];
			while (is_value(c) && ++at < end)
				c = bytes[at];
			if (at == end)
				break;
			if (c != '\r')
				goto bad;
			state = STATE_CR;
		} else if (state == STATE_CR && c == '\n') {
			state = STATE_LINE;
		} else if (state == STATE_LINE && c == '\r') {
			state = STATE_END_LF;
		} else if (state == STATE_LINE && is_token(c)) {
			if (++parse->lines > HTTPD_HEADERS_MAX)
				return refuse(parse, 431, "over 100 header lines");
			state = STATE_NAME;
		} else if (state == STATE_END_LF && c == '\n') {
			state = STATE_END;
		} else {
			goto bad;
		}
		at++;
	}
	parse->at = at;
	parse->state = state;
	return state == STATE_END ? 0 : -EAGAIN;
bad:
	parse->state = state;
	return bad_byte(parse, bytes[at]);
}

static int scan_request_line(struct http_parse *parse, size_t end)
{
	const unsigned char *bytes = (const unsigned char *)parse->in.ptr;

	for (; parse->at < end && parse->state < STATE_CR; parse->at++) {
		unsigned char c = bytes[parse->at];

		if (parse->state == STATE_REQUEST && c >= ' ' && c < 0x7f)
			continue;
		if (parse->state == STATE_REQUEST && c == '\r') {
			parse->state = STATE_CR;
		} else if (parse->state == STATE_START && c >= 'A' && c <= 'Z') {
			parse->start = parse->at;
			parse->state = STATE_REQUEST;
		} else if (parse->state == STATE_START && c == '\r' && !parse->skipped_line) {
			parse->skipped_line = true;
			parse->state = STATE_START_LF;
		} else if (parse->state == STATE_START_LF && c == '\n') {
			parse->state = STATE_START;
		} else {
			return bad_byte(parse, c);
		}
	}
	return parse->state == STATE_CR ? 0 : -EAGAIN;
}

/* Nothing beyond the limit is looked at: the verdict does not depend on how the bytes came. */
static int scan_head(struct http_parse *parse, const struct http_limits *limits)
{
	size_t len = parse->in.len;
	size_t end = len < limits->headers_max ? len : limits->headers_max;
	int rc = parse->state < STATE_CR ? scan_request_line(parse, end) : 0;

	if (!rc)
		rc = scan_lines(parse, end);
	if (rc == -EAGAIN && end < len)
		return refuse(parse, 431, "the headers are too large");
	return rc;
}

static struct http_span span_of(const struct http_parse *parse, const char *at, size_t len)
{
	return (struct http_span){ (uint32_t)(at - parse->in.ptr), (uint32_t)len };
}

static struct slice slice_of(const struct http_parse *parse, struct http_span span)
{
	return (struct slice){ parse->in.ptr + span.at, span.len };
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct http_parse *parse = parser->data;

	parse->target = span_of(parse, at, len);
	return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
	struct http_parse *parse = parser->data;

	if (parse->header_count == HTTPD_HEADERS_MAX)
		return 1;
	parse->headers[parse->header_count].name = span_of(parse, at, len);
	return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
	struct http_parse *parse = parser->data;

	while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	parse->headers[parse->header_count++].value = span_of(parse, at, len);
	return 0;
}

static int on_headers_complete(http_parser *parser)
{
	struct http_parse *parse = parser->data;

	parse->keep_alive = http_should_keep_alive(parser);
	return 1;       /* the body is not http_parser's */
}

/* Splits the head, which is whole and clean, into spans. */
static int split_head(struct http_parse *parse)
{
	static const http_parser_settings settings = {
		.on_url = on_url,
		.on_header_field = on_header_field,
		.on_header_value = on_header_value,
		.on_headers_complete = on_headers_complete,
	};
	size_t len = parse->head_end - parse->start;
	http_parser parser;

	http_parser_init(&parser, HTTP_REQUEST);
	parser.data = parse;
	if (http_parser_execute(&parser, &settings, parse->in.ptr + parse->start, len) != len ||
	    HTTP_PARSER_ERRNO(&parser) != HPE_OK) {
		switch (HTTP_PARSER_ERRNO(&parser)) {
		case HPE_INVALID_METHOD:
			return refuse(parse, 501, "an unknown method");
		case HPE_INVALID_CONTENT_LENGTH:
			return refuse(parse, 400, "a bad Content-Length");
		case HPE_UNEXPECTED_CONTENT_LENGTH:
			return refuse(parse, 400, "Content-Length twice, or both it and "
				      "Transfer-Encoding");
		case HPE_INVALID_TRANSFER_ENCODING:
			return refuse(parse, 400, "a bad Transfer-Encoding");
		default:
			return refuse(parse, 400, "no HTTP request");
		}
	}
	if (parser.http_major == 0)
		return refuse(parse, 400, "no HTTP version");
	if (parser.http_major != 1 || parser.http_minor > 1)
		return refuse(parse, 505, "neither HTTP/1.0 nor HTTP/1.1");
	if (parser.method == HTTP_CONNECT)
		return refuse(parse, 501, "this is no proxy");
	if (parse->header_count != parse->lines)
		return refuse(parse, 400, "header lines that are read in two ways");
	parse->is_http10 = parser.http_minor == 0;
	parse->is_head = parser.method == HTTP_HEAD;
	return 0;
}

static bool is_word(struct slice text, const char *word)
{
	return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

static int read_length(struct http_parse *parse, struct slice text, size_t *length)
{
	*length = 0;
	if (!text.len)
		return refuse(parse, 400, "a bad Content-Length");
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9' ||
		    __builtin_mul_overflow(*length, (size_t)10, length) ||
		    __builtin_add_overflow(*length, (size_t)(text.ptr[i] - '0'), length))
			return refuse(parse, 400, "a bad Content-Length");
	}
	return 0;
}

static int check_host(struct http_parse *parse, struct slice host)
{
	if (parse->has_host)
		return refuse(parse, 400, "two Host headers");
	parse->has_host = true;
	for (size_t i = 0; i < host.len; i++)
		if (!is_token((unsigned char)host.ptr[i]) && !strchr(":[](),;=", host.ptr[i]))
			return refuse(parse, 400, "a bad Host");
	return 0;
}

/* How long the body is. Length and coding together, or either twice, are how requests are
 * smuggled past a proxy: refused, never repaired. */
static int read_framing(struct http_parse *parse, const struct http_limits *limits)
{
	bool has_length = false, is_chunked = false, expects = false;
	size_t length = 0;
	int rc = 0;

	for (int i = 0; i < parse->header_count && !rc; i++) {
		struct slice name = slice_of(parse, parse->headers[i].name);
		struct slice value = slice_of(parse, parse->headers[i].value);

		if (name.len == 4 && is_word(name, "host")) {
			rc = check_host(parse, value);
		} else if (name.len == 14 && is_word(name, "content-length")) {
			if (has_length)
				return refuse(parse, 400, "two Content-Lengths");
			has_length = true;
			rc = read_length(parse, value, &length);
		} else if (name.len == 17 && is_word(name, "transfer-encoding")) {
			if (is_chunked || !is_word(value, "chunked"))
				return refuse(parse, 400, "a Transfer-Encoding other than chunked");
			is_chunked = true;
		} else if (name.len == 6 && is_word(name, "expect")) {
			if (!is_word(value, "100-continue"))
				return refuse(parse, 417, "an unknown expectation");
			expects = !parse->is_http10;
		}
	}
	if (rc)
		return rc;
	if (!parse->has_host && !parse->is_http10)
		return refuse(parse, 400, "no Host");
	if (is_chunked && has_length)
		return refuse(parse, 400, "both Content-Length and Transfer-Encoding");
	if (is_chunked && parse->is_http10)
		return refuse(parse, 400, "Transfer-Encoding in HTTP/1.0");
	if (length > limits->body_max)
		return refuse(parse, 413, "the body is too large");
	parse->body_len = length;
	parse->phase = is_chunked ? HTTP_PHASE_CHUNKED : HTTP_PHASE_LENGTH;
	parse->state = STATE_SIZE;
	parse->continue_due = expects && (is_chunked || length) && parse->in.len == parse->head_end;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One byte of a chunk's frame. */
static int chunk_byte(struct http_parse *parse, const struct http_limits *limits, char c)
{
	int digit = hex_digit(c);

	switch (parse->state) {
	case STATE_SIZE:
		if (digit >= 0 && parse->chunk_digits < CHUNK_DIGITS_MAX) {
			parse->chunk_digits++;
			parse->chunk_left = parse->chunk_left << 4 | (size_t)digit;
			if (parse->chunk_left > limits->body_max - parse->body_len)
				return refuse(parse, 413, "the body is too large");
			return 0;
		}
		if (c != '\r' || !parse->chunk_digits)
			return refuse(parse, 400, c == ';' ? "a chunk extension" :
				      "a bad chunk size");
		parse->state = STATE_SIZE_LF;
		return 0;
	case STATE_SIZE_LF:
		if (c != '\n')
			return refuse(parse, 400, "a bare CR");
		parse->state = parse->chunk_left ? STATE_DATA : STATE_LINE;
		return 0;
	case STATE_DATA_CR:
		if (c != '\r')
			return refuse(parse, 400, "a chunk longer than its size");
		parse->state = STATE_DATA_LF;
		return 0;
	default:
		assert(parse->state == STATE_DATA_LF);
		if (c != '\n')
			return refuse(parse, 400, "a bare CR");
		parse->chunk_digits = 0;
		parse->state = STATE_SIZE;
		return 0;
	}
}

static int scan_trailers(struct http_parse *parse, const struct http_limits *limits)
{
	size_t before = parse->at, left = limits->headers_max - parse->trailer_len;
	size_t end = parse->in.len - before < left ? parse->in.len : before + left;
	int rc = scan_lines(parse, end);

	parse->trailer_len += parse->at - before;
	if (rc == -EAGAIN && end < parse->in.len)
		return refuse(parse, 431, "the trailers are too large");
	return rc;
}

/* Decodes what is there: the body moves down over the frames around it. */
static int scan_chunks(struct http_parse *parse, const struct http_limits *limits)
{
	char *bytes = parse->in.ptr;
	int rc = 0;

	while (!rc && parse->at < parse->in.len && parse->state >= STATE_SIZE) {
		size_t n = parse->in.len - parse->at;

		if (parse->state != STATE_DATA) {
			rc = chunk_byte(parse, limits, bytes[parse->at]);
			parse->at++;
			continue;
		}
		if (n > parse->chunk_left)
			n = parse->chunk_left;
		memmove(bytes + parse->head_end + parse->body_len, bytes + parse->at, n);
		parse->body_len += n;
		parse->at += n;
		parse->chunk_left -= n;
		if (!parse->chunk_left)
			parse->state = STATE_DATA_CR;
	}
	if (!rc && parse->state >= STATE_SIZE)
		rc = -EAGAIN;
	else if (!rc)
		rc = scan_trailers(parse, limits);
	if (rc == -EAGAIN) {
		/* All bytes are looked at: the frames' room is free again. */
		assert(parse->at == parse->in.len);
		parse->at = parse->in.len = parse->head_end + parse->body_len;
	}
	return rc;
}

static int fill_target(struct http_parse *parse, struct http_request *request)
{
	struct slice target = slice_of(parse, parse->target);
	const char *mark;

	if (memchr(target.ptr, '#', target.len))
		return refuse(parse, 400, "a fragment in the target");
	if (target.len > 7 && (strncasecmp(target.ptr, "http://", 7) == 0 ||
			       strncasecmp(target.ptr, "https://", 8) == 0)) {
		/* The absolute form is meant for proxies, but servers must take it. */
		target = slice_skip(target, target.ptr[4] == ':' ? 7 : 8);
		while (target.len && *target.ptr != '/' && *target.ptr != '?')
			target = slice_skip(target, 1);
	} else if (target.ptr[0] != '/' &&
		   !(slice_is(target, "*") && slice_is(request->method, "OPTIONS"))) {
		return refuse(parse, 400, "a target that is no path");
	}
	mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;
	request->path = target;
	request->query = (struct slice){ target.ptr + target.len, 0 };
	if (mark) {
		request->path.len = (size_t)(mark - target.ptr);
		request->query = slice_skip(target, request->path.len + 1);
	}
	if (!request->path.len)
		request->path = SLICE("/");
	return 0;
}

static int fill(struct http_parse *parse, struct http_request *request)
{
	const char *line = parse->in.ptr + parse->start;
	const char *space = memchr(line, ' ', parse->head_end - parse->start);
	const char *rest = parse->in.ptr + parse->target.at + parse->target.len;

	assert(space && parse->target.len);
	/* http_parser skips further spaces in the request line; others may not. */
	if (parse->in.ptr + parse->target.at != space + 1 || memcmp(rest, " HTTP/1.", 8) != 0 ||
	    rest[9] != '\r')
		return refuse(parse, 400, "spaces in the request line");
	request->method = (struct slice){ line, (size_t)(space - line) };
	request->body = (struct slice){ parse->in.ptr + parse->head_end, parse->body_len };
	request->header_count = parse->header_count;
	for (int i = 0; i < parse->header_count; i++) {
		request->headers[i].name = slice_of(parse, parse->headers[i].name);
		request->headers[i].value = slice_of(parse, parse->headers[i].value);
	}
	return fill_target(parse, request);
}

int http_parse(struct http_parse *parse, const struct http_limits *limits,
	       struct http_request *request)
{
	int rc = 0;

	if (parse->phase == HTTP_PHASE_HEAD) {
		rc = scan_head(parse, limits);
		if (rc)
			return rc;
		parse->head_end = parse->at;
		rc = split_head(parse);
		if (!rc)
			rc = read_framing(parse, limits);
		/* The target is judged before its body is waited for. */
		if (!rc && (parse->phase == HTTP_PHASE_CHUNKED ||
			    parse->in.len - parse->head_end < parse->body_len))
			rc = fill(parse, request);
		if (rc)
			return rc;
	}
	if (parse->phase == HTTP_PHASE_CHUNKED) {
		rc = scan_chunks(parse, limits);
	} else if (parse->phase == HTTP_PHASE_LENGTH) {
		if (parse->in.len - parse->head_end < parse->body_len)
			return -EAGAIN;
		parse->at = parse->head_end + parse->body_len;
	}
	if (rc)
		return rc;
	parse->phase = HTTP_PHASE_WHOLE;
	return fill(parse, request);
}

char *http_parse_room(struct http_parse *parse, size_t *len)
{
	size_t want = READ_ROOM - 1;
	char *room;

	if (parse->phase == HTTP_PHASE_HEAD && parse->in.len < READ_ROOM)
		want = READ_ROOM - parse->in.len;
	if (parse->phase == HTTP_PHASE_LENGTH)
		want = parse->head_end + parse->body_len - parse->in.len;
	/* A large body is not trusted before it comes: its room at most doubles. */
	if (want > 4 * READ_ROOM && want > parse->in.cap)
		want = parse->in.cap > 4 * READ_ROOM ? parse->in.cap : 4 * READ_ROOM;
	room = buf_reserve(&parse->in, want ? want : 1);
	*len = room ? parse->in.cap - parse->in.len : 0;
	return room;
}

static void parse_clear(struct http_parse *parse)
{
	struct buf in = parse->in;

	/* All but the headers' places, which header_count makes void. */
	memset(parse, 0, offsetof(struct http_parse, headers));
	parse->in = in;
}

void http_parse_next(struct http_parse *parse)
{
	assert(parse->phase == HTTP_PHASE_WHOLE);
	buf_drop(&parse->in, parse->at);
	parse_clear(parse);
}

void http_parse_reset(struct http_parse *parse)
{
	buf_reset(&parse->in);
	parse_clear(parse);
}
