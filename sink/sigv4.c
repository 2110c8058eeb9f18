// SPDX-License-Identifier: Apache-2.0
#include "sink/sigv4.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HEX_LEN (2 * SHA256_DIGEST_LENGTH)

static void put_hex(const unsigned char *bytes, size_t len, char *hex)
{
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

static bool hash(struct slice text, char hex[HEX_LEN + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (!EVP_Digest(text.ptr, text.len, digest, NULL, EVP_sha256(), NULL))
		return false;
	put_hex(digest, SHA256_DIGEST_LENGTH, hex);
	return true;
}

static bool hmac(const unsigned char *key, size_t key_len, struct slice text, unsigned char *digest)
{
	return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text.ptr, text.len,
		    digest, NULL) != NULL;
}

void sigv4_encode(struct slice text, bool is_path, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if ((isalnum(c) && c < 0x80) || strchr("-._~", c) ||
		    (is_path && c == '/'))
			buf_append_char(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* A header is "Name: value". */
static int compare(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;

	return strncasecmp(x->ptr, y->ptr, 40);
}

static void put_name(struct slice header, struct buf *out)
{
	for (size_t i = 0; i < header.len && header.ptr[i] != ':'; i++)
		buf_append_char(out, (char)tolower((unsigned char)header.ptr[i]));
}

static void put_value(struct slice header, struct buf *out)
{
	const char *colon = memchr(header.ptr, ':', header.len);

	header = slice_skip(header, (size_t)(colon - header.ptr) + 1);
	while (header.len && header.ptr[0] == ' ')
		header = slice_skip(header, 1);
	buf_append_slice(out, header);
}

struct url {
	struct slice host, path, query;
};

static int split(const char *text, struct url *url)
{
	const char *host = strstr(text, "://"), *path, *query;

	if (!host)
		return -EBADMSG;
	host += 3;
	path = host + strcspn(host, "/?");
	query = strchr(path, '?');
	url->host = (struct slice){ host, (size_t)(path - host) };
	url->path = (struct slice){ path, query ? (size_t)(query - path) : strlen(path) };
	url->query = slice_from(query ? query + 1 : "");
	if (!url->path.len)
		url->path = SLICE("/");
	return 0;
}

/* `names` gets "host;x-amz-date;.."; the hash is of the canonical request. */
static int hash_request(const struct post_request *request, const char *body_hash,
			struct buf *names, char hex[HEX_LEN + 1])
{
	struct slice headers[POST_HEADERS_MAX + 1];
	int count = request->header_count;
	char host[POST_URL_MAX + 8];
	struct buf text = { 0 };
	struct url url;
	int rc = split(request->url, &url);

	if (rc < 0)
		return rc;
	memcpy(headers, request->headers, (size_t)count * sizeof(*headers));
	snprintf(host, sizeof(host), "host: %.*s", (int)url.host.len, url.host.ptr);
	headers[count++] = slice_from(host);
	qsort(headers, (size_t)count, sizeof(*headers), compare);
	buf_printf(&text, "%s\n", request->method);
	buf_append_slice(&text, url.path);
	buf_append_char(&text, '\n');
	buf_append_slice(&text, url.query);
	buf_append_char(&text, '\n');
	for (int i = 0; i < count; i++) {
		put_name(headers[i], &text);
		buf_append_char(&text, ':');
		put_value(headers[i], &text);
		buf_append_char(&text, '\n');
		if (i)
			buf_append_char(names, ';');
		put_name(headers[i], names);
	}
	buf_append_char(&text, '\n');
	buf_append_slice(&text, buf_slice(names));
	buf_printf(&text, "\n%s", body_hash);
	rc = text.failed || names->failed || !hash(buf_slice(&text), hex) ? -ENOMEM : 0;
	buf_close(&text);
	return rc;
}

static int sign_text(const struct sigv4 *sigv4, const char *day, const char *text,
		     char hex[HEX_LEN + 1])
{
	unsigned char key[EVP_MAX_MD_SIZE];
	char secret[256];
	int len = snprintf(secret, sizeof(secret), "AWS4%s", sigv4->secret_key);
	bool fine = len < (int)sizeof(secret) &&
		    hmac((const unsigned char *)secret, (size_t)len, slice_from(day), key) &&
		    hmac(key, 32, slice_from(sigv4->region), key) &&
		    hmac(key, 32, slice_from(sigv4->service), key) &&
		    hmac(key, 32, SLICE("aws4_request"), key) &&
		    hmac(key, 32, slice_from(text), key);

	put_hex(key, SHA256_DIGEST_LENGTH, hex);
	explicit_bzero(secret, sizeof(secret));
	return fine ? 0 : -EBADMSG;
}

int sigv4_sign(const struct sigv4 *sigv4, int64_t now_us, struct post_request *request)
{
	time_t seconds = (time_t)(now_us / 1000000);
	char body[HEX_LEN + 1], hashed[HEX_LEN + 1], signature[HEX_LEN + 1];
	char stamp[20], day[9], scope[200], text[500];
	struct buf names = { 0 }, value = { 0 };
	struct tm tm;
	int rc;

	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	strftime(day, sizeof(day), "%Y%m%d", &tm);
	if (!hash(buf_slice(&request->body), body))
		return -ENOMEM;
	if ((rc = post_header(request, "x-amz-date", slice_from(stamp))) < 0 ||
	    (rc = post_header(request, "x-amz-content-sha256", slice_from(body))) < 0 ||
	    (sigv4->session_token && (rc = post_header(request, "x-amz-security-token",
						       slice_from(sigv4->session_token))) < 0) ||
	    (rc = hash_request(request, body, &names, hashed)) < 0)
		goto out;
	snprintf(scope, sizeof(scope), "%s/%s/%s/aws4_request", day, sigv4->region,
		 sigv4->service);
	snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", stamp, scope, hashed);
	if ((rc = sign_text(sigv4, day, text, signature)) < 0)
		goto out;
	buf_printf(&value, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%.*s, Signature=%s",
		   sigv4->access_key, scope, (int)names.len, names.ptr, signature);
	rc = value.failed ? -ENOMEM : post_header(request, "Authorization", buf_slice(&value));
out:
	buf_close(&names);
	buf_close(&value);
	return rc;
}
