// SPDX-License-Identifier: Apache-2.0
#include "collect/basic.h"

#include <strings.h>

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

struct slice basic_user(struct slice header, char user[BASIC_USER_MAX])
{
	static const struct slice none = { "", 0 };
	unsigned int bits = 0, have = 0;
	size_t len = 0;

	if (header.len < 6 || strncasecmp(header.ptr, "Basic ", 6) != 0)
		return none;
	header = slice_skip(header, 6);
	while (header.len && header.ptr[0] == ' ')
		header = slice_skip(header, 1);
	while (header.len && (header.ptr[header.len - 1] == '=' ||
			      header.ptr[header.len - 1] == ' '))
		header.len--;
	for (size_t i = 0; i < header.len; i++) {
		int value = digit(header.ptr[i]);

		if (value < 0 || len == BASIC_USER_MAX)
			return none;
		bits = bits << 6 | (unsigned int)value;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		user[len] = (char)(bits >> have & 0xff);
		if (user[len] == ':')
			return (struct slice){ user, len };
		len++;
	}
	return (struct slice){ user, len };
}
