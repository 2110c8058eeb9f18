// SPDX-License-Identifier: Apache-2.0
#include "millrace/audit_book.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/when.h"

static const char *const fate_names[BOOK_FATES] = { "out", "bad", "duplicate", "filtered",
						     "pending" };

void book_count(struct book_stage *stage, enum book_fate fate, uint64_t n, int64_t received_us)
{
	stage->in += n;
	stage->fates[fate] += n;
	if (fate == BOOK_PENDING && received_us > 0 &&
	    (stage->oldest_us == 0 || received_us < stage->oldest_us))
		stage->oldest_us = received_us;
}

void book_say(struct book_stage *stage, const char *format, ...)
{
	size_t len = strlen(stage->words);
	va_list args;

	if (len && len + 2 < sizeof(stage->words)) {
		memcpy(stage->words + len, "; ", 3);
		len += 2;
	}
	va_start(args, format);
	vsnprintf(stage->words + len, sizeof(stage->words) - len, format, args);
	va_end(args);
}

bool book_holds(const struct book_stage *stage)
{
	return stage->lost == 0 && stage->extra == 0;
}

int book_mark(struct book_bits *bits, int64_t offset, enum book_mark mark)
{
	size_t at, need, cap = bits->count;
	unsigned char *bytes;

	if (offset < bits->base)
		return 0;
	at = (size_t)(offset - bits->base);
	need = at / 4 + 1;
	if (need > cap) {
		cap = need + need / 2 + 4096;
		bytes = realloc(bits->bytes, cap);
		if (!bytes)
			return -ENOMEM;
		memset(bytes + bits->count, 0, cap - bits->count);
		bits->bytes = bytes;
		bits->count = cap;
	}
	bits->bytes[at / 4] |= (unsigned char)((unsigned)mark << (at % 4 * 2));
	return 0;
}

unsigned book_marks(const struct book_bits *bits, int64_t offset)
{
	size_t at = (size_t)(offset - bits->base);

	if (offset < bits->base || at / 4 >= bits->count)
		return 0;
	return (bits->bytes[at / 4] >> (at % 4 * 2)) & 3u;
}

int book_drop(struct book_drops *drops, struct book_drop drop)
{
	if (drops->count == drops->cap) {
		size_t cap = drops->cap ? drops->cap * 2 : 256;
		struct book_drop *items = reallocarray(drops->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		drops->items = items;
		drops->cap = cap;
	}
	drops->items[drops->count++] = drop;
	return 0;
}

static int compare_drops(const void *a, const void *b)
{
	const struct book_drop *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

void book_drops_sort(struct book_drops *drops)
{
	if (drops->count)
		qsort(drops->items, drops->count, sizeof(*drops->items), compare_drops);
}

void book_drops_prove(struct book_drops *drops, uint64_t id, int32_t partition, int64_t offset)
{
	size_t low = 0, high = drops->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (drops->items[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < drops->count && drops->items[low].id == id; low++)
		if (drops->items[low].partition == partition && drops->items[low].offset > offset)
			drops->items[low].is_proven = true;
}

/* Printing */

static void put_time(const char *name, int64_t us, struct buf *out)
{
	char text[WHEN_TEXT_MAX];

	if (us <= 0) {
		buf_printf(out, ",\"%s\":null", name);
		return;
	}
	when_print(us, 3, text);
	buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void print_json(const struct book_stage *stage, struct buf *out)
{
	buf_append_text(out, "{\"stage\":");
	json_write_text(slice_from(stage->name), out);
	buf_printf(out, ",\"in\":%" PRIu64, stage->in);
	for (int i = 0; i < BOOK_FATES; i++)
		buf_printf(out, ",\"%s\":%" PRIu64, fate_names[i], stage->fates[i]);
	buf_printf(out, ",\"lost\":%" PRIu64 ",\"extra\":%" PRIu64 ",\"unproven\":%" PRIu64
		   ",\"holds\":%s", stage->lost, stage->extra, stage->unproven,
		   book_holds(stage) ? "true" : "false");
	put_time("oldest", stage->oldest_us, out);
	buf_append_text(out, ",\"words\":");
	json_write_text(slice_from(stage->words), out);
	buf_append_char(out, '}');
}

static void print_line(const struct book_stage *stage, struct buf *out)
{
	buf_printf(out, "%-16s %10" PRIu64 " =", stage->name, stage->in);
	for (int i = 0; i < BOOK_FATES; i++)
		buf_printf(out, "%s %10" PRIu64, i ? " +" : "", stage->fates[i]);
	buf_printf(out, "  %s\n", book_holds(stage) ? "holds" : "DOES NOT HOLD");
	if (stage->lost)
		buf_printf(out, "  %" PRIu64 " went in and are nowhere\n", stage->lost);
	if (stage->extra)
		buf_printf(out, "  %" PRIu64 " came out that never went in\n", stage->extra);
	if (stage->oldest_us) {
		char text[WHEN_TEXT_MAX];

		when_print(stage->oldest_us, 3, text);
		buf_printf(out, "  the oldest pending one was received at %s\n", text);
	}
	if (stage->words[0])
		buf_printf(out, "  %s\n", stage->words);
}

void book_print(const struct book_stage *stages, size_t count, const char *bus, int64_t since_us,
		bool is_json, struct buf *out)
{
	bool holds = true;

	for (size_t i = 0; i < count; i++)
		holds &= book_holds(&stages[i]);
	if (is_json) {
		buf_printf(out, "{\"holds\":%s", holds ? "true" : "false");
		put_time("since", since_us, out);
		put_time("at", when_now_us(), out);
		buf_append_text(out, ",\"bus\":");
		json_write_text(slice_from(bus), out);
		buf_append_text(out, ",\"stages\":[");
	} else {
		buf_printf(out, "%-16s %10s   %10s   %10s   %10s   %10s   %10s\n", "STAGE", "IN",
			   "OUT", "BAD", "DUPLICATE", "FILTERED", "PENDING");
	}
	for (size_t i = 0; i < count; i++) {
		if (is_json && i)
			buf_append_char(out, ',');
		(is_json ? print_json : print_line)(&stages[i], out);
	}
	if (is_json)
		buf_append_text(out, "]}\n");
	else
		buf_append_text(out, holds ? "Nothing vanished.\n" :
				"The ledgers do not add up: see the lines above.\n");
}
