// SPDX-License-Identifier: Apache-2.0
#include "lib/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#define VARINT_MAX    10
#define META_MAX      64                        /* pairs in a header's map */
#define KEY_MAX       256                       /* bytes of a key there */
#define PACKED_MAX    (BLOCK_RAW_MAX + BLOCK_RAW_MAX / 4)       /* snappy's worst case is n / 6 */
#define CRC_SIZE      4
#define DEFLATE_LEVEL 6

/* zstd's fast levels trade size for time; bench/results.md has the numbers for this default. */
#define ZSTANDARD_LEVEL (-3)

/* A frame that asks for a larger window than a whole block is refused before memory is taken. */
#define ZSTANDARD_WINDOW_LOG 25

static const char magic[4] = { 'O', 'b', 'j', 1 };

struct codec_name {
	enum block_codec codec;
	const char *name;
};

static const struct codec_name codec_names[] = {
	{ BLOCK_NULL, "null" },
	{ BLOCK_DEFLATE, "deflate" },
	{ BLOCK_ZSTANDARD, "zstandard" },
	{ BLOCK_SNAPPY, "snappy" },
};

#define CODEC_COUNT (sizeof(codec_names) / sizeof(codec_names[0]))

static size_t varint_print(int64_t value, char out[VARINT_MAX])
{
	uint64_t n = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
	size_t len = 0;

	while (n > 0x7f) {
		out[len++] = (char)(n | 0x80);
		n >>= 7;
	}
	out[len++] = (char)n;
	return len;
}

