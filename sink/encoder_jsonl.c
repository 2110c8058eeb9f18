// SPDX-License-Identifier: Apache-2.0
#include "sink/encoder.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "sink/line.h"

/* Lines are handed to zlib together: one call per line cost 8 % of a file's time. */
#define GATHER       ((size_t)64 << 10)
#define LEVEL_GZIP   1

struct jsonl {
	struct encoder base;
	struct line *line;
	bool gzip;
	z_stream z;
	struct buf plain;               /* gzip: lines not compressed yet */
};

static int deflate_plain(struct jsonl *jsonl, int flush, struct buf *out)
{
	z_stream *z = &jsonl->z;
	int rc;

	z->next_in = (unsigned char *)jsonl->plain.ptr;
	z->avail_in = (unsigned int)jsonl->plain.len;
	do {
		z->next_out = (unsigned char *)buf_reserve(out, GATHER);
		if (!z->next_out)
			return -ENOSPC;
		z->avail_out = GATHER;
		rc = deflate(z, flush);
		assert(rc != Z_STREAM_ERROR);
		out->len += GATHER - z->avail_out;
	} while (z->avail_out == 0);
	assert(z->avail_in == 0);
	buf_reset(&jsonl->plain);
	return 0;
}

static int jsonl_begin(struct encoder *encoder, const struct file_name *name, struct buf *out)
{
	struct jsonl *jsonl = (struct jsonl *)encoder;

	(void)name;
	(void)out;
	buf_reset(&jsonl->plain);
	if (jsonl->gzip)
		deflateReset(&jsonl->z);
	return 0;
}

static int jsonl_put(struct encoder *encoder, const struct value *fields, struct buf *out)
{
	struct jsonl *jsonl = (struct jsonl *)encoder;
	struct buf *to = jsonl->gzip ? &jsonl->plain : out;
	size_t before = to->len;
	int rc = line_print(jsonl->line, fields, to);

	if (rc < 0)
		return rc;
	encoder->bytes += (int64_t)(to->len - before);
	return jsonl->gzip && to->len >= GATHER ? deflate_plain(jsonl, Z_NO_FLUSH, out) : 0;
}

static int jsonl_end(struct encoder *encoder, struct buf *out)
{
	struct jsonl *jsonl = (struct jsonl *)encoder;

	return jsonl->gzip ? deflate_plain(jsonl, Z_FINISH, out) : 0;
}

static void jsonl_close(struct encoder *encoder)
{
	struct jsonl *jsonl = (struct jsonl *)encoder;

	line_close(jsonl->line);
	if (jsonl->gzip)
		deflateEnd(&jsonl->z);
	buf_close(&jsonl->plain);
	free(jsonl);
}

static const struct encoder_ops ops = { jsonl_begin, jsonl_put, jsonl_end, jsonl_close };

int encoder_open_jsonl(struct encoder **encoderp, const struct encoder_conf *conf,
		       struct err *err)
{
	struct jsonl *jsonl = calloc(1, sizeof(*jsonl));
	int level = conf->level ? conf->level > 9 ? 9 : conf->level : LEVEL_GZIP;
	int rc;

	*encoderp = NULL;
	if (!jsonl)
		return err_set(err, -ENOMEM, "no memory");
	jsonl->base.ops = &ops;
	rc = line_open(&jsonl->line, conf->schema, conf->nulls, err);
	/* 31 = the largest window, with gzip's header and trailer. */
	if (rc == 0 && conf->format == FILE_FORMAT_JSONL_GZ) {
		if (deflateInit2(&jsonl->z, level, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) == Z_OK)
			jsonl->gzip = true;
		else
			rc = err_set(err, -ENOMEM, "no memory");
	}
	if (rc < 0) {
		jsonl_close(&jsonl->base);
		return rc;
	}
	*encoderp = &jsonl->base;
	return 0;
}
