// SPDX-License-Identifier: Apache-2.0
#include "sink/parcel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define BUCKETS 4096

struct lane {
	int route;
	int32_t partition;
	struct part *head, *tail;
	size_t count, bytes;
};

/* Who has parts under way, and what waits for them. */
struct busy {
	struct busy *next;
	uint64_t order;
	int route;
	size_t under_way;
	const struct parcel *in;        /* the parcel that is being made, while it is */
	struct part *head, *tail;
};

struct sorter {
	struct sorter_conf conf;
	struct lane *lanes;
	size_t lane_count, lane_last;
	struct busy *buckets[BUCKETS], *spare;
};

int sorter_open(struct sorter **sorterp, const struct sorter_conf *conf)
{
	*sorterp = calloc(1, sizeof(**sorterp));
	if (!*sorterp)
		return -ENOMEM;
	(*sorterp)->conf = *conf;
	return 0;
}

static void busy_close(struct busy *busy)
{
	while (busy) {
		struct busy *next = busy->next;

		free(busy);
		busy = next;
	}
}

void sorter_close(struct sorter *sorter)
{
	if (!sorter)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		busy_close(sorter->buckets[i]);
	busy_close(sorter->spare);
	free(sorter->lanes);
	free(sorter);
}

static struct lane *find_lane(struct sorter *sorter, const struct part *part)
{
	int32_t partition = sorter->conf.by_partition ? part->item.partition : 0;
	struct lane *lanes;

	for (size_t i = 0; i < sorter->lane_count; i++) {
		struct lane *lane = &sorter->lanes[i];

		if (lane->route == part->item.route && lane->partition == partition)
			return lane;
	}
	lanes = reallocarray(sorter->lanes, sorter->lane_count + 1, sizeof(*lanes));
	if (!lanes)
		return NULL;
	sorter->lanes = lanes;
	lanes[sorter->lane_count] = (struct lane){ .route = part->item.route,
						   .partition = partition };
	return &lanes[sorter->lane_count++];
}

int sorter_add(struct sorter *sorter, struct part *part, int64_t now_ms)
{
	struct lane *lane = find_lane(sorter, part);

	if (!lane)
		return -ENOMEM;
	part->arrived_ms = now_ms;
	part->next = NULL;
	if (lane->tail)
		lane->tail->next = part;
	else
		lane->head = part;
	lane->tail = part;
	lane->count++;
	lane->bytes += part->item.payload.len;
	return 0;
}

/* Order */

static struct busy **bucket_of(struct sorter *sorter, uint64_t order, int route)
{
	return &sorter->buckets[(order + (uint64_t)(unsigned)route * 0x9e37) % BUCKETS];
}

static struct busy *find_busy(struct sorter *sorter, uint64_t order, int route, bool make)
{
	struct busy **bucket = bucket_of(sorter, order, route);

	for (struct busy *busy = *bucket; busy; busy = busy->next)
		if (busy->order == order && busy->route == route)
			return busy;
	if (!make)
		return NULL;
	struct busy *busy = sorter->spare;

	if (busy)
		sorter->spare = busy->next;
	else
		busy = malloc(sizeof(*busy));
	if (!busy)
		return NULL;
	*busy = (struct busy){ .next = *bucket, .order = order, .route = route };
	*bucket = busy;
	return busy;
}

void sorter_release(struct sorter *sorter, struct part *part)
{
	struct busy **at, *busy;
	struct lane *lane;

	if (!sorter->conf.is_ordered || part->order == 0)
		return;
	at = bucket_of(sorter, part->order, part->item.route);
	while (*at && ((*at)->order != part->order || (*at)->route != part->item.route))
		at = &(*at)->next;
	busy = *at;
	if (!busy || --busy->under_way > 0)
		return;
	lane = busy->head ? find_lane(sorter, busy->head) : NULL;
	if (lane) {
		for (struct part *p = busy->head; p; p = p->next) {
			lane->count++;
			lane->bytes += p->item.payload.len;
		}
		busy->tail->next = lane->head;
		if (!lane->tail)
			lane->tail = busy->tail;
		lane->head = busy->head;
	}
	*at = busy->next;
	busy->next = sorter->spare;
	sorter->spare = busy;
}

/* Parcels */

static struct parcel *parcel_open(size_t count)
{
	struct parcel *parcel = calloc(1, sizeof(*parcel) + count * (sizeof(parcel->parts[0]) +
								     sizeof(parcel->items[0])));

	if (parcel)
		parcel->items = (const struct dest_item **)(void *)(parcel->parts + count);
	return parcel;
}

void parcel_close(struct parcel *parcel)
{
	free(parcel);
}

static bool is_plain(struct slice id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] <= ' ' || id.ptr[i] > '~')
			return false;
	return id.len > 0 && id.len < sizeof(((struct dest_batch *)0)->key);
}

