/* bench_httpd - requests per CPU-second of lib/httpd, next to a bare epoll server
 *
 *      bench_httpd [DIR] [SECONDS] [CONNECTIONS] [ROUNDS]
 *
 * The bare server reads, looks for nothing but the length, and writes a fixed answer: no server
 * can do less. Both are also measured when answers wait for one fdatasync (in DIR) per turn of
 * the loop. Loads: wrk's GET of 40 bytes, and tool_load's POST of one event. Each server is a child
 * process; its CPU time comes from wait4, its requests from a shared page. Each line is the
 * median of the rounds, which go around all the servers.
 */
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/httpd.h"

#define ROUNDS_MAX 9
#define CLIENTS_MAX 4096
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nContent-Type: application/json\r\n\r\n" \
	       "{\"success\":true}"

struct shared {
	_Atomic int port;
	_Atomic int64_t requests;
};

struct server {
	struct shared *shared;
	bool syncs;
	int file;
	struct buf staged;
	/* bare */
	int epoll_fd;
	int waiting[CLIENTS_MAX];
	/* httpd */
	struct http_request *requests[CLIENTS_MAX];
	int waiting_count;
};

static void commit(struct server *server)
{
	if (!server->staged.len)
		return;
	if (write(server->file, server->staged.ptr, server->staged.len) < 0 ||
	    fdatasync(server->file))
		perror("commit");
	buf_reset(&server->staged);
}

/* How long the request at the start of bytes is; 0: not whole. */
static size_t bare_length(const char *bytes, size_t len)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4), *length;
	size_t whole;

	if (!end)
		return 0;
	whole = (size_t)(end - bytes) + 4;
	length = memmem(bytes, whole, "Content-Length: ", 16);
	if (length)
		whole += strtoul(length + 16, NULL, 10);
	return whole <= len ? whole : 0;
}

static void bare_read(struct server *server, int fd)
{
	char bytes[65536];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	if (n <= 0 || !bare_length(bytes, (size_t)n)) {
		close(fd);
		return;
	}
	atomic_fetch_add_explicit(&server->shared->requests, 1, memory_order_relaxed);
	if (server->syncs) {
		buf_append(&server->staged, bytes, (size_t)n);
		server->waiting[server->waiting_count++] = fd;
	} else if (send(fd, ANSWER, sizeof(ANSWER) - 1, MSG_NOSIGNAL) < 0) {
		close(fd);
	}
}

static void bare_serve(struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event events[256], event = { .events = EPOLLIN };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	socklen_t len = sizeof(address);

	server->epoll_fd = epoll_create1(0);
	event.data.fd = fd;
	if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 1024) ||
	    getsockname(fd, (struct sockaddr *)&address, &len) ||
	    epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		_exit(1);
	atomic_store(&server->shared->port, ntohs(address.sin_port));
	for (;;) {
		int n = epoll_wait(server->epoll_fd, events, 256, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != fd) {
				bare_read(server, events[i].data.fd);
				continue;
			}
			event.data.fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
			setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event);
		}
		commit(server);
		while (server->waiting_count)
			(void)!send(server->waiting[--server->waiting_count], ANSWER,
				    sizeof(ANSWER) - 1, MSG_NOSIGNAL);
	}
}

static void answer(struct http_request *request)
{
	http_answer(request, 200, "Content-Type: application/json\r\n",
		    SLICE("{\"success\":true}"));
}

static void handle(void *ctx, struct http_request *request)
{
	struct server *server = ctx;

	atomic_fetch_add_explicit(&server->shared->requests, 1, memory_order_relaxed);
	if (!server->syncs) {
		answer(request);
		return;
	}
	buf_append_slice(&server->staged, request->path);
	buf_append_slice(&server->staged, request->body);
	server->requests[server->waiting_count++] = request;
}

static void end_turn(void *ctx)
{
	struct server *server = ctx;

	commit(server);
	while (server->waiting_count)
		answer(server->requests[--server->waiting_count]);
}

