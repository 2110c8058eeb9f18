/* dest_webhook - JSON to a URL of somebody's own
 *
 *      one event       its JSON object (or what `map` makes; a text is sent as it is)
 *      batch_size > 1  format array: [..]; format lines: one a line
 *
 * Headers by the Standard Webhooks specification, so that receivers have libraries to check them:
 *      webhook-id         the batch's key: the same on every retry
 *      webhook-timestamp  seconds
 *      webhook-signature  v1,BASE64(HMAC-SHA256(secret, ID.TIMESTAMP.BODY))
 * and Idempotency-Key, the same as webhook-id. A batch is taken or refused whole.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/when.h"
#include "sink/kinds.h"

#define SECRET_PREFIX "whsec_"

struct conf {
	const char *url, *method, *format, *content_type, *authorization, *secret;
	const struct yaml *headers;
	bool gzip;
};

struct dest {
	const struct conf *conf;
	unsigned char secret[1024];
	size_t secret_len;
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "url", DEST_FIELD_URL, AT(url), NULL, true, 0, 0, NULL, "where it goes" },
	{ "method", DEST_FIELD_CHOICE, AT(method), "POST", false, 0, 0, "POST|PUT|PATCH",
	  "of the request" },
	{ "format", DEST_FIELD_CHOICE, AT(format), "array", false, 0, 0, "array|lines",
	  "of a batch (batch_size over 1): a JSON array, or one JSON a line" },
	{ "content_type", DEST_FIELD_TEXT, AT(content_type), NULL, false, 0, 0, NULL,
	  "instead of application/json, or application/x-ndjson for lines" },
	{ "authorization", DEST_FIELD_SECRET, AT(authorization), NULL, false, 0, 0, NULL,
	  "the Authorization header, such as `Bearer ..`" },
	{ "secret", DEST_FIELD_SECRET, AT(secret), NULL, false, 0, 0, NULL,
	  "key of the signature: text, or whsec_ and base64" },
	{ "headers", DEST_FIELD_MAP, AT(headers), NULL, false, 0, 0, NULL, "more headers" },
	{ "gzip", DEST_FIELD_FLAG, AT(gzip), "no", false, 0, 0, NULL, "pack the body" },
	{ .name = NULL },
};

static int webhook_check(const void *ptr, struct err *err)
{
	const struct conf *conf = ptr;

	for (const struct yaml *at = conf->headers ? conf->headers->first : NULL; at; at = at->next)
		if (at->kind != YAML_KIND_SCALAR || strpbrk(at->text, "\r\n") ||
		    strpbrk(at->key, "\r\n: "))
			return err_set(err, -EBADMSG, "headers, line %d: `Name: value` is wanted",
				       at->line);
	return 0;
}

static void webhook_close(struct dest *dest)
{
	if (dest)
		explicit_bzero(dest->secret, sizeof(dest->secret));
	free(dest);
}

static int webhook_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	const char *secret;
	int len;

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->conf = env->conf;
	secret = dest->conf->secret ? dest->conf->secret : "";
	if (strncmp(secret, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0) {
		secret += strlen(SECRET_PREFIX);
		len = strlen(secret) > 1024 ? -1
		      : EVP_DecodeBlock(dest->secret, (const unsigned char *)secret,
					(int)strlen(secret));
		while (len > 0 && *secret && secret[strlen(secret) - 1] == '=' && len % 3 == 0)
			len -= secret[strlen(secret) - 2] == '=' ? 2 : 1;
	} else {
		len = (int)strlen(secret);
		if (len < (int)sizeof(dest->secret))
			memcpy(dest->secret, secret, (size_t)len);
	}
	if (len < 0 || len >= (int)sizeof(dest->secret)) {
		webhook_close(dest);
		return err_set(err, -EBADMSG, "secret: after whsec_ base64 of up to 700 bytes is "
			       "wanted");
	}
	dest->secret_len = (size_t)len;
	*destp = dest;
	return 0;
}

static int webhook_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	(void)dest;
	buf_append_slice(out->buf, event->mapped.ptr ? event->mapped : event_line(event));
	return dest_out_end(out, 0);
}

static int sign(const struct dest *dest, const char *key, struct post_request *request)
{
	char stamp[24], value[80] = "v1,";
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf text = { 0 };
	unsigned len = 0;
	int rc;

	snprintf(stamp, sizeof(stamp), "%lld", (long long)(when_now_us() / 1000000));
	rc = post_header(request, "webhook-timestamp", slice_from(stamp));
	if (rc < 0 || !dest->secret_len)
		return rc;
	buf_printf(&text, "%s.%s.", key, stamp);
	buf_append_slice(&text, buf_slice(&request->body));
	if (text.failed || !HMAC(EVP_sha256(), dest->secret, (int)dest->secret_len,
				 (const unsigned char *)text.ptr, text.len, digest, &len))
		rc = -ENOMEM;
	buf_close(&text);
	EVP_EncodeBlock((unsigned char *)value + 3, digest, (int)len);
	return rc < 0 ? rc : post_header(request, "webhook-signature", slice_from(value));
}

static void put_body(const struct dest *dest, const struct dest_batch *batch, bool is_batch,
		     struct buf *body)
{
	bool lines = strcmp(dest->conf->format, "lines") == 0;

	if (is_batch && !lines)
		buf_append_char(body, '[');
	for (size_t i = 0; i < batch->count; i++) {
		if (i && !lines)
			buf_append_char(body, ',');
		buf_append_slice(body, batch->items[i]->payload);
		if (lines)
			buf_append_char(body, '\n');
	}
	if (is_batch && !lines)
		buf_append_char(body, ']');
}

static int webhook_build(struct dest *dest, const struct dest_batch *batch,
			 struct post_request *request)
{
	const struct conf *conf = dest->conf;
	bool lines = strcmp(conf->format, "lines") == 0;
	const char *type = conf->content_type ? conf->content_type
			   : lines ? "application/x-ndjson" : "application/json";
	int rc;

	request->method = conf->method;
	snprintf(request->url, sizeof(request->url), "%s", conf->url);
	request->gzip = conf->gzip;
	put_body(dest, batch, batch->is_batch, &request->body);
	if ((rc = post_header(request, "Content-Type", slice_from(type))) < 0 ||
	    (rc = post_header(request, "Idempotency-Key", slice_from(batch->key))) < 0 ||
	    (rc = post_header(request, "webhook-id", slice_from(batch->key))) < 0 ||
	    (rc = sign(dest, batch->key, request)) < 0)
		return rc;
	if (conf->authorization)
		rc = post_header(request, "Authorization", slice_from(conf->authorization));
	for (const struct yaml *at = conf->headers ? conf->headers->first : NULL; at && rc == 0;
	     at = at->next)
		rc = post_header(request, at->key, slice_from(at->text));
	return rc;
}

const struct dest_kind dest_webhook = {
	.name = "webhook",
	.summary = "signed JSON to a URL of your own",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ATOMIC | DEST_WHOLE | DEST_ANY_TOPIC | DEST_RAW_MAP,
	.accepts = DEST_ALL,
	.limits = { .items = 1, .items_max = 1000, .bytes = 4 << 20, .wait_ms = 200,
		    .concurrency = 8 },
	.check = webhook_check,
	.open = webhook_open,
	.map = webhook_map,
	.build = webhook_build,
	.close = webhook_close,
};
