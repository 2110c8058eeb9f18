// SPDX-License-Identifier: Apache-2.0
#include "sink/encoder.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define LEVEL_DEFLATE 1

struct avro {
	struct encoder base;
	const struct schema *schema;
	enum block_codec codec;
	struct block_coder *coder;
	struct buf datums;
	int64_t count;
	char sync[BLOCK_SYNC];
};

static int avro_begin(struct encoder *encoder, const struct file_name *name, struct buf *out)
{
	struct avro *avro = (struct avro *)encoder;
	char text[FILE_NAME_TEXT_MAX], partition[16], first[24];
	struct block_meta meta[3];
	XXH128_canonical_t hash;

	file_name_print(&(struct file_name){ .partition = name->partition, .first = name->first,
					     .last = -1, .format = FILE_FORMAT_AVRO }, text);
	snprintf(partition, sizeof(partition), "%" PRId32, name->partition);
	snprintf(first, sizeof(first), "%" PRId64, name->first);
	XXH128_canonicalFromHash(&hash, XXH3_128bits_withSeed(text, strlen(text),
					XXH3_64bits(name->topic, strlen(name->topic))));
	static_assert(sizeof(hash) == BLOCK_SYNC, "a hash is a sync marker");
	memcpy(avro->sync, &hash, sizeof(hash));
	meta[0] = (struct block_meta){ "millrace.topic", slice_from(name->topic) };
	meta[1] = (struct block_meta){ "millrace.partition", slice_from(partition) };
	meta[2] = (struct block_meta){ "millrace.first", slice_from(first) };
	block_print_header(out, avro->codec, schema_text(avro->schema), meta, 3, avro->sync);
	buf_reset(&avro->datums);
	avro->count = 0;
	return out->failed ? -ENOSPC : 0;
}

static int avro_pack(struct avro *avro, struct buf *out)
{
	int rc = block_pack(avro->coder, buf_slice(&avro->datums), avro->count, avro->sync, out);

	buf_reset(&avro->datums);
	avro->count = 0;
	return rc;
}

static int avro_put(struct encoder *encoder, const struct value *fields, struct buf *out)
{
	struct avro *avro = (struct avro *)encoder;
	size_t before = avro->datums.len;
	int rc = datum_encode(avro->schema, fields, &avro->datums);

	if (rc < 0)
		return rc;
	avro->count++;
	encoder->bytes += (int64_t)(avro->datums.len - before);
	return avro->datums.len >= BLOCK_CUT ? avro_pack(avro, out) : 0;
}

static int avro_end(struct encoder *encoder, struct buf *out)
{
	struct avro *avro = (struct avro *)encoder;

	return avro->count ? avro_pack(avro, out) : 0;
}

static void avro_close(struct encoder *encoder)
{
	struct avro *avro = (struct avro *)encoder;

	block_coder_close(avro->coder);
	buf_close(&avro->datums);
	free(avro);
}

static const struct encoder_ops ops = { avro_begin, avro_put, avro_end, avro_close };

int encoder_open_avro(struct encoder **encoderp, const struct encoder_conf *conf, struct err *err)
{
	struct avro *avro = calloc(1, sizeof(*avro));
	int level = conf->level;
	int rc;

	*encoderp = NULL;
	if (!avro)
		return err_set(err, -ENOMEM, "no memory");
	avro->base.ops = &ops;
	avro->schema = conf->schema;
	avro->codec = conf->codec;
	if (level == 0 && conf->codec == BLOCK_DEFLATE)
		level = LEVEL_DEFLATE;
	rc = block_coder_open(&avro->coder, conf->codec, level, err);
	if (rc < 0) {
		avro_close(&avro->base);
		return rc;
	}
	*encoderp = &avro->base;
	return 0;
}
