// SPDX-License-Identifier: Apache-2.0
#include "aggregate/count.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/name_table.h"
#include "aggregate/user_set.h"

/* Ids are cut for the table: enrich bounds an event at 32 KB, and a longer id is no id. */
#define USER_BYTES_MAX 1024

struct cell {
	int64_t hour;
	int64_t total;
	int64_t emitted_total, emitted_unique;
	bool is_changed;                /* is in the list of changes */
	struct user_set users;
};

struct event {
	struct cell *cells;             /* owned; rising hours */
	size_t count, room;
};

struct change {
	int event;
	int64_t hour;
};

struct count {
	pthread_rwlock_t lock;
	struct name_table users, names;
	struct event *events;           /* by number of names; owned */
	size_t event_room;
	uint64_t added;
	struct change *changes;         /* a stack; owned */
	size_t change_count, change_room;
};

int count_open(struct count **countp, struct err *err)
{
	struct count *count = calloc(1, sizeof(*count));

	*countp = NULL;
	if (!count)
		return err_set(err, -ENOMEM, "no memory");
	pthread_rwlock_init(&count->lock, NULL);
	*countp = count;
	return 0;
}

void count_close(struct count *count)
{
	if (!count)
		return;
	for (size_t i = 0; i < count->event_room; i++) {
		for (size_t j = 0; j < count->events[i].count; j++)
			user_set_close(&count->events[i].cells[j].users);
		free(count->events[i].cells);
	}
	free(count->events);
	free(count->changes);
	name_table_close(&count->users);
	name_table_close(&count->names);
	pthread_rwlock_destroy(&count->lock);
	free(count);
}

void count_hold(struct count *count)
{
	pthread_rwlock_rdlock(&count->lock);
}

void count_release(struct count *count)
{
	pthread_rwlock_unlock(&count->lock);
}

/* Writing */

static int find_event(struct count *count, struct slice name, int *event)
{
	uint32_t number;
	int rc = name_table_add(&count->names, name, COUNT_EVENTS_MAX, &number);

	if (rc == -ENOSPC)
		rc = name_table_add(&count->names, SLICE(COUNT_REST), COUNT_EVENTS_MAX + 1,
				    &number);
	if (rc < 0)
		return rc;
	if (number >= count->event_room) {
		size_t room = count->event_room ? count->event_room * 2 : 64;
		struct event *events = reallocarray(count->events, room, sizeof(*events));

		/* The name has a number now, and no event: the caller ends the program. */
		if (!events)
			return -ENOMEM;
		memset(events + count->event_room, 0,
		       (room - count->event_room) * sizeof(*events));
		count->events = events;
		count->event_room = room;
	}
	*event = (int)number;
	return 0;
}

