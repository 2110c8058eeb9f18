/* opt_print - what a table of options says of itself: --help and --dump
 *
 * Split from opt.c, which parses. Only opt_main uses it, and tests.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_OPT_PRINT_H
#define LIB_OPT_PRINT_H

#include "lib/buf.h"
#include "lib/opt.h"

#define OPT_VERSION "0.1"

enum opt_ask { OPT_ASK_NOTHING, OPT_ASK_HELP, OPT_ASK_DUMP, OPT_ASK_CHECK, OPT_ASK_VERSION };

enum opt_ask opt_asked(const struct opt_set *set);

void opt_print_help(const struct opt_program *program, struct buf *out);
/* What is in force, as the program's section of a millrace.yaml. Secrets are hidden. */
void opt_print_dump(const struct opt_program *program, const void *conf, struct buf *out);

#endif
