/* dest_discord - a post by a webhook of Discord
 *
 *      {"content": "..", "allowed_mentions": {"parse": []}, "username": ".."}
 *
 * Up to 2,000 characters, else 400. 429 has retry_after in its body, in seconds. Nobody is
 * mentioned, whatever a person calls himself. The URL is the password, so it is a secret.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/kinds.h"
#include "sink/scope.h"

#define TEXT_CHARS 2000

struct conf {
	const char *url, *text, *username, *missing;
};

struct dest {
	const struct conf *conf;
	struct scope *scope;
	struct buf text;
	struct json_reader *json;       /* judge's */
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "url", DEST_FIELD_SECRET, AT(url), NULL, true, 0, 0, NULL,
	  "webhook: https://discord.com/api/webhooks/.." },
	{ "text", DEST_FIELD_TEXT, AT(text), NULL, true, 0, 0, NULL,
	  "what it says, a template; Discord's Markdown" },
	{ "username", DEST_FIELD_TEXT, AT(username), NULL, false, 0, 0, NULL,
	  "name to post as, instead of the webhook's" },
	{ "missing", DEST_FIELD_CHOICE, AT(missing), "skip", false, 0, 0, "skip|empty",
	  "a name without a value and default: send nothing, or leave it empty" },
	{ .name = NULL },
};

static int discord_check(const void *ptr, struct err *err)
{
	const struct conf *conf = ptr;
	struct err why = { "" };

	if (strncmp(conf->url, "https://", 8) != 0 && strncmp(conf->url, "http://", 7) != 0)
		return err_set(err, -EBADMSG, "url: a webhook begins with https://");
	if (template_check(conf->text, &why) < 0)
		return err_set(err, -EBADMSG, "text: %.200s", why.text);
	return 0;
}

static void discord_close(struct dest *dest)
{
	if (!dest)
		return;
	scope_close(dest->scope);
	json_close(dest->json);
	buf_close(&dest->text);
	free(dest);
}

static int discord_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	int rc;

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->conf = env->conf;
	if ((rc = json_open(&dest->json, err)) < 0 ||
	    (rc = scope_open(&dest->scope, env->schema, env->name, err)) < 0) {
		discord_close(dest);
		return rc;
	}
	*destp = dest;
	return 0;
}

static size_t count_chars(struct slice text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.len; i++)
		count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return count;
}

static int discord_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct template_scope names;
	struct err err = { "" };
	int rc = scope_read(dest->scope, event, strcmp(dest->conf->missing, "skip") == 0, &names,
			    &err);

	buf_reset(&dest->text);
	if (rc == 0)
		rc = template_print(dest->conf->text, TEMPLATE_MARKDOWN, &names, &dest->text,
				    &err);
	if (rc == -ENOMEM)
		return rc;
	if (rc == 0 && count_chars(buf_slice(&dest->text)) > TEXT_CHARS)
		rc = err_set(&err, -EBADMSG, "the text has over 2,000 characters (truncate?)");
	if (rc == 0 && !dest->text.len)
		rc = err_set(&err, -EBADMSG, "the text is empty");
	if (rc < 0) {
		snprintf(out->words, sizeof(out->words), "%.190s", err.text);
		return -EBADMSG;
	}
	buf_append_text(out->buf, "{\"content\":");
	json_write_text(buf_slice(&dest->text), out->buf);
	if (dest->conf->username) {
		buf_append_text(out->buf, ",\"username\":");
		json_write_text(slice_from(dest->conf->username), out->buf);
	}
	buf_append_text(out->buf, ",\"allowed_mentions\":{\"parse\":[]}}");
	return dest_out_end(out, 0);
}

static int discord_build(struct dest *dest, const struct dest_batch *batch,
			 struct post_request *request)
{
	if (snprintf(request->url, sizeof(request->url), "%s", dest->conf->url) >=
	    (int)sizeof(request->url))
		return -ENAMETOOLONG;
	buf_append_slice(&request->body, batch->items[0]->payload);
	return post_header(request, "Content-Type", SLICE("application/json"));
}

static void discord_judge(struct dest *dest, const struct dest_batch *batch,
			  const struct post_answer *answer, struct dest_result *results)
{
	yyjson_val *root;
	double seconds;

	dest_judge_status(batch, answer, results);
	if (results[0].class == DEST_THROTTLED &&
	    json_parse(dest->json, answer->body, &root, NULL) == 0 &&
	    json_get(root, "retry_after") &&
	    json_real(json_get(root, "retry_after"), &seconds) == 0 && seconds >= 0 &&
	    seconds < 3600)
		results[0].retry_after_ms = (int64_t)(seconds * 1000) + 1;
}

const struct dest_kind dest_discord = {
	.name = "discord",
	.summary = "a post in a Discord channel for each event",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ANY_TOPIC | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 1, .bytes = 64 << 10, .concurrency = 1, .per_second = 2 },
	.check = discord_check,
	.open = discord_open,
	.map = discord_map,
	.build = discord_build,
	.judge = discord_judge,
	.close = discord_close,
};