/* The first cell at or after hour. */
static size_t lower_bound(const struct event *event, int64_t hour)
{
	size_t low = 0, high = event->count;

	/* Events come in order: the newest hour is the usual one. */
	if (high && event->cells[high - 1].hour < hour)
		return high;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (event->cells[mid].hour < hour)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int find_cell(struct event *event, int64_t hour, struct cell **cell)
{
	size_t i = lower_bound(event, hour);

	if (i == event->count || event->cells[i].hour != hour) {
		if (event->count == event->room) {
			size_t room = event->room ? event->room * 2 : 8;
			struct cell *cells = reallocarray(event->cells, room, sizeof(*cells));

			if (!cells)
				return -ENOMEM;
			event->cells = cells;
			event->room = room;
		}
		memmove(event->cells + i + 1, event->cells + i,
			(event->count - i) * sizeof(*event->cells));
		event->cells[i] = (struct cell){ .hour = hour };
		event->count++;
	}
	*cell = &event->cells[i];
	return 0;
}

static int mark_changed(struct count *count, int event, struct cell *cell)
{
	if (cell->is_changed)
		return 0;
	if (count->change_count == count->change_room) {
		size_t room = count->change_room ? count->change_room * 2 : 256;
		struct change *changes = reallocarray(count->changes, room, sizeof(*changes));

		if (!changes)
			return -ENOMEM;
		count->changes = changes;
		count->change_room = room;
	}
	count->changes[count->change_count++] = (struct change){ event, cell->hour };
	cell->is_changed = true;
	return 0;
}

static int find_user(struct count *count, char kind, struct slice user, uint32_t *number)
{
	char key[USER_BYTES_MAX + 1];

	if (user.len > USER_BYTES_MAX)
		user.len = USER_BYTES_MAX;
	key[0] = kind;
	memcpy(key + 1, user.ptr, user.len);
	return name_table_add(&count->users, (struct slice){ key, user.len + 1 }, UINT32_MAX - 1,
			      number);
}

static int add(struct count *count, struct slice name, char kind, struct slice user, int64_t hour)
{
	uint32_t number = 0;
	struct cell *cell;
	int event, rc = find_event(count, name, &event);

	if (rc == 0)
		rc = find_cell(&count->events[event], hour, &cell);
	if (rc == 0)
		rc = mark_changed(count, event, cell);
	if (rc == 0 && user.len) {
		rc = find_user(count, kind, user, &number);
		if (rc == 0)
			rc = user_set_add(&cell->users, number);
	}
	if (rc < 0)
		return rc;
	cell->total++;
	count->added++;
	return 0;
}

static int64_t hour_of(int64_t us)
{
	return us / COUNT_HOUR_US - (us % COUNT_HOUR_US < 0);
}

int count_add(struct count *count, struct slice event, char kind, struct slice user,
	      int64_t time_us)
{
	int rc;

	pthread_rwlock_wrlock(&count->lock);
	rc = add(count, event, kind, user, hour_of(time_us));
	pthread_rwlock_unlock(&count->lock);
	return rc;
}

/* Reading */

uint64_t count_persons(const struct count *count)
{
	return count->users.count;
}

uint64_t count_events(const struct count *count)
{
	return count->added;
}

int count_names(const struct count *count)
{
	return (int)count->names.count;
}

struct slice count_name(const struct count *count, int event)
{
	return name_table_text(&count->names, (uint32_t)event);
}

int count_find(const struct count *count, struct slice event)
{
	uint32_t number;
	int rc = name_table_find(&count->names, event, &number);

	return rc < 0 ? rc : (int)number;
}

/* Users seen: in which bucket last (+ 1), and in any. */
struct union_marks {
	uint32_t *bucket;
	uint8_t *any;
};

static void take_users(const struct cell *cell, const struct union_marks *marks, size_t bucket,
		       int64_t *value, int64_t *overall)
{
	uint32_t at = 0, user;

	while (user_set_next(&cell->users, &at, &user)) {
		if (marks->bucket[user] == bucket + 1)
			continue;
		marks->bucket[user] = (uint32_t)bucket + 1;
		++*value;
		*overall += !(marks->any[user / 8] >> user % 8 & 1);
		marks->any[user / 8] |= (uint8_t)(1 << user % 8);
	}
}

int count_series(const struct count *count, const struct count_ask *ask, int64_t *values,
		 int64_t *overall, uint64_t *scanned)
{
	size_t users = count->users.count + 8;
	struct union_marks marks = { NULL, NULL };
	int rc = 0;

	*overall = 0;
	memset(values, 0, ask->bucket_count * sizeof(*values));
	if (ask->is_unique) {
		marks.bucket = calloc(users, sizeof(*marks.bucket));
		marks.any = calloc(users / 8 + 1, 1);
		rc = marks.bucket && marks.any ? 0 : -ENOMEM;
	}
	for (size_t b = 0; b < ask->bucket_count && rc == 0; b++) {
		for (size_t e = 0; e < ask->event_count; e++) {
			const struct event *event = &count->events[ask->events[e]];
			size_t i = lower_bound(event, ask->bounds[b]);

			for (; i < event->count && event->cells[i].hour < ask->bounds[b + 1]; i++) {
				const struct cell *cell = &event->cells[i];

				++*scanned;
				if (ask->is_unique)
					take_users(cell, &marks, b, &values[b], overall);
				else
					values[b] += cell->total;
			}
		}
		if (!ask->is_unique)
			*overall += values[b];
	}
	free(marks.bucket);
	free(marks.any);
	return rc;
}

static int compare_ranks(const void *a, const void *b, void *ctx)
{
	const struct count_rank *x = a, *y = b;
	struct slice p, q;
	int rc;

	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	p = count_name(ctx, x->event);
	q = count_name(ctx, y->event);
	rc = memcmp(p.ptr, q.ptr, p.len < q.len ? p.len : q.len);
	return rc ? rc : p.len < q.len ? -1 : p.len > q.len;
}

int count_ranks(const struct count *count, int64_t from, int64_t to, struct count_rank **ranks,
		size_t *rank_count)
{
	*rank_count = 0;
	*ranks = calloc(count->names.count + 1, sizeof(**ranks));
	if (!*ranks)
		return -ENOMEM;
	for (uint32_t e = 0; e < count->names.count; e++) {
		const struct event *event = &count->events[e];
		int64_t total = 0;

		for (size_t i = lower_bound(event, from);
		     i < event->count && event->cells[i].hour < to; i++)
			total += event->cells[i].total;
		if (total)
			(*ranks)[(*rank_count)++] = (struct count_rank){ (int)e, total };
	}
	qsort_r(*ranks, *rank_count, sizeof(**ranks), compare_ranks, (void *)(uintptr_t)count);
	return 0;
}

/* What was emitted */

int count_set_emitted(struct count *count, struct slice name, int64_t hour, int64_t total,
		      int64_t unique)
{
	struct cell *cell;
	int event, rc;

	pthread_rwlock_wrlock(&count->lock);
	rc = find_event(count, name, &event);
	if (rc == 0)
		rc = find_cell(&count->events[event], hour, &cell);
	if (rc == 0) {
		cell->emitted_total = total;
		cell->emitted_unique = unique;
		/* A cell that the input no longer has must be taken back. */
		rc = mark_changed(count, event, cell);
	}
	pthread_rwlock_unlock(&count->lock);
	return rc;
}

static struct cell *top_change(struct count *count, int *event)
{
	const struct change *change = &count->changes[count->change_count - 1];
	struct event *of = &count->events[change->event];

	*event = change->event;
	return &of->cells[lower_bound(of, change->hour)];
}

bool count_next_change(struct count *count, struct count_cell *out)
{
	while (count->change_count) {
		int event;
		struct cell *cell = top_change(count, &event);

		if (cell->total != cell->emitted_total ||
		    cell->users.count != cell->emitted_unique) {
			*out = (struct count_cell){
				count_name(count, event), cell->hour, cell->total,
				cell->users.count, cell->emitted_total, cell->emitted_unique,
			};
			return true;
		}
		cell->is_changed = false;
		count->change_count--;
	}
	return false;
}

void count_emitted(struct count *count, const struct count_cell *out)
{
	int event;
	struct cell *cell = top_change(count, &event);

	assert(cell->hour == out->hour && slice_eq(count_name(count, event), out->event));
	cell->emitted_total = out->total;
	cell->emitted_unique = out->unique;
	cell->is_changed = false;
	count->change_count--;
}
