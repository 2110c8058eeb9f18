// SPDX-License-Identifier: Apache-2.0
#include "sink/teller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/when.h"
#include "sink/email.h"
#include "sink/guard.h"
#include "sink/kinds.h"
#include "sink/part.h"
#include "sink/sheet.h"

#define REPORT_MS 3000

struct teller {
	struct teller_conf conf;
	struct dest_env env;
	struct dest *dest;
	struct event_reader *reader;
	struct buf payload;
	struct dest_out out;
	struct post *post, *report;
	struct post_request request;
	struct guard inside;            /* collect is ours, wherever it listens */
	struct opt_list inside_hosts;
	const char *inside_host[1];
	char host[256];
	/* of the request under way */
	const struct dest_batch *batch;
	struct dest_result *result;
	bool is_done;
	int status;
};

static void answered(void *ctx, void *request_ctx, const struct post_answer *answer)
{
	struct teller *t = ctx;
	const struct dest_kind *kind = t->conf.trigger->kind;

	(void)request_ctx;
	t->is_done = true;
	t->status = answer->status;
	if (!t->result)
		return;
	if (answer->status == 0 && answer->was_sent && (kind->flags & DEST_NO_BATCH_KEY)) {
		char text[DEST_WORDS_MAX];

		/* Nobody there knows a repeat by its key: it must not go again. */
		snprintf(text, sizeof(text), "it is not known whether it was taken: %.120s",
			 answer->error);
		dest_result_set(t->result, DEST_INVALID, slice_from(text));
		t->result->is_unknown = true;
	} else if (answer->status == 0)
		dest_result_set(t->result, answer->is_setup ? DEST_SETUP : DEST_TRANSIENT,
				slice_from(answer->error));
	else if (kind->judge)
		kind->judge(t->dest, t->batch, answer, t->result);
	else
		dest_judge_status(t->batch, answer, t->result);
}

int teller_open(struct teller **tellerp, const struct teller_conf *conf, struct err *err)
{
	struct teller *t = calloc(1, sizeof(*t));
	const struct dest_kind *kind = conf->trigger->kind;
	struct post_conf post = {
		.guard = conf->guard, .log = conf->log, .connections = 1, .timeout_ms = 30000,
		.user_agent = "millrace", .ca_file = conf->ca_file, .done = answered,
	};
	int rc;

	*tellerp = NULL;
	if (!t)
		return err_set(err, -ENOMEM, "no memory");
	t->conf = *conf;
	t->env = (struct dest_env){
		.name = conf->trigger->name, .conf = conf->trigger->conf, .schema = conf->schema,
		.topic = "members", .state_dir = conf->state_dir, .log = conf->log,
		.timeout_ms = 30000, .stop = conf->stop, .guard = conf->guard,
		.ca_file = conf->ca_file, .is_dry = conf->is_dry,
	};
	t->out.buf = &t->payload;
	post.ctx = t;
	if ((rc = event_open(&t->reader, conf->schema, err)) < 0 ||
	    (rc = kind->open(&t->dest, &t->env, err)) < 0 ||
	    (rc = post_open(&t->post, &post, err)) < 0) {
		teller_close(t);
		return rc;
	}
	*tellerp = t;
	return 0;
}

void teller_close(struct teller *t)
{
	if (!t)
		return;
	post_close(t->post);
	post_close(t->report);
	if (t->dest)
		t->conf.trigger->kind->close(t->dest);
	event_close(t->reader);
	buf_close(&t->payload);
	free(t->out.parts);
	post_request_close(&t->request);
	free(t);
}

int teller_make(struct teller *t, const struct value *fields, struct err *err)
{
	struct event event;
	int rc;

	event_read(t->reader, fields, 0, 0, &event);
	t->out.count = 0;
	t->out.begin = 0;
	t->out.words[0] = '\0';
	buf_reset(&t->payload);
	rc = t->conf.trigger->kind->map(t->dest, &event, &t->out);
	if (rc < 0)
		return err_set(err, rc, "%s", rc == -EBADMSG ? t->out.words : "no memory");
	if (t->out.count != 1)
		return err_set(err, -EBADMSG, "a trigger's message goes to one address, not %zu",
			       t->out.count);
	return 0;
}

