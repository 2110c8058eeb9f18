// SPDX-License-Identifier: Apache-2.0
#include "aggregate/scan_own.h"

#include <errno.h>
#include <stdlib.h>

static int add_span(struct walker *walker, size_t i, uint32_t place)
{
	const struct column_file *file = walker->scan->plans[i].file;
	uint32_t row = column_first(file, place), end = file->start[place + 1];
	struct scan_spans *spans = &walker->spans;

	if (row == end)
		return 0;
	if (spans->count == walker->span_room) {
		uint32_t room = walker->span_room ? 2 * walker->span_room : 64;
		struct scan_span *more = realloc(spans->spans, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		spans->spans = more;
		walker->span_room = room;
	}
	spans->spans[spans->count++] = (struct scan_span){ (uint32_t)i, row, end };
	walker->scanned += end - row;
	return 0;
}

static int gather_ring(struct walker *walker, uint32_t leader)
{
	const struct scan *scan = walker->scan;
	int rc = 0;

	for (uint32_t actor = scan->ring[leader]; actor != leader; actor = scan->ring[actor]) {
		for (size_t i = 0; i < scan->conf->snapshot->file_count && rc == 0; i++) {
			const struct column_file *file = scan->plans[i].file;
			uint32_t place = scan->plans[i].bits ? scan_find_actor(file, actor)
							     : file->actors;

			if (place < file->actors && file->actor[place] == actor)
				rc = add_span(walker, i, place);
		}
	}
	return rc;
}

static int take_person(struct walker *walker, uint32_t leader)
{
	const struct scan *scan = walker->scan;
	size_t files = scan->conf->snapshot->file_count;
	int rc = 0;

	walker->spans.count = 0;
	walker->spans.leader = leader;
	for (size_t i = 0; i < files && rc == 0; i++) {
		const struct column_file *file = scan->plans[i].file;
		uint32_t at = walker->at[i];

		/* at is the end of the file where nothing in it can match */
		while (at < file->actors && file->actor[at] < leader)
			at++;
		walker->at[i] = at;
		if (at < file->actors && file->actor[at] == leader)
			rc = add_span(walker, i, at);
	}
	if (rc == 0 && scan->ring[leader] != leader)
		rc = gather_ring(walker, leader);
	if (rc == 0)
		rc = scan_pause(walker);
	if (rc == 0 && walker->spans.count)
		rc = scan->span_ops->take(walker->state, &walker->spans);
	return rc < 0 ? rc : 0;
}

int scan_walk_spans(struct walker *walker)
{
	struct scan *scan = walker->scan;
	int rc = 0;

	walker->spans.walker = walker;
	while (rc == 0) {
		uint32_t from = atomic_fetch_add(&scan->next, SCAN_CHUNK);
		uint32_t to = from > UINT32_MAX - SCAN_CHUNK ? UINT32_MAX : from + SCAN_CHUNK;

		if (from >= scan->actors || atomic_load(&scan->rc))
			break;
		rc = scan_must_stop(scan->conf);
		for (size_t i = 0; i < scan->conf->snapshot->file_count; i++)
			walker->at[i] = scan->plans[i].bits
					? scan_find_actor(scan->plans[i].file, from)
					: scan->plans[i].file->actors;
		for (uint32_t leader = from; leader < to && leader < scan->actors && rc == 0;
		     leader++)
			if (leader != PERSON_NOBODY && scan->leaders[leader] == leader)
				rc = take_person(walker, leader);
	}
	return rc;
}

struct scan_lens scan_span_lens(const struct scan_spans *spans, uint32_t file)
{
	const struct plan *plan = &spans->walker->scan->plans[file];
	struct scan_lens lens = { plan->file->event->codes, plan->file->event->width,
				  plan->file->time, plan->bits, plan->checked, 0, plan->from_us,
				  plan->to_us };

	for (size_t i = 0; i < spans->walker->scan->conf->selector_count; i++)
		if (plan->checks[i].where || plan->checks[i].also)
			lens.conditional |= UINT64_C(1) << i;
	return lens;
}

uint64_t scan_span_check(const struct scan_spans *spans, uint32_t file, uint32_t row,
			 uint64_t match)
{
	return scan_check_row(spans->walker, file, row,
			      spans->walker->scan->plans[file].file->time[row], match,
			      spans->leader);
}
