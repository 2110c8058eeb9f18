// SPDX-License-Identifier: Apache-2.0
#include "lib/bus_url.h"

#include <string.h>

#include "tests/tap.h"

static const struct {
	const char *bus, *topic, *query;
	size_t size;
	const char *wanted;             /* NULL: does not fit */
} table[] = {
	{ "log:data", "bad", "?partition=1", 64, "log:data/bad?partition=1" },
	{ "log:data//", "enriched", "", 64, "log:data/enriched" },
	{ "kafka://h:1,i:2/", "counted", "", 64, "kafka://h:1,i:2/counted" },
	{ "log:a", "b", "", 8, "log:a/b" },
	{ "log:a", "b", "", 7, NULL },
};

int main(void)
{
	struct tap tap = { 0 };
	char out[64];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool fits = bus_url_join(out, table[i].size, table[i].bus, table[i].topic,
					 table[i].query);

		OK(&tap, fits ? table[i].wanted && strcmp(out, table[i].wanted) == 0
			      : !table[i].wanted,
		   "%s and %s", table[i].bus, table[i].topic);
	}
	OK(&tap, bus_url_copy(out, 2, "-") && !bus_url_copy(out, 1, "-"), "a URL as it is");
	return tap_end(&tap);
}
