// SPDX-License-Identifier: Apache-2.0
#include <assert.h>

#include "lib/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An instant that was parsed is printed and parses to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	char printed[WHEN_TEXT_MAX];
	int64_t us, again;
	size_t len;

	if (when_parse(text, &us))
		return 0;
	len = when_print(us, 6, printed);
	assert(len == 27 && printed[len] == '\0');
	assert(when_parse((struct slice){ printed, len }, &again) == 0 && again == us);
	return 0;
}
