/* demo_file - shop.json, truth.json and a message in a demo's directory */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_DEMO_FILE_H
#define MILLRACE_DEMO_FILE_H

#include "lib/err.h"
#include "millrace/shop.h"

/* -ENOENT: there is none. */
MUST_CHECK int demo_file_read(const char *dir, struct shop_conf *conf, struct err *err);
MUST_CHECK int demo_file_write(const char *dir, const struct shop_conf *conf, struct err *err);

MUST_CHECK int demo_file_write_truth(const char *dir, const struct shop_conf *conf,
				     const struct shop_truth *truth, struct err *err);
/* DIR/live.json: the counts of all live runs, for the next. -ENOENT: there was none. */
MUST_CHECK int demo_file_write_live(const char *dir, const struct shop_truth *truth,
				    struct err *err);
MUST_CHECK int demo_file_read_live(const char *dir, struct shop_truth *truth, struct err *err);
bool demo_file_has_truth(const char *dir);

/* A saved query, and a message to whoever comes to match it: as files, no mail server is needed. */
MUST_CHECK int demo_file_write_message(const char *dir, struct err *err);

#endif
