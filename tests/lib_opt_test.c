/* lib_opt_test - defaults, file and flags; what is refused, and with which words */
// SPDX-License-Identifier: Apache-2.0
#include "lib/opt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/opt_print.h"
#include "tests/tap.h"

struct conf {
	const char *listen;
	const char *key;
	int64_t count;
	int64_t bytes;
	int64_t wait_ms;
	bool gzip;
	struct opt_list kafka;
};

#define FIELD(f) offsetof(struct conf, f)

static const struct opt opts[] = {
	{ "listen", OPT_TEXT, FIELD(listen), "127.0.0.1:0", 0, 0, "HOST:PORT", "where" },
	{ "key", OPT_SECRET, FIELD(key), NULL, 0, 0, "KEY", "secret" },
	{ "count", OPT_COUNT, FIELD(count), "3", 1, 10, "N", "how many" },
	{ "body-max", OPT_BYTES, FIELD(bytes), "1m", 0, 0, "BYTES", "limit" },
	{ "wait", OPT_MS, FIELD(wait_ms), "5s", 0, 0, "TIME", "how long" },
	{ "gzip", OPT_FLAG, FIELD(gzip), "yes", 0, 0, NULL, "inflate" },
	{ "kafka", OPT_LIST, FIELD(kafka), NULL, 0, 0, "NAME=VALUE", "property" },
	{ NULL, OPT_TEXT, 0, NULL, 0, 0, NULL, NULL },
};

static int check(void *conf, struct err *err)
{
	if (((struct conf *)conf)->count == 7)
		return err_set(err, -EINVAL, "--count: 7 brings bad luck");
	return 0;
}

static const struct opt_program program = {
	.name = "test", .summary = "a test", .usage = "  test", .opts = opts, .check = check,
};

/* args are parted by spaces; {} is the file's path. */
static int parse(const char *args, const char *path, struct conf *conf, struct opt_set **set,
		 struct err *err, char *words, size_t size)
{
	char *argv[20] = { (char *)(uintptr_t) "test" };
	int argc = 1;
	char *save = NULL;

	snprintf(words, size, "%s", args);
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(word, "{}") == 0 ? (char *)(uintptr_t)path : word;
	*conf = (struct conf){ 0 };
	*err = (struct err){ "" };
	return opt_parse(&program, conf, argc, argv, NULL, set, err);
}

static void test_refused(struct tap *tap)
{
	static const struct { const char *args; int rc; const char *words; } rows[] = {
		{ "--nosuch", -EINVAL, "unknown option --nosuch" },
		{ "-x", -EINVAL, "unknown option -x" },
		{ "--count 0", -EINVAL, "--count: 0 is not between 1 and 10" },
		{ "--count 11", -EINVAL, "not between" },
		{ "--count x", -EINVAL, "is not a whole number" },
		{ "--count 9223372036854775808", -EINVAL, "is not a whole number" },
		{ "--count 3k", -EINVAL, "is not a whole number" },
		{ "--count -1", -EINVAL, "is not a whole number" },
		{ "--count", -EINVAL, "--count wants a whole number" },
		{ "--count 7", -EINVAL, "bad luck" },
		{ "--body-max 9223372036854775807g", -EINVAL, "is not a size" },
		{ "--wait 5x", -EINVAL, "is not a time" },
		{ "--gzip=maybe", -EINVAL, "is not yes or no" },
		{ "--no-gzip=yes", -EINVAL, "unknown option" },
		{ "--no-count", -EINVAL, "unknown option" },
		{ "operand", -EINVAL, "unexpected argument 'operand'" },
		{ "--key file:/nonexistent", -EINVAL, "secret file /nonexistent" },
		{ "--config /nonexistent.yaml", -ENOENT, "/nonexistent.yaml" },
		{ "--config", -EINVAL, "--config wants a file" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct opt_set *set = NULL;
		struct conf conf;
		struct err err;
		char words[300];
		int rc = parse(rows[i].args, "", &conf, &set, &err, words, sizeof(words));

		OK(tap, rc == rows[i].rc && strstr(err.text, rows[i].words), "%s -> %d %s",
		   rows[i].args, rc, err.text);
		opt_close(set);
	}
}

static void test_values(struct tap *tap)
{
	struct opt_set *set = NULL;
	struct conf conf;
	struct err err;
	char words[300];

	OK(tap, parse("", "", &conf, &set, &err, words, sizeof(words)) == 0, "defaults %s",
	   err.text);
	OK(tap, conf.count == 3 && conf.bytes == 1 << 20 && conf.wait_ms == 5000 && conf.gzip &&
	   strcmp(conf.listen, "127.0.0.1:0") == 0 && !conf.key && conf.kafka.count == 0,
	   "default values");
	opt_close(set);
	OK(tap, parse("--count=4 --body-max 64k --wait 250ms --no-gzip --kafka a=1 --kafka b=2 "
		      "--listen=", "", &conf, &set, &err, words, sizeof(words)) == 0,
	   "flags %s", err.text);
	OK(tap, conf.count == 4 && conf.bytes == 65536 && conf.wait_ms == 250 && !conf.gzip &&
	   conf.kafka.count == 2 && strcmp(conf.kafka.items[1], "b=2") == 0 &&
	   conf.listen[0] == '\0', "flag values");
	opt_close(set);
}

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	fputs(text, out);
	fclose(out);
}

