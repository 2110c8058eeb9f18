// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "millrace/query.h"
#include "millrace/table.h"

#define BAR_WIDTH 40
#define MEMBERS_MAX 8   /* of objects that nobody made for a table */

static double real_of(yyjson_val *value)
{
	double real;

	return value && json_real(value, &real) == 0 ? real : 0;
}

/* A number or text as it stands in the answer, others as JSON. */
static void cell(struct table *table, yyjson_val *value, struct buf *scratch)
{
	buf_reset(scratch);
	if (yyjson_is_str(value))
		buf_append_slice(scratch, json_string(value));
	else if (value && !yyjson_is_null(value))
		json_write(value, scratch);
	table_cell(table, buf_slice(scratch));
}

static void cell_time(struct table *table, yyjson_val *ms, struct buf *scratch)
{
	static const struct { double ms; const char *unit; } units[] = {
		{ 86400e3, "d" }, { 3600e3, "h" }, { 60e3, "min" }, { 1e3, "s" },
	};
	double value = real_of(ms);
	size_t i = 0;

	buf_reset(scratch);
	while (i < 3 && value < units[i].ms)
		i++;
	if (ms && !yyjson_is_null(ms))
		buf_printf(scratch, "%.1f %s", value / units[i].ms, units[i].unit);
	table_cell(table, buf_slice(scratch));
}

static void print_steps(yyjson_val *steps, struct slice segment, struct buf *out)
{
	struct table table = { .columns = 6, .is_right = { false, true, true, true, true, false } };
	double first = real_of(json_get(yyjson_arr_get_first(steps), "count"));
	struct buf scratch = { 0 };
	size_t i, count;
	yyjson_val *step;

	table_cell(&table, segment);
	table_cell(&table, SLICE("count"));
	table_cell(&table, SLICE("share"));
	table_cell(&table, SLICE("of step"));
	table_cell(&table, SLICE("median"));
	table_cell(&table, SLICE(""));
	yyjson_arr_foreach(steps, i, count, step) {
		double share = real_of(json_get(step, "share"));

		cell(&table, json_get(step, "event"), &scratch);
		cell(&table, json_get(step, "count"), &scratch);
		buf_reset(&scratch);
		buf_printf(&scratch, "%.1f %%", share * 100);
		table_cell(&table, buf_slice(&scratch));
		buf_reset(&scratch);
		if (i)
			buf_printf(&scratch, "%.1f %%",
				   real_of(json_get(step, "from_previous")) * 100);
		table_cell(&table, buf_slice(&scratch));
		cell_time(&table, json_get(step, "median_ms"), &scratch);
		buf_reset(&scratch);
		table_bar(real_of(json_get(step, "count")), first, BAR_WIDTH, &scratch);
		table_cell(&table, buf_slice(&scratch));
	}
	table_print(&table, out);
	table_close(&table);
	buf_close(&scratch);
}

int query_print_funnel(struct slice answer, struct buf *out, struct err *err)
{
	struct json_reader *reader = NULL;
	yyjson_val *root, *segment;
	size_t i, count;
	int rc;

	if ((rc = json_open(&reader, err)) < 0 || (rc = json_parse(reader, answer, &root, err)) < 0)
		goto out;
	if (!yyjson_is_arr(json_get(root, "steps"))) {
		rc = err_set(err, -EBADMSG, "the answer has no steps");
		goto out;
	}
	print_steps(json_get(root, "steps"), SLICE(""), out);
	yyjson_arr_foreach(json_get(root, "segments"), i, count, segment) {
		buf_append_char(out, '\n');
		print_steps(json_get(segment, "steps"), json_text(segment, "segment"), out);
	}
out:
	json_close(reader);
	return rc;
}

/* The list of an answer: its first member that is a list of objects, or itself. */
static yyjson_val *list_of(yyjson_val *root)
{
	size_t i, count;
	yyjson_val *key, *value;

	if (yyjson_is_arr(root))
		return root;
	yyjson_obj_foreach(root, i, count, key, value)
		if (yyjson_is_obj(yyjson_arr_get_first(value)))
			return value;
	return NULL;
}

static void print_objects(yyjson_val *list, struct buf *out)
{
	struct table table = { .columns = 0 };
	yyjson_val *first = yyjson_arr_get_first(list), *object, *key, *value;
	struct buf scratch = { 0 };
	size_t i, count, j, members;

	table.columns = (int)yyjson_obj_size(first);
	if (table.columns > MEMBERS_MAX)
		table.columns = MEMBERS_MAX;
	yyjson_obj_foreach(first, j, members, key, value) {
		if (j >= (size_t)table.columns)
			break;
		table.is_right[j] = json_is_num(value);
		table_cell(&table, json_string(key));
	}
	yyjson_arr_foreach(list, i, count, object) {
		yyjson_obj_foreach(first, j, members, key, value) {
			if (j < (size_t)table.columns)
				cell(&table, yyjson_obj_getn(object, yyjson_get_str(key),
							     yyjson_get_len(key)), &scratch);
		}
	}
	table_print(&table, out);
	table_close(&table);
	buf_close(&scratch);
}

