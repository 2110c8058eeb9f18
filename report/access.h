/* access - who may look and who may change
 *
 * Password file, a line each:  NAME:ROLE:HASH          (crypt(5): yescrypt, scrypt, SHA-512)
 *                              token/NAME:ROLE:SHA-256 of an API token in hex
 * ROLE is viewer (asks) or editor (saves, switches, sends). Without a file everybody on this
 * machine is an editor, and report refuses to listen elsewhere.
 *
 * A log-in gives a cookie (HttpOnly, SameSite=Strict) with 256 random bits; the server keeps its
 * hash and a second secret, which the page must send as X-Csrf-Token with all that is not GET. An
 * address has LOGIN_TRIES a minute. Without a password file, the Host header must name this
 * machine: a page elsewhere that points its name at 127.0.0.1 is refused.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_ACCESS_H
#define REPORT_ACCESS_H

#include "lib/httpd.h"

#define LOGIN_TRIES 10

enum access_role { ACCESS_NONE, ACCESS_VIEWER, ACCESS_EDITOR };

struct access;

/* file: NULL, everybody is an editor. -EBADMSG with the line. */
MUST_CHECK int access_open(struct access **accessp, const char *file, int64_t session_ms,
			   struct err *err);
void access_close(struct access *access);

struct access_answer {
	enum access_role role;
	int status;                     /* 0: go on; else refuse with it */
	const char *words;
	char csrf[65];                  /* what the page must send; "" without sessions */
	char name[64];
};
/* By cookie or `Authorization: Bearer TOKEN`; what changes something needs an editor (and the
 * CSRF token where it is a cookie's). */
struct access_answer access_check(struct access *access, const struct http_request *request,
				  bool changes);

/* {"name":..,"password":..}: 200 with Set-Cookie in *headers, or 401, 429. */
int access_login(struct access *access, const struct http_request *request, struct slice name,
		 struct slice password, char headers[512]);
void access_logout(struct access *access, const struct http_request *request);

/* `report passwd FILE NAME ROLE`: replaces or adds the line. role "viewer" or "editor". */
MUST_CHECK int access_set_password(const char *file, const char *name, const char *role,
				   struct slice password, struct err *err);

#endif
