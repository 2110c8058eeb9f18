/* yaml_json: each way by hand, and JSON -> YAML -> JSON is the same. */
// SPDX-License-Identifier: Apache-2.0
#include "lib/yaml_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tap.h"

static const struct { const char *yaml, *json, *said; } READS[] = {
	{ "a: 1\nb: text\n", "{\"a\":1,\"b\":\"text\"}", "a map" },
	{ "- 1\n- two\n- [3, 4]\n", "[1,\"two\",[3,4]]", "lists" },
	{ "a: \"1\"\nb: '2'\n", "{\"a\":\"1\",\"b\":\"2\"}", "quoted numbers are text" },
	{ "a: ~\nb:\nc: null\n", "{\"a\":null,\"b\":null,\"c\":null}", "nulls" },
	{ "a: true\nb: False\nc: yes\n", "{\"a\":true,\"b\":false,\"c\":\"yes\"}", "booleans" },
	{ "a: -1.5e3\nb: 007\nc: 1.\nd: .5\n",
	  "{\"a\":-1.5e3,\"b\":\"007\",\"c\":\"1.\",\"d\":\".5\"}", "numbers as JSON has them" },
	{ "a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}", "a block is text" },
	{ "a: 2026-11-24\n", "{\"a\":\"2026-11-24\"}", "a date is text" },
};

static const char *const ROUNDS[] = {
	"{\"name\":\"Checkout\",\"steps\":[{\"event\":\"Order Completed\",\"where\":{\"prop\":"
	"\"amount\",\"op\":\">=\",\"values\":[10]}},{\"event\":\"*\"}],\"top\":12}",
	"[[1,[2,[]]],{},{\"a\":{}},\"\",\" x\",\"x \",\"a: b\",\"- a\","
	"\"#\",\"a #b\",\"null\",\"~\"]",
	"{\"\":1,\"a b\":2,\"true\":3,\"1\":4,\"quote\\\"\":5,\"line\\nbreak\":\"tab\\t\"}",
	"{\"no\":\"off\",\"text\":\"1e3\",\"n\":1e3,\"f\":false,\"z\":null,\"u\":\"\xc3\xa5\"}",
	"[[[\"deep\"]],[{\"a\":[{\"b\":[1]}]}]]",
};

static struct slice read_yaml(const char *text, struct buf *out, struct err *err)
{
	char path[] = "/tmp/yaml_json_XXXXXX";
	const struct yaml *root;
	struct yaml_file *file = NULL;
	FILE *stream = fdopen(mkstemp(path), "w");

	fputs(text, stream);
	fclose(stream);
	buf_reset(out);
	if (yaml_open(&file, path, &root, err) == 0)
		yaml_write_json(root, out);
	yaml_close(file);
	unlink(path);
	return buf_slice(out);
}

int main(void)
{
	struct json_reader *reader = NULL;
	struct tap tap = { 0 };
	struct buf out = { .limit = 1 << 20 }, yaml = { .limit = 1 << 20 };
	struct err err = { "" };

	if (json_open(&reader, &err) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(READS) / sizeof(READS[0]); i++) {
		struct slice got = read_yaml(READS[i].yaml, &out, &err);

		OK(&tap, slice_is(got, READS[i].json), "%s: %.*s", READS[i].said, (int)got.len,
		   got.ptr);
	}
	for (size_t i = 0; i < sizeof(ROUNDS) / sizeof(ROUNDS[0]); i++) {
		yyjson_val *root;
		struct slice got;

		if (!OK(&tap, json_parse(reader, slice_from(ROUNDS[i]), &root, &err) == 0, "JSON"))
			continue;
		buf_reset(&yaml);
		json_write_yaml(root, &yaml);
		buf_append_char(&yaml, '\0');
		err.text[0] = '\0';
		got = read_yaml(yaml.ptr ? yaml.ptr : "", &out, &err);
		OK(&tap, slice_is(got, ROUNDS[i]), "there and back, %zu: %s", i, err.text);
		if (!slice_is(got, ROUNDS[i]))
			printf("# %.*s\n# %.*s\n", (int)got.len, got.ptr, (int)yaml.len, yaml.ptr);
	}
	buf_close(&out);
	buf_close(&yaml);
	json_close(reader);
	return tap_end(&tap);
}
