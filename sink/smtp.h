/* smtp - one email to one address, through libcurl: STARTTLS, AUTH, and what the answers mean
 *
 *      connect, EHLO, STARTTLS, AUTH | MAIL FROM | RCPT TO | DATA, text, .
 *      setup or transient            | setup     | bounce  | bounce, or not known
 *
 * The connection is kept for the next mail. An answer's class is judged by the step it was given
 * to, its code and its enhanced code (RFC 3463). Where the whole text was handed over and no answer
 * came, nobody knows whether the mail is on its way: is_unknown, and it must not go again.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SMTP_H
#define SINK_SMTP_H

#include "sink/dest.h"

struct smtp;

enum smtp_tls { SMTP_STARTTLS, SMTP_TLS, SMTP_NONE };

/* Steps of a dialogue. */
enum smtp_step { SMTP_CONNECT, SMTP_HELLO, SMTP_START, SMTP_AUTH, SMTP_MAIL, SMTP_RCPT, SMTP_DATA,
		 SMTP_SENT };

struct smtp_conf {
	const char *host, *user, *password, *ca_file;   /* borrowed; NULL: none */
	int64_t port, timeout_ms;
	enum smtp_tls tls;
	const struct guard *guard;
	const atomic_bool *stop;
};

MUST_CHECK int smtp_open(struct smtp **smtpp, const struct smtp_conf *conf, struct err *err);
void smtp_close(struct smtp *smtp);
/* Blocks. from, to: bare addresses. */
void smtp_send(struct smtp *smtp, const char *from, const char *to, struct slice mail,
	       struct dest_result *result);

/* What a server's last line to a step means: "550 5.1.1 no such user". Sets class and bounce. */
void smtp_judge(enum smtp_step step, const char *line, struct dest_result *result);

#endif
