/* log_record - records that prove themselves, for the tests of the bus
 *
 * A record's text follows from its number, so whoever reads one can tell wrong bytes.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_LOG_RECORD_H
#define TESTS_LOG_RECORD_H

#include <stdlib.h>

#include "lib/bus.h"

#define LOG_RECORD_SCHEMA "{\"type\":\"record\",\"name\":\"T\",\"fields\":[" \
	"{\"name\":\"seq\",\"type\":\"long\"},{\"name\":\"time\",\"type\":\"long\"}," \
	"{\"name\":\"text\",\"type\":\"string\"}]}"

enum { LOG_RECORD_SEQ, LOG_RECORD_TIME, LOG_RECORD_TEXT };

static inline size_t log_record_text(int64_t seq, char text[512])
{
	size_t len = (size_t)(20 + seq * 7919 % 300);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + (seq * 31 + (int64_t)i * (1 + seq % 7)) % 26);
	return len;
}

static inline struct schema *log_record_schema(void)
{
	struct schema *schema;

	if (schema_parse(&schema, SLICE(LOG_RECORD_SCHEMA), NULL) < 0)
		abort();
	return schema;
}

/* The datum lives in buf until the next one. */
static inline struct slice log_record(const struct schema *schema, int64_t seq, struct buf *buf)
{
	char text[512];
	struct value fields[3];

	fields[LOG_RECORD_SEQ] = value_num(seq);
	fields[LOG_RECORD_TIME] = value_num(seq * 1000);
	fields[LOG_RECORD_TEXT] = value_text((struct slice){ text, log_record_text(seq, text) });
	buf_reset(buf);
	if (datum_encode(schema, fields, buf) < 0)
		abort();
	return buf_slice(buf);
}

static inline bool log_record_is(const struct bus_record *record, int64_t seq)
{
	char text[512];
	size_t len = log_record_text(seq, text);

	return record->fields && record->fields[LOG_RECORD_SEQ].num == seq &&
	       record->fields[LOG_RECORD_TIME].num == seq * 1000 &&
	       slice_eq(record->fields[LOG_RECORD_TEXT].text, (struct slice){ text, len });
}

#endif
