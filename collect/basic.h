/* basic - the user of an Authorization header: the write key, as SDKs send it
 *
 *      Authorization: Basic base64(KEY:)
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_BASIC_H
#define COLLECT_BASIC_H

#include "lib/slice.h"

#define BASIC_USER_MAX 300

/* The user, written to user; empty where the header is not there, of another kind (Bearer), no
 * valid base64, or too long. */
struct slice basic_user(struct slice header, char user[BASIC_USER_MAX]);

#endif
