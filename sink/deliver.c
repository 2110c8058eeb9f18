// SPDX-License-Identifier: Apache-2.0
#include "sink/deliver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/record.h"
#include "lib/stamp.h"

struct deliver {
	struct dest *dest;
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

int deliver_open(struct deliver **deliverp, const struct schema *schema, struct dest *dest,
		 bool is_pipe, struct err *err)
{
	struct deliver *deliver = calloc(1, sizeof(*deliver));

	*deliverp = NULL;
	if (!deliver)
		return err_set(err, -ENOMEM, "no memory");
	deliver->dest = dest;
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
	int rc = deliver->dest->ops->resume(deliver->dest, partition, &deliver->seen, &next, err);

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
	return deliver->dest->ops->lost(deliver->dest, p, first, err);
}

static bool is_repeat(struct deliver *deliver, const struct value *fields)
{
	int64_t partition;

	if (deliver->src.partition < 0 || deliver->src.offset < 0 || deliver->src.index < 0)
		return false;
	partition = fields[deliver->src.partition].num;
	if (partition < 0 || partition >= BUS_PARTITIONS_MAX)
		return false;
	return !stamp_is_new(&deliver->seen, (int32_t)partition,
			     fields[deliver->src.offset].num, fields[deliver->src.index].num);
}

static int deliver_step(void *ctx, struct filter *filter, const struct bus_record *record,
			struct err *err)
{
	struct deliver *deliver = ctx;
	const struct dest_ops *ops = deliver->dest->ops;
	int32_t p = record->partition;
	bool marker = deliver->type >= 0 &&
		      slice_is(value_slice(&record->fields[deliver->type]), RECORD_TYPE_MARKER);
	int64_t offset;
	int rc = 0;

	(void)filter;
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
	if (is_repeat(deliver, record->fields)) {
		rc = ops->skip(deliver->dest, p, offset, DEST_SKIP_DUPLICATE, err);
		return rc < 0 ? rc : FILTER_DUPLICATE;
	}
	if (marker) {
		rc = ops->skip(deliver->dest, p, offset, DEST_SKIP_MARKER, err);
		return rc < 0 ? rc : FILTER_FILTERED;
	}
	rc = ops->put(deliver->dest, p, offset, record->fields, err);
	return rc < 0 ? rc : FILTER_PENDING;
}

static int deliver_commit(void *ctx, struct filter *filter, bool idle, struct err *err)
{
	struct deliver *deliver = ctx;
	uint64_t safe = 0;
	int rc = deliver->dest->ops->commit(deliver->dest, filter_is_ending(filter), &safe, err);

	(void)idle;
	if (rc == 0 && safe)
		filter_settle(filter, FILTER_OUT, safe);
	return rc;
}

static int deliver_begin(void *ctx, struct filter *filter, struct err *err)
{
	struct deliver *deliver = ctx;

	(void)err;
	deliver->dest->ops->metrics(deliver->dest, filter_metrics(filter));
	return 0;
}

const struct filter_ops deliver_ops = {
	.step = deliver_step, .commit = deliver_commit, .begin = deliver_begin,
};
