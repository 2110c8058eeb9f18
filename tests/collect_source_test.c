// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "collect/source.h"
#include "tests/tap.h"

/* The sources of a file with this text; NULL and words where it is refused. */
static struct source_set *sources_of(const char *text, struct err *err)
{
	char path[] = "/tmp/millrace-source-XXXXXX";
	int fd = mkstemp(path);
	struct yaml_file *file = NULL;
	const struct yaml *root;
	struct source_set *set = NULL;

	err->text[0] = '\0';
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    yaml_open(&file, path, &root, err))
		abort();
	if (source_set_open(&set, yaml_get(root, "sources"), "f", err))
		set = NULL;
	yaml_close(file);
	close(fd);
	unlink(path);
	return set;
}

static void test_good(struct tap *tap)
{
	struct err err;
	struct source_set *set = sources_of(
		"sources:\n"
		" - {name: a, write_key: KEY-A}\n"
		" - {name: b_1, write_keys: [KB1, KB2], origins: ['https://x.example/'], rate: 3}\n"
		" - {name: c, write_key: KC, enabled: no}\n", &err);
	struct source *b;

	if (!OK(tap, set != NULL, "good sources: %s", err.text))
		return;
	b = source_find(set, SLICE("KB2"));
	OK(tap, source_set_count(set) == 3, "three");
	OK(tap, b && b == source_find(set, SLICE("KB1")) && slice_is(b->name, "b_1"),
	   "two keys of one");
	OK(tap, !source_find(set, SLICE("KB")) && !source_find(set, SLICE("KB11")) &&
	   !source_find(set, SLICE("")) && !source_find(set, (struct slice){ NULL, 0 }),
	   "what is no key finds nothing");
	OK(tap, b && source_allows(b, SLICE("https://x.example")) &&
	   !source_allows(b, SLICE("https://x.example.evil")), "origins");
	OK(tap, b && b->limit.rate == 3 && b->enabled, "rate");
	OK(tap, !source_find(set, SLICE("KC"))->enabled, "switched off");
	OK(tap, source_allows(source_find(set, SLICE("KEY-A")), SLICE("any")), "any origin");
	source_set_close(set);
	set = sources_of("other: 1\n", &err);
	OK(tap, set && source_set_count(set) == 0 && !source_find(set, SLICE("K")), "no sources");
	source_set_close(set);
	source_set_close(NULL);
}

static void test_refused(struct tap *tap)
{
	static const struct { const char *text, *said;
	} rows[] = {
		{ "sources: 5\n", "f:1: sources must be a list" },
		{ "sources:\n - x\n", "f:2: a source is a map" },
		{ "sources:\n - {write_key: K}\n", "f:2: a source needs name" },
		{ "sources:\n - {name: a}\n", "f:2: a source needs write_key" },
		{ "sources:\n - {name: A, write_key: K}\n", "f:2: a source's name is 1 to 64" },
		{ "sources:\n - {name: ../x, write_key: K}\n", "f:2: a source's name" },
		{ "sources:\n - {name: a, write_key: K}\n - {name: a, write_key: L}\n",
		  "f:3: there are two sources 'a'" },
		{ "sources:\n - {name: a, write_key: K}\n - {name: b, write_key: K}\n",
		  "f:3: this write key is already that of 'a'" },
		{ "sources:\n - {name: a, write_key: ''}\n", "f:2: a write key has 1 to 200" },
		{ "sources:\n - {name: a, write_key: [[K]]}\n", "f:2: a write key must be text" },
		{ "sources:\n - {name: a, write_key: 'file:/none/such'}\n",
		  "f:2: file:/none/such: No" },
		{ "sources:\n - {name: a, write_key: K, enabled: maybe}\n",
		  "f:2: enabled is true" },
		{ "sources:\n - {name: a, write_key: K, rate: -1}\n", "f:2: rate is a number" },
		{ "sources:\n - {name: a, write_key: K, rate: 5x}\n", "f:2: rate is a number" },
		{ "sources:\n - {name: a, write_key: K, origins: x}\n",
		  "f:2: origins must be a list" },
		{ "sources:\n - {name: a, write_key: K, origins: [x.example]}\n",
		  "f:2: an origin is" },
		{ "sources:\n - {name: a, write_key: K, colour: red}\n",
		  "f:2: a source has no 'colour'" },
	};
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct source_set *set = sources_of(rows[i].text, &err);

		OK(tap, !set && strncmp(err.text, rows[i].said, strlen(rows[i].said)) == 0,
		   "%s: %s", rows[i].said, err.text);
		source_set_close(set);
	}
}

static void test_names(struct tap *tap)
{
	char name[66];

	memset(name, 'a', sizeof(name));
	OK(tap, source_name_is_valid((struct slice){ name, 64 }), "64 bytes");
	OK(tap, !source_name_is_valid((struct slice){ name, 65 }), "65 bytes");
	OK(tap, !source_name_is_valid((struct slice){ "a\0b", 3 }), "a NUL");
	OK(tap, !source_name_is_valid(SLICE("")), "none");
}

int main(void)
{
	struct tap tap = { 0 };

	test_good(&tap);
	test_refused(&tap);
	test_names(&tap);
	return tap_end(&tap);
}
