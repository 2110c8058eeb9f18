// SPDX-License-Identifier: Apache-2.0
#include "report/access.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/when.h"

#define LINES_MAX    1000
#define SESSIONS_MAX 1000
#define TRIERS_MAX   256
#define COOKIE       "millrace="
#define SECRET_BYTES 32
#define HEX_LEN      ((size_t)2 * SECRET_BYTES)

struct line {
	char name[64];
	enum access_role role;
	char hash[160];
	bool is_token;
};

struct session {
	uint8_t key[SHA256_DIGEST_LENGTH];      /* SHA-256 of the cookie's secret */
	char csrf[HEX_LEN + 1];
	char name[64];
	enum access_role role;
	int64_t until_ms;               /* 0: free */
};

/* Who tried to log in lately: a small table, the eldest gives way. */
struct trier {
	char address[64];
	int tries;
	int64_t since_ms;
};

struct access {
	char *file;                     /* owned; NULL: no passwords */
	struct line *lines;             /* owned */
	size_t count;
	int64_t session_ms;
	struct session sessions[SESSIONS_MAX];
	struct trier triers[TRIERS_MAX];
};

static void to_hex(const uint8_t *bytes, size_t count, char *hex)
{
	static const char DIGITS[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		hex[2 * i] = DIGITS[bytes[i] >> 4];
		hex[2 * i + 1] = DIGITS[bytes[i] & 15];
	}
	hex[2 * count] = '\0';
}

/* --- the password file --- */

static int parse_line(struct access *access, char *text, int number, struct err *err)
{
	struct line *line = &access->lines[access->count];
	char *role, *hash, *rest = text;
	const char *name = strsep(&rest, ":");

	role = strsep(&rest, ":");
	hash = rest;
	if (!role || !hash || !name[0] || strlen(name) >= sizeof(line->name) || !hash[0] ||
	    strlen(hash) >= sizeof(line->hash))
		return err_set(err, -EBADMSG, "%s:%d: a line is NAME:viewer|editor:HASH; "
			       "`report passwd` writes one", access->file, number);
	if (strcmp(role, "viewer") && strcmp(role, "editor"))
		return err_set(err, -EBADMSG, "%s:%d: '%s' is no role: viewer or editor",
			       access->file, number, role);
	line->is_token = strncmp(name, "token/", 6) == 0;
	line->role = role[0] == 'v' ? ACCESS_VIEWER : ACCESS_EDITOR;
	snprintf(line->name, sizeof(line->name), "%s", name);
	snprintf(line->hash, sizeof(line->hash), "%s", hash);
	access->count++;
	return 0;
}

static int read_lines(struct access *access, struct err *err)
{
	FILE *file = fopen(access->file, "re");
	char text[512];
	int number = 0, rc = 0;

	if (!file)
		return err_set(err, -errno, "--password-file %s: %s", access->file,
			       strerror(errno));
	while (rc == 0 && fgets(text, sizeof(text), file)) {
		number++;
		text[strcspn(text, "\r\n")] = '\0';
		if (!text[0] || text[0] == '#')
			continue;
		rc = access->count < LINES_MAX ? parse_line(access, text, number, err) :
			err_set(err, -EBADMSG, "%s: more than %d lines", access->file, LINES_MAX);
	}
	fclose(file);
	if (rc == 0 && access->count == 0)
		rc = err_set(err, -EBADMSG, "%s: nobody may log in; add one with "
			     "`report passwd %s NAME editor`", access->file, access->file);
	return rc;
}

int access_open(struct access **accessp, const char *file, int64_t session_ms, struct err *err)
{
	struct access *access = calloc(1, sizeof(*access));

	*accessp = access;
	if (!access)
		return err_set(err, -ENOMEM, "no memory");
	access->session_ms = session_ms;
	if (!file)
		return 0;
	access->file = strdup(file);
	access->lines = calloc(LINES_MAX, sizeof(*access->lines));
	if (!access->file || !access->lines)
		return err_set(err, -ENOMEM, "no memory");
	return read_lines(access, err);
}

void access_close(struct access *access)
{
	if (!access)
		return;
	free(access->file);
	free(access->lines);
	OPENSSL_cleanse(access, sizeof(*access));
	free(access);
}

/* --- sessions --- */

/* The secret of our cookie among those that the browser sent. */
static struct slice cookie_of(const struct http_request *request)
{
	struct slice all = http_header(request, "Cookie");

	for (size_t i = 0; i + sizeof(COOKIE) - 1 + HEX_LEN <= all.len; i++)
		if ((i == 0 || all.ptr[i - 1] == ' ' || all.ptr[i - 1] == ';') &&
		    memcmp(all.ptr + i, COOKIE, sizeof(COOKIE) - 1) == 0)
			return (struct slice){ all.ptr + i + sizeof(COOKIE) - 1, HEX_LEN };
	return (struct slice){ NULL, 0 };
}

