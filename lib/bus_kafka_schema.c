// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/bus_kafka.h"

#define SCHEMAS_MAX     64              /* versions of one topic's schema */
#define SCHEMA_TEXT_MAX ((size_t)1 << 20)

struct known {
	uint64_t print;
	struct schema *schema;          /* owned; NULL: the reader's own, borrowed */
	struct datum_reader *reader;
};

struct kafka_schemas {
	const struct schema *own;
	size_t count;
	struct known known[SCHEMAS_MAX];
};

static int add(struct kafka_schemas *s, const struct schema *writer, struct schema *owned,
	       struct err *err)
{
	struct known *known = &s->known[s->count];
	int rc;

	if (s->count == SCHEMAS_MAX)
		return err_set(err, -ENOSPC, "more than %d schemas for one topic", SCHEMAS_MAX);
	rc = datum_reader_open(&known->reader, writer, s->own, err);
	if (rc)
		return rc;
	known->print = schema_fingerprint(writer);
	known->schema = owned;
	s->count++;
	return 0;
}

static int read_text(const char *path, char *text, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	for (*len = 0; n > 0 && *len < SCHEMA_TEXT_MAX; *len += (size_t)(n > 0 ? n : 0))
		n = read(fd, text + *len, SCHEMA_TEXT_MAX - *len);
	close(fd);
	return n < 0 ? -EIO : n > 0 ? -ENOSPC : 0;
}

/* Takes schema over. One of another topic, or that is known, says nothing new. */
static int add_other(struct kafka_schemas *s, struct schema *schema, struct err *err)
{
	int rc = 0;

	if (strcmp(schema_name(schema), schema_name(s->own)) == 0 &&
	    !kafka_schemas_find(s, schema_fingerprint(schema)))
		rc = add(s, schema, schema, err);
	else
		schema_close(schema);
	if (rc)
		schema_close(schema);
	return rc;
}

static int add_file(struct kafka_schemas *s, const char *path, char *text, struct err *err)
{
	struct schema *schema;
	struct err words = { "" };
	size_t len = 0;
	int rc = read_text(path, text, &len);

	if (rc)
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	rc = schema_parse(&schema, (struct slice){ text, len }, &words);
	if (rc)
		return err_set(err, rc, "%.100s: %s", path, words.text);
	/* The directory may hold other topics' schemas, and the reader's own. */
	rc = add_other(s, schema, &words);
	return rc ? err_set(err, rc, "%.100s: %s", path, words.text) : 0;
}

static int add_directory(struct kafka_schemas *s, const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	char *text = malloc(SCHEMA_TEXT_MAX);
	struct dirent *entry;
	char name[4096];
	int rc = 0;

	if (!dir || !text) {
		rc = err_set(err, -EINVAL, "?schemas=%s: %s", path, strerror(errno));
		goto out;
	}
	while (rc == 0 && (entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (!dot || strcmp(dot, ".avsc"))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		rc = add_file(s, name, text, err);
	}
out:
	free(text);
	if (dir)
		closedir(dir);
	return rc;
}

/* The versions of earlier releases. */
static int add_old(struct kafka_schemas *s, struct err *err)
{
	struct schema *schema;
	int rc = 0;

	for (int i = 0; rc == 0; i++) {
		rc = schema_old(schema_name(s->own), i, &schema);
		if (rc == 0)
			rc = add_other(s, schema, err);
	}
	return rc == -ENOENT ? 0 : rc;
}

int kafka_schemas_open(struct kafka_schemas **sp, const struct schema *own, const char *dir,
		       struct err *err)
{
	struct kafka_schemas *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->own = own;
	rc = add(s, own, NULL, err);
	if (rc == 0)
		rc = add_old(s, err);
	if (rc == 0 && dir)
		rc = add_directory(s, dir, err);
	if (rc) {
		kafka_schemas_close(s);
		return rc;
	}
	*sp = s;
	return 0;
}

void kafka_schemas_close(struct kafka_schemas *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++) {
		datum_reader_close(s->known[i].reader);
		schema_close(s->known[i].schema);
	}
	free(s);
}

/* The reader's own comes first, and nearly every record has it. */
const struct datum_reader *kafka_schemas_find(const struct kafka_schemas *s, uint64_t print)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->known[i].print == print)
			return s->known[i].reader;
	}
	return NULL;
}
