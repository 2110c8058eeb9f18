// SPDX-License-Identifier: Apache-2.0
#include "millrace/topic.h"

#include <errno.h>
#include <stdio.h>

#include "lib/record.h"

#define WAIT_MS 200
#define OPEN_MS 10000

struct reading {
	struct bus *bus;
	const struct topic_conf *conf;
	struct topic_range *range;
};

static int64_t begin_of(void *ctx, int32_t partition, struct err *err)
{
	struct reading *r = ctx;
	int64_t begin = BUS_OFFSET_FIRST;

	(void)err;
	if (r->conf->since_us != INT64_MIN &&
	    bus_find_time(r->bus, partition, r->conf->since_us, &begin) < 0)
		begin = BUS_OFFSET_FIRST;
	if (begin < 0)
		begin = r->range->first[partition];
	r->range->begin[partition] = begin;
	return begin < 0 ? BUS_OFFSET_FIRST : begin;
}

static void find_range(struct reading *r)
{
	int count = bus_partition_count(r->bus);

	r->range->partitions = count < BUS_PARTITIONS_MAX ? count : BUS_PARTITIONS_MAX;
	for (int p = 0; p < r->range->partitions; p++) {
		int64_t first = 0, end = 0;

		if (bus_range(r->bus, p, &first, &end) < 0)
			first = end = 0;
		r->range->first[p] = r->range->begin[p] = first;
		r->range->end[p] = end;
	}
}

static int read_all(struct reading *r, topic_fn *fn, void *ctx, struct err *err)
{
	struct bus_record record;
	int rc;

	while ((rc = bus_next(r->bus, &record, WAIT_MS)) >= 0) {
		if (rc == 0 || record.partition >= r->range->partitions ||
		    record.offset >= r->range->end[record.partition])
			continue;
		rc = fn(ctx, &record, err);
		if (rc < 0)
			return rc;
	}
	return rc == -ENODATA ? 0 : err_set(err, rc, "%s", bus_error_text(r->bus));
}

int topic_read(const struct topic_conf *conf, const char *name, const char *time, topic_fn *fn,
	       void *ctx, struct topic_range *range, struct err *err)
{
	struct reading r = { .conf = conf, .range = range };
	struct schema *schema = record_schema(name);
	struct bus_conf bus = { .schema = schema, .start = begin_of, .start_ctx = &r,
				.until_end = true, .time_field = schema_find(schema, time),
				.kafka = conf->kafka, .open_ms = OPEN_MS };
	char url[4096];
	int rc = 0;

	*range = (struct topic_range){ .partitions = 0 };
	if (snprintf(url, sizeof(url), "%s/%s", conf->bus, name) >= (int)sizeof(url))
		rc = err_set(err, -ENAMETOOLONG, "a bus URL is over 4,000 bytes long");
	if (rc == 0)
		rc = bus_open(&r.bus, url, BUS_READ, &bus, err);
	if (rc == 0) {
		find_range(&r);
		if (fn && range->partitions > 0)
			rc = read_all(&r, fn, ctx, err);
	}
	bus_close(r.bus);
	schema_close(schema);
	return rc;
}