static struct session *session_of(struct access *access, const struct http_request *request)
{
	struct slice secret = cookie_of(request);
	uint8_t key[SHA256_DIGEST_LENGTH];
	int64_t now_ms = when_monotonic_ms();

	if (!secret.ptr)
		return NULL;
	SHA256((const uint8_t *)secret.ptr, secret.len, key);
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *session = &access->sessions[i];

		if (session->until_ms > now_ms &&
		    CRYPTO_memcmp(session->key, key, sizeof(key)) == 0)
			return session;
	}
	return NULL;
}

static const struct line *token_of(const struct access *access,
				   const struct http_request *request)
{
	struct slice header = http_header(request, "Authorization"), token;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH + 1];

	if (!slice_starts(header, SLICE("Bearer ")))
		return NULL;
	token = slice_skip(header, 7);
	SHA256((const uint8_t *)token.ptr, token.len, digest);
	to_hex(digest, sizeof(digest), hex);
	for (size_t i = 0; i < access->count; i++)
		if (access->lines[i].is_token && strlen(access->lines[i].hash) == strlen(hex) &&
		    CRYPTO_memcmp(access->lines[i].hash, hex, strlen(hex)) == 0)
			return &access->lines[i];
	return NULL;
}

/* The Host of a request is this machine's own, whatever the port. */
static bool is_local_host(const struct http_request *request)
{
	static const char *const NAMES[] = { "localhost", "127.0.0.1", "[::1]" };
	struct slice host = http_header(request, "Host");

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		size_t len = strlen(NAMES[i]);

		if (host.len >= len && memcmp(host.ptr, NAMES[i], len) == 0 &&
		    (host.len == len || host.ptr[len] == ':'))
			return true;
	}
	return false;
}

/* A browser says where a request that changes something comes from: it must be our own page. */
static bool is_own_origin(const struct http_request *request)
{
	struct slice origin = http_header(request, "Origin"), host = http_header(request, "Host");
	const char *at;

	if (!origin.ptr)
		return true;
	at = memmem(origin.ptr, origin.len, "://", 3);
	return at && slice_eq(slice_skip(origin, (size_t)(at - origin.ptr) + 3), host);
}

static struct access_answer refuse(int status, const char *words)
{
	return (struct access_answer){ .status = status, .words = words };
}

static struct access_answer check_open(const struct http_request *request, bool changes)
{
	if (!is_local_host(request))
		return refuse(403, "without a password file only this machine's own name is "
			      "answered: open the dashboard as localhost or 127.0.0.1");
	if (changes && !is_own_origin(request))
		return refuse(403, "this request comes from another site");
	return (struct access_answer){ .role = ACCESS_EDITOR };
}

struct access_answer access_check(struct access *access, const struct http_request *request,
				  bool changes)
{
	struct access_answer answer = { .role = ACCESS_NONE };
	const struct session *session;
	const struct line *token;

	if (!access->file)
		return check_open(request, changes);
	token = token_of(access, request);
	session = token ? NULL : session_of(access, request);
	if (!token && !session)
		return refuse(401, "log in first");
	answer.role = token ? token->role : session->role;
	snprintf(answer.name, sizeof(answer.name), "%s", token ? token->name : session->name);
	if (session)
		memcpy(answer.csrf, session->csrf, sizeof(answer.csrf));
	if (changes && answer.role != ACCESS_EDITOR)
		return refuse(403, "you may look, but not change: ask an editor");
	if (changes && session &&
	    (!is_own_origin(request) ||
	     !slice_is(http_header(request, "X-Csrf-Token"), session->csrf)))
		return refuse(403, "the page is out of date: load it again");
	return answer;
}

/* --- log in --- */

static bool may_try(struct access *access, struct slice peer)
{
	int64_t now_ms = when_monotonic_ms();
	struct trier *eldest = &access->triers[0];

	for (size_t i = 0; i < TRIERS_MAX; i++) {
		struct trier *trier = &access->triers[i];

		if (trier->since_ms < eldest->since_ms)
			eldest = trier;
		if (!slice_is(peer, trier->address) || now_ms - trier->since_ms > 60000)
			continue;
		return ++trier->tries <= LOGIN_TRIES;
	}
	*eldest = (struct trier){ .tries = 1, .since_ms = now_ms };
	snprintf(eldest->address, sizeof(eldest->address), "%.*s", (int)peer.len, peer.ptr);
	return true;
}

