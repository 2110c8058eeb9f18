/* port_file - where a server listens, told to whoever waits for it
 *
 * `--port-file FILE` gets one line, the HOST:PORT that was bound. It is written beside its place
 * and renamed: whoever waits for the file never reads half of it.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_PORT_FILE_H
#define LIB_PORT_FILE_H

#include "lib/err.h"

/* path: NULL or "": nothing is to be done. -ENAMETOOLONG; -errno: words with the path. */
MUST_CHECK int port_file_write(const char *path, const char *address, struct err *err);

#endif
