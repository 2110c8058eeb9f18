// SPDX-License-Identifier: Apache-2.0
#include "report/gateway.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/thread.h"

#define WORKERS    6
#define ANSWER_MAX ((size_t)64 << 20)
#define TIME_MS    60000L
#define PATH_MAX_BYTES 1024

struct job {
	struct http_request *request;   /* the loop's thread's, but for what is copied here */
	char path[PATH_MAX_BYTES];
	bool is_post;
	struct buf body, answer;
	char accept[128], type[128];
	int status;
	char words[400];
	atomic_bool is_gone;
	struct job *next;
};

struct worker {
	struct gateway *gateway;
	pthread_t thread;
	bool is_running;
	CURL *curl;
};

struct gateway {
	struct gateway_conf conf;
	int done_fd;
	struct loop_watch *watch;
	pthread_mutex_t lock;           /* of all below */
	pthread_cond_t wake;
	struct job *todo, **todo_end, *done;
	struct job *doing[WORKERS];
	bool is_ending;
	char address[256];
	struct worker workers[WORKERS];
};

static void free_job(struct job *job)
{
	buf_close(&job->body);
	buf_close(&job->answer);
	free(job);
}

/* --- a worker --- */

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct job *job = ctx;

	buf_append(&job->answer, bytes, size * count);
	return job->answer.failed ? 0 : size * count;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct job *job = ctx;

	(void)a, (void)b, (void)c, (void)d;
	return atomic_load(&job->is_gone);
}

/* aggregate writes the file when it listens; a restart may have given it another port. */
static void learn_address(struct gateway *gateway)
{
	FILE *file = gateway->conf.port_file ? fopen(gateway->conf.port_file, "re") : NULL;
	char line[256] = "";

	if (!file)
		return;
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\r\n")] = '\0';
		pthread_mutex_lock(&gateway->lock);
		if (line[0])
			snprintf(gateway->address, sizeof(gateway->address), "%s", line);
		pthread_mutex_unlock(&gateway->lock);
	}
	fclose(file);
}

static CURLcode perform(struct worker *worker, struct job *job)
{
	struct curl_slist *headers = NULL;
	char url[PATH_MAX_BYTES + 300], accept[160];
	CURL *curl = worker->curl;
	CURLcode code;
	long status = 0;
	const char *type = NULL;

	pthread_mutex_lock(&worker->gateway->lock);
	snprintf(url, sizeof(url), "http://%s%s", worker->gateway->address, job->path);
	pthread_mutex_unlock(&worker->gateway->lock);
	snprintf(accept, sizeof(accept), "Accept: %s", job->accept);
	headers = curl_slist_append(headers, accept);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIME_MS);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, job);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, job);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	if (job->is_post) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, job->body.ptr ? job->body.ptr : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)job->body.len);
	}
	buf_reset(&job->answer);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	job->status = (int)status;
	snprintf(job->type, sizeof(job->type), "%s", type ? type : "application/json");
	curl_slist_free_all(headers);
	return code;
}

static void ask(struct worker *worker, struct job *job)
{
	CURLcode code = perform(worker, job);

	if (code == CURLE_COULDNT_CONNECT) {
		learn_address(worker->gateway);
		code = perform(worker, job);
	}
	if (code == CURLE_OK)
		return;
	buf_reset(&job->answer);
	job->status = code == CURLE_OPERATION_TIMEDOUT ? 504
		      : code == CURLE_WRITE_ERROR      ? 413
						       : 503;
	snprintf(job->type, sizeof(job->type), "application/json");
	buf_append_text(&job->answer,
			"{\"error\":{\"code\":\"aggregate_away\",\"at\":\"\",\"message\":");
	snprintf(job->words, sizeof(job->words), "aggregate does not answer at %s: %s",
		 worker->gateway->address, curl_easy_strerror(code));
	json_write_text(slice_from(job->words), &job->answer);
	buf_append_text(&job->answer, "}}");
}

static void *run_worker(void *ctx)
{
	struct worker *worker = ctx;
	struct gateway *gateway = worker->gateway;
	size_t at = (size_t)(worker - gateway->workers);

	pthread_mutex_lock(&gateway->lock);
	while (!gateway->is_ending) {
		struct job *job = gateway->todo;
		uint64_t one = 1;

		if (!job) {
			pthread_cond_wait(&gateway->wake, &gateway->lock);
			continue;
		}
		gateway->todo = job->next;
		if (!gateway->todo)
			gateway->todo_end = &gateway->todo;
		gateway->doing[at] = job;
		pthread_mutex_unlock(&gateway->lock);
		ask(worker, job);
		pthread_mutex_lock(&gateway->lock);
		gateway->doing[at] = NULL;
		job->next = gateway->done;
		gateway->done = job;
		if (write(gateway->done_fd, &one, sizeof(one)) < 0)
			continue;       /* its counter is full: the loop wakes up anyway */
	}
	pthread_mutex_unlock(&gateway->lock);
	return NULL;
}

