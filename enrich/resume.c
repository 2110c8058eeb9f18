// SPDX-License-Identifier: Apache-2.0
#include "enrich/resume.h"

#include <errno.h>
#include <stdio.h>

#include "lib/record.h"
#include "lib/stamp.h"

/* Collectors' clocks may differ, so received_at does not quite rise. */
#define SLACK_US INT64_C(600000000)

#define STEP_MS  1000

struct pass {
	int64_t from;
	char assign[16];
	struct bus_conf conf;
	struct bus *bus;
};

static int64_t pass_start(void *ctx, int32_t partition, struct err *err)
{
	const struct pass *pass = ctx;

	(void)partition;
	(void)err;
	return pass->from;
}

/* A reader of one partition of the output, to its end as it is now. */
static int pass_open(struct pass *pass, const char *url, const struct bus_conf *conf,
		     int32_t partition, struct err *err)
{
	snprintf(pass->assign, sizeof(pass->assign), "%d", partition);
	pass->conf = (struct bus_conf){
		.schema = conf->schema,
		.log = conf->log,
		.kafka = conf->kafka,
		.open_ms = conf->open_ms,
		.assign = pass->assign,
		.start = pass_start,
		.start_ctx = pass,
		.until_end = true,
		.time_field = ENRICHED_RECEIVED_AT,
	};
	return bus_open(&pass->bus, url, BUS_READ, &pass->conf, err);
}

static int pass_next(struct pass *pass, struct bus_record *record, struct err *err)
{
	int rc;

	do {
		rc = bus_next(pass->bus, record, STEP_MS);
	} while (rc == 0 || (rc == 1 && !record->fields));
	if (rc < 0 && rc != -ENODATA)
		return err_set(err, rc, "reading the own output: %s", bus_error_text(pass->bus));
	return rc;
}

/* received_at of the last record of partition. */
static int last_time(struct pass *pass, int64_t first, int64_t end, int64_t *time_us,
		     struct err *err)
{
	struct bus_record record;
	int rc;

	/* Kafka may have holes at the end, so a few records back. */
	pass->from = end - first > 16 ? end - 16 : first;
	*time_us = 0;
	while ((rc = pass_next(pass, &record, err)) == 1)
		*time_us = record.fields[ENRICHED_RECEIVED_AT].num;
	return rc == -ENODATA ? 0 : rc;
}

/* The stamp of a record of ours; those of other partitions came by mistake and say nothing. */
static void take_stamp(const struct bus_record *record, int64_t *next)
{
	const struct value *p = &record->fields[ENRICHED_SRC_PARTITION];
	const struct value *offset = &record->fields[ENRICHED_SRC_OFFSET];

	if (p->num == record->partition && offset->num >= 0 && offset->num < INT64_MAX &&
	    offset->num >= *next)
		*next = offset->num + 1;
}

static int take_id(const struct bus_record *record, struct dedup *dedup)
{
	const struct value *fields = record->fields;

	return dedup_add(dedup,
			 dedup_id(value_slice(&fields[ENRICHED_SOURCE]),
				  value_slice(&fields[ENRICHED_MESSAGE_ID])),
			 fields[ENRICHED_RECEIVED_AT].num);
}

/* From `from` to the end: stamps and ids of the same records, so that no id is missing of what
 * the resume point passes over. */
static int read_all(const char *url, const struct bus_conf *conf, int32_t partition, int64_t from,
		    struct dedup *dedup, struct resume_point *point, struct err *err)
{
	struct pass pass = { .from = from };
	struct bus_record record;
	int rc = pass_open(&pass, url, conf, partition, err);

	while (rc >= 0 && (rc = pass_next(&pass, &record, err)) == 1) {
		take_stamp(&record, &point->next);
		point->received = record.fields[ENRICHED_RECEIVED_AT].num;
		if (slice_is(value_slice(&record.fields[ENRICHED_TYPE]), RECORD_TYPE_MARKER))
			continue;
		rc = take_id(&record, dedup);
		point->ids++;
	}
	bus_close(pass.bus);
	return rc == -ENODATA ? 0 : rc;
}

/* Where to begin: the window's start, or STAMP_TAIL before the end if that is earlier (a zombie's
 * late writes can follow newer ones). */
static int find_start(const char *url, const struct bus_conf *conf, int32_t partition,
		      int64_t window_ms, int64_t *from, int64_t *end, struct err *err)
{
	struct pass pass = { .from = BUS_OFFSET_END };
	int64_t first, tail, time_us;
	int rc = pass_open(&pass, url, conf, partition, err);

	if (rc == 0)
		rc = bus_range(pass.bus, partition, &first, end);
	if (rc < 0 || first == *end)
		goto out;
	rc = last_time(&pass, first, *end, &time_us, err);
	if (rc == 0)
		rc = bus_find_time(pass.bus, partition, time_us - window_ms * 1000 - SLACK_US,
				   from);
	tail = *end - first > STAMP_TAIL ? *end - STAMP_TAIL : first;
	if (rc == 0 && *from > tail)
		*from = tail;
out:
	bus_close(pass.bus);
	return rc < 0 ? rc : first == *end ? -ENOENT : 0;
}

int resume_read(const char *url, const struct bus_conf *conf, int32_t partition, int64_t window_ms,
		struct dedup *dedup, struct resume_point *point, struct err *err)
{
	int64_t from = BUS_OFFSET_FIRST, end = 0;
	int rc = find_start(url, conf, partition, window_ms, &from, &end, err);

	*point = (struct resume_point){ .next = BUS_OFFSET_FIRST };
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = read_all(url, conf, partition, from, dedup, point, err);
	/* Foreign records may fill a tail; to take it for empty would repeat everything. */
	if (rc == 0 && point->next == BUS_OFFSET_FIRST)
		rc = read_all(url, conf, partition, BUS_OFFSET_FIRST, dedup, point, err);
	return rc < 0 ? err_set(err, rc, "cannot read the own output %s", url) : 0;
}
