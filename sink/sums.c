// SPDX-License-Identifier: Apache-2.0
#include "sink/sums.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"

#define SUMS_BYTES_MAX ((off_t)1 << 30)

/* One line: the sum, and its name in the text. */
struct sums_line {
	struct sum sum;
	const char *name;
	size_t order;
};

struct sums {
	struct buf text;
	struct sums_line *lines;        /* sorted by name, then order */
	size_t count;
};

size_t sums_print(const struct sum *sum, const char *name, char text[SUMS_LINE_MAX])
{
	int len = 0;

	for (int i = 0; i < SUMS_HASH; i++)
		len += snprintf(text + len, 3, "%02x", sum->hash[i]);
	len += snprintf(text + len, SUMS_LINE_MAX - (size_t)len,
			" %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", sum->bytes,
			sum->records, sum->markers, sum->duplicates, name);
	return (size_t)len;
}

static int mend_tail(int fd)
{
	struct stat st;
	char last;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return 0;
	if (pread(fd, &last, 1, st.st_size - 1) != 1)
		return -EIO;
	if (last == '\n')
		return 0;
	return write(fd, "\n", 1) == 1 ? 0 : -errno;
}

int sums_lock(int dir_fd, const char *topic, int32_t partition, struct err *err)
{
	char name[FILE_NAME_TEXT_MAX];
	int fd, rc;

	file_name_print_sums(topic, partition, name);
	fd = openat(dir_fd, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		rc = -errno;
		return err_set(err, rc, "%s: %s: the directory must be writable", name,
			       strerror(-rc));
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(fd);
		if (rc == -EBUSY)
			return err_set(err, rc, "partition %" PRId32 " of %s is another sink's in "
				       "this directory: stop that, or take another directory",
				       partition, topic);
		return err_set(err, rc, "%s: lock: %s", name, strerror(-rc));
	}
	rc = mend_tail(fd);
	if (rc < 0) {
		close(fd);
		return err_set(err, rc, "%s: %s", name, strerror(-rc));
	}
	return fd;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* text ends with NUL where its newline was. */
static int parse_line(const char *text, struct sums_line *line)
{
	uint64_t *const numbers[] = { &line->sum.bytes, &line->sum.records, &line->sum.markers,
				      &line->sum.duplicates };

	for (int i = 0; i < SUMS_HASH; i++, text += 2) {
		if (hex(text[0]) < 0 || hex(text[1]) < 0)
			return -EBADMSG;
		line->sum.hash[i] = (unsigned char)(hex(text[0]) << 4 | hex(text[1]));
	}
	for (int i = 0; i < 4; i++) {
		char *end;

		if (text[0] != ' ' || text[1] < '0' || text[1] > '9')
			return -EBADMSG;
		errno = 0;
		*numbers[i] = strtoull(text + 1, &end, 10);
		if (errno)
			return -EBADMSG;
		text = end;
	}
	if (text[0] != ' ' || text[1] == '\0')
		return -EBADMSG;
	line->name = text + 1;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct sums_line *x = a, *y = b;
	int name = strcmp(x->name, y->name);

	return name ? name : x->order < y->order ? -1 : x->order > y->order;
}

static int parse(struct sums *sums)
{
	char *at = sums->text.ptr, *end = at + sums->text.len, *stop;
	size_t lines = 0;

	for (char *c = at; c < end; c++)
		lines += *c == '\n';
	sums->lines = calloc(lines + 1, sizeof(*sums->lines));
	if (!sums->lines)
		return -ENOMEM;
	for (; (stop = memchr(at, '\n', (size_t)(end - at))); at = stop + 1) {
		struct sums_line *line = &sums->lines[sums->count];

		*stop = '\0';
		line->order = sums->count;
		if (parse_line(at, line) == 0)
			sums->count++;
	}
	if (sums->count)
		qsort(sums->lines, sums->count, sizeof(*sums->lines), compare);
	return 0;
}

static int read_all(int fd, struct buf *text)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > SUMS_BYTES_MAX)
		return -EFBIG;
	do {
		char *at = buf_reserve(text, (size_t)64 << 10);

		if (!at)
			return -ENOMEM;
		n = read(fd, at, (size_t)64 << 10);
		if (n < 0)
			return -errno;
		text->len += (size_t)n;
	} while (n > 0);
	return 0;
}

int sums_open(struct sums **sumsp, int dir_fd, const char *topic, int32_t partition,
	      struct err *err)
{
	struct sums *sums = calloc(1, sizeof(*sums));
	char name[FILE_NAME_TEXT_MAX];
	int fd, rc = 0;

	*sumsp = NULL;
	if (!sums)
		return err_set(err, -ENOMEM, "no memory");
	file_name_print_sums(topic, partition, name);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		rc = -errno;
	if (fd >= 0) {
		rc = read_all(fd, &sums->text);
		close(fd);
	}
	if (rc == 0 && sums->text.len)
		rc = parse(sums);
	if (rc < 0) {
		sums_close(sums);
		return err_set(err, rc, "%s: %s", name, strerror(-rc));
	}
	*sumsp = sums;
	return 0;
}

void sums_close(struct sums *sums)
{
	if (!sums)
		return;
	free(sums->lines);
	buf_close(&sums->text);
	free(sums);
}

int sums_find(const struct sums *sums, const char *name, struct sum *sum)
{
	size_t low = 0, high = sums->count;

	/* The first line after all of that name; the one before it is the last of them. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(sums->lines[mid].name, name) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || strcmp(sums->lines[low - 1].name, name) != 0)
		return -ENOENT;
	*sum = sums->lines[low - 1].sum;
	return 0;
}
