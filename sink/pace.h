/* pace - when the next request may go, and how many at once
 *
 *      back-off    full jitter: a random time up to min(max, min * 2^(n-1)) after the nth failure
 *      pause       nothing goes before (Retry-After; breaker; setup error)
 *      breaker     PACE_TRIPS failures in a row, none good between: nothing goes for a back-off,
 *                  then one alone; if that is good, all again
 *      window      requests at once: one more for each windowful of good ones, half after a failure
 *                  or 429, at least 1
 *      rate        a bucket of one second's parts
 *
 * Pure: time and random bits come in as arguments.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_PACE_H
#define SINK_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_TRIPS 5

struct pace_conf {
	int64_t min_ms, max_ms;         /* back-off */
	int window_max;
	int64_t per_second;             /* 0: no bound */
	uint64_t seed;
};

struct pace {
	struct pace_conf conf;
	uint64_t random;
	double window;                  /* requests at once */
	int64_t cut_ms;                 /* the window was halved then */
	unsigned failures;              /* in a row */
	bool is_open;                   /* the breaker: no requests, or one as a probe */
	int64_t pause_ms;               /* nothing goes before */
	double tokens;
	int64_t tokens_ms;
};

void pace_init(struct pace *pace, const struct pace_conf *conf, int64_t now_ms);
/* May a request go, with `running` under way? */
bool pace_may_send(const struct pace *pace, int64_t now_ms, int running);
/* How many parts of `wanted` the rate allows now. */
int64_t pace_allows(struct pace *pace, int64_t now_ms, int64_t wanted);
void pace_take(struct pace *pace, int64_t parts);
/* When to look again, or INT64_MAX: only an answer changes something. */
int64_t pace_next_ms(const struct pace *pace, int64_t now_ms);

/* An answer came. good also for one that refused single parts: the other side works. */
void pace_good(struct pace *pace);
/* true: the breaker has just opened. */
bool pace_failed(struct pace *pace, int64_t now_ms);
/* retry_after_ms < 0: not said. */
void pace_throttled(struct pace *pace, int64_t now_ms, int64_t retry_after_ms);
void pace_pause(struct pace *pace, int64_t until_ms);

/* The wait after the nth failure of a request, n from 1. */
int64_t pace_backoff(struct pace *pace, unsigned n);

#endif
