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

static int read_ids(const char *url, const struct bus_conf *conf, int32_t partition, int64_t from,
		    struct dedup *dedup, int64_t *ids, struct err *err)
{
	struct pass pass = { .from = from };
	struct bus_record record;
	int rc = pass_open(&pass, url, conf, partition, err);

	while (rc >= 0 && (rc = pass_next(&pass, &record, err)) == 1) {
		const struct value *fields = record.fields;

		if (slice_is(value_slice(&fields[ENRICHED_TYPE]), RECORD_TYPE_MARKER))
			continue;
		rc = dedup_add(dedup,
			       dedup_id(value_slice(&fields[ENRICHED_SOURCE]),
					value_slice(&fields[ENRICHED_MESSAGE_ID])),
			       fields[ENRICHED_RECEIVED_AT].num);
		(*ids)++;
	}
	bus_close(pass.bus);
	return rc == -ENODATA ? 0 : rc;
}

int resume_read(const char *url, const struct bus_conf *conf, int32_t partition, int64_t window_ms,
		struct dedup *dedup, struct resume_point *point, struct err *err)
{
	const struct stamp_leaves leaves = { ENRICHED_SRC_PARTITION, ENRICHED_SRC_OFFSET,
					     ENRICHED_SRC_INDEX };
	struct pass pass = { .from = BUS_OFFSET_END };
	int64_t first, end, time_us, from;
	int rc;

	*point = (struct resume_point){ .next = BUS_OFFSET_FIRST };
	rc = pass_open(&pass, url, conf, partition, err);
	if (rc < 0)
		return rc;
	rc = bus_range(pass.bus, partition, &first, &end);
	if (rc < 0 || first == end)
		goto out;
	rc = last_time(&pass, first, end, &time_us, err);
	if (rc == 0)
		rc = bus_find_time(pass.bus, partition, time_us - window_ms * 1000 - SLACK_US,
				   &from);
	if (rc == 0 && dedup)
		rc = read_ids(url, conf, partition, from, dedup, &point->ids, err);
	bus_close(pass.bus);
	if (rc < 0)
		return err_set(err, rc, "cannot read the own output %s", url);
	pass.from = end - first > STAMP_TAIL ? end - STAMP_TAIL : first;
	rc = pass_open(&pass, url, conf, partition, err);
	if (rc == 0)
		rc = stamp_resume_partition(pass.bus, partition, leaves, &point->next, err);
out:
	bus_close(pass.bus);
	return rc == -ENOENT ? 0 : rc;
}
