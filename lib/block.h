/* block - Avro Object Container Files: header and blocks
 *
 *      file   = "Obj" 01 | map { avro.schema, avro.codec, more.. } | sync[16] | block*
 *      block  = count (long) | size (long) | size bytes of codec output | sync[16]
 *      (Avro specification 1.11, "Object Container Files")
 *
 * The one unit of pipe, log and file sink. A block is valid when its two varints are in range, the
 * sync bytes follow, the codec's output unpacks with its checksum right to at most BLOCK_RAW_MAX
 * bytes, and exactly `count` datums fill it. Codecs written: zstandard (level given, content
 * checksum on), deflate, null; read: those and snappy (with its CRC32).
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_BLOCK_H
#define LIB_BLOCK_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/schema.h"
#include "lib/slice.h"

#define BLOCK_SYNC     16
#define BLOCK_RAW_MAX  ((size_t)32 << 20)       /* bytes of a block, unpacked */
#define BLOCK_CUT      ((size_t)256 << 10)      /* where writers end a block */
#define BLOCK_HEADER_MAX ((size_t)2 << 20)      /* bytes of a file's header */

enum block_codec { BLOCK_NULL, BLOCK_DEFLATE, BLOCK_ZSTANDARD, BLOCK_SNAPPY };

struct block_header {
	enum block_codec codec;
	struct slice schema_text;       /* into the bytes that were parsed */
	char sync[BLOCK_SYNC];
	size_t size;                    /* bytes of the header */
};

/* One "key: value" of the header's metadata. */
struct block_meta {
	const char *key;
	struct slice value;
};

/* Appends a file header. sync is chosen by the caller. */
void block_print_header(struct buf *out, enum block_codec codec, struct slice schema_text,
			const struct block_meta *meta, size_t meta_count,
			const char sync[BLOCK_SYNC]);
/* Parses one. -EAGAIN: more bytes needed. -EBADMSG: words. */
MUST_CHECK int block_parse_header(struct slice bytes, struct block_header *header,
				  struct err *err);
/* The value of a metadata key in a parsed header's bytes; {NULL, 0}. */
struct slice block_header_meta(struct slice bytes, const char *key);

/* The frame of one block, not unpacked. */
struct block_frame {
	int64_t count;                  /* records */
	struct slice packed;            /* codec output */
	size_t size;                    /* bytes of the whole block with sync */
};
/* -EAGAIN: more bytes needed (*need, may be NULL: at least so many in all). -EBADMSG. */
MUST_CHECK int block_parse_frame(struct slice bytes, const char sync[BLOCK_SYNC],
				 struct block_frame *frame, size_t *need);

/* Only the lead of a block: its count, and the size of the whole block. For hopping over it. */
MUST_CHECK int block_parse_lead(struct slice bytes, int64_t *count, int64_t *size);

/* As it stands in avro.codec. */
const char *block_codec_name(enum block_codec codec);

struct block_coder;                     /* a codec with its reused contexts and memory */

/* level: zstandard's or deflate's, 0 = this project's default for the codec. */
MUST_CHECK int block_coder_open(struct block_coder **coderp, enum block_codec codec, int level,
				struct err *err);
void block_coder_close(struct block_coder *coder);
/* Appends a whole block of `count` datums. */
MUST_CHECK int block_pack(struct block_coder *coder, struct slice datums, int64_t count,
			  const char sync[BLOCK_SYNC], struct buf *out);
/* Unpacks into the coder's memory; *datums lives until the next call. -EBADMSG. */
MUST_CHECK int block_unpack(struct block_coder *coder, struct slice packed, struct slice *datums);

#endif
