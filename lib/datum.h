/* datum - one record in Avro's binary form, both directions
 *
 *      long, int   zigzag varint        string, bytes  length as long, bytes
 *      boolean     one byte             union          branch as long, then the value
 *      double      8 bytes LE           record         its leaves in order, nothing between
 * (Avro specification 1.11, "Binary Encoding".)
 *
 * A decoded record is an array of struct value, one per leaf of the reader's schema. Decoding is
 * bounded by the bytes given and copies nothing: text points into the input. A reader is made
 * once for a pair of schemas (Avro's "Schema Resolution"): leaves are matched by name, unknown
 * ones are skipped, missing ones get their default, int -> long -> float -> double widen, null may
 * come or go where the other side allows it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_DATUM_H
#define LIB_DATUM_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/schema.h"
#include "lib/slice.h"

struct value {
	union {
		struct slice text;      /* string, bytes */
		int64_t num;            /* boolean, int, long, enum, times in microseconds */
		double real;            /* float, double */
	};
	bool is_set;                    /* false: null */
};

static inline struct value value_text(struct slice text)
{
	return (struct value){ .text = text, .is_set = true };
}

static inline struct value value_num(int64_t num)
{
	return (struct value){ .num = num, .is_set = true };
}

static inline struct value value_real(double real)
{
	return (struct value){ .real = real, .is_set = true };
}

/* The text of a leaf, empty where it is null. */
static inline struct slice value_slice(const struct value *value)
{
	return value->is_set ? value->text : (struct slice){ "", 0 };
}

struct datum_reader;

/* For data written by `writer` and read by `reader`; both are borrowed until close.
 * -EBADMSG: they do not resolve; the words name the leaf. */
MUST_CHECK int datum_reader_open(struct datum_reader **rp, const struct schema *writer,
				 const struct schema *reader, struct err *err);
void datum_reader_close(struct datum_reader *reader);

/* Decodes one datum at the start of bytes into fields (schema_field_count(reader's schema)
 * values). Returns the bytes it took (>= 0), or -EBADMSG: cut short, a length over the input, a
 * wrong branch, a varint over 10 bytes, text that is not UTF-8 is NOT an error (it is bytes). */
ssize_t datum_decode(const struct datum_reader *reader, struct slice bytes, struct value *fields);

/* Appends one datum. A leaf that is null although its schema has no null is written as "" or 0.
 * -ENOSPC: buf's limit (buf->failed). */
MUST_CHECK int datum_encode(const struct schema *schema, const struct value *fields,
			    struct buf *out);

#endif
