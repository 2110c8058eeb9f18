// SPDX-License-Identifier: Apache-2.0
#include "millrace/table.h"

#include <assert.h>
#include <string.h>

/* Bytes of the code point at the start of text, at least 1. */
static size_t point_size(struct slice text)
{
	unsigned char c = (unsigned char)text.ptr[0];
	size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return size > text.len ? text.len : size;
}

static bool is_control(struct slice point)
{
	unsigned char c = (unsigned char)point.ptr[0];

	return c < 0x20 || c == 0x7f ||
	       (c == 0xc2 && point.len > 1 && (unsigned char)point.ptr[1] < 0xa0);
}

void table_cell(struct table *table, struct slice text)
{
	int column = (int)(table->cell_count % (size_t)table->columns);
	int width = 0;

	assert(table->columns > 0 && table->columns <= TABLE_COLUMNS_MAX);
	while (text.len > 0 && width < TABLE_CELL_MAX) {
		struct slice point = { text.ptr, point_size(text) };

		if (is_control(point))
			buf_append_char(&table->cells, '?');
		else
			buf_append_slice(&table->cells, point);
		text = slice_skip(text, point.len);
		width++;
	}
	buf_append_char(&table->cells, '\0');
	table->cell_count++;
	if (width > table->width[column])
		table->width[column] = width;
}

static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void pad(struct buf *out, int n)
{
	for (; n > 0; n--)
		buf_append_char(out, ' ');
}

void table_print(const struct table *table, struct buf *out)
{
	const char *cell = table->cells.ptr;

	if (table->cells.failed)
		return;
	for (size_t i = 0; i < table->cell_count; i++, cell += strlen(cell) + 1) {
		int column = (int)(i % (size_t)table->columns);
		int room = table->width[column] - width_of(cell);

		pad(out, column ? 2 : 0);
		pad(out, table->is_right[column] ? room : 0);
		buf_append_text(out, cell);
		if (column < table->columns - 1) {
			pad(out, table->is_right[column] ? 0 : room);
			continue;
		}
		while (out->len && out->ptr[out->len - 1] == ' ')
			out->len--;
		buf_append_char(out, '\n');
	}
}

void table_close(struct table *table)
{
	buf_close(&table->cells);
	*table = (struct table){ 0 };
}

void table_bar(double value, double most, int width, struct buf *out)
{
	static const char *const parts[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	int eighths;

	if (!(most > 0) || !(value > 0))
		return;
	eighths = (int)(value / most * width * 8 + 0.5);
	if (eighths > width * 8)
		eighths = width * 8;
	/* Something is never nothing. */
	if (eighths == 0)
		eighths = 1;
	for (int i = 0; i < eighths / 8; i++)
		buf_append_text(out, "█");
	buf_append_text(out, parts[eighths % 8]);
}

void table_spark(const double *values, size_t count, size_t width, struct buf *out)
{
	static const char *const levels[] = {
		"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█",
	};
	size_t group = count > width && width ? (count + width - 1) / width : 1;
	double most = 0;

	for (size_t i = 0; i < count; i += group) {
		double sum = 0;

		for (size_t j = i; j < count && j < i + group; j++)
			sum += values[j];
		most = sum > most ? sum : most;
	}
	for (size_t i = 0; i < count; i += group) {
		double sum = 0;

		for (size_t j = i; j < count && j < i + group; j++)
			sum += values[j];
		buf_append_text(out, levels[most > 0 && sum > 0 ? (int)(sum / most * 7) : 0]);
	}
}

void table_csv(struct slice text, struct buf *out)
{
	bool is_plain = true;

	for (size_t i = 0; i < text.len; i++)
		if (strchr("\",\r\n", text.ptr[i]) || text.ptr[i] == '\0')
			is_plain = false;
	if (is_plain) {
		buf_append_slice(out, text);
		return;
	}
	buf_append_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"')
			buf_append_char(out, '"');
		buf_append_char(out, text.ptr[i]);
	}
	buf_append_char(out, '"');
}