static struct slice made(const struct teller *t)
{
	if (!t->out.count)
		return SLICE("");
	return (struct slice){ t->payload.ptr + t->out.parts[0].begin, t->out.parts[0].len };
}

struct slice teller_to(const struct teller *t)
{
	return t->conf.trigger->kind == &dest_email ? email_to(made(t)) : SLICE("");
}

struct slice teller_text(const struct teller *t)
{
	return t->conf.trigger->kind == &dest_email ? email_mail(made(t)) : made(t);
}

static int wait_for(struct teller *t, struct post *post)
{
	int rc = 0;

	while (rc == 0 && !t->is_done)
		rc = post_wait(post, 200);
	return rc;
}

void teller_send(struct teller *t, const char *key, struct dest_result *result)
{
	const struct dest_kind *kind = t->conf.trigger->kind;
	struct dest_item item = { .payload = made(t), .message_id = slice_from(key),
				  .route = t->out.parts[0].route, .timestamp_us = when_now_us() };
	const struct dest_item *items[] = { &item };
	struct dest_batch batch = { .items = items, .count = 1, .route = item.route,
				    .attempt = 1 };
	int rc;

	snprintf(batch.key, sizeof(batch.key), "%s", key);
	dest_result_set(result, DEST_OK, SLICE(""));
	if (kind->put) {
		kind->put(t->dest, &batch, result);
		return;
	}
	t->batch = &batch;
	t->result = result;
	t->is_done = false;
	post_request_reset(&t->request);
	if ((rc = kind->build(t->dest, &batch, &t->request)) == 0 &&
	    (rc = post_send(t->post, &t->request, NULL)) == 0)
		rc = wait_for(t, t->post);
	if (rc < 0)
		dest_result_set(result, DEST_TRANSIENT, slice_from(strerror(-rc)));
	t->result = NULL;
}

/* file:PATH is where collect says how it is reached, which may change when it starts anew. */
static int find_url(const char *url, char found[200], struct err *err)
{
	char line[120] = "";
	FILE *file;

	snprintf(found, 200, "%s", url);
	if (strncmp(url, "file:", 5) != 0)
		return 0;
	file = fopen(url + 5, "re");
	if (!file || !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	snprintf(found, 200, "http://%s", line);
	return line[0] ? 0 : err_set(err, -ENOENT, "%.150s: collect is not there", url + 5);
}

static int open_report(struct teller *t, const char *url, struct err *err)
{
	struct post_conf post = {
		.guard = &t->inside, .log = t->conf.log, .connections = 1,
		.timeout_ms = REPORT_MS, .user_agent = "millrace", .done = answered, .ctx = t,
	};
	const char *host = strstr(url, "://");

	if (t->report)
		return 0;
	host = host ? host + 3 : url;
	snprintf(t->host, sizeof(t->host), "%.*s", (int)strcspn(host, "/"), host);
	if (t->host[0] == '[')
		t->host[strcspn(t->host, "]") + 1] = '\0';
	else
		t->host[strcspn(t->host, ":")] = '\0';
	t->inside_host[0] = t->host;
	t->inside_hosts = (struct opt_list){ .items = t->inside_host, .count = 1 };
	t->inside.allowed = &t->inside_hosts;
	return post_open(&t->report, &post, err);
}

int teller_report(struct teller *t, const char *url, const char *key, struct slice body,
		  struct err *err)
{
	struct post_request *request = &t->request;
	char found[200];
	int rc = find_url(url, found, err);

	url = found;
	if (rc == 0)
		rc = open_report(t, url, err);
	if (rc < 0)
		return rc;
	post_request_reset(request);
	if (snprintf(request->url, sizeof(request->url), "%s/v1/batch", url) >=
	    (int)sizeof(request->url))
		return -ENAMETOOLONG;
	buf_append_slice(&request->body, body);
	t->is_done = false;
	t->status = 0;
	if ((rc = post_header(request, "Content-Type", SLICE("application/json"))) < 0 ||
	    (rc = sheet_basic(request, key, "")) < 0 ||
	    (rc = post_send(t->report, request, NULL)) < 0 || (rc = wait_for(t, t->report)) < 0)
		return rc;
	return t->status >= 200 && t->status < 300
	       ? 0 : err_set(err, -EHOSTUNREACH, "%.80s answers %d", url, t->status);
}