/* Takes as long for a name that nobody has: the hash of the first line is computed then. */
static const struct line *find_user(const struct access *access, struct slice name,
				    struct slice password)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	const struct line *line = NULL, *some = NULL;
	char text[512];
	const char *hash;
	bool is_right;

	if (!data || password.len >= sizeof(text)) {
		free(data);
		return NULL;
	}
	for (size_t i = 0; i < access->count; i++) {
		if (access->lines[i].is_token)
			continue;
		some = some ? some : &access->lines[i];
		if (slice_is(name, access->lines[i].name))
			line = &access->lines[i];
	}
	snprintf(text, sizeof(text), "%.*s", (int)password.len, password.ptr);
	some = line ? line : some;
	hash = some ? crypt_r(text, some->hash, data) : NULL;
	is_right = hash && hash[0] != '*' && strlen(hash) == strlen(some->hash) &&
		   CRYPTO_memcmp(hash, some->hash, strlen(hash)) == 0;
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(data, sizeof(*data));
	free(data);
	return line && is_right ? line : NULL;
}

static struct session *free_session(struct access *access)
{
	struct session *eldest = &access->sessions[0];

	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (access->sessions[i].until_ms < eldest->until_ms)
			eldest = &access->sessions[i];
	return eldest;
}

int access_login(struct access *access, const struct http_request *request, struct slice name,
		 struct slice password, char headers[512])
{
	uint8_t secret[2 * SECRET_BYTES];
	char cookie[HEX_LEN + 1];
	const struct line *line;
	struct session *session;

	headers[0] = '\0';
	if (!access->file)
		return 200;
	if (!may_try(access, request->peer))
		return 429;
	line = find_user(access, name, password);
	if (!line || getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
		return 401;
	session = free_session(access);
	*session = (struct session){ .role = line->role,
				     .until_ms = when_monotonic_ms() + access->session_ms };
	snprintf(session->name, sizeof(session->name), "%s", line->name);
	to_hex(secret, SECRET_BYTES, cookie);
	to_hex(secret + SECRET_BYTES, SECRET_BYTES, session->csrf);
	SHA256((const uint8_t *)cookie, HEX_LEN, session->key);
	snprintf(headers, 512, "Set-Cookie: " COOKIE "%s; Path=/; HttpOnly; SameSite=Strict; "
		 "Max-Age=%lld\r\n", cookie, (long long)(access->session_ms / 1000));
	return 200;
}

void access_logout(struct access *access, const struct http_request *request)
{
	struct session *session = session_of(access, request);

	if (session)
		OPENSSL_cleanse(session, sizeof(*session));
}

/* --- report passwd --- */

static int copy_others(FILE *out, const char *file, const char *name)
{
	FILE *in = fopen(file, "re");
	char text[512];
	size_t len = strlen(name);

	if (!in)
		return errno == ENOENT ? 0 : -errno;
	while (fgets(text, sizeof(text), in))
		if (strncmp(text, name, len) || text[len] != ':')
			fputs(text, out);
	fclose(in);
	return 0;
}

int access_set_password(const char *file, const char *name, const char *role,
			struct slice password, struct err *err)
{
	char temp[4096], salt[CRYPT_GENSALT_OUTPUT_SIZE], text[512];
	struct crypt_data data = { .initialized = 0 };
	const char *hash;
	FILE *out;
	int rc;

	if (strchr(name, ':') || !name[0] || (strcmp(role, "viewer") && strcmp(role, "editor")))
		return err_set(err, -EINVAL, "a name without ':', and viewer or editor");
	if (password.len < 8 || password.len >= sizeof(text))
		return err_set(err, -EINVAL, "a password has 8 to 500 bytes");
	snprintf(text, sizeof(text), "%.*s", (int)password.len, password.ptr);
	hash = crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof(salt)) ?
	       crypt_r(text, salt, &data) : NULL;
	OPENSSL_cleanse(text, sizeof(text));
	if (!hash || hash[0] == '*')
		return err_set(err, -EIO, "crypt cannot make a yescrypt hash");
	if (snprintf(temp, sizeof(temp), "%s.new", file) >= (int)sizeof(temp))
		return err_set(err, -ENAMETOOLONG, "%s: too long", file);
	umask(077);
	out = fopen(temp, "we");
	if (!out)
		return err_set(err, -errno, "%s: %s", temp, strerror(errno));
	rc = copy_others(out, file, name);
	fprintf(out, "%s:%s:%s\n", name, role, hash);
	if (fclose(out) != 0 || (rc == 0 && rename(temp, file) < 0))
		rc = -errno;
	return rc < 0 ? err_set(err, rc, "%s: %s", file, strerror(-rc)) : 0;
}
