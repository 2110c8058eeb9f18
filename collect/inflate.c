// SPDX-License-Identifier: Apache-2.0
#include "collect/inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "lib/buf.h"

#define GZIP_BITS 31            /* a 32 KiB window, gzip's header */
#define ZLIB_BITS 15
#define OUT_KEEP  ((size_t)1 << 20)

struct inflate {
	z_stream stream;
	struct buf out;
	size_t bytes_max, ratio;
};

int inflate_open(struct inflate **inflatep, size_t bytes_max, size_t ratio, struct err *err)
{
	struct inflate *gz = calloc(1, sizeof(*gz));

	if (!gz || inflateInit2(&gz->stream, GZIP_BITS) != Z_OK) {
		free(gz);
		return err_set(err, -ENOMEM, "no memory for zlib");
	}
	gz->bytes_max = bytes_max;
	gz->ratio = ratio;
	*inflatep = gz;
	return 0;
}

void inflate_close(struct inflate *gz)
{
	if (!gz)
		return;
	inflateEnd(&gz->stream);
	buf_close(&gz->out);
	free(gz);
}

static size_t bound(const struct inflate *gz, size_t in_len)
{
	size_t max = gz->bytes_max, by_ratio;

	if (!gz->ratio || __builtin_mul_overflow(in_len, gz->ratio, &by_ratio))
		return max;
	if (by_ratio < INFLATE_FREE)
		by_ratio = INFLATE_FREE;
	return by_ratio < max ? by_ratio : max;
}

/* One call of zlib into room that grows with what came out so far. */
static int step(struct inflate *gz, size_t max)
{
	struct buf *out = &gz->out;
	size_t room = out->len < 16384 ? 65536 : out->len;
	char *at;
	int rc;

	if (room > max - out->len)
		room = max - out->len;
	/* One byte more than the bound tells an output that ends there from one that goes on. */
	at = buf_reserve(out, room + 1);
	if (!at)
		return Z_MEM_ERROR;
	gz->stream.next_out = (unsigned char *)at;
	gz->stream.avail_out = (unsigned int)room + 1;
	rc = inflate(&gz->stream, Z_NO_FLUSH);
	out->len += room + 1 - gz->stream.avail_out;
	return rc;
}

int inflate_body(struct inflate *gz, struct slice in, bool is_zlib, struct slice *out,
		 struct err *err)
{
	z_stream *stream = &gz->stream;
	size_t max = bound(gz, in.len);
	int rc;

	if (gz->out.cap > OUT_KEEP)
		buf_close(&gz->out);
	buf_reset(&gz->out);
	if (inflateReset2(stream, is_zlib ? ZLIB_BITS : GZIP_BITS) != Z_OK)
		return err_set(err, -ENOMEM, "no memory for zlib");
	/* zlib only reads from next_in. */
	stream->next_in = (unsigned char *)(uintptr_t)in.ptr;
	stream->avail_in = (unsigned int)in.len;
	for (;;) {
		rc = step(gz, max);
		if (gz->out.len > max)
			return err_set(err, -ENOSPC, "the body inflates to more than %zu bytes",
				       max);
		if (rc == Z_MEM_ERROR)
			return err_set(err, -ENOMEM, "no memory for zlib");
		if (rc == Z_STREAM_END) {
			if (stream->avail_in == 0)
				break;
			if (is_zlib || inflateReset(stream) != Z_OK)
				return err_set(err, -EBADMSG, "bytes behind the compressed body");
			continue;
		}
		if (rc != Z_OK && rc != Z_BUF_ERROR)
			return err_set(err, -EBADMSG, "the compressed body is broken: %s",
				       stream->msg ? stream->msg : "no such format");
		if (stream->avail_in == 0 && stream->avail_out)
			return err_set(err, -EBADMSG, "the compressed body is cut short");
	}
	*out = buf_slice(&gz->out);
	return 0;
}
