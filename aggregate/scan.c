// SPDX-License-Identifier: Apache-2.0
#include "aggregate/scan_own.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/thread.h"
#include "lib/when.h"

#define THREADS_MAX  64
#define PIECE_EVENTS 8192               /* of a person, with in_pieces */

/* Selectors become tables */

static bool is_behavioural(struct slice name)
{
	return name.len > 0 && name.ptr[0] != '$' && !slice_is(name, "Identify") &&
	       !slice_is(name, "Group") && !slice_is(name, "Alias");
}

bool scan_is_behavioural(struct slice name)
{
	return is_behavioural(name);
}

static bool set_bits(struct plan *plan, const struct scan_selector *selector, uint64_t bit)
{
	const struct column *event = plan->file->event;
	bool any = false, all = true;

	for (uint32_t code = 1; selector->event_count == 0 && code <= event->values; code++) {
		struct prop name = column_value(event, code);

		if (name.kind != PROP_TEXT || !is_behavioural(name.text)) {
			all = false;
			continue;
		}
		plan->bits[code] |= bit;
		any = true;
	}
	if (any && all && event->set == plan->file->rows)
		plan->of_all |= bit;
	for (size_t i = 0; i < selector->event_count; i++) {
		struct prop name = { .kind = PROP_TEXT, .text = selector->events[i] };
		uint32_t code = column_code_of(event, &name);

		if (!code)
			continue;
		plan->bits[code] |= bit;
		any = true;
	}
	return any;
}

static int plan_selector(struct plan *plan, const struct scan_conf *conf, size_t i, bool *any)
{
	const struct scan_selector *selector = &conf->selectors[i];
	const struct column_file *file = plan->file;
	const struct persons *persons = conf->snapshot->persons;
	struct checks *checks = &plan->checks[i];
	uint64_t bit = UINT64_C(1) << i;
	int rc = 0;

	if (file->rows == 0 || file->time_max < selector->from_us ||
	    file->time_min >= selector->to_us || !set_bits(plan, selector, bit))
		return 0;
	*any = true;
	if (selector->from_us < plan->from_us)
		plan->from_us = selector->from_us;
	if (selector->to_us > plan->to_us)
		plan->to_us = selector->to_us;
	if (selector->where)
		rc = predicate_bind(&checks->where, selector->where, file, persons);
	if (rc == 0 && selector->also)
		rc = predicate_bind(&checks->also, selector->also, file, persons);
	return rc;
}

static int plan_file(struct plan *plan, const struct scan_conf *conf)
{
	bool any = false;
	int rc = 0;

	plan->from_us = INT64_MAX;
	plan->to_us = INT64_MIN;
	plan->bits = calloc((plan->file->event ? plan->file->event->values : 0) + (size_t)1,
			    sizeof(*plan->bits));
	plan->checks = calloc(conf->selector_count + 1, sizeof(*plan->checks));
	if (!plan->bits || !plan->checks)
		return -ENOMEM;
	for (size_t i = 0; i < conf->selector_count && rc == 0; i++)
		rc = plan_selector(plan, conf, i, &any);
	if (!any) {
		free(plan->bits);
		plan->bits = NULL;
	}
	/* Where all selectors want the same range, the walk itself looks at the time. */
	for (size_t i = 0; i < conf->selector_count; i++) {
		const struct scan_selector *selector = &conf->selectors[i];
		struct checks *checks = &plan->checks[i];

		checks->has_time = (selector->from_us > plan->from_us &&
				    selector->from_us > plan->file->time_min) ||
				   (selector->to_us < plan->to_us &&
				    selector->to_us <= plan->file->time_max);
		if (checks->has_time || checks->where || checks->also)
			plan->checked |= UINT64_C(1) << i;
	}
	plan->covers_time = plan->from_us <= plan->file->time_min &&
			    plan->to_us > plan->file->time_max;
	return rc;
}

void scan_close(struct scan *scan);
static void walker_close(struct walker *walker);
static int walker_open(struct walker **walkerp, struct scan *scan, int thread);

