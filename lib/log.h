/* log - one line per fact, in logfmt, on stderr
 *
 *      ts=2026-11-24T10:00:00.123Z level=info program=enrich event=open in=log:data/collected
 *
 * A line is built on the caller's stack and goes out by one write(2) of at most PIPE_BUF
 * bytes, so that several programs on one terminal never interleave. Values are quoted where
 * needed, control bytes are escaped, and each value is cut at LOG_VALUE_MAX bytes: what comes
 * from outside can neither forge a line nor fill a disk.
 *
 *      struct log_line line;
 *      log_begin(&line, log, LOG_LEVEL_INFO, "open");
 *      log_text(&line, "in", slice_from(url));
 *      log_end(&line);
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define LOG_LINE_MAX  4000      /* under PIPE_BUF (4096) */
#define LOG_VALUE_MAX 512

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log {
	const char *program;
	enum log_level level;   /* lines below it are not built */
	int fd;                 /* usually 2 */
};

struct log_line {
	const struct log *log;  /* NULL: this line is below the level */
	size_t len;
	char text[LOG_LINE_MAX];
};

/* log may be NULL: then nothing is written. */
void log_begin(struct log_line *line, const struct log *log, enum log_level level,
	       const char *event);
void log_text(struct log_line *line, const char *key, struct slice value);
void log_str(struct log_line *line, const char *key, const char *value);
void log_num(struct log_line *line, const char *key, int64_t value);
void log_end(struct log_line *line);

/* The common short form: one event with words. */
void log_words(const struct log *log, enum log_level level, const char *event, const char *format,
	       ...) PRINTF_LIKE(4, 5);

#endif
