// SPDX-License-Identifier: Apache-2.0
#include "lib/metric.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/httpd.h"
#include "lib/loop.h"
#include "lib/thread.h"

struct metric_set {
	struct metric metrics[METRIC_MAX];
	int count;
	double start_s;                 /* of the process, since 1970 */
	struct loop *loop;              /* NULL: not served */
	struct httpd *httpd;
	pthread_t thread;
	bool has_thread;
	struct buf out;                 /* the thread's */
};

/* A small file of /proc, NUL-terminated; false where it cannot be read. */
static bool read_proc(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

/* When the process started: the 22nd field of stat is in ticks after boot. */
static double process_start(void)
{
	struct timespec wall, boot;
	unsigned long long ticks;
	char text[1024];
	const char *at;

	if (!read_proc("/proc/self/stat", text, sizeof(text)))
		return 0;
	at = strrchr(text, ')');        /* the name before it may hold spaces */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%llu", &ticks) != 1)
		return 0;
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9 +
	       (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

int metric_open(struct metric_set **setp, struct err *err)
{
	struct metric_set *set = calloc(1, sizeof(*set));

	*setp = set;
	if (!set)
		return err_set(err, -ENOMEM, "no memory for metrics");
	set->start_s = process_start();
	return 0;
}

struct metric *metric_add(struct metric_set *set, enum metric_kind kind, const char *name,
			  const char *labels, const char *help)
{
	struct metric *metric;

	if (set->count == METRIC_MAX || set->has_thread)
		abort();
	metric = &set->metrics[set->count++];
	metric->kind = kind;
	metric->name = name;
	metric->labels = strdup(labels ? labels : "");
	metric->help = help;
	if (!metric->labels)
		abort();        /* at start-up, of a few bytes */
	return metric;
}

static void print_help(struct buf *out, const char *name, enum metric_kind kind, const char *help)
{
	buf_printf(out, "# HELP %s ", name);
	for (; *help; help++) {
		if (*help == '\\')
			buf_append_text(out, "\\\\");
		else if (*help == '\n')
			buf_append_text(out, "\\n");
		else
			buf_append_char(out, *help);
	}
	buf_printf(out, "\n# TYPE %s %s\n", name, kind == METRIC_COUNTER ? "counter" : "gauge");
}

/* The format wants all of one name together, below one HELP and one TYPE. */
static void print_family(const struct metric_set *set, int first, struct buf *out)
{
	const struct metric *head = &set->metrics[first];

	for (int i = 0; i < first; i++)
		if (strcmp(set->metrics[i].name, head->name) == 0)
			return;
	print_help(out, head->name, head->kind, head->help);
	for (int i = first; i < set->count; i++) {
		const struct metric *metric = &set->metrics[i];
		int64_t value = atomic_load_explicit(&metric->value, memory_order_relaxed);

		if (strcmp(metric->name, head->name) != 0)
			continue;
		if (metric->labels[0])
			buf_printf(out, "%s{%s} %" PRId64 "\n", metric->name, metric->labels,
				   value);
		else
			buf_printf(out, "%s %" PRId64 "\n", metric->name, value);
	}
}

void metric_print(const struct metric_set *set, struct buf *out)
{
	for (int i = 0; i < set->count; i++)
		print_family(set, i, out);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count - 1;       /* without the directory's own */
}

/* The names that Prometheus' own client libraries use. */
static void print_process(const struct metric_set *set, struct buf *out)
{
	unsigned long long size, resident = 0;
	struct rusage usage = { 0 };
	struct rlimit limit = { 0 };
	char text[256];

	if (read_proc("/proc/self/statm", text, sizeof(text)) &&
	    sscanf(text, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	getrusage(RUSAGE_SELF, &usage);
	getrlimit(RLIMIT_NOFILE, &limit);
	print_help(out, "process_cpu_seconds_total", METRIC_COUNTER, "User and system CPU time.");
	buf_printf(out, "process_cpu_seconds_total %.6f\n",
		   (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	print_help(out, "process_resident_memory_bytes", METRIC_GAUGE, "Resident memory.");
	buf_printf(out, "process_resident_memory_bytes %llu\n",
		   resident * (unsigned long long)sysconf(_SC_PAGESIZE));
	print_help(out, "process_open_fds", METRIC_GAUGE, "Open file descriptors.");
	buf_printf(out, "process_open_fds %d\n", count_fds());
	print_help(out, "process_max_fds", METRIC_GAUGE, "Limit of open file descriptors.");
	buf_printf(out, "process_max_fds %llu\n", (unsigned long long)limit.rlim_cur);
	print_help(out, "process_start_time_seconds", METRIC_GAUGE, "Start, since 1970, UTC.");
	buf_printf(out, "process_start_time_seconds %.2f\n", set->start_s);
}

static void serve(void *ctx, struct http_request *request)
{
	struct metric_set *set = ctx;
	bool is_get = slice_is(request->method, "GET") || slice_is(request->method, "HEAD");

	if (slice_is(request->path, "/metrics") && is_get) {
		buf_reset(&set->out);
		metric_print(set, &set->out);
		print_process(set, &set->out);
		http_answer(request, set->out.failed ? 500 : 200,
			    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
			    buf_slice(&set->out));
	} else if (slice_is(request->path, "/healthz") && is_get) {
		http_answer(request, 200, "Content-Type: text/plain\r\n", SLICE("ok\n"));
	} else if (is_get) {
		http_answer(request, 404, "Content-Type: text/plain\r\n",
			    SLICE("only /metrics and /healthz are here\n"));
	} else {
		http_answer(request, 405, "Allow: GET, HEAD\r\n", SLICE(""));
	}
}

static void *serve_thread(void *ctx)
{
	struct metric_set *set = ctx;

	/* Where the loop breaks, metrics are away; the program's work goes on. */
	(void)!loop_run(set->loop);
	return NULL;
}

static int start_thread(struct metric_set *set)
{
	int rc = thread_start(&set->thread, serve_thread, set);

	set->has_thread = rc == 0;
	return rc;
}

int metric_serve(struct metric_set *set, const char *host_port, const struct log *log,
		 struct err *err)
{
	struct httpd_conf conf = { .listen = host_port, .log = log, .headers_max = 8192,
				   .body_max = 1024, .connections_max = 64, .handler = serve,
				   .ctx = set };
	struct log_line line;
	int rc = loop_open(&set->loop, err);

	if (!rc)
		rc = httpd_open(&set->httpd, set->loop, &conf, err);
	if (rc)
		return rc;
	log_begin(&line, log, LOG_LEVEL_INFO, "metrics");
	log_str(&line, "address", httpd_address(set->httpd));
	log_end(&line);
	rc = start_thread(set);
	return rc ? err_set(err, rc, "cannot start the thread of metrics: %s", strerror(-rc)) : 0;
}

const char *metric_address(const struct metric_set *set)
{
	return set->httpd ? httpd_address(set->httpd) : "";
}

void metric_close(struct metric_set *set)
{
	if (!set)
		return;
	if (set->has_thread) {
		loop_stop(set->loop);
		pthread_join(set->thread, NULL);
	}
	httpd_close(set->httpd);
	loop_close(set->loop);
	for (int i = 0; i < set->count; i++)
		free((void *)(uintptr_t)set->metrics[i].labels);
	buf_close(&set->out);
	free(set);
}
