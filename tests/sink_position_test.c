// SPDX-License-Identifier: Apache-2.0
// A model of what was settled, through random ends and starts, against position.c.
#include "sink/position.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tap.h"

#define OFFSETS 600
#define SEED    7

static uint64_t next_random(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % below;
}

/* One life: resume, begin some, settle some, end without a close's save. */
static bool live(const char *path, bool *settled, uint64_t *random)
{
	struct position *position;
	struct stamp_seen seen;
	bool begun[OFFSETS] = { false }, right = true;
	struct err err = { "" };
	int64_t next, end;

	stamp_seen_init(&seen);
	if (position_open(&position, path, "t to d", &err) < 0) {
		printf("# %s\n", err.text);
		return false;
	}
	position_resume(position, 0, &seen, &next);
	if (next < 0)
		next = 0;
	for (int64_t i = 0; i < next; i++)
		right &= settled[i];
	end = next + 1 + (int64_t)next_random(random, 60);
	for (int64_t i = next; i < end && i < OFFSETS; i++) {
		struct position_src src = { 0, i, 0 };
		int rc = position_begin(position, 0, i, src);

		right &= rc == (settled[i] ? 0 : 1);
		begun[i] = rc == 1;
		if (next_random(random, 3) == 0) {
			int64_t some = next +
				       (int64_t)next_random(random, (uint64_t)(i - next + 1));

			if (begun[some] && !settled[some]) {
				position_settle(position, 0, some);
				settled[some] = true;
				right &= position_save(position, false) == 0;
			}
		}
	}
	right &= seen.offset[0] < next;
	position_close(position);
	return right;
}

int main(void)
{
	char dir[] = "/tmp/millrace-position-XXXXXX", path[64];
	bool settled[OFFSETS] = { false }, right = true;
	uint64_t random = SEED;
	struct tap tap = { 0 };
	int lives = 0;

	OK(&tap, mkdtemp(dir) != NULL, "a directory");
	snprintf(path, sizeof(path), "%s/position", dir);
	for (; lives < 400 && right; lives++)
		right = live(path, settled, &random);
	OK(&tap, right, "%d lives, seed %d: what was settled is known, nothing else", lives, SEED);
	OK(&tap, position_look(path, "t to d", 0, 0) == settled[0], "looked at without the lock");
	unlink(path);
	rmdir(dir);
	return tap_end(&tap);
}
