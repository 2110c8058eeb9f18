/* dest_slack - a post by an incoming webhook of Slack (or Mattermost, Rocket.Chat)
 *
 *      {"text": ".."}      200 `ok`, or a word for what is wrong
 *
 * Slack: one message a second and webhook; text up to 40,000 characters (api.slack.com/messaging/
 * webhooks). The URL is the password, so it is a secret.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/kinds.h"
#include "sink/scope.h"

#define TEXT_MAX ((size_t)40000)

struct conf {
	const char *url, *text, *missing;
};

struct dest {
	const struct conf *conf;
	struct scope *scope;
	struct buf text;
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "url", DEST_FIELD_SECRET, AT(url), NULL, true, 0, 0, NULL,
	  "incoming webhook: https://hooks.slack.com/services/.." },
	{ "text", DEST_FIELD_TEXT, AT(text), NULL, true, 0, 0, NULL,
	  "what it says, a template; Slack's mrkdwn" },
	{ "missing", DEST_FIELD_CHOICE, AT(missing), "skip", false, 0, 0, "skip|empty",
	  "a name without a value and default: send nothing, or leave it empty" },
	{ .name = NULL },
};

static int slack_check(const void *ptr, struct err *err)
{
	const struct conf *conf = ptr;
	struct err why = { "" };

	if (strncmp(conf->url, "https://", 8) != 0 && strncmp(conf->url, "http://", 7) != 0)
		return err_set(err, -EBADMSG, "url: an incoming webhook begins with https://");
	if (template_check(conf->text, &why) < 0)
		return err_set(err, -EBADMSG, "text: %.200s", why.text);
	return 0;
}

static void slack_close(struct dest *dest)
{
	if (!dest)
		return;
	scope_close(dest->scope);
	buf_close(&dest->text);
	free(dest);
}

static int slack_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	int rc;

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->conf = env->conf;
	rc = scope_open(&dest->scope, env->schema, env->name, err);
	if (rc < 0) {
		slack_close(dest);
		return rc;
	}
	*destp = dest;
	return 0;
}

static int slack_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct template_scope names;
	struct err err = { "" };
	int rc = scope_read(dest->scope, event, strcmp(dest->conf->missing, "skip") == 0, &names,
			    &err);

	buf_reset(&dest->text);
	if (rc == 0)
		rc = template_print(dest->conf->text, TEMPLATE_SLACK, &names, &dest->text, &err);
	if (rc == -ENOMEM)
		return rc;
	if (rc == 0 && dest->text.len > TEXT_MAX)
		rc = err_set(&err, -EBADMSG, "the text has over 40,000 bytes");
	if (rc == 0 && !dest->text.len)
		rc = err_set(&err, -EBADMSG, "the text is empty");
	if (rc < 0) {
		snprintf(out->words, sizeof(out->words), "%.190s", err.text);
		return -EBADMSG;
	}
	buf_append_text(out->buf, "{\"text\":");
	json_write_text(buf_slice(&dest->text), out->buf);
	buf_append_char(out->buf, '}');
	return dest_out_end(out, 0);
}

static int slack_build(struct dest *dest, const struct dest_batch *batch,
		       struct post_request *request)
{
	if (snprintf(request->url, sizeof(request->url), "%s", dest->conf->url) >=
	    (int)sizeof(request->url))
		return -ENAMETOOLONG;
	buf_append_slice(&request->body, batch->items[0]->payload);
	return post_header(request, "Content-Type", SLICE("application/json"));
}

/* 400 is the message's fault for some words, the settings' for others: user_not_found,
 * channel_is_archived, no_service, action_prohibited, posting_to_general_channel_denied. */
static void slack_judge(struct dest *dest, const struct dest_batch *batch,
			const struct post_answer *answer, struct dest_result *results)
{
	static const char *const mine[] = { "invalid_payload", "no_text", "too_many_attachments",
					    "msg_too_long", "invalid_blocks" };

	(void)dest;
	dest_judge_status(batch, answer, results);
	if (results[0].class != DEST_INVALID || answer->status != 400)
		return;
	for (size_t i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
		if (slice_starts(answer->body, slice_from(mine[i])))
			return;
	results[0].class = DEST_SETUP;
}

const struct dest_kind dest_slack = {
	.name = "slack",
	.summary = "a post in a Slack channel for each event",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ANY_TOPIC | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 1, .bytes = 256 << 10, .concurrency = 1, .per_second = 1 },
	.check = slack_check,
	.open = slack_open,
	.map = slack_map,
	.build = slack_build,
	.judge = slack_judge,
	.close = slack_close,
};
