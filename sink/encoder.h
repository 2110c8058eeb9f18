/* encoder - records to the bytes of one file, by format
 *
 *      begin -> put, put, .. -> end        appends to the caller's buffer what is ready
 *
 *      jsonl     line.h                          encoder_jsonl.c
 *      jsonl.gz  one gzip member of the same     encoder_jsonl.c
 *      avro      block.h, cut at BLOCK_CUT       encoder_avro.c
 *
 * An encoder is reused for one file after the other. Same records and settings give the same bytes:
 * an avro file's sync marker is a hash of topic, partition and FIRST, gzip's header has no time.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_ENCODER_H
#define SINK_ENCODER_H

#include <stdint.h>

#include "lib/block.h"
#include "lib/buf.h"
#include "lib/datum.h"
#include "lib/schema.h"
#include "sink/file_name.h"

struct encoder_conf {
	const struct schema *schema;    /* borrowed until encoder_close */
	enum file_format format;
	enum block_codec codec;         /* avro */
	int level;                      /* 0: this module's choice */
	bool nulls;                     /* JSON: line.h */
};

struct encoder;

struct encoder_ops {
	int (*begin)(struct encoder *encoder, const struct file_name *name, struct buf *out);
	int (*put)(struct encoder *encoder, const struct value *fields, struct buf *out);
	int (*end)(struct encoder *encoder, struct buf *out);
	void (*close)(struct encoder *encoder);
};

/* Embedded first in each format's own handle. */
struct encoder {
	const struct encoder_ops *ops;
	int64_t bytes;                  /* before compression, since begin */
};

MUST_CHECK int encoder_open(struct encoder **encoderp, const struct encoder_conf *conf,
			    struct err *err);
MUST_CHECK int encoder_open_jsonl(struct encoder **encoderp, const struct encoder_conf *conf,
				  struct err *err);
MUST_CHECK int encoder_open_avro(struct encoder **encoderp, const struct encoder_conf *conf,
				 struct err *err);
void encoder_close(struct encoder *encoder);

/* -ENOSPC: out's limit or memory. Nothing else fails but by a bug. */
MUST_CHECK int encoder_begin(struct encoder *encoder, const struct file_name *name,
			     struct buf *out);
MUST_CHECK int encoder_put(struct encoder *encoder, const struct value *fields, struct buf *out);
MUST_CHECK int encoder_end(struct encoder *encoder, struct buf *out);

#endif
