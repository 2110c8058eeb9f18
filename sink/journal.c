// SPDX-License-Identifier: Apache-2.0
#include "sink/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/dir.h"

struct journal {
	int fd;
	struct buf line;
};

static int load(struct journal *journal, off_t size, journal_line_fn *line, void *ctx,
		struct err *err)
{
	struct json_reader *json = NULL;
	FILE *file = fdopen(dup(journal->fd), "r");
	char *text = NULL;
	size_t cap = 0;
	off_t whole = 0;
	ssize_t len;
	int rc = file ? json_open(&json, err) : -ENOMEM;

	while (rc == 0 && (len = getline(&text, &cap, file)) > 0 && text[len - 1] == '\n') {
		yyjson_val *root;

		whole += len;
		if (json_parse(json, (struct slice){ text, (size_t)len - 1 }, &root, NULL) == 0)
			rc = line(ctx, root);
	}
	if (rc == 0 && whole < size && ftruncate(journal->fd, whole) < 0)
		rc = -errno;
	free(text);
	json_close(json);
	if (file)
		fclose(file);
	return rc;
}

int journal_open(struct journal **journalp, const char *path, journal_line_fn *line, void *ctx,
		 struct err *err)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	struct stat st;
	int rc = 0;

	*journalp = NULL;
	if (!journal)
		return err_set(err, -ENOMEM, "no memory");
	journal->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (journal->fd < 0 || fstat(journal->fd, &st) < 0)
		rc = -errno;
	else if (flock(journal->fd, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(err, -EBUSY, "%s: another sink --trigger has it", path);
	if (rc == 0)
		rc = load(journal, st.st_size, line, ctx, err);
	if (rc == 0)
		rc = dir_sync_parent(path);
	if (rc < 0) {
		journal_close(journal);
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	*journalp = journal;
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	if (journal->fd >= 0)
		close(journal->fd);
	buf_close(&journal->line);
	free(journal);
}

int journal_add(struct journal *journal, struct slice text, bool sync)
{
	buf_reset(&journal->line);
	buf_append_slice(&journal->line, text);
	buf_append_char(&journal->line, '\n');
	if (journal->line.failed)
		return -ENOMEM;
	if (write(journal->fd, journal->line.ptr, journal->line.len) !=
	    (ssize_t)journal->line.len)
		return errno ? -errno : -ENOSPC;
	return sync && fdatasync(journal->fd) < 0 ? -errno : 0;
}
