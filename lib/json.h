/* json - yyjson behind slices and bounds
 *
 * One json_reader per thread is reused for every text: its memory is kept, not freed, between
 * texts; a slot of it over 4 MiB is given back before the next text. Rules for text from outside:
 * strict RFC 8259 UTF-8, no BOM, no trailing bytes, no lone surrogates, a bounded depth (yyjson has
 * no limit, but does not recurse: the values are checked after it).
 * Duplicate keys: the last one wins (json_get). Numbers keep their digits: they are read raw and
 * written as they were, so that a 20-digit id or 1e400 survives. json_num and json_real convert
 * when asked. A parse takes up to 17 bytes of memory per byte of text: the caller bounds the text.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include <stdint.h>
#include <sys/types.h>
#include <yyjson.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

#define JSON_DEPTH_MAX     256  /* of any reader, and what json_write can write */
#define JSON_DEPTH_DEFAULT 64   /* what collect takes unless told otherwise */

struct json_reader;

MUST_CHECK int json_open(struct json_reader **readerp, struct err *err);
void json_close(struct json_reader *reader);
/* Texts deeper than this are refused: 1 to JSON_DEPTH_MAX, which is where a reader begins. */
void json_limit_depth(struct json_reader *reader, int depth_max);

/* Parses a whole text. *rootp and all below it live until the next json_parse or json_close.
 * -EBADMSG: words say what and at which byte. */
MUST_CHECK int json_parse(struct json_reader *reader, struct slice text, yyjson_val **rootp,
			  struct err *err);

/* Where a key or string of the latest text begins in that text: the byte behind its quote. yyjson
 * unescapes strings where they stand in its copy of the text, so that this costs nothing. -EBADMSG:
 * it is no string of that text. */
ssize_t json_offset(const struct json_reader *reader, yyjson_val *string);

/* A member of an object; NULL where there is none, where it is null, or object is none. */
yyjson_val *json_get(yyjson_val *object, const char *key);
/* The text of a string member, without copying; {NULL, 0} where it is missing or no string. */
struct slice json_text(yyjson_val *object, const char *key);
struct slice json_string(yyjson_val *value);
bool json_is_num(yyjson_val *value);
MUST_CHECK int json_num(yyjson_val *value, int64_t *num);       /* -EBADMSG: none, or too large */
MUST_CHECK int json_real(yyjson_val *value, double *real);      /* -EBADMSG: none, or 1e400 */
/* The digits of a number as they were sent; {NULL, 0} for others. */
struct slice json_digits(yyjson_val *value);

/* A member's value of the root object as it stands in `text`, which was parsed last: nothing is
 * copied or written anew. {NULL, 0} where it cannot be shown on one line (control bytes between
 * values; strings cannot hold any), or its name was written with escapes: then json_write. */
struct slice json_source(const struct json_reader *reader, struct slice text, yyjson_val *value);

/* Appends the value as compact JSON: same digits, keys in order, strings minimally escaped. A
 * writer may set out->failed up to JSON_DEPTH_MAX + 16 bytes before out's limit. */
void json_write(yyjson_val *value, struct buf *out);
/* Appends text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void json_write_text(struct slice text, struct buf *out);
/* Appends text with bytes that are not UTF-8 replaced by U+FFFD. */
void json_clean_utf8(struct slice text, struct buf *out);

#endif
