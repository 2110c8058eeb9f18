// SPDX-License-Identifier: Apache-2.0
#include "lib/bus_url.h"

#include <stdio.h>
#include <string.h>

bool bus_url_join(char *out, size_t size, const char *bus, const char *topic, const char *query)
{
	size_t len = strlen(bus);

	while (len && bus[len - 1] == '/')
		len--;
	return snprintf(out, size, "%.*s/%s%s", (int)len, bus, topic, query) < (int)size;
}

bool bus_url_copy(char *out, size_t size, const char *url)
{
	return snprintf(out, size, "%s", url) < (int)size;
}
