// SPDX-License-Identifier: Apache-2.0
/* Why the tail needs no waiting: a producer that was just killed may have a batch on the way which
 * the broker appends after the tail was read here. The new writer then starts below it, and writes
 * some src again. Each writer's run is contiguous and begins at most one above what was durable,
 * so whichever way the two runs interleave, a reader that drops what is not above the highest
 * src misses nothing. Reading goes on while the end still moves, which makes this rare but cannot
 * exclude it: a zombie may write at any time.
 */
#include "lib/stamp.h"

#include <errno.h>

#define STAMP_WAIT_MS  1000
#define STAMP_ROUNDS   5        /* how often a moving end is followed */

struct tail {
	int64_t start[BUS_PARTITIONS_MAX];
	int64_t end[BUS_PARTITIONS_MAX];
	bool whole[BUS_PARTITIONS_MAX]; /* its last STAMP_TAIL records hold no stamp: read all */
	int count;                      /* the output's partitions */
};

static int64_t tail_start(void *ctx, int32_t partition, struct err *err)
{
	const struct tail *tail = ctx;

	(void)err;
	return partition < BUS_PARTITIONS_MAX ? tail->start[partition] : BUS_OFFSET_FIRST;
}

/* Takes the stamp of one record into next[]. Those of other partitions came there by mistake or by
 * an older layout, and say nothing of this one. */
static void take_stamp(const struct bus_record *record, struct stamp_leaves leaves, int64_t *next,
		       int count)
{
	const struct value *partition, *offset;

	if (!record->fields || record->partition < 0 || record->partition >= count)
		return;
	partition = &record->fields[leaves.partition];
	offset = &record->fields[leaves.offset];
	if (!partition->is_set || !offset->is_set || partition->num != record->partition ||
	    offset->num < 0 || offset->num == INT64_MAX)
		return;
	if (offset->num >= next[record->partition])
		next[record->partition] = offset->num + 1;
}

static int read_to_end(struct bus *reader, int32_t only, struct stamp_leaves leaves,
		       int64_t *next, int count, struct err *err)
{
	struct bus_record record;
	int rc;

	while ((rc = bus_next(reader, &record, STAMP_WAIT_MS)) >= 0) {
		if (rc == 1 && (only < 0 || record.partition == only))
			take_stamp(&record, leaves, next, count);
	}
	return rc == -ENODATA ? 0 : err_set(err, rc, "%s", bus_error_text(reader));
}

int stamp_resume_partition(struct bus *reader, int32_t partition, struct stamp_leaves leaves,
			   int64_t *next, struct err *err)
{
	int64_t all[BUS_PARTITIONS_MAX];
	int rc;

	if (partition < 0 || partition >= BUS_PARTITIONS_MAX)
		return -EINVAL;
	all[partition] = BUS_OFFSET_FIRST;
	rc = read_to_end(reader, partition, leaves, all, partition + 1, err);
	*next = all[partition];
	return rc;
}

/* The ends of all partitions; moved: at least one is not where it was. */
static int look_at_ends(struct bus *reader, struct tail *tail, bool *moved, struct err *err)
{
	int64_t first, end;
	int count = bus_partition_count(reader);
	int rc;

	*moved = false;
	tail->count = count < BUS_PARTITIONS_MAX ? count : BUS_PARTITIONS_MAX;
	for (int p = 0; p < tail->count; p++) {
		rc = bus_range(reader, p, &first, &end);
		if (rc == -ENOENT)
			first = end = 0;
		else if (rc)
			return err_set(err, rc, "partition %d: its range is not to be learnt", p);
		*moved = *moved || end != tail->end[p];
		tail->end[p] = end;
		tail->start[p] = end - first > STAMP_TAIL && !tail->whole[p] ? end - STAMP_TAIL :
									      BUS_OFFSET_FIRST;
	}
	return 0;
}

/* Foreign or undecodable records may fill a tail; to take it for empty would repeat everything. */
static bool want_more(struct tail *tail, const int64_t *next, int count)
{
	bool more = false;

	for (int p = 0; p < tail->count && p < count; p++) {
		if (next[p] != BUS_OFFSET_FIRST || tail->start[p] == BUS_OFFSET_FIRST)
			continue;
		tail->whole[p] = true;
		tail->end[p] = -1;      /* counts as moved */
		more = true;
	}
	return more;
}

int stamp_resume(const char *url, const struct bus_conf *conf, struct stamp_leaves leaves,
		 int64_t *next, int count, struct err *err)
{
	struct tail tail = { .count = 0 };
	struct bus_conf own = *conf;
	struct bus *reader = NULL;
	bool moved = true;
	int rc = 0;

	for (int p = 0; p < count; p++)
		next[p] = BUS_OFFSET_FIRST;
	if (strcmp(url, "-") == 0)
		return 0;
	if (count > BUS_PARTITIONS_MAX)
		count = BUS_PARTITIONS_MAX;
	own.start = tail_start;
	own.start_ctx = &tail;
	own.group = NULL;
	own.until_end = true;
	for (int round = 0; round < STAMP_ROUNDS && rc == 0 && moved; round++) {
		rc = bus_open(&reader, url, BUS_READ, &own, err);
		if (rc)
			break;
		rc = look_at_ends(reader, &tail, &moved, err);
		if (rc == 0 && moved && tail.count > 0)
			rc = read_to_end(reader, -1, leaves, next, count, err);
		bus_close(reader);
		if (rc == 0)
			moved = want_more(&tail, next, count) || moved;
	}
	return rc;
}

void stamp_seen_init(struct stamp_seen *seen)
{
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++) {
		seen->offset[p] = -1;
		seen->index[p] = -1;
	}
}

bool stamp_is_new(struct stamp_seen *seen, int32_t partition, int64_t offset, int64_t index)
{
	if (partition < 0 || partition >= BUS_PARTITIONS_MAX)
		return true;
	if (offset < seen->offset[partition] ||
	    (offset == seen->offset[partition] && index <= seen->index[partition]))
		return false;
	seen->offset[partition] = offset;
	seen->index[partition] = index;
	return true;
}
