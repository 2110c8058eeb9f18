/* fuzz_collect - the door over arbitrary bodies
 *
 * First byte: which call; the second: whether the source is known. What the door makes of the
 * rest must decode again, and its extents must lie inside.
 */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdlib.h>

#include "collect/basic.h"
#include "collect/door.h"
#include "lib/datum.h"
#include "lib/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Kept between inputs: schemas are slow to parse, and json's memory is to be reused. */
struct kept {
	struct schema *schemas[PARCEL_LANES];
	struct datum_reader *readers[PARCEL_LANES];
	struct json_reader *json;
	struct source_set *sources;
};

static const struct kept *keep(void)
{
	static struct kept kept;
	struct err err = { "" };

	if (kept.json)
		return &kept;
	kept.schemas[PARCEL_OUT] = record_schema("collected");
	kept.schemas[PARCEL_BAD] = record_schema("bad");
	for (int i = 0; i < PARCEL_LANES; i++)
		if (datum_reader_open(&kept.readers[i], kept.schemas[i], kept.schemas[i], &err))
			abort();
	if (source_set_open(&kept.sources, NULL, "", &err) || json_open(&kept.json, &err))
		abort();
	return &kept;
}

static void run(const struct kept *kept, struct slice text, int call, bool known)
{
	struct parcel parcel = { .schemas = { kept->schemas[0], kept->schemas[1] },
				 .bad_max = 4096, .bytes_max = 1 << 20 };
	struct source source = { .name = SLICE("web"), .enabled = true };
	struct door_job job = { .parcel = &parcel, .message_max = 4096, .batch_max = 100,
				.json = kept->json, .sources = kept->sources,
				.keep_unknown = true, .call = call, .body = text };
	struct value fields[(int)COLLECTED_COUNT + (int)BAD_COUNT];
	struct err err = { "" };

	job.source = known ? &source : NULL;
	parcel_begin(&parcel, &(struct parcel_from){ .door = SLICE("segment"), .ip = SLICE(""),
						     .user_agent = text });
	if (door_segment.read(&job, &err) == 0) {
		for (size_t i = 0; i < parcel.count; i++) {
			const struct parcel_item *item = &parcel.items[i];
			struct slice value = parcel_value(&parcel, item);

			assert(datum_decode(kept->readers[item->lane], value, fields) ==
			       (ssize_t)value.len);
		}
	}
	for (size_t i = 0; i < job.extent_count; i++)
		assert(job.extents[i].ptr >= text.ptr &&
		       job.extents[i].ptr + job.extents[i].len <= text.ptr + text.len);
	door_job_close(&job);
	parcel_close(&parcel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char user[BASIC_USER_MAX];

	if (size < 2)
		return 0;
	run(keep(), (struct slice){ (const char *)data + 2, size - 2 }, data[0] % 9, data[1] & 1);
	basic_user((struct slice){ (const char *)data, size }, user);
	return 0;
}
