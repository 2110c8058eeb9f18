// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "aggregate/manifest.h"
#include "aggregate/store.h"

struct check {
	const char *dir;
	void (*say)(void *ctx, const char *line);
	void *ctx;
};

static int check_file(const struct check *check, const struct manifest_file *entry,
		      struct err *err)
{
	struct column_file *file;
	char path[4096], line[256];
	int rc;

	snprintf(path, sizeof(path), "%s/column-%" PRIu64, check->dir, entry->number);
	rc = column_open(&file, path, err);
	if (rc < 0)
		return rc == -ENOENT ? -EBADMSG : rc;
	if (file->rows != entry->rows || file->bytes != entry->bytes)
		rc = err_set(err, -EBADMSG, "%s: is not the file that the manifest names; start "
			     "aggregate with --rebuild", path);
	if (rc == 0)
		rc = column_verify(file, err);
	if (rc == 0) {
		snprintf(line, sizeof(line), "column-%" PRIu64 ": %" PRIu32 " events of %" PRIu32
			 " ids, %" PRIu32 " columns, %" PRIu64 " bytes, %" PRIu32 " ids gone: good",
			 entry->number, file->rows, file->actors, file->column_count, file->bytes,
			 entry->gone_count);
		check->say(check->ctx, line);
	}
	column_close(file);
	return rc;
}

int store_check(const char *dir, void (*say)(void *ctx, const char *line), void *ctx,
		struct err *err)
{
	struct check check = { dir, say, ctx };
	struct manifest manifest;
	char line[256];
	int rc = manifest_read(&manifest, dir, err);

	if (rc == -ENOENT)
		return err_set(err, rc, "%s: has no manifest: nothing was written there yet", dir);
	if (rc < 0)
		return rc;
	snprintf(line, sizeof(line), "manifest: logic %s, %d partitions, %zu files: good",
		 manifest.logic, manifest.partitions, manifest.count);
	say(ctx, line);
	for (size_t i = 0; i < manifest.count && rc == 0; i++)
		rc = check_file(&check, &manifest.files[i], err);
	if (rc == 0 && manifest.persons.name[0]) {
		rc = persons_verify(dir, &manifest.persons, err);
		snprintf(line, sizeof(line), "%s: %" PRIu64 " bytes: good", manifest.persons.name,
			 manifest.persons.bytes);
		if (rc == 0)
			say(ctx, line);
	}
	manifest_reset(&manifest);
	return rc;
}
