// SPDX-License-Identifier: Apache-2.0
#include "aggregate/saved_out.h"

#include <errno.h>

#include "lib/datum.h"

#define READ_MS  100
#define WAIT_MS  100
#define FLUSH_MS 60000

static int read_back(struct saved_out *out, const char *url, saved_take_fn *take, void *ctx,
		     struct err *err)
{
	struct bus_conf conf = { .schema = out->schema, .log = out->conf.log, .until_end = true,
				 .time_field = -1, .kafka = out->conf.kafka,
				 .open_ms = out->conf.open_ms };
	struct bus_record record;
	struct bus *in;
	int rc = bus_open(&in, url, BUS_READ, &conf, err);

	if (rc < 0)
		return rc;
	while (rc >= 0 && (rc = bus_next(in, &record, READ_MS)) >= 0)
		if (rc == 1 && record.fields)
			rc = take(ctx, record.fields, err);
	if (rc != -ENODATA)
		err_set(err, rc, "%s: %s", url, bus_error_text(in));
	bus_close(in);
	return rc == -ENODATA ? 0 : rc;
}

int saved_out_open(struct saved_out *out, const char *url, const char *schema, int time_field,
		   const struct bus_conf *conf, saved_take_fn *take, void *ctx, struct err *err)
{
	int rc;

	if (!url || !url[0])
		return 0;
	out->schema = record_schema(schema);
	out->conf = *conf;
	out->conf.schema = out->schema;
	out->conf.time_field = time_field;
	rc = bus_open(&out->bus, url, BUS_WRITE, &out->conf, err);
	return rc < 0 ? rc : read_back(out, url, take, ctx, err);
}

void saved_out_close(struct saved_out *out)
{
	bus_close(out->bus);
	schema_close(out->schema);
	buf_close(&out->datum);
	*out = (struct saved_out){ .bus = NULL };
}

static int fail(struct saved_out *out, int rc, struct err *err)
{
	return err_set(err, rc, "%s: %s", schema_name(out->schema), bus_error_text(out->bus));
}

int saved_out_write(struct saved_out *out, struct slice key, const struct value *fields,
		    struct err *err)
{
	int rc;

	if (!out->bus)
		return 0;
	buf_reset(&out->datum);
	rc = datum_encode(out->schema, fields, &out->datum);
	if (rc < 0)
		return err_set(err, rc, "%s: a record is too large", schema_name(out->schema));
	while ((rc = bus_write(out->bus, -1, key, buf_slice(&out->datum), NULL)) < 0) {
		if (rc != -EAGAIN && rc != -ENOSPC && rc != -EDQUOT)
			return fail(out, rc, err);
		rc = bus_release(out->bus);
		if (rc == 0 || rc == -ENOSPC || rc == -EDQUOT)
			rc = bus_wait(out->bus, WAIT_MS);
		if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT)
			return fail(out, rc, err);
	}
	return 0;
}

int saved_out_release(struct saved_out *out, bool flush, struct err *err)
{
	int rc;

	if (!out->bus)
		return 0;
	rc = flush ? bus_flush(out->bus, FLUSH_MS) : bus_release(out->bus);
	return rc < 0 && (flush || (rc != -ENOSPC && rc != -EDQUOT)) ? fail(out, rc, err) : 0;
}
