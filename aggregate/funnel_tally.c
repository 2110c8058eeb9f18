// SPDX-License-Identifier: Apache-2.0
#include "aggregate/funnel_tally.h"

#include <errno.h>
#include <stdlib.h>

int funnel_tally_init(struct funnel_tally *tally, int steps, size_t cells, size_t buckets,
		      struct scan_conf *scan)
{
	*tally = (struct funnel_tally){ .steps = steps, .scan = scan, .cell_count = cells,
					.bucket_count = buckets };
	if (scan_charge(scan, cells * sizeof(*tally->cells)) < 0)
		return -ENOSPC;
	tally->cells = calloc(cells, sizeof(*tally->cells));
	tally->buckets = calloc(buckets + 1, sizeof(*tally->buckets));
	return tally->cells && tally->buckets ? 0 : -ENOMEM;
}

void funnel_tally_close(struct funnel_tally *tally)
{
	for (size_t i = 0; tally->cells && i < tally->cell_count; i++)
		for (int k = 0; k < FUNNEL_STEPS_MAX; k++) {
			free(tally->cells[i].previous[k].us);
			free(tally->cells[i].start[k].us);
		}
	free(tally->cells);
	free(tally->buckets);
	free(tally->people);
	*tally = (struct funnel_tally){ .steps = 0 };
}

static int make_room(struct scan_conf *scan, struct funnel_times *times, size_t more)
{
	size_t room = times->room ? times->room : 64;
	int64_t *us;

	if (times->count + more <= times->room)
		return 0;
	while (room < times->count + more)
		room *= 2;
	if (scan_charge(scan, (room - times->room) * sizeof(*us)) < 0)
		return -ENOSPC;
	us = realloc(times->us, room * sizeof(*us));
	if (!us)
		return -ENOMEM;
	times->us = us;
	times->room = room;
	return 0;
}

static int add_time(struct scan_conf *scan, struct funnel_times *times, int64_t us)
{
	int rc = make_room(scan, times, 1);

	if (rc == 0)
		times->us[times->count++] = us;
	return rc;
}

int funnel_tally_path(struct funnel_tally *tally, size_t cell, int level, const int64_t *times)
{
	struct funnel_cell *into = &tally->cells[cell];
	int rc = 0;

	for (int k = 0; k < level && rc == 0; k++) {
		into->counts[k]++;
		if (k == 0)
			continue;
		rc = add_time(tally->scan, &into->previous[k], times[k] - times[k - 1]);
		if (rc == 0)
			rc = add_time(tally->scan, &into->start[k], times[k] - times[0]);
	}
	return rc;
}

int funnel_tally_person(struct funnel_tally *tally, uint32_t leader)
{
	if (tally->person_count == tally->person_room) {
		size_t room = tally->person_room ? 2 * tally->person_room : 1024;
		uint32_t *people;

		if (scan_charge(tally->scan, (room - tally->person_room) * sizeof(*people)) < 0)
			return -ENOSPC;
		people = realloc(tally->people, room * sizeof(*people));
		if (!people)
			return -ENOMEM;
		tally->people = people;
		tally->person_room = room;
	}
	tally->people[tally->person_count++] = leader;
	return 0;
}

static int fold_times(struct scan_conf *scan, struct funnel_times *into,
		      const struct funnel_times *from)
{
	int rc;

	if (from->count == 0)
		return 0;
	rc = make_room(scan, into, from->count);
	if (rc < 0)
		return rc;
	memcpy(into->us + into->count, from->us, from->count * sizeof(*from->us));
	into->count += from->count;
	return 0;
}

int funnel_tally_fold(struct funnel_tally *tally, const struct funnel_tally *other)
{
	int rc = 0;

	for (size_t i = 0; i < tally->cell_count && rc == 0; i++)
		for (int k = 0; k < tally->steps && rc == 0; k++) {
			struct funnel_cell *into = &tally->cells[i];
			const struct funnel_cell *from = &other->cells[i];

			into->counts[k] += from->counts[k];
			rc = fold_times(tally->scan, &into->previous[k], &from->previous[k]);
			if (rc == 0)
				rc = fold_times(tally->scan, &into->start[k], &from->start[k]);
		}
	for (size_t i = 0; i < tally->bucket_count; i++) {
		tally->buckets[i].entered += other->buckets[i].entered;
		tally->buckets[i].converted += other->buckets[i].converted;
	}
	for (size_t i = 0; i < other->person_count && rc == 0; i++)
		rc = funnel_tally_person(tally, other->people[i]);
	return rc;
}
