/* fuzz_collect - the door over arbitrary bodies
 *
 * First byte: which call; the second: whether the source is known already. What the door makes of
 * the rest must decode again, and its extents must lie inside.
 */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdlib.h>

#include "collect/basic.h"
#include "collect/door.h"
#include "lib/datum.h"
#include "lib/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made anew each time: a fuzzer may not keep state, and it is quick. */
static void run(struct slice text, int call, bool known)
{
	struct schema *schemas[PARCEL_LANES] = { record_schema("collected"), record_schema("bad") };
	struct parcel parcel = { .schemas = { schemas[0], schemas[1] }, .bad_max = 4096,
				 .bytes_max = 1 << 20 };
	struct source source = { .name = SLICE("web"), .enabled = true };
	struct door_job job = { .parcel = &parcel, .message_max = 4096, .batch_max = 100,
				.keep_unknown = true, .call = call, .body = text };
	struct value fields[(int)COLLECTED_COUNT + (int)BAD_COUNT];
	struct datum_reader *reader;
	struct err err = { "" };

	if (json_open(&job.json, &err) || source_set_open(&job.sources, NULL, "", &err))
		abort();
	job.source = known ? &source : NULL;
	parcel_begin(&parcel, &(struct parcel_from){ .door = SLICE("segment"), .ip = SLICE(""),
						     .user_agent = text });
	if (door_segment.read(&job, &err) == 0) {
		for (size_t i = 0; i < parcel.count; i++) {
			const struct parcel_item *item = &parcel.items[i];
			struct slice value = parcel_value(&parcel, item);

			if (datum_reader_open(&reader, schemas[item->lane], schemas[item->lane],
					      &err))
				abort();
			assert(datum_decode(reader, value, fields) == (ssize_t)value.len);
			datum_reader_close(reader);
		}
	}
	for (size_t i = 0; i < job.extent_count; i++)
		assert(job.extents[i].ptr >= text.ptr &&
		       job.extents[i].ptr + job.extents[i].len <= text.ptr + text.len);
	door_job_close(&job);
	json_close(job.json);
	source_set_close(job.sources);
	parcel_close(&parcel);
	schema_close(schemas[0]);
	schema_close(schemas[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char user[BASIC_USER_MAX];

	if (size < 2)
		return 0;
	run((struct slice){ (const char *)data + 2, size - 2 }, data[0] % 9, data[1] & 1);
	basic_user((struct slice){ (const char *)data, size }, user);
	return 0;
}