int scan_open(struct scan **scanp, struct scan_conf *conf)
{
	const struct snapshot *snapshot = conf->snapshot;
	struct scan *scan = calloc(1, sizeof(*scan));
	int rc = 0;

	*scanp = NULL;
	if (!scan)
		return -ENOMEM;
	pthread_mutex_init(&scan->fold, NULL);
	scan->conf = conf;
	scan->leaders = persons_leaders(snapshot->persons);
	scan->ring = persons_ring(snapshot->persons);
	scan->actors = persons_actor_count(snapshot->persons);
	scan->plans = calloc(snapshot->file_count + 1, sizeof(*scan->plans));
	rc = scan->plans && conf->selector_count <= SCAN_SELECTORS_MAX ? 0 : -ENOMEM;
	for (size_t i = 0; i < snapshot->file_count && rc == 0; i++) {
		scan->plans[i].file = snapshot->files[i];
		rc = plan_file(&scan->plans[i], conf);
	}
	if (rc < 0) {
		scan_close(scan);
		return rc;
	}
	*scanp = scan;
	return 0;
}

void scan_close(struct scan *scan)
{
	if (!scan)
		return;
	walker_close(scan->one);
	for (size_t i = 0; scan->plans && i < scan->conf->snapshot->file_count; i++) {
		struct plan *plan = &scan->plans[i];

		for (size_t j = 0; plan->checks && j < scan->conf->selector_count; j++) {
			predicate_unbind(plan->checks[j].where);
			predicate_unbind(plan->checks[j].also);
		}
		free(plan->checks);
		free(plan->bits);
	}
	free(scan->plans);
	pthread_mutex_destroy(&scan->fold);
	free(scan);
}

int scan_charge(struct scan_conf *conf, size_t bytes)
{
	size_t charged = atomic_fetch_add_explicit(&conf->charged, bytes, memory_order_relaxed);

	return conf->memory_max && charged + bytes > conf->memory_max ? -ENOSPC : 0;
}

/* A walker */

