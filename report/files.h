/* files - saved reports, destinations and triggers: small YAML files that people edit, too
 *
 *      GET    /api/files/KIND              {"files":[{"name":..,"value":{..}},..]}
 *      GET    /api/files/KIND/NAME         {"name":..,"value":{..}}
 *      PUT    /api/files/KIND/NAME         a JSON object, becomes the file (rename = commit)
 *      DELETE /api/files/KIND/NAME
 * KIND is reports, destinations or triggers: a directory under --dir. NAME is [A-Za-z0-9_-]{1,64}.
 * A file that cannot be read stands in the list with its "error". Values of secrets (by the tables
 * of fields, see files_learn; or "password", "secret", "token" and the like in the name) go out as
 * "$secret" and are kept where a PUT brings that back.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef REPORT_FILES_H
#define REPORT_FILES_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

struct files;

MUST_CHECK int files_open(struct files **filesp, const char *dir, struct err *err);
void files_close(struct files *files);
/* The field of that type (`type:` of a destination, `channel:` of a trigger) is a secret. Up to
 * FILES_SECRETS_MAX are remembered. */
#define FILES_SECRETS_MAX 256
void files_learn(struct files *files, const char *kind, struct slice type, struct slice field);

/* A PUT in two steps, for what another program checks in between: the file as it would be, under
 * path (FILES_PATH_MAX); then its rename, or its end. Secrets that came as text (not file:, env: or
 * "$secret") are kept in KIND/.secrets/NAME.KEY, for the owner alone, and the file names that;
 * other file: and env: may stay, but do not come from here (403). The
 * answer's status where it is refused (out has it), else 0. */
#define FILES_PATH_MAX 4200
int files_stage(struct files *files, struct slice kind, struct slice name, struct slice body,
		char path[FILES_PATH_MAX], struct buf *out);
int files_commit(struct files *files, struct slice kind, struct slice name, const char *path,
		 struct buf *out);

/* path: behind /api/files/. Appends the body; the status. */
int files_answer(struct files *files, struct slice method, struct slice path, struct slice body,
		 struct buf *out);

#endif
