/* fuzz_segment - hostile bytes as an Avro container: header, frames, codecs, records
 *
 * The parsers must stay within the bytes, and unpack no more than a block's limit. What a header
 * says may be a schema that does not parse; then the blocks are walked without decoding.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/block.h"
#include "lib/datum.h"
#include "lib/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_records(const struct datum_reader *datum, struct slice datums)
{
	struct value fields[SCHEMA_FIELDS_MAX];

	for (int i = 0; i < 1000 && datums.len > 0; i++) {
		ssize_t n = datum_decode(datum, datums, fields);

		if (n <= 0)
			break;
		if ((size_t)n > datums.len)
			abort();
		datums = slice_skip(datums, (size_t)n);
	}
}

static void walk_blocks(struct slice rest, const struct block_header *header,
			const struct datum_reader *datum)
{
	struct block_coder *coder;
	struct block_frame frame;
	struct slice datums;

	if (block_coder_open(&coder, header->codec, 0, NULL) < 0)
		return;
	for (int i = 0; i < 16 && block_parse_frame(rest, header->sync, &frame, NULL) == 0; i++) {
		if (frame.size > rest.len)
			abort();
		if (block_unpack(coder, frame.packed, &datums) == 0) {
			if (datums.len > BLOCK_RAW_MAX)
				abort();
			if (datum)
				walk_records(datum, datums);
		}
		rest = slice_skip(rest, frame.size);
	}
	block_coder_close(coder);
}

/* A first byte under 4 feeds the rest to that codec alone: sync bytes are hard to guess. */
static void one_codec(enum block_codec codec, struct slice packed)
{
	struct block_coder *coder;
	struct slice datums;

	if (block_coder_open(&coder, codec, 0, NULL) < 0)
		return;
	if (block_unpack(coder, packed, &datums) == 0 && datums.len > BLOCK_RAW_MAX)
		abort();
	block_coder_close(coder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = { (const char *)data, size };
	struct datum_reader *datum = NULL;
	struct schema *schema = NULL;
	struct block_header header;
	struct err err = { "" };
	int64_t count, whole;

	if (size > 0 && data[0] < 4) {
		one_codec((enum block_codec)data[0], slice_skip(bytes, 1));
		return 0;
	}
	(void)!block_parse_lead(bytes, &count, &whole);
	if (block_parse_header(bytes, &header, &err) < 0)
		return 0;
	if (header.size > size || header.schema_text.len > size)
		abort();
	(void)block_header_meta(bytes, "millrace.check");
	if (schema_parse(&schema, header.schema_text, NULL) == 0)
		(void)!datum_reader_open(&datum, schema, schema, NULL);
	walk_blocks(slice_skip(bytes, header.size), &header, datum);
	datum_reader_close(datum);
	schema_close(schema);
	return 0;
}
