// SPDX-License-Identifier: Apache-2.0
#include "sink/errand.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/when.h"

#define TICK_MS 100             /* how soon *stop is seen */

struct errand {
	const struct dest_env *env;
	struct post *post;
	struct post_request request;
	struct post_answer answer;
	struct buf body, headers, error;
	bool is_done;
};

static void keep(struct buf *buf, struct slice bytes)
{
	buf_reset(buf);
	buf_append_slice(buf, bytes);
}

static void answered(void *ctx, void *request_ctx, const struct post_answer *answer)
{
	struct errand *e = ctx;

	(void)request_ctx;
	keep(&e->body, answer->body);
	keep(&e->headers, answer->headers);
	keep(&e->error, slice_from(answer->error ? answer->error : ""));
	buf_append_char(&e->error, '\0');
	e->answer = *answer;
	e->answer.body = buf_slice(&e->body);
	e->answer.headers = buf_slice(&e->headers);
	e->answer.error = e->error.ptr;
	e->is_done = true;
}

static int open_post(struct errand *e, struct err *err)
{
	struct post_conf conf = {
		.guard = e->env->guard, .log = e->env->log, .connections = 1,
		.timeout_ms = e->env->timeout_ms, .user_agent = "millrace",
		.ca_file = e->env->ca_file, .done = answered, .ctx = e,
	};

	return post_open(&e->post, &conf, err);
}

int errand_open(struct errand **errandp, const struct dest_env *env, struct err *err)
{
	struct errand *e = calloc(1, sizeof(*e));
	int rc;

	*errandp = NULL;
	if (!e)
		return err_set(err, -ENOMEM, "no memory");
	e->env = env;
	rc = open_post(e, err);
	if (rc < 0) {
		errand_close(e);
		return rc;
	}
	*errandp = e;
	return 0;
}

void errand_close(struct errand *e)
{
	if (!e)
		return;
	post_close(e->post);
	post_request_close(&e->request);
	buf_close(&e->body);
	buf_close(&e->headers);
	buf_close(&e->error);
	free(e);
}

struct post_request *errand_begin(struct errand *e)
{
	post_request_reset(&e->request);
	return &e->request;
}

/* A request that nobody waits for any more goes with its connection. */
static void drop(struct errand *e)
{
	struct err err = { "" };

	post_close(e->post);
	e->post = NULL;
	(void)!open_post(e, &err);
}

const struct post_answer *errand_run(struct errand *e, int64_t deadline_ms,
				     struct dest_result *result)
{
	int rc = !e->post || e->request.body.failed ? -ENOMEM : 0;

	e->is_done = false;
	if (rc == 0)
		rc = post_send(e->post, &e->request, e);
	while (rc == 0 && !e->is_done) {
		int64_t left = deadline_ms - when_monotonic_ms();

		if (left <= 0 || atomic_load(e->env->stop))
			rc = -ETIMEDOUT;
		else
			rc = post_wait(e->post, left < TICK_MS ? (int)left : TICK_MS);
	}
	if (rc < 0) {
		drop(e);
		dest_result_set(result, DEST_TRANSIENT, atomic_load(e->env->stop)
				? SLICE("the sink ends") : slice_from(strerror(-rc)));
		return NULL;
	}
	if (e->answer.status == 0) {
		dest_result_set(result, e->answer.is_setup ? DEST_SETUP : DEST_TRANSIENT,
				slice_from(e->answer.error));
		return NULL;
	}
	return &e->answer;
}
