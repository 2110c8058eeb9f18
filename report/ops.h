/* ops - what keeps the pipe running, for the pages Destinations, Sources, Health and Messages
 *
 *      GET    /api/kinds                           tables of fields: sink kinds
 *      GET    /api/statuses                        what sinks say of themselves, by name
 *      PUT    /api/files/destinations/NAME         checked by `sink check`, then the file
 *      DELETE /api/files/destinations/NAME         and its secrets
 *      POST   /api/destinations/NAME/enable        and disable: one line of the file
 *      POST   /api/destinations/NAME/test          one made-up event: sink test
 *      GET    /api/destinations/NAME/letters       dead letters
 *      POST   /api/destinations/NAME/send          them once more: sink --from bad
 *      GET    /api/triggers                        their table of fields: sink triggers
 *      PUT    /api/files/triggers/NAME             checked by `sink trigger check`
 *      POST   /api/triggers/NAME/enable            and disable
 *      GET    /api/triggers/NAME/preview?person=ID what would be sent
 *      POST   /api/triggers/NAME/test              {"address","person"}: sent there
 *      GET    /api/triggers/NAME/log               what was sent: the latest lines
 *      GET    /api/audit?last=1h                   ledgers: millrace audit
 *      GET    /api/trace?id=ID                     one event: millrace trace
 *      GET    /api/sources                         and write keys, for editors
 *      POST   /api/sources                         {"name"}: one more, with a random key
 *      POST   /api/sources/NAME/enable             and disable
 *
 * Other programs are asked by their command lines (child.h), so that a page and a person at a
 * terminal are told the same, and one table of fields checks YAML and forms. Without --config
 * there are no settings to look at: 404.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_OPS_H
#define REPORT_OPS_H

#include "lib/httpd.h"
#include "report/access.h"
#include "report/child.h"
#include "report/files.h"
#include "report/options.h"

struct ops;

struct ops_conf {
	struct loop *loop;              /* all borrowed */
	const struct report_conf *options;
	struct files *files;
	const char *headers;            /* whole lines for all answers */
};

MUST_CHECK int ops_open(struct ops **opsp, const struct ops_conf *conf, struct err *err);
/* Before httpd_close: requests in work are answered. */
void ops_close(struct ops *ops);

/* path: behind /api/. False: none of these. Else it is answered, now or later. */
bool ops_answer(struct ops *ops, struct http_request *request, struct slice path,
		enum access_role role);
/* Where SDKs send events: as told; with port 0, as collect has written it down. */
#define OPS_URL_MAX 128
const char *ops_collect(const struct ops *ops, char url[OPS_URL_MAX]);
/* A file of places in the settings is DB-IP's. */
bool ops_has_dbip(const struct ops *ops);

#endif
