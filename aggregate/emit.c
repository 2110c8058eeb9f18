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
};

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
	int64_t bucket = fields[COUNTED_BUCKET].num;

	if (!slice_is(value_slice(&fields[COUNTED_UNIT]), "hour") ||
	    fields[COUNTED_BREAKDOWN].is_set || bucket % COUNT_HOUR_US)
		return 0;
	/* An unreadable one could only make us emit too early, which does no harm. */
	if (emit_parse_as_of(value_slice(&fields[COUNTED_AS_OF]), emit->resume) < 0)
		return 0;
	return count_set_emitted(emit->count, value_slice(&fields[COUNTED_EVENT]),
				 bucket / COUNT_HOUR_US, fields[COUNTED_TOTAL].num,
				 fields[COUNTED_UNIQUE].num);
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

static int emit_cell(struct emit *emit, struct filter *filter, const struct count_cell *cell,
		     int64_t now_us)
{
	struct value fields[COUNTED_COUNT] = { 0 };
	int rc;

	fields[COUNTED_EVENT] = value_text(cell->event);
	fields[COUNTED_UNIT] = value_text(SLICE("hour"));
	fields[COUNTED_BUCKET] = value_num(cell->hour * COUNT_HOUR_US);
	fields[COUNTED_TOTAL] = value_num(cell->total);
	fields[COUNTED_UNIQUE] = value_num(cell->unique);
	fields[COUNTED_COMPUTED_AT] = value_num(now_us);
	fields[COUNTED_AS_OF] = value_text(buf_slice(&emit->as_of));
	buf_reset(&emit->datum);
	rc = datum_encode(emit->schema, fields, &emit->datum);
	return rc < 0 ? rc : filter_emit(filter, -1, cell->event, buf_slice(&emit->datum));
}

int emit_changes(struct emit *emit, struct filter *filter, const int64_t *next, const int64_t *end,
		 int partitions, uint64_t *emitted)
{
	int64_t now_us = when_now_us();
	struct count_cell cell;

	if (emit->is_silent && !is_caught_up(emit, next, end, partitions))
		return 0;
	emit->is_silent = false;
	buf_reset(&emit->as_of);
	for (int p = 0; p < partitions; p++)
		if (next[p])
			buf_printf(&emit->as_of, "%s%d:%" PRId64, emit->as_of.len ? "," : "", p,
				   next[p]);
	while (count_next_change(emit->count, &cell)) {
		int rc = emit_cell(emit, filter, &cell, now_us);

		if (rc < 0)
			return rc;
		count_emitted(emit->count, &cell);
		++*emitted;
	}
	return 0;
}
