// SPDX-License-Identifier: Apache-2.0
#include "aggregate/serve.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "aggregate/answer.h"
#include "lib/httpd.h"
#include "lib/port_file.h"
#include "lib/thread.h"
#include "lib/when.h"

#define BODY_MAX    ((size_t)256 << 10)
#define ANSWER_MAX  ((size_t)64 << 20)
#define WORKERS     2
#define QUEUE_MAX   256
#define DEADLINE_MS 30000
#define MEMORY_MAX  ((size_t)512 << 20)

/* A question on its way; owned by the list that it is in. */
struct job {
	struct job *next;
	struct http_request *request;
	struct answer_request ask;
	atomic_bool cancel;
	int status;
	const char *type;
	struct buf out;
};

struct list {
	struct job *first, *last;
	int count;
};

struct worker {
	struct serve *serve;
	struct answer *answer;          /* owned */
	pthread_t thread;
	bool is_running;
};

struct serve {
	int64_t deadline_ms;
	struct loop *loop;
	struct httpd *httpd;
	struct loop_watch *watch;
	int wake_fd;                    /* a worker has put something into `done` */
	pthread_t thread;
	bool is_running;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list queue, done;        /* under lock */
	struct job *busy[WORKERS];      /* under lock */
	struct serve_counts counts;     /* under lock */
	bool must_stop;
	struct worker workers[WORKERS];
};

static void push(struct list *list, struct job *job)
{
	job->next = NULL;
	if (list->last)
		list->last->next = job;
	else
		list->first = job;
	list->last = job;
	list->count++;
}

static struct job *pop(struct list *list)
{
	struct job *job = list->first;

	if (!job)
		return NULL;
	list->first = job->next;
	if (!list->first)
		list->last = NULL;
	list->count--;
	return job;
}

static void job_close(struct job *job)
{
	if (!job)
		return;
	buf_close(&job->out);
	free(job);
}

/* httpd's thread */

static void answer_now(struct http_request *request, const char *code, const char *words)
{
	struct buf out = { 0 };

	buf_printf(&out, "{\"error\":{\"code\":\"%s\",\"at\":\"\",\"message\":\"%s\"}}\n", code,
		   words);
	http_answer(request, 503, "Content-Type: application/json\r\nRetry-After: 1\r\n",
		    buf_slice(&out));
	buf_close(&out);
}

static void handle(void *ctx, struct http_request *request)
{
	struct serve *serve = ctx;
	struct job *job = calloc(1, sizeof(*job));
	bool is_full;

	if (!job) {
		answer_now(request, "no_memory", "no memory for this question");
		return;
	}
	job->request = request;
	job->out.limit = ANSWER_MAX;
	job->ask = (struct answer_request){
		.method = request->method, .path = request->path, .body = request->body,
		.accept = http_header(request, "Accept"), .cancel = &job->cancel,
		.deadline_ms = when_monotonic_ms() + serve->deadline_ms,
	};
	request->ctx = job;
	pthread_mutex_lock(&serve->lock);
	is_full = serve->queue.count >= QUEUE_MAX;
	if (!is_full) {
		push(&serve->queue, job);
		pthread_cond_signal(&serve->work);
	}
	pthread_mutex_unlock(&serve->lock);
	if (!is_full)
		return;
	job_close(job);
	answer_now(request, "busy", "too many questions at once: ask again");
}

static void gone(void *ctx, struct http_request *request)
{
	struct job *job = request->ctx;

	(void)ctx;
	if (job)
		atomic_store(&job->cancel, true);
}

