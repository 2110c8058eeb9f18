// SPDX-License-Identifier: Apache-2.0
/* Any text as a URL: all parts lie inside it, each parameter can be unescaped. */
#include <stdint.h>
#include <stdlib.h>

#include "enrich/text.h"
#include "enrich/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct slice part, struct slice text)
{
	if (part.len && (part.ptr < text.ptr || part.ptr + part.len > text.ptr + text.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size }, name, value;
	struct arena arena = { .bytes_max = 1 << 20 };
	struct url url;
	size_t at = 0;

	if (url_split(text, &url) == 0) {
		inside(url.scheme, text);
		inside(url.host, text);
		inside(url.port, text);
		inside(url.path, text);
		inside(url.query, text);
		inside(url.fragment, text);
		while (url_param(url.query, &at, &name, &value)) {
			struct slice clean = url_unescape(&arena, value);

			inside(name, text);
			inside(value, text);
			if (clean.ptr && text_utf8(&arena, clean).len != clean.len)
				abort();
			arena_reset(&arena);
		}
	}
	arena_close(&arena);
	return 0;
}
