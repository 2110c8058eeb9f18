/* dest_email - an email per address, through a server of one's own (smtp.h) or into a directory
 *
 *      to -> addresses -> a part each: `address` LF, then the mail (mime.h) without Message-ID
 *
 * Settings are templates of the event (template.h), or of the profile for a trigger. One address is
 * one part with a result of its own. A mail of which nobody knows whether it was taken is not sent
 * again: it is a dead letter that says so.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/dir.h"
#include "lib/when.h"
#include "sink/email.h"
#include "sink/kinds.h"
#include "sink/mime.h"
#include "sink/scope.h"
#include "sink/sheet.h"
#include "sink/smtp.h"

struct conf {
	const char *host, *tls, *user, *password, *ca_file, *outbox;
	const char *sender, *to, *reply_to, *subject, *text, *html, *missing;
	const char *unsubscribe, *unsubscribe_mailto;
	int64_t port;
};

enum place { PLACE_TO, PLACE_REPLY, PLACE_SUBJECT, PLACE_TEXT, PLACE_HTML, PLACE_URL, PLACE_MAILTO,
	     PLACE_COUNT };

struct dest {
	const struct conf *conf;
	char sender[MIME_ADDRESS_MAX + 1];      /* its bare address */
	/* map's */
	struct scope *scope;
	struct buf places[PLACE_COUNT];
	/* put's */
	struct smtp *smtp;
	struct buf mail;
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "host", DEST_FIELD_TEXT, AT(host), NULL, false, 0, 0, NULL, "the mail server" },
	{ "port", DEST_FIELD_COUNT, AT(port), "587", false, 1, 65535, NULL, "of the server" },
	{ "tls", DEST_FIELD_CHOICE, AT(tls), "starttls", false, 0, 0, "starttls|tls|none",
	  "starttls (port 587), tls from the start (465), or none" },
	{ "user", DEST_FIELD_TEXT, AT(user), NULL, false, 0, 0, NULL, "to log in as" },
	{ "password", DEST_FIELD_SECRET, AT(password), NULL, false, 0, 0, NULL, "of the user" },
	{ "ca_file", DEST_FIELD_TEXT, AT(ca_file), NULL, false, 0, 0, NULL,
	  "certificates to trust instead of the system's" },
	{ "outbox", DEST_FIELD_TEXT, AT(outbox), NULL, false, 0, 0, NULL,
	  "a directory: mails become files there, and nothing is sent" },
	{ "sender", DEST_FIELD_TEXT, AT(sender), NULL, true, 0, 0, NULL,
	  "who it is from: The shop <hello@shop.example>" },
	{ "to", DEST_FIELD_TEXT, AT(to), "{{ email }}", false, 0, 0, NULL,
	  "to whom: a template; several with commas" },
	{ "reply_to", DEST_FIELD_TEXT, AT(reply_to), NULL, false, 0, 0, NULL,
	  "where answers go" },
	{ "subject", DEST_FIELD_TEXT, AT(subject), NULL, true, 0, 0, NULL,
	  "a template: Hello {{ first_name | default: \"you\" }}" },
	{ "text", DEST_FIELD_TEXT, AT(text), NULL, false, 0, 0, NULL,
	  "the mail as plain text, a template" },
	{ "html", DEST_FIELD_TEXT, AT(html), NULL, false, 0, 0, NULL,
	  "the mail as HTML, a template; values are escaped" },
	{ "unsubscribe", DEST_FIELD_TEXT, AT(unsubscribe), NULL, false, 0, 0, NULL,
	  "https address that stops mails by one click, a template" },
	{ "unsubscribe_mailto", DEST_FIELD_TEXT, AT(unsubscribe_mailto), NULL, false, 0, 0, NULL,
	  "mail address that does so" },
	{ "missing", DEST_FIELD_CHOICE, AT(missing), "skip", false, 0, 0, "skip|empty",
	  "a name without a value and default: send nothing, or leave it empty" },
	{ .name = NULL },
};

struct slice email_to(struct slice payload)
{
	const char *end = payload.len ? memchr(payload.ptr, '\n', payload.len) : NULL;

	return (struct slice){ payload.ptr, end ? (size_t)(end - payload.ptr) : 0 };
}

