// SPDX-License-Identifier: Apache-2.0
#include "aggregate/emit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/datum.h"
#include "lib/record.h"
#include "lib/when.h"

#define READ_MS 100

struct emit {
	struct count *count;
	struct schema *schema;
	struct bus_conf conf;
	struct bus *out;
	bool is_silent;                 /* the input is not read up to resume again yet */
	int64_t resume[BUS_PARTITIONS_MAX];
	struct buf as_of, datum;
	/* of the round in work */
	struct filter *filter;
	int64_t now_us;
	uint64_t emitted;
};

#define UNIT SLICE("15min")

int emit_parse_as_of(struct slice text, int64_t *next)
{
	while (text.len) {
		int64_t number[2] = { 0, 0 };

		for (int i = 0; i < 2; i++) {
			size_t n = 0;

			while (n < text.len && text.ptr[n] >= '0' && text.ptr[n] <= '9') {
				if (__builtin_mul_overflow(number[i], 10, &number[i]) ||
				    __builtin_add_overflow(number[i], text.ptr[n] - '0',
							   &number[i]))
					return -EBADMSG;
				n++;
			}
			if (n == 0 || (i == 0 && (n == text.len || text.ptr[n] != ':')) ||
			    (i == 1 && n < text.len && text.ptr[n] != ','))
				return -EBADMSG;
			text = slice_skip(text, n + 1);
		}
		if (number[0] >= BUS_PARTITIONS_MAX)
			return -EBADMSG;
		if (next[number[0]] < number[1])
			next[number[0]] = number[1];
	}
	return 0;
}

static int take_back(struct emit *emit, const struct value *fields)
{
	struct count_cell cell = {
		.event = value_slice(&fields[COUNTED_EVENT]),
		.by = value_slice(&fields[COUNTED_BREAKDOWN]),
		.value = value_slice(&fields[COUNTED_SEGMENT]),
		.bucket_us = fields[COUNTED_BUCKET].num,
		.total = fields[COUNTED_TOTAL].num, .unique = fields[COUNTED_UNIQUE].num,
	};

	if (!slice_eq(value_slice(&fields[COUNTED_UNIT]), UNIT) || cell.bucket_us % BUCKET_US ||
	    cell.total < 0 || cell.unique < 0 || cell.unique > UINT32_MAX)
		return 0;
	/* An unreadable one could only make us emit too early, which does no harm. */
	if (emit_parse_as_of(value_slice(&fields[COUNTED_AS_OF]), emit->resume) < 0)
		return 0;
	return count_said(emit->count, &cell);
}

static int read_back(struct emit *emit, const char *url, struct err *err)
{
	struct bus_conf conf = { .schema = emit->schema, .log = emit->conf.log, .until_end = true,
				 .time_field = -1, .kafka = emit->conf.kafka };
	struct bus_record record;
	struct bus *in;
	int rc = bus_open(&in, url, BUS_READ, &conf, err);

	if (rc < 0)
		return rc;
	while (rc >= 0 && (rc = bus_next(in, &record, READ_MS)) >= 0)
		if (rc == 1 && record.fields)
			rc = take_back(emit, record.fields);
	if (rc != -ENODATA)
		err_set(err, rc, "%s: %s", url, bus_error_text(in));
	bus_close(in);
	return rc == -ENODATA ? 0 : rc;
}

int emit_open(struct emit **emitp, const char *url, const struct bus_conf *conf,
	      struct count *count, struct err *err)
{
	struct emit *emit = calloc(1, sizeof(*emit));
	int rc;

	*emitp = NULL;
	if (!emit)
		return err_set(err, -ENOMEM, "no memory");
	emit->count = count;
	emit->is_silent = true;
	emit->schema = record_schema("counted");
	emit->conf = *conf;
	emit->conf.schema = emit->schema;
	emit->conf.time_field = COUNTED_COMPUTED_AT;
	rc = bus_open(&emit->out, url, BUS_WRITE, &emit->conf, err);
	if (rc == 0)
		rc = read_back(emit, url, err);
	if (rc < 0) {
		emit_close(emit);
		return rc;
	}
	*emitp = emit;
	return 0;
}

void emit_close(struct emit *emit)
{
	if (!emit)
		return;
	bus_close(emit->out);
	schema_close(emit->schema);
	buf_close(&emit->as_of);
	buf_close(&emit->datum);
	free(emit);
}

struct bus *emit_bus(struct emit *emit)
{
	return emit ? emit->out : NULL;
}

/* A topic that ends before the offset that was counted once is another one: do not wait. */
static bool is_caught_up(const struct emit *emit, const int64_t *next, const int64_t *end,
			 int partitions)
{
	for (int p = 0; p < partitions; p++)
		if (next[p] < emit->resume[p] && next[p] < end[p])
			return false;
	return true;
}

static int emit_cell(void *ctx, const struct count_cell *cell)
{
	struct emit *emit = ctx;
	struct value fields[COUNTED_COUNT] = { 0 };
	int rc;

	fields[COUNTED_EVENT] = value_text(cell->event);
	fields[COUNTED_UNIT] = value_text(UNIT);
	fields[COUNTED_BUCKET] = value_num(cell->bucket_us);
	if (cell->by.ptr) {
		fields[COUNTED_BREAKDOWN] = value_text(cell->by);
		fields[COUNTED_SEGMENT] = value_text(cell->value);
	}
	fields[COUNTED_TOTAL] = value_num(cell->total);
	fields[COUNTED_UNIQUE] = value_num(cell->unique);
	fields[COUNTED_COMPUTED_AT] = value_num(emit->now_us);
	fields[COUNTED_AS_OF] = value_text(buf_slice(&emit->as_of));
	buf_reset(&emit->datum);
	rc = datum_encode(emit->schema, fields, &emit->datum);
	emit->emitted++;
	return rc < 0 ? rc : filter_emit(emit->filter, -1, cell->event, buf_slice(&emit->datum));
}

int emit_changes(struct emit *emit, struct filter *filter, const struct emit_progress *progress,
		 uint64_t *emitted, struct err *err)
{
	int rc;

	if (emit->is_silent && !is_caught_up(emit, progress->next, progress->end,
					     progress->partitions))
		return 0;
	emit->is_silent = false;
	if (!progress->all && !count_is_due(emit->count, when_monotonic_ms()))
		return 0;
	buf_reset(&emit->as_of);
	for (int p = 0; p < progress->partitions; p++)
		if (progress->next[p])
			buf_printf(&emit->as_of, "%s%d:%" PRId64, emit->as_of.len ? "," : "", p,
				   progress->next[p]);
	emit->filter = filter;
	emit->now_us = when_now_us();
	emit->emitted = 0;
	rc = count_round(emit->count, progress->all, emit_cell, emit, err);
	*emitted += emit->emitted;
	return rc;
}
