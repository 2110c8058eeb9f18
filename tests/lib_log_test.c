/* lib_log_test - one line per fact that nobody can forge */
// SPDX-License-Identifier: Apache-2.0
#include "lib/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tap.h"

static size_t logged(enum log_level least, struct slice value, char *out, size_t size)
{
	int fds[2];
	struct log log = { .program = "test", .level = least };
	struct log_line line;
	ssize_t n;

	if (pipe2(fds, O_NONBLOCK))
		abort();
	log.fd = fds[1];
	log_begin(&line, &log, LOG_LEVEL_INFO, "fact");
	log_text(&line, "v", value);
	log_num(&line, "n", -5);
	log_end(&line);
	n = read(fds[0], out, size - 1);
	close(fds[0]);
	close(fds[1]);
	if (n < 0)
		n = 0;
	out[n] = '\0';
	return (size_t)n;
}

int main(void)
{
	static const struct { const char *value; const char *said; } rows[] = {
		{ "plain", " v=plain n=-5\n" },
		{ "", " v=\"\" n=-5\n" },
		{ "two words", " v=\"two words\" n=-5\n" },
		{ "a=b", " v=\"a=b\" n=-5\n" },
		{ "q\"\\", " v=\"q\\\"\\\\\" n=-5\n" },
		{ "x\nlevel=error", " v=\"x\\x0alevel=error\" n=-5\n" },
		{ "\x1b[2J\x7f", " v=\"\\x1b[2J\\x7f\" n=-5\n" },
	};
	struct tap tap = { 0 };
	char out[8192], big[9000];
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		len = logged(LOG_LEVEL_INFO, slice_from(rows[i].value), out, sizeof(out));
		OK(&tap, len > strlen(rows[i].said) &&
		   strcmp(out + len - strlen(rows[i].said), rows[i].said) == 0, "row %zu", i);
	}
	OK(&tap, strncmp(out, "ts=2", 4) == 0 &&
	   strstr(out, "Z level=info program=test event=fact"),
	   "the head of a line");
	memset(big, '\n', sizeof(big));
	len = logged(LOG_LEVEL_INFO, (struct slice){ big, sizeof(big) }, out, sizeof(out));
	OK(&tap, len < LOG_LINE_MAX && out[len - 1] == '\n' && strchr(out, '\n') == out + len - 1,
	   "a huge value is cut, still one line");
	OK(&tap, logged(LOG_LEVEL_WARN, SLICE("x"), out, sizeof(out)) == 0,
	   "below the level: nothing");
	return tap_end(&tap);
}
