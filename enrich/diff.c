// SPDX-License-Identifier: Apache-2.0
#include "enrich/diff.h"

#include <errno.h>
#include <unistd.h>

#include "enrich/version.h"

struct diff {
	const struct bus_conf *base;
	struct diff_counts *counts;
	int64_t left;                   /* lines to be shown yet */
	int fd;
	struct buf line, names;
};

static int put(struct diff *diff, struct err *err)
{
	struct slice rest = buf_slice(&diff->line);

	while (rest.len) {
		ssize_t n = write(diff->fd, rest.ptr, rest.len);

		if (n < 0 && errno != EINTR)
			return err_set(err, -errno, "stdout: %s", strerror(errno));
		rest = slice_skip(rest, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

static int show(struct diff *diff, const char *what, const struct version *version,
		struct err *err)
{
	if (diff->left <= 0)
		return 0;
	diff->left--;
	buf_reset(&diff->line);
	buf_printf(&diff->line, "%s %d %lld", what, version->record.partition,
		   (long long)version->offset);
	if (version->index)
		buf_printf(&diff->line, ".%lld", (long long)version->index);
	buf_append_slice(&diff->line, buf_slice(&diff->names));
	buf_append_char(&diff->line, '\n');
	return put(diff, err);
}

static int order_of(const struct version *a, const struct version *b)
{
	if (!a->has || !b->has)
		return b->has - a->has;         /* at its end it is behind all */
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

static int take(struct diff *diff, struct version *a, struct version *b, struct err *err)
{
	int order = order_of(a, b), rc;

	buf_reset(&diff->names);
	if (order < 0) {
		diff->counts->missing++;
		rc = show(diff, "missing", a, err);
	} else if (order > 0) {
		diff->counts->added++;
		rc = show(diff, "added", b, err);
	} else if (version_compare(diff->base->schema, a->record.fields, b->record.fields, false,
				   &diff->names) > 0) {
		diff->counts->changed++;
		rc = show(diff, "changed", a, err);
	} else {
		diff->counts->same++;
		rc = 0;
	}
	if (rc == 0 && order <= 0)
		rc = version_next(a, err);
	if (rc == 0 && order >= 0)
		rc = version_next(b, err);
	return rc;
}

static int diff_partition(struct diff *diff, const char *a_url, const char *b_url, int32_t p,
			  struct err *err)
{
	struct version a = { .bus = NULL }, b = { .bus = NULL };
	int rc = version_open(&a, a_url, diff->base, p, err);

	if (rc == 0)
		rc = version_open(&b, b_url, diff->base, p, err);
	if (rc == 0)
		rc = version_next(&a, err);
	if (rc == 0)
		rc = version_next(&b, err);
	while (rc == 0 && (a.has || b.has))
		rc = take(diff, &a, &b, err);
	version_close(&a);
	version_close(&b);
	return rc;
}

int diff_run(const char *a, const char *b, const struct bus_conf *base, int64_t show_max, int fd,
	     struct diff_counts *counts, struct err *err)
{
	struct diff diff = { .base = base, .counts = counts, .left = show_max, .fd = fd };
	int count_a = version_partitions(a, base, err), count_b, rc = 0;

	*counts = (struct diff_counts){ .same = 0 };
	if (count_a < 0)
		return count_a;
	count_b = version_partitions(b, base, err);
	if (count_b < 0)
		return count_b;
	if (count_a != count_b)
		return err_set(err, -EINVAL, "%s has %d partitions and %s %d: they are no versions "
			       "of one topic", a, count_a, b, count_b);
	for (int32_t p = 0; p < count_a && rc == 0; p++)
		rc = diff_partition(&diff, a, b, p, err);
	buf_reset(&diff.line);
	buf_printf(&diff.line, "same=%lld changed=%lld missing=%lld added=%lld\n",
		   (long long)counts->same, (long long)counts->changed,
		   (long long)counts->missing, (long long)counts->added);
	if (rc == 0)
		rc = put(&diff, err);
	buf_close(&diff.line);
	buf_close(&diff.names);
	return rc;
}
