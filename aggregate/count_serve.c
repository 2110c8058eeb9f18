// SPDX-License-Identifier: Apache-2.0
#include "aggregate/count_serve.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aggregate/count_answer.h"
#include "lib/httpd.h"
#include "lib/thread.h"

#define BODY_MAX   ((size_t)256 << 10)
#define ANSWER_MAX ((size_t)64 << 20)

struct count_serve {
	struct loop *loop;
	struct httpd *httpd;
	struct count_answer *answer;
	struct buf out;
	pthread_t thread;
	bool is_running;
};

static void handle(void *ctx, struct http_request *request)
{
	struct count_serve *serve = ctx;
	int status;

	buf_reset(&serve->out);
	status = count_answer_ask(serve->answer, request->method, request->path, request->body,
			    &serve->out);
	http_answer(request, status, "Content-Type: application/json\r\n"
		    "Cache-Control: no-store\r\n", buf_slice(&serve->out));
}

static void *run(void *ctx)
{
	struct count_serve *serve = ctx;
	/* A loop that cannot wait any more leaves counting as it is; the log of httpd says why. */
	int rc = loop_run(serve->loop);

	return (void *)(intptr_t)rc;
}

/* Whole or not at all: whoever waits for the file must not read half of it. */
static int write_port_file(const char *path, const char *address, struct err *err)
{
	char temp[4096];
	FILE *file;
	int rc = 0;

	if (snprintf(temp, sizeof(temp), "%s.new", path) >= (int)sizeof(temp))
		return err_set(err, -ENAMETOOLONG, "--port-file: the path is too long");
	file = fopen(temp, "we");
	if (!file || fprintf(file, "%s\n", address) < 0)
		rc = -errno;
	if (file && fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(temp, path) < 0)
		rc = -errno;
	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

static int start(struct count_serve *serve, const char *listen, const char *port_file,
		 const struct log *log, struct err *err)
{
	struct httpd_conf conf = { .listen = listen, .log = log, .body_max = BODY_MAX,
				   .handler = handle, .ctx = serve };
	int rc = loop_open(&serve->loop, err);

	serve->out.limit = ANSWER_MAX;
	if (rc == 0)
		rc = httpd_open(&serve->httpd, serve->loop, &conf, err);
	if (rc == 0 && port_file && port_file[0])
		rc = write_port_file(port_file, httpd_address(serve->httpd), err);
	if (rc < 0)
		return rc;
	rc = thread_start(&serve->thread, run, serve);
	if (rc < 0)
		return err_set(err, rc, "a thread: %s", strerror(-rc));
	serve->is_running = true;
	return 0;
}

int count_serve_open(struct count_serve **servep, const char *listen, const char *port_file,
	       struct count *count, struct progress *progress, const struct log *log,
	       struct err *err)
{
	struct count_serve *serve = calloc(1, sizeof(*serve));
	int rc;

	*servep = NULL;
	if (!serve)
		return err_set(err, -ENOMEM, "no memory");
	rc = count_answer_open(&serve->answer, count, progress, err);
	if (rc == 0)
		rc = start(serve, listen, port_file, log, err);
	if (rc < 0) {
		count_serve_close(serve);
		return rc;
	}
	*servep = serve;
	return 0;
}

const char *count_serve_address(const struct count_serve *serve)
{
	return httpd_address(serve->httpd);
}

void count_serve_close(struct count_serve *serve)
{
	if (!serve)
		return;
	if (serve->is_running) {
		loop_stop(serve->loop);
		pthread_join(serve->thread, NULL);
	}
	httpd_close(serve->httpd);
	loop_close(serve->loop);
	count_answer_close(serve->answer);
	buf_close(&serve->out);
	free(serve);
}
