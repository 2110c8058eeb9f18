// SPDX-License-Identifier: Apache-2.0
#include "sink/file_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tap.h"

#define N0 "00000000000000000000"
#define N9 "00000000000000000009"

static const struct {
	const char *text;
	int rc;
	struct file_name name;
} cases[] = {
	{ "t-0-" N0 "-" N9 ".jsonl", 0, { "t", 0, 0, 9, FILE_FORMAT_JSONL } },
	{ "a-1-2-12-" N9 "-" N9 ".avro", 0, { "a-1-2", 12, 9, 9, FILE_FORMAT_AVRO } },
	{ "a.jsonl-3-" N0 "-" N9 ".jsonl.gz", 0, { "a.jsonl", 3, 0, 9, FILE_FORMAT_JSONL_GZ } },
	{ "t-0-" N9 ".avro.part", 0, { "t", 0, 9, -1, FILE_FORMAT_AVRO } },
	{ "t-0-" N0 "-09223372036854775807.jsonl", 0,
	  { "t", 0, 0, INT64_MAX, FILE_FORMAT_JSONL } },
	{ "t-0-" N0 "-09223372036854775808.jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "t-0-" N9 "-" N0 ".jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "t-00-" N0 "-" N9 ".jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "t-2147483648-" N0 "-" N9 ".jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "t--1-" N0 "-" N9 ".jsonl", 0, { "t-", 1, 0, 9, FILE_FORMAT_JSONL } },
	{ "t-0-0-9.jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "0-" N0 "-" N9 ".jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "-0-" N0 "-" N9 ".jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ ".t-0-" N0 "-" N9 ".jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "t-0-" N0 "-" N9 ".json", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "t-0-" N0 "-" N9 "jsonl", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "t-0-" N0 "-" N9, -EINVAL, { "", 0, 0, 0, 0 } },
	{ ".t-0.sums", -EINVAL, { "", 0, 0, 0, 0 } },
	{ ".part", -EINVAL, { "", 0, 0, 0, 0 } },
	{ "", -EINVAL, { "", 0, 0, 0, 0 } },
};

static bool same(const struct file_name *a, const struct file_name *b)
{
	return strcmp(a->topic, b->topic) == 0 && a->partition == b->partition &&
	       a->first == b->first && a->last == b->last && a->format == b->format;
}

static void test_list(struct tap *tap)
{
	char dir[] = "/tmp/millrace-names-XXXXXX";
	const char *files[] = { "b-0-" N0 "-" N9 ".jsonl", "a-10-" N0 "-" N9 ".jsonl",
				"a-2-" N9 "-" N9 ".jsonl", "a-2-" N0 "-" N0 ".jsonl", "notes.txt",
				"a-2-" N9 ".jsonl.part" };
	const char *wanted[] = { "a-2-" N0 "-" N0 ".jsonl", "a-2-" N9 ".jsonl.part",
				 "a-2-" N9 "-" N9 ".jsonl", "a-10-" N0 "-" N9 ".jsonl",
				 "b-0-" N0 "-" N9 ".jsonl" };
	struct file_list list;
	struct err err = { "" };
	char text[FILE_NAME_TEXT_MAX];
	int fd;

	if (!OK(tap, mkdtemp(dir) != NULL, "a directory"))
		return;
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		close(openat(fd, files[i], O_CREAT | O_WRONLY, 0644));
	OK(tap, file_list_open(&list, fd, &err) == 0 && list.count == 5, "five files are ours");
	for (size_t i = 0; i < list.count && i < 5; i++) {
		file_name_print(&list.files[i], text);
		OK(tap, strcmp(text, wanted[i]) == 0, "%zu. is %s", i, text);
	}
	file_list_close(&list);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(fd, files[i], 0);
	close(fd);
	rmdir(dir);
	OK(tap, file_list_open(&list, -1, &err) == -EBADF, "no directory: %s", err.text);
}

int main(void)
{
	struct tap tap = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[FILE_NAME_TEXT_MAX];
		struct file_name name;
		int rc = file_name_parse(cases[i].text, &name);

		OK(&tap, rc == cases[i].rc, "'%s' gives %d", cases[i].text, rc);
		if (rc < 0)
			continue;
		file_name_print(&name, text);
		OK(&tap, same(&name, &cases[i].name) && strcmp(text, cases[i].text) == 0,
		   "and is printed as %s", text);
	}
	test_list(&tap);
	return tap_end(&tap);
}
