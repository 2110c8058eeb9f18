// SPDX-License-Identifier: Apache-2.0
#include "aggregate/count.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "aggregate/emit.h"
#include "aggregate/user_set.h"
#include "tests/tap.h"

#define HOUR COUNT_HOUR_US

static int add(struct count *count, const char *event, const char *user, int64_t hour)
{
	/* u.. are user ids, a.. anonymous ones. */
	return count_add(count, slice_from(event), user[0] ? user[0] : 'u', slice_from(user),
			 hour * HOUR + 5);
}

static int64_t ask(const struct count *count, const char *event, bool is_unique, int64_t from,
		   int64_t step, size_t buckets, int64_t *values)
{
	int found = count_find(count, slice_from(event));
	int64_t bounds[64], overall = -1;
	uint64_t scanned = 0;
	struct count_ask asked = { &found, found >= 0, is_unique, bounds, buckets };

	for (size_t i = 0; i <= buckets; i++)
		bounds[i] = from + (int64_t)i * step;
	return count_series(count, &asked, values, &overall, &scanned) < 0 ? -1 : overall;
}

static void test_small(struct tap *tap)
{
	struct count *count;
	struct err err = { "" };
	int64_t v[8];

	if (!OK(tap, count_open(&count, &err) == 0, "opens"))
		return;
	OK(tap, add(count, "A", "u1", 10) == 0 && add(count, "A", "u1", 10) == 0 &&
		       add(count, "A", "u2", 11) == 0 && add(count, "A", "a1", 11) == 0 &&
		       add(count, "A", "u1", 12) == 0 && add(count, "B", "u9", 12) == 0 &&
		       add(count, "A", "", 12) == 0 && add(count, "A", "u3", -1) == 0, "adds");
	OK(tap, ask(count, "A", false, 10, 1, 3, v) == 6 && v[0] == 2 && v[1] == 2 && v[2] == 2,
	   "totals by hour");
	OK(tap, ask(count, "A", true, 10, 1, 3, v) == 3 && v[0] == 1 && v[1] == 2 && v[2] == 1,
	   "users by hour: the overall is no sum, nobody counts in totals only");
	OK(tap, ask(count, "A", true, 10, 2, 2, v) == 3 && v[0] == 3 && v[1] == 1,
	   "users of two hours together");
	OK(tap, ask(count, "A", true, 11, 1, 1, v) == 2, "user 1 and anonymous 1 are two");
	OK(tap, ask(count, "A", false, -2, 1, 2, v) == 1 && v[1] == 1, "before 1970");
	OK(tap, ask(count, "C", false, 0, 24, 1, v) == 0, "an event that never was");
	OK(tap, ask(count, "A", true, 13, 1, 2, v) == 0, "hours without events");
	OK(tap, count_persons(count) == 5 && count_events(count) == 8 && count_names(count) == 2,
	   "what there is");
	count_close(count);
}

static void test_ranks(struct tap *tap)
{
	struct count *count;
	struct count_rank *ranks;
	struct err err = { "" };
	size_t n;

	if (count_open(&count, &err) < 0)
		return;
	OK(tap, add(count, "b", "u1", 1) == 0 && add(count, "ab", "u1", 1) == 0 &&
		       add(count, "a", "u1", 1) == 0 && add(count, "c", "u1", 1) == 0 &&
		       add(count, "c", "u1", 1) == 0 && add(count, "z", "u1", 9) == 0, "adds");
	OK(tap, count_ranks(count, 0, 5, &ranks, &n) == 0 && n == 4 &&
		       slice_is(count_name(count, ranks[0].event), "c") && ranks[0].total == 2 &&
		       slice_is(count_name(count, ranks[1].event), "a") &&
		       slice_is(count_name(count, ranks[2].event), "ab") &&
		       slice_is(count_name(count, ranks[3].event), "b"),
	   "most first, ties by name, none left out");
	free(ranks);
	count_close(count);
}

/* Against a table of every (event, hour, user), which needs no cleverness. */
static void test_random(struct tap *tap)
{
	enum { EVENTS = 5, HOURS = 40, USERS = 700, ADDS = 60000 };
	static const char *const names[EVENTS] = { "a", "b", "c", "d", "e" };
	unsigned char *seen = calloc(EVENTS * HOURS, USERS);
	int64_t totals[EVENTS][HOURS] = { { 0 } }, v[HOURS];
	struct count *count;
	struct err err = { "" };
	uint64_t random = 42;
	bool same = true, uniques = true;

	if (!seen || count_open(&count, &err) < 0)
		return;
	for (int i = 0; i < ADDS; i++) {
		char user[16];
		unsigned int e, h, u;

		random = random * 6364136223846793005u + 1442695040888963407u;
		e = (unsigned int)(random >> 33) % EVENTS;
		h = (unsigned int)(random >> 40) % HOURS;
		u = (unsigned int)(random >> 47) % (e == 0 ? 3 : USERS);
		snprintf(user, sizeof(user), "u%u", u);
		same &= add(count, names[e], user, h) == 0;
		totals[e][h]++;
		seen[(e * HOURS + h) * USERS + u] = 1;
	}
	for (unsigned int e = 0; e < EVENTS; e++) {
		int64_t want_overall = 0, overall = ask(count, names[e], true, 0, 8, HOURS / 8, v);

		for (unsigned int b = 0; b < HOURS / 8; b++) {
			int64_t want = 0;

			for (unsigned int u = 0; u < USERS; u++) {
				bool any = false;

				for (unsigned int h = b * 8; h < b * 8 + 8; h++)
					any |= seen[(e * HOURS + h) * USERS + u];
				want += any;
			}
			uniques &= v[b] == want;
		}
		for (unsigned int u = 0; u < USERS; u++) {
			bool any = false;

			for (unsigned int h = 0; h < HOURS; h++)
				any |= seen[(e * HOURS + h) * USERS + u];
			want_overall += any;
		}
		uniques &= overall == want_overall;
		ask(count, names[e], false, 0, 1, HOURS, v);
		for (unsigned int h = 0; h < HOURS; h++)
			same &= v[h] == totals[e][h];
	}
	OK(tap, same, "%d events, seed 42: totals are the table's", ADDS);
	OK(tap, uniques, "and so are the users");
	count_close(count);
	free(seen);
}

