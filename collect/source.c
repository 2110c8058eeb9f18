// SPDX-License-Identifier: Apache-2.0
#include "collect/source.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/arena.h"

#define SLOTS (2 * SOURCE_KEYS_MAX)     /* a power of two; half full at most */

struct entry {
	struct slice key;
	struct source *source;          /* NULL: free */
};

struct source_set {
	struct arena arena;
	const char *path;               /* while it is built: for words */
	uint64_t seed;
	size_t count, key_count;
	struct source *sources;
	struct entry *entries;          /* [SLOTS], by hash, linear probing */
};

bool source_name_is_valid(struct slice name)
{
	if (name.len == 0 || name.len > SOURCE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", name.ptr[i]) || !name.ptr[i])
			return false;
	return true;
}

static struct entry *slot_of(const struct source_set *set, struct slice key)
{
	uint64_t at = XXH3_64bits_withSeed(key.ptr, key.len, set->seed);

	for (;; at++) {
		struct entry *entry = &set->entries[at & (SLOTS - 1)];

		if (!entry->source || (entry->key.len == key.len &&
				       CRYPTO_memcmp(entry->key.ptr, key.ptr, key.len) == 0))
			return entry;
	}
}

struct source *source_find(struct source_set *set, struct slice key)
{
	if (key.len == 0 || key.len > SOURCE_KEY_MAX)
		return NULL;
	return slot_of(set, key)->source;
}

/* `file:PATH` stands for the first line of that file. */
static int read_key(struct source_set *set, const struct yaml *node, struct slice *key,
		    struct err *err)
{
	char bytes[SOURCE_KEY_MAX + 2];
	ssize_t n;
	int fd;

	*key = slice_from(node->text);
	if (!slice_starts(*key, SLICE("file:")))
		return 0;
	fd = open(node->text + 5, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	if (n < 0)
		err_set(err, -EINVAL, "%s:%d: %s: %s", set->path, node->line, node->text,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -EINVAL;
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] == '\n' || bytes[i] == '\r')
			n = i;
	*key = arena_copy(&set->arena, (struct slice){ bytes, (size_t)n });
	return key->ptr ? 0 : -ENOMEM;
}

static int add_key(struct source_set *set, struct source *source, const struct yaml *node,
		   struct err *err)
{
	struct entry *entry;
	struct slice key;
	int rc;

	if (node->kind != YAML_KIND_SCALAR)
		return err_set(err, -EINVAL, "%s:%d: a write key must be text", set->path,
			       node->line);
	rc = read_key(set, node, &key, err);
	if (rc)
		return rc;
	if (key.len == 0 || key.len > SOURCE_KEY_MAX)
		return err_set(err, -EINVAL, "%s:%d: a write key has 1 to %d bytes", set->path,
			       node->line, SOURCE_KEY_MAX);
	entry = slot_of(set, key);
	if (entry->source)
		return err_set(err, -EINVAL, "%s:%d: this write key is already that of '%s'",
			       set->path, node->line, entry->source->name.ptr);
	if (set->key_count == SOURCE_KEYS_MAX)
		return err_set(err, -EINVAL, "%s:%d: more than %d write keys", set->path,
			       node->line, SOURCE_KEYS_MAX);
	set->key_count++;
	entry->key = arena_copy(&set->arena, key);
	entry->source = source;
	return entry->key.ptr ? 0 : -ENOMEM;
}

static int add_keys(struct source_set *set, struct source *source, const struct yaml *node,
		    struct err *err)
{
	int rc = 0;

	if (node->kind == YAML_KIND_SCALAR)
		return add_key(set, source, node, err);
	for (const struct yaml *item = node->first; item && !rc; item = item->next)
		rc = add_key(set, source, item, err);
	return rc;
}

static int read_origins(struct source_set *set, struct source *source, const struct yaml *node,
			struct err *err)
{
	struct slice *origins;
	size_t count = 0;

	if (node->kind != YAML_KIND_LIST)
		return err_set(err, -EINVAL, "%s:%d: origins must be a list", set->path,
			       node->line);
	for (const struct yaml *item = node->first; item; item = item->next)
		count++;
	origins = arena_alloc(&set->arena, (count + 1) * sizeof(*origins));
	if (!origins)
		return -ENOMEM;
	count = 0;
	for (const struct yaml *item = node->first; item; item = item->next) {
		struct slice origin = slice_from(item->text);

		if (item->kind != YAML_KIND_SCALAR || !strstr(item->text, "://"))
			return err_set(err, -EINVAL, "%s:%d: an origin is written like "
				       "https://shop.example", set->path, item->line);
		if (origin.ptr[origin.len - 1] == '/')
			origin.len--;
		origins[count] = arena_copy(&set->arena, origin);
		if (!origins[count++].ptr)
			return -ENOMEM;
	}
	source->origins = origins;
	source->origin_count = count;
	return 0;
}

static int read_rate(struct source_set *set, struct source *source, const struct yaml *node,
		     struct err *err)
{
	char *end;
	long rate = node->kind == YAML_KIND_SCALAR ? strtol(node->text, &end, 10) : -1;

	if (rate < 0 || rate > 1000000000 || end == node->text || *end)
		return err_set(err, -EINVAL, "%s:%d: rate is a number of events per second",
			       set->path, node->line);
	limit_init(&source->limit, rate);
	return 0;
}

static int read_enabled(struct source_set *set, struct source *source, const struct yaml *node,
			struct err *err)
{
	const char *text = node->kind == YAML_KIND_SCALAR ? node->text : "";

	source->enabled = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
	if (!source->enabled && strcmp(text, "false") != 0 && strcmp(text, "no") != 0)
		return err_set(err, -EINVAL, "%s:%d: enabled is true or false", set->path,
			       node->line);
	return 0;
}

static int read_name(struct source_set *set, struct source *source, const struct yaml *node,
		     struct err *err)
{
	struct slice name = slice_from(node->kind == YAML_KIND_SCALAR ? node->text : "");

	if (!source_name_is_valid(name))
		return err_set(err, -EINVAL, "%s:%d: a source's name is 1 to %d of a-z 0-9 _ -",
			       set->path, node->line, SOURCE_NAME_MAX);
	for (size_t i = 0; i < set->count; i++)
		if (slice_eq(set->sources[i].name, name))
			return err_set(err, -EINVAL, "%s:%d: there are two sources '%s'",
				       set->path, node->line, node->text);
	source->name = arena_copy(&set->arena, name);
	return source->name.ptr ? 0 : -ENOMEM;
}

typedef int read_fn(struct source_set *set, struct source *source, const struct yaml *node,
		    struct err *err);

static int read_member(struct source_set *set, struct source *source, const struct yaml *node,
		       struct err *err)
{
	static const struct { const char *key; read_fn *read; } members[] = {
		{ "name", read_name }, { "write_key", add_key }, { "write_keys", add_keys },
		{ "origins", read_origins }, { "enabled", read_enabled }, { "rate", read_rate },
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (strcmp(node->key, members[i].key) == 0)
			return members[i].read(set, source, node, err);
	return err_set(err, -EINVAL, "%s:%d: a source has no '%.40s' (name, write_key, write_keys, "
		       "origins, enabled, rate)", set->path, node->line, node->key);
}

static int add_source(struct source_set *set, const struct yaml *node, struct err *err)
{
	struct source *source = &set->sources[set->count];
	size_t keys = set->key_count;
	int rc = 0;

	if (node->kind != YAML_KIND_MAP)
		return err_set(err, -EINVAL, "%s:%d: a source is a map with name and write_key",
			       set->path, node->line);
	*source = (struct source){ .enabled = true };
	for (const struct yaml *member = node->first; member && !rc; member = member->next)
		rc = read_member(set, source, member, err);
	if (rc)
		return rc;
	if (!source->name.len || set->key_count == keys)
		return err_set(err, -EINVAL, "%s:%d: a source needs %s", set->path, node->line,
			       source->name.len ? "write_key" : "name");
	set->count++;
	return 0;
}

static int fill(struct source_set *set, const struct yaml *sources, struct err *err)
{
	size_t count = 0;
	int rc = 0;

	if (RAND_bytes((unsigned char *)&set->seed, sizeof(set->seed)) != 1)
		return err_set(err, -EIO, "no random numbers");
	if (sources && sources->kind != YAML_KIND_LIST)
		return err_set(err, -EINVAL, "%s:%d: sources must be a list", set->path,
			       sources->line);
	for (const struct yaml *node = sources ? sources->first : NULL; node; node = node->next)
		count++;
	if (count > SOURCES_MAX)
		return err_set(err, -EINVAL, "%s:%d: more than %d sources", set->path,
			       sources->line, SOURCES_MAX);
	set->sources = calloc(count + 1, sizeof(*set->sources));
	set->entries = calloc(SLOTS, sizeof(*set->entries));
	if (!set->sources || !set->entries)
		return err_set(err, -ENOMEM, "no memory for sources");
	for (const struct yaml *node = sources ? sources->first : NULL; node && !rc;
	     node = node->next)
		rc = add_source(set, node, err);
	return rc;
}

int source_set_open(struct source_set **setp, const struct yaml *sources, const char *path,
		    struct err *err)
{
	struct source_set *set = calloc(1, sizeof(*set));
	int rc;

	if (!set)
		return err_set(err, -ENOMEM, "no memory for sources");
	set->path = path;
	rc = fill(set, sources, err);
	if (rc) {
		source_set_close(set);
		return err_set(err, rc, "no memory for sources");
	}
	*setp = set;
	return 0;
}

void source_set_close(struct source_set *set)
{
	if (!set)
		return;
	arena_close(&set->arena);
	free(set->sources);
	free(set->entries);
	free(set);
}

size_t source_set_count(const struct source_set *set)
{
	return set->count;
}

bool source_allows(const struct source *source, struct slice origin)
{
	if (source->origin_count == 0)
		return true;
	for (size_t i = 0; i < source->origin_count; i++)
		if (slice_eq(source->origins[i], origin))
			return true;
	return false;
}