struct slice email_mail(struct slice payload)
{
	return slice_skip(payload, email_to(payload).len + 1);
}

static int email_check(const void *ptr, struct err *err)
{
	const struct conf *conf = ptr;
	const struct {
		const char *name, *text;
	} templates[] = {
		{ "to", conf->to }, { "reply_to", conf->reply_to }, { "subject", conf->subject },
		{ "text", conf->text }, { "html", conf->html },
		{ "unsubscribe", conf->unsubscribe },
		{ "unsubscribe_mailto", conf->unsubscribe_mailto },
	};
	struct mime_address address;
	struct err why = { "" };

	if (!conf->host && !conf->outbox)
		return err_set(err, -EBADMSG, "host is missing: the mail server (or outbox: DIR, "
			       "which writes files)");
	if (!conf->text && !conf->html)
		return err_set(err, -EBADMSG, "text or html is missing: what the mail says");
	if (mime_address(slice_from(conf->sender), &address, &why) < 0)
		return err_set(err, -EBADMSG, "sender: %.200s", why.text);
	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++)
		if (template_check(templates[i].text, &why) < 0)
			return err_set(err, -EBADMSG, "%s: %.200s", templates[i].name, why.text);
	return 0;
}

static void email_close(struct dest *dest)
{
	if (!dest)
		return;
	smtp_close(dest->smtp);
	scope_close(dest->scope);
	for (int i = 0; i < PLACE_COUNT; i++)
		buf_close(&dest->places[i]);
	buf_close(&dest->mail);
	free(dest);
}

static int open_server(struct dest *dest, const struct dest_env *env, struct err *err)
{
	const struct conf *conf = dest->conf;
	struct smtp_conf smtp = {
		.host = conf->host, .port = conf->port, .user = conf->user,
		.password = conf->password, .timeout_ms = env->timeout_ms, .guard = env->guard,
		.stop = env->stop, .ca_file = conf->ca_file ? conf->ca_file : env->ca_file,
		.tls = strcmp(conf->tls, "tls") == 0 ? SMTP_TLS
		       : strcmp(conf->tls, "none") == 0 ? SMTP_NONE : SMTP_STARTTLS,
	};

	if (conf->outbox) {
		int rc = env->is_dry ? 0 : dir_make(conf->outbox);

		return rc < 0 ? err_set(err, rc, "outbox: %s: %s", conf->outbox, strerror(-rc))
			      : 0;
	}
	return smtp_open(&dest->smtp, &smtp, err);
}

static int email_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	struct mime_address address;
	int rc;

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->conf = env->conf;
	if ((rc = mime_address(slice_from(dest->conf->sender), &address, err)) == 0 &&
	    (rc = scope_open(&dest->scope, env->schema, env->name, err)) == 0)
		rc = open_server(dest, env, err);
	if (rc < 0) {
		email_close(dest);
		return rc;
	}
	snprintf(dest->sender, sizeof(dest->sender), "%.*s", (int)address.address.len,
		 address.address.ptr);
	*destp = dest;
	return 0;
}

/* Map */

static int fill(struct dest *dest, const struct event *event, struct err *err)
{
	const struct conf *conf = dest->conf;
	bool is_strict = strcmp(conf->missing, "skip") == 0;
	const struct {
		const char *text;
		enum template_escape escape;
		bool is_strict;
	} rules[PLACE_COUNT] = {
		{ conf->to, TEMPLATE_LINE, true }, { conf->reply_to, TEMPLATE_LINE, is_strict },
		{ conf->subject, TEMPLATE_LINE, is_strict },
		{ conf->text, TEMPLATE_TEXT, is_strict }, { conf->html, TEMPLATE_HTML, is_strict },
		{ conf->unsubscribe, TEMPLATE_URL, true },
		{ conf->unsubscribe_mailto, TEMPLATE_LINE, true },
	};
	struct template_scope names;
	int rc = scope_read(dest->scope, event, is_strict, &names, err);

	for (int i = 0; i < PLACE_COUNT && rc == 0; i++) {
		buf_reset(&dest->places[i]);
		names.is_strict = rules[i].is_strict;
		rc = template_print(rules[i].text, rules[i].escape, &names, &dest->places[i], err);
	}
	return rc;
}

