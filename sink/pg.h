/* pg - a connection to PostgreSQL that keeps to a time
 *
 *      pg_connect  resolves, checks the address (guard.h), connects, TLS
 *      pg_run      one statement
 *      pg_copy     rows of COPY's text format
 *
 * libpq's own calls wait for as long as the other side likes; these poll, and give up at the
 * deadline or when *stop is set: then the connection is closed, and the next pg_connect makes a
 * new one. What failed is told as a class (dest.h), by SQLSTATE:
 *      08 40 53 57 55, no code (connection)    transient
 *      28 3D 3F 42 0A 25                       setup: password, database, table, rights
 *      22 23                                   invalid: these rows can never be taken
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_PG_H
#define SINK_PG_H

#include "sink/dest.h"

struct pg;

struct pg_conf {
	const char *host, *database, *user, *password, *tls, *ca_file, *name;
	int64_t port;
	const struct guard *guard;
	const atomic_bool *stop;
};

/* No network yet. */
MUST_CHECK int pg_open(struct pg **pgp, const struct pg_conf *conf);
void pg_close(struct pg *pg);
/* Until when all that follows must be done. */
void pg_until(struct pg *pg, int64_t deadline_ms);
bool pg_is_connected(const struct pg *pg);
/* These return 0, or -1 with pg_class and pg_words. *is_new: it was not connected. */
MUST_CHECK int pg_connect(struct pg *pg, bool *is_new);
MUST_CHECK int pg_run(struct pg *pg, const char *sql);
MUST_CHECK int pg_copy_begin(struct pg *pg, const char *sql);
MUST_CHECK int pg_copy_put(struct pg *pg, struct slice bytes);
MUST_CHECK int pg_copy_end(struct pg *pg);

enum dest_class pg_class(const struct pg *pg);
const char *pg_words(const struct pg *pg);
/* Of SQLSTATE, or "". */
enum dest_class pg_class_of(const char *code);

#endif
