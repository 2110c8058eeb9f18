// SPDX-License-Identifier: Apache-2.0
#include "sink/smtp.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sink/guard.h"

#define CONNECT_MS 10000
#define LINE_BYTES 160

struct smtp {
	struct smtp_conf conf;
	CURL *curl;
	bool is_allowed;
	const char *refused;            /* why no socket was made */
	enum smtp_step step;
	char line[LINE_BYTES];          /* the server's last one of this step; "" none yet */
	bool is_over;                   /* curl says QUIT, also after a refusal */
	struct slice mail;
	size_t sent;
	char error[CURL_ERROR_SIZE];
};

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct smtp *s = ctx;

	(void)purpose;
	s->refused = s->is_allowed ? NULL : guard_check(&address->addr);
	if (s->refused)
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Which step a command of ours begins. The lines of AUTH's dialogue are none of these: base64 has
 * no blank, and DATA comes only after RCPT. */
static void look_at_command(struct smtp *s, const char *text, size_t len)
{
	static const struct {
		const char *verb;
		enum smtp_step step;
	} verbs[] = {
		{ "EHLO ", SMTP_HELLO }, { "HELO ", SMTP_HELLO }, { "STARTTLS", SMTP_START },
		{ "AUTH ", SMTP_AUTH }, { "MAIL FROM", SMTP_MAIL }, { "RCPT TO", SMTP_RCPT },
		{ "DATA", SMTP_DATA },
	};

	s->is_over |= len >= 4 && memcmp(text, "QUIT", 4) == 0;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		size_t n = strlen(verbs[i].verb);

		if (len >= n && memcmp(text, verbs[i].verb, n) == 0 &&
		    (verbs[i].step != SMTP_DATA || s->step == SMTP_RCPT) &&
		    (verbs[i].step != SMTP_START || s->step == SMTP_HELLO)) {
			s->step = verbs[i].step;
			s->line[0] = '\0';
		}
	}
}

static void look_at_answer(struct smtp *s, const char *text, size_t len)
{
	while (len && (unsigned char)text[len - 1] < 0x20)
		len--;
	if (s->is_over || len < 3 || text[0] < '2' || text[0] > '5')
		return;
	snprintf(s->line, sizeof(s->line), "%.*s", (int)len, text);
}

static int look(CURL *curl, curl_infotype type, char *text, size_t len, void *ctx)
{
	struct smtp *s = ctx;

	(void)curl;
	if (type == CURLINFO_HEADER_OUT)
		look_at_command(s, text, len);
	else if (type == CURLINFO_HEADER_IN)
		look_at_answer(s, text, len);
	return 0;
}

static size_t give(char *out, size_t size, size_t count, void *ctx)
{
	struct smtp *s = ctx;
	size_t left = s->mail.len - s->sent, n = size * count < left ? size * count : left;

	memcpy(out, s->mail.ptr + s->sent, n);
	s->sent += n;
	if (s->sent == s->mail.len && s->step == SMTP_DATA) {
		s->step = SMTP_SENT;    /* the final dot goes with the last bytes */
		s->line[0] = '\0';
	}
	return n;
}

static int watch(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct smtp *s = ctx;

	(void)a, (void)b, (void)c, (void)d;
	/* A mail that is on its way is waited for: else nobody knows. */
	return s->conf.stop && s->step < SMTP_DATA && atomic_load(s->conf.stop);
}

static bool set_options(struct smtp *s, const char *url)
{
	const struct smtp_conf *conf = &s->conf;
	int64_t connect_ms = conf->timeout_ms < CONNECT_MS ? conf->timeout_ms : CONNECT_MS;
	CURL *c = s->curl;

	return !(curl_easy_setopt(c, CURLOPT_URL, url) ||
		 curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) ||
		 curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->error) ||
		 curl_easy_setopt(c, CURLOPT_PROXY, "") ||
		 curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps") ||
		 curl_easy_setopt(c, CURLOPT_USE_SSL, (long)(conf->tls == SMTP_NONE
						      ? CURLUSESSL_NONE : CURLUSESSL_ALL)) ||
		 curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) ||
		 curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) ||
		 curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms) ||
		 curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)conf->timeout_ms) ||
		 curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT,
				  (long)(conf->timeout_ms / 1000 + 1)) ||
		 curl_easy_setopt(c, CURLOPT_VERBOSE, 1L) ||
		 curl_easy_setopt(c, CURLOPT_DEBUGFUNCTION, look) ||
		 curl_easy_setopt(c, CURLOPT_DEBUGDATA, s) ||
		 curl_easy_setopt(c, CURLOPT_UPLOAD, 1L) ||
		 curl_easy_setopt(c, CURLOPT_READFUNCTION, give) ||
		 curl_easy_setopt(c, CURLOPT_READDATA, s) ||
		 curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) ||
		 curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch) ||
		 curl_easy_setopt(c, CURLOPT_XFERINFODATA, s) ||
		 curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket) ||
		 curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, s) ||
		 (conf->ca_file && curl_easy_setopt(c, CURLOPT_CAINFO, conf->ca_file)) ||
		 (conf->user && curl_easy_setopt(c, CURLOPT_USERNAME, conf->user)) ||
		 (conf->user && curl_easy_setopt(c, CURLOPT_PASSWORD,
						 conf->password ? conf->password : "")));
}