static int write_one(struct dest *dest, struct slice to, struct dest_out *out, struct err *err)
{
	struct buf *places = dest->places;
	struct mime_mail mail = {
		.from = slice_from(dest->conf->sender), .to = to,
		.reply_to = buf_slice(&places[PLACE_REPLY]),
		.subject = buf_slice(&places[PLACE_SUBJECT]),
		.text = buf_slice(&places[PLACE_TEXT]), .html = buf_slice(&places[PLACE_HTML]),
		.unsubscribe = buf_slice(&places[PLACE_URL]),
		.unsubscribe_mailto = buf_slice(&places[PLACE_MAILTO]), .date_us = when_now_us(),
	};
	struct mime_address address;
	int rc = mime_address(to, &address, err);

	if (rc < 0)
		return rc;
	buf_append_slice(out->buf, address.address);
	buf_append_char(out->buf, '\n');
	rc = mime_write(&mail, out->buf, err);
	return rc < 0 ? rc : dest_out_end(out, 0);
}

static int refuse(struct dest_out *out, int rc, const struct err *err)
{
	if (rc == -ENOMEM || rc == -ENOSPC)
		return rc;
	snprintf(out->words, sizeof(out->words), "%.190s", err->text);
	return -EBADMSG;
}

static int email_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct err err = { "" };
	struct slice rest;
	int rc = fill(dest, event, &err);

	if (rc < 0)
		return refuse(out, rc, &err);
	rest = buf_slice(&dest->places[PLACE_TO]);
	while (rc == 0 && rest.len) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;

		rc = write_one(dest, (struct slice){ rest.ptr, len }, out, &err);
		rest = slice_skip(rest, comma ? len + 1 : len);
	}
	return rc < 0 ? refuse(out, rc, &err) : 0;
}

/* Put */

static void put_file(struct dest *dest, const char *key, struct dest_result *result)
{
	char path[PATH_MAX], tmp[PATH_MAX + 8], uuid[37];
	int fd, rc = 0;

	event_uuid(slice_from(key), uuid);
	if (snprintf(path, sizeof(path), "%s/%s.eml", dest->conf->outbox, uuid) >=
	    (int)sizeof(path)) {
		dest_result_set(result, DEST_SETUP, SLICE("outbox: the path is too long"));
		return;
	}
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, dest->mail.ptr, dest->mail.len) != (ssize_t)dest->mail.len ||
	    fsync(fd) < 0 || rename(tmp, path) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		dest_result_set(result, DEST_TRANSIENT, slice_from(strerror(-rc)));
}

static void put_one(struct dest *dest, const struct dest_item *item, struct dest_result *result)
{
	struct slice address = email_to(item->payload);
	char to[MIME_ADDRESS_MAX + 1], key[400];

	snprintf(to, sizeof(to), "%.*s", (int)address.len, address.ptr);
	buf_reset(&dest->mail);
	mime_message_id(item->message_id, slice_from(dest->sender), &dest->mail);
	buf_append_slice(&dest->mail, email_mail(item->payload));
	if (dest->mail.failed) {
		dest_result_set(result, DEST_TRANSIENT, SLICE("no memory"));
		return;
	}
	if (dest->smtp) {
		smtp_send(dest->smtp, dest->sender, to, buf_slice(&dest->mail), result);
		return;
	}
	snprintf(key, sizeof(key), "%.*s %s", (int)(item->message_id.len < 120
		 ? item->message_id.len : 120), item->message_id.ptr, to);
	put_file(dest, key, result);
}

static void email_put(struct dest *dest, const struct dest_batch *batch,
		      struct dest_result *results)
{
	for (size_t i = 0; i < batch->count; i++)
		put_one(dest, batch->items[i], &results[i]);
}

const struct dest_kind dest_email = {
	.name = "email",
	.summary = "an email for each event",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ANY_TOPIC | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 1, .bytes = 1 << 20, .concurrency = 1, .timeout_ms = 60000 },
	.check = email_check,
	.open = email_open,
	.map = email_map,
	.put = email_put,
	.close = email_close,
};

bool dest_email_set_to(const struct dest_kind *kind, void *ptr, const char *address)
{
	struct conf *conf = ptr;

	if (kind == &dest_email)
		conf->to = address;
	return kind == &dest_email;
}
