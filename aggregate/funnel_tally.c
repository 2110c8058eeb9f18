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
			durations_close(&tally->cells[i].previous[k]);
			durations_close(&tally->cells[i].start[k]);
		}
	free(tally->cells);
	free(tally->buckets);
	free(tally->people);
	*tally = (struct funnel_tally){ .steps = 0 };
}

int funnel_tally_path(struct funnel_tally *tally, size_t cell, int level, const int64_t *times)
{
	struct funnel_cell *into = &tally->cells[cell];
	int rc = 0;

	for (int k = 0; k < level && rc == 0; k++) {
		into->counts[k]++;
		if (k == 0)
			continue;
		rc = durations_add(&into->previous[k], tally->scan, times[k] - times[k - 1]);
		if (rc == 0)
			rc = durations_add(&into->start[k], tally->scan, times[k] - times[0]);
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

int funnel_tally_fold(struct funnel_tally *tally, const struct funnel_tally *other)
{
	int rc = 0;

	for (size_t i = 0; i < tally->cell_count && rc == 0; i++)
		for (int k = 0; k < tally->steps && rc == 0; k++) {
			struct funnel_cell *into = &tally->cells[i];
			const struct funnel_cell *from = &other->cells[i];

			into->counts[k] += from->counts[k];
			rc = durations_fold(&into->previous[k], tally->scan, &from->previous[k]);
			if (rc == 0)
				rc = durations_fold(&into->start[k], tally->scan, &from->start[k]);
		}
	for (size_t i = 0; i < tally->bucket_count; i++) {
		tally->buckets[i].entered += other->buckets[i].entered;
		tally->buckets[i].converted += other->buckets[i].converted;
	}
	for (size_t i = 0; i < other->person_count && rc == 0; i++)
		rc = funnel_tally_person(tally, other->people[i]);
	return rc;
}