static void send_done(void *ctx, uint32_t events)
{
	struct serve *serve = ctx;
	struct job *job;
	uint64_t count;

	(void)events;
	if (read(serve->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	for (;;) {
		char headers[160];

		pthread_mutex_lock(&serve->lock);
		job = pop(&serve->done);
		pthread_mutex_unlock(&serve->lock);
		if (!job)
			return;
		snprintf(headers, sizeof(headers),
			 "Content-Type: %s\r\nCache-Control: no-store\r\n", job->type);
		job->request->ctx = NULL;
		http_answer(job->request, job->status, headers, buf_slice(&job->out));
		job_close(job);
	}
}

static void *run(void *ctx)
{
	struct serve *serve = ctx;
	/* A loop that cannot wait any more leaves counting as it is; the log of httpd says why. */
	int rc = loop_run(serve->loop);

	return (void *)(intptr_t)rc;
}

/* Workers */

static struct job *take_job(struct serve *serve, size_t worker)
{
	struct job *job = NULL;

	pthread_mutex_lock(&serve->lock);
	while (!serve->must_stop && !(job = pop(&serve->queue)))
		pthread_cond_wait(&serve->work, &serve->lock);
	serve->busy[worker] = job;
	pthread_mutex_unlock(&serve->lock);
	return job;
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	struct serve *serve = worker->serve;
	size_t index = (size_t)(worker - serve->workers);
	struct job *job;

	while ((job = take_job(serve, index))) {
		uint64_t one = 1;

		job->status = answer_ask(worker->answer, &job->ask, &job->out, &job->type);
		pthread_mutex_lock(&serve->lock);
		serve->busy[index] = NULL;
		serve->counts.asked++;
		serve->counts.late += job->status == 408;
		serve->counts.large += job->status == 413;
		serve->counts.canceled += job->status == 499;
		push(&serve->done, job);
		pthread_mutex_unlock(&serve->lock);
		/* A counter that is full wakes, too. */
		if (write(serve->wake_fd, &one, sizeof(one)) < 0)
			continue;
	}
	return NULL;
}

static int start_workers(struct serve *serve, const struct serve_conf *conf, struct err *err)
{
	struct answer_conf answer = {
		.store = conf->store, .saved = conf->saved, .erase = conf->erase,
		.progress = conf->progress,
		.threads = conf->threads,
		.week_start = conf->week_start,
		.memory_max = conf->memory_max ? conf->memory_max : MEMORY_MAX,
	};

	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *worker = &serve->workers[i];
		int rc = answer_open(&worker->answer, &answer, err);

		worker->serve = serve;
		if (rc == 0 && (rc = thread_start(&worker->thread, work, worker)) < 0)
			err_set(err, rc, "a thread: %s", strerror(-rc));
		if (rc < 0)
			return rc;
		worker->is_running = true;
	}
	return 0;
}

static void stop_workers(struct serve *serve)
{
	pthread_mutex_lock(&serve->lock);
	serve->must_stop = true;
	for (size_t i = 0; i < WORKERS; i++)
		if (serve->busy[i])
			atomic_store(&serve->busy[i]->cancel, true);
	pthread_cond_broadcast(&serve->work);
	pthread_mutex_unlock(&serve->lock);
	for (size_t i = 0; i < WORKERS; i++) {
		if (serve->workers[i].is_running)
			pthread_join(serve->workers[i].thread, NULL);
		answer_close(serve->workers[i].answer);
	}
}

static int start(struct serve *serve, const struct serve_conf *conf, struct err *err)
{
	struct httpd_conf http = { .listen = conf->listen, .log = conf->log, .body_max = BODY_MAX,
				   .handler = handle, .gone = gone, .ctx = serve };
	int rc = loop_open(&serve->loop, err);

	if (rc < 0)
		return rc;
	serve->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (serve->wake_fd < 0 ||
	    (rc = loop_watch(serve->loop, serve->wake_fd, EPOLLIN, send_done, serve,
			     &serve->watch)) < 0)
		return err_set(err, rc < 0 ? rc : -errno, "an eventfd: %s", strerror(errno));
	rc = httpd_open(&serve->httpd, serve->loop, &http, err);
	if (rc == 0)
		rc = port_file_write(conf->port_file, httpd_address(serve->httpd), err);
	if (rc == 0)
		rc = start_workers(serve, conf, err);
	if (rc < 0)
		return rc;
	rc = thread_start(&serve->thread, run, serve);
	if (rc < 0)
		return err_set(err, rc, "a thread: %s", strerror(-rc));
	serve->is_running = true;
	return 0;
}

int serve_open(struct serve **servep, const struct serve_conf *conf, struct err *err)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	int rc;

	*servep = NULL;
	if (!serve)
		return err_set(err, -ENOMEM, "no memory");
	serve->wake_fd = -1;
	serve->deadline_ms = conf->deadline_ms ? conf->deadline_ms : DEADLINE_MS;
	pthread_mutex_init(&serve->lock, NULL);
	pthread_cond_init(&serve->work, NULL);
	rc = start(serve, conf, err);
	if (rc < 0) {
		serve_close(serve);
		return rc;
	}
	*servep = serve;
	return 0;
}

const char *serve_address(const struct serve *serve)
{
	return httpd_address(serve->httpd);
}

struct serve_counts serve_counts(struct serve *serve)
{
	struct serve_counts counts = { 0 };

	if (!serve)
		return counts;
	pthread_mutex_lock(&serve->lock);
	counts = serve->counts;
	pthread_mutex_unlock(&serve->lock);
	return counts;
}

void serve_close(struct serve *serve)
{
	struct job *job;

	if (!serve)
		return;
	stop_workers(serve);
	if (serve->is_running) {
		loop_stop(serve->loop);
		pthread_join(serve->thread, NULL);
	}
	/* Their requests are httpd's and go with it. */
	while ((job = pop(&serve->queue)) || (job = pop(&serve->done)))
		job_close(job);
	httpd_close(serve->httpd);
	loop_close(serve->loop);
	if (serve->wake_fd >= 0)
		close(serve->wake_fd);
	pthread_cond_destroy(&serve->work);
	pthread_mutex_destroy(&serve->lock);
	free(serve);
}