static void test_changes(struct tap *tap)
{
	struct count *count;
	struct count_cell cell;
	struct err err = { "" };
	int n = 0;

	if (count_open(&count, &err) < 0)
		return;
	OK(tap, !count_next_change(count, &cell), "nothing changed yet");
	OK(tap, count_set_emitted(count, SLICE("A"), 1, 2, 1) == 0 &&
		       count_set_emitted(count, SLICE("B"), 1, 5, 5) == 0, "what was said before");
	OK(tap, add(count, "A", "u1", 1) == 0 && add(count, "A", "u1", 1) == 0 &&
		       add(count, "B", "u1", 1) == 0 && add(count, "B", "u2", 2) == 0, "adds");
	while (count_next_change(count, &cell)) {
		OK(tap, slice_is(cell.event, "B") && cell.total == 1 && cell.unique == 1 &&
			       (cell.hour == 1 ? cell.emitted_total == 5 : cell.emitted_total == 0),
		   "B changed in hour %d", (int)cell.hour);
		count_emitted(count, &cell);
		n++;
	}
	OK(tap, n == 2, "A says what it said");
	OK(tap, add(count, "A", "u7", 1) == 0 && count_next_change(count, &cell) &&
		       slice_is(cell.event, "A") && cell.total == 3 && cell.unique == 2,
	   "until it changes");
	count_close(count);
}

static void test_names_max(struct tap *tap)
{
	struct count *count;
	struct err err = { "" };
	int64_t v[1];
	bool ok = true;
	char name[24];

	if (count_open(&count, &err) < 0)
		return;
	for (int i = 0; i < COUNT_EVENTS_MAX + 7; i++) {
		snprintf(name, sizeof(name), "event %d", i);
		ok &= add(count, name, "u1", 1) == 0;
	}
	OK(tap, ok && count_names(count) == COUNT_EVENTS_MAX + 1, "names have an end");
	OK(tap, ask(count, COUNT_REST, false, 0, 24, 1, v) == 7, "the rest is counted together");
	count_close(count);
}

static void test_user_set(struct tap *tap)
{
	struct user_set set = { 0 };
	uint32_t at = 0, user;
	uint64_t sum = 0;
	bool ok = true;

	for (uint32_t i = 0; i < 1000; i++)
		ok &= user_set_add(&set, i * 3) == 1;
	for (uint32_t i = 0; i < 1000; i++)
		ok &= user_set_add(&set, i * 3) == 0;
	ok &= user_set_add(&set, UINT32_MAX - 1) == 1;
	while (user_set_next(&set, &at, &user))
		sum += user;
	OK(tap, ok && set.count == 1001, "a set takes each number once");
	OK(tap, sum == 3ull * 999 * 1000 / 2 + UINT32_MAX - 1, "and gives each back once");
	user_set_close(&set);
}

static void test_as_of(struct tap *tap)
{
	static const struct { const char *text; int rc; } cases[] = {
		{ "", 0 }, { "0:1200,1:1187", 0 }, { "255:1", 0 }, { "256:1", -EBADMSG },
		{ "0", -EBADMSG }, { "0:", -EBADMSG }, { ":1", -EBADMSG }, { "0:1;1:2", -EBADMSG },
		{ "0:99999999999999999999", -EBADMSG }, { "-1:5", -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t next[BUS_PARTITIONS_MAX] = { 0 };

		OK(tap, emit_parse_as_of(slice_from(cases[i].text), next) == cases[i].rc,
		   "as_of '%s'", cases[i].text);
		if (i == 1)
			OK(tap, next[0] == 1200 && next[1] == 1187 && next[2] == 0, "its numbers");
	}
}

int main(void)
{
	struct tap tap = { 0 };

	test_small(&tap);
	test_ranks(&tap);
	test_random(&tap);
	test_changes(&tap);
	test_names_max(&tap);
	test_user_set(&tap);
	test_as_of(&tap);
	return tap_end(&tap);
}
