// SPDX-License-Identifier: Apache-2.0
#include "aggregate/durations.h"

#include <errno.h>
#include <stdlib.h>

#include "aggregate/quantile.h"

#define BINS_MAX 60

static int make_room(struct durations *durations, struct scan_conf *scan, size_t more)
{
	size_t room = durations->room ? durations->room : 64;
	int64_t *us;

	if (durations->count + more <= durations->room)
		return 0;
	while (room < durations->count + more)
		room *= 2;
	if (scan_charge(scan, (room - durations->room) * sizeof(*us)) < 0)
		return -ENOSPC;
	us = realloc(durations->us, room * sizeof(*us));
	if (!us)
		return -ENOMEM;
	durations->us = us;
	durations->room = room;
	return 0;
}

int durations_add(struct durations *durations, struct scan_conf *scan, int64_t us)
{
	int rc = make_room(durations, scan, 1);

	if (rc == 0)
		durations->us[durations->count++] = us;
	return rc;
}

int durations_fold(struct durations *durations, struct scan_conf *scan,
		   const struct durations *more)
{
	int rc;

	if (more->count == 0)
		return 0;
	rc = make_room(durations, scan, more->count);
	if (rc < 0)
		return rc;
	memcpy(durations->us + durations->count, more->us, more->count * sizeof(*more->us));
	durations->count += more->count;
	return 0;
}

void durations_close(struct durations *durations)
{
	free(durations->us);
	*durations = (struct durations){ .us = NULL };
}

double durations_mean(const struct durations *durations)
{
	int64_t high = 0, low = 0;

	/* Whole numbers, so that it does not depend on the order in which threads came. */
	for (size_t i = 0; i < durations->count; i++) {
		high += durations->us[i] >> 32;
		low += durations->us[i] & INT64_C(0xffffffff);
	}
	return ((double)high * 4294967296.0 + (double)low) / (double)durations->count;
}

static void write_ms(struct buf *out, const char *name, double us)
{
	struct prop ms = { .kind = PROP_NUMBER, .number = us / 1000 };

	buf_printf(out, ",\"%s\":", name);
	prop_write_json(&ms, out);
}

void durations_write(struct durations *durations, const char *mean, const char *median,
		     struct buf *out)
{
	if (durations->count == 0) {
		buf_printf(out, ",\"%s\":null,\"%s\":null", mean, median);
		return;
	}
	write_ms(out, mean, durations_mean(durations));
	write_ms(out, median, quantile(durations->us, durations->count, 0.5));
}

static int64_t bin_count(size_t n)
{
	int64_t bins = 1;

	while (bins < BINS_MAX && (size_t)(bins * bins * bins) < n)
		bins++;
	return bins;
}

void durations_write_bins(const struct durations *durations, struct buf *out)
{
	int64_t counts[BINS_MAX + 1] = { 0 };
	int64_t least, most, bins, width;

	buf_append_char(out, '[');
	if (durations->count > 0) {
		least = most = durations->us[0] / 1000;
		for (size_t i = 1; i < durations->count; i++) {
			int64_t ms = durations->us[i] / 1000;

			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		bins = bin_count(durations->count);
		width = (most - least + bins - 1) / bins;
		width = width < 1 ? 1 : width;
		for (size_t i = 0; i < durations->count; i++) {
			int64_t bin = (durations->us[i] / 1000 - least) / width;

			counts[bin > bins ? bins : bin]++;
		}
		for (int64_t bin = 0; bin <= bins; bin++)
			buf_printf(out, "%s[%lld,%lld]", bin ? "," : "",
				   (long long)(least + bin * width), (long long)counts[bin]);
	}
	buf_append_char(out, ']');
}