static void test_file(struct tap *tap, const char *path)
{
	static const struct { const char *text; int rc; const char *words;
	} rows[] = {
		{ "test:\n  count: 99\n", -EBADMSG, ":2: count: 99 is not between" },
		{ "test:\n  nosuch: 1\n", -EBADMSG, ":2: test has no option 'nosuch'" },
		{ "test:\n  body_mox: 1\n", -EBADMSG,
		  ":2: test has no option 'body_mox': did you mean "
		  "body_max" },
		{ "sources: []\ncolect:\n  listen: x\n", -EBADMSG,
		  ":2: unknown key 'colect': did you "
		  "mean collect" },
		{ "kount: 4\n", -EBADMSG, ":1: unknown key 'kount': did you mean count" },
		{ "entirely_different: 4\n", -EBADMSG,
		  "unknown key 'entirely_different' (an option" },
		{ "test: 5\n", -EBADMSG, ":1: test must be a map" },
		{ "count: [1]\n", -EBADMSG, "must be a whole number" },
		{ "test: {count: 1\n", -EBADMSG, ":2:" },
		{ "- a\n", -EBADMSG, "must be a map of keys" },
	};
	struct opt_set *set = NULL;
	struct buf out = { 0 };
	struct conf conf;
	struct err err;
	char words[300];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc;

		write_file(path, rows[i].text);
		rc = parse("--config {}", path, &conf, &set, &err, words, sizeof(words));
		OK(tap, rc == rows[i].rc && strstr(err.text, rows[i].words), "file %zu -> %d %s", i,
		   rc, err.text);
	}
	write_file(path, "sources:\n  - name: web\nsink: {a: 1}\ncount: 4\nkafka: [x=1, y=2]\n"
			 "test:\n  count: 5\n  body_max: 2k\n  key: hush\n");
	OK(tap, parse("--count 6 --config {}", path, &conf, &set, &err, words, sizeof(words)) == 0,
	   "good file %s", err.text);
	OK(tap, conf.count == 6 && conf.bytes == 2048 && conf.kafka.count == 2,
	   "flag beats section beats top level");
	OK(tap, yaml_get(opt_file(set), "sources") != NULL, "the rest of the file is there");
	opt_print_dump(&program, &conf, &out);
	OK(tap,
	   memmem(out.ptr, out.len, "body_max: 2048", 14) && !memmem(out.ptr, out.len, "hush", 4),
	   "dump shows values, not secrets");
	buf_close(&out);
	opt_close(set);
	OK(tap,
	   parse("--kafka z=3 --config {}", path, &conf, &set, &err, words, sizeof(words)) == 0 &&
		   conf.kafka.count == 1,
	   "a list flag replaces the file's");
	opt_close(set);
	write_file(path, "s3cret\nrest\n");
	snprintf(words, sizeof(words), "--key file:%s", path);
	OK(tap, parse(strdupa(words), path, &conf, &set, &err, words, sizeof(words)) == 0 &&
	   strcmp(conf.key, "s3cret") == 0, "a secret from a file");
	opt_close(set);
}

int main(void)
{
	char path[] = "/tmp/millrace-opt-XXXXXX";
	struct tap tap = { 0 };
	int fd = mkstemp(path);

	test_values(&tap);
	test_refused(&tap);
	test_file(&tap, path);
	close(fd);
	unlink(path);
	return tap_end(&tap);
}
