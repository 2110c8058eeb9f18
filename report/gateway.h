/* gateway - questions of the dashboard to aggregate, answers back
 *
 *      loop: request --> queue --> worker: HTTP to aggregate --> done list --> loop: answer
 *
 * A few workers, each with a connection that is kept. A client that goes away stops its question,
 * and so aggregate's work on it. aggregate's address may be learnt late, from a file.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_GATEWAY_H
#define REPORT_GATEWAY_H

#include "lib/httpd.h"
#include "lib/log.h"

struct gateway;

struct gateway_conf {
	struct loop *loop;              /* all borrowed */
	const struct log *log;
	const char *address;            /* HOST:PORT of aggregate */
	const char *port_file;          /* NULL: address is right */
	const char *headers;            /* whole lines for all answers */
};

MUST_CHECK int gateway_open(struct gateway **gatewayp, const struct gateway_conf *conf,
			    struct err *err);
/* Before httpd_close: requests in work are answered with 503. */
void gateway_close(struct gateway *gateway);

/* Sends the request on under path (such as "/v1/query/trend"); answers it later. */
void gateway_ask(struct gateway *gateway, struct http_request *request, struct slice path);
/* The client of a request that gateway_ask got went away. */
void gateway_gone(struct gateway *gateway, struct http_request *request);

#endif
