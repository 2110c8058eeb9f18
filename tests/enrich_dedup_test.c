// SPDX-License-Identifier: Apache-2.0
#include "enrich/dedup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

#define S      INT64_C(1000000)
#define WINDOW 3600

static struct dedup *fresh(void)
{
	struct dedup *dedup = NULL;

	if (dedup_open(&dedup, WINDOW * 1000, NULL) < 0)
		abort();
	return dedup;
}

static struct dedup_id id_of(uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "m-%llu", (unsigned long long)n);
	return dedup_id(SLICE("web"), slice_from(text));
}

static bool keep(struct dedup *dedup, uint64_t n, int64_t us)
{
	if (dedup_seen(dedup, id_of(n), us))
		return false;
	if (dedup_add(dedup, id_of(n), us) < 0)
		abort();
	return true;
}

static void check_rules(struct tap *tap)
{
	struct dedup *dedup = fresh();

	OK(tap, keep(dedup, 1, 100000 * S), "new");
	OK(tap, !keep(dedup, 1, 100000 * S), "seen");
	OK(tap, !keep(dedup, 1, (100000 + WINDOW) * S + S - 1), "seen at the window's end");
	OK(tap, keep(dedup, 1, (100000 + WINDOW + 1) * S), "new a second later");
	OK(tap, !keep(dedup, 1, (100000 + 2 * WINDOW + 1) * S), "kept again, so seen again");
	OK(tap, !keep(dedup, 1, 99000 * S), "an earlier time is seen, too");
	OK(tap, keep(dedup, 2, 0), "the year 1970");
	OK(tap, keep(dedup, 2, 0), "is out of the window of the newest");
	OK(tap, keep(dedup, 3, INT64_MIN) && keep(dedup, 4, INT64_MAX), "the ends of time");
	dedup_close(dedup);
	dedup_close(NULL);
}

static void check_ids(struct tap *tap)
{
	struct dedup_id a = dedup_id(SLICE("web"), SLICE("m")), b;

	b = dedup_id(SLICE("app"), SLICE("m"));
	OK(tap, a.high != b.high, "the source tells ids apart");
	b = dedup_id(SLICE("webm"), SLICE(""));
	OK(tap, a.high != b.high, "source and id are not just joined");
	b = dedup_id(SLICE("web"), SLICE("m"));
	OK(tap, a.high == b.high && a.low == b.low, "the same are the same");
}

/* A second opinion: all that was kept, looked through from the start. */
struct kept {
	uint64_t n;
	int64_t s;
};

static bool plain_seen(const struct kept *kept, size_t count, uint64_t n, int64_t s)
{
	int64_t newest = s;

	for (size_t i = 0; i < count; i++) {
		if (kept[i].s > newest)
			newest = kept[i].s;
	}
	for (size_t i = 0; i < count; i++) {
		if (kept[i].n == n && kept[i].s >= newest - WINDOW)
			return true;
	}
	return false;
}

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

/* Against the plain rule, with clocks that run back, and with a table rebuilt at random places
 * from what was kept in the last window (and the slack) before the newest. */
static void check_model(struct tap *tap)
{
	static struct kept kept[4000];
	struct dedup *dedup = fresh();
	uint64_t seed = 20261124;
	size_t count = 0, wrong = 0, seen = 0, rebuilt = 0;
	int64_t s = 1000000;

	printf("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 6000; i++) {
		uint64_t n = next(&seed) % 800;
		bool is_seen;

		s += (int64_t)(next(&seed) % 9) - 2;
		if (next(&seed) % 500 == 0) {
			int64_t newest = 0;

			for (size_t k = 0; k < count; k++)
				newest = kept[k].s > newest ? kept[k].s : newest;
			dedup_close(dedup);
			dedup = fresh();
			for (size_t k = 0; k < count; k++) {
				if (kept[k].s >= newest - WINDOW - 600 &&
				    dedup_add(dedup, id_of(kept[k].n), kept[k].s * S) < 0)
					abort();
			}
			rebuilt++;
		}
		is_seen = !keep(dedup, n, s * S);
		wrong += is_seen != plain_seen(kept, count, n, s);
		seen += is_seen;
		if (!is_seen && count < 4000)
			kept[count++] = (struct kept){ n, s };
	}
	OK(tap, wrong == 0 && seen > 500 && count > 500 && rebuilt > 5,
	   "as the plain rule: %zu kept, %zu seen, %zu rebuilds, %zu wrong", count, seen, rebuilt,
	   wrong);
	dedup_close(dedup);
}

/* A million ids: none lost while growing; and a day later the table is swept, not grown. */
static void check_size(struct tap *tap)
{
	struct dedup *dedup = fresh();
	size_t lost = 0, found = 0;
	int64_t bytes, later = 200000 * S;

	for (uint64_t n = 0; n < 1000000; n++)
		found += !keep(dedup, n, 100000 * S);
	for (uint64_t n = 0; n < 1000000; n++)
		lost += !dedup_seen(dedup, id_of(n), 100000 * S);
	bytes = dedup_bytes(dedup);
	OK(tap, found == 0 && lost == 0 && dedup_count(dedup) == 1000000, "a million ids");
	OK(tap, bytes <= 30 * 1000000, "%lld bytes, %.1f an id", (long long)bytes,
	   (double)bytes / 1e6);
	for (uint64_t n = 2000000; n < 3000000; n++)
		found += !keep(dedup, n, later);
	OK(tap,
	   found == 0 && dedup_count(dedup) <= 1000000 + 1000 && dedup_bytes(dedup) <= 2 * bytes,
	   "the old ones were swept: %lld bytes", (long long)dedup_bytes(dedup));
	for (uint64_t n = 5000000; n < 5700000; n++)
		found += !keep(dedup, n, later + 100000 * S);
	OK(tap, found == 0 && dedup_bytes(dedup) <= bytes, "and the table shrinks: %lld bytes",
	   (long long)dedup_bytes(dedup));
	dedup_close(dedup);
}

int main(void)
{
	struct tap tap = { 0 };

	check_rules(&tap);
	check_ids(&tap);
	check_model(&tap);
	check_size(&tap);
	return tap_end(&tap);
}
