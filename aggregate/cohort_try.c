// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/cohort_own.h"

#define DAY_US (INT64_C(24) * 3600 * 1000000)

struct cohort_eye {
	const struct cohort *cohort;
	struct scan_look *looks[COHORT_NODES_MAX];
	struct funnel *funnels[COHORT_NODES_MAX];       /* of sequences */
	struct person_latest latest[COHORT_NODES_MAX];  /* of props that events have */
	struct buf scratch;             /* texts of profiles */
	struct buf events;              /* of a sequence, its bits from 0 on */
	struct buf numbers;             /* of distinct */
	int64_t next_us;
};

int cohort_bind(struct cohort *cohort, const struct snapshot *snapshot)
{
	int rc = 0;

	cohort->snapshot = snapshot;
	for (int i = 0; i < cohort->prop_count && rc == 0; i++) {
		struct scan_prop_conf conf = { .name = cohort->props[i].name };

		rc = scan_prop_open(&cohort->props[i].prop, snapshot, &conf);
	}
	return rc;
}

int cohort_eye_open(struct cohort_eye **eyep, const struct cohort *cohort)
{
	struct cohort_eye *eye = calloc(1, sizeof(*eye));
	int rc = eye ? 0 : -ENOMEM;

	*eyep = NULL;
	if (eye)
		eye->cohort = cohort;
	for (int i = 0; rc == 0 && i < cohort->prop_count; i++)
		rc = scan_look_open(&eye->looks[i], cohort->props[i].prop);
	for (int i = 0; rc == 0 && i < cohort->count; i++) {
		struct funnel_conf conf = { .steps = cohort->nodes[i].steps,
					    .window_us = cohort->nodes[i].window_us };

		if (cohort->nodes[i].kind == COHORT_SEQUENCE)
			rc = funnel_open(&eye->funnels[i], &conf);
		else if (cohort->nodes[i].kind == COHORT_PROP && cohort->nodes[i].name)
			rc = person_latest_open(&eye->latest[i], cohort->snapshot,
						slice_from(cohort->nodes[i].name));
	}
	if (rc < 0)
		cohort_eye_close(eye);
	else
		*eyep = eye;
	return rc;
}

void cohort_eye_close(struct cohort_eye *eye)
{
	if (!eye)
		return;
	for (int i = 0; i < COHORT_NODES_MAX; i++) {
		scan_look_close(eye->looks[i]);
		funnel_close(eye->funnels[i]);
		person_latest_close(&eye->latest[i]);
	}
	buf_close(&eye->scratch);
	buf_close(&eye->events);
	buf_close(&eye->numbers);
	free(eye);
}

/* The window that runs on leaves an event of this time behind then. */
static void leaves_at(struct cohort_eye *eye, const struct cohort_node *node, int64_t time_us)
{
	if (node->last_us && time_us + node->last_us + 1 < eye->next_us)
		eye->next_us = time_us + node->last_us + 1;
}

static bool compare(enum cohort_op op, double value, double n)
{
	switch (op) {
	case COHORT_EQUAL: return value == n;
	case COHORT_NOT_EQUAL: return value != n;
	case COHORT_MORE: return value > n;
	case COHORT_MORE_EQUAL: return value >= n;
	case COHORT_LESS: return value < n;
	default: return value <= n;
	}
}

/* At least so many: nothing changes before the n-th last one leaves. */
static int try_count(struct cohort_eye *eye, const struct cohort_node *node,
		     const struct scan_person *person)
{
	uint64_t bit = UINT64_C(1) << node->selector;
	uint32_t count = 0, from_end = 0;
	double least = node->op == COHORT_MORE ? node->n + 1 : node->n;
	bool is_least = node->op == COHORT_MORE || node->op == COHORT_MORE_EQUAL;

	for (uint32_t i = 0; i < person->count; i++)
		count += (person->events[i].match & bit) != 0;
	if (!node->last_us || count == 0 || (is_least && count < least))
		return count && compare(node->op, count, node->n);
	for (uint32_t i = person->count; i-- > 0;) {
		if (!(person->events[i].match & bit))
			continue;
		if (++from_end == (is_least ? (uint32_t)least : count))
			leaves_at(eye, node, person->events[i].time_us);
	}
	return compare(node->op, count, node->n);
}

static int64_t day_of(const struct zone *zone, int64_t time_us)
{
	if (zone)
		return zone_start(zone, ZONE_DAY, time_us);
	return time_us / DAY_US - (time_us % DAY_US < 0);
}

static int compare_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int count_distinct(struct cohort_eye *eye)
{
	uint32_t *numbers = (void *)eye->numbers.ptr;
	size_t count = eye->numbers.len / sizeof(*numbers), different = 0;

	if (count)
		qsort(numbers, count, sizeof(*numbers), compare_numbers);
	for (size_t i = 0; i < count; i++)
		different += i == 0 || numbers[i] != numbers[i - 1];
	return (int)different;
}

/* Of one property's values. */
struct sums {
	double sum, min, max;
	uint32_t count;
	int64_t days;
	int64_t day;
};

static void add_value(struct cohort_eye *eye, const struct cohort_node *node,
		      const struct scan_person *person, const struct scan_event *event,
		      struct sums *sums)
{
	const struct scan_prop *prop = eye->cohort->props[node->prop].prop;
	uint32_t number = scan_look(eye->looks[node->prop], person->leader, event);
	struct prop value;

