// SPDX-License-Identifier: Apache-2.0
#include "aggregate/funnel_plain.h"

#include <errno.h>
#include <stdlib.h>

#define NO_START INT64_MIN
#define NO_NODE  UINT32_MAX

/* An event that is of at least one step. */
struct point {
	int64_t time_us;
	uint32_t match;
};

/* Chains share their beginnings. */
struct node {
	int64_t time_us;
	uint32_t before;
};

struct job {
	const struct funnel_ask *ask;
	struct funnel_result *result;
};

/* One person's chains. starts[k + 1]: the latest start of a chain that has reached step k; [1]: the
 * time in hand, if a chain may begin then; [0]: none, for events that are of no step. */
struct chains {
	int64_t starts[FUNNEL_STEPS_MAX + 2];
	uint32_t lasts[FUNNEL_STEPS_MAX + 2];   /* nodes */
	uint32_t node_count, best;
	int level;
	int64_t time_us;                /* of the event that came last */
};

/* One file's event codes. */
#define CAREFUL UINT8_MAX
struct view {
	struct scan_lens lens;
	uint8_t *steps;                 /* [code]: its one step, 0: none; CAREFUL: several, or
	                                   more to look at. Owned. */
};

struct worker {
	struct job *job;
	struct funnel *funnel;          /* for events of one instant */
	struct funnel_tally tally;
	struct view *views;             /* owned; [file_count], made when first looked at */
	struct chains chains;
	struct node *nodes;             /* owned; [node_room] */
	size_t node_room;
	struct point *points;           /* owned; [point_room] */
	size_t point_count, point_room;
	struct scan_event *events;      /* owned; [event_room] */
	size_t event_room;
	int64_t times[FUNNEL_STEPS_MAX];
};

bool funnel_plain_may(const struct funnel_ask *ask)
{
	return ask->conf.order == FUNNEL_ORDERED && ask->conf.count == FUNNEL_BEST &&
	       ask->conf.exclusion_count == 0 && ask->hold_count == 0 && !ask->by_session &&
	       !ask->breakdown.ptr && !ask->has_trend && ask->is_direct;
}

static int make_view(struct worker *worker, const struct scan_spans *spans, uint32_t file)
{
	struct view *view = &worker->views[file];
	const struct column_file *columns = worker->tally.scan->snapshot->files[file];
	size_t codes = columns->event->values + (size_t)1;

	view->steps = calloc(codes, 1);
	if (!view->steps)
		return -ENOMEM;
	view->lens = scan_span_lens(spans, file);
	for (size_t code = 0; code < codes; code++) {
		uint64_t match = view->lens.bits[code];
		/* A selector's time matters to chains as it does to it. */
		bool is_plain = (match & (match - 1)) == 0 && !(match & view->lens.conditional);

		if (match)
			view->steps[code] = is_plain ? (uint8_t)(__builtin_ctzll(match) + 1)
						     : CAREFUL;
	}
	return 0;
}

/* One person */

