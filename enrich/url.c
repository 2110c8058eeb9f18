// SPDX-License-Identifier: Apache-2.0
#include "enrich/url.h"

#include <errno.h>

#include "enrich/text.h"

static bool is_alpha(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The length of a scheme before "://", or 0. */
static size_t scheme_len(struct slice text)
{
	size_t n = 0;

	if (slice_starts(text, SLICE("https://")))
		return 5;
	if (text.len == 0 || !is_alpha(text.ptr[0]))
		return 0;
	while (n < text.len && (is_alpha(text.ptr[n]) || is_digit(text.ptr[n]) ||
				text.ptr[n] == '+' || text.ptr[n] == '-' || text.ptr[n] == '.'))
		n++;
	return slice_starts(slice_skip(text, n), SLICE("://")) ? n : 0;
}

static size_t find(struct slice text, char c)
{
	const char *at = text.len ? memchr(text.ptr, c, text.len) : NULL;

	return at ? (size_t)(at - text.ptr) : text.len;
}

/* user@host:port */
static int split_authority(struct slice text, struct url *url)
{
	const char *at = text.len ? memrchr(text.ptr, '@', text.len) : NULL;
	size_t colon;

	if (at)
		text = slice_skip(text, (size_t)(at + 1 - text.ptr));
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
			return -EBADMSG;
	}
	if (text.len && text.ptr[0] == '[') {
		colon = find(text, ']');
		if (colon == text.len)
			return -EBADMSG;
		colon++;
	} else {
		colon = find(text, ':');
	}
	url->host = (struct slice){ text.ptr, colon };
	url->port = slice_skip(text, colon + 1);
	if (url->host.len && url->host.ptr[url->host.len - 1] == '.')
		url->host.len--;
	return url->host.len > URL_HOST_MAX ? -EBADMSG : 0;
}

int url_split(struct slice text, struct url *url)
{
	const struct slice empty = { "", 0 };
	size_t n;

	*url = (struct url){ empty, empty, empty, empty, empty, empty };
	if (text.len > URL_MAX)
		return -EBADMSG;
	n = scheme_len(text);
	url->scheme = (struct slice){ text.ptr, n };
	if (n)
		text = slice_skip(text, n + 1);
	if (slice_starts(text, SLICE("//"))) {
		text = slice_skip(text, 2);
		for (n = 0; n < text.len; n++) {
			char c = text.ptr[n];

			if (c == '/' || c == '\\' || c == '?' || c == '#')
				break;
		}
		if (split_authority((struct slice){ text.ptr, n }, url) < 0) {
			*url = (struct url){ empty, empty, empty, empty, empty, empty };
			return -EBADMSG;
		}
		text = slice_skip(text, n);
	}
	n = find(text, '#');
	url->fragment = slice_skip(text, n + 1);
	text.len = n;
	n = find(text, '?');
	url->query = slice_skip(text, n);
	url->path = (struct slice){ text.ptr, n };
	return 0;
}

bool url_param(struct slice query, size_t *at, struct slice *name, struct slice *value)
{
	struct slice rest;
	size_t n;

	if (*at == 0 && query.len && query.ptr[0] == '?')
		*at = 1;
	for (;;) {
		if (*at >= query.len)
			return false;
		rest = slice_skip(query, *at);
		rest.len = find(rest, '&');
		*at += rest.len + 1;
		if (rest.len)
			break;
	}
	n = find(rest, '=');
	*name = (struct slice){ rest.ptr, n };
	*value = slice_skip(rest, n + 1);
	return true;
}

static int hex(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct slice url_unescape(struct arena *arena, struct slice text)
{
	char *out;
	size_t n = 0;

	if (find(text, '%') == text.len && find(text, '+') == text.len)
		return text_utf8(arena, text);
	out = arena_alloc(arena, text.len);
	if (!out)
		return (struct slice){ NULL, 0 };
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%' && text.len - i > 2 && hex(text.ptr[i + 1]) >= 0 &&
			   hex(text.ptr[i + 2]) >= 0) {
			c = (char)(hex(text.ptr[i + 1]) << 4 | hex(text.ptr[i + 2]));
			i += 2;
		}
		out[n++] = c;
	}
	return text_utf8(arena, (struct slice){ out, n });
}
