// SPDX-License-Identifier: Apache-2.0
#include "enrich/verify.h"

#include <errno.h>
#include <stdio.h>

#include "enrich/version.h"

#define SLACK_US INT64_C(600000000)     /* as in resume.c */
#define WAIT_MS  1000

struct verify {
	struct enrich *enrich;
	const struct enrich_conf *conf;
	const struct bus_conf *out_base;
	struct verify_counts *counts;
	int64_t left;                   /* differences to be shown yet */
	struct buf names;
	struct datum_reader *reader;
	struct value fields[ENRICHED_COUNT];    /* of what was computed */
	/* of the partition */
	struct bus *in;
	struct bus_conf in_conf;
	char assign[16];
	int64_t in_start, in_first;
	int64_t compare_from;           /* input offset; what the output has lost is before it */
	int64_t sure_from_us;           /* before it a duplicate may not be known as one */
	struct version out;
};

static int64_t start_of(void *ctx, int32_t partition, struct err *err)
{
	const struct verify *v = ctx;

	(void)partition;
	(void)err;
	return v->in_start;
}

static void show(struct verify *v, const char *what, int64_t offset)
{
	struct log_line line;

	if (v->left-- <= 0)
		return;
	log_begin(&line, v->out_base->log, LOG_LEVEL_ERROR, "difference");
	log_str(&line, "what", what);
	log_num(&line, "partition", v->out.record.partition);
	log_num(&line, "offset", offset);
	if (v->names.len)
		log_text(&line, "fields", slice_skip(buf_slice(&v->names), 1));
	log_end(&line);
}

static bool is_other_logic(const struct verify *v)
{
	return !slice_is(value_slice(&v->out.record.fields[ENRICHED_LOGIC]),
			 enrich_logic(v->enrich));
}

static bool is_in_times(const struct verify *v, const struct bus_record *record)
{
	return enrich_is_in_times(v->enrich, record->fields[ENRICHED_RECEIVED_AT].num);
}

/* The record in hand comes from no input that gives one. */
static int take_extra(struct verify *v, struct err *err)
{
	buf_reset(&v->names);
	if (!is_in_times(v, &v->out.record) || v->out.offset < v->compare_from) {
		;
	} else if (v->out.offset < v->in_first) {
		v->counts->gone++;
	} else if (is_other_logic(v)) {
		v->counts->other_logic++;
	} else {
		v->counts->extra++;
		show(v, "extra", v->out.offset);
	}
	return version_next(&v->out, err);
}

static int compare(struct verify *v, struct slice datum, struct err *err)
{
	buf_reset(&v->names);
	if (is_other_logic(v)) {
		v->counts->other_logic++;
	} else if (slice_eq(v->out.record.raw, datum)) {
		v->counts->equal++;
	} else {
		v->counts->changed++;
		if (datum_decode(v->reader, datum, v->fields) == (ssize_t)datum.len)
			version_compare(v->out_base->schema, v->out.record.fields, v->fields, true,
					&v->names);
		show(v, "changed", v->out.offset);
	}
	return version_next(&v->out, err);
}

static int take(struct verify *v, const struct bus_record *record, struct err *err)
{
	struct enrich_bad bad;
	struct slice datum;
	int fate, rc = 0;

	while (rc == 0 && v->out.has && v->out.offset < record->offset)
		rc = take_extra(v, err);
	if (rc < 0 || !record->fields)
		return rc;
	fate = enrich_decide(v->enrich, record, &datum, &bad, err);
	if (fate < 0)
		return fate;
	if (v->out.has && v->out.offset == record->offset)
		return fate == FILTER_OUT ? compare(v, datum, err) : take_extra(v, err);
	if (fate != FILTER_OUT || record->offset < v->compare_from)
		return 0;
	buf_reset(&v->names);
	if (record->fields[COLLECTED_RECEIVED_AT].num < v->sure_from_us) {
		v->counts->unsure++;
	} else {
		v->counts->missing++;
		show(v, "missing", record->offset);
	}
	return 0;
}

