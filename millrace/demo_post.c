// SPDX-License-Identifier: Apache-2.0
#include "millrace/demo_post.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "lib/when.h"
#include "millrace/client.h"

struct demo_post {
	struct client *client;
	struct buf messages;    /* joined by commas */
	struct buf body, answer;
	int count;
	uint64_t sent;
	demo_post_stop_fn *stop;
	void *ctx;
};

int demo_post_open(struct demo_post **postp, const char *url, const char *write_key,
		   demo_post_stop_fn *stop, void *ctx, struct err *err)
{
	struct demo_post *post = calloc(1, sizeof(*post));
	int rc;

	if (!post)
		return err_set(err, -ENOMEM, "no memory to send");
	post->stop = stop;
	post->ctx = ctx;
	rc = client_open(&post->client, url, write_key, 30000, err);
	if (rc) {
		demo_post_close(post);
		return rc;
	}
	*postp = post;
	return 0;
}

void demo_post_close(struct demo_post *post)
{
	if (!post)
		return;
	client_close(post->client);
	buf_close(&post->messages);
	buf_close(&post->body);
	buf_close(&post->answer);
	free(post);
}

struct buf *demo_post_buf(struct demo_post *post)
{
	return &post->messages;
}

int demo_post_add(struct demo_post *post, struct err *err)
{
	buf_append_char(&post->messages, ',');
	post->count++;
	if (post->messages.failed)
		return err_set(err, -ENOMEM, "no memory for a batch");
	if (post->count < DEMO_POST_MESSAGES && post->messages.len < DEMO_POST_BYTES)
		return 0;
	return demo_post_flush(post, err);
}

static int try_once(struct demo_post *post, int64_t *wait_ms, struct err *err)
{
	char now[WHEN_TEXT_MAX];
	int64_t retry_s = 0;
	int status;

	when_print(when_now_us(), 3, now);
	buf_reset(&post->body);
	buf_printf(&post->body, "{\"sentAt\":\"%s\",\"batch\":[", now);
	buf_append(&post->body, post->messages.ptr, post->messages.len - 1);
	buf_append_text(&post->body, "]}");
	if (post->body.failed)
		return err_set(err, -ENOMEM, "no memory for a batch");
	status = client_send(post->client, "/v1/batch", buf_slice(&post->body), &post->answer,
			     &retry_s, err);
	if (status == 200)
		return 0;
	if (status < 0 && status != -ENOMEM && status != -EINVAL)
		return -EAGAIN;
	if (status == 429 || status >= 500) {
		*wait_ms = retry_s > 0 && retry_s <= 60 ? retry_s * 1000 : *wait_ms;
		err_set(err, -EAGAIN, "collect answers %d", status);
		return -EAGAIN;
	}
	return status < 0 ? status
		: err_set(err, -EINVAL, "collect refuses the batch with status %d", status);
}

int demo_post_flush(struct demo_post *post, struct err *err)
{
	int64_t end_ms = when_monotonic_ms() + DEMO_POST_TRY_MS, wait_ms = 100;

	if (post->count == 0)
		return 0;
	for (;;) {
		struct err words = { "" };
		int64_t pause_ms = wait_ms;
		int rc = try_once(post, &pause_ms, &words);

		if (rc == 0)
			break;
		if (rc != -EAGAIN || when_monotonic_ms() > end_ms)
			return err_set(err, rc == -EAGAIN ? -ETIMEDOUT : rc, "%s", words.text);
		/* In short pieces, so that a stop is noticed. */
		for (int64_t ms = 0; ms < pause_ms; ms += 100) {
			if (post->stop && post->stop(post->ctx))
				return err_set(err, -EINTR, "stopped");
			poll(NULL, 0, 100);
		}
		wait_ms = wait_ms < 3000 ? wait_ms * 2 : wait_ms;
	}
	post->sent += (uint64_t)post->count;
	post->count = 0;
	buf_reset(&post->messages);
	return 0;
}

uint64_t demo_post_sent(const struct demo_post *post)
{
	return post->sent;
}