/* One part that is all of its event: its message id, where that may stand in a header. */
static void set_batch(struct parcel *parcel, bool has_key)
{
	struct dest_batch *batch = &parcel->batch;
	XXH128_hash_t hash = { 0 };

	batch->items = parcel->items;
	batch->count = parcel->count;
	batch->route = parcel->route;
	if (!has_key)
		return;
	if (parcel->count == 1 && parcel->parts[0]->letter->part_count == 1 &&
	    is_plain(parcel->parts[0]->item.message_id)) {
		struct slice id = parcel->parts[0]->item.message_id;

		memcpy(batch->key, id.ptr, id.len);
		batch->key[id.len] = '\0';
		return;
	}
	for (size_t i = 0; i < parcel->count; i++) {
		struct part *part = parcel->parts[i];
		struct slice id = part->item.message_id;

		hash = XXH3_128bits_withSeed(id.ptr, id.len, hash.low64 + hash.high64 * 31 +
							     part->index);
	}
	snprintf(batch->key, sizeof(batch->key), "%016llx%016llx",
		 (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

/* Whether the part may go into the parcel; else it now waits for somebody. */
static bool may_go(struct sorter *sorter, struct parcel *parcel, struct part *part)
{
	struct busy *busy;

	if (!sorter->conf.is_ordered || part->order == 0)
		return true;
	busy = find_busy(sorter, part->order, part->item.route, true);
	if (!busy)
		return true;            /* no memory for order: the event matters more */
	if (busy->under_way == 0 || (sorter->conf.is_atomic && busy->in == parcel && !busy->head)) {
		busy->under_way++;
		busy->in = parcel;
		return true;
	}
	part->next = NULL;
	if (busy->tail)
		busy->tail->next = part;
	else
		busy->head = part;
	busy->tail = part;
	return false;
}

static bool is_ready(const struct sorter *sorter, const struct lane *lane, int64_t now_ms,
		     bool flush)
{
	const struct dest_limits *limits = &sorter->conf.limits;

	return lane->head && (flush || lane->count >= limits->items ||
			      (limits->bytes && lane->bytes >= limits->bytes) ||
			      now_ms - lane->head->arrived_ms >= limits->wait_ms);
}

static struct parcel *take(struct sorter *sorter, struct lane *lane)
{
	const struct dest_limits *limits = &sorter->conf.limits;
	size_t most = lane->count < limits->items ? lane->count : limits->items, bytes = 0;
	struct parcel *parcel = parcel_open(most);

	if (!parcel)
		return NULL;
	parcel->route = lane->route;
	while (lane->head && parcel->count < most) {
		struct part *part = lane->head;

		if (limits->bytes && parcel->count &&
		    bytes + part->item.payload.len > limits->bytes)
			break;
		lane->head = part->next;
		lane->count--;
		lane->bytes -= part->item.payload.len;
		if (!may_go(sorter, parcel, part))
			continue;
		bytes += part->item.payload.len;
		parcel->items[parcel->count] = &part->item;
		parcel->parts[parcel->count++] = part;
	}
	if (!lane->head)
		lane->tail = NULL;
	/* Nobody may join it later under a recycled address. */
	for (size_t i = 0; sorter->conf.is_ordered && i < parcel->count; i++) {
		struct part *part = parcel->parts[i];
		struct busy *busy = part->order
			? find_busy(sorter, part->order, part->item.route, false) : NULL;

		if (busy)
			busy->in = NULL;
	}
	if (parcel->count == 0) {
		parcel_close(parcel);
		return NULL;
	}
	parcel->batch.is_batch = limits->items > 1;
	set_batch(parcel, sorter->conf.has_key);
	return parcel;
}

struct parcel *sorter_next(struct sorter *sorter, int64_t now_ms, bool flush)
{
	for (size_t i = 0; i < sorter->lane_count; i++) {
		size_t at = (sorter->lane_last + 1 + i) % sorter->lane_count;
		struct lane *lane = &sorter->lanes[at];
		struct parcel *parcel = NULL;

		/* A lane may hold only parts that wait for others: then it is empty now. */
		while (!parcel && is_ready(sorter, lane, now_ms, flush))
			parcel = take(sorter, lane);
		if (parcel) {
			sorter->lane_last = at;
			return parcel;
		}
	}
	return NULL;
}

int64_t sorter_due_ms(const struct sorter *sorter, int64_t now_ms, bool flush)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < sorter->lane_count; i++) {
		const struct lane *lane = &sorter->lanes[i];
		int64_t at;

		if (!lane->head)
			continue;
		at = is_ready(sorter, lane, now_ms, flush)
		     ? now_ms : lane->head->arrived_ms + sorter->conf.limits.wait_ms;
		if (at < due)
			due = at;
	}
	return due;
}

struct parcel *parcel_cut(struct parcel *parcel, size_t from)
{
	struct parcel *rest = parcel_open(parcel->count - from);

	if (!rest)
		return NULL;
	rest->route = parcel->route;
	rest->attempts = parcel->attempts;
	rest->first_ms = parcel->first_ms;
	rest->due_ms = parcel->due_ms;
	rest->batch.is_batch = parcel->batch.is_batch;
	rest->count = parcel->count - from;
	memcpy(rest->parts, parcel->parts + from, rest->count * sizeof(rest->parts[0]));
	memcpy(rest->items, parcel->items + from, rest->count * sizeof(rest->items[0]));
	parcel->count = from;
	set_batch(parcel, parcel->batch.key[0]);
	set_batch(rest, parcel->batch.key[0]);
	return rest;
}

void parcel_keep(struct parcel *parcel, const bool *keep)
{
	size_t count = 0;

	for (size_t i = 0; i < parcel->count; i++) {
		if (!keep[i])
			continue;
		parcel->items[count] = parcel->items[i];
		parcel->parts[count++] = parcel->parts[i];
	}
	if (count == parcel->count)
		return;
	parcel->count = count;
	if (count)
		set_batch(parcel, parcel->batch.key[0]);
}
