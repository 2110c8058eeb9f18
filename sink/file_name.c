// SPDX-License-Identifier: Apache-2.0
#include "sink/file_name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DIGITS 20
#define PART   ".part"

static const char *const exts[FILE_FORMAT_COUNT] = { "jsonl", "jsonl.gz", "avro" };

const char *file_format_ext(enum file_format format)
{
	return exts[format];
}

int file_format_find(struct slice ext, enum file_format *format)
{
	for (int i = 0; i < FILE_FORMAT_COUNT; i++) {
		if (slice_is(ext, exts[i])) {
			*format = (enum file_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

void file_name_print(const struct file_name *name, char text[FILE_NAME_TEXT_MAX])
{
	if (name->last < 0)
		snprintf(text, FILE_NAME_TEXT_MAX, "%s-%" PRId32 "-%0*" PRId64 ".%s" PART,
			 name->topic, name->partition, DIGITS, name->first, exts[name->format]);
	else
		snprintf(text, FILE_NAME_TEXT_MAX, "%s-%" PRId32 "-%0*" PRId64 "-%0*" PRId64 ".%s",
			 name->topic, name->partition, DIGITS, name->first, DIGITS, name->last,
			 exts[name->format]);
}

void file_name_print_sums(const char *topic, int32_t partition, char text[FILE_NAME_TEXT_MAX])
{
	snprintf(text, FILE_NAME_TEXT_MAX, ".%s-%" PRId32 ".sums", topic, partition);
}

/* Takes "-DIGITS" off the end of text. digits 0: any number of them, without a leading zero. */
static int take_number(struct slice *text, size_t digits, int64_t *number)
{
	size_t n = 0;
	int64_t value = 0;

	while (n < text->len && text->ptr[text->len - 1 - n] >= '0' &&
	       text->ptr[text->len - 1 - n] <= '9')
		n++;
	if (n == 0 || n == text->len || text->ptr[text->len - 1 - n] != '-' ||
	    (digits && n != digits) || (!digits && n > 1 && text->ptr[text->len - n] == '0'))
		return -EINVAL;
	for (size_t i = text->len - n; i < text->len; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, text->ptr[i] - '0', &value))
			return -EINVAL;
	text->len -= n + 1;
	*number = value;
	return 0;
}

/* Takes ".EXT" off the end; the longest one that fits. */
static int take_ext(struct slice *text, enum file_format *format)
{
	for (int i = FILE_FORMAT_COUNT - 1; i >= 0; i--) {
		size_t len = strlen(exts[i]);

		if (text->len > len + 1 && text->ptr[text->len - len - 1] == '.' &&
		    memcmp(text->ptr + text->len - len, exts[i], len) == 0) {
			text->len -= len + 1;
			*format = (enum file_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

int file_name_parse(const char *text, struct file_name *name)
{
	struct slice rest = slice_from(text);
	size_t part = strlen(PART);
	bool is_part = rest.len > part && memcmp(rest.ptr + rest.len - part, PART, part) == 0;
	int64_t partition;

	*name = (struct file_name){ .last = -1 };
	if (is_part)
		rest.len -= part;
	if (text[0] == '.' || take_ext(&rest, &name->format) < 0 ||
	    (!is_part && take_number(&rest, DIGITS, &name->last) < 0) ||
	    take_number(&rest, DIGITS, &name->first) < 0 || take_number(&rest, 0, &partition) < 0 ||
	    partition > INT32_MAX || rest.len == 0 || rest.len > FILE_NAME_TOPIC_MAX ||
	    (!is_part && name->last < name->first))
		return -EINVAL;
	memcpy(name->topic, rest.ptr, rest.len);
	name->partition = (int32_t)partition;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct file_name *x = a, *y = b;
	int topic = strcmp(x->topic, y->topic);

	if (topic)
		return topic;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->last != y->last)
		return x->last < y->last ? -1 : 1;
	return (int)x->format - (int)y->format;
}

static int add(struct file_list *list, size_t *room, const struct file_name *name)
{
	struct file_name *more;

	if (list->count == *room) {
		*room = *room ? *room * 2 : 64;
		more = reallocarray(list->files, *room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->files = more;
	}
	list->files[list->count++] = *name;
	return 0;
}

int file_list_open(struct file_list *list, int dir_fd, struct err *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct file_name name;
	size_t room = 0;
	int rc = 0;

	*list = (struct file_list){ 0 };
	if (!dir) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return err_set(err, rc, "the directory cannot be read: %s", strerror(-rc));
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir)))
		if (file_name_parse(entry->d_name, &name) == 0)
			rc = add(list, &room, &name);
	if (rc == 0 && errno)
		rc = -errno;
	closedir(dir);
	if (rc < 0) {
		file_list_close(list);
		return err_set(err, rc, "the directory cannot be read: %s", strerror(-rc));
	}
	if (list->count)
		qsort(list->files, list->count, sizeof(*list->files), compare);
	return 0;
}

void file_list_close(struct file_list *list)
{
	free(list->files);
	*list = (struct file_list){ 0 };
}
