// SPDX-License-Identifier: Apache-2.0
#include "enrich/version.h"

#include <errno.h>
#include <stdio.h>

#define WAIT_MS 1000

int version_open(struct version *version, const char *url, const struct bus_conf *base,
		 int32_t partition, struct err *err)
{
	*version = (struct version){ .last = -1, .last_index = -1 };
	snprintf(version->assign, sizeof(version->assign), "%d", partition);
	version->conf = (struct bus_conf){
		.schema = base->schema, .log = base->log, .kafka = base->kafka,
		.open_ms = base->open_ms, .assign = version->assign, .until_end = true,
		.time_field = ENRICHED_RECEIVED_AT,
	};
	return bus_open(&version->bus, url, BUS_READ, &version->conf, err);
}

void version_close(struct version *version)
{
	bus_close(version->bus);
	version->bus = NULL;
}

int version_next(struct version *version, struct err *err)
{
	int rc;

	version->has = false;
	for (;;) {
		const struct value *fields;
		int64_t offset, index;

		rc = bus_next(version->bus, &version->record, WAIT_MS);
		if (rc == -ENODATA)
			return 0;
		if (rc < 0)
			return err_set(err, rc, "%s", bus_error_text(version->bus));
		fields = rc == 1 ? version->record.fields : NULL;
		if (!fields || fields[ENRICHED_SRC_PARTITION].num != version->record.partition)
			continue;
		offset = fields[ENRICHED_SRC_OFFSET].num;
		index = fields[ENRICHED_SRC_INDEX].num;
		if (offset < version->last ||
		    (offset == version->last && index <= version->last_index))
			continue;
		version->last = offset;
		version->last_index = index;
		if (slice_is(value_slice(&fields[ENRICHED_TYPE]), RECORD_TYPE_MARKER))
			continue;
		version->offset = offset;
		version->index = index;
		version->has = true;
		return 0;
	}
}

int version_partitions(const char *url, const struct bus_conf *base, struct err *err)
{
	struct version version;
	int rc = version_open(&version, url, base, 0, err);

	if (rc == 0) {
		rc = bus_partition_count(version.bus);
		if (rc == 0)
			rc = err_set(err, -ENOENT, "%s: there is no such topic", url);
	}
	version_close(&version);
	return rc;
}

static bool is_same(const struct schema_field *field, const struct value *a, const struct value *b)
{
	if (a->is_set != b->is_set || !a->is_set)
		return a->is_set == b->is_set;
	if (field->kind == SCHEMA_STRING || field->kind == SCHEMA_BYTES)
		return slice_eq(a->text, b->text);
	if (field->kind == SCHEMA_DOUBLE || field->kind == SCHEMA_FLOAT)
		return memcmp(&a->real, &b->real, sizeof(a->real)) == 0;
	return a->num == b->num;
}

int version_compare(const struct schema *schema, const struct value *a, const struct value *b,
		    bool with_logic, struct buf *names)
{
	int count = 0;

	for (int i = 0; i < ENRICHED_COUNT; i++) {
		const struct schema_field *field = schema_field_at(schema, i);

		if ((i == ENRICHED_LOGIC && !with_logic) || is_same(field, &a[i], &b[i]))
			continue;
		buf_printf(names, " %s", field->name);
		count++;
	}
	return count;
}
