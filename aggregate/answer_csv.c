// SPDX-License-Identifier: Apache-2.0
#include "aggregate/answer_csv.h"

#define COLUMNS_MAX 200

static void put_text(struct slice text, struct buf *out)
{
	bool quoted = false;

	for (size_t i = 0; i < text.len && !quoted; i++)
		quoted = strchr("\",\r\n", text.ptr[i]) != NULL;
	if (!quoted) {
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

static void put_value(yyjson_val *value, struct buf *out)
{
	struct buf json = { 0 };

	if (!value || yyjson_is_null(value))
		return;
	if (yyjson_is_str(value)) {
		put_text(json_string(value), out);
		return;
	}
	json_write(value, &json);
	put_text(buf_slice(&json), out);
	buf_close(&json);
}

static void put_label(yyjson_val *series, struct buf *out)
{
	struct buf label = { 0 };
	size_t i, count;
	yyjson_val *part;

	buf_append_slice(&label, json_text(series, "event"));
	buf_append_slice(&label, json_text(series, "name"));
	yyjson_arr_foreach(json_get(series, "segment"), i, count, part) {
		buf_append_text(&label, i ? " / " : ": ");
		buf_append_slice(&label, json_string(part));
	}
	put_text(buf_slice(&label), out);
	buf_close(&label);
}

static void put_trend(yyjson_val *root, struct buf *out)
{
	yyjson_val *buckets = json_get(root, "buckets"), *series = json_get(root, "series"), *line;
	size_t i, count;

	buf_append_text(out, "bucket");
	yyjson_arr_foreach(series, i, count, line) {
		buf_append_char(out, ',');
		put_label(line, out);
	}
	buf_append_text(out, "\r\n");
	for (size_t b = 0; b < yyjson_arr_size(buckets); b++) {
		put_value(yyjson_arr_get(buckets, b), out);
		yyjson_arr_foreach(series, i, count, line) {
			buf_append_char(out, ',');
			put_value(yyjson_arr_get(json_get(line, "values"), b), out);
		}
		buf_append_text(out, "\r\n");
	}
}

/* Stickiness: users by how many intervals they came in. */
static void put_intervals(yyjson_val *root, struct buf *out)
{
	yyjson_val *intervals = json_get(root, "intervals"), *values = json_get(root, "values");

	buf_append_text(out, "intervals,users\r\n");
	for (size_t i = 0; i < yyjson_arr_size(intervals); i++) {
		put_value(yyjson_arr_get(intervals, i), out);
		buf_append_char(out, ',');
		put_value(yyjson_arr_get(values, i), out);
		buf_append_text(out, "\r\n");
	}
}

struct columns {
	struct slice names[COLUMNS_MAX];
	size_t widths[COLUMNS_MAX];     /* 0: one value; else numbers of a list */
	size_t count;
};

static bool is_numbers(yyjson_val *value)
{
	yyjson_val *first = yyjson_arr_get_first(value);

	return yyjson_is_arr(value) && (!first || !yyjson_is_ctn(first));
}

/* Every member that any object has, in order of appearance. */
static void find_columns(yyjson_val *list, struct columns *columns)
{
	size_t i, count, j, members;
	yyjson_val *object, *key, *value;

	yyjson_arr_foreach(list, i, count, object) {
		yyjson_obj_foreach(object, j, members, key, value) {
			size_t c = 0, width = is_numbers(value) ? yyjson_arr_size(value) : 0;

			while (c < columns->count &&
			       !slice_eq(columns->names[c], json_string(key)))
				c++;
			if (c == COLUMNS_MAX)
				continue;
			if (c == columns->count) {
				columns->names[columns->count++] = json_string(key);
				columns->widths[c] = 0;
			}
			if (width > columns->widths[c])
				columns->widths[c] = width;
		}
	}
}

static void put_head(const struct columns *columns, struct buf *out)
{
	for (size_t c = 0; c < columns->count; c++) {
		if (c)
			buf_append_char(out, ',');
		if (!columns->widths[c])
			put_text(columns->names[c], out);
		for (size_t i = 0; i < columns->widths[c]; i++) {
			if (i)
				buf_append_char(out, ',');
			buf_append_slice(out, columns->names[c]);
			buf_printf(out, " %zu", i);
		}
	}
	buf_append_text(out, "\r\n");
}

static yyjson_val *member(yyjson_val *object, struct slice name)
{
	return yyjson_obj_getn(object, name.ptr, name.len);
}

static void put_list(yyjson_val *list, struct buf *out)
{
	struct columns columns = { .count = 0 };
	size_t i, count;
	yyjson_val *object;

	find_columns(list, &columns);
	put_head(&columns, out);
	yyjson_arr_foreach(list, i, count, object) {
		for (size_t c = 0; c < columns.count; c++) {
			yyjson_val *value = member(object, columns.names[c]);

			if (c)
				buf_append_char(out, ',');
			if (!columns.widths[c])
				put_value(value, out);
			for (size_t j = 0; j < columns.widths[c]; j++) {
				if (j)
					buf_append_char(out, ',');
				put_value(yyjson_arr_get(value, j), out);
			}
		}
		buf_append_text(out, "\r\n");
	}
}

void answer_csv(yyjson_val *root, const char *list, struct buf *out)
{
	if (strcmp(list, "series") == 0)
		put_trend(root, out);
	else if (strcmp(list, "intervals") == 0)
		put_intervals(root, out);
	else
		put_list(list[0] ? json_get(root, list) : root, out);
}
