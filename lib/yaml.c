// SPDX-License-Identifier: Apache-2.0
#include "lib/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "lib/arena.h"

#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 100000
#define YAML_LIST_NODES_MAX 1000000

struct yaml_file {
	struct arena arena;
	const char *path;
	yaml_parser_t parser;
	yaml_event_t event;
	int nodes;
	bool may_repeat;
};

static int fail(struct yaml_file *file, struct err *err, const char *words)
{
	return err_set(err, -EBADMSG, "%s:%zu: %s", file->path,
		       file->event.start_mark.line + 1, words);
}

/* The next event of the stream; the one before is gone. */
static int next_event(struct yaml_file *file, struct err *err)
{
	yaml_event_delete(&file->event);
	if (yaml_parser_parse(&file->parser, &file->event))
		return 0;
	memset(&file->event, 0, sizeof(file->event));
	return err_set(err, -EBADMSG, "%s:%zu: %s", file->path,
		       file->parser.problem_mark.line + 1,
		       file->parser.problem ? file->parser.problem : "not YAML");
}

static struct yaml *node_new(struct yaml_file *file, enum yaml_kind kind, struct err *err)
{
	struct yaml *node = NULL;

	if (++file->nodes <= (file->may_repeat ? YAML_LIST_NODES_MAX : YAML_NODES_MAX))
		node = arena_alloc(&file->arena, sizeof(*node));
	if (!node) {
		fail(file, err, "too many entries");
		return NULL;
	}
	*node = (struct yaml){ .kind = kind, .line = (int)file->event.start_mark.line + 1 };
	return node;
}

static int read_node(struct yaml_file *file, int depth, struct yaml **nodep, struct err *err);

static int read_scalar(struct yaml_file *file, struct yaml **nodep, struct err *err)
{
	struct slice text = { (const char *)file->event.data.scalar.value,
			      file->event.data.scalar.length };
	struct yaml *node;

	if (file->event.data.scalar.anchor || file->event.data.scalar.tag)
		return fail(file, err, "anchors and tags are not supported: write the value out");
	if (memchr(text.ptr, '\0', text.len))
		return fail(file, err, "a NUL in a value");
	node = node_new(file, YAML_KIND_SCALAR, err);
	if (!node)
		return -EBADMSG;
	node->text = arena_copy(&file->arena, text).ptr;
	node->is_quoted = file->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	*nodep = node;
	return node->text ? 0 : -ENOMEM;
}