/* Where the input is begun, and from where on it is compared. */
static int find_start(struct verify *v, int32_t p, struct err *err)
{
	int64_t first, end, received;
	int rc = bus_range(v->out.bus, p, &first, &end);

	if (rc == 0)
		rc = bus_range(v->in, p, &v->in_first, &end);
	if (rc < 0)
		return err_set(err, rc, "partition %d: its range is not to be learnt", p);
	v->in_start = BUS_OFFSET_FIRST;
	v->compare_from = 0;
	v->sure_from_us = v->in_first > 0 ? INT64_MAX : INT64_MIN;      /* mended at the first */
	if (enrich_replay_start(v->enrich, p, &v->in_start))
		return 0;
	if (first == 0 || !v->out.has)
		return 0;
	v->compare_from = v->out.offset;
	received = v->out.record.fields[ENRICHED_RECEIVED_AT].num;
	rc = bus_find_time(v->in, p, received - v->conf->dedup_window_ms * 1000 - SLACK_US,
			   &v->in_start);
	return rc < 0 ? err_set(err, rc, "%s", bus_error_text(v->in)) : 0;
}

static int read_all(struct verify *v, struct err *err)
{
	struct bus_record record;
	int rc;

	while ((rc = bus_next(v->in, &record, WAIT_MS)) >= 0) {
		if (rc == 0)
			continue;
		if (!v->out.has && record.offset > v->out.last)
			return 0;
		if (v->sure_from_us == INT64_MAX && record.fields)
			v->sure_from_us = record.fields[COLLECTED_RECEIVED_AT].num +
					  v->conf->dedup_window_ms * 1000;
		rc = take(v, &record, err);
		if (rc < 0)
			return rc;
	}
	if (rc != -ENODATA)
		return err_set(err, rc, "%s", bus_error_text(v->in));
	rc = 0;
	while (rc == 0 && v->out.has)
		rc = take_extra(v, err);
	return rc;
}

static int verify_partition(struct verify *v, const char *in_url, const struct bus_conf *in_base,
			    const char *out_url, int32_t p, struct err *err)
{
	int rc = version_open(&v->out, out_url, v->out_base, p, err);

	snprintf(v->assign, sizeof(v->assign), "%d", p);
	v->in_conf = *in_base;
	v->in_conf.assign = v->assign;
	v->in_conf.group = NULL;
	v->in_conf.until_end = true;
	v->in_conf.start = start_of;
	v->in_conf.start_ctx = v;
	v->in_conf.stop = NULL;
	if (rc == 0)
		rc = version_next(&v->out, err);
	if (rc == 0)
		rc = bus_open(&v->in, in_url, BUS_READ, &v->in_conf, err);
	if (rc == 0)
		rc = find_start(v, p, err);
	if (rc == 0)
		rc = read_all(v, err);
	bus_close(v->in);
	v->in = NULL;
	version_close(&v->out);
	return rc;
}

static int judge(const struct verify_counts *c, struct err *err)
{
	if (c->changed || c->missing || c->extra)
		return err_set(err, -EBADMSG, "the output is not what input and settings make: "
			       "%lld changed, %lld missing, %lld extra", (long long)c->changed,
			       (long long)c->missing, (long long)c->extra);
	if (c->equal == 0 && c->other_logic)
		return err_set(err, -EBADMSG, "nothing could be compared: all %lld records were "
			       "made by other settings or data files", (long long)c->other_logic);
	return 0;
}

int verify_run(struct enrich *enrich, const struct enrich_conf *conf, const char *in_url,
	       const struct bus_conf *in_base, const char *out_url,
	       const struct bus_conf *out_base, struct verify_counts *counts, struct err *err)
{
	struct verify v = { .enrich = enrich, .conf = conf, .out_base = out_base,
			    .counts = counts, .left = conf->show };
	int count = version_partitions(out_url, out_base, err);
	int rc = count < 0 ? count : 0;

	*counts = (struct verify_counts){ .equal = 0 };
	if (rc == 0)
		rc = datum_reader_open(&v.reader, out_base->schema, out_base->schema, err);
	for (int32_t p = 0; rc == 0 && p < count; p++)
		rc = verify_partition(&v, in_url, in_base, out_url, p, err);
	datum_reader_close(v.reader);
	buf_close(&v.names);
	return rc == 0 ? judge(counts, err) : rc;
}
