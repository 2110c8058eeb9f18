// SPDX-License-Identifier: Apache-2.0
#include "sink/deliver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/record.h"
#include "lib/stamp.h"

struct deliver {
	struct outlet *outlet;
	struct bus *in;
	bool is_pipe;
	int type;                       /* leaf; < 0: the schema has no markers */
	struct stamp_leaves src;
	struct stamp_seen seen;
	struct {
		bool is_resumed;
		bool is_begun;          /* its first record came */
		int64_t next;           /* offsets below are done; BUS_OFFSET_FIRST: none are */
		int64_t base;           /* of a pipe: its offset 0 is this one's */
	} parts[BUS_PARTITIONS_MAX];
};

int deliver_open(struct deliver **deliverp, const struct schema *schema, struct outlet *outlet,
		 bool is_pipe, struct err *err)
{
	struct deliver *deliver = calloc(1, sizeof(*deliver));

	*deliverp = NULL;
	if (!deliver)
		return err_set(err, -ENOMEM, "no memory");
	deliver->outlet = outlet;
	deliver->is_pipe = is_pipe;
	stamp_seen_init(&deliver->seen);
	deliver->src = (struct stamp_leaves){ schema_find(schema, "src.partition"),
					      schema_find(schema, "src.offset"),
					      schema_find(schema, "src.index") };
	deliver->type = deliver->src.index < 0 ? -1 : schema_find(schema, "type");
	*deliverp = deliver;
	return 0;
}

void deliver_close(struct deliver *deliver)
{
	free(deliver);
}

void deliver_set_input(struct deliver *deliver, struct bus *in)
{
	deliver->in = in;
}

static int resume(struct deliver *deliver, int32_t partition, struct err *err)
{
	int64_t next;
	int rc = deliver->outlet->ops->resume(deliver->outlet, deliver->in, partition,
						&deliver->seen, &next, err);

	if (rc < 0)
		return rc;
	deliver->parts[partition].is_resumed = true;
	deliver->parts[partition].is_begun = false;
	deliver->parts[partition].next = next;
	if (deliver->is_pipe && next > 0)
		deliver->parts[partition].base = next;
	return 0;
}

int64_t deliver_start(void *ctx, int32_t partition, struct err *err)
{
	struct deliver *deliver = ctx;
	int rc = resume(deliver, partition, err);

	/* -1 and -2 would be read as BUS_OFFSET_END and _FIRST. */
	if (rc == -EPERM || rc == -ENOENT)
		return -EIO;
	return rc < 0 ? rc : deliver->is_pipe ? BUS_OFFSET_FIRST : deliver->parts[partition].next;
}

/* What the topic no longer keeps is a gap, and must look like one. Offsets that only Kafka left
 * out (control records, compaction) are covered by the file around them. */
static int begin(struct deliver *deliver, const struct bus_record *record, struct err *err)
{
	int32_t p = record->partition;
	int64_t first, end;

	deliver->parts[p].is_begun = true;
	if (deliver->is_pipe || deliver->parts[p].next < 0 ||
	    record->offset <= deliver->parts[p].next ||
	    bus_range(deliver->in, p, &first, &end) < 0 || first <= deliver->parts[p].next)
		return 0;
	if (first > record->offset)
		first = record->offset;
	return deliver->outlet->ops->lost(deliver->outlet, p, first, err);
}

static struct outlet_src src_of(const struct deliver *deliver, const struct value *fields)
{
	struct outlet_src none = { -1, -1, -1 };
	int64_t partition;

	if (deliver->src.partition < 0 || deliver->src.offset < 0 || deliver->src.index < 0)
		return none;
	partition = fields[deliver->src.partition].num;
	if (partition < 0 || partition >= BUS_PARTITIONS_MAX)
		return none;
	return (struct outlet_src){ (int32_t)partition, fields[deliver->src.offset].num,
				    fields[deliver->src.index].num };
}

static int deliver_step(void *ctx, struct filter *filter, const struct bus_record *record,
			struct err *err)
{
	struct deliver *deliver = ctx;
	const struct outlet_ops *ops = deliver->outlet->ops;
	int32_t p = record->partition;
	bool marker = deliver->type >= 0 &&
		      slice_is(value_slice(&record->fields[deliver->type]), RECORD_TYPE_MARKER);
	struct outlet_src src;
	int64_t offset;
	int rc = 0;

	assert(p >= 0 && p < BUS_PARTITIONS_MAX);
	if (!deliver->parts[p].is_resumed)
		rc = resume(deliver, p, err);
	if (rc == 0 && !deliver->parts[p].is_begun)
		rc = begin(deliver, record, err);
	if (rc < 0)
		return rc;
	offset = record->offset + deliver->parts[p].base;
	if (offset < deliver->parts[p].next)
		return FILTER_DUPLICATE;
	deliver->parts[p].next = offset + 1;
	src = src_of(deliver, record->fields);
	if (src.partition >= 0 &&
	    !stamp_is_new(&deliver->seen, src.partition, src.offset, src.index)) {
		rc = ops->skip(deliver->outlet, p, offset, (struct outlet_src){ -1, -1, -1 },
			       OUTLET_SKIP_DUPLICATE, err);
		return rc < 0 ? rc : FILTER_DUPLICATE;
	}
	if (marker) {
		rc = ops->skip(deliver->outlet, p, offset, src, OUTLET_SKIP_MARKER, err);
		return rc < 0 ? rc : FILTER_FILTERED;
	}
	return ops->put(deliver->outlet, filter, record, offset, src, err);
}

static int deliver_commit(void *ctx, struct filter *filter, bool idle, struct err *err)
{
	struct deliver *deliver = ctx;

	(void)idle;
	return deliver->outlet->ops->commit(deliver->outlet, filter, err);
}

static int deliver_begin(void *ctx, struct filter *filter, struct err *err)
{
	struct deliver *deliver = ctx;

	return deliver->outlet->ops->begin(deliver->outlet, filter, err);
}

const struct filter_ops deliver_ops = {
	.step = deliver_step, .commit = deliver_commit, .begin = deliver_begin,
};
