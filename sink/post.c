// SPDX-License-Identifier: Apache-2.0
#include "sink/post.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/when.h"
#include "sink/guard.h"

#define ANSWER_HEADERS_MAX ((size_t)16 << 10)
#define CONNECT_MS         10000
#define IDLE_S             60L
#define RETRY_AFTER_MAX_MS ((int64_t)3600 * 1000)

struct call {
	struct post *post;
	struct call *next;              /* free list */
	CURL *curl;                     /* kept with its connection between requests */
	const struct post_request *request;
	void *request_ctx;
	struct curl_slist *headers;
	struct buf packed, body, head;
	bool is_allowed;                /* the host, by name */
	bool is_cut;
	const char *refused;            /* why no socket was made */
	char host[128];                 /* as the URL has it, for words */
	char error[CURL_ERROR_SIZE];
	char words[CURL_ERROR_SIZE + 160];
};

struct post {
	struct post_conf conf;
	CURLM *multi;
	struct call *free, *all[256];
	int call_count;
	int running;
};

int post_header(struct post_request *request, const char *name, struct slice value)
{
	char *at = request->header_text + request->header_len;
	size_t name_len = strlen(name), len = name_len + 2 + value.len;

	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
			return -EBADMSG;
	if (request->header_count == POST_HEADERS_MAX ||
	    len + 1 > POST_HEADER_BYTES - request->header_len)
		return -ENOSPC;
	memcpy(at, name, name_len);
	memcpy(at + name_len, ": ", 2);
	if (value.len)
		memcpy(at + name_len + 2, value.ptr, value.len);
	at[len] = '\0';
	request->headers[request->header_count++] = (struct slice){ at, len };
	request->header_len += len + 1;
	return 0;
}

void post_request_reset(struct post_request *request)
{
	request->method = "POST";
	request->url[0] = '\0';
	buf_reset(&request->body);
	request->gzip = false;
	request->header_count = 0;
	request->header_len = 0;
}

void post_request_close(struct post_request *request)
{
	buf_close(&request->body);
}

struct slice post_answer_header(const struct post_answer *answer, const char *name)
{
	struct slice rest = answer->headers, found = { NULL, 0 };
	size_t len = strlen(name);

	while (rest.len) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t line = end ? (size_t)(end - rest.ptr) + 1 : rest.len;

		if (line > len && rest.ptr[len] == ':' && strncasecmp(rest.ptr, name, len) == 0) {
			found = (struct slice){ rest.ptr + len + 1, line - len - 1 };
			while (found.len && (found.ptr[0] == ' ' || found.ptr[0] == '\t'))
				found = slice_skip(found, 1);
			while (found.len && (unsigned char)found.ptr[found.len - 1] <= ' ')
				found.len--;
		}
		rest = slice_skip(rest, line);
	}
	return found;
}

/* Seconds, or a date of HTTP. */
static int64_t retry_after(const struct post_answer *answer)
{
	struct slice text = post_answer_header(answer, "retry-after");
	char copy[64];
	int64_t ms = 0;
	time_t when;

	if (!text.ptr || text.len == 0 || text.len >= sizeof(copy))
		return -1;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (strspn(copy, "0123456789") == text.len) {
		ms = text.len > 7 ? RETRY_AFTER_MAX_MS : (int64_t)strtoll(copy, NULL, 10) * 1000;
	} else {
		when = curl_getdate(copy, NULL);
		if (when < 0)
			return -1;
		ms = (int64_t)when * 1000 - when_now_us() / 1000;
	}
	return ms < 0 ? 0 : ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : ms;
}

static size_t take_body(char *bytes, size_t one, size_t len, void *ctx)
{
	struct call *call = ctx;
	size_t room = POST_BODY_MAX - call->body.len;

	(void)one;
	if (len > room) {
		call->is_cut = true;
		buf_append(&call->body, bytes, room);
		return 0;               /* no more of it: the connection ends */
	}
	buf_append(&call->body, bytes, len);
	return call->body.failed ? 0 : len;
}

static size_t take_header(char *bytes, size_t one, size_t len, void *ctx)
{
	struct call *call = ctx;

	(void)one;
	/* A status line begins anew: what came before was 100 Continue. */
	if (len > 5 && memcmp(bytes, "HTTP/", 5) == 0)
		buf_reset(&call->head);
	if (call->head.len + len <= ANSWER_HEADERS_MAX)
		buf_append(&call->head, bytes, len);
	return len;
}

