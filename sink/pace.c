// SPDX-License-Identifier: Apache-2.0
#include "sink/pace.h"

/* One cut in so many ms: the requests of one window fail together. */
#define CUT_EVERY_MS 1000

void pace_init(struct pace *pace, const struct pace_conf *conf, int64_t now_ms)
{
	*pace = (struct pace){ .conf = *conf, .random = conf->seed ? conf->seed : 1,
			       .window = conf->window_max < 2 ? 1 : 2, .cut_ms = INT64_MIN / 2,
			       .tokens = (double)conf->per_second, .tokens_ms = now_ms };
}

/* xorshift64*: jitter needs no better one. */
static uint64_t next_random(struct pace *pace)
{
	uint64_t x = pace->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	pace->random = x;
	return x * UINT64_C(2685821657736338717);
}

bool pace_may_send(const struct pace *pace, int64_t now_ms, int running)
{
	if (now_ms < pace->pause_ms)
		return false;
	return running < (pace->is_open ? 1 : (int)pace->window);
}

int64_t pace_allows(struct pace *pace, int64_t now_ms, int64_t wanted)
{
	double most = (double)pace->conf.per_second;

	if (pace->conf.per_second == 0)
		return wanted;
	pace->tokens += most * (double)(now_ms - pace->tokens_ms) / 1000;
	pace->tokens_ms = now_ms;
	if (pace->tokens > most)
		pace->tokens = most;
	if (pace->tokens < 1)
		return 0;
	return pace->tokens < (double)wanted ? (int64_t)pace->tokens : wanted;
}

void pace_take(struct pace *pace, int64_t parts)
{
	if (pace->conf.per_second)
		pace->tokens -= (double)parts;
}

int64_t pace_next_ms(const struct pace *pace, int64_t now_ms)
{
	int64_t next = pace->pause_ms > now_ms ? pace->pause_ms : INT64_MAX;

	if (pace->conf.per_second && pace->tokens < 1) {
		double wait = (1 - pace->tokens) * 1000 / (double)pace->conf.per_second;
		int64_t at = now_ms + 1 + (int64_t)wait;

		if (next == INT64_MAX || at > next)
			next = at;
	}
	return next;
}

void pace_good(struct pace *pace)
{
	pace->failures = 0;
	pace->is_open = false;
	pace->window += 1 / pace->window;
	if (pace->window > pace->conf.window_max)
		pace->window = pace->conf.window_max;
}

static void cut(struct pace *pace, int64_t now_ms)
{
	if (now_ms - pace->cut_ms < CUT_EVERY_MS)
		return;
	pace->cut_ms = now_ms;
	pace->window = pace->window < 2 ? 1 : pace->window / 2;
}

bool pace_failed(struct pace *pace, int64_t now_ms)
{
	bool was_open = pace->is_open;

	cut(pace, now_ms);
	pace->failures++;
	if (pace->failures < PACE_TRIPS)
		return false;
	pace->is_open = true;
	pace_pause(pace, now_ms + pace_backoff(pace, pace->failures - PACE_TRIPS + 1));
	return !was_open;
}

void pace_throttled(struct pace *pace, int64_t now_ms, int64_t retry_after_ms)
{
	cut(pace, now_ms);
	pace->failures++;
	pace_pause(pace, now_ms + (retry_after_ms >= 0 ? retry_after_ms
						       : pace_backoff(pace, pace->failures)));
}

void pace_pause(struct pace *pace, int64_t until_ms)
{
	if (until_ms > pace->pause_ms)
		pace->pause_ms = until_ms;
}

int64_t pace_backoff(struct pace *pace, unsigned n)
{
	int64_t most = pace->conf.min_ms;

	for (unsigned i = 1; i < n && most < pace->conf.max_ms; i++)
		most *= 2;
	if (most > pace->conf.max_ms)
		most = pace->conf.max_ms;
	return 1 + (int64_t)(next_random(pace) % (uint64_t)(most < 1 ? 1 : most));
}
