// SPDX-License-Identifier: Apache-2.0
#include "lib/resolve.h"

#include <xxhash.h>

static void entry_close(struct resolve_entry *entry)
{
	datum_reader_close(entry->datum);
	schema_close(entry->writer);
	*entry = (struct resolve_entry){ 0 };
}

int resolve_get(struct resolve *resolve, struct slice schema_text,
		const struct datum_reader **datum, struct err *err)
{
	XXH128_hash_t hash = XXH3_128bits(schema_text.ptr, schema_text.len);
	struct resolve_entry *entry = &resolve->entries[0];
	int rc;

	for (int i = 0; i < RESOLVE_MAX; i++) {
		struct resolve_entry *at = &resolve->entries[i];

		if (at->datum && at->hash[0] == hash.low64 && at->hash[1] == hash.high64) {
			at->used = ++resolve->clock;
			*datum = at->datum;
			return 0;
		}
		if (at->used < entry->used)
			entry = at;
	}
	entry_close(entry);
	rc = schema_parse(&entry->writer, schema_text, err);
	if (rc == 0)
		rc = datum_reader_open(&entry->datum, entry->writer, resolve->reader, err);
	if (rc < 0) {
		entry_close(entry);
		return rc;
	}
	*entry = (struct resolve_entry){ { hash.low64, hash.high64 }, ++resolve->clock,
					 entry->writer, entry->datum };
	*datum = entry->datum;
	return 0;
}

void resolve_close(struct resolve *resolve)
{
	for (int i = 0; i < RESOLVE_MAX; i++)
		entry_close(&resolve->entries[i]);
}