/* The address here is the one that is connected to. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct call *call = ctx;
	const char *why = call->is_allowed ? NULL : guard_check(&address->addr);

	(void)purpose;
	if (why) {
		call->refused = why;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool set_options(struct call *call)
{
	CURL *c = call->curl;
	const struct post_conf *conf = &call->post->conf;

	return !(curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) ||
		 curl_easy_setopt(c, CURLOPT_PRIVATE, call) ||
		 curl_easy_setopt(c, CURLOPT_ERRORBUFFER, call->error) ||
		 curl_easy_setopt(c, CURLOPT_PROXY, "") ||
		 curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) ||
		 curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") ||
		 curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) ||
		 curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) ||
		 curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) ||
		 curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
				  (long)(conf->timeout_ms < CONNECT_MS ? conf->timeout_ms
								       : CONNECT_MS)) ||
		 curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)conf->timeout_ms) ||
		 curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, IDLE_S) ||
		 curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 16384L) ||
		 curl_easy_setopt(c, CURLOPT_USERAGENT, conf->user_agent) ||
		 curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) ||
		 curl_easy_setopt(c, CURLOPT_WRITEDATA, call) ||
		 curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header) ||
		 curl_easy_setopt(c, CURLOPT_HEADERDATA, call) ||
		 curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket) ||
		 curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, call) ||
		 (conf->ca_file && curl_easy_setopt(c, CURLOPT_CAINFO, conf->ca_file)));
}

static struct call *new_call(struct post *post)
{
	struct call *call;

	if (post->free) {
		call = post->free;
		post->free = call->next;
		return call;
	}
	if (post->call_count == (int)(sizeof(post->all) / sizeof(post->all[0])))
		return NULL;
	call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	call->post = post;
	call->head.limit = ANSWER_HEADERS_MAX;
	call->curl = curl_easy_init();
	if (!call->curl || !set_options(call)) {
		curl_easy_cleanup(call->curl);
		free(call);
		return NULL;
	}
	post->all[post->call_count++] = call;
	return call;
}

static void release(struct call *call)
{
	curl_slist_free_all(call->headers);
	call->headers = NULL;
	call->request = NULL;
	call->next = call->post->free;
	call->post->free = call;
}

int post_open(struct post **postp, const struct post_conf *conf, struct err *err)
{
	struct post *post = calloc(1, sizeof(*post));

	*postp = NULL;
	if (!post || curl_global_init(CURL_GLOBAL_DEFAULT) ||
	    !(post->multi = curl_multi_init())) {
		free(post);
		return err_set(err, -ENOMEM, "libcurl cannot start");
	}
	post->conf = *conf;
	if (post->conf.connections > (int)(sizeof(post->all) / sizeof(post->all[0])))
		post->conf.connections = (int)(sizeof(post->all) / sizeof(post->all[0]));
	curl_multi_setopt(post->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	curl_multi_setopt(post->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)conf->connections);
	curl_multi_setopt(post->multi, CURLMOPT_MAXCONNECTS, (long)conf->connections);
	*postp = post;
	return 0;
}

void post_close(struct post *post)
{
	if (!post)
		return;
	for (int i = 0; i < post->call_count; i++) {
		struct call *call = post->all[i];

		if (call->request)
			curl_multi_remove_handle(post->multi, call->curl);
		curl_easy_cleanup(call->curl);
		curl_slist_free_all(call->headers);
		buf_close(&call->packed);
		buf_close(&call->body);
		buf_close(&call->head);
		free(call);
	}
	curl_multi_cleanup(post->multi);
	free(post);
}

/* gzip's own format; level 1 is three times as fast as 6 and packs JSON nearly as well. */
static int pack(struct slice bytes, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)bytes.ptr, .avail_in = (uInt)bytes.len };
	size_t bound;
	int rc;

	buf_reset(out);
	if (bytes.len > UINT32_MAX / 2 ||
	    deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&z, (uLong)bytes.len);
	z.next_out = (Bytef *)buf_reserve(out, bound);
	z.avail_out = (uInt)bound;
	rc = z.next_out ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	out->len = z.total_out;
	deflateEnd(&z);
	return rc == Z_STREAM_END ? 0 : -ENOMEM;
}

static bool add_header(struct call *call, const char *line)
{
	struct curl_slist *list = curl_slist_append(call->headers, line);

	if (list)
		call->headers = list;
	return list != NULL;
}

/* The host as the guard's list names it; https unless that list has it. */
static int check_url(struct call *call, const char *url)
{
	CURLU *parsed = curl_url();
	char *host = NULL, *scheme = NULL;
	int rc = -ENOMEM;

	if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK) {
		snprintf(call->host, sizeof(call->host), "%s", host);
		call->is_allowed = guard_allows(call->post->conf.guard, host);
		rc = strcmp(scheme, "https") == 0 || call->is_allowed ? 0 : -EACCES;
	}
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(parsed);
	return rc;
}

