// SPDX-License-Identifier: Apache-2.0
#include "aggregate/count_scan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "aggregate/scan.h"

/* 22 bits of the bucket, 18 of the event, 3 of the property, 20 of the value. */
#define EVENT_BITS 18
#define VALUE_BITS 20

static_assert(COUNT_BY_MAX < 8 && COUNT_VALUES_MAX < 1 << VALUE_BITS, "what a key has room for");

static uint64_t make_key(uint32_t bucket, uint32_t event, uint32_t prop, uint32_t value)
{
	return (((uint64_t)bucket << EVENT_BITS | event) << 3 | prop) << VALUE_BITS | value;
}

struct count_key count_key_of(uint64_t key)
{
	return (struct count_key){
		(uint32_t)(key >> (VALUE_BITS + 3 + EVENT_BITS)),
		(uint32_t)(key >> (VALUE_BITS + 3)) & ((1 << EVENT_BITS) - 1),
		(uint32_t)(key >> VALUE_BITS) & 7, (uint32_t)key & ((1 << VALUE_BITS) - 1)
	};
}

/* One thread's. */
struct part {
	struct count_scan *scan;
	struct scan_look *event, *looks[COUNT_BY_MAX];
	struct count_tally tally;
};

static int find_sum(struct count_tally *tally, uint64_t key, uint32_t cells_max,
		    struct count_sum **sum)
{
	uint32_t at;

	if (keymap_add(&tally->map, key, &at) < 0)
		return -ENOMEM;
	if (at >= cells_max)
		return -ENOSPC;
	if (at >= tally->room) {
		uint32_t room = tally->room ? 2 * tally->room : 256;
		struct count_sum *sums = reallocarray(tally->sums, room, sizeof(*sums));

		if (!sums)
			return -ENOMEM;
		memset(sums + tally->room, 0, (room - tally->room) * sizeof(*sums));
		tally->sums = sums;
		tally->room = room;
	}
	*sum = &tally->sums[at];
	return 0;
}

static int add(struct part *part, uint64_t key, uint32_t leader)
{
	struct count_sum *sum;
	int rc = find_sum(&part->tally, key, part->scan->cells_max, &sum);

	if (rc < 0)
		return rc;
	sum->total++;
	if (leader != PERSON_NOBODY && sum->last != leader) {
		sum->last = leader;
		sum->unique++;
	}
	return 0;
}

static int take_event(struct part *part, uint32_t leader, const struct scan_event *event)
{
	const struct count_scan *scan = part->scan;
	uint32_t bucket = bucket_of(event->time_us), name;
	int rc;

	if (!bucket_set_has(scan->wanted, bucket))
		return 0;
	bucket -= scan->low;
	name = scan_look(part->event, leader, event);
	rc = add(part, make_key(bucket, name, 0, 0), leader);
	for (size_t i = 0; i < scan->by_count && rc == 0; i++) {
		const uint32_t *values;
		size_t count;

		if (scan->is_left_out[i])
			continue;
		values = scan_prop_elements(scan->props[i],
					    scan_look(part->looks[i], leader, event), &count);
		for (size_t v = 0; v < count && rc == 0; v++)
			rc = add(part, make_key(bucket, name, (uint32_t)i + 1, values[v]), leader);
	}
	return rc;
}

static int take(void *state, const struct scan_person *person)
{
	int rc = 0;

	for (uint32_t i = 0; i < person->count && rc == 0; i++)
		rc = take_event(state, person->leader, &person->events[i]);
	return rc;
}

static int fold(void *ctx, void *state)
{
	struct count_scan *scan = ctx;
	struct part *part = state;
	int rc = 0;

	if (!part)
		return 0;
	for (uint32_t i = 0; i < part->tally.map.count && i < part->tally.room && rc == 0; i++) {
		struct count_sum *sum;

		rc = find_sum(&scan->tally, part->tally.map.keys[i], scan->cells_max, &sum);
		if (rc < 0)
			break;
		sum->total += part->tally.sums[i].total;
		sum->unique += part->tally.sums[i].unique;
	}
	keymap_reset(&part->tally.map);
	free(part->tally.sums);
	scan_look_close(part->event);
	for (size_t i = 0; i < scan->by_count; i++)
		scan_look_close(part->looks[i]);
	free(part);
	return rc;
}

static int begin(void *ctx, int thread, void **statep)
{
	struct count_scan *scan = ctx;
	struct part *part = calloc(1, sizeof(*part));
	int rc;

	(void)thread;
	*statep = part;
	if (!part)
		return -ENOMEM;
	part->scan = scan;
	rc = keymap_init(&part->tally.map, UINT64_MAX);
	if (rc == 0)
		rc = scan_look_open(&part->event, scan->event);
	for (size_t i = 0; i < scan->by_count && rc == 0; i++)
		if (!scan->is_left_out[i])
			rc = scan_look_open(&part->looks[i], scan->props[i]);
	if (rc < 0) {
		*statep = NULL;
		return fold(scan, part) < 0 ? -ENOMEM : rc;
	}
	return 0;
}

static int open_props(struct count_scan *scan)
{
	struct scan_prop_conf event = { .name = SLICE("$event"),
					.values_max = (1 << EVENT_BITS) - 1 };
	int rc = scan_prop_open(&scan->event, scan->snapshot, &event);

	for (size_t i = 0; i < scan->by_count && rc == 0; i++) {
		struct scan_prop_conf prop = { .name = slice_from(scan->by[i]),
					       .values_max = COUNT_VALUES_MAX };

		rc = scan_prop_open(&scan->props[i], scan->snapshot, &prop);
		scan->is_left_out[i] = rc == -ENOSPC;
		rc = rc == -ENOSPC ? 0 : rc;
	}
	return rc;
}

int count_scan_run(struct count_scan *scan)
{
	static const struct scan_ops ops = { begin, take, fold };
	struct scan_selector selector = { .from_us = scan->low * BUCKET_US,
					  .to_us = scan->high * BUCKET_US };
	struct scan_conf conf = { .snapshot = scan->snapshot, .selectors = &selector,
				  .selector_count = 1, .in_pieces = true,
				  .threads = scan->threads };
	struct slice *names;
	uint32_t count;
	int rc = open_props(scan);

	/* The ends stand for all that is beyond them. */
	if (scan->low == 0)
		selector.from_us = INT64_MIN;
	if (scan->high == BUCKET_COUNT)
		selector.to_us = INT64_MAX;
	count = rc == 0 ? scan_prop_count(scan->event) : 0;
	names = calloc(count + (size_t)1, sizeof(*names));
	if (!names)
		return rc < 0 ? rc : -ENOMEM;
	for (uint32_t i = 1; i < count; i++)
		names[selector.event_count++] = scan_prop_of(scan->event, i).text;
	selector.events = names;
	if (rc == 0)
		rc = keymap_init(&scan->tally.map, UINT64_MAX);
	if (rc == 0 && selector.event_count)
		rc = scan_run(&conf, &ops, scan);
	free(names);
	return rc;
}

void count_scan_close(struct count_scan *scan)
{
	scan_prop_close(scan->event);
	for (size_t i = 0; i < COUNT_BY_MAX; i++)
		scan_prop_close(scan->props[i]);
	keymap_reset(&scan->tally.map);
	free(scan->tally.sums);
}