/* --- the loop's thread --- */

static void answer(struct gateway *gateway, struct job *job)
{
	char headers[2048];

	snprintf(headers, sizeof(headers), "%sContent-Type: %s\r\nCache-Control: no-store\r\n",
		 gateway->conf.headers, job->type);
	http_answer(job->request, job->status ? job->status : 503, headers,
		    buf_slice(&job->answer));
	free_job(job);
}

static void on_done(void *ctx, uint32_t events)
{
	struct gateway *gateway = ctx;
	struct job *done;
	uint64_t count;

	(void)events;
	if (read(gateway->done_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&gateway->lock);
	done = gateway->done;
	gateway->done = NULL;
	pthread_mutex_unlock(&gateway->lock);
	while (done) {
		struct job *job = done;

		done = job->next;
		answer(gateway, job);
	}
}

int gateway_open(struct gateway **gatewayp, const struct gateway_conf *conf, struct err *err)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	int rc = 0;

	*gatewayp = gateway;
	if (!gateway)
		return err_set(err, -ENOMEM, "no memory");
	gateway->conf = *conf;
	gateway->todo_end = &gateway->todo;
	snprintf(gateway->address, sizeof(gateway->address), "%s", conf->address);
	learn_address(gateway);
	pthread_mutex_init(&gateway->lock, NULL);
	pthread_cond_init(&gateway->wake, NULL);
	gateway->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (gateway->done_fd < 0)
		return err_set(err, -errno, "an eventfd: %s", strerror(errno));
	rc = loop_watch(conf->loop, gateway->done_fd, EPOLLIN, on_done, gateway, &gateway->watch);
	for (int i = 0; i < WORKERS && rc == 0; i++) {
		struct worker *worker = &gateway->workers[i];

		worker->gateway = gateway;
		worker->curl = curl_easy_init();
		if (!worker->curl)
			return err_set(err, -ENOMEM, "libcurl does not start");
		rc = thread_start(&worker->thread, run_worker, worker);
		worker->is_running = rc == 0;
	}
	return rc < 0 ? err_set(err, rc, "a thread: %s", strerror(-rc)) : 0;
}

void gateway_close(struct gateway *gateway)
{
	if (!gateway)
		return;
	pthread_mutex_lock(&gateway->lock);
	gateway->is_ending = true;
	for (int i = 0; i < WORKERS; i++)
		if (gateway->doing[i])
			atomic_store(&gateway->doing[i]->is_gone, true);
	pthread_cond_broadcast(&gateway->wake);
	pthread_mutex_unlock(&gateway->lock);
	for (int i = 0; i < WORKERS; i++) {
		if (gateway->workers[i].is_running)
			pthread_join(gateway->workers[i].thread, NULL);
		curl_easy_cleanup(gateway->workers[i].curl);
	}
	on_done(gateway, 0);
	while (gateway->todo) {
		struct job *job = gateway->todo;

		gateway->todo = job->next;
		answer(gateway, job);
	}
	loop_unwatch(gateway->watch);
	if (gateway->done_fd >= 0)
		close(gateway->done_fd);
	pthread_mutex_destroy(&gateway->lock);
	pthread_cond_destroy(&gateway->wake);
	free(gateway);
}

void gateway_ask(struct gateway *gateway, struct http_request *request, struct slice path)
{
	struct job *job = calloc(1, sizeof(*job));
	struct slice accept = http_header(request, "Accept");

	if (!job || path.len >= sizeof(job->path)) {
		free(job);
		http_answer(request, 503, gateway->conf.headers, (struct slice){ "", 0 });
		return;
	}
	job->request = request;
	request->ctx = job;
	memcpy(job->path, path.ptr, path.len);
	job->is_post = slice_is(request->method, "POST");
	job->answer.limit = ANSWER_MAX;
	buf_append_slice(&job->body, request->body);
	snprintf(job->accept, sizeof(job->accept), "%.*s",
		 (int)(accept.len < 100 ? accept.len : 100),
		 accept.len ? accept.ptr : "application/json");
	if (!accept.len)
		snprintf(job->accept, sizeof(job->accept), "application/json");
	pthread_mutex_lock(&gateway->lock);
	*gateway->todo_end = job;
	gateway->todo_end = &job->next;
	pthread_cond_signal(&gateway->wake);
	pthread_mutex_unlock(&gateway->lock);
}

void gateway_gone(struct gateway *gateway, struct http_request *request)
{
	struct job *job = request->ctx;

	(void)gateway;
	if (job)
		atomic_store(&job->is_gone, true);
}
