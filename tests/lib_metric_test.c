// SPDX-License-Identifier: Apache-2.0
#include "lib/metric.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tap.h"

#define BUMPS 100000

static void test_print(struct tap *tap)
{
	static const char wanted[] =
		"# HELP millrace_t_events_total Events\\\\n, or \\n.\n"
		"# TYPE millrace_t_events_total counter\n"
		"millrace_t_events_total{stage=\"a\"} 3\n"
		"millrace_t_events_total{stage=\"b\"} 0\n"
		"# HELP millrace_t_lag_bytes Lag.\n"
		"# TYPE millrace_t_lag_bytes gauge\n"
		"millrace_t_lag_bytes -5\n";
	struct metric_set *set;
	struct metric *a, *lag;
	struct buf out = { 0 };

	OK(tap, metric_open(&set, NULL) == 0, "open");
	a = metric_add(set, METRIC_COUNTER, "millrace_t_events_total", "stage=\"a\"",
		       "Events\\n, or \n.");
	lag = metric_add(set, METRIC_GAUGE, "millrace_t_lag_bytes", NULL, "Lag.");
	metric_add(set, METRIC_COUNTER, "millrace_t_events_total", "stage=\"b\"", "unused");
	metric_bump(a, 1);
	metric_bump(a, 2);
	metric_set_value(lag, 7);
	metric_set_value(lag, -5);
	metric_print(set, &out);
	if (!OK(tap, slice_is(buf_slice(&out), wanted), "names are grouped, text is escaped"))
		printf("%.*s", (int)out.len, out.ptr);
	buf_close(&out);
	metric_close(set);
}

static void *bump(void *ctx)
{
	for (int i = 0; i < BUMPS; i++)
		metric_bump(ctx, 1);
	return NULL;
}

/* What the server says to a request with Connection: close. */
static void ask(const char *address, const char *method, const char *path, struct buf *out)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t n;

	buf_reset(out);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	to.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
		buf_printf(out, "%s %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", method,
			   path);
		(void)!write(fd, out->ptr, out->len);
		buf_reset(out);
		while ((n = read(fd, buf_reserve(out, 65536), 65536)) > 0)
			out->len += (size_t)n;
	}
	buf_append_char(out, '\0');
	close(fd);
}

static const struct {
	const char *method, *path, *wanted, *said;
} asked[] = {
	{ "GET", "/metrics", "HTTP/1.1 200 OK\r\n", "metrics" },
	{ "GET", "/metrics", "\nmillrace_t_events_total 200000\n", "two threads lose no bump" },
	{ "GET", "/metrics", "Content-Type: text/plain; version=0.0.4", "the format's type" },
	{ "GET", "/metrics", "\n# TYPE process_cpu_seconds_total counter\n", "CPU" },
	{ "GET", "/metrics", "\nprocess_resident_memory_bytes ", "memory" },
	{ "GET", "/metrics", "\nprocess_open_fds ", "descriptors" },
	{ "GET", "/metrics", "\nprocess_start_time_seconds 1", "start" },
	{ "GET", "/healthz", "\r\n\r\nok\n", "health" },
	{ "GET", "/", "HTTP/1.1 404 ", "nothing else" },
	{ "POST", "/metrics", "HTTP/1.1 405 ", "nor other methods" },
};

static void test_serve(struct tap *tap)
{
	struct log log = { "test", LOG_LEVEL_ERROR, 2 };
	struct metric_set *set, *other;
	struct err err = { "" };
	struct buf out = { 0 };
	struct metric *events;
	pthread_t threads[2];

	OK(tap, metric_open(&set, &err) == 0 && metric_open(&other, &err) == 0, "open");
	events = metric_add(set, METRIC_COUNTER, "millrace_t_events_total", "", "Events.");
	if (!OK(tap, metric_serve(set, "127.0.0.1:0", &log, &err) == 0, "serve: %s", err.text))
		return;
	OK(tap, metric_serve(other, metric_address(set), &log, &err) == -EADDRINUSE, "taken: %s",
	   err.text);
	OK(tap, strstr(err.text, metric_address(set)), "the words name the address");
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, bump, events);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		ask(metric_address(set), asked[i].method, asked[i].path, &out);
		OK(tap, strstr(out.ptr, asked[i].wanted), "%s %s: %s", asked[i].method,
		   asked[i].path, asked[i].said);
	}
	buf_close(&out);
	metric_close(other);
	metric_close(set);
}

int main(void)
{
	struct tap tap = { 0 };

	test_print(&tap);
	test_serve(&tap);
	metric_close(NULL);
	return tap_end(&tap);
}
