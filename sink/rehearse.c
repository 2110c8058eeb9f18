// SPDX-License-Identifier: Apache-2.0
#include "sink/rehearse.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/record.h"
#include "lib/when.h"
#include "sink/mapper.h"
#include "sink/position.h"
#include "sink/unline.h"

struct rehearse {
	struct outlet base;
	const struct courier_conf *conf;
	const char *trace;
	int fd, message_id;
	struct dest_env env;
	atomic_bool stop;
	struct dest *dest;
	struct mapper *mapper;
	struct post_request request;
	struct buf out;
};

static int write_out(struct rehearse *r)
{
	struct slice text = buf_slice(&r->out);

	while (text.len) {
		ssize_t n = write(r->fd, text.ptr, text.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		text = slice_skip(text, n < 0 ? 0 : (size_t)n);
	}
	buf_reset(&r->out);
	return 0;
}

/* Appends text with every secret of the settings blanked. */
static void put_masked(struct rehearse *r, struct slice text)
{
	const struct setup *setup = r->conf->setup;

	while (text.len) {
		size_t at = text.len, len = 0;

		for (const struct dest_field *f = setup->kind->fields; f->name; f++) {
			const char *secret, *found;

			if (f->type != DEST_FIELD_SECRET)
				continue;
			memcpy(&secret, (const char *)setup->conf + f->offset, sizeof(secret));
			if (!secret || !secret[0])
				continue;
			found = memmem(text.ptr, text.len, secret, strlen(secret));
			if (found && (size_t)(found - text.ptr) < at) {
				at = (size_t)(found - text.ptr);
				len = strlen(secret);
			}
		}
		buf_append(&r->out, text.ptr, at);
		if (len)
			buf_append_text(&r->out, "***");
		text = slice_skip(text, at + len);
	}
}

static void set_item(const struct mapper_result *result, size_t i, struct dest_item *item)
{
	*item = (struct dest_item){
		.payload = { result->payloads->ptr + result->parts[i].begin,
			     result->parts[i].len },
		.message_id = result->message_id, .route = result->parts[i].route,
		.timestamp_us = result->timestamp_us,
	};
}

static int build(struct rehearse *r, const struct mapper_result *result, size_t i,
		 struct dest_item *item, const struct dest_item **list, struct dest_batch *batch)
{
	const struct setup *setup = r->conf->setup;

	set_item(result, i, item);
	*list = item;
	*batch = (struct dest_batch){ .items = list, .count = 1, .route = item->route,
				      .is_batch = setup->limits.items > 1, .attempt = 1 };
	snprintf(batch->key, sizeof(batch->key), "%.*s", (int)result->message_id.len,
		 result->message_id.ptr);
	if (!setup->kind->build)
		return 0;
	post_request_reset(&r->request);
	return setup->kind->build(r->dest, batch, &r->request);
}

static int print_part(struct rehearse *r, const struct mapper_result *result, size_t i)
{
	const struct dest_item *list;
	struct dest_batch batch;
	struct dest_item item;
	int rc = build(r, result, i, &item, &list, &batch);

	if (rc < 0)
		return rc;
	if (!r->conf->setup->kind->build) {
		put_masked(r, item.payload);
		buf_append_char(&r->out, '\n');
		return 0;
	}
	buf_printf(&r->out, "%s ", r->request.method);
	put_masked(r, slice_from(r->request.url));
	buf_append_char(&r->out, '\n');
	for (int h = 0; h < r->request.header_count; h++) {
		/* Keys stand there in base64, too. */
		if (slice_starts(r->request.headers[h], SLICE("Authorization:")))
			buf_append_text(&r->out, "Authorization: ***");
		else
			put_masked(r, r->request.headers[h]);
		buf_append_char(&r->out, '\n');
	}
	buf_append_char(&r->out, '\n');
	put_masked(r, buf_slice(&r->request.body));
	buf_append_text(&r->out, "\n\n");
	return 0;
}

static void print_place(struct rehearse *r, const struct bus_record *record)
{
	char path[PATH_MAX], key[300];
	int done;

	snprintf(key, sizeof(key), "%.180s to %s", r->conf->topic, r->conf->setup->name);
	snprintf(path, sizeof(path), "%.3900s/position", r->conf->state_dir);
	done = position_look(path, key, record->partition, record->offset);
	buf_printf(&r->out, "%s: in %s, partition %d, offset %" PRId64 ": %s\n", r->trace,
		   r->conf->topic, record->partition, record->offset,
		   done < 0 ? "nothing was delivered yet" : done ? "done" : "not done yet");
}

static int rehearse_put(struct outlet *base, struct filter *filter,
			const struct bus_record *record, int64_t offset, struct outlet_src src,
			struct err *err)
{
	struct rehearse *r = (struct rehearse *)base;
	struct mapper_result result;
	int rc;

	(void)filter;
	(void)src;
	if (r->trace && (r->message_id < 0 ||
			 !slice_is(value_slice(&record->fields[r->message_id]), r->trace)))
		return FILTER_FILTERED;
	rc = mapper_run(r->mapper, record->fields, record->partition, offset, &result, err);
	if (rc < 0)
		return rc;
	if (r->trace)
		print_place(r, record);
	if (r->trace && result.fate != MAPPER_SENT)
		buf_printf(&r->out, "not sent: %s\n", result.why);
	for (size_t i = 0; i < result.part_count && rc == 0; i++)
		rc = print_part(r, &result, i);
	if (rc == 0)
		rc = write_out(r);
	if (rc < 0)
		return err_set(err, rc, "dry run: %s", strerror(-rc));
	return result.fate == MAPPER_SENT ? FILTER_OUT : FILTER_FILTERED;
}

static int rehearse_resume(struct outlet *base, struct bus *in, int32_t partition,
			   struct stamp_seen *seen, int64_t *next, struct err *err)
{
	struct rehearse *r = (struct rehearse *)base;

	(void)seen;
	(void)err;
	*next = BUS_OFFSET_FIRST;
	if (in && r->conf->from_us && bus_find_time(in, partition, r->conf->from_us, next) < 0)
		*next = BUS_OFFSET_FIRST;
	return 0;
}

static int rehearse_lost(struct outlet *base, int32_t partition, int64_t first, struct err *err)
{
	(void)base;
	(void)partition;
	(void)first;
	(void)err;
	return 0;
}

static int rehearse_skip(struct outlet *base, int32_t partition, int64_t offset,
			 struct outlet_src src, enum outlet_skip why, struct err *err)
{
	(void)base;
	(void)partition;
	(void)offset;
	(void)src;
	(void)why;
	(void)err;
	return 0;
}

static int rehearse_commit(struct outlet *base, struct filter *filter, struct err *err)
{
	(void)base;
	(void)filter;
	(void)err;
	return 0;
}

static void rehearse_close(struct outlet *base)
{
	struct rehearse *r = (struct rehearse *)base;

	mapper_close(r->mapper);
	if (r->dest)
		r->conf->setup->kind->close(r->dest);
	post_request_close(&r->request);
	buf_close(&r->out);
	free(r);
}

static const struct outlet_ops ops = {
	rehearse_resume, rehearse_lost, rehearse_put, rehearse_skip, rehearse_commit,
	rehearse_commit, rehearse_close,
};

static int open_for(struct rehearse **rp, const struct courier_conf *conf, bool is_test, int fd,
		    struct err *err)
{
	const struct setup *setup = conf->setup;
	struct rehearse *r = calloc(1, sizeof(*r));
	int rc;

	*rp = NULL;
	if (!r)
		return err_set(err, -ENOMEM, "no memory");
	r->base.ops = &ops;
	r->conf = conf;
	r->fd = fd;
	r->message_id = schema_find(conf->schema, "message_id");
	r->env = (struct dest_env){
		.name = setup->name, .conf = setup->conf, .schema = conf->schema,
		.topic = conf->topic, .state_dir = conf->state_dir, .log = conf->log,
		.timeout_ms = setup->limits.timeout_ms, .stop = &r->stop, .guard = conf->guard,
		.ca_file = conf->ca_file, .is_test = is_test, .is_dry = !is_test,
	};
	rc = setup->kind->open(&r->dest, &r->env, err);
	if (rc == 0)
		rc = mapper_open(&r->mapper, setup, r->dest, conf->schema, conf->topic, err);
	if (rc < 0) {
		rehearse_close(&r->base);
		return rc;
	}
	*rp = r;
	return 0;
}

int rehearse_open(struct outlet **outletp, const struct courier_conf *conf, const char *trace,
		  int fd, struct err *err)
{
	struct rehearse *r;
	int rc = open_for(&r, conf, false, fd, err);

	*outletp = NULL;
	if (rc < 0)
		return rc;
	r->trace = trace;
	*outletp = &r->base;
	return 0;
}

/* Test */

struct test {
	struct rehearse *r;
	struct dest_batch *batch;
	struct dest_result result;
	bool is_done;
};

static void answered(void *ctx, void *request_ctx, const struct post_answer *answer)
{
	struct test *test = ctx;
	const struct dest_kind *kind = test->r->conf->setup->kind;

	(void)request_ctx;
	test->is_done = true;
	if (answer->status == 0)
		dest_result_set(&test->result, answer->is_setup ? DEST_SETUP : DEST_TRANSIENT,
				slice_from(answer->error));
	else if (kind->judge)
		kind->judge(test->r->dest, test->batch, answer, &test->result);
	else
		dest_judge_status(test->batch, answer, &test->result);
}

static int post_one(struct rehearse *r, struct test *test, struct err *err)
{
	struct post_conf conf = {
		.guard = r->conf->guard, .log = r->conf->log, .connections = 1,
		.timeout_ms = r->conf->setup->limits.timeout_ms, .user_agent = "millrace",
		.ca_file = r->conf->ca_file, .done = answered, .ctx = test,
	};
	struct post *post;
	int rc = post_open(&post, &conf, err);

	if (rc == 0)
		rc = post_send(post, &r->request, test);
	while (rc == 0 && !test->is_done)
		rc = post_wait(post, 1000);
	post_close(post);
	return rc;
}

static int test_parts(struct rehearse *r, const struct mapper_result *result, struct err *err)
{
	const struct dest_kind *kind = r->conf->setup->kind;
	int rc = 0;

	if (result->fate != MAPPER_SENT)
		return err_set(err, -EINVAL, "the test event is not sent: %s", result->why);
	for (size_t i = 0; i < result->part_count && rc == 0; i++) {
		const struct dest_item *list;
		struct dest_batch batch;
		struct dest_item item;
		struct test test = { r, &batch, { .class = DEST_OK, .retry_after_ms = -1 }, false };

		rc = build(r, result, i, &item, &list, &batch);
		if (rc == 0 && kind->put)
			kind->put(r->dest, &batch, &test.result);
		else if (rc == 0)
			rc = post_one(r, &test, err);
		buf_printf(&r->out, "%s: part %zu of %zu: %s%s", r->conf->setup->name, i + 1,
			   result->part_count, dest_class_name(test.result.class),
			   test.result.words[0] ? ": " : "");
		put_masked(r, slice_from(test.result.words));
		buf_append_char(&r->out, '\n');
		if (rc == 0)
			rc = write_out(r);
		if (rc == 0 && test.result.class != DEST_OK)
			rc = err_set(err, -EHOSTUNREACH, "%s did not take the test event",
				     r->conf->setup->name);
	}
	return rc;
}

int rehearse_test(const struct courier_conf *conf, int fd, struct err *err)
{
	struct value fields[ENRICHED_COUNT];
	struct unline *unline = NULL;
	struct mapper_result result;
	char text[1024], now[WHEN_TEXT_MAX];
	struct rehearse *r;
	int rc;

	if (strcmp(conf->topic, "enriched") != 0)
		return err_set(err, -EINVAL, "only a destination of enriched can be tested");
	rc = open_for(&r, conf, true, fd, err);
	if (rc < 0)
		return rc;
	when_print(when_now_us(), 3, now);
	snprintf(text, sizeof(text), "{\"message_id\":\"test-%s\",\"type\":\"track\","
		 "\"event\":\"Millrace Test\",\"source\":\"test\",\"user_id\":\"millrace-test\","
		 "\"anonymous_id\":\"millrace-test\",\"timestamp\":\"%s\",\"received_at\":\"%s\","
		 "\"door\":\"test\",\"properties\":{\"test\":true},\"context\":{},"
		 "\"logic\":\"\"}", now, now, now);
	rc = unline_open(&unline, conf->schema, err);
	if (rc == 0)
		rc = unline_read(unline, slice_from(text), fields, err);
	if (rc == 0)
		rc = mapper_run(r->mapper, fields, 0, 0, &result, err);
	if (rc == 0)
		rc = test_parts(r, &result, err);
	unline_close(unline);
	rehearse_close(&r->base);
	return rc;
}
