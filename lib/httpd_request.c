// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <strings.h>

#include "lib/httpd.h"

struct slice http_header(const struct http_request *request, const char *name)
{
	size_t len = strlen(name);

	for (int i = 0; i < request->header_count; i++)
		if (request->headers[i].name.len == len &&
		    strncasecmp(request->headers[i].name.ptr, name, len) == 0)
			return request->headers[i].value;
	return (struct slice){ NULL, 0 };
}

struct slice http_query(const struct http_request *request, const char *name)
{
	struct slice rest = request->query;
	size_t len = strlen(name);

	while (rest.len) {
		const char *end = memchr(rest.ptr, '&', rest.len);
		struct slice pair = { rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len };

		if (pair.len >= len && memcmp(pair.ptr, name, len) == 0) {
			if (pair.len == len)
				return slice_skip(pair, len);
			if (pair.ptr[len] == '=')
				return slice_skip(pair, len + 1);
		}
		rest = slice_skip(rest, pair.len + 1);
	}
	return (struct slice){ NULL, 0 };
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_unescape(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		int high, low;

		if (c == '+')
			c = ' ';
		if (c == '%') {
			if (text.len - i < 3)
				return -EBADMSG;
			high = hex_digit(text.ptr[i + 1]);
			low = hex_digit(text.ptr[i + 2]);
			if (high < 0 || low < 0)
				return -EBADMSG;
			c = (char)(high << 4 | low);
			i += 2;
		}
		buf_append_char(out, c);
	}
	return 0;
}
