// SPDX-License-Identifier: Apache-2.0
#include "aggregate/trend_own.h"

#include <errno.h>
#include <stdlib.h>

/* Totals need no rows: each file knows how many of each event it has in each quarter of an hour,
 * and local days, hours and weeks consist of whole ones. */

static bool is_whole(int64_t time_us)
{
	return time_us % COLUMN_QUARTER_US == 0;
}

static bool is_plain(const struct trend *trend)
{
	for (size_t i = 0; i < trend->measure_count; i++)
		if (trend->measures[i].kind != TREND_TOTAL || trend->measures[i].where)
			return false;
	return !trend->where && (!trend->breakdown || breakdown_is_event(trend->breakdown));
}

bool trend_has_quarters(const struct trend *trend, const struct trend_range *range)
{
	const struct snapshot *snapshot = trend->world->snapshot;

	if (!is_plain(trend))
		return false;
	for (int i = 0; i <= range->buckets; i++)
		if (!is_whole(range->bounds[i]))
			return false;
	for (size_t i = 0; i < snapshot->file_count; i++) {
		const struct column_file *file = snapshot->files[i];

		if (file->rows && (!file->quarters || file->gone_count ||
		    (!is_whole(range->scan_from_us) && range->scan_from_us > file->time_min) ||
		    (!is_whole(range->to_us) && range->to_us <= file->time_max)))
			return false;
	}
	return true;
}

/* Is a code an event of the measure? */
static bool is_of(const struct trend_measure *measure, const struct column_file *file,
		  uint32_t code)
{
	struct prop name = column_value(file->event, code);

	if (name.kind != PROP_TEXT)
		return false;
	return measure->is_any ? scan_is_behavioural(name.text)
			       : slice_eq(name.text, measure->event);
}

/* All quarters of one event in one file. */
static int take_event(const struct trend_range *range, const struct column_file *file,
		      uint32_t code, trend_quarter_fn *take, const struct trend_quarters *quarters)
{
	size_t width = file->event->values + (size_t)1;
	int rc = 0;

	for (uint32_t i = 0; i < file->quarter_count && rc == 0; i++) {
		int64_t time_us = (file->quarter_first + i) * COLUMN_QUARTER_US;
		uint32_t count = file->quarters[i * width + code];

		/* The first and last quarters of a file may be asked for in part, with all rows. */
		if (count == 0 || time_us + COLUMN_QUARTER_US <= range->scan_from_us ||
		    time_us >= range->to_us)
			continue;
		rc = take(quarters, time_us < range->bounds[0] ? range->bounds[0] : time_us, count);
	}
	return rc;
}

int trend_take_quarters(struct trend *trend, const struct trend_range *range,
			trend_quarter_fn *take, void *ctx)
{
	const struct snapshot *snapshot = trend->world->snapshot;
	struct trend_quarters quarters = { .ctx = ctx };
	struct breakdown_look *look = NULL;
	int rc = trend->breakdown ? breakdown_look_open(&look, trend->breakdown) : 0;

	for (size_t f = 0; f < snapshot->file_count && rc == 0; f++) {
		const struct column_file *file = snapshot->files[f];
		bool is_used = false;

		if (file->rows == 0 || file->time_max < range->scan_from_us ||
		    file->time_min >= range->to_us)
			continue;
		for (uint32_t code = 1; code <= file->event->values && rc == 0; code++) {
			quarters.key = look ? breakdown_key_of(look, f, code) : 0;
			for (quarters.m = 0; quarters.m < trend->measure_count && rc == 0;
			     quarters.m++) {
				if (!is_of(&trend->measures[quarters.m], file, code))
					continue;
				is_used = true;
				rc = take_event(range, file, code, take, &quarters);
			}
		}
		trend->world->scanned += is_used ? file->rows : 0;
	}
	breakdown_look_close(look);
	return rc;
}

static int count(const struct trend_quarters *quarters, int64_t time_us, uint32_t rows)
{
	struct run *run = quarters->ctx;
	const struct keymap *keys = &run->trend->segments[quarters->m].keys;
	struct cells *cells = &run->result[quarters->m];
	uint32_t segment = keymap_find(keys, quarters->key);

	if (segment == KEYMAP_NONE)
		segment = keys->count;
	cells->total[segment * cells->columns + trend_bucket_of(run, time_us)] += rows;
	return 0;
}

int trend_run_quarters(struct run *run)
{
	return trend_take_quarters(run->trend, run->range, count, run);
}