static int read_list(struct yaml_file *file, int depth, struct yaml **nodep, struct err *err)
{
	struct yaml *node = node_new(file, YAML_KIND_LIST, err);
	const struct yaml **link;
	struct yaml *child;
	int rc;

	if (!node)
		return -EBADMSG;
	for (link = &node->first;; link = &child->next) {
		rc = next_event(file, err);
		if (rc)
			return rc;
		if (file->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		rc = read_node(file, depth + 1, &child, err);
		if (rc)
			return rc;
		*link = child;
	}
	*nodep = node;
	return 0;
}

static int read_map(struct yaml_file *file, int depth, struct yaml **nodep, struct err *err)
{
	struct yaml *node = node_new(file, YAML_KIND_MAP, err);
	const struct yaml **link;
	struct yaml *child, *key;
	int rc;

	if (!node)
		return -EBADMSG;
	for (link = &node->first;; link = &child->next) {
		rc = next_event(file, err);
		if (rc)
			return rc;
		if (file->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (file->event.type != YAML_SCALAR_EVENT)
			return fail(file, err, "a key must be plain text");
		rc = read_scalar(file, &key, err);
		if (rc)
			return rc;
		if (!file->may_repeat && yaml_get(node, key->text))
			return fail(file, err, "this key stands twice in its map");
		rc = next_event(file, err);
		if (rc)
			return rc;
		rc = read_node(file, depth + 1, &child, err);
		if (rc)
			return rc;
		child->key = key->text;
		child->line = key->line;
		*link = child;
	}
	*nodep = node;
	return 0;
}

/* Reads the node that the current event begins. */
static int read_node(struct yaml_file *file, int depth, struct yaml **nodep, struct err *err)
{
	if (depth > YAML_DEPTH_MAX)
		return fail(file, err, "nested too deep");
	switch (file->event.type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(file, nodep, err);
	case YAML_SEQUENCE_START_EVENT:
		if (file->event.data.sequence_start.anchor)
			return fail(file, err, "anchors are not supported: write the list out");
		return read_list(file, depth, nodep, err);
	case YAML_MAPPING_START_EVENT:
		if (file->event.data.mapping_start.anchor)
			return fail(file, err, "anchors are not supported: write the map out");
		return read_map(file, depth, nodep, err);
	case YAML_ALIAS_EVENT:
		return fail(file, err, "aliases are not supported: write the value out");
	default:
		return fail(file, err, "a value is missing");
	}
}

static int read_document(struct yaml_file *file, const struct yaml **rootp, struct err *err)
{
	struct yaml *root = NULL;
	int rc;

	rc = next_event(file, err);     /* stream start */
	if (!rc)
		rc = next_event(file, err);
	if (rc)
		return rc;
	if (file->event.type == YAML_STREAM_END_EVENT) {        /* an empty file is an empty map */
		*rootp = node_new(file, YAML_KIND_MAP, err);
		return *rootp ? 0 : -ENOMEM;
	}
	rc = next_event(file, err);     /* behind document start */
	if (!rc)
		rc = read_node(file, 0, &root, err);
	if (!rc)
		rc = next_event(file, err);     /* document end */
	if (!rc)
		rc = next_event(file, err);
	if (rc)
		return rc;
	if (file->event.type != YAML_STREAM_END_EVENT)
		return fail(file, err, "only one document in a file");
	*rootp = root;
	return 0;
}

static int read_bytes(const char *path, char **bytesp, size_t *lenp, struct err *err)
{
	FILE *in = fopen(path, "rb");
	char *bytes;
	int rc = 0;

	if (!in)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	bytes = malloc(YAML_BYTES_MAX + 1);
	if (!bytes) {
		fclose(in);
		return -ENOMEM;
	}
	*lenp = fread(bytes, 1, YAML_BYTES_MAX + 1, in);
	if (ferror(in))
		rc = err_set(err, -EIO, "%s: cannot be read", path);
	else if (*lenp > YAML_BYTES_MAX)
		rc = err_set(err, -EBADMSG, "%s: larger than %zu bytes", path, YAML_BYTES_MAX);
	fclose(in);
	if (rc) {
		free(bytes);
		return rc;
	}
	*bytesp = bytes;
	return 0;
}

static int parse(struct yaml_file **filep, const char *bytes, size_t len, const char *path,
		 bool may_repeat, const struct yaml **rootp, struct err *err)
{
	struct yaml_file *file = calloc(1, sizeof(*file));
	int rc;

	if (!file || !yaml_parser_initialize(&file->parser)) {
		free(file);
		return err_set(err, -ENOMEM, "no memory");
	}
	file->path = path;
	file->may_repeat = may_repeat;
	yaml_parser_set_input_string(&file->parser, (const unsigned char *)bytes, len);
	rc = read_document(file, rootp, err);
	yaml_event_delete(&file->event);
	yaml_parser_delete(&file->parser);
	if (rc) {
		yaml_close(file);
		return rc;
	}
	*filep = file;
	return 0;
}

int yaml_open(struct yaml_file **filep, const char *path, const struct yaml **rootp,
	      struct err *err)
{
	char *bytes = NULL;
	size_t len = 0;
	int rc = read_bytes(path, &bytes, &len, err);

	if (rc == 0)
		rc = parse(filep, bytes, len, path, false, rootp, err);
	free(bytes);
	return rc;
}

int yaml_parse_list(struct yaml_file **filep, struct slice text, const char *path,
		    const struct yaml **rootp, struct err *err)
{
	if (text.len > YAML_LIST_MAX)
		return err_set(err, -EBADMSG, "%s: larger than %zu bytes", path, YAML_LIST_MAX);
	return parse(filep, text.ptr, text.len, path, true, rootp, err);
}

void yaml_close(struct yaml_file *file)
{
	if (!file)
		return;
	arena_close(&file->arena);
	free(file);
}

const struct yaml *yaml_get(const struct yaml *node, const char *key)
{
	if (!node || node->kind != YAML_KIND_MAP)
		return NULL;
	for (const struct yaml *child = node->first; child; child = child->next)
		if (child->key && strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

const char *yaml_get_text(const struct yaml *node, const char *key)
{
	const struct yaml *child = yaml_get(node, key);

	return child && child->kind == YAML_KIND_SCALAR ? child->text : NULL;
}
