/* lib_yaml_test - what a settings file may be, and the line named where it is not */
// SPDX-License-Identifier: Apache-2.0
#include "lib/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

static int open_text(const char *path, const char *text, size_t len, struct yaml_file **file,
		     const struct yaml **root, struct err *err)
{
	FILE *out = fopen(path, "w");

	fwrite(text, 1, len, out);
	fclose(out);
	*err = (struct err){ "" };
	*file = NULL;
	return yaml_open(file, path, root, err);
}

static void test_refused(struct tap *tap, const char *path)
{
	static const struct { const char *text; const char *words; } rows[] = {
		{ "a: 1\nb: [1, 2\n", ":3:" },
		{ "a: 1\na: 2\n", ":2: this key stands twice" },
		{ "a: &x 1\n", "anchors" },
		{ "a: &x [1]\n", "anchors" },
		{ "a: *x\n", ":1:" },
		{ "a: !!int 1\n", "tags" },
		{ "a: 1\n---\nb: 2\n", "only one document" },
		{ "[a, b]: 1\n", "a key must be plain text" },
		{ "a: \"x\\0y\"\n", "a NUL" },
		{ "a: \tb\n\t- c\n", ":2:" },
		{ "\x80\xff", "" },
	};
	const struct yaml *root;
	struct yaml_file *file;
	struct err err;
	char deep[100];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = open_text(path, rows[i].text, strlen(rows[i].text), &file, &root, &err);

		OK(tap, rc == -EBADMSG && err.text[0] && strstr(err.text, rows[i].words),
		   "row %zu: %s", i, err.text);
	}
	memset(deep, '[', sizeof(deep));
	OK(tap, open_text(path, deep, sizeof(deep), &file, &root, &err) == -EBADMSG &&
	   strstr(err.text, "too deep"), "depth is bounded: %s", err.text);
}

static void test_big(struct tap *tap, const char *path)
{
	char *text = malloc(YAML_BYTES_MAX + 2);
	const struct yaml *root;
	struct yaml_file *file;
	struct err err;

	memset(text, '#', YAML_BYTES_MAX + 2);
	OK(tap, open_text(path, text, YAML_BYTES_MAX + 1, &file, &root, &err) == -EBADMSG &&
	   strstr(err.text, "larger than"), "size is bounded: %s", err.text);
	for (size_t i = 0; i < 500000; i++)
		memcpy(text + 2 * i, i ? "," "1" : "[1", 2);
	OK(tap, open_text(path, text, 1000000, &file, &root, &err) == -EBADMSG &&
	   strstr(err.text, "too many"), "entries are bounded: %s", err.text);
	free(text);
}

static void test_tree(struct tap *tap, const char *path)
{
	static const char text[] = "a: 1\n# words\nb:\n  - x\n  - {c: d e}\n'f': \"\"\ng:\n";
	const struct yaml *root, *b;
	struct yaml_file *file;
	struct err err;

	OK(tap, open_text(path, text, sizeof(text) - 1, &file, &root, &err) == 0, "a tree %s",
	   err.text);
	b = yaml_get(root, "b");
	OK(tap, strcmp(yaml_get_text(root, "a"), "1") == 0 && b && b->kind == YAML_KIND_LIST &&
	   b->line == 3 && strcmp(b->first->text, "x") == 0, "scalars and lists");
	OK(tap, strcmp(yaml_get_text(b->first->next, "c"), "d e") == 0, "a map in a list");
	OK(tap, strcmp(yaml_get_text(root, "f"), "") == 0 &&
	   strcmp(yaml_get_text(root, "g"), "") == 0,
	   "empty values");
	OK(tap, !yaml_get(root, "z") && !yaml_get(NULL, "z") && !yaml_get_text(root, "b"),
	   "what is missing");
	yaml_close(file);
	OK(tap, open_text(path, "", 0, &file, &root, &err) == 0 && root->kind == YAML_KIND_MAP,
	   "an empty file is an empty map");
	yaml_close(file);
	OK(tap, yaml_open(&file, "/nonexistent/x.yaml", &root, &err) == -ENOENT, "no such file");
}

int main(void)
{
	char path[] = "/tmp/millrace-yaml-XXXXXX";
	struct tap tap = { 0 };
	int fd = mkstemp(path);

	test_tree(&tap, path);
	test_refused(&tap, path);
	test_big(&tap, path);
	close(fd);
	unlink(path);
	return tap_end(&tap);
}
