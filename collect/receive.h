/* receive - from a request to an answer
 *
 *      request -> route -> key -> limits -> gunzip -> door -> commit ... safe -> answer
 *
 *      POST  paths of a door                           events
 *      POST  /v1/m                                     the SDK's own metrics: thrown away, 200
 *      GET   /v1/projects/KEY/settings, /analytics.js/v1/KEY/analytics.min.js     page.h
 *      GET   /healthz                                  200, or 503 while nothing can be made safe
 *      OPTIONS anything                                CORS preflight, needs no key
 *
 * Every answer, errors too, carries the CORS headers, and Retry-After where a repeat makes sense:
 * 429 for too much at once, 503 for trouble here. Content-Type is not looked at: SDKs send JSON
 * under three of them.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_RECEIVE_H
#define COLLECT_RECEIVE_H

#include "collect/commit.h"
#include "collect/source.h"
#include "lib/metric.h"

#define RECEIVE_CORS "Access-Control-Allow-Origin: *\r\n" \
		     "Access-Control-Expose-Headers: Retry-After\r\n"

struct receive;

struct receive_conf {
	const struct collect_conf *options;     /* borrowed, as all here */
	const struct schema *schemas[PARCEL_LANES];
	const struct log *log;
	struct loop *loop;
	struct json_reader *json;
	struct metric_set *metrics;
};

MUST_CHECK int receive_open(struct receive **receivep, const struct receive_conf *conf,
			    struct err *err);
void receive_close(struct receive *receive);
/* Where its events go; before the first request. */
void receive_set_commit(struct receive *receive, struct commit *commit);
/* What the settings' address is, where a request does not tell. */
void receive_set_address(struct receive *receive, const char *address);
/* New sources take the place of the old ones, which are closed. */
void receive_set_sources(struct receive *receive, struct source_set *sources);
/* Reads --analytics-js (again). On failure the old one stays. */
MUST_CHECK int receive_load(struct receive *receive, struct err *err);

/* For httpd_conf and commit_conf; ctx is the struct receive. */
void receive_request(void *ctx, struct http_request *request);
void receive_answer(void *ctx, const struct commit_answer *answer, const char *unsafe);
/* Publishes what only commit and httpd know. */
void receive_measure(struct receive *receive, const struct httpd *httpd);

#endif
