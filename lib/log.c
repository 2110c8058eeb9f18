// SPDX-License-Identifier: Apache-2.0
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Room that log_end needs for the newline. */
#define LOG_TAIL 2

static void line_add(struct log_line *line, const char *bytes, size_t len)
{
	size_t room = LOG_LINE_MAX - LOG_TAIL - line->len;

	if (len > room)
		len = room;
	memcpy(line->text + line->len, bytes, len);
	line->len += len;
}

static const char *level_name(enum log_level level)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };

	return names[level];
}

static bool needs_quotes(struct slice value)
{
	if (value.len == 0)
		return true;
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
			return true;
	}
	return false;
}

static void line_add_quoted(struct log_line *line, struct slice value)
{
	char escape[8];

	line_add(line, "\"", 1);
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (c == '"' || c == '\\') {
			escape[0] = '\\';
			escape[1] = (char)c;
			line_add(line, escape, 2);
		} else if (c < ' ' || c == 0x7f) {
			int n = snprintf(escape, sizeof(escape), "\\x%02x", c);

			line_add(line, escape, (size_t)n);
		} else {
			line_add(line, (const char *)&c, 1);
		}
	}
	line_add(line, "\"", 1);
}

void log_begin(struct log_line *line, const struct log *log, enum log_level level,
	       const char *event)
{
	struct timespec now;
	struct tm tm;
	char stamp[40];
	size_t len;

	line->len = 0;
	line->log = log && level >= log->level ? log : NULL;
	if (!line->log)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(stamp, sizeof(stamp), "ts=%Y-%m-%dT%H:%M:%S", &tm);
	line_add(line, stamp, len);
	len = (size_t)snprintf(stamp, sizeof(stamp), ".%03ldZ", now.tv_nsec / 1000000);
	line_add(line, stamp, len);
	log_str(line, "level", level_name(level));
	log_str(line, "program", log->program);
	log_str(line, "event", event);
}

void log_text(struct log_line *line, const char *key, struct slice value)
{
	if (!line->log)
		return;
	if (value.len > LOG_VALUE_MAX)
		value.len = LOG_VALUE_MAX;
	line_add(line, " ", 1);
	line_add(line, key, strlen(key));
	line_add(line, "=", 1);
	if (needs_quotes(value))
		line_add_quoted(line, value);
	else
		line_add(line, value.ptr, value.len);
}

void log_str(struct log_line *line, const char *key, const char *value)
{
	log_text(line, key, slice_from(value ? value : ""));
}

void log_num(struct log_line *line, const char *key, int64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lld", (long long)value);

	log_text(line, key, (struct slice){ text, (size_t)len });
}

void log_end(struct log_line *line)
{
	ssize_t n;

	if (!line->log)
		return;
	line->text[line->len++] = '\n';
	/* stderr that cannot be written is nobody's to mend: the line is dropped. */
	n = write(line->log->fd, line->text, line->len);
	(void)n;
}

void log_words(const struct log *log, enum log_level level, const char *event, const char *format,
	       ...)
{
	struct log_line line;
	char words[LOG_VALUE_MAX + 1];
	va_list args;

	log_begin(&line, log, level, event);
	if (!line.log)
		return;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	log_str(&line, "words", words);
	log_end(&line);
}