int smtp_open(struct smtp **smtpp, const struct smtp_conf *conf, struct err *err)
{
	struct smtp *s = calloc(1, sizeof(*s));
	char url[400];

	*smtpp = NULL;
	if (!s)
		return err_set(err, -ENOMEM, "no memory");
	s->conf = *conf;
	s->is_allowed = conf->guard && guard_allows(conf->guard, conf->host);
	snprintf(url, sizeof(url), "%s://%.250s:%d", conf->tls == SMTP_TLS ? "smtps" : "smtp",
		 conf->host, (int)conf->port);
	s->curl = curl_easy_init();
	if (!s->curl || !set_options(s, url)) {
		smtp_close(s);
		return err_set(err, -ENOMEM, "host: '%.80s' cannot be used", conf->host);
	}
	*smtpp = s;
	return 0;
}

void smtp_close(struct smtp *smtp)
{
	if (!smtp)
		return;
	curl_easy_cleanup(smtp->curl);
	free(smtp);
}

/* "5.1.1" of "550 5.1.1 words": its three numbers; false: none there. */
static bool enhanced(const char *line, int code[3])
{
	int end = 0;

	return sscanf(line, "%*3d %1d.%3d.%3d%n", &code[0], &code[1], &code[2], &end) == 3 && end;
}

static const char *bounce_of(enum smtp_step step, int code, const char *line)
{
	int e[3];

	if (step == SMTP_SENT)
		return "block";
	if (enhanced(line, e))
		return e[1] == 1 ? "hard" : e[1] == 2 && e[2] != 1 ? "soft"
		       : e[1] == 2 ? "hard" : "block";
	return code == 550 || code == 551 || code == 553 ? "hard" : code == 552 ? "soft" : "block";
}

void smtp_judge(enum smtp_step step, const char *line, struct dest_result *result)
{
	int code = (int)strtol(line, NULL, 10);

	dest_result_set(result, DEST_TRANSIENT, slice_from(line));
	if (code < 500)
		return;
	if (step < SMTP_MAIL || (step == SMTP_MAIL && code != 552)) {
		result->class = DEST_SETUP;
		return;
	}
	result->class = DEST_INVALID;
	result->bounce = bounce_of(step == SMTP_RCPT ? SMTP_RCPT : SMTP_SENT, code, line);
}

/* curl gave up without an answer that says why. */
static void judge_error(struct smtp *s, CURLcode code, struct dest_result *result)
{
	const char *words = s->error[0] ? s->error : curl_easy_strerror(code);
	char text[DEST_WORDS_MAX];
	bool is_setup = s->refused || code == CURLE_PEER_FAILED_VERIFICATION ||
			code == CURLE_USE_SSL_FAILED || code == CURLE_SSL_CACERT_BADFILE ||
			code == CURLE_LOGIN_DENIED || code == CURLE_URL_MALFORMAT;

	if (s->refused)
		guard_words(text, s->conf.host, s->refused);
	else
		snprintf(text, sizeof(text), "%.150s", words);
	dest_result_set(result, is_setup ? DEST_SETUP : DEST_TRANSIENT, slice_from(text));
	if (s->step == SMTP_SENT) {
		snprintf(text, sizeof(text), "it is not known whether it was taken: %.120s", words);
		dest_result_set(result, DEST_INVALID, slice_from(text));
		result->is_unknown = true;
	}
}

static CURLcode perform(struct smtp *s, const char *from, struct curl_slist *to)
{
	s->step = SMTP_CONNECT;
	s->line[0] = s->error[0] = '\0';
	s->refused = NULL;
	s->is_over = false;
	s->sent = 0;
	if (curl_easy_setopt(s->curl, CURLOPT_MAIL_FROM, from) ||
	    curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT, to) ||
	    curl_easy_setopt(s->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->mail.len))
		return CURLE_OUT_OF_MEMORY;
	return curl_easy_perform(s->curl);
}

void smtp_send(struct smtp *s, const char *from, const char *to, struct slice mail,
	       struct dest_result *result)
{
	struct curl_slist *list = curl_slist_append(NULL, to);
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long connects = 0;

	s->mail = mail;
	if (list)
		code = perform(s, from, list);
	/* A kept connection that the server had closed meanwhile: nothing was sent, so at once. */
	if (code != CURLE_OK && s->step < SMTP_RCPT && (!s->line[0] || s->line[0] == '4') &&
	    curl_easy_getinfo(s->curl, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK &&
	    connects == 0 && !s->refused) {
		(void)curl_easy_setopt(s->curl, CURLOPT_FRESH_CONNECT, 1L);
		code = perform(s, from, list);
		(void)curl_easy_setopt(s->curl, CURLOPT_FRESH_CONNECT, 0L);
	}
	curl_slist_free_all(list);
	if (code == CURLE_OK)
		dest_result_set(result, DEST_OK, SLICE(""));
	else if (s->line[0] == '4' || s->line[0] == '5')
		smtp_judge(s->step, s->line, result);
	else
		judge_error(s, code, result);
}
