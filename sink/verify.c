// SPDX-License-Identifier: Apache-2.0
#include "sink/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink/file_name.h"
#include "sink/scan.h"
#include "sink/sums.h"

/* One topic and partition. */
struct group {
	const struct file_name *files;
	size_t count;
	struct sums *sums;
	struct stamp_seen seen;
	uint64_t records, markers, duplicates, gaps, overlaps, damaged, repeats, unproven, open;
	int64_t first;                  /* of the first finished file */
	int64_t next;                   /* offset that should come; -1: the first file */
};

struct verifier {
	int dir_fd;
	struct scanner *scanner;
	struct verify *verify;
	struct buf *report;
	struct buf problems;            /* of the group, printed after its line */
};

static void look_at_range(struct verifier *verifier, struct group *group,
			  const struct file_name *name)
{
	if (group->next < 0)
		group->first = name->first;
	if (group->next >= 0 && name->first > group->next) {
		group->gaps++;
		buf_printf(&verifier->problems, "  gap: offsets %" PRId64 "..%" PRId64
			   " are in no file\n", group->next, name->first - 1);
	} else if (group->next >= 0 && name->first < group->next) {
		int64_t last = name->last < group->next ? name->last : group->next - 1;

		group->overlaps++;
		buf_printf(&verifier->problems, "  overlap: offsets %" PRId64 "..%" PRId64
			   " are in more than one file\n", name->first, last);
	}
	if (name->last >= group->next)
		group->next = name->last + 1;
}

static void look_at_sum(struct verifier *verifier, struct group *group, const char *text,
			const struct scan *scan, bool whole)
{
	struct sum sum;

	if (sums_find(group->sums, text, &sum) < 0) {
		group->unproven++;
		return;
	}
	group->markers += sum.markers;
	group->duplicates += sum.duplicates;
	if (!whole || (memcmp(sum.hash, scan->hash, SUMS_HASH) == 0 && sum.bytes == scan->bytes &&
		       sum.records == scan->records))
		return;
	group->damaged++;
	buf_printf(&verifier->problems, "  damaged: %s: not what was written (%" PRIu64
		   " records and %" PRIu64 " bytes, were %" PRIu64 " and %" PRIu64 ")\n", text,
		   scan->records, scan->bytes, sum.records, sum.bytes);
}

static int look_at_file(struct verifier *verifier, struct group *group,
			const struct file_name *name)
{
	char text[FILE_NAME_TEXT_MAX];
	struct scan scan;
	int rc;

	if (name->last < 0) {
		group->open++;
		return 0;
	}
	file_name_print(name, text);
	look_at_range(verifier, group, name);
	rc = scan_file(verifier->scanner, verifier->dir_fd, name, &group->seen, &scan);
	if (rc == -ENOMEM)
		return rc;
	if (rc == 0 && scan.records > (uint64_t)(name->last - name->first) + 1) {
		rc = -EBADMSG;
		memcpy(scan.why, "more records than offsets", sizeof("more records than offsets"));
	}
	if (rc < 0) {
		group->damaged++;
		buf_printf(&verifier->problems, "  damaged: %s: %s\n", text, scan.why);
	}
	look_at_sum(verifier, group, text, &scan, rc == 0);
	/* A pipe's stamps begin again with each run. */
	if (scan.repeats && strcmp(name->topic, "stdin") != 0) {
		group->repeats += scan.repeats;
		buf_printf(&verifier->problems, "  repeat: %s: %" PRIu64
			   " records whose src came before\n", text, scan.repeats);
	}
	group->records += scan.records;
	verifier->verify->files++;
	return 0;
}

static void print_group(struct verifier *verifier, const struct group *group)
{
	struct verify *verify = verifier->verify;
	const struct file_name *name = group->files;
	size_t finished = group->count - group->open;

	buf_printf(verifier->report, "%s partition %" PRId32 ": ", name->topic, name->partition);
	if (finished == 0)
		buf_append_text(verifier->report, "no finished file");
	else
		buf_printf(verifier->report,
			   "%zu files, offsets %" PRId64 "..%" PRId64 ", %" PRIu64
			   " records, %" PRIu64 " markers, %" PRIu64 " duplicates, %" PRIu64
			   " gaps, %" PRIu64 " overlaps, %" PRIu64 " damaged, %" PRIu64 " repeats",
			   finished, group->first, group->next - 1, group->records, group->markers,
			   group->duplicates, group->gaps, group->overlaps, group->damaged,
			   group->repeats);
	if (group->unproven)
		buf_printf(verifier->report, ", %" PRIu64 " without a line in the sums",
			   group->unproven);
	if (group->open)
		buf_printf(verifier->report, ", %" PRIu64 " in work", group->open);
	buf_append_char(verifier->report, '\n');
	buf_append_slice(verifier->report, buf_slice(&verifier->problems));
	verify->records += group->records;
	verify->unproven += group->unproven;
	verify->problems += group->gaps + group->overlaps + group->damaged + group->repeats;
}

static int verify_group(struct verifier *verifier, struct group *group, struct err *err)
{
	int rc = sums_open(&group->sums, verifier->dir_fd, group->files[0].topic,
			   group->files[0].partition, err);

	stamp_seen_init(&group->seen);
	group->next = -1;
	buf_reset(&verifier->problems);
	for (size_t i = 0; i < group->count && rc == 0; i++)
		rc = look_at_file(verifier, group, &group->files[i]);
	if (rc == 0)
		print_group(verifier, group);
	sums_close(group->sums);
	return rc;
}

static bool same_group(const struct file_name *a, const struct file_name *b)
{
	return a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

static int verify_list(struct verifier *verifier, const struct file_list *list, struct err *err)
{
	struct group *group = malloc(sizeof(*group));
	int rc = group ? 0 : -ENOMEM;

	for (size_t i = 0, n; i < list->count && rc == 0; i += n) {
		n = 1;
		while (i + n < list->count && same_group(&list->files[i], &list->files[i + n]))
			n++;
		memset(group, 0, sizeof(*group));
		group->files = &list->files[i];
		group->count = n;
		rc = verify_group(verifier, group, err);
	}
	free(group);
	return rc;
}

int verify_dir(const char *dir, struct verify *verify, struct buf *report, struct err *err)
{
	struct verifier verifier = { .verify = verify, .report = report };
	struct file_list list = { 0 };
	int rc;

	*verify = (struct verify){ 0 };
	verifier.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (verifier.dir_fd < 0) {
		rc = -errno;
		return err_set(err, rc, "%s: %s", dir, strerror(-rc));
	}
	rc = scanner_open(&verifier.scanner, err);
	if (rc == 0)
		rc = file_list_open(&list, verifier.dir_fd, err);
	if (rc == 0)
		rc = verify_list(&verifier, &list, err);
	if (rc == 0 && report->failed)
		rc = -ENOMEM;
	if (rc < 0)
		err_set(err, rc, "%s: %s", dir, strerror(-rc));
	file_list_close(&list);
	scanner_close(verifier.scanner);
	buf_close(&verifier.problems);
	close(verifier.dir_fd);
	return rc;
}
