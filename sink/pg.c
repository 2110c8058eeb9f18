// SPDX-License-Identifier: Apache-2.0
#include "sink/pg.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <postgresql/libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/when.h"
#include "sink/guard.h"

#define TICK_MS   100           /* how soon *stop is seen */
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

struct pg {
	struct pg_conf conf;
	PGconn *conn;
	int64_t deadline_ms;
	enum dest_class class;
	char words[DEST_WORDS_MAX];
};

enum dest_class pg_class_of(const char *code)
{
	static const char *const setup[] = { "28", "3D", "3F", "42", "0A", "25", NULL };
	static const char *const invalid[] = { "22", "23", NULL };

	for (int i = 0; setup[i]; i++)
		if (strncmp(code, setup[i], 2) == 0)
			return DEST_SETUP;
	for (int i = 0; invalid[i]; i++)
		if (strncmp(code, invalid[i], 2) == 0)
			return DEST_INVALID;
	return DEST_TRANSIENT;
}

int pg_open(struct pg **pgp, const struct pg_conf *conf)
{
	*pgp = calloc(1, sizeof(**pgp));
	if (!*pgp)
		return -ENOMEM;
	(*pgp)->conf = *conf;
	return 0;
}

static void hang_up(struct pg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
}

void pg_close(struct pg *pg)
{
	if (!pg)
		return;
	hang_up(pg);
	free(pg);
}

void pg_until(struct pg *pg, int64_t deadline_ms)
{
	pg->deadline_ms = deadline_ms;
}

bool pg_is_connected(const struct pg *pg)
{
	return pg->conn != NULL;
}

enum dest_class pg_class(const struct pg *pg)
{
	return pg->class;
}

const char *pg_words(const struct pg *pg)
{
	return pg->words;
}

static int fail(struct pg *pg, enum dest_class class, const char *what, const char *words)
{
	int len = (int)strcspn(words, "\n");

	pg->class = class;
	snprintf(pg->words, sizeof(pg->words), "%s: %.*s", what, len < 150 ? len : 150, words);
	return -1;
}

/* The connection is of no use any more. */
static int lose(struct pg *pg, const char *what)
{
	int rc = fail(pg, DEST_TRANSIENT, what, PQerrorMessage(pg->conn));

	hang_up(pg);
	return rc;
}

static int wait_for(struct pg *pg, short events)
{
	struct pollfd poll_fd = { PQsocket(pg->conn), events, 0 };

	for (;;) {
		int64_t left = pg->deadline_ms - when_monotonic_ms();
		int n;

		if (left <= 0 || atomic_load(pg->conf.stop)) {
			hang_up(pg);
			return fail(pg, DEST_TRANSIENT, "PostgreSQL", left <= 0
				    ? "no answer within the time-out" : "the sink ends");
		}
		n = poll(&poll_fd, 1, left < TICK_MS ? (int)left : TICK_MS);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return lose(pg, "poll");
	}
}

/* Connecting */

/* "FATAL:  28P01: password authentication failed": verbose messages have the code. */
static int fail_connect(struct pg *pg)
{
	const char *text = PQerrorMessage(pg->conn), *at = text;
	enum dest_class class = DEST_TRANSIENT;

	while ((at = strstr(at, ":  "))) {
		at += 3;
		if (strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[5] == ':') {
			class = pg_class_of(at);
			text = at;
			break;
		}
	}
	/* TLS that is refused or not verified, a password that is missing: no server's words. */
	if (strstr(text, "SSL") || strstr(text, "certificate") || strstr(text, "no password"))
		class = DEST_SETUP;
	fail(pg, class, "PostgreSQL", text);
	hang_up(pg);
	return -1;
}

/* The address that is connected to is the one that was checked. */
static int resolve(struct pg *pg, char *address, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *at;
	struct err err = { "" };
	int rc;

	if (pg->conf.host[0] == '/') {          /* a socket's directory */
		address[0] = '\0';
		return guard_allows(pg->conf.guard, pg->conf.host) ? 0
		       : fail(pg, DEST_SETUP, pg->conf.host,
			      "refused unless millrace.yaml has it in `sink: {allow_host: [..]}`");
	}
	rc = getaddrinfo(pg->conf.host, NULL, &hints, &list);
	if (rc)
		return fail(pg, DEST_TRANSIENT, pg->conf.host, gai_strerror(rc));
	for (at = list; at; at = at->ai_next)
		if (guard_connect(pg->conf.guard, pg->conf.host, at->ai_addr, &err) == 0)
			break;
	rc = at ? getnameinfo(at->ai_addr, at->ai_addrlen, address, (socklen_t)size, NULL, 0,
			      NI_NUMERICHOST) : 0;
	freeaddrinfo(list);
	if (!at)
		return fail(pg, DEST_SETUP, "PostgreSQL", err.text);
	return rc ? fail(pg, DEST_TRANSIENT, pg->conf.host, gai_strerror(rc)) : 0;
}

