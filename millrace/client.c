// SPDX-License-Identifier: Apache-2.0
#include "millrace/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct client {
	CURL *curl;
	struct curl_slist *headers;
	char *url;              /* owned, without the last slash */
	char *target;           /* owned: the url of the request */
	char said[CURL_ERROR_SIZE];
};

int client_open(struct client **clientp, const char *url, const char *user, int64_t timeout_ms,
		struct err *err)
{
	struct client *client = calloc(1, sizeof(*client));
	size_t len;

	if (!client)
		return err_set(err, -ENOMEM, "no memory for a client");
	client->curl = curl_easy_init();
	client->url = strdup(url);
	client->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!client->curl || !client->url || !client->headers) {
		client_close(client);
		return err_set(err, -ENOMEM, "no memory for a client");
	}
	len = strlen(client->url);
	if (len && client->url[len - 1] == '/')
		client->url[len - 1] = '\0';
	curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, client->said);
	curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	/* The own machine is not behind a proxy, whatever the environment says. */
	curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->headers);
	if (user) {
		curl_easy_setopt(client->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(client->curl, CURLOPT_USERNAME, user);
	}
	*clientp = client;
	return 0;
}

int client_accept(struct client *client, const char *type)
{
	char line[100];
	struct curl_slist *headers;

	snprintf(line, sizeof(line), "Accept: %s", type);
	headers = curl_slist_append(client->headers, line);
	if (!headers)
		return -ENOMEM;
	client->headers = headers;
	return 0;
}

void client_close(struct client *client)
{
	if (!client)
		return;
	curl_slist_free_all(client->headers);
	curl_easy_cleanup(client->curl);
	free(client->target);
	free(client->url);
	free(client);
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *ctx)
{
	struct buf *answer = ctx;

	buf_append(answer, bytes, size * count);
	return answer->failed ? 0 : size * count;
}

static int failure(struct client *client, CURLcode code, struct err *err)
{
	const char *words = client->said[0] ? client->said : curl_easy_strerror(code);

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return err_set(err, -ECONNREFUSED, "nobody answers at %s", client->url);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, -ETIMEDOUT, "%s did not answer in time", client->url);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(err, -EINVAL, "'%.100s' is no http:// address", client->url);
	default:
		return err_set(err, -EIO, "%s: %s", client->url, words);
	}
}

int client_send(struct client *client, const char *path, struct slice body, struct buf *answer,
		int64_t *retry_after, struct err *err)
{
	size_t size = strlen(client->url) + strlen(path) + 1;
	long status = 0;
	CURLcode code;

	free(client->target);
	client->target = malloc(size);
	if (!client->target)
		return -ENOMEM;
	memcpy(client->target, client->url, strlen(client->url));
	memcpy(client->target + strlen(client->url), path, strlen(path) + 1);
	buf_reset(answer);
	answer->limit = CLIENT_ANSWER_MAX;
	client->said[0] = '\0';
	curl_easy_setopt(client->curl, CURLOPT_URL, client->target);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, answer);
	if (body.ptr) {
		curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body.ptr);
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	} else {
		curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
	}
	code = curl_easy_perform(client->curl);
	if (code != CURLE_OK)
		return failure(client, code, err);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (retry_after) {
		curl_off_t seconds = 0;

		curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &seconds);
		*retry_after = (int64_t)seconds;
	}
	return (int)status;
}