static int open_cursors(struct walker *walker)
{
	const struct scan *scan = walker->scan;
	size_t selectors = scan->conf->selector_count;

	for (size_t i = 0; i < scan->conf->snapshot->file_count; i++) {
		for (size_t j = 0; j < selectors; j++) {
			struct checks *checks = &scan->plans[i].checks[j];
			struct cursor_pair *pair = &walker->cursors[i * selectors + j];

			if (checks->where && predicate_cursor_open(&pair->where, checks->where) < 0)
				return -ENOMEM;
			if (checks->also && predicate_cursor_open(&pair->also, checks->also) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int walker_open(struct walker **walkerp, struct scan *scan, int thread)
{
	size_t files = scan->conf->snapshot->file_count;
	struct walker *walker = calloc(1, sizeof(*walker));

	*walkerp = NULL;
	if (!walker)
		return -ENOMEM;
	walker->scan = scan;
	walker->thread = thread;
	walker->at = calloc(files + 1, sizeof(*walker->at));
	walker->cursors = calloc(files * scan->conf->selector_count + 1, sizeof(*walker->cursors));
	if (!walker->at || !walker->cursors || open_cursors(walker) < 0) {
		walker_close(walker);
		return -ENOMEM;
	}
	*walkerp = walker;
	return 0;
}

static void walker_close(struct walker *walker)
{
	if (!walker)
		return;
	for (size_t i = 0; walker->cursors && i < walker->scan->conf->snapshot->file_count *
						      walker->scan->conf->selector_count; i++) {
		predicate_cursor_close(walker->cursors[i].where);
		predicate_cursor_close(walker->cursors[i].also);
	}
	free(walker->cursors);
	free(walker->at);
	free(walker->events);
	free(walker->spare);
	free(walker->runs);
	free(walker->block);
	free(walker->ties);
	free(walker->spans.spans);
	buf_close(&walker->scratch);
	free(walker);
}

static int more_room(struct walker *walker, size_t room)
{
	struct scan_event *events;

	if (room <= walker->room)
		return 0;
	room = room < 2 * walker->room ? 2 * walker->room : room < 256 ? 256 : room;
	if (scan_charge(walker->scan->conf, (room - walker->room) * 2 * sizeof(*events)) < 0)
		return -ENOSPC;
	events = realloc(walker->events, room * sizeof(*events));
	if (!events)
		return -ENOMEM;
	walker->events = events;
	events = realloc(walker->spare, room * sizeof(*events));
	if (!events)
		return -ENOMEM;
	walker->spare = events;
	walker->room = room;
	return 0;
}

uint64_t scan_check_row(const struct walker *walker, size_t file, uint32_t row, int64_t time_us,
			uint64_t match, uint32_t leader)
{
	const struct scan_conf *conf = walker->scan->conf;
	const struct plan *plan = &walker->scan->plans[file];
	const struct cursor_pair *pairs = walker->cursors + file * conf->selector_count;

	for (uint64_t left = match & plan->checked; left; left &= left - 1) {
		int i = __builtin_ctzll(left);
		const struct scan_selector *selector = &conf->selectors[i];

		if ((plan->checks[i].has_time &&
		     (time_us < selector->from_us || time_us >= selector->to_us)) ||
		    (pairs[i].where && !predicate_row(pairs[i].where, row, leader)) ||
		    (pairs[i].also && !predicate_row(pairs[i].also, row, leader)))
			match &= ~(UINT64_C(1) << i);
	}
	return match;
}

/* The rows of a run that match, appended to the events. Room was made. The width of the event codes
 * is a constant in each copy of this. */
static inline __attribute__((always_inline)) size_t
take_rows_of(const struct walker *walker, size_t file, uint32_t row, uint32_t end,
	     uint32_t leader, uint8_t width, struct scan_event *out)
{
	const struct plan *plan = &walker->scan->plans[file];
	const void *codes = plan->file->event->codes;
	const int64_t *times = plan->file->time;
	const uint64_t *bits = plan->bits, checked = plan->checked;
	int64_t from_us = plan->from_us, to_us = plan->to_us;
	size_t count = 0;

	for (; row < end; row++) {
		uint64_t match = bits[column_load(codes, width, row)];
		int64_t time_us;

		if (!match)
			continue;
		time_us = times[row];
		if (time_us < from_us || time_us >= to_us)
			continue;
		if (match & checked) {
			match = scan_check_row(walker, file, row, time_us, match, leader);
			if (!match)
				continue;
		}
		out[count++] = (struct scan_event){ time_us, match, (uint32_t)file, row };
	}
	return count;
}

static size_t take_rows(const struct walker *walker, size_t file, uint32_t row, uint32_t end,
			uint32_t leader, struct scan_event *out)
{
	switch (walker->scan->plans[file].file->event->width) {
	case 1:
		return take_rows_of(walker, file, row, end, leader, 1, out);
	case 2:
		return take_rows_of(walker, file, row, end, leader, 2, out);
	default:
		return take_rows_of(walker, file, row, end, leader, 4, out);
	}
}

static int hand_over(struct walker *walker, uint32_t leader);

/* One actor's rows in one file. */
static int take_run(struct walker *walker, size_t file, uint32_t place, uint32_t leader)
{
	const struct column_file *columns = walker->scan->plans[file].file;
	uint32_t row = column_first(columns, place), end = columns->start[place + 1];
	bool in_pieces = walker->scan->conf->in_pieces;

	walker->scanned += end - row;
	while (row < end) {
		uint32_t stop = in_pieces && end - row > PIECE_EVENTS ? row + PIECE_EVENTS : end;
		size_t before = walker->count;
		int rc = more_room(walker, walker->count + (stop - row));

		if (rc < 0)
			return rc;
		walker->count += take_rows(walker, file, row, stop, leader,
					   walker->events + walker->count);
		row = stop;
		if (in_pieces && walker->count >= PIECE_EVENTS && (rc = hand_over(walker, leader)))
			return rc;
		if (in_pieces || walker->count == before)
			continue;
		if (walker->run_count == walker->run_room) {
			size_t room = walker->run_room ? 2 * walker->run_room : 64;
			size_t *runs = realloc(walker->runs, room * sizeof(*runs));

			if (!runs)
				return -ENOMEM;
			walker->runs = runs;
			walker->run_room = room;
		}
		walker->runs[walker->run_count++] = walker->count;
	}
	return 0;
}

/* The first place in file->actor that is not below actor: first guessed, then galloped to. */
uint32_t scan_find_actor(const struct column_file *file, uint32_t actor)
{
	uint32_t low = 0, high = file->actors, step = 16, guess;

	if (high == 0 || actor > file->actor[high - 1])
		return high;
	if (actor <= file->actor[0])
		return 0;
	guess = (uint32_t)((uint64_t)(actor - file->actor[0]) * (high - 1) /
			   (file->actor[high - 1] - file->actor[0]));
	if (file->actor[guess] < actor) {
		low = guess;
		while (low + step < high && file->actor[low + step] < actor) {
			low += step;
			step *= 4;
		}
		if (low + step < high)
			high = low + step;
		low++;
	} else {
		high = guess;
		while (high > step && file->actor[high - step] >= actor) {
			high -= step;
			step *= 4;
		}
		if (high > step)
			low = high - step + 1;
	}
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (file->actor[mid] < actor)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Canonical order: time, then message id. */
static bool is_before(const struct walker *walker, const struct scan_event *a,
		      const struct scan_event *b)
{
	struct column_file *const *files = walker->scan->conf->snapshot->files;

	if (a->time_us != b->time_us)
		return a->time_us < b->time_us;
	return memcmp(&files[a->file]->message[a->row], &files[b->file]->message[b->row],
		      sizeof(struct message_key)) < 0;
}

/* Merges two neighbouring runs [from, mid) and [mid, to). Runs of files of different times do not
 * overlap, and cost one comparison. */
static void merge_two(struct walker *walker, size_t from, size_t mid, size_t to)
{
	struct scan_event *events = walker->events, *spare = walker->spare;
	size_t i = from, j = mid, n = 0;

	if (!is_before(walker, &events[mid], &events[mid - 1]))
		return;
	while (i < mid && j < to)
		spare[n++] = is_before(walker, &events[j], &events[i]) ? events[j++] : events[i++];
	memcpy(spare + n, events + i, (mid - i) * sizeof(*events));
	n += mid - i;
	/* What is left of the second run is in its place. */
	memcpy(events + from, spare, n * sizeof(*events));
}

static void sort_runs(struct walker *walker)
{
	size_t *runs = walker->runs;

	while (walker->run_count > 1) {
		size_t from = 0, n = 0;

		for (size_t i = 0; i < walker->run_count; i += 2) {
			if (i + 1 < walker->run_count)
				merge_two(walker, from, runs[i], runs[i + 1]);
			from = runs[n++] = i + 1 < walker->run_count ? runs[i + 1] : runs[i];
		}
		walker->run_count = n;
	}
	walker->run_count = 0;
}

/* Is the person in hand one that `who` wants? Asked once it has a match. */
static bool is_wanted(struct walker *walker, uint32_t leader)
{
	const struct scan_conf *conf = walker->scan->conf;

	if (!walker->is_decided) {
		walker->is_in = !conf->who || predicate_person(conf->who, conf->snapshot->persons,
							       leader, &walker->scratch);
		walker->is_decided = true;
	}
	return walker->is_in;
}

static int take_nobody(struct walker *walker)
{
	int rc = 0;

	for (size_t i = 0; i < walker->count && rc >= 0; i++) {
		struct scan_person person = { PERSON_NOBODY, 1, walker->events + i };

		rc = walker->scan->ops->take(walker->state, &person);
	}
	return rc < 0 ? rc : 0;
}

static int hand_over(struct walker *walker, uint32_t leader)
{
	struct scan_person person = { leader, (uint32_t)walker->count, walker->events };
	int rc = 0;

	if (!walker->scan->ops)         /* scan_one's caller takes it */
		return 0;
	if (is_wanted(walker, leader))
		rc = leader == PERSON_NOBODY ? take_nobody(walker)
					     : walker->scan->ops->take(walker->state, &person);
	walker->count = 0;
	return rc < 0 ? rc : 0;
}

static int gather_ring(struct walker *walker, uint32_t leader)
{
	const struct scan *scan = walker->scan;
	size_t files = scan->conf->snapshot->file_count;
	int rc = 0;

	for (uint32_t actor = scan->ring[leader]; actor != leader && rc == 0;
	     actor = scan->ring[actor]) {
		for (size_t i = 0; i < files && rc == 0; i++) {
			const struct column_file *file = scan->plans[i].file;
			uint32_t place;

			if (!scan->plans[i].bits)
				continue;
			place = scan_find_actor(file, actor);
			if (place < file->actors && file->actor[place] == actor)
				rc = take_run(walker, i, place, leader);
		}
	}
	return rc;
}

/* All of a person's matches, in order. has_place: walker->at is at or before the leader's. */
static int take_person(struct walker *walker, uint32_t leader)
{
	const struct scan *scan = walker->scan;
	size_t files = scan->conf->snapshot->file_count;
	int rc = 0;

	walker->count = 0;
	walker->run_count = 0;
	walker->is_decided = false;
	for (size_t i = 0; i < files && rc == 0; i++) {
		const struct column_file *file = scan->plans[i].file;
		uint32_t at = walker->at[i];

		if (!scan->plans[i].bits)
			continue;
		while (at < file->actors && file->actor[at] < leader)
			at++;
		walker->at[i] = at;
		if (at < file->actors && file->actor[at] == leader)
			rc = take_run(walker, i, at, leader);
	}
	if (rc == 0 && leader != PERSON_NOBODY && scan->ring[leader] != leader)
		rc = gather_ring(walker, leader);
	if (rc == 0 && !scan->conf->in_pieces)
		sort_runs(walker);
	return rc;
}

static bool is_known(const struct scan *scan, uint32_t leader)
{
	return persons_is_known(scan->conf->snapshot->persons, leader);
}

static int walk_chunk(struct walker *walker, uint32_t from, uint32_t to)
{
	const struct scan *scan = walker->scan;
	const struct scan_conf *conf = scan->conf;
	int rc = 0;

	for (size_t i = 0; i < conf->snapshot->file_count; i++)
		walker->at[i] = scan->plans[i].bits ? scan_find_actor(scan->plans[i].file, from)
						    : 0;
	for (uint32_t leader = from; leader < to && rc == 0; leader++) {
		if (leader != PERSON_NOBODY && scan->leaders[leader] != leader)
			continue;
		rc = scan_pause(walker);
		if (rc == 0)
			rc = take_person(walker, leader);
		if (rc == 0 && (walker->count || (conf->with_everyone && leader != PERSON_NOBODY &&
						  is_known(scan, leader))))
			rc = hand_over(walker, leader);
	}
	return rc;
}

int scan_must_stop(const struct scan_conf *conf)
{
	if (conf->cancel && atomic_load_explicit(conf->cancel, memory_order_relaxed))
		return -ECANCELED;
	if (conf->deadline_ms && when_monotonic_ms() > conf->deadline_ms)
		return -ETIME;
	return 0;
}

static int walk(struct walker *walker)
{
	struct scan *scan = walker->scan;
	int rc = 0;

	while (rc == 0) {
		uint32_t from = atomic_fetch_add(&scan->next, SCAN_CHUNK);

		if (from >= scan->actors || atomic_load(&scan->rc))
			break;
		rc = scan_must_stop(scan->conf);
		if (rc == 0)
			rc = walk_chunk(walker, from, scan->actors - from > SCAN_CHUNK
						      ? from + SCAN_CHUNK : scan->actors);
	}
	return rc;
}

/* Whichever way the scan goes. */
static int begin_state(struct walker *walker)
{
	const struct scan *scan = walker->scan;

	return scan->ops ? scan->ops->begin(scan->ctx, walker->thread, &walker->state)
	       : scan->block_ops
	       ? scan->block_ops->begin(scan->ctx, walker->thread, &walker->state)
	       : scan->span_ops->begin(scan->ctx, walker->thread, &walker->state);
}

static int walk_state(struct walker *walker)
{
	const struct scan *scan = walker->scan;

	return scan->ops ? walk(walker)
	       : scan->block_ops ? scan_walk_blocks(walker) : scan_walk_spans(walker);
}

static int fold_state(struct walker *walker)
{
	const struct scan *scan = walker->scan;

	return scan->ops ? scan->ops->fold(scan->ctx, walker->state)
	       : scan->block_ops ? scan->block_ops->fold(scan->ctx, walker->state)
				 : scan->span_ops->fold(scan->ctx, walker->state);
}

static void *run_walker(void *ctx)
{
	struct walker *walker = ctx;
	struct scan *scan = walker->scan;
	int rc, zero = 0, fold;

	/* begin looks at ctx, which an early thread's fold may change at the same time. */
	pthread_mutex_lock(&scan->fold);
	rc = begin_state(walker);
	pthread_mutex_unlock(&scan->fold);
	if (rc == 0) {
		rc = walk_state(walker);
		pthread_mutex_lock(&scan->fold);
		fold = fold_state(walker);
		pthread_mutex_unlock(&scan->fold);
		rc = rc ? rc : fold;
	}
	atomic_fetch_add(&scan->conf->scanned, walker->scanned);
	if (rc < 0)
		atomic_compare_exchange_strong(&scan->rc, &zero, rc);
	return NULL;
}

static int threads_of(const struct scan *scan)
{
	long cores = scan->conf->threads ? scan->conf->threads : sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t chunks = (scan->actors + scan->chunk - 1) / scan->chunk;

	if (cores < 1 || scan->conf->snapshot->rows < 20000)
		cores = 1;
	if (cores > THREADS_MAX)
		cores = THREADS_MAX;
	return chunks && (long)chunks < cores ? (int)chunks : (int)cores;
}

/* With the ops and ctx that how has. */
static int run(struct scan_conf *conf, const struct scan *how)
{
	struct walker *walkers[THREADS_MAX] = { NULL };
	pthread_t threads[THREADS_MAX];
	bool is_started[THREADS_MAX] = { false };
	struct scan *scan;
	int count, rc = scan_open(&scan, conf);

	if (rc < 0)
		return rc;
	scan->ops = how->ops;
	scan->block_ops = how->block_ops;
	scan->span_ops = how->span_ops;
	scan->ctx = how->ctx;
	scan->chunk = conf->chunk && conf->chunk < SCAN_CHUNK ? conf->chunk : SCAN_CHUNK;
	count = threads_of(scan);
	for (int i = 0; i < count && rc == 0; i++)
		rc = walker_open(&walkers[i], scan, i);
	/* A thread that cannot be started leaves its share to the others. */
	for (int i = 1; i < count && rc == 0; i++)
		is_started[i] = thread_start(&threads[i], run_walker, walkers[i]) == 0;
	if (rc == 0)
		run_walker(walkers[0]);
	for (int i = 0; i < count; i++) {
		if (is_started[i])
			pthread_join(threads[i], NULL);
		walker_close(walkers[i]);
	}
	if (rc == 0)
		rc = atomic_load(&scan->rc);
	scan_close(scan);
	return rc;
}

int scan_run(struct scan_conf *conf, const struct scan_ops *ops, void *ctx)
{
	return run(conf, &(struct scan){ .ops = ops, .ctx = ctx });
}

int scan_run_blocks(struct scan_conf *conf, const struct scan_block_ops *ops, void *ctx)
{
	return run(conf, &(struct scan){ .block_ops = ops, .ctx = ctx });
}

int scan_run_spans(struct scan_conf *conf, const struct scan_span_ops *ops, void *ctx)
{
	return run(conf, &(struct scan){ .span_ops = ops, .ctx = ctx });
}

int scan_one(struct scan *scan, uint32_t leader, struct scan_person *person)
{
	int rc = scan->one ? 0 : walker_open(&scan->one, scan, 0);

	*person = (struct scan_person){ .leader = leader };
	for (size_t i = 0; i < scan->conf->snapshot->file_count && rc == 0; i++)
		if (scan->plans[i].bits)
			scan->one->at[i] = scan_find_actor(scan->plans[i].file, leader);
	if (rc == 0)
		rc = take_person(scan->one, leader);
	if (rc == 0 && is_wanted(scan->one, leader)) {
		person->count = (uint32_t)scan->one->count;
		person->events = scan->one->events;
	}
	return rc;
}