/* 0 and *bytes moved on; -EAGAIN: cut short; -EBADMSG. */
static int varint_take(struct slice *bytes, int64_t *value)
{
	uint64_t n = 0;

	for (size_t i = 0; i < VARINT_MAX; i++) {
		unsigned char c;

		if (i == bytes->len)
			return -EAGAIN;
		c = (unsigned char)bytes->ptr[i];
		if (i == VARINT_MAX - 1 && c > 1)
			return -EBADMSG;
		n |= (uint64_t)(c & 0x7f) << (7 * i);
		if (!(c & 0x80)) {
			*value = (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
			*bytes = slice_skip(*bytes, i + 1);
			return 0;
		}
	}
	return -EBADMSG;
}

static int text_take(struct slice *bytes, size_t limit, struct slice *text)
{
	int64_t len;
	int rc = varint_take(bytes, &len);

	if (rc < 0)
		return rc;
	if (len < 0 || (uint64_t)len > limit)
		return -EBADMSG;
	if ((uint64_t)len > bytes->len)
		return -EAGAIN;
	*text = (struct slice){ bytes->ptr, (size_t)len };
	*bytes = slice_skip(*bytes, (size_t)len);
	return 0;
}

static void text_print(struct buf *out, struct slice text)
{
	char head[VARINT_MAX];

	buf_append(out, head, varint_print((int64_t)text.len, head));
	buf_append_slice(out, text);
}

void block_print_header(struct buf *out, enum block_codec codec, struct slice schema_text,
			const struct block_meta *meta, size_t meta_count,
			const char sync[BLOCK_SYNC])
{
	char head[VARINT_MAX];

	buf_append(out, magic, sizeof(magic));
	buf_append(out, head, varint_print((int64_t)(meta_count + 2), head));
	text_print(out, SLICE("avro.schema"));
	text_print(out, schema_text);
	text_print(out, SLICE("avro.codec"));
	text_print(out, slice_from(codec_names[codec].name));
	for (size_t i = 0; i < meta_count; i++) {
		text_print(out, slice_from(meta[i].key));
		text_print(out, meta[i].value);
	}
	buf_append_char(out, 0);
	buf_append(out, sync, BLOCK_SYNC);
}

/* Walks the header's map. find == NULL: to its end; else the value of that key goes to *found.
 * 0 and *bytes behind the map (or anywhere, once found). */
static int meta_walk(struct slice *bytes, struct block_header *header, const char *find,
		     struct slice *found)
{
	struct slice key, value;
	int64_t count, size;
	int pairs = 0;
	int rc;

	for (;;) {
		if ((rc = varint_take(bytes, &count)) < 0)
			return rc;
		if (count == 0)
			return 0;
		/* A negative count is followed by the bytes of that part of the map. */
		if (count < 0 && (rc = varint_take(bytes, &size)) < 0)
			return rc;
		if (count < -META_MAX || count > META_MAX)
			return -EBADMSG;
		for (count = count < 0 ? -count : count; count > 0; count--) {
			if (++pairs > META_MAX)
				return -EBADMSG;
			if ((rc = text_take(bytes, KEY_MAX, &key)) < 0 ||
			    (rc = text_take(bytes, BLOCK_HEADER_MAX, &value)) < 0)
				return rc;
			if (find && slice_is(key, find)) {
				*found = value;
				return 0;
			}
			if (header && slice_is(key, "avro.schema"))
				header->schema_text = value;
		}
	}
}

int block_parse_header(struct slice bytes, struct block_header *header, struct err *err)
{
	struct slice rest, codec = { NULL, 0 };
	size_t n = bytes.len < sizeof(magic) ? bytes.len : sizeof(magic);
	bool whole = bytes.len >= BLOCK_HEADER_MAX;
	int rc;

	if (n && memcmp(bytes.ptr, magic, n) != 0)
		return err_set(err, -EBADMSG, "not an Avro container file: it does not begin "
			       "with Obj");
	if (bytes.len < sizeof(magic))
		return -EAGAIN;
	*header = (struct block_header){ .codec = BLOCK_NULL };
	rest = slice_skip(bytes, sizeof(magic));
	rc = meta_walk(&rest, header, NULL, &codec);
	if (rc == 0 && rest.len < BLOCK_SYNC)
		rc = -EAGAIN;
	if (rc == -EAGAIN && whole)
		return err_set(err, -EBADMSG, "the header of the Avro file is over %zu bytes",
			       BLOCK_HEADER_MAX);
	if (rc == -EAGAIN)
		return rc;
	if (rc < 0)
		return err_set(err, -EBADMSG, "the header of the Avro file is damaged");
	if (!header->schema_text.len)
		return err_set(err, -EBADMSG, "the header of the Avro file has no avro.schema");
	codec = block_header_meta(bytes, "avro.codec");
	if (codec.len) {
		size_t i;

		for (i = 0; i < CODEC_COUNT && !slice_is(codec, codec_names[i].name); i++)
			;
		if (i == CODEC_COUNT)
			return err_set(err, -EBADMSG, "codec '%.*s' of the Avro file is not one of "
				       "null, deflate, zstandard, snappy",
				       (int)(codec.len > 40 ? 40 : codec.len), codec.ptr);
		header->codec = codec_names[i].codec;
	}
	memcpy(header->sync, rest.ptr, BLOCK_SYNC);
	header->size = bytes.len - rest.len + BLOCK_SYNC;
	return 0;
}

struct slice block_header_meta(struct slice bytes, const char *key)
{
	struct slice found = { NULL, 0 };
	struct slice rest = slice_skip(bytes, sizeof(magic));

	if (meta_walk(&rest, NULL, key, &found) < 0)
		return (struct slice){ NULL, 0 };
	return found;
}

const char *block_codec_name(enum block_codec codec)
{
	return codec_names[codec].name;
}

/* Both varints, in range. *rest stands behind them. */
static int lead_take(struct slice *rest, int64_t *count, int64_t *size)
{
	int rc;

	if ((rc = varint_take(rest, count)) < 0 || (rc = varint_take(rest, size)) < 0)
		return rc;
	if (*count < 0 || (uint64_t)*count > BLOCK_RAW_MAX || *size < 0 ||
	    (uint64_t)*size > PACKED_MAX)
		return -EBADMSG;
	return 0;
}

int block_parse_lead(struct slice bytes, int64_t *count, int64_t *size)
{
	struct slice rest = bytes;
	int rc = lead_take(&rest, count, size);

	if (rc == 0)
		*size += (int64_t)(bytes.len - rest.len) + BLOCK_SYNC;
	return rc;
}

int block_parse_frame(struct slice bytes, const char sync[BLOCK_SYNC], struct block_frame *frame,
		      size_t *need)
{
	struct slice rest = bytes;
	int64_t count, size;
	size_t whole;
	int rc = lead_take(&rest, &count, &size);

	if (rc == -EAGAIN && need)
		*need = bytes.len + 1;
	if (rc < 0)
		return rc;
	whole = bytes.len - rest.len + (size_t)size + BLOCK_SYNC;
	if (bytes.len < whole) {
		if (need)
			*need = whole;
		return -EAGAIN;
	}
	if (memcmp(rest.ptr + size, sync, BLOCK_SYNC) != 0)
		return -EBADMSG;
	frame->count = count;
	frame->packed = (struct slice){ rest.ptr, (size_t)size };
	frame->size = whole;
	return 0;
}

struct block_coder {
	enum block_codec codec;
	int level;
	ZSTD_CCtx *zstd_pack;           /* each made at its first use */
	ZSTD_DCtx *zstd_unpack;
	z_stream deflate;
	z_stream inflate;
	bool has_deflate;
	bool has_inflate;
	struct buf raw;                 /* what was unpacked last */
};

int block_coder_open(struct block_coder **coderp, enum block_codec codec, int level,
		     struct err *err)
{
	struct block_coder *coder = calloc(1, sizeof(*coder));

	if (!coder)
		return err_set(err, -ENOMEM, "out of memory");
	coder->codec = codec;
	coder->level = level;
	coder->raw.limit = BLOCK_RAW_MAX + 1;
	*coderp = coder;
	return 0;
}

void block_coder_close(struct block_coder *coder)
{
	if (!coder)
		return;
	ZSTD_freeCCtx(coder->zstd_pack);
	ZSTD_freeDCtx(coder->zstd_unpack);
	if (coder->has_deflate)
		deflateEnd(&coder->deflate);
	if (coder->has_inflate)
		inflateEnd(&coder->inflate);
	buf_close(&coder->raw);
	free(coder);
}

/* Packers write at most `room` bytes to `to` and return how many, or -errno. */

static ssize_t pack_zstandard(struct block_coder *coder, struct slice datums, char *to, size_t room)
{
	size_t n;

	if (!coder->zstd_pack) {
		coder->zstd_pack = ZSTD_createCCtx();
		if (!coder->zstd_pack)
			return -ENOMEM;
		ZSTD_CCtx_setParameter(coder->zstd_pack, ZSTD_c_compressionLevel,
				       coder->level ? coder->level : ZSTANDARD_LEVEL);
		ZSTD_CCtx_setParameter(coder->zstd_pack, ZSTD_c_checksumFlag, 1);
	}
	n = ZSTD_compress2(coder->zstd_pack, to, room, datums.ptr, datums.len);
	return ZSTD_isError(n) ? -ENOMEM : (ssize_t)n;
}

static ssize_t pack_deflate(struct block_coder *coder, struct slice datums, char *to, size_t room)
{
	z_stream *z = &coder->deflate;

	if (!coder->has_deflate) {
		if (deflateInit2(z, coder->level ? coder->level : DEFLATE_LEVEL, Z_DEFLATED,
				 -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			return -ENOMEM;
		coder->has_deflate = true;
	}
	deflateReset(z);
	z->next_in = (Bytef *)(uintptr_t)datums.ptr;
	z->avail_in = (uInt)datums.len;
	z->next_out = (Bytef *)to;
	z->avail_out = (uInt)room;
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		return -ENOMEM;
	return (ssize_t)(room - z->avail_out);
}

static ssize_t pack_snappy(struct slice datums, char *to, size_t room)
{
	size_t n = room - CRC_SIZE;
	uint32_t crc = (uint32_t)crc32(0, (const Bytef *)datums.ptr, (uInt)datums.len);

	if (snappy_compress(datums.ptr, datums.len, to, &n) != SNAPPY_OK)
		return -ENOMEM;
	for (int i = 0; i < CRC_SIZE; i++)
		to[n + (size_t)i] = (char)(crc >> (24 - 8 * i));
	return (ssize_t)n + CRC_SIZE;
}

static size_t pack_bound(enum block_codec codec, size_t len)
{
	switch (codec) {
	case BLOCK_ZSTANDARD:
		return ZSTD_compressBound(len);
	case BLOCK_DEFLATE:
		return compressBound((uLong)len) + 64;
	case BLOCK_SNAPPY:
		return snappy_max_compressed_length(len) + CRC_SIZE;
	case BLOCK_NULL:
		break;
	}
	return len;
}

int block_pack(struct block_coder *coder, struct slice datums, int64_t count,
	       const char sync[BLOCK_SYNC], struct buf *out)
{
	size_t bound = pack_bound(coder->codec, datums.len);
	char *at, *packed;
	size_t len;
	ssize_t n;

	if (datums.len > BLOCK_RAW_MAX || count < 0)
		return -ENOSPC;
	at = buf_reserve(out, bound + 2 * VARINT_MAX + BLOCK_SYNC);
	if (!at)
		return -ENOMEM;
	/* The size stands before the bytes and is known after them: they are packed behind the
	 * longest size and moved down, which costs less than a second buffer. */
	len = varint_print(count, at);
	packed = at + len + VARINT_MAX;
	switch (coder->codec) {
	case BLOCK_ZSTANDARD:
		n = pack_zstandard(coder, datums, packed, bound);
		break;
	case BLOCK_DEFLATE:
		n = pack_deflate(coder, datums, packed, bound);
		break;
	case BLOCK_SNAPPY:
		n = pack_snappy(datums, packed, bound);
		break;
	default:
		memcpy(packed, datums.ptr, datums.len);
		n = (ssize_t)datums.len;
	}
	if (n < 0)
		return (int)n;
	len += varint_print(n, at + len);
	memmove(at + len, packed, (size_t)n);
	len += (size_t)n;
	memcpy(at + len, sync, BLOCK_SYNC);
	out->len += len + BLOCK_SYNC;
	return 0;
}

/* Room for more of what is unpacked; -EBADMSG where it would pass BLOCK_RAW_MAX. */
static int raw_grow(struct block_coder *coder)
{
	struct buf *raw = &coder->raw;
	size_t more = raw->cap < BLOCK_CUT ? BLOCK_CUT : raw->cap;

	if (raw->cap - raw->len > 0)
		return 0;
	if (raw->len + more > BLOCK_RAW_MAX)
		more = BLOCK_RAW_MAX - raw->len;
	if (more == 0 || !buf_reserve(raw, more))
		return -EBADMSG;
	return 0;
}

static int unpack_zstandard(struct block_coder *coder, struct slice packed)
{
	unsigned long long size = ZSTD_getFrameContentSize(packed.ptr, packed.len);
	ZSTD_inBuffer in = { packed.ptr, packed.len, 0 };
	size_t n = 1;

	if (!coder->zstd_unpack) {
		coder->zstd_unpack = ZSTD_createDCtx();
		if (!coder->zstd_unpack)
			return -ENOMEM;
		ZSTD_DCtx_setParameter(coder->zstd_unpack, ZSTD_d_windowLogMax,
				       ZSTANDARD_WINDOW_LOG);
	}
	if (size == ZSTD_CONTENTSIZE_ERROR)
		return -EBADMSG;
	if (size != ZSTD_CONTENTSIZE_UNKNOWN) {
		if (size > BLOCK_RAW_MAX || !buf_reserve(&coder->raw, (size_t)size + 1))
			return -EBADMSG;
		n = ZSTD_decompressDCtx(coder->zstd_unpack, coder->raw.ptr, coder->raw.cap,
					packed.ptr, packed.len);
		coder->raw.len = ZSTD_isError(n) ? 0 : n;
		if (!ZSTD_isError(n))
			return 0;
		/* More than one frame is allowed, and may be longer than the first one says. */
		n = 1;
	}
	ZSTD_DCtx_reset(coder->zstd_unpack, ZSTD_reset_session_only);
	while (n != 0 || in.pos < in.size) {
		ZSTD_outBuffer out;
		size_t before = in.pos;

		if (raw_grow(coder) < 0)
			return -EBADMSG;
		out = (ZSTD_outBuffer){ coder->raw.ptr, coder->raw.cap, coder->raw.len };
		n = ZSTD_decompressStream(coder->zstd_unpack, &out, &in);
		if (ZSTD_isError(n))
			return -EBADMSG;
		if (n != 0 && in.pos == before && out.pos == coder->raw.len)
			return -EBADMSG;
		coder->raw.len = out.pos;
	}
	return 0;
}

static int unpack_deflate(struct block_coder *coder, struct slice packed)
{
	z_stream *z = &coder->inflate;
	int rc = Z_OK;

	if (!coder->has_inflate) {
		if (inflateInit2(z, -MAX_WBITS) != Z_OK)
			return -ENOMEM;
		coder->has_inflate = true;
	}
	inflateReset(z);
	z->next_in = (Bytef *)(uintptr_t)packed.ptr;
	z->avail_in = (uInt)packed.len;
	while (rc == Z_OK) {
		size_t room;

		if (raw_grow(coder) < 0)
			return -EBADMSG;
		room = coder->raw.cap - coder->raw.len;
		z->next_out = (Bytef *)coder->raw.ptr + coder->raw.len;
		z->avail_out = (uInt)room;
		rc = inflate(z, Z_NO_FLUSH);
		coder->raw.len += room - z->avail_out;
	}
	return rc == Z_STREAM_END && z->avail_in == 0 ? 0 : -EBADMSG;
}

static int unpack_snappy(struct block_coder *coder, struct slice packed)
{
	uint32_t crc = 0;
	size_t len;

	if (packed.len < CRC_SIZE)
		return -EBADMSG;
	packed.len -= CRC_SIZE;
	if (snappy_uncompressed_length(packed.ptr, packed.len, &len) != SNAPPY_OK ||
	    len > BLOCK_RAW_MAX || !buf_reserve(&coder->raw, len))
		return -EBADMSG;
	if (snappy_uncompress(packed.ptr, packed.len, coder->raw.ptr, &len) != SNAPPY_OK)
		return -EBADMSG;
	coder->raw.len = len;
	for (int i = 0; i < CRC_SIZE; i++)
		crc = crc << 8 | (unsigned char)packed.ptr[packed.len + (size_t)i];
	if (crc != (uint32_t)crc32(0, (const Bytef *)coder->raw.ptr, (uInt)len))
		return -EBADMSG;
	return 0;
}

int block_unpack(struct block_coder *coder, struct slice packed, struct slice *datums)
{
	int rc;

	buf_reset(&coder->raw);
	switch (coder->codec) {
	case BLOCK_ZSTANDARD:
		rc = unpack_zstandard(coder, packed);
		break;
	case BLOCK_DEFLATE:
		rc = unpack_deflate(coder, packed);
		break;
	case BLOCK_SNAPPY:
		rc = unpack_snappy(coder, packed);
		break;
	default:
		if (packed.len > BLOCK_RAW_MAX)
			return -EBADMSG;
		*datums = packed;
		return 0;
	}
	*datums = buf_slice(&coder->raw);
	return rc;
}
