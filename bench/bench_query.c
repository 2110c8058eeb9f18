// SPDX-License-Identifier: Apache-2.0
/* bench_query - how fast aggregate's store answers
 *
 *      bench_query DIR [THREADS [NAME]]        DIR: a state that bench_store made and kept; only
 *                                              questions whose names begin with NAME
 *      bench_query DIR export          its rows as CSV, for bench_peers.py: the same questions
 *
 * Each question is asked five times; the best wall time and the CPU time of that one are printed,
 * as the first one also reads the files in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "aggregate/answer.h"
#include "lib/when.h"

#define RANGE "\"from\":\"2026-11-01\",\"to\":\"2026-11-30\""

static const struct {
	const char *name, *kind, *body;
} questions[] = {
	{ "total per day", "trend", "{" RANGE ",\"measures\":[{\"event\":\"*\"}]}" },
	{ "unique per day", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"*\",\"measure\":\"unique\"}]}" },
	{ "unique of one event", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"Event 3\",\"measure\":\"unique\"}]}" },
	{ "total by $browser", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"*\"}],\"breakdown\":[{\"prop\":\"$browser\"}]}" },
	{ "unique by $path, top 12", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"*\",\"measure\":\"unique\"}],"
	  "\"breakdown\":[{\"prop\":\"$path\"}]}" },
	{ "total where plan is", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"*\"}],\"where\":"
	  "{\"prop\":\"plan\",\"op\":\"is\",\"values\":[\"plan 2\"]}}" },
	{ "unique where price > 100", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"*\",\"measure\":\"unique\"}],\"where\":"
	  "{\"prop\":\"price\",\"op\":\">\",\"values\":[100]}}" },
	{ "sum of price", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"*\",\"measure\":\"sum\",\"prop\":\"price\"}]}" },
	{ "median of price", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"*\",\"measure\":\"median\","
	  "\"prop\":\"price\"}]}" },
	{ "weekly active users", "trend",
	  "{" RANGE ",\"measures\":[{\"event\":\"*\",\"measure\":\"wau\"}]}" },
	{ "top events", "trend", "{" RANGE "}" },
	{ "funnel of 5 steps", "funnel",
	  "{" RANGE ",\"steps\":[{\"event\":\"Event 0\"},{\"event\":\"Event 1\"},"
	  "{\"event\":\"Event 2\"},{\"event\":\"Event 3\"},{\"event\":\"Event 4\"}]}" },
	{ "people who did 5 times", "people",
	  "{\"query\":{\"did\":\"Event 3\",\"count\":{\"op\":\">=\",\"n\":5},"
	  "\"within\":{" RANGE "}},\"limit\":1}" },
	{ "names of events", "names", "{\"kind\":\"events\"}" },
};

static double cpu_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void ask(struct answer *answer, size_t i)
{
	char path[64];
	struct answer_request request = { .method = SLICE("POST"),
					  .body = slice_from(questions[i].body) };
	struct buf out = { 0 };
	const char *type;
	int64_t best = INT64_MAX;
	double cpu = 0;
	int status = 0;

	snprintf(path, sizeof(path), "/v1/query/%s", questions[i].kind);
	request.path = slice_from(path);
	for (int n = 0; n < 5; n++) {
		double cpu_begun = cpu_now();
		int64_t begun = now_us();

		buf_reset(&out);
		status = answer_ask(answer, &request, &out, &type);
		begun = now_us() - begun;
		if (begun >= best)
			continue;
		best = begun;
		cpu = cpu_now() - cpu_begun;
	}
	if (status != 200)
		printf("%-26s %d %.*s\n", questions[i].name, status, (int)out.len, out.ptr);
	else
		printf("%-26s %8.1f ms %8.1f CPU ms\n", questions[i].name, (double)best / 1e3,
		       cpu * 1e3);
	fflush(stdout);
	buf_close(&out);
}

/* user,time_us,event,browser,path,plan,price */
static int export_rows(struct store *store)
{
	static const char *const names[] = { "$event", "$browser", "$path", "plan", "price" };
	struct buf out = { 0 };
	struct snapshot snapshot;

	if (store_snapshot(store, &snapshot, NULL) < 0)
		return 1;
	for (size_t f = 0; f < snapshot.file_count; f++) {
		const struct column_file *file = snapshot.files[f];
		const struct column *columns[5];
		uint32_t at[5] = { 0 }, actor = 0;

		for (int c = 0; c < 5; c++)
			columns[c] = column_find(file, slice_from(names[c]));
		for (uint32_t row = 0; row < file->rows; row++) {
			while (file->start[actor + 1] <= row)
				actor++;
			buf_printf(&out, "%u,%lld", file->actor[actor], (long long)file->time[row]);
			for (int c = 0; c < 5; c++) {
				struct prop value = { 0 };

				if (columns[c])
					value = column_value(columns[c],
							     column_code(columns[c], row, &at[c]));
				buf_append_char(&out, ',');
				if (value.kind != PROP_NONE)
					prop_print(&value, &out);
			}
			buf_append_char(&out, '\n');
			if (out.len > 1 << 20) {
				fwrite(out.ptr, 1, out.len, stdout);
				buf_reset(&out);
			}
		}
	}
	fwrite(out.ptr, 1, out.len, stdout);
	buf_close(&out);
	snapshot_release(&snapshot);
	return 0;
}

int main(int argc, char **argv)
{
	struct progress progress = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct store_conf conf = { .dir = argc > 1 ? argv[1] : "", .partitions = 1 };
	struct answer_conf answer_conf = { .progress = &progress, .memory_max = (size_t)1 << 30 };
	int64_t next[BUS_PARTITIONS_MAX];
	struct answer *answer = NULL;
	struct err err = { "" };

	answer_conf.threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
	if (argc < 2) {
		puts("asked by bench_questions.sh");
		return 0;
	}
	if (store_open(&answer_conf.store, &conf, next, &err) < 0 ||
	    answer_open(&answer, &answer_conf, &err) < 0) {
		fprintf(stderr, "bench_query DIR: %s\n", err.text);
		return 1;
	}
	if (argc > 2 && strcmp(argv[2], "export") == 0)
		return export_rows(answer_conf.store);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if (argc <= 3 || strncmp(questions[i].name, argv[3], strlen(argv[3])) == 0)
			ask(answer, i);
	answer_close(answer);
	store_close(answer_conf.store);
	return 0;
}