static int fill(struct call *call, const struct post_request *request)
{
	struct slice body = buf_slice(&request->body);
	bool gzip = request->gzip && body.len;
	CURL *c = call->curl;
	int rc = check_url(call, request->url);

	if (rc == -EACCES)              /* told when it is polled, as other setup errors are */
		call->refused = "http without TLS (use https)";
	else if (rc < 0)
		return rc;
	if (gzip && (rc = pack(body, &call->packed)) < 0)
		return rc;
	if (gzip)
		body = buf_slice(&call->packed);
	for (int i = 0; i < request->header_count; i++)
		if (!add_header(call, request->headers[i].ptr))
			return -ENOMEM;
	/* Without these curl would wait for `100 Continue`. */
	if (!add_header(call, "Expect:") ||
	    (gzip && !add_header(call, "Content-Encoding: gzip")))
		return -ENOMEM;
	if (curl_easy_setopt(c, CURLOPT_URL, request->url) ||
	    curl_easy_setopt(c, CURLOPT_HTTPHEADER, call->headers) ||
	    curl_easy_setopt(c, CURLOPT_POSTFIELDS, strcmp(request->method, "GET") == 0
						    ? NULL : body.ptr) ||
	    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) ||
	    curl_easy_setopt(c, CURLOPT_POST, strcmp(request->method, "GET") != 0 ? 1L : 0L) ||
	    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, request->method))
		return -ENOMEM;
	if (strcmp(request->method, "GET") == 0)
		return curl_easy_setopt(c, CURLOPT_HTTPGET, 1L) ? -ENOMEM : 0;
	return 0;
}

static void finish(struct call *call, const struct post_answer *answer)
{
	struct post *post = call->post;
	void *ctx = call->request_ctx;

	post->running--;
	post->conf.done(post->conf.ctx, ctx, answer);
	release(call);
}

int post_send(struct post *post, const struct post_request *request, void *request_ctx)
{
	struct call *call = new_call(post);
	int rc;

	if (!call)
		return -ENOMEM;
	buf_reset(&call->body);
	buf_reset(&call->head);
	call->is_cut = false;
	call->refused = NULL;
	call->error[0] = '\0';
	call->request_ctx = request_ctx;
	rc = fill(call, request);
	call->request = request;
	/* A URL that may not be fetched fails as an unreachable one would, later and by done. */
	if (rc == 0 && call->refused &&
	    curl_easy_setopt(call->curl, CURLOPT_PROTOCOLS_STR, "https"))
		rc = -ENOMEM;
	if (rc == 0 && !call->refused &&
	    curl_easy_setopt(call->curl, CURLOPT_PROTOCOLS_STR, "http,https"))
		rc = -ENOMEM;
	if (rc == 0 && curl_multi_add_handle(post->multi, call->curl) != CURLM_OK)
		rc = -ENOMEM;
	if (rc < 0) {
		release(call);
		return rc;
	}
	post->running++;
	return 0;
}

/* Errors that no later try will mend, unless somebody changes the settings or the other side. */
static bool is_setup(CURLcode code)
{
	return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
	       code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
}

static void answer_of(struct call *call, CURLcode code, struct post_answer *answer)
{
	long status = 0, sent = 0;

	*answer = (struct post_answer){ .retry_after_ms = -1, .body = buf_slice(&call->body),
					.headers = buf_slice(&call->head),
					.is_cut = call->is_cut };
	curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK || (call->is_cut && code == CURLE_WRITE_ERROR)) {
		answer->status = (int)status;
		answer->retry_after_ms = retry_after(answer);
		return;
	}
	answer->is_setup = call->refused || is_setup(code);
	curl_easy_getinfo(call->curl, CURLINFO_REQUEST_SIZE, &sent);
	answer->was_sent = sent > 0;
	if (call->refused)
		guard_words(call->words, call->host, call->refused);
	else if (code == CURLE_PEER_FAILED_VERIFICATION)
		snprintf(call->words, sizeof(call->words), "its certificate is not trusted: "
			 "%.80s; millrace.yaml can name its authority's: `sink: {ca_file: FILE}`",
			 call->error[0] ? call->error : curl_easy_strerror(code));
	else
		snprintf(call->words, sizeof(call->words), "%s%s%s", curl_easy_strerror(code),
			 call->error[0] ? ": " : "", call->error);
	answer->error = call->words;
}

int post_wait(struct post *post, int timeout_ms)
{
	struct post_answer answer;
	int running, left, done = 0;
	struct CURLMsg *message;
	struct call *call;

	if (curl_multi_perform(post->multi, &running) != CURLM_OK)
		return -EIO;
	for (int round = 0; round < 2; round++) {
		while ((message = curl_multi_info_read(post->multi, &left))) {
			CURLcode code = message->data.result;
			CURL *curl = message->easy_handle;

			if (message->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **)&call);
			curl_multi_remove_handle(post->multi, curl);
			answer_of(call, code, &answer);
			finish(call, &answer);
			done++;
		}
		if (done || round)
			return 0;
		if (curl_multi_poll(post->multi, NULL, 0, timeout_ms, NULL) != CURLM_OK ||
		    curl_multi_perform(post->multi, &running) != CURLM_OK)
			return -EIO;
	}
	return 0;
}

void post_wake(struct post *post)
{
	curl_multi_wakeup(post->multi);
}

int post_running(const struct post *post)
{
	return post->running;
}
