/* column - an immutable file of events, sorted by actor and time, one column per property
 *
 *      actor[]  start[]                rows: time[]  message[]  $event  $browser  plan  ..
 *        7        0   ------------->    0    09:00     id        3        1        0
 *        9        2                     1    09:05     id        1        1        2
 *       ..       ..                     2    08:00     ..       ..       ..       ..
 *
 * An actor is the number of one distinct id (person.h); a person may have several. Within an actor
 * rows are in canonical order: (time, message id). A row is one record of `enriched`, of any type.
 * Every column is coded by a dictionary of its own: code 0 is "not set", codes 1.. are its values,
 * each once, in the order of prop.h. So a condition on a property is decided once per value, not
 * once per row, and then is one table look-up. Columns are dense (a code per row) or sparse (the
 * rows that have it, rising, and their codes), whichever is smaller. Codes take 1, 2 or 4 bytes.
 * Built-in properties are columns whose names begin with '$' ($event, $type, $browser, ...).
 *
 * The same bytes are a file (mmapped) or live in memory (the newest events): one format, one
 * reader, one merge. The bytes: column_format.h. Writers: column_write.h, merge.h.
 *
 * What is opened was verified: all bytes by checksum (column_verify looks at orders and codes, too,
 * in case that what wrote them was wrong). Everything is const but `gone` and may be read by any
 * number of threads.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_COLUMN_H
#define AGGREGATE_COLUMN_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/prop.h"

#define COLUMN_QUARTER_US (INT64_C(900) * 1000000)

/* Orders and tells apart events. A message id that is a UUID in lower case: its 16 bytes; else the
 * first 8 bytes of the text and its XXH3. memcmp order; equal means: the same event. */
struct message_key {
	uint8_t bytes[16];
};

struct column {
	struct slice name;
	uint8_t width;                  /* of a code: 1, 2, 4 */
	bool is_sparse;
	uint32_t count;                 /* codes: rows, or entries of a sparse one */
	uint32_t set;                   /* rows that have a value */
	const void *codes;
	const uint32_t *rows;           /* sparse: of each code */
	/* dictionary: code 1 is the first. Kinds follow each other in the order of prop.h. */
	uint32_t values;
	uint32_t numbers_from;          /* codes of numbers: numbers_from <= code < texts_from */
	uint32_t texts_from, lists_from;
	bool has_false, has_true;
	const double *numbers;          /* [code - numbers_from] */
	const uint32_t *text_ends;      /* [code - texts_from]: texts and lists, in text_bytes */
	const char *text_bytes;
};

struct column_file {
	uint32_t rows, actors;
	const uint32_t *actor;          /* [actors], rising */
	const uint32_t *start;          /* [actors + 1]: first row of each */
	const int64_t *time;            /* [rows], us UTC */
	const struct message_key *message;      /* [rows] */
	int64_t time_min, time_max;
	uint32_t column_count;
	const struct column *columns;   /* by name */
	const struct column *event;     /* $event; NULL only where there are no rows */
	/* How many rows each event has in each quarter of an hour, counted when it was opened:
	 * quarters[i * (event->values + 1) + code], of the one that begins (quarter_first + i) *
	 * COLUMN_QUARTER_US. NULL: that would be too many for so few rows. */
	int64_t quarter_first;
	uint32_t quarter_count;
	const uint32_t *quarters;
	uint64_t bytes;                 /* of the whole image */
	/* Actors, rising, whose rows until a time do not count any more (store_forget): the next
	 * merge drops them. Who walks actor[] himself begins at column_first; column_run does. Set
	 * by the store. */
	const struct column_gone {
		uint32_t actor;
		int64_t until_us;       /* of the event, that instant too */
	} *gone;
	uint32_t gone_count;
};

struct message_key message_key_of(struct slice id);

/* Opens by path, or an image in memory, which the file owns from then on (also on failure).
 * -EBADMSG: words name the file, the section and the mend. */
MUST_CHECK int column_open(struct column_file **filep, const char *path, struct err *err);
MUST_CHECK int column_open_image(struct column_file **filep, struct buf *image, struct err *err);
/* Every order, code and message against what column_format.h says. */
MUST_CHECK int column_verify(const struct column_file *file, struct err *err);
void column_close(struct column_file *file);

/* NULL: no row has it. */
const struct column *column_find(const struct column_file *file, struct slice name);
/* code < values + 1; 0 gives PROP_NONE. Text points into the file. */
struct prop column_value(const struct column *column, uint32_t code);
/* The code of a value, 0: it is not in the dictionary. */
uint32_t column_code_of(const struct column *column, const struct prop *value);
/* An actor's run: false: it has none. *from begins the search as a hint (an index into actor[],
 * kept by the caller, 0 at first): rising actors cost O(1) each. */
bool column_run(const struct column_file *file, uint32_t actor, uint32_t *from, uint32_t *row,
		uint32_t *count);
/* The rows that do not count of gone[g]; false: there are none. *from as in column_run. */
bool column_gone_run(const struct column_file *file, uint32_t g, uint32_t *from, uint32_t *row,
		     uint32_t *count);
/* The first row that counts of the actor at place; its rows end at start[place + 1]. */
uint32_t column_first_left(const struct column_file *file, uint32_t place);
static inline uint32_t column_first(const struct column_file *file, uint32_t place)
{
	return file->gone_count ? column_first_left(file, place) : file->start[place];
}

/* May row's message be in this file? Never false for one that is (a Bloom filter). */
bool column_may_have(const struct column_file *file, const struct message_key *key);
/* The same in two steps, for many files: where its bits are (a cache miss), and what they say. */
const uint64_t *column_bloom_block(const struct column_file *file, uint64_t hash);
bool column_bloom_has(const uint64_t *block, uint64_t hash);

static inline uint32_t column_load(const void *codes, uint8_t width, uint32_t at)
{
	if (width == 1)
		return ((const uint8_t *)codes)[at];
	return width == 2 ? ((const uint16_t *)codes)[at] : ((const uint32_t *)codes)[at];
}

/* Of a sparse column: entry of row or 0; *at is a hint kept by the caller (0 at first), rows that
 * rise cost O(1) amortised. */
uint32_t column_code_sparse(const struct column *column, uint32_t row, uint32_t *at);

static inline uint32_t column_code(const struct column *column, uint32_t row, uint32_t *at)
{
	if (!column->is_sparse)
		return column_load(column->codes, column->width, row);
	return column_code_sparse(column, row, at);
}

#endif
