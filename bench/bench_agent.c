// SPDX-License-Identifier: Apache-2.0
/*
 * bench_agent - user agents per second, by uap-core's rules
 *
 *      bench_agent [FILE [RULES]]      FILE: one user agent a line; else those of uap-core's tests
 *
 * uncached: every one is parsed; cached: drawn by Zipf's law through a memo of 8,192; worst: texts
 * of 1 KiB made of cases one behind the other. bench_agent.sh has the peers beside it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "enrich/agent_match.h"
#include "enrich/bot_match.h"
#include "enrich/memo.h"
#include "enrich/own_list.h"
#include "lib/buf.h"

#define RULES "/usr/share/uap-core/regexes.yaml"
#define TEXTS_MAX 40000

struct bench {
	struct agent_match *match;
	struct bot_match *bots;
	struct slice texts[TEXTS_MAX];
	size_t count, bytes;
};

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static struct buf read_file(const char *path)
{
	struct buf buf = { .limit = 64 << 20 };
	FILE *in = fopen(path, "rb");
	char *room;
	size_t n;

	while (in && (room = buf_reserve(&buf, 65536)) && (n = fread(room, 1, 65536, in)) > 0)
		buf.len += n;
	if (!in) {
		perror(path);
		exit(66);
	}
	fclose(in);
	return buf;
}

/* The lines of a text; of a YAML suite what stands behind user_agent_string. */
static void take_lines(struct bench *bench, struct slice text, bool is_suite)
{
	while (text.len && bench->count < TEXTS_MAX) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct slice line = { text.ptr, end ? (size_t)(end - text.ptr) : text.len };

		text = slice_skip(text, line.len + 1);
		if (is_suite) {
			const char *at = memmem(line.ptr, line.len, "user_agent_string: ", 19);

			if (!at)
				continue;
			line = slice_skip(line, (size_t)(at - line.ptr) + 20);
			line.len -= line.len > 0;
		}
		if (line.len == 0)
			continue;
		bench->texts[bench->count++] = line;
		bench->bytes += line.len;
	}
}

static void line(const char *what, double ns, size_t count)
{
	printf("%-28s %9.0f ns each %9.2f M/s and core\n", what, ns / (double)count,
	       (double)count * 1e3 / ns);
}

static double run_uncached(struct bench *bench, bool bots)
{
	struct slice parts[AGENT_PARTS];
	double best = 0;

	for (int round = 0; round < 5; round++) {
		double start = cpu_ns(), took;

		for (size_t i = 0; i < bench->count; i++) {
			if (bots)
				bot_match(bench->bots, bench->texts[i], &parts[0], &parts[1]);
			else
				agent_match(bench->match, bench->texts[i], parts);
		}
		took = cpu_ns() - start;
		best = round == 0 || took < best ? took : best;
	}
	return best;
}

/* Rank r comes with weight 1 / r. */
static void run_cached(struct bench *bench)
{
	size_t draws = 1000000;
	struct slice parts[AGENT_PARTS], texts[MEMO_TEXTS];
	struct memo *memo = NULL;
	uint32_t *picks = malloc(draws * sizeof(*picks));
	double start;

	if (memo_open(&memo, 8192, NULL) < 0)
		exit(71);
	srandom(1);
	for (size_t i = 0; i < draws; i++) {
		double u = (double)(random() + 1) / 2147483648.0;

		picks[i] = (uint32_t)(pow((double)bench->count, u) - 1) % (uint32_t)bench->count;
	}
	start = cpu_ns();
	for (size_t i = 0; i < draws; i++) {
		struct slice text = bench->texts[picks[i]];

		if (memo_get(memo, text, texts))
			continue;
		agent_match(bench->match, text, parts);
		memcpy(texts, parts, sizeof(texts));
		memo_put(memo, text, texts);
	}
	line("agent, Zipf, memo of 8,192", cpu_ns() - start, draws);
	printf("  hits %.1f %%\n", 100.0 * (double)memo_hits(memo) / (double)draws);
	memo_close(memo);
	free(picks);
}

static void run_worst(struct bench *bench)
{
	struct slice parts[AGENT_PARTS];
	char text[AGENT_LEN_MAX];
	double worst = 0;

	srandom(2);
	for (int i = 0; i < 2000; i++) {
		double best = 0;
		size_t n = 0;

		while (n < sizeof(text)) {
			struct slice part = bench->texts[(size_t)random() % bench->count];

			if (part.len > sizeof(text) - n)
				part.len = sizeof(text) - n;
			memcpy(text + n, part.ptr, part.len);
			n += part.len;
		}
		for (int round = 0; round < 2; round++) {       /* a page fault is not its fault */
			double start = cpu_ns(), took;

			agent_match(bench->match, (struct slice){ text, n }, parts);
			took = cpu_ns() - start;
			best = round == 0 || took < best ? took : best;
		}
		worst = best > worst ? best : worst;
	}
	printf("%-28s %9.0f ns\n", "worst of 2,000 texts of 1 KiB", worst);
}

int main(int argc, char **argv)
{
	static const char *const suites[] = {
		"/usr/share/uap-core/tests/test_ua.yaml",
		"/usr/share/uap-core/tests/test_device.yaml",
		"/usr/share/uap-core/test_resources/pgts_browser_list.yaml",
	};
	static struct bench bench;
	struct buf rules = read_file(argc > 2 ? argv[2] : RULES);
	struct bot_list own = { own_list_bots(), "bots.yaml" };
	struct err err = { "" };
	double start = cpu_ns();

	if (agent_match_open(&bench.match, buf_slice(&rules), RULES, NULL, &err) < 0 ||
	    bot_match_open(&bench.bots, &own, 1, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 78;
	}
	start = cpu_ns() - start;
	for (size_t i = 0; i < (argc > 1 ? 1 : sizeof(suites) / sizeof(suites[0])); i++) {
		/* kept to the end */
		struct buf text = read_file(argc > 1 ? argv[1] : suites[i]);

		take_lines(&bench, buf_slice(&text), argc <= 1);
	}
	printf("# %zu user agents, %zu bytes each; rules open in %.0f ms of CPU\n", bench.count,
	       bench.bytes / (bench.count ? bench.count : 1), start / 1e6);
	line("agent, uncached", run_uncached(&bench, false), bench.count);
	line("bot, uncached", run_uncached(&bench, true), bench.count);
	run_cached(&bench);
	run_worst(&bench);
	printf("  %.1f runs of expressions a text\n", (double)agent_match_work(bench.match)->runs /
	       (double)agent_match_work(bench.match)->scans);
	return 0;
}