static int start(struct pg *pg, const char *address)
{
	const struct pg_conf *c = &pg->conf;
	const char *ca = c->ca_file ? c->ca_file : access(SYSTEM_CA, R_OK) == 0 ? SYSTEM_CA : "";
	char port[8];
	const char *const names[] = { "host", "hostaddr", "port", "dbname", "user", "password",
		"sslmode", "sslrootcert", "application_name", "client_encoding", "options",
		"keepalives_idle", "gssencmode", NULL };
	const char *const values[] = { c->host, address, port, c->database, c->user,
		c->password ? c->password : "", c->tls, ca, c->name, "UTF8",
		"-c synchronous_commit=on -c DateStyle=ISO -c standard_conforming_strings=on", "30",
		"disable", NULL };

	snprintf(port, sizeof(port), "%d", (int)c->port);
	pg->conn = PQconnectStartParams(names, values, 0);
	if (!pg->conn)
		return fail(pg, DEST_TRANSIENT, "PostgreSQL", "no memory");
	PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
	return 0;
}

static void ignore_notice(void *ctx, const PGresult *result)
{
	(void)ctx;
	(void)result;
}

int pg_connect(struct pg *pg, bool *is_new)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	char address[NI_MAXHOST];

	*is_new = !pg->conn;
	if (pg->conn)
		return 0;
	if (resolve(pg, address, sizeof(address)) < 0 || start(pg, address) < 0)
		return -1;
	while (state != PGRES_POLLING_OK) {
		if (state == PGRES_POLLING_FAILED || PQstatus(pg->conn) == CONNECTION_BAD)
			return fail_connect(pg);
		if (wait_for(pg, state == PGRES_POLLING_READING ? POLLIN : POLLOUT) < 0)
			return -1;
		state = PQconnectPoll(pg->conn);
	}
	PQsetNoticeReceiver(pg->conn, ignore_notice, NULL);
	return PQsetnonblocking(pg->conn, 1) == 0 ? 0 : lose(pg, "PostgreSQL");
}

/* Statements */

static int flush(struct pg *pg)
{
	int rc;

	while ((rc = PQflush(pg->conn)) > 0) {
		if (wait_for(pg, POLLIN | POLLOUT) < 0)
			return -1;
		if (!PQconsumeInput(pg->conn))
			return lose(pg, "PostgreSQL");
	}
	return rc < 0 ? lose(pg, "PostgreSQL") : 0;
}

/* *resultp: the next one, or NULL after the last. */
static int next_result(struct pg *pg, PGresult **resultp)
{
	while (PQisBusy(pg->conn)) {
		if (wait_for(pg, POLLIN) < 0)
			return -1;
		if (!PQconsumeInput(pg->conn))
			return lose(pg, "PostgreSQL");
	}
	*resultp = PQgetResult(pg->conn);
	return 0;
}

/* Without what is in the rows: that may be personal. */
static void take_error(struct pg *pg, const PGresult *result)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	fail(pg, pg_class_of(code ? code : ""), code ? code : "PostgreSQL",
	     words ? words : PQresultErrorMessage(result));
}

/* All results up to the end; the first error counts. wanted: the status that is none. */
static int finish(struct pg *pg, ExecStatusType wanted)
{
	bool is_bad = false;
	PGresult *result = NULL;

	for (;;) {
		ExecStatusType status;

		if (next_result(pg, &result) < 0)
			return -1;
		if (!result)
			break;
		status = PQresultStatus(result);
		if (status != wanted && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
		    !is_bad) {
			take_error(pg, result);
			is_bad = true;
		}
		PQclear(result);
		if (status == PGRES_COPY_IN && wanted == PGRES_COPY_IN)
			break;
	}
	if (PQstatus(pg->conn) == CONNECTION_BAD)
		hang_up(pg);
	return is_bad ? -1 : 0;
}

int pg_run(struct pg *pg, const char *sql)
{
	if (!PQsendQuery(pg->conn, sql))
		return lose(pg, "PostgreSQL");
	return flush(pg) < 0 ? -1 : finish(pg, PGRES_COMMAND_OK);
}

int pg_copy_begin(struct pg *pg, const char *sql)
{
	if (!PQsendQuery(pg->conn, sql))
		return lose(pg, "PostgreSQL");
	return flush(pg) < 0 ? -1 : finish(pg, PGRES_COPY_IN);
}

int pg_copy_put(struct pg *pg, struct slice bytes)
{
	int rc;

	while ((rc = PQputCopyData(pg->conn, bytes.ptr, (int)bytes.len)) == 0)
		if (wait_for(pg, POLLOUT) < 0)
			return -1;
	return rc < 0 ? lose(pg, "PostgreSQL") : 0;
}

int pg_copy_end(struct pg *pg)
{
	int rc;

	while ((rc = PQputCopyEnd(pg->conn, NULL)) == 0)
		if (wait_for(pg, POLLOUT) < 0)
			return -1;
	if (rc < 0)
		return lose(pg, "PostgreSQL");
	return flush(pg) < 0 ? -1 : finish(pg, PGRES_COMMAND_OK);
}
