// SPDX-License-Identifier: Apache-2.0
/*
 * bench_steps - what each step of enrich costs an event, with caches and without
 *
 * 20,000 page calls: addresses at random, referrers of ten sites, user agents of uap-core's tests
 * by Zipf's law. A step's cost is that of a chain with it less that of one without. Data files are
 * Debian's. Decoding the input and packing the output are not in it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "enrich/enrich.h"

#define EVENTS  20000
#define SUITE   "/usr/share/uap-core/tests/test_ua.yaml"
#define LIST    "/usr/share/uap-core/tests/test_device.yaml"

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* User agents of a suite without quotes in them, one after the other; NULL-terminated. */
static size_t read_agents(const char *path, char **agents, size_t count, size_t max)
{
	FILE *in = fopen(path, "r");
	char line[4096];

	while (in && count < max && fgets(line, sizeof(line), in)) {
		char *at = strstr(line, "user_agent_string: '");
		char *end = at ? strrchr(line, '\'') : NULL;

		if (!at || end < at + 21 || strpbrk(at + 20, "\"\\\t"))
			continue;
		*end = '\0';
		agents[count++] = strdup(at + 20);
	}
	if (in)
		fclose(in);
	return count;
}

static char *event_new(char *const *agents, size_t count)
{
	static const char *const referrers[] = {
		"https://www.google.com/search?q=blue+shoes", "https://t.co/x", "",
		"https://shop.example/", "https://chatgpt.com/", "https://blog.example.co.uk/a",
		"https://www.bing.com/search?q=lamp", "https://l.facebook.com/", "",
		"https://shop.example/c/Kitchen",
	};
	double u = (double)(random() + 1) / 2147483648.0;
	size_t agent = (size_t)(pow((double)count, u) - 1) % count;
	char *body = NULL;
	int n;

	n = asprintf(&body, "{\"type\":\"page\",\"messageId\":\"m-%ld\",\"anonymousId\":\"a-%ld\","
		     "\"timestamp\":\"2026-11-24T10:00:00.000Z\",\"properties\":{\"url\":"
		     "\"https://shop.example/p/%ld?utm_source=news&utm_medium=email\",\"title\":"
		     "\"A page\",\"referrer\":\"%s\"},\"context\":{\"ip\":\"%ld.%ld.%ld.%ld\","
		     "\"userAgent\":\"%s\",\"locale\":\"en-GB\",\"library\":{\"name\":"
		     "\"analytics.js\",\"version\":\"2\"}}}", random(), random() % 5000,
		     random() % 300, referrers[random() % 10], random() % 223 + 1, random() % 256,
		     random() % 256, random() % 256, agents[agent]);
	return n < 0 ? NULL : body;
}

static double measure(const char *steps, bool use_cache, char *const *bodies)
{
	char path[] = "/tmp/millrace-steps-XXXXXX";       /* gone when enrich is open */
	struct enrich_conf conf = { .config = path, .dedup_window_ms = 1000,
				    .use_cache = use_cache };
	struct bus_conf out = { .schema = record_schema("enriched") };
	struct enrich *enrich = NULL;
	struct err err = { "" };
	int fd = mkstemp(path);
	double best = 0;

	if (fd < 0 || dprintf(fd, "enrich:\n  steps: [%s]\n", steps) < 0 ||
	    enrich_open(&enrich, &conf, "-", &out, &err) < 0) {
		fprintf(stderr, "%s: %s\n", steps, err.text);
		exit(78);
	}
	close(fd);
	unlink(path);
	for (int round = 0; round < 10; round++) {
		double start = cpu_ns(), took;

		for (int i = 0; i < EVENTS; i++) {
			struct slice body = slice_from(bodies[i]), datum;
			struct value in[COLLECTED_COUNT] = {
				[COLLECTED_MESSAGE_ID] = value_text(SLICE("m-1")),
				[COLLECTED_TYPE] = value_text(SLICE("page")),
				[COLLECTED_SOURCE] = value_text(SLICE("web")),
				[COLLECTED_RECEIVED_AT] = value_num(1795521600000000),
				[COLLECTED_DOOR] = value_text(SLICE("segment")),
				[COLLECTED_BODY] = value_text(body),
			};
			struct enrich_bad bad = { "", "", "" };

			if (enrich_record(enrich, in, 0, i, &datum, &bad) < 0) {
				fprintf(stderr, "%s: %s\n", bad.reason, bad.words);
				exit(70);
			}
		}
		took = (cpu_ns() - start) / EVENTS;
		best = round == 0 || took < best ? took : best;
	}
	enrich_close(enrich);
	schema_close((struct schema *)(uintptr_t)out.schema);
	return best;
}

int main(void)
{
	static char *agents[20000], *bodies[EVENTS];
	static const char *const steps[] = { "referrer", "campaign", "agent", "bot", "geo",
					     "json" };
	size_t count = read_agents(SUITE, agents, 0, 20000);
	double base[2], all[2];

	count = read_agents(LIST, agents, count, 20000);
	srandom(1);
	for (int i = 0; count && i < EVENTS; i++)
		bodies[i] = event_new(agents, count);
	printf("# %zu user agents; ns an event: cached, uncached (no data files but Debian's)\n",
	       count);
	for (int k = 0; k < 2; k++)
		base[k] = measure("ids, time, context, page", k == 0, bodies);
	printf("%-28s %7.0f %7.0f ns\n", "JSON, ids, time, context, page", base[0], base[1]);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char list[200];

		snprintf(list, sizeof(list), "ids, time, context, page, %s", steps[i]);
		printf("%-28s %7.0f %7.0f ns\n", steps[i],
		       measure(list, true, bodies) - base[0],
		       measure(list, false, bodies) - base[1]);
	}
	for (int k = 0; k < 2; k++)
		all[k] = measure("ids, time, context, page, referrer, campaign, agent, bot, geo, "
				 "json", k == 0, bodies);
	printf("%-28s %7.0f %7.0f ns: %.0f and %.0f events/s and core\n", "all", all[0], all[1],
	       1e9 / all[0], 1e9 / all[1]);
	return 0;
}