	if (number == 0)
		return;
	if (node->measure == COHORT_DISTINCT) {
		size_t count;
		const uint32_t *elements = scan_prop_elements(prop, number, &count);

		buf_append(&eye->numbers, elements, count * sizeof(*elements));
		return;
	}
	value = scan_prop_of(prop, number);
	if (value.kind != PROP_NUMBER)
		return;
	sums->sum += value.number;
	if (!sums->count || value.number < sums->min)
		sums->min = value.number;
	if (!sums->count || value.number > sums->max)
		sums->max = value.number;
	sums->count++;
}

static int try_sums(struct cohort_eye *eye, const struct cohort_node *node,
		    const struct scan_person *person)
{
	uint64_t bit = UINT64_C(1) << node->selector;
	struct sums sums = { 0 };
	double value;
	bool any = false;

	buf_reset(&eye->numbers);
	for (uint32_t i = 0; i < person->count; i++) {
		const struct scan_event *event = &person->events[i];

		if (!(event->match & bit))
			continue;
		if (!any)
			leaves_at(eye, node, event->time_us);
		if (node->measure == COHORT_DAYS) {
			int64_t day = day_of(eye->cohort->world.zone, event->time_us);

			sums.days += !any || day != sums.day;
			sums.day = day;
		} else {
			add_value(eye, node, person, event, &sums);
		}
		any = true;
	}
	if (eye->numbers.failed)
		return -ENOMEM;
	if (!any || (node->measure >= COHORT_SUM && !sums.count))
		return 0;
	switch (node->measure) {
	case COHORT_DAYS: value = (double)sums.days; break;
	case COHORT_DISTINCT: value = count_distinct(eye); break;
	case COHORT_SUM: value = sums.sum; break;
	case COHORT_AVG: value = sums.sum / sums.count; break;
	case COHORT_MIN: value = sums.min; break;
	default: value = sums.max;
	}
	return (node->measure >= COHORT_SUM || value > 0) && compare(node->op, value, node->n);
}

static int take_nothing(void *ctx, const struct funnel_path *path)
{
	(void)ctx;
	(void)path;
	return 0;
}

static int try_sequence(struct cohort_eye *eye, int i, const struct scan_person *person)
{
	const struct cohort_node *node = &eye->cohort->nodes[i];
	uint64_t mask = (UINT64_C(1) << node->steps) - 1;
	uint32_t count = 0;
	int level;

	buf_reset(&eye->events);
	for (uint32_t e = 0; e < person->count; e++) {
		struct scan_event event = person->events[e];

		event.match = event.match >> node->selector & mask;
		if (!event.match)
			continue;
		if (count++ == 0)
			leaves_at(eye, node, event.time_us);
		buf_append(&eye->events, &event, sizeof(event));
	}
	if (eye->events.failed)
		return -ENOMEM;
	if (count == 0)
		return 0;
	level = funnel_run(eye->funnels[i], (const void *)eye->events.ptr, count, INT64_MIN,
			   INT64_MAX, take_nothing, NULL);
	return level < 0 ? level : level == node->steps;
}

static int try_first_time(struct cohort_eye *eye, const struct cohort_node *node,
			  const struct scan_person *person)
{
	uint64_t bit = UINT64_C(1) << node->selector;

	for (uint32_t i = 0; i < person->count; i++) {
		int64_t time_us = person->events[i].time_us;

		if (!(person->events[i].match & bit))
			continue;
		if (time_us < node->from_us || time_us >= node->to_us)
			return 0;
		leaves_at(eye, node, time_us);
		return 1;
	}
	return 0;
}

static bool try_prop(struct cohort_eye *eye, int i, uint32_t leader)
{
	const struct cohort_node *node = &eye->cohort->nodes[i];
	struct prop value;

	buf_reset(&eye->scratch);
	if (!node->name)
		return predicate_person(node->predicate, eye->cohort->snapshot->persons, leader,
					&eye->scratch);
	value = person_latest_value(&eye->latest[i], leader, &eye->scratch);
	return predicate_value(node->predicate, &value);
}

static int try_node(struct cohort_eye *eye, int i, const struct scan_person *person);

/* Until the answer is known: it can change only when one of those that made it does. */
static int try_group(struct cohort_eye *eye, int i, const struct scan_person *person)
{
	const struct cohort_node *node = &eye->cohort->nodes[i];
	int answer = node->kind == COHORT_AND;

	for (int child = i + 1; child < i + node->skip; child += eye->cohort->nodes[child].skip) {
		int rc = try_node(eye, child, person);

		if (rc < 0)
			return rc;
		if (rc != (node->kind == COHORT_AND)) {
			answer = rc;
			break;
		}
	}
	return answer;
}

static int try_node(struct cohort_eye *eye, int i, const struct scan_person *person)
{
	const struct cohort_node *node = &eye->cohort->nodes[i];
	const struct predicate_world *world = &eye->cohort->world;
	int rc;

	switch (node->kind) {
	case COHORT_AND:
	case COHORT_OR:
		return try_group(eye, i, person);
	case COHORT_NOT:
		rc = try_node(eye, i + 1, person);
		return rc < 0 ? rc : !rc;
	case COHORT_PROP:
		return try_prop(eye, i, person->leader);
	case COHORT_DID:
		return node->measure == COHORT_COUNT ? try_count(eye, node, person)
						     : try_sums(eye, node, person);
	case COHORT_SEQUENCE:
		return try_sequence(eye, i, person);
	case COHORT_FIRST_TIME:
		return try_first_time(eye, node, person);
	default:
		return world->in_cohort(world->ctx, slice_from(node->name), person->leader);
	}
}

int cohort_try(struct cohort_eye *eye, const struct scan_person *person, int64_t *next_us)
{
	int rc;

	eye->next_us = INT64_MAX;
	rc = try_node(eye, 0, person);
	if (next_us)
		*next_us = eye->next_us;
	return rc;
}