/* Two lists side by side: stickiness. */
static void print_intervals(yyjson_val *root, struct buf *out)
{
	yyjson_val *intervals = json_get(root, "intervals"), *values = json_get(root, "values");
	struct table table = { .columns = 3, .is_right = { true, true, false } };
	struct buf scratch = { 0 };
	double most = 0;

	for (size_t i = 0; i < yyjson_arr_size(values); i++)
		if (real_of(yyjson_arr_get(values, i)) > most)
			most = real_of(yyjson_arr_get(values, i));
	for (size_t i = 0; i < yyjson_arr_size(intervals); i++) {
		cell(&table, yyjson_arr_get(intervals, i), &scratch);
		cell(&table, yyjson_arr_get(values, i), &scratch);
		buf_reset(&scratch);
		table_bar(real_of(yyjson_arr_get(values, i)), most, BAR_WIDTH, &scratch);
		table_cell(&table, buf_slice(&scratch));
	}
	table_print(&table, out);
	table_close(&table);
	buf_close(&scratch);
}

static void share_cell(struct table *table, double share, const char *mark, struct buf *scratch)
{
	buf_reset(scratch);
	buf_printf(scratch, "%.1f%%%s", share * 100, mark);
	table_cell(table, buf_slice(scratch));
}

static void print_cohort(struct table *table, yyjson_val *cohort, struct buf *scratch)
{
	yyjson_val *values = json_get(cohort, "values"), *open = json_get(cohort, "incomplete");
	double size = real_of(json_get(cohort, "size"));

	cell(table, json_get(cohort, "bucket"), scratch);
	cell(table, json_get(cohort, "size"), scratch);
	for (size_t k = 0; k + 2 < (size_t)table->columns; k++) {
		yyjson_val *value = yyjson_arr_get(values, k);

		if (size > 0 && json_is_num(value))
			share_cell(table, real_of(value) / size,
				   yyjson_is_true(yyjson_arr_get(open, k)) ? "*" : "", scratch);
		else
			table_cell(table, SLICE(""));
	}
}

/* As the dashboard has it: a line per cohort, a column per period. */
int query_print_retention(struct slice answer, struct buf *out, struct err *err)
{
	struct table table = { .is_right = { false } };
	struct json_reader *reader = NULL;
	yyjson_val *root, *cohorts, *cohort, *average;
	struct buf scratch = { 0 };
	size_t i, count, periods;
	int rc;

	if ((rc = json_open(&reader, err)) < 0 || (rc = json_parse(reader, answer, &root, err)) < 0)
		goto out;
	cohorts = json_get(root, "cohorts");
	average = json_get(root, "average");
	if (!yyjson_is_arr(cohorts)) {
		rc = err_set(err, -EBADMSG, "the answer has no cohorts");
		goto out;
	}
	periods = yyjson_arr_size(json_get(yyjson_arr_get_first(cohorts), "values"));
	if (periods > TABLE_COLUMNS_MAX - 2)
		periods = TABLE_COLUMNS_MAX - 2;
	table.columns = 2 + (int)periods;
	table_cell(&table, SLICE("cohort"));
	table_cell(&table, SLICE("size"));
	for (int k = 1; k < table.columns; k++)
		table.is_right[k] = true;
	for (int k = 0; k + 2 < table.columns; k++) {
		buf_reset(&scratch);
		buf_printf(&scratch, "%d", k);
		table_cell(&table, buf_slice(&scratch));
	}
	yyjson_arr_foreach(cohorts, i, count, cohort)
		print_cohort(&table, cohort, &scratch);
	table_cell(&table, SLICE("average"));
	table_cell(&table, SLICE(""));
	for (size_t k = 0; k + 2 < (size_t)table.columns; k++) {
		if (json_is_num(yyjson_arr_get(average, k)))
			share_cell(&table, real_of(yyjson_arr_get(average, k)), "", &scratch);
		else
			table_cell(&table, SLICE(""));
	}
	table_print(&table, out);
out:
	table_close(&table);
	buf_close(&scratch);
	json_close(reader);
	return rc;
}

int query_print_list(const char *kind, struct slice answer, struct buf *out, struct err *err)
{
	struct json_reader *reader = NULL;
	yyjson_val *root, *list;
	int rc;

	if ((rc = json_open(&reader, err)) < 0 || (rc = json_parse(reader, answer, &root, err)) < 0)
		goto out;
	list = list_of(root);
	if (list)
		print_objects(list, out);
	else if (yyjson_is_arr(json_get(root, "intervals")))
		print_intervals(root, out);
	else if (yyjson_is_arr(root) || yyjson_obj_size(root) == 0)
		buf_printf(out, "no %s\n", kind);
	else
		json_write(root, out);
	if (out->len && out->ptr[out->len - 1] != '\n')
		buf_append_char(out, '\n');
out:
	json_close(reader);
	return rc;
}