static int make_nodes(struct worker *worker)
{
	size_t room = worker->node_room ? 2 * worker->node_room : 1024;
	struct node *nodes;

	if (scan_charge(worker->tally.scan, (room - worker->node_room) * sizeof(*nodes)) < 0)
		return -ENOSPC;
	nodes = realloc(worker->nodes, room * sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	worker->nodes = nodes;
	worker->node_room = room;
	return 0;
}

/* An event of step k that has its instant t for itself, by funnel.h's rules. Room for its node was
 * made. Few branches: which events matter is nothing that a processor can guess. */
static inline __attribute__((always_inline)) void
add_step(struct worker *worker, const struct funnel_ask *ask, int64_t t, int k)
{
	struct chains *chains = &worker->chains;
	int64_t start;

	chains->starts[1] = ((t >= ask->range.from_us) & (t < ask->range.to_us)) ? t : NO_START;
	start = chains->starts[k];
	/* NO_START is farther away than any window. */
	if (!((start > chains->starts[k + 1]) &
	      ((uint64_t)t - (uint64_t)start <= (uint64_t)ask->conf.window_us)))
		return;
	worker->nodes[chains->node_count] = (struct node){ t, chains->lasts[k] };
	chains->starts[k + 1] = start;
	chains->lasts[k + 1] = chains->node_count++;
	if (k > chains->level) {
		chains->level = k;
		chains->best = chains->lasts[k + 1];
	}
}

/* From high to low: an event moves each chain on by one step. */
static void add_steps(struct worker *worker, const struct funnel_ask *ask, int64_t t,
		      uint32_t match)
{
	for (; match; match ^= UINT32_C(1) << (31 - __builtin_clz(match)))
		add_step(worker, ask, t, 32 - __builtin_clz(match));
}

static uint32_t match_of(const struct view *view, const struct scan_spans *spans, uint32_t file,
			 uint32_t row)
{
	const struct scan_lens *lens = &view->lens;
	uint64_t match = lens->bits[column_load(lens->codes, lens->width, row)];

	if (match & lens->checked)
		match = scan_span_check(spans, file, row, match);
	return lens->times[row] < lens->from_us || lens->times[row] >= lens->to_us
	       ? 0 : (uint32_t)match;
}

/* Goes on over a span while times rise and the last step is not reached. 1: a time does not rise.
 * The width of the event codes is a constant in each copy of this. */
static inline __attribute__((always_inline)) int
run_span_of(struct worker *worker, const struct scan_spans *spans, const struct scan_span *span,
	    const struct view *view, uint8_t width)
{
	const struct funnel_ask *ask = worker->job->ask;
	struct chains *chains = &worker->chains;
	const void *codes = view->lens.codes;
	const int64_t *times = view->lens.times;
	int64_t last = chains->time_us;
	uint32_t row = span->row, end = span->end;

	while (row < end && times[row] < view->lens.from_us)
		row++;
	while (row < end && times[end - 1] >= view->lens.to_us)
		end--;
	for (; row < end && chains->level < ask->conf.steps; row++) {
		int k = view->steps[column_load(codes, width, row)];
		int64_t t = times[row];
		uint32_t match = 0;

		if (k == CAREFUL) {
			match = match_of(view, spans, span->file, row);
			if (!match)
				continue;
		}
		if ((k != 0) & (t <= last))
			return 1;
		last = k ? t : last;
		if (chains->node_count + FUNNEL_STEPS_MAX > worker->node_room) {
			int rc = make_nodes(worker);

			if (rc < 0)
				return rc;
		}
		if (k == CAREFUL)
			add_steps(worker, ask, t, match);
		else
			add_step(worker, ask, t, k);
	}
	chains->time_us = last;
	return 0;
}

static int run_span(struct worker *worker, const struct scan_spans *spans,
		    const struct scan_span *span)
{
	const struct view *view = &worker->views[span->file];

	switch (view->lens.width) {
	case 1:
		return run_span_of(worker, spans, span, view, 1);
	case 2:
		return run_span_of(worker, spans, span, view, 2);
	default:
		return run_span_of(worker, spans, span, view, 4);
	}
}

/* Level in chains, if spans follow each other in time; 1: they do not. */
static int run_spans(struct worker *worker, const struct scan_spans *spans)
{
	struct chains *chains = &worker->chains;
	int steps = worker->job->ask->conf.steps, rc = 0;

	chains->node_count = 0;
	chains->level = 0;
	chains->time_us = INT64_MIN;
	for (int k = 0; k <= steps + 1; k++)
		chains->starts[k] = NO_START;
	for (uint32_t i = 0; i < spans->count && rc == 0; i++) {
		const struct scan_span *span = &spans->spans[i];
		const struct view *view = &worker->views[span->file];

		if (!view->steps)
			rc = make_view(worker, spans, span->file);
		/* Who has come to the end needs no more, unless something older follows. */
		if (rc == 0 && chains->level == steps)
			rc = view->lens.times[span->row] <= chains->time_us;
		else if (rc == 0)
			rc = run_span(worker, spans, span);
	}
	for (int k = chains->level; rc == 0 && k > 0; k--) {
		worker->times[k - 1] = worker->nodes[chains->best].time_us;
		chains->best = worker->nodes[chains->best].before;
	}
	return rc;
}

/* Persons whose spans overlap, or who did two things at once: all points in order, and funnel.h. */

static int add_points(struct worker *worker, const struct scan_spans *spans,
		      const struct scan_span *span)
{
	const struct view *view = &worker->views[span->file];
	size_t most = worker->point_count + (span->end - span->row);

	if (most > worker->point_room) {
		size_t room = most < 2 * worker->point_room ? 2 * worker->point_room : most;
		struct point *points;

		if (scan_charge(worker->tally.scan, (room - worker->point_room) *
			(sizeof(*points) + sizeof(*worker->events))) < 0)
			return -ENOSPC;
		points = realloc(worker->points, room * sizeof(*points));
		if (!points)
			return -ENOMEM;
		worker->points = points;
		worker->point_room = room;
	}
	for (uint32_t row = span->row; row < span->end; row++) {
		uint32_t match = match_of(view, spans, span->file, row);

		if (match)
			worker->points[worker->point_count++] =
				(struct point){ view->lens.times[row], match };
	}
	return 0;
}

static int compare_points(const void *a, const void *b)
{
	int64_t x = ((const struct point *)a)->time_us, y = ((const struct point *)b)->time_us;

	return x < y ? -1 : x > y;
}

static int take_path(void *ctx, const struct funnel_path *path)
{
	struct worker *worker = ctx;

	for (int k = 0; k < path->level; k++)
		worker->times[k] = worker->events[path->events[k]].time_us;
	return 0;
}

/* Returns the level. */
static int run_points(struct worker *worker, const struct scan_spans *spans)
{
	const struct funnel_ask *ask = worker->job->ask;
	int rc = 0;

	worker->point_count = 0;
	for (uint32_t i = 0; i < spans->count && rc == 0; i++) {
		if (!worker->views[spans->spans[i].file].steps)
			rc = make_view(worker, spans, spans->spans[i].file);
		if (rc == 0)
			rc = add_points(worker, spans, &spans->spans[i]);
	}
	if (rc < 0)
		return rc;
	if (worker->point_room > worker->event_room) {
		struct scan_event *events = realloc(worker->events, worker->point_room *
								    sizeof(*events));

		if (!events)
			return -ENOMEM;
		worker->events = events;
		worker->event_room = worker->point_room;
	}
	qsort(worker->points, worker->point_count, sizeof(*worker->points), compare_points);
	for (size_t i = 0; i < worker->point_count; i++)
		worker->events[i] = (struct scan_event){ .time_us = worker->points[i].time_us,
							 .match = worker->points[i].match };
	return funnel_run(worker->funnel, worker->events, (uint32_t)worker->point_count,
			  ask->range.from_us, ask->range.to_us, take_path, worker);
}

/* The scan's ops */

static int take(void *ctx, const struct scan_spans *spans)
{
	struct worker *worker = ctx;
	const struct funnel_ask *ask = worker->job->ask;
	int rc = run_spans(worker, spans), level = worker->chains.level;

	if (rc > 0)
		rc = level = run_points(worker, spans);
	if (rc < 0)
		return rc;
	rc = funnel_tally_path(&worker->tally, 0, level, worker->times);
	if (rc == 0 && ask->people_step > 0 &&
	    (ask->people_dropped ? level == ask->people_step - 1 : level >= ask->people_step))
		rc = funnel_tally_person(&worker->tally, spans->leader);
	return rc;
}

static void close_worker(struct worker *worker)
{
	funnel_close(worker->funnel);
	for (size_t i = 0; worker->views && i < worker->tally.scan->snapshot->file_count; i++)
		free(worker->views[i].steps);
	free(worker->views);
	funnel_tally_close(&worker->tally);
	free(worker->nodes);
	free(worker->points);
	free(worker->events);
	free(worker);
}

static int begin(void *ctx, int thread, void **statep)
{
	struct job *job = ctx;
	struct worker *worker = calloc(1, sizeof(*worker));
	int rc;

	(void)thread;
	if (!worker)
		return -ENOMEM;
	worker->job = job;
	rc = funnel_open(&worker->funnel, &job->ask->conf);
	if (rc == 0)
		rc = funnel_tally_init(&worker->tally, job->ask->conf.steps, 1, 0,
				       job->result->tally.scan);
	if (rc == 0) {
		worker->views = calloc(worker->tally.scan->snapshot->file_count + 1,
				       sizeof(*worker->views));
		rc = worker->views ? make_nodes(worker) : -ENOMEM;
	}
	if (rc < 0)
		close_worker(worker);
	else
		*statep = worker;
	return rc;
}

static int fold(void *ctx, void *state)
{
	struct job *job = ctx;
	struct worker *worker = state;
	int rc = funnel_tally_fold(&job->result->tally, &worker->tally);

	close_worker(worker);
	return rc;
}

int funnel_plain_run(struct funnel_result *result, const struct funnel_ask *ask,
		     struct scan_conf *scan)
{
	static const struct scan_span_ops ops = { begin, take, fold };
	struct job job = { .ask = ask, .result = result };

	return scan_run_spans(scan, &ops, &job);
}