static void httpd_serve(struct server *server)
{
	struct httpd_conf conf = { .listen = "127.0.0.1:0", .handler = handle, .ctx = server };
	struct err err = { "" };
	struct httpd *httpd;
	struct loop *loop;

	if (loop_open(&loop, &err) || httpd_open(&httpd, loop, &conf, &err)) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	loop_after_turn(loop, end_turn, server);
	atomic_store(&server->shared->port,
		     (int)strtol(strrchr(httpd_address(httpd), ':') + 1, NULL, 10));
	_exit(loop_run(loop) ? 1 : 0);
}

static pid_t server_start(struct shared *shared, bool is_httpd, bool syncs, const char *dir)
{
	struct server *server;
	pid_t pid;

	atomic_store(&shared->port, 0);
	atomic_store(&shared->requests, 0);
	pid = fork();
	if (pid)
		return pid;
	server = calloc(1, sizeof(*server));
	server->shared = shared;
	server->syncs = syncs;
	server->file = open(dir, O_TMPFILE | O_WRONLY, 0600);
	if (server->file < 0) {
		perror(dir);
		_exit(1);
	}
	if (is_httpd)
		httpd_serve(server);
	bare_serve(server);
	_exit(1);
}

static bool load_run(const char *tool, int port, const char *seconds, const char *connections)
{
	char url[64], duration[32];
	int status, null;
	pid_t pid = fork();

	if (pid == 0) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
		snprintf(duration, sizeof(duration), "-d%s", seconds);
		if (strcmp(tool, "wrk") == 0)
			execlp("wrk", "wrk", "-t1", "-c", connections, duration, url, (char *)NULL);
		else
			execl(tool, tool, "--url", url, "--connections", connections, "--seconds",
			      seconds, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

struct result {
	double per_cpu, per_s, user_share;
};

static struct result measure(struct shared *shared, int kind, const char *tool,
			      const char *const *args)
{
	struct timespec begun, ended;
	struct result result = { 0 };
	struct rusage usage;
	double cpu, user;
	pid_t pid = server_start(shared, kind & 1, kind & 2, args[0]);

	while (!atomic_load(&shared->port) && kill(pid, 0) == 0)
		usleep(1000);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	if (!load_run(tool, atomic_load(&shared->port), args[1], args[2]))
		fprintf(stderr, "%s failed\n", tool);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	kill(pid, SIGKILL);
	wait4(pid, NULL, 0, &usage);
	user = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
	cpu = user + (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
	result.per_cpu = (double)atomic_load(&shared->requests) / cpu;
	result.per_s = (double)atomic_load(&shared->requests) /
		       ((double)(ended.tv_sec - begun.tv_sec) +
			(double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
	result.user_share = user / cpu;
	return result;
}

static int by_cpu(const void *a, const void *b)
{
	double x = ((const struct result *)a)->per_cpu, y = ((const struct result *)b)->per_cpu;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "bare epoll", "httpd", "bare epoll + fdatasync",
					     "httpd + fdatasync" };
	struct result results[4][ROUNDS_MAX];
	const char *args[] = { argc > 1 ? argv[1] : ".", argc > 2 ? argv[2] : "2",
			 argc > 3 ? argv[3] : "256" };
	int rounds = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 3;
	char tool_load[512];
	const char *tools[] = { "wrk", tool_load };
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED || rounds < 1 || rounds > ROUNDS_MAX)
		return 64;
	snprintf(tool_load, sizeof(tool_load), "%.*s/../test/tool_load",
		 (int)(strrchr(argv[0], '/') - argv[0]), argv[0]);
	printf("%s connections, %s s, median of %d\n", args[2], args[1], rounds);
	printf("%-10s %-24s %14s %12s %6s\n", "load", "server", "requests/CPU-s", "requests/s",
	       "user");
	for (int t = 0; t < 2; t++) {
		for (int round = 0; round < rounds; round++)
			for (int kind = 0; kind < 4; kind++)
				results[kind][round] = measure(shared, kind, tools[t], args);
		for (int kind = 0; kind < 4; kind++) {
			struct result *median = &results[kind][rounds / 2];

			qsort(results[kind], (size_t)rounds, sizeof(results[kind][0]), by_cpu);
			printf("%-10s %-24s %14.0f %12.0f %5.0f%%\n", t ? "tool_load" : "wrk",
			       names[kind], median->per_cpu, median->per_s,
			       100 * median->user_share);
		}
	}
	return 0;
}
